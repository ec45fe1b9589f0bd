"""Tables straight from their declaration, for tests that are not about migrations."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import asyncpg
from sqlalchemy import MetaData
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from baton_chassis.database.security import row_level_security
from baton_chassis.database.statements import POSTGRESQL, SQLITE


async def create_tables(metadata: MetaData, *, url: str, schema: str) -> None:
    """Make every table and index of ``metadata`` at ``sqlite:////path`` or ``postgresql://...`` (in
    ``schema``).
    """
    if url.startswith("sqlite:///"):
        with sqlite3.connect(Path(url.removeprefix("sqlite:///"))) as connection:
            for statement in _definitions(metadata, SQLITE):
                connection.execute(statement)
        connection.close()
        return
    connection = await asyncpg.connect(url, server_settings={"search_path": schema})
    try:
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        for statement in [*_definitions(metadata, POSTGRESQL), *row_level_security(metadata, schema=schema)]:
            await connection.execute(statement)
    finally:
        await connection.close()


def _definitions(metadata: MetaData, dialect: Dialect) -> list[str]:
    statements = []
    for table in metadata.sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=dialect)))
        statements += [str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes]
    return statements
