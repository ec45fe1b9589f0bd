"""Migrations: all or nothing, one process at a time, and equal to the declared tables."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from baton_chassis import migrations
from baton_chassis.database import Instant, Json
from baton_chassis.errors import Unavailable
from baton_chassis.tables import chassis_tables


def shop(*columns: sa.Column[str]) -> sa.MetaData:
    metadata = sa.MetaData()
    chassis_tables(metadata)
    sa.Table(
        "parcel",
        metadata,
        sa.Column("practice_id", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("at", Instant, nullable=False),
        sa.Column("document", Json, nullable=False),
        sa.Column("is_open", sa.Boolean, nullable=False),
        *columns,
        sa.UniqueConstraint("practice_id", "at"),
        sa.Index(
            "parcel_open",
            "practice_id",
            "at",
            sqlite_where=sa.text("is_open"),
            postgresql_where=sa.text("is_open"),
        ),
    )
    return metadata


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A service's package with an empty folder of migrations."""
    name = f"shop_{abs(hash(request.node.nodeid))}"
    folder = tmp_path / "src" / name
    (folder / "migrations").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    return name


@pytest.fixture
def written(package: str) -> str:
    """The package with its first migration."""
    migrations.autogenerate(shop(), package=package, message="First tables")
    return package


async def test_what_was_generated_is_what_was_declared(written: str, database_url: str) -> None:
    metadata = shop()

    revision = await migrations.upgrade(database_url, package=written, schema="shop", metadata=metadata)

    assert (
        revision
        == migrations.head(written)
        == await migrations.current(database_url, schema="shop")
        == "0001"
    )
    assert migrations.drift(metadata, package=written) == []
    assert (
        await migrations.upgrade(database_url, package=written, schema="shop", metadata=metadata) == revision
    )


async def test_a_forgotten_migration_is_seen_and_then_written(written: str, database_url: str) -> None:
    await migrations.upgrade(database_url, package=written, schema="shop")
    wider = shop(sa.Column("color", sa.Text))

    assert migrations.drift(wider, package=written) == [
        "declared, not migrated: parcel.color TEXT null=True default=None"
    ]
    file = migrations.autogenerate(wider, package=written, message="Color")
    await migrations.upgrade(database_url, package=written, schema="shop", metadata=wider)

    assert file.name.startswith("0002")
    assert migrations.drift(wider, package=written) == []
    assert await migrations.current(database_url, schema="shop") == "0002"
    assert migrations.drift(shop(), package=written) == [
        "migrated, not declared: parcel.color TEXT null=True default=None"
    ]


async def test_several_processes_may_start_at_once(written: str, database_url: str) -> None:
    done = await asyncio.gather(
        *(migrations.upgrade(database_url, package=written, schema="shop", metadata=shop()) for _ in range(4))
    )

    assert done == ["0001"] * 4


async def test_a_migration_that_breaks_leaves_nothing_behind(written: str, database_url: str) -> None:
    file = migrations.autogenerate(shop(sa.Column("color", sa.Text)), package=written, message="Color")
    file.write_text(
        file.read_text().replace(
            "def downgrade", "    op.execute('SELECT nothing FROM nowhere')\n\n\ndef downgrade", 1
        )
    )

    with pytest.raises(Unavailable):
        await migrations.upgrade(database_url, package=written, schema="shop")

    assert await migrations.current(database_url, schema="shop") is None
    if database_url.startswith("sqlite"):
        with sqlite3.connect(database_url.removeprefix("sqlite:///")) as connection:
            assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
        connection.close()


@pytest.mark.postgres
async def test_services_share_a_server_but_no_schema(written: str, postgres_database: str) -> None:
    await migrations.upgrade(postgres_database, package=written, schema="shop")
    await migrations.upgrade(postgres_database, package=written, schema="other")

    assert await migrations.current(postgres_database, schema="shop") == "0001"
    assert await migrations.current(postgres_database, schema="third") is None


async def test_an_sqlite_file_is_private(written: str, sqlite_file: Path) -> None:
    await migrations.upgrade(sqlite_file, package=written, schema="shop")

    assert stat.S_IMODE(os.stat(sqlite_file).st_mode) == 0o600


async def test_a_database_that_is_away_is_a_dependency_not_a_defect(written: str) -> None:
    with pytest.raises(Unavailable, match="shop"):
        await migrations.upgrade("postgresql://x:y@127.0.0.1:1/z", package=written, schema="shop")


@pytest.mark.parametrize("schema", ["", "Shop", "a;b", "a-b", "1a"])
async def test_a_schema_is_a_plain_name(written: str, sqlite_file: Path, schema: str) -> None:
    with pytest.raises(ValueError, match="schema"):
        await migrations.upgrade(sqlite_file, package=written, schema=schema)


def test_a_package_without_migrations_has_no_head(package: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        migrations.head(package)


def test_migrations_name_the_types_of_the_chassis(package: str, tmp_path: Path) -> None:
    make: Callable[..., Path] = migrations.autogenerate

    text = make(shop(), package=package, message="First tables").read_text()

    assert "database.Instant()" in text
    assert "database.Json()" in text
    assert str(tmp_path) not in text
