"""Notes at the door and through the stream: signed, delivered, acknowledged; care returns only with proof."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from baton_chassis.clock import FixedClock
from baton_chassis.commands import Outgoing
from baton_chassis.ids import new_id
from baton_chassis.signals import Signal
from baton_chassis.testing.harness import Harness
from baton_chassis.timers import Timers
from baton_contracts import events as contract

Make = Callable[..., Outgoing]


def _note(referral: dict[str, Any], **said: Any) -> dict[str, Any]:
    return {
        "referral": referral,
        "kind": "final",
        "signed": {"by": "Grace Example, MD", "at": "2026-03-02T06:59:00-05:00"},
        "content": {"media_type": "text/plain", "text": "No further testing is needed."},
        "answer": "No.",
        "disposition": "care_returned",
    } | said


async def _signed(notes: Harness, told: Make, **said: Any) -> tuple[str, dict[str, Any]]:
    """A referral with a signed note; gives the referral's id and the note."""
    received = told()
    await notes.deliver(received)
    async with notes.client() as client:
        answer = await client.post("/v1/notes", json=_note({"id": received.subject}, **said))
    assert answer.status_code == 201, answer.text
    note: dict[str, Any] = answer.json()
    return received.subject, note


def _delivery(told: Make, model: Any, referral_id: str, note: dict[str, Any], **said: Any) -> Outgoing:
    document = note["document"]
    return told(
        model,
        **{
            "referral_id": referral_id,
            "delivery_id": new_id(),
            "kind": "document",
            "channel": "page",
            "role": "referrer",
            "assertion": "human",
            "document": contract.DocumentVersion(
                id=note["id"], version=document["version"], sha256=document["sha256"]
            ),
        }
        | said,
    )


async def _types(notes: Harness) -> list[str]:
    return [event.type for event in await notes.published()]


async def _fire(notes: Harness) -> None:
    service = notes.service

    async def caught_up(key: str) -> bool:
        return True

    timers = Timers(
        database=service.database, tables=service.definition.tables, dispatcher=service.submit,
        writer=service.writer, keyring=service.keyring, codec=service.codec, clock=service.environment.clock,
        wake=Signal(), caught_up=caught_up, on_failure=lambda where, error: None,
    )  # fmt: skip
    await timers.fire_due()


async def test_a_signed_note_is_published_without_its_words(notes: Harness, told: Make) -> None:
    _, note = await _signed(notes, told)

    (event,) = await notes.published()

    assert (event.type, note["status"]) == ("note.signed.v1", "signed")
    assert b"testing" not in event.to_bytes()
    assert event.data["dataref"]["sha256"] == note["document"]["sha256"]


async def test_content_comes_back_byte_for_byte_and_rests_sealed(notes: Harness, told: Make) -> None:
    pdf = b"%PDF-1.7 CANARY \xff\x00"
    content = {"media_type": "application/pdf", "base64": base64.b64encode(pdf).decode()}
    _, note = await _signed(notes, told, content=content)

    async with notes.client() as client:
        answer = await client.get(note["document"]["href"])

    assert (answer.content, answer.headers["content-type"]) == (pdf, "application/pdf")
    from baton_notes.store import CONTENTS

    assert all(b"CANARY" not in row["body"] for row in await notes.rows(CONTENTS.table))


async def test_an_unsigned_note_goes_nowhere_until_it_is_signed(notes: Harness, told: Make) -> None:
    _, note = await _signed(notes, told, signed=None)
    assert await _types(notes) == ["note.received.v1"]

    async with notes.client() as client:
        signed = await client.post(f"/v1/notes/{note['id']}/sign", json={"by": "Grace Example, MD"})
        again = await client.post(f"/v1/notes/{note['id']}/sign", json={})

    assert (signed.json()["status"], again.status_code) == ("signed", 409)
    assert await _types(notes) == ["note.received.v1", "note.signed.v1"]


async def test_proof_of_delivery_counts_once_and_only_for_the_current_version(
    notes: Harness, told: Make
) -> None:
    referral_id, note = await _signed(notes, told)
    other = note | {"document": note["document"] | {"sha256": "0" * 64}}

    await notes.deliver(
        _delivery(told, contract.DeliveryDelivered, referral_id, other),
        _delivery(told, contract.DeliveryDelivered, referral_id, note, role="copy"),
        _delivery(told, contract.DeliveryDelivered, referral_id, note, proof="fetched_identified"),
        _delivery(told, contract.DeliveryDelivered, referral_id, note),
    )

    assert await _types(notes) == ["note.signed.v1", "note.delivered.v1"]


async def test_an_acknowledged_document_returns_care(notes: Harness, told: Make) -> None:
    referral_id, note = await _signed(notes, told)

    await notes.deliver(
        _delivery(told, contract.DeliveryDelivered, referral_id, note),
        _delivery(told, contract.DeliveryAcknowledged, referral_id, note),
    )

    assert (await _types(notes))[1:] == ["note.delivered.v1", "care.returned.v1"]
    returned = contract.parse((await notes.published())[-1])
    assert isinstance(returned, contract.CareReturned)
    assert (returned.ack, returned.assertion) == ("explicit", "human")


async def test_an_acknowledged_notice_is_no_acknowledged_document(notes: Harness, told: Make) -> None:
    referral_id, note = await _signed(notes, told)

    await notes.deliver(
        _delivery(told, contract.DeliveryAcknowledged, referral_id, note, kind="notice", document=None)
    )

    assert await _types(notes) == ["note.signed.v1"]


async def test_mail_that_was_only_accepted_proves_nothing(
    notes: Harness, told: Make, clock: FixedClock
) -> None:
    referral_id, note = await _signed(notes, told)

    await notes.deliver(_delivery(told, contract.DeliverySent, referral_id, note, channel="email"))
    clock.advance(timedelta(days=30))
    await _fire(notes)

    assert await _types(notes) == ["note.signed.v1"]


async def test_fourteen_silent_days_after_proof_return_care_by_policy(
    notes: Harness, told: Make, clock: FixedClock
) -> None:
    referral_id, note = await _signed(notes, told)
    await notes.deliver(_delivery(told, contract.DeliveryDelivered, referral_id, note))

    clock.advance(timedelta(days=14) - timedelta(seconds=1))
    await _fire(notes)
    assert "care.returned.v1" not in await _types(notes)
    clock.advance(timedelta(seconds=1))
    await _fire(notes)

    returned = contract.parse((await notes.published())[-1])
    assert isinstance(returned, contract.CareReturned)
    assert (returned.ack, returned.assertion) == ("implied", "policy")


async def test_an_answer_within_the_window_leaves_no_timer(
    notes: Harness, told: Make, clock: FixedClock
) -> None:
    referral_id, note = await _signed(notes, told)
    await notes.deliver(
        _delivery(told, contract.DeliveryDelivered, referral_id, note),
        _delivery(told, contract.DeliveryAcknowledged, referral_id, note),
    )

    clock.advance(timedelta(days=20))
    await _fire(notes)

    assert (await _types(notes)).count("care.returned.v1") == 1
    assert await notes.rows(notes.service.definition.tables.timer) == []


@pytest.mark.parametrize("disposition", ["co_manage", "assume_management"])
async def test_a_note_that_keeps_the_patient_does_not_return_care(
    notes: Harness, told: Make, clock: FixedClock, disposition: str
) -> None:
    referral_id, note = await _signed(notes, told, disposition=disposition)

    await notes.deliver(
        _delivery(told, contract.DeliveryDelivered, referral_id, note),
        _delivery(told, contract.DeliveryAcknowledged, referral_id, note),
    )
    clock.advance(timedelta(days=30))
    await _fire(notes)

    assert (await _types(notes))[1:] == ["note.delivered.v1"]


async def test_a_note_and_its_signature_wait_for_their_referral(
    notes: Harness, told: Make, clock: FixedClock
) -> None:
    name = {"system": "urn:example:pms", "id": "R-1"}
    async with notes.client() as client:
        early = await client.post("/v1/notes", json=_note(name, signed=None))
        signed = await client.post(f"/v1/notes/{early.json()['id']}/sign", json={"by": "Grace Example, MD"})
        assert (early.status_code, signed.status_code) == (202, 202)
        assert (await client.get(early.headers["location"])).json()["status"] == "waiting"
        clock.advance(timedelta(hours=2))

        await notes.deliver(told())
        after = await client.get(early.headers["location"])

    assert after.json()["status"] == "signed"
    assert await _types(notes) == ["note.received.v1", "note.signed.v1"]
    assert clock.now() - (await notes.published())[1].time == timedelta(hours=2)


async def test_a_correction_names_a_note_of_the_same_referral(notes: Harness, told: Make) -> None:
    referral_id, note = await _signed(notes, told)

    async with notes.client() as client:
        nameless = await client.post("/v1/notes", json=_note({"id": referral_id}, kind="corrected"))
        foreign = await client.post(
            "/v1/notes", json=_note({"id": referral_id}, kind="corrected", replaces=new_id())
        )
        right = await client.post(
            "/v1/notes", json=_note({"id": referral_id}, kind="corrected", replaces=note["id"])
        )

    assert [nameless.status_code, foreign.status_code, right.status_code] == [422, 422, 201]
    assert (await _types(notes))[-1] == "note.corrected.v1"


@pytest.mark.parametrize(
    "content",
    [
        {"media_type": "text/plain"},
        {"media_type": "text/plain", "text": "a", "base64": "YQ=="},
        {"media_type": "text/plain", "base64": "not base64!"},
        {"media_type": "text/plain", "text": ""},
        {"media_type": "text plain", "text": "a"},
    ],
)
async def test_content_that_is_none_is_refused_without_showing_it(
    notes: Harness, told: Make, content: dict[str, Any]
) -> None:
    async with notes.client() as client:
        answer = await client.post("/v1/notes", json=_note({"id": new_id()}, content=content))

    assert answer.status_code == 422
    assert "not base64" not in answer.text
