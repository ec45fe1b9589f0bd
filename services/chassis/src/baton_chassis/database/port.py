"""What the chassis needs of a database: short write transactions, snapshot reads, named rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from baton_chassis.database.statements import Statement
from baton_chassis.errors import ChassisError

Row = dict[str, Any]


class RowConflict(ChassisError):
    """A unique key was taken by another row. ``constraint`` names it where the back end tells."""

    def __init__(self, constraint: str = "") -> None:
        super().__init__(f"unique key taken: {constraint}")
        self.constraint = constraint


class OutcomeUnknown(ChassisError):
    """The connection was lost while committing: the write may or may not have happened."""


class Session(Protocol):
    """Statements inside one transaction. Not for sharing between tasks.

    Any method may raise ``Unavailable`` (the back end is away), ``RowConflict`` or ``Contended`` (a
    deadlock or a serialisation failure: roll back and repeat).
    """

    async def fetch(self, statement: Statement, **parameters: Any) -> list[Row]:
        """Rows by column name, converted (aware UTC times, parsed JSON)."""
        ...

    async def run(self, statement: Statement, **parameters: Any) -> int:
        """Run a statement that returns nothing; the number of rows it touched."""
        ...

    async def run_many(self, statement: Statement, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run one statement for every row, in one round trip where the back end can."""
        ...

    async def fetch_many(self, statement: Statement, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """The same, with everything that it returned, in the order of ``rows``."""
        ...


class Database(Protocol):
    """One service's own database."""

    backend: str
    """``sqlite`` or ``postgresql``."""

    async def start(self) -> None:
        """Connect; raises ``Unavailable`` with the remedy."""
        ...

    async def stop(self) -> None:
        """Close all connections; running transactions end first."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Session]:
        """A write transaction: commits when the block ends, rolls back when it raises.

        On SQLite ``BEGIN IMMEDIATE`` on the file's one writer thread, so transactions queue; on PostgreSQL
        READ COMMITTED on a pooled connection. A connection lost at commit raises ``OutcomeUnknown``.
        """
        ...

    async def look(self, statement: Statement, **parameters: Any) -> list[Row]:
        """What one read-only statement of the chassis finds, in a snapshot of its own: a third of the round
        trips of ``reading(None)``.
        """
        ...

    def reading(self, practice_id: str | None) -> AbstractAsyncContextManager[Session]:
        """A read-only snapshot. With a practice, PostgreSQL applies row-level security for it; ``None`` is
        for the chassis's own tables and for workers that serve every practice.
        """
        ...
