"""What intake's tests share: the service on a database of its own, and requests of invented people."""

from __future__ import annotations

from collections.abc import AsyncIterator
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from baton_chassis.clock import FixedClock
from baton_chassis.testing.harness import Harness, harness
from baton_intake.app import DEFINITION

NOW = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)

REFERRAL: dict[str, Any] = {
    "source": {"system": "urn:example:pms", "id": "R-1001"},
    "priority": "urgent",
    "specialty": {
        "system": "http://nucc.org/provider-taxonomy",
        "code": "207RC0000X",
        "display": "Cardiology",
    },
    "reasons": [
        {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "I25.10", "display": "Heart disease"}
    ],
    "reason_text": "Chest pain on stairs",
    "question": "Is stress testing needed before surgery?",
    "requested_disposition": "return_patient",
    "patient": {
        "identifiers": [{"system": "urn:example:mrn", "value": "MRN-4711"}],
        "name": {"family": "Testperson", "given": ["Ada"]},
        "birth_date": "1970-01-01",
        "gender": "female",
        "telecom": [{"system": "phone", "value": "+1 (404) 555-0142", "use": "mobile"}],
        "address": {
            "lines": ["1 Invented Way"],
            "city": "Nowhere",
            "state": "GA",
            "postal_code": "30302",
            "country": "US",
        },
    },
    "referrer": {
        "office": {
            "name": "Example Family Practice",
            "identifiers": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}],
            "telecom": [{"system": "email", "value": "desk@office.example"}],
        },
        "clinician": {"npi": "1234567893", "name": {"family": "Referrer", "given": ["Rita"]}},
        "reference": "THEIR-77",
    },
    "coverage": [{"payer": {"name": "Example Payer"}, "member_id": "MEMBER-9", "plan": "Gold"}],
    "authored_at": "2026-11-20T09:00:00-05:00",
    "expires_at": None,
}


@pytest.fixture
def clock() -> FixedClock:
    """Stands still."""
    return FixedClock(NOW)


@pytest.fixture
async def intake(database_url: str, clock: FixedClock) -> AsyncIterator[Harness]:
    """Intake with its doors and handlers, no loops, on each back end."""
    async with harness(DEFINITION, url=database_url, clock=clock) as service:
        yield service


@pytest.fixture
def referral_body() -> dict[str, Any]:
    """A referral as a practice system sends it; change it at will."""
    return deepcopy(REFERRAL)
