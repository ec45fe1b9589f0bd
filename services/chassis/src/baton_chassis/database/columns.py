"""Column types and markers that mean the same on PostgreSQL and SQLite."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ARRAY, JSON, BigInteger, Column, Integer, LargeBinary, Text, TypeDecorator, bindparam
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import BindParameter
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Boolean, TypeEngine


class Instant(TypeDecorator[datetime]):
    """A moment, aware, UTC: ``timestamptz`` on PostgreSQL, fixed-width ISO text on SQLite (so that it sorts).

    Refuses naive times with ``ValueError``.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Pick the column type of the back end."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """To the driver's form."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time must know its zone")
        moment = value.astimezone(UTC)
        if dialect.name == "postgresql":
            return moment
        return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """From the driver's form, always UTC."""
        if value is None:
            return None
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return moment.astimezone(UTC)


class Json(TypeDecorator[Any]):
    """A plain JSON document: ``jsonb`` on PostgreSQL, text on SQLite. Never for patient identity (see
    ``sealed``).
    """

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Pick the column type of the back end."""
        return dialect.type_descriptor(JSONB() if dialect.name == "postgresql" else JSON())

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """From the driver's form: asyncpg without a codec hands JSON over as text."""
        return json.loads(value) if dialect.name == "postgresql" and isinstance(value, str) else value


class _Members(TypeDecorator[Any]):
    """A list parameter: an array on PostgreSQL, a JSON array in text on SQLite."""

    impl = Text
    cache_ok = True

    def __init__(self, member: TypeEngine[Any]) -> None:
        super().__init__()
        self._member = member

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(ARRAY(self._member))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return list(value) if dialect.name == "postgresql" else json.dumps(list(value))


class _Among(ColumnElement[bool]):
    """``column`` is one of the values bound as a list: one statement text whatever the length."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, column: ColumnElement[Any], members: BindParameter[Any]) -> None:
        self.column = column
        self.members = members


@compiles(_Among, "postgresql")
def _among_postgresql(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column = compiler.process(element.column, **options)
    return f"{column} = ANY ({compiler.process(element.members, **options)})"


@compiles(_Among, "sqlite")
def _among_sqlite(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column = compiler.process(element.column, **options)
    return f"{column} IN (SELECT value FROM json_each({compiler.process(element.members, **options)}))"  # noqa: S608 - names of our own columns


def among(column: Any, parameter: str) -> ColumnElement[bool]:
    """A condition: ``column`` (text or whole number) is among the list bound as ``parameter``."""
    member = BigInteger() if isinstance(column.type, Integer) else Text()
    return _Among(column, bindparam(parameter, type_=_Members(member)))


class database_now(FunctionElement[datetime]):
    """The database's own clock, plus ``seconds``: leases must not depend on the clocks of their holders."""

    type = Instant()
    inherit_cache = False

    def __init__(self, seconds: int = 0) -> None:
        self.seconds = seconds
        super().__init__()


@compiles(database_now, "postgresql")
def _now_postgresql(element: database_now, compiler: SQLCompiler, **options: Any) -> str:
    return f"(clock_timestamp() + interval '{int(element.seconds)} seconds')"


@compiles(database_now, "sqlite")
def _now_sqlite(element: database_now, compiler: SQLCompiler, **options: Any) -> str:
    return f"(strftime('%Y-%m-%dT%H:%M:%f', 'now', '{int(element.seconds):+d} seconds') || '000Z')"


SEALED = "sealed"
TOKEN = "token"  # noqa: S105 - the name of a column marker


def sealed(name: str, *, nullable: bool = True) -> Column[bytes]:
    """A column whose bytes are encrypted at rest: repositories write and read the plain bytes, the chassis
    seals them.
    """
    return Column(name, LargeBinary, nullable=nullable, info={SEALED: True})


def token(name: str, *, kind: str, nullable: bool = True, index: bool = True) -> Column[bytes]:
    """A search token: repositories write the plain text, the chassis stores its per-practice HMAC of that
    ``kind``.
    """
    return Column(name, LargeBinary, nullable=nullable, index=index, info={TOKEN: kind})
