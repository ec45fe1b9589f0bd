"""The connections of one SQLite file under cancelled callers: work on a connection happens in the order in
which it was asked for, and nothing is closed while it is in use.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from baton_chassis.database.port import RowConflict
from baton_chassis.database.sqlite import READERS, SQLiteDatabase, connect
from baton_chassis.errors import Unavailable


class Held:
    """A statement that stays in the database until it is let go, as a slow one would."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.let_go = threading.Event()
        self.ended = False

    def __call__(self, connection: sqlite3.Connection) -> None:
        """Run it on ``connection``."""
        connection.create_function("held", 0, self._wait)
        connection.execute("SELECT held()").fetchall()
        self.ended = True

    def _wait(self) -> int:
        self.begun.set()
        assert self.let_go.wait(30)
        return 1


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SQLiteDatabase]:
    """An open file with one empty table."""
    path = tmp_path / "grain.sqlite"
    with connect(path) as connection:
        connection.execute("CREATE TABLE grain (number INTEGER PRIMARY KEY)")
        connection.execute(
            "CREATE TABLE husk (grain INTEGER REFERENCES grain (number) DEFERRABLE INITIALLY DEFERRED)"
        )
    connection.close()
    database = SQLiteDatabase(path)
    await database.start()
    yield database
    await database.stop()


async def _count(database: SQLiteDatabase) -> int:
    async with database.reading(None) as session:
        return await session.on_thread(lambda c: int(c.execute("SELECT count(*) FROM grain").fetchone()[0]))


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _begun(statement: Held) -> None:
    assert await asyncio.to_thread(statement.begun.wait, 30)


async def _read(database: SQLiteDatabase, statement: Held) -> None:
    async with database.reading(None) as session:
        await session.on_thread(statement)


async def _write(database: SQLiteDatabase, statement: Held) -> None:
    async with database.transaction() as session:
        await session.on_thread(lambda c: c.execute("INSERT INTO grain VALUES (1)"))
        await session.on_thread(statement)


async def test_stopping_waits_for_a_statement_whose_reader_was_cancelled(database: SQLiteDatabase) -> None:
    statement = Held()
    reader = asyncio.create_task(_read(database, statement))
    await _begun(statement)
    reader.cancel()
    await asyncio.sleep(0)  # the cancelled reader now waits for its rollback
    reader.cancel()  # and whoever shuts down does not wait for it
    stopping = asyncio.create_task(database.stop())
    await asyncio.sleep(0)
    statement.let_go.set()
    await stopping
    assert statement.ended
    with pytest.raises(asyncio.CancelledError):
        await reader


async def test_a_reader_cancelled_twice_gives_its_connection_back_after_its_statement(
    database: SQLiteDatabase,
) -> None:
    statements = [Held() for _ in range(READERS)]
    readers = [asyncio.create_task(_read(database, statement)) for statement in statements]
    for statement, reader in zip(statements, readers, strict=True):
        await _begun(statement)
        reader.cancel()
        await asyncio.sleep(0)
        await _cancelled(reader)
    counting = asyncio.create_task(_count(database))
    await asyncio.sleep(0)
    assert not counting.done()
    for statement in statements:
        statement.let_go.set()
    assert await counting == 0
    assert any(statement.ended for statement in statements)


async def test_a_writer_cancelled_twice_leaves_no_transaction_behind(database: SQLiteDatabase) -> None:
    statement = Held()
    writer = asyncio.create_task(_write(database, statement))
    await _begun(statement)
    writer.cancel()
    await asyncio.sleep(0)
    await _cancelled(writer)
    following = Held()
    following.let_go.set()
    next_one = asyncio.create_task(_write(database, following))
    statement.let_go.set()
    await next_one
    assert await _count(database) == 1


async def test_a_writer_cancelled_while_it_begins_leaves_no_transaction_behind(
    database: SQLiteDatabase, tmp_path: Path
) -> None:
    other = connect(tmp_path / "grain.sqlite")
    other.execute("BEGIN IMMEDIATE")  # so that the writer's own BEGIN waits
    begun = threading.Event()
    assert database._writer is not None
    database._writer.connection.set_trace_callback(lambda _: begun.set())
    writer = asyncio.create_task(_write(database, Held()))
    assert await asyncio.to_thread(begun.wait, 30)
    writer.cancel()
    other.execute("ROLLBACK")
    other.close()
    with pytest.raises(asyncio.CancelledError):
        await writer
    following = Held()
    following.let_go.set()
    await _write(database, following)
    assert await _count(database) == 1


async def test_a_commit_that_fails_leaves_no_transaction_behind(database: SQLiteDatabase) -> None:
    with pytest.raises(RowConflict):  # a deferred constraint speaks at the commit
        async with database.transaction() as session:
            await session.on_thread(lambda c: c.execute("INSERT INTO husk VALUES (7)"))
    async with database.transaction() as session:
        await session.on_thread(lambda c: c.execute("INSERT INTO grain VALUES (2)"))
    assert await _count(database) == 1


async def test_a_stopped_database_says_that_it_is_not_open(database: SQLiteDatabase) -> None:
    await database.stop()
    with pytest.raises(Unavailable):
        async with database.transaction():
            pass
    with pytest.raises(Unavailable):
        await _count(database)
