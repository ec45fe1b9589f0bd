"""A canary in every field of the patient, and every place where it must not sing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from baton_chassis.content import Content
from baton_chassis.testing.harness import Harness
from baton_contracts.events import EVENTS, validate_produced
from baton_intake.published import PATIENT_CARD

Json = dict[str, Any]
CANARY = "Kanarienvogel"


@pytest.fixture
def canary_body(referral_body: Json) -> Json:
    """A referral whose every word about the patient can be recognised."""
    referral_body["patient"] = {
        "identifiers": [{"system": "urn:example:mrn", "value": f"{CANARY}-1"}],
        "name": {"family": CANARY, "given": [CANARY]},
        "birth_date": "1911-11-11",
        "gender": "female",
        "telecom": [
            {"system": "phone", "value": "+1 (404) 555-9911"},
            {"system": "email", "value": f"{CANARY}@example.com"},
        ],
        "address": {
            "lines": [CANARY],
            "city": CANARY,
            "state": CANARY,
            "postal_code": "99119",
            "country": CANARY,
        },
    }
    referral_body["reason_text"] = referral_body["question"] = f"About {CANARY}"
    referral_body["coverage"] = [{"payer": {"name": "Example Payer"}, "member_id": CANARY, "plan": CANARY}]
    return referral_body


def sings(text: str | bytes) -> bool:
    plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return re.search(f"{CANARY}|1911-11-11|555.?9911|99119", plain, re.IGNORECASE) is not None


async def test_no_event_log_line_address_or_row_holds_a_word_about_the_patient(
    intake: Harness, canary_body: Json, capfd: pytest.CaptureFixture[str]
) -> None:
    async with intake.client() as client:
        answer = await client.post("/v1/referrals", json=canary_body)
        id = answer.json()["id"]
        await client.post(
            f"/v1/referrals/{id}/decline", json={"reason": "other", "text": f"Words on {CANARY}"}
        )
        found = await client.post("/v1/referrals/search", json={"family": CANARY})
        wrong = await client.post("/v1/referrals", json=canary_body | {CANARY: CANARY})

    assert found.json()["items"][0]["id"] == id
    assert sings(answer.text)
    assert not sings(str(answer.headers) + str(answer.url))
    assert not sings(wrong.text)
    for envelope in await intake.published():
        assert not sings(envelope.to_bytes())
    for table in intake.service.definition.metadata.sorted_tables:
        for row in await intake.rows(table):
            assert not any(sings(value if isinstance(value, bytes) else str(value)) for value in row.values())
    captured = capfd.readouterr()
    assert not sings(captured.out + captured.err)


async def test_every_event_fits_its_contract(intake: Harness, referral_body: Json) -> None:
    async with intake.client() as client:
        first = (await client.post("/v1/referrals", json=referral_body)).json()["id"]
        await client.post(f"/v1/referrals/{first}/accept", json={})
        await client.post(f"/v1/referrals/{first}/decline", json={"reason": "no_capacity"})

    events = await intake.published()
    assert [event.number for event in events] == [1, 2, 3]
    for event in events:
        assert type(validate_produced(event.type, event.data)) is EVENTS[event.type]  # type: ignore[index]
        assert event.data["assertion"] == "human"


async def test_the_received_event_tells_who_the_office_is_and_how_it_is_reached(
    intake: Harness, referral_body: Json
) -> None:
    async with intake.client() as client:
        shown = (await client.post("/v1/referrals", json=referral_body)).json()

    (event,) = await intake.published()
    assert event.subject == event.partitionkey == shown["id"]
    assert event.data["office_id"] == shown["office_id"]
    assert event.data["office"]["telecom"] == [{"system": "email", "value": "desk@office.example"}]
    assert event.data["office_reference"] == "THEIR-77"
    assert event.data["source"] == {"system": "urn:example:pms", "value": "R-1001"}
    assert event.data["authored_at"] == "2026-11-20T14:00:00.000000Z"


async def test_the_patient_card_is_what_the_event_promised(intake: Harness, referral_body: Json) -> None:
    async with intake.client() as client:
        await client.post("/v1/referrals", json=referral_body)
    (event,) = await intake.published()
    promised = event.data["dataref"]
    cards = intake.service.contents[PATIENT_CARD]

    card = await cards.read("p1", PATIENT_CARD, promised["id"], promised["version"])

    assert isinstance(card, Content)
    assert card.sha256 == promised["sha256"]
    told = json.loads(card.body)
    assert (told["name"], told["birth_date"], told["sex"]) == (
        {"family": "Testperson", "given": ["Ada"]},
        "1970-01-01",
        "female",
    )
    assert told["record_numbers"] == [{"system": "urn:example:mrn", "value": "MRN-4711"}]
    assert await cards.read("p2", PATIENT_CARD, promised["id"], 1) is None
    assert await cards.read("p1", PATIENT_CARD, promised["id"], 2) is None


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_the_database_file_holds_nothing_to_read(
    intake: Harness, canary_body: Json, database_url: str
) -> None:
    async with intake.client() as client:
        await client.post("/v1/referrals", json=canary_body)

    file = Path(database_url.removeprefix("sqlite:///"))
    for path in file.parent.glob(f"{file.name}*"):
        assert not sings(path.read_bytes())
