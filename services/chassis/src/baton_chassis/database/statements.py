"""A statement is declared once with SQLAlchemy, compiled once for each back end, and run prepared by the
raw driver.

No ORM session stands on a write path: it costs 25 to 40 times the client CPU of the prepared statement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import asyncpg as postgresql_asyncpg
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import SelectBase

POSTGRESQL: Dialect = postgresql_asyncpg.dialect()  # type: ignore[no-untyped-call]
SQLITE: Dialect = sqlite.dialect(paramstyle="qmark")

Convert = Callable[[Any], Any] | None


@dataclass(frozen=True, slots=True)
class Compiled:
    """One statement for one back end: its text, the order and conversion of parameters, the columns it
    returns.
    """

    text: str
    names: tuple[str, ...]
    binders: tuple[Convert, ...]
    columns: tuple[str, ...]
    readers: tuple[Convert, ...]
    defaults: Mapping[str, Any]

    def arguments(self, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
        """The values in the driver's order and form. ``KeyError`` names a missing parameter."""
        values = []
        for name, bind in zip(self.names, self.binders, strict=True):
            value = parameters[name] if name in parameters else self.defaults[name]
            values.append(bind(value) if bind is not None else value)
        return tuple(values)

    def row(self, values: Sequence[Any]) -> dict[str, Any]:
        """One returned row by column name."""
        return {
            name: (read(value) if read is not None and value is not None else value)
            for name, read, value in zip(self.columns, self.readers, values, strict=True)
        }


class Statement:
    """A statement for both back ends; give one clause, or one each where the dialects differ."""

    __slots__ = ("_clauses", "_compiled")

    def __init__(self, clause: Executable, *, on_sqlite: Executable | None = None) -> None:
        self._clauses = {"postgresql": clause, "sqlite": on_sqlite if on_sqlite is not None else clause}
        self._compiled: dict[str, Compiled] = {}

    def on(self, dialect: Dialect) -> Compiled:
        """The statement compiled for ``dialect`` (once)."""
        ready = self._compiled.get(dialect.name)
        if ready is None:
            ready = self._compiled[dialect.name] = _compile(self._clauses[dialect.name], dialect)
        return ready


def _compile(clause: Executable, dialect: Dialect) -> Compiled:
    compiler = clause.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})  # type: ignore[attr-defined]
    assert isinstance(compiler, SQLCompiler)
    names = tuple(compiler.positiontup or ())
    binders = tuple(compiler.binds[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names)
    defaults = {name: bind.value for name, bind in compiler.binds.items() if not bind.required}
    returned = _returned(clause)
    readers = tuple(column.type.dialect_impl(dialect).result_processor(dialect, None) for column in returned)
    return Compiled(
        text=str(compiler),
        names=names,
        binders=binders,
        columns=tuple(column.name for column in returned),
        readers=readers,
        defaults=defaults,
    )


def _returned(clause: Executable) -> Sequence[Any]:
    if isinstance(clause, SelectBase):
        return list(clause.selected_columns)
    if isinstance(clause, UpdateBase):
        return list((clause._returning and clause.exported_columns) or ())
    return ()


def insert_ignoring(table: Table, *, returning: Sequence[Any] = ()) -> Statement:
    """Insert a whole row; a row whose unique key exists is left alone and is not returned."""

    def clause(module: Any) -> Executable:
        made = module.insert(table).values({c.name: bindparam(c.name, type_=c.type) for c in _written(table)})
        made = made.on_conflict_do_nothing()
        return made.returning(*returning) if returning else made  # type: ignore[no-any-return]

    return Statement(clause(postgresql), on_sqlite=clause(sqlite))


def upsert(table: Table) -> Statement:
    """Insert a whole row or overwrite the one of the same primary key."""

    def clause(module: Any) -> Executable:
        made = module.insert(table).values({c.name: bindparam(c.name, type_=c.type) for c in _written(table)})
        keys = [c.name for c in table.primary_key.columns]
        rest = {c.name: made.excluded[c.name] for c in _written(table) if c.name not in keys}
        if not rest:
            return made.on_conflict_do_nothing()  # type: ignore[no-any-return]
        return made.on_conflict_do_update(index_elements=keys, set_=rest)  # type: ignore[no-any-return]

    return Statement(clause(postgresql), on_sqlite=clause(sqlite))


def insert_row(table: Table) -> Statement:
    """Insert a whole row; a taken key raises ``RowConflict``."""
    return Statement(
        table.insert().values({c.name: bindparam(c.name, type_=c.type) for c in _written(table)})
    )


def _written(table: Table) -> list[Any]:
    return [
        column for column in table.columns if column.identity is None and column.info.get("numbered") is None
    ]
