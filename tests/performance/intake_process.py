"""Intake as its own process, its tables made first; BENCH_LARGEST_BATCH bounds the writer's groups and
BENCH_PROFILE names a file for a profile of the loop's thread.
"""

from __future__ import annotations

import asyncio
import cProfile
import os
import sys

from baton_chassis import migrations
from baton_chassis.foundation import database_url
from baton_chassis.service import Environment, Service
from baton_chassis.serving import main
from baton_contracts.topics import INTAKE
from baton_intake.app import DEFINITION
from baton_intake.app import build as build_intake
from baton_intake.settings import Settings


def build(environment: Environment) -> Service:
    """Intake, with the writer bounded as the bench wants it."""
    service = build_intake(environment)
    largest = os.environ.get("BENCH_LARGEST_BATCH")
    if largest is not None:
        service.writer._largest = int(largest)
    return service


def migrate(settings: Settings) -> None:
    """Make or move the tables."""
    database = database_url(settings) or settings.data_dir / f"{DEFINITION.schema}.sqlite"
    asyncio.run(
        migrations.upgrade(
            database, package=DEFINITION.package, schema=DEFINITION.schema, metadata=DEFINITION.metadata
        )
    )


if __name__ == "__main__":
    given = Settings.read()
    given.data_dir.mkdir(parents=True, exist_ok=True)
    migrate(given)
    profile_file = os.environ.get("BENCH_PROFILE")
    profile = cProfile.Profile() if profile_file else None
    if profile is not None:
        profile.enable()
    try:
        main(build, Settings, name=INTAKE)
    finally:
        if profile is not None and profile_file:
            profile.disable()
            profile.dump_stats(profile_file)
        sys.stdout.flush()
