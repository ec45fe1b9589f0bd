"""On PostgreSQL a reader sees its practice's rows of every table of every service, whatever it asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, Table, select

from baton_chassis import migrations
from baton_chassis.database import Database, Instant, Json, Statement, open_database
from baton_chassis.database.statements import insert_row
from baton_chassis.service import ServiceDefinition
from baton_embedded.verifying import DEFINITIONS

ALPHA, BETA = "alpha", "beta"
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture(params=DEFINITIONS, ids=lambda definition: definition.schema)
def definition(request: pytest.FixtureRequest) -> ServiceDefinition:
    """Every service."""
    service: ServiceDefinition = request.param
    return service


@pytest.fixture
async def database(
    definition: ServiceDefinition, postgres_database: str, tmp_path: Any
) -> AsyncIterator[Database]:
    """The service's database with one row of each practice in every table."""
    await migrations.upgrade(
        postgres_database, package=definition.package, schema=definition.schema, metadata=definition.metadata
    )
    opened = open_database(postgres_database, data_dir=tmp_path, schema=definition.schema)
    await opened.start()
    async with opened.transaction() as session:
        for table in definition.metadata.sorted_tables:
            for practice in (ALPHA, BETA):
                await session.run(insert_row(table), **_row(table, practice))
    yield opened
    await opened.stop()


def _row(table: Table, practice: str) -> dict[str, Any]:
    return {column.name: _value(column, practice) for column in table.columns if column.identity is None}


def _value(column: Column[Any], practice: str) -> Any:
    match column.type:
        case Instant():
            return NOON
        case Json():
            return {}
        case Boolean():
            return False
        case BigInteger() | Integer():
            return 1
        case LargeBinary():
            return practice.encode()
    return practice


async def test_a_reader_sees_its_own_practice_only_in_every_table(
    definition: ServiceDefinition, database: Database
) -> None:
    tables = [table for table in definition.metadata.sorted_tables if "practice_id" in table.columns]
    assert len(tables) >= 9
    for table in tables:
        everything = Statement(select(table.c.practice_id))
        async with database.reading(ALPHA) as session:
            assert [row["practice_id"] for row in await session.fetch(everything)] == [ALPHA], table.name
        async with database.reading("nobody") as session:
            assert await session.fetch(everything) == [], table.name
        async with database.reading(None) as session:
            assert {row["practice_id"] for row in await session.fetch(everything)} == {ALPHA, BETA}, (
                table.name
            )


async def test_a_reader_asking_for_anothers_rows_by_name_gets_none(
    definition: ServiceDefinition, database: Database
) -> None:
    for repository in definition.repositories.values():
        async with database.reading(ALPHA) as session:
            assert await session.fetch(repository.by_id(), practice_id=BETA, id=BETA) == [], repository.name
            assert await session.fetch(repository.by_id(), practice_id=ALPHA, id=ALPHA), repository.name


async def test_a_reader_cannot_open_tables_that_belong_to_no_practice_nor_write(
    definition: ServiceDefinition, database: Database
) -> None:
    shared = [table for table in definition.metadata.sorted_tables if "practice_id" not in table.columns]
    assert {"lease", "consumer_offset"} <= {table.name for table in shared}
    for table in shared:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.reading(ALPHA) as session:
                await session.fetch(Statement(select(table)))
    for table in definition.metadata.sorted_tables:
        with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError)):
            async with database.reading(ALPHA) as session:
                await session.run(Statement(table.delete()))
