"""Notes on a real database, with referrals handed in as the log would."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from baton_chassis.clock import FixedClock
from baton_chassis.commands import Outgoing
from baton_chassis.ids import new_id
from baton_chassis.testing.harness import Harness, harness
from baton_contracts import events as contract
from baton_notes.app import DEFINITION

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> FixedClock:
    """Noon on a Monday."""
    return FixedClock(NOON)


@pytest.fixture
async def notes(database_url: str, clock: FixedClock) -> AsyncIterator[Harness]:
    """The service, on SQLite and on PostgreSQL."""
    async with harness(DEFINITION, url=database_url, clock=clock) as running:
        yield running


@pytest.fixture
def told() -> Callable[..., Outgoing]:
    """Makes events that other services publish about a referral."""

    def make(model: type[contract.Event] = contract.ReferralReceived, **said: Any) -> Outgoing:
        common: dict[str, Any] = {
            "referral_id": new_id(),
            "patient_id": new_id(),
            "office_id": new_id(),
            "actor": contract.Actor(kind="client", id="client:pms"),
            "assertion": "pms",
            "occurred_at": NOON,
        }
        if model is contract.ReferralReceived:
            common |= {
                "source": contract.ExternalId(system="urn:example:pms", value="R-1"),
                "office": contract.OfficeIdentity(name="Invented Family Practice"),
                "priority": "routine",
            }
        told = model(**(common | said))
        return Outgoing(
            type=told.type.value,
            topic="referral.events",
            source=told.stream,
            subject=told.entity_id,
            key=told.entity_id,
            data=told.body(),
            occurred_at=told.occurred_at,
        )

    return make
