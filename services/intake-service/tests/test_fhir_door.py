"""A FHIR message comes in, is kept as it came, and becomes a referral."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from baton_chassis.testing.harness import Harness

Json = dict[str, Any]
BSER = (
    Path(__file__).parents[3] / ".." / "shared" / "data" / "fhir-bser" / "json-compiled"
    / "Bundle-bundle-bser-referral-message-bundle-eve-everywoman.json"
)  # fmt: skip
DOOR = "/fhir/R4/$process-message"
FHIR = {"content-type": "application/fhir+json"}


@pytest.fixture
def bser() -> bytes:
    """The published message Bundle, read in place."""
    if not BSER.exists():
        pytest.skip("the BSeR example is not here: ../shared/data/fhir-bser")
    return BSER.read_bytes()


async def test_the_published_bser_message_becomes_a_referral(intake: Harness, bser: bytes) -> None:
    async with intake.client() as client:
        answer = await client.post(DOOR, content=bser, headers=FHIR)

        assert answer.status_code == 200, answer.text
        header, task = (entry["resource"] for entry in answer.json()["entry"][:2])
        assert header["response"]["identifier"] == "messageheader-bser-referral-messageheader"
        assert header["response"]["code"] == "ok"
        referral = (await client.get(f"/v1/referrals/{task['id']}")).json()
        assert referral["patient"]["name"] == {"family": "Everywoman", "given": ["Eve", "L"]}
