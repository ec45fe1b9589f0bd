"""The tables of the console are those of its migrations."""

from __future__ import annotations

from baton_chassis import migrations
from baton_console.store import METADATA


def test_the_migrations_make_the_declared_tables() -> None:
    assert migrations.drift(METADATA, package="baton_console") == []
