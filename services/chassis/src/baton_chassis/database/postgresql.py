"""PostgreSQL through asyncpg: one schema a service, prepared statements, row-level security for reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from baton_chassis.database.port import OutcomeUnknown, Row, RowConflict
from baton_chassis.database.statements import POSTGRESQL, Statement
from baton_chassis.errors import Contended, Unavailable

_GONE = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    ConnectionError,
    OSError,
    TimeoutError,
)
_REPEAT = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.InvalidCachedStatementError)


class PostgreSQLSession:
    """Statements on one asyncpg connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def fetch(self, statement: Statement, **parameters: Any) -> list[Row]:
        """Rows by column name."""
        ready = statement.on(POSTGRESQL)
        with _named_errors():
            rows = await self._connection.fetch(ready.text, *ready.arguments(parameters))
        return [ready.row(tuple(values)) for values in rows]

    async def run(self, statement: Statement, **parameters: Any) -> int:
        """Number of rows touched."""
        ready = statement.on(POSTGRESQL)
        with _named_errors():
            done = await self._connection.execute(ready.text, *ready.arguments(parameters))
        return int(done.rsplit(" ", 1)[-1]) if done[-1:].isdigit() else 0

    async def run_many(self, statement: Statement, rows: Sequence[Mapping[str, Any]]) -> None:
        """The statement once a row, pipelined in one round trip."""
        if not rows:
            return
        ready = statement.on(POSTGRESQL)
        with _named_errors():
            await self._connection.executemany(ready.text, [ready.arguments(row) for row in rows])

    async def fetch_many(self, statement: Statement, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """The statement once a row, pipelined in one round trip; all rows that it returned."""
        if not rows:
            return []
        ready = statement.on(POSTGRESQL)
        with _named_errors():
            found = await self._connection.fetchmany(ready.text, [ready.arguments(row) for row in rows])
        return [ready.row(tuple(values)) for values in found]


class PostgreSQLDatabase:
    """The scaled-out back end. ``dsn`` as libpq writes it; every connection works in ``schema``."""

    backend = "postgresql"

    def __init__(self, dsn: str, *, schema: str, connections: int = 6) -> None:
        self._dsn = dsn
        self._schema = schema
        self._connections = connections
        self._pool: Any = None

    async def start(self) -> None:
        """Open the pool; ``Unavailable`` when the server does not answer."""
        with _named_errors():
            self._pool = await asyncpg.create_pool(
                self._dsn,
                min_size=1,
                max_size=self._connections,
                reset=_keep_session,
                statement_cache_size=1000,
                max_cached_statement_lifetime=0,
                server_settings={
                    "search_path": self._schema,
                    "application_name": self._schema,
                    "timezone": "UTC",
                },
                timeout=10,
                command_timeout=60,
            )

    async def stop(self) -> None:
        """Close the pool."""
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgreSQLSession]:
        """READ COMMITTED on a pooled connection; see ``Database.transaction``."""
        async with self._connection() as connection:
            transaction = connection.transaction()
            with _named_errors():
                await transaction.start()
            try:
                yield PostgreSQLSession(connection)
            except BaseException:
                await _roll_back(transaction)
                raise
            try:
                await transaction.commit()
            except _GONE as error:
                raise OutcomeUnknown("the connection was lost while committing") from error

    async def look(self, statement: Statement, **parameters: Any) -> list[Row]:
        """One statement outside a transaction: one round trip instead of three."""
        async with self._connection() as connection:
            return await PostgreSQLSession(connection).fetch(statement, **parameters)

    @asynccontextmanager
    async def reading(self, practice_id: str | None) -> AsyncIterator[PostgreSQLSession]:
        """A repeatable-read snapshot; with a practice under the reader role, whose rows the policies
        filter.
        """
        async with self._connection() as connection:
            transaction = connection.transaction(isolation="repeatable_read", readonly=True)
            with _named_errors():
                await transaction.start()
            try:
                if practice_id is not None:
                    with _named_errors():
                        await connection.execute(_AS_PRACTICE, practice_id, f"{self._schema}_reader")
                yield PostgreSQLSession(connection)
            finally:
                await _roll_back(transaction)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        if self._pool is None:
            raise Unavailable("the database is not open")
        with _named_errors():
            async with asyncio.timeout(10):  # the pool's own timeout makes a task of every call
                connection = await self._pool.acquire()
        try:
            yield connection
        finally:
            await self._pool.release(connection, timeout=5)


_AS_PRACTICE = "SELECT set_config('app.practice', $1, true), set_config('role', $2, true)"


async def _keep_session(connection: Any) -> None:
    """Nothing to reset: every setting here is local to its transaction."""


async def _roll_back(transaction: Any) -> None:
    try:
        await transaction.rollback()
    except _GONE:
        return


class _named_errors:
    """Driver errors by our own names."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        if isinstance(error, asyncpg.UniqueViolationError):
            raise RowConflict(str(error.constraint_name or "")) from error
        if isinstance(error, _REPEAT):
            raise Contended("the database asked to repeat the transaction") from error
        if isinstance(error, asyncpg.DiskFullError | asyncpg.OutOfMemoryError):
            raise Unavailable("the database has no room") from error
        if isinstance(error, _GONE) and not isinstance(
            error, ValueError
        ):  # a ValueError is our own bad argument
            raise Unavailable("the database does not answer") from error
