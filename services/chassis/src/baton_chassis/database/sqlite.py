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


class _Lane:
    """One connection and the one thread that works on it, so that its work happens in the order in which it
    was asked for, even where a caller is cancelled and goes on: a statement, then the rollback, then the
    close.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.connection = connect(path)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._closed = False

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """``work`` on the thread; once begun it finishes whether or not somebody waits for it. Raises
        ``Unavailable`` after ``close``.
        """
        if self._closed:
            raise Unavailable("the database is not open")
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._thread, _named_errors, work, self.connection)

    def roll_back(self) -> asyncio.Future[None]:
        """The transaction undone after whatever still runs; a closed connection has none."""
        if not self._closed:
            return self.submit(_roll_back)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def close(self) -> None:
        """Let what runs finish, then close."""
        self._closed = True
        await asyncio.to_thread(self._thread.shutdown)
        self.connection.close()


class SQLiteSession:
    """One transaction on one connection, its statements run on a thread beside the loop."""

    def __init__(self, lane: _Lane) -> None:
        self._lane = lane

    async def on_thread(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` on the connection's thread; once begun it finishes even where the caller is
        cancelled.
        """
        return await self._lane.submit(work)

    async def _on_loop_if(self, few: bool, work: Callable[[sqlite3.Connection], T]) -> T:
        return _named_errors(work, self._lane.connection) if few else await self.on_thread(work)

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
        self._readers: asyncio.Queue[_Lane] = asyncio.Queue()
        self._open: list[_Lane] = []
        self._writer: _Lane | None = None
        self._looker: sqlite3.Connection | None = None

    async def start(self) -> None:
        """Open the file and its connections."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600, exist_ok=True)
        self._writer = self._lane("write")
        self._looker = connect(self._path)
        self._looker.execute("PRAGMA busy_timeout=0")
        for _ in range(READERS):
            self._readers.put_nowait(self._lane("read"))

    async def stop(self) -> None:
        """Let the writer and whatever else still runs finish, then close everything."""
        async with self._writing:
            self._writer = None
            lanes, self._open = self._open, []
            for lane in lanes:
                await lane.close()
            if self._looker is not None:
                self._looker.close()
                self._looker = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SQLiteSession]:
        """``BEGIN IMMEDIATE`` ... ``COMMIT``; see ``Database.transaction``."""
        async with self._writing:
            writer = self._writer
            if writer is None:
                raise Unavailable("the database is not open")
            session = SQLiteSession(writer)
            try:
                await session.on_thread(lambda c: c.execute("BEGIN IMMEDIATE"))
                yield session
            except BaseException:
                await asyncio.shield(writer.roll_back())
                raise
            await asyncio.shield(writer.submit(_commit))

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
        if self._writer is None:
            raise Unavailable("the database is not open")
        lane = await self._readers.get()
        try:
            lane.connection.execute("BEGIN")  # reads nothing yet: not worth a change of threads
            yield SQLiteSession(lane)
        except BaseException:
            ended = lane.roll_back()  # a statement may still be running there
            ended.add_done_callback(lambda _: self._readers.put_nowait(lane))
            await asyncio.shield(ended)
            raise
        _roll_back(lane.connection)
        self._readers.put_nowait(lane)

    def _lane(self, name: str) -> _Lane:
        lane = _Lane(self._path, f"{name}-{self._path.stem}")
        self._open.append(lane)
        return lane


def _commit(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("COMMIT")
    except sqlite3.Error:
        _roll_back(connection)  # a commit that failed may leave the transaction open
        raise


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
