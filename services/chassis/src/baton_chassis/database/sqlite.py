"""SQLite: one file a service, WAL, durable commits, one writer thread and a few readers."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from baton_chassis.database.port import Row, RowConflict
from baton_chassis.database.statements import SQLITE, Statement
from baton_chassis.errors import Contended, Unavailable

T = TypeVar("T")
READERS = 4
FEW = 32
"""Rows that are written on the loop's own thread: inside a transaction, with the file's lock in hand, a row
takes microseconds, and changing threads takes longer than all of them.
"""


def connect(path: Path) -> sqlite3.Connection:
    """A connection as this project uses them: explicit transactions, WAL, synchronous FULL, foreign keys
    on.
    """
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=30, cached_statements=512
    )
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


class SQLiteSession:
    """One transaction on one connection, its statements run on a thread beside the loop."""

    def __init__(self, connection: sqlite3.Connection, executor: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._executor = executor

    async def on_thread(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` on the connection's thread; it finishes even where the caller is cancelled."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, _named_errors, work, self._connection)

    async def _on_loop_if(self, few: bool, work: Callable[[sqlite3.Connection], T]) -> T:
        return _named_errors(work, self._connection) if few else await self.on_thread(work)

    async def fetch(self, statement: Statement, **parameters: Any) -> list[Row]:
        """Rows by column name."""
        ready = statement.on(SQLITE)
        arguments = ready.arguments(parameters)
        rows = await self.on_thread(lambda c: c.execute(ready.text, arguments).fetchall())
        return [ready.row(values) for values in rows]

    async def run(self, statement: Statement, **parameters: Any) -> int:
        """Number of rows touched."""
        ready = statement.on(SQLITE)
        arguments = ready.arguments(parameters)
        return await self.on_thread(lambda c: c.execute(ready.text, arguments).rowcount)

    async def run_many(self, statement: Statement, rows: Sequence[Mapping[str, Any]]) -> None:
        """The statement once a row."""
        if not rows:
            return
        ready = statement.on(SQLITE)
        arguments = [ready.arguments(row) for row in rows]
        await self._on_loop_if(len(rows) <= FEW, lambda c: c.executemany(ready.text, arguments))

    async def fetch_many(self, statement: Statement, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """The statement once a row; all rows that it returned."""
        if not rows:
            return []
        ready = statement.on(SQLITE)
        arguments = [ready.arguments(row) for row in rows]
        found = await self._on_loop_if(
            len(rows) <= FEW,
            lambda c: [values for each in arguments for values in c.execute(ready.text, each).fetchall()],
        )
        return [ready.row(values) for values in found]


class SQLiteDatabase:
    """The embedded back end. ``path`` is created with mode 0600 when absent."""

    backend = "sqlite"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = asyncio.Lock()
        self._writer_thread = ThreadPoolExecutor(1, thread_name_prefix=f"write-{path.stem}")
        self._reader_threads = ThreadPoolExecutor(READERS, thread_name_prefix=f"read-{path.stem}")
        self._readers: asyncio.Queue[sqlite3.Connection] = asyncio.Queue()
        self._open: list[sqlite3.Connection] = []
        self._writer: sqlite3.Connection | None = None
        self._looker: sqlite3.Connection | None = None

    async def start(self) -> None:
        """Open the file and its connections."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600, exist_ok=True)
        self._writer = self._connected()
        self._looker = self._connected()
        self._looker.execute("PRAGMA busy_timeout=0")
        for _ in range(READERS):
            self._readers.put_nowait(self._connected())

    async def stop(self) -> None:
        """Wait for the writer, then close everything."""
        async with self._writing:
            for connection in self._open:
                connection.close()
            self._open.clear()
            self._writer_thread.shutdown(wait=True)
            self._reader_threads.shutdown(wait=True)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SQLiteSession]:
        """``BEGIN IMMEDIATE`` ... ``COMMIT``; see ``Database.transaction``."""
        if self._writer is None:
            raise Unavailable("the database is not open")
        session = SQLiteSession(self._writer, self._writer_thread)
        async with self._writing:
            await session.on_thread(lambda c: c.execute("BEGIN IMMEDIATE"))
            try:
                yield session
            except BaseException:
                await asyncio.shield(session.on_thread(_roll_back))
                raise
            await asyncio.shield(session.on_thread(lambda c: c.execute("COMMIT")))

    async def look(self, statement: Statement, **parameters: Any) -> list[Row]:
        """One short statement outside a transaction, on the loop's own thread: a read by key takes a tenth
        of the time that two changes of threads take. WAL readers wait for nobody; should the file be locked
        after all (another process recovers it), a thread waits.
        """
        if self._looker is None:
            raise Unavailable("the database is not open")
        ready = statement.on(SQLITE)
        arguments = ready.arguments(parameters)
        try:
            found = _named_errors(lambda c: c.execute(ready.text, arguments).fetchall(), self._looker)
        except Contended:
            async with self.reading(None) as session:
                return await session.fetch(statement, **parameters)
        return [ready.row(values) for values in found]

    @asynccontextmanager
    async def reading(self, practice_id: str | None) -> AsyncIterator[SQLiteSession]:
        """A snapshot; the practice is part of every statement here, SQLite has no row-level security."""
        connection = await self._readers.get()
        session = SQLiteSession(connection, self._reader_threads)
        try:
            connection.execute("BEGIN")  # reads nothing yet: not worth a change of threads
            yield session
        except BaseException:
            await asyncio.shield(session.on_thread(_roll_back))  # a statement may still be running there
            raise
        else:
            _roll_back(connection)
        finally:
            self._readers.put_nowait(connection)

    def _connected(self) -> sqlite3.Connection:
        connection = connect(self._path)
        self._open.append(connection)
        return connection


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _named_errors(work: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    try:
        return work(connection)
    except sqlite3.IntegrityError as error:
        raise RowConflict(getattr(error, "sqlite_errorname", "")) from error
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise Contended("the database file is locked by another process") from error
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise Unavailable("the disk of the database is full or failing") from error
        raise
