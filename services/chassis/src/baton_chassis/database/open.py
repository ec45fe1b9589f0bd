"""Which back end: settings decide, nothing else knows."""

from __future__ import annotations

from pathlib import Path

from baton_chassis.database.port import Database
from baton_chassis.database.postgresql import PostgreSQLDatabase
from baton_chassis.database.sqlite import SQLiteDatabase


def open_database(url: str | None, *, data_dir: Path, schema: str) -> Database:
    """PostgreSQL when a URL is given (one schema a service), else ``data_dir/{schema}.sqlite``."""
    if url is None:
        return SQLiteDatabase(data_dir / f"{schema}.sqlite")
    return PostgreSQLDatabase(url, schema=schema)
