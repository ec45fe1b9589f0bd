"""The schema of a service's database, brought up to date under a lock, as a step of its own before anything
serves.

Every service keeps plain Alembic revision files in ``baton_x/migrations``; how they are run stands here once.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from baton_chassis.database.security import row_level_security
from baton_chassis.errors import Unavailable

_SCHEMA = re.compile(r"[a-z][a-z_]{0,40}")
_WAIT_SECONDS = 120


async def upgrade(
    database: str | Path, *, package: str, schema: str, metadata: MetaData | None = None
) -> str:
    """Bring the tables of ``package`` to its newest revision; returns that revision. Safe to repeat and to
    race.

    ``database`` is the path of an SQLite file (made when missing) or a ``postgresql://`` URL, where the
    tables and the version table lie in ``schema`` (made when missing). All of it is one transaction under a
    lock, so a failed migration changes nothing. With ``metadata``, PostgreSQL also gets its row-level
    security anew. Raises ``Unavailable`` when the database does not answer.
    """
    if not _SCHEMA.fullmatch(schema):
        raise ValueError("a schema is named in small letters")
    config, file = _config(package), _file(database)
    try:
        if file is not None:
            await asyncio.to_thread(_upgrade_sqlite, file, config)
        else:
            await _upgrade_postgresql(str(database), config, schema=schema, metadata=metadata)
    except (OSError, DBAPIError, asyncpg.PostgresError) as error:
        raise Unavailable(f"the database of {schema} cannot be migrated: {type(error).__name__}") from error
    return head(package)


def head(package: str) -> str:
    """The newest revision that ``package`` knows; raises ``ValueError`` when there is none, or more than
    one."""
    heads = ScriptDirectory.from_config(_config(package)).get_heads()
    if len(heads) != 1:
        raise ValueError(f"{package} has {len(heads)} newest revisions; it needs exactly one")
    return heads[0]


def autogenerate(metadata: MetaData, *, package: str, message: str) -> Path:
    """Write the revision that leads from the newest one to ``metadata``; returns its file, to be read and
    kept."""
    config = _config(package)
    revision = f"{len(list(ScriptDirectory.from_config(config).walk_revisions())) + 1:04d}"
    with tempfile.TemporaryDirectory() as folder, _sqlite(Path(folder) / "present.sqlite") as connection:
        config.attributes.update(connection=connection, metadata=metadata)
        command.upgrade(config, "head")
        written = command.revision(config, message=message, autogenerate=True, rev_id=revision)
    if written is None or isinstance(written, list):
        raise ValueError("Alembic wrote no single revision")
    return Path(written.path)


def drift(metadata: MetaData, *, package: str) -> list[str]:
    """Where the migrations of ``package`` and ``metadata`` differ, one line each; empty when they are equal.

    Both are built on fresh SQLite files and looked at as the database reports them.
    """
    with tempfile.TemporaryDirectory() as folder:
        with _sqlite(Path(folder) / "migrated.sqlite") as migrated:
            config = _config(package)
            config.attributes["connection"] = migrated
            command.upgrade(config, "head")
            found = _described(migrated)
        with _sqlite(Path(folder) / "declared.sqlite") as declared:
            metadata.create_all(declared)
            wanted = _described(declared)
    missing = [f"declared, not migrated: {line}" for line in sorted(wanted - found)]
    return missing + [f"migrated, not declared: {line}" for line in sorted(found - wanted)]


async def current(database: str | Path, *, schema: str) -> str | None:
    """The revision that the database is at; None before the first migration. Raises as ``upgrade`` does."""
    file = _file(database)
    try:
        if file is not None:
            return await asyncio.to_thread(_current_sqlite, file)
        return await _current_postgresql(str(database), schema)
    except (OSError, DBAPIError, asyncpg.PostgresError) as error:
        raise Unavailable(f"the database of {schema} does not answer: {type(error).__name__}") from error


def _config(package: str) -> Config:
    config = Config()
    config.set_main_option("script_location", _option(files("baton_chassis") / "alembic_environment"))
    config.set_main_option("version_locations", _option(files(package) / "migrations"))
    config.set_main_option("path_separator", "newline")
    return config


def _file(database: str | Path) -> Path | None:
    if isinstance(database, Path):
        return database
    return Path(database.removeprefix("sqlite:///")) if database.startswith("sqlite:///") else None


def _option(path: Any) -> str:
    return str(path).replace("%", "%%")


def _upgrade_sqlite(path: Path, config: Config) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _sqlite(path) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    path.chmod(0o600)


@contextmanager
def _sqlite(path: Path) -> Iterator[Connection]:
    """A connection whose one transaction holds the file's write lock from its first moment; commits at the
    end."""
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, connect_args={"timeout": _WAIT_SECONDS})
    event.listen(engine, "connect", _manual_transactions)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _manual_transactions(dbapi_connection: Any, _record: Any) -> None:
    dbapi_connection.isolation_level = (
        None  # else the driver commits before the first DDL, as Python 3.11 does
    )


def _current_sqlite(path: Path) -> str | None:
    if not path.exists():
        return None
    with _sqlite(path) as connection:
        return _revision_of(connection)


async def _upgrade_postgresql(url: str, config: Config, *, schema: str, metadata: MetaData | None) -> None:
    engine = _postgresql(url, schema)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _lock_of(schema)})
            await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
            await connection.run_sync(_run, config)
            for statement in row_level_security(metadata, schema=schema) if metadata is not None else ():
                await connection.exec_driver_sql(statement)
    finally:
        await engine.dispose()


async def _current_postgresql(url: str, schema: str) -> str | None:
    engine = _postgresql(url, schema)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_revision_of)
    finally:
        await engine.dispose()


def _postgresql(url: str, schema: str) -> AsyncEngine:
    address = url.replace("postgresql://", "postgresql+asyncpg://", 1)
    settings = {"search_path": schema, "application_name": f"{schema}-migrate"}
    return create_async_engine(address, poolclass=NullPool, connect_args={"server_settings": settings})


def _run(connection: Connection, config: Config) -> None:
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _lock_of(schema: str) -> int:
    return int.from_bytes(hashlib.sha256(f"migrate {schema}".encode()).digest()[:7], "big")


def _revision_of(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _described(connection: Connection) -> set[str]:
    """Every table, column, key and index as one line each, free of names that nobody chose."""
    found: set[str] = set()
    look = inspect(connection)
    for table in look.get_table_names():
        if table == "alembic_version":
            continue
        found.add(table)
        found |= {f"{table}.{_column(column)}" for column in look.get_columns(table)}
        found.add(f"{table}: primary key {look.get_pk_constraint(table)['constrained_columns']}")
        found |= {f"{table}: unique {one['column_names']}" for one in look.get_unique_constraints(table)}
        found |= {f"{table}: check {one['sqltext']}" for one in look.get_check_constraints(table)}
        found |= {f"{table}: refers {_reference(one)}" for one in look.get_foreign_keys(table)}
        found |= {f"{table}: index {_index(one)}" for one in look.get_indexes(table)}
    return found


def _column(column: Any) -> str:
    return f"{column['name']} {column['type']} null={column['nullable']} default={column['default']}"


def _reference(key: Any) -> str:
    return f"{key['constrained_columns']} {key['referred_table']} {key['referred_columns']} {key['options']}"


def _index(index: Any) -> str:
    where = {name: str(value) for name, value in index.get("dialect_options", {}).items()}
    columns: Sequence[Any] = index.get("expressions") or index["column_names"]
    return f"{index['name']} {list(columns)} unique={bool(index['unique'])} {where}"
