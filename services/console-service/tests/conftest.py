"""What the console's tests share: the service on a database of its own, and events of invented referrals."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from baton_chassis.clock import FixedClock
from baton_chassis.commands import Outgoing
from baton_chassis.service import ServiceDefinition
from baton_chassis.testing.harness import Harness, harness
from baton_console import rest, store, stream
from baton_console.queries import Queries
from baton_contracts.topics import REFERRAL_EVENTS

NOW = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
Tell = Callable[..., Outgoing]


@pytest.fixture
def clock() -> FixedClock:
    """Stands still."""
    return FixedClock(NOW)


@pytest.fixture
async def console(database_url: str, clock: FixedClock) -> AsyncIterator[Harness]:
    """The console with its doors, no loops, on each back end."""
    listeners = rest.Listeners()
    definition = ServiceDefinition(
        name=stream.CONSOLE,
        package="baton_console",
        schema="console",
        metadata=store.METADATA,
        tables=store.TABLES,
        repositories=store.REPOSITORIES,
        commands={},
        subscriptions=(stream.SUBSCRIPTION,),
        routes=lambda service: [rest.routes(Queries(service.reader), listeners)],
    )
    async with harness(definition, url=database_url, clock=clock) as service:
        service.service.writer.on_commit.append(lambda sets: listeners.knock())
        yield service


@pytest.fixture
def tell() -> Tell:
    """Makes one event about a referral, some ``minutes`` after the clock's time."""

    def told(
        referral_id: str, type_: str, line: str = "request", *, minutes: int = 0, **data: Any
    ) -> Outgoing:
        at = NOW + timedelta(minutes=minutes)
        common = {
            "referral_id": referral_id,
            "actor": {"kind": "staff", "id": "user:1"},
            "assertion": "human",
        }
        return Outgoing(
            type=type_,
            topic=REFERRAL_EVENTS,
            source=f"/referrals/{referral_id}/{line}",
            subject=referral_id,
            key=referral_id,
            data={**common, "occurred_at": at.isoformat(), **data},
            occurred_at=at,
        )

    return told
