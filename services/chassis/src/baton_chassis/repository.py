"""How an aggregate becomes a row and back; the chassis adds practice, id, version, seals and tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import Table, bindparam, select, update
from sqlmodel import SQLModel

from baton_chassis.commands import Outgoing
from baton_chassis.database import Row, Statement, among
from baton_chassis.database.columns import SEALED, TOKEN
from baton_chassis.database.statements import insert_ignoring
from baton_chassis.errors import Busy
from baton_chassis.sealing import PracticeKey


class Aggregate(Protocol):
    """What handlers load, ask and save. ``version`` is 0 before the first save; ``events`` holds what it
    recorded since it was loaded (the chassis publishes and empties it on save).
    """

    id: str
    version: int
    events: list[Any]


A = TypeVar("A", bound=Aggregate)


def _publishes_nothing(event: Any, aggregate: Any) -> Outgoing | None:
    raise LookupError(f"no published form is declared for {type(event).__name__}")


@dataclass(frozen=True)
class Repository(Generic[A]):
    """The storage of one aggregate.

    ``table`` is a SQLModel table with the key (``practice_id``, ``id``), ``version``, ``doc_version`` and
    the service's columns. ``to_row`` gives the service's columns only; a ``sealed`` column takes plain
    bytes, a ``token`` column takes the plain text to be searched for (or None). ``from_row`` gets the
    opened row (token columns as stored). ``publish`` turns one recorded event into its contract form, or
    None for an event that stays inside. Rows of a newer ``doc_version`` than ours answer ``Busy``: an older
    process must not rewrite them.
    """

    aggregate: type[A]
    model: type[SQLModel]
    to_row: Callable[[A], Mapping[str, Any]]
    from_row: Callable[[Row], A]
    publish: Callable[[Any, A], Outgoing | None] = _publishes_nothing
    doc_version: int = 1
    statements: dict[Any, Statement] = field(default_factory=dict, repr=False, compare=False)

    @property
    def table(self) -> Table:
        """The table behind the model."""
        return self.model.__table__  # type: ignore[attr-defined,no-any-return]

    @property
    def name(self) -> str:
        """The table's name; part of what a sealed value is bound to."""
        return self.table.name

    def by_id(self) -> Statement:
        """Select one row by (practice_id, id)."""
        return self._declared(
            "by_id",
            lambda t: select(t).where(t.c.practice_id == bindparam("practice_id"), t.c.id == bindparam("id")),
        )

    def where_equal(self, columns: tuple[str, ...]) -> Statement:
        """Select the practice's rows where each named column equals its parameter, in no order.

        Not ordered by id on purpose: to save the sort, planners then walk the practice's whole primary key
        past a good index.
        """

        def clause(t: Table) -> Any:
            conditions = [t.c[name] == bindparam(name, type_=t.c[name].type) for name in columns]
            return select(t).where(t.c.practice_id == bindparam("practice_id"), *conditions)

        return self._declared(("where", columns), clause)

    def page(self, columns: tuple[str, ...]) -> Statement:
        """Select the practice's rows behind ``after_id`` where each named column equals its parameter, oldest
        id first, ``limit`` of them.
        """

        def clause(t: Table) -> Any:
            conditions = [t.c[name] == bindparam(name, type_=t.c[name].type) for name in columns]
            behind = t.c.id > bindparam("after_id", type_=t.c.id.type)
            mine = t.c.practice_id == bindparam("practice_id")
            return select(t).where(mine, behind, *conditions).order_by(t.c.id).limit(bindparam("limit"))

        return self._declared(("page", columns), clause)

    def versions(self) -> Statement:
        """Lock the practice's rows among ``ids`` in id order; gives id and version."""
        return self._declared(
            "versions",
            lambda t: (
                select(t.c.id, t.c.version)
                .where(t.c.practice_id == bindparam("practice_id"), among(t.c.id, "ids"))
                .order_by(t.c.id)
                .with_for_update()
            ),
        )

    def insert(self) -> Statement:
        """Insert a new row, leaving an existing one alone; returns the id of the row that was written."""
        key = "insert"
        if key not in self.statements:
            self.statements[key] = insert_ignoring(self.table, returning=[self.table.c.id])
        return self.statements[key]

    def overwrite(self) -> Statement:
        """Write all columns of an existing row."""

        def clause(t: Table) -> Any:
            values = {
                c.name: bindparam(c.name, type_=c.type)
                for c in t.columns
                if c.name not in ("practice_id", "id")
            }
            return (
                update(t)
                .where(t.c.practice_id == bindparam("key_practice"), t.c.id == bindparam("key_id"))
                .values(values)
            )

        return self._declared("overwrite", clause)

    def row_of(self, aggregate: A, *, practice_id: str, key: PracticeKey) -> Row:
        """The whole row to store: sealed, tokenised, with key and version."""
        row: Row = {
            "practice_id": practice_id,
            "id": aggregate.id,
            "version": aggregate.version,
            "doc_version": self.doc_version,
        }
        plain = self.to_row(aggregate)
        for column in self.table.columns:
            if column.name in row:
                continue
            row[column.name] = _stored(column, plain[column.name], key=key, table=self.name, row=aggregate.id)
        row["key_practice"], row["key_id"] = practice_id, aggregate.id
        return row

    def aggregate_of(self, row: Row, *, key: PracticeKey) -> A:
        """The aggregate of a stored row. ``Busy`` when a newer version of the code wrote it."""
        if row["doc_version"] > self.doc_version:
            raise Busy("this row was written by a newer version of the service")
        opened = dict(row)
        for column in self.table.columns:
            if column.info.get(SEALED) and row[column.name] is not None:
                opened[column.name] = key.open(
                    row[column.name], table=self.name, column=column.name, row=row["id"]
                )
        aggregate = self.from_row(opened)
        aggregate.version = row["version"]
        return aggregate

    def _declared(self, key: Any, clause: Callable[[Table], Any]) -> Statement:
        if key not in self.statements:
            self.statements[key] = Statement(clause(self.table))
        return self.statements[key]


def _stored(column: Any, value: Any, *, key: PracticeKey, table: str, row: str) -> Any:
    if value is None:
        return None
    if column.info.get(SEALED):
        return key.seal(value, table=table, column=column.name, row=row)
    if column.info.get(TOKEN):
        return key.token(column.info[TOKEN], value)
    return value
