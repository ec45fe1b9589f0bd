"""Accepting and declining, and what a caller may do."""

from __future__ import annotations

from typing import Any

import pytest

from baton_chassis.clock import FixedClock
from baton_chassis.commands import Outgoing
from baton_chassis.testing.harness import Harness

Json = dict[str, Any]
ON_SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


async def received(client: Any, body: Json) -> str:
    answer = await client.post("/v1/referrals", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def told(id: str, type_: str, line: str, clock: FixedClock, **data: Any) -> Outgoing:
    """A fact of another line about the referral."""
    common = {"referral_id": id, "actor": {"kind": "staff"}, "assertion": "human"}
    at = clock.now()
    return Outgoing(
        type=type_,
        topic="referral.events",
        source=f"/referrals/{id}/{line}",
        subject=id,
        key=id,
        data={**common, "occurred_at": at.isoformat(), **data},
        occurred_at=at,
    )


async def test_an_accepted_referral_says_so_to_the_world(intake: Harness, referral_body: Json) -> None:
    async with intake.client() as client:
        id = await received(client, referral_body)
        answer = await client.post(f"/v1/referrals/{id}/accept", json={})

    assert (answer.status_code, answer.json()["state"], answer.json()["version"]) == (200, "accepted", 2)
    assert answer.headers["etag"] == 'W/"2"'
    event = (await intake.published())[-1]
    assert (event.type, event.source, event.number) == ("referral.accepted.v1", f"/referrals/{id}/request", 2)


@ON_SQLITE
async def test_a_verb_may_come_without_a_body(intake: Harness, referral_body: Json) -> None:
    async with intake.client() as client:
        id = await received(client, referral_body)
        answer = await client.post(f"/v1/referrals/{id}/accept")

    assert answer.status_code == 200


async def test_a_decline_carries_its_reason_and_never_its_words(intake: Harness, referral_body: Json) -> None:
    body = {
        "reason": "wrong_service",
        "text": "Canary words for people",
        "redirected_to": {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"},
    }
    async with intake.client() as client:
        id = await received(client, referral_body)
        answer = await client.post(f"/v1/referrals/{id}/decline", json=body)

    shown = answer.json()
    assert (shown["state"], shown["reason"], shown["redirected_to"]) == (
        "declined",
        "wrong_service",
        "1234567893",
    )
    assert shown["remarks"][0]["text"] == "Canary words for people"
    event = (await intake.published("referral.declined.v1"))[0]
    assert event.data["reason"] == "wrong_service"
    assert b"Canary" not in event.to_bytes()


@ON_SQLITE
async def test_a_decline_without_a_reason_names_the_place(intake: Harness, referral_body: Json) -> None:
    async with intake.client() as client:
        id = await received(client, referral_body)
        answer = await client.post(f"/v1/referrals/{id}/decline", json={})

    assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed")
    assert answer.json()["errors"][0]["pointer"] == "/reason"


@ON_SQLITE
async def test_what_is_over_cannot_be_accepted(intake: Harness, referral_body: Json) -> None:
    async with intake.client() as client:
        id = await received(client, referral_body)
        await client.post(f"/v1/referrals/{id}/decline", json={"reason": "no_capacity"})
        answer = await client.post(f"/v1/referrals/{id}/accept", json={})

    assert (answer.status_code, answer.json()["code"]) == (409, "illegal-transition")
    assert len(await intake.published()) == 2


async def test_a_stale_etag_decides_nothing(intake: Harness, referral_body: Json) -> None:
    async with intake.client() as client:
        id = await received(client, referral_body)
        await client.post(f"/v1/referrals/{id}/accept", json={}, headers={"if-match": 'W/"1"'})
        answer = await client.post(
            f"/v1/referrals/{id}/decline", json={"reason": "no_capacity"}, headers={"if-match": 'W/"1"'}
        )

    assert (answer.status_code, answer.json()["code"]) == (412, "version-mismatch")


@ON_SQLITE
async def test_a_thing_cannot_have_happened_tomorrow(intake: Harness, referral_body: Json) -> None:
    async with intake.client() as client:
        id = await received(client, referral_body)
        answer = await client.post(f"/v1/referrals/{id}/accept", json={"occurred_at": "2026-11-21T14:00:00Z"})
        past = await client.post(
            f"/v1/referrals/{id}/accept", json={"occurred_at": "2026-11-20T08:00:00-05:00"}
        )

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/occurred_at")
    assert past.status_code == 200
    event = (await intake.published("referral.accepted.v1"))[0]
    assert event.data["occurred_at"] == "2026-11-20T13:00:00.000000Z"


@ON_SQLITE
async def test_an_unknown_referral_is_not_found(intake: Harness) -> None:
    unknown = "01a20000-0000-7000-8000-000000000000"
    async with intake.client() as client:
        answers = [
            await client.get(f"/v1/referrals/{unknown}"),
            await client.get(f"/v1/referrals/{unknown}/actions"),
            await client.post(f"/v1/referrals/{unknown}/accept", json={}),
        ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]


@ON_SQLITE
async def test_the_actions_are_true_for_this_caller_now(intake: Harness, referral_body: Json) -> None:
    async with intake.client() as client:
        id = await received(client, referral_body)
        before = (await client.get(f"/v1/referrals/{id}/actions")).json()["actions"]
        await client.post(before[0]["href"], json={})
        after = (await client.get(f"/v1/referrals/{id}/actions")).json()["actions"]
        intake.scopes = frozenset({"referrals:read"})
        reader = (await client.get(f"/v1/referrals/{id}/actions")).json()["actions"]

    assert [action["name"] for action in before] == ["accept", "decline"]
    assert before[0] == {
        "name": "accept",
        "method": "POST",
        "href": f"/v1/referrals/{id}/accept",
        "reasons": [],
    }
    assert "no_capacity" in before[1]["reasons"]
    assert [action["name"] for action in after] == ["decline"]
    assert reader == []


async def test_the_whole_way_as_the_other_services_tell_it(
    intake: Harness, referral_body: Json, clock: FixedClock
) -> None:
    async with intake.client() as client:
        id = await received(client, referral_body)
        await client.post(f"/v1/referrals/{id}/accept", json={})
        seen = []

        async def tell(type_: str, line: str, **data: Any) -> Json:
            await intake.deliver(told(id, type_, line, clock, **data))
            shown: Json = (await client.get(f"/v1/referrals/{id}")).json()
            seen.append((shown["state"], shown["stage"]))
            return shown

        appointment = {"appointment_id": "a-1", "kind": "visit"}
        booked = await tell(
            "appointment.booked.v1", "appointments", **appointment, start="2026-12-01T09:00:00-05:00"
        )
        missed = await tell("appointment.no_show.v1", "appointments", **appointment)
        await tell(
            "appointment.rescheduled.v1", "appointments", **appointment, start="2026-12-02T09:00:00-05:00"
        )
        await tell("visit.completed.v1", "appointments", **appointment, visit_id="v-1")
        document = {"document": {"id": "d-1", "version": 1, "sha256": "0" * 64}, "kind": "final"}
        await tell("note.signed.v1", "documents", **document)
        await tell("note.delivered.v1", "documents", **document)
        returned = await tell("care.returned.v1", "documents", ack="explicit")

    assert seen == [
        ("scheduled", "scheduled"),
        ("accepted", "scheduled"),
        ("scheduled", "scheduled"),
        ("seen", "seen"),
        ("seen", "seen"),
        ("notes_sent", "notes_sent"),
        ("care_returned", "care_returned"),
    ]
    assert booked["next_appointment"]["start"] == "2026-12-01T14:00:00.000000Z"
    assert (missed["next_appointment"], missed["no_show_count"]) == (None, 1)
    assert missed["last_appointment"]["status"] == "no_show"
    assert (returned["ack"], returned["last_appointment"]["status"]) == ("explicit", "completed")


async def test_the_same_fact_twice_counts_once(
    intake: Harness, referral_body: Json, clock: FixedClock
) -> None:
    async with intake.client() as client:
        id = await received(client, referral_body)
        missed = [
            told(
                id,
                type_,
                "appointments",
                clock,
                appointment_id="a-1",
                kind="visit",
                start=clock.now().isoformat(),
            )
            for type_ in ("appointment.booked.v1", "appointment.no_show.v1")
        ]
        envelopes = [intake.envelope(outgoing) for outgoing in missed]
        await intake.deliver(*envelopes, *envelopes)
        shown = (await client.get(f"/v1/referrals/{id}")).json()

    assert shown["no_show_count"] == 1


@ON_SQLITE
async def test_a_fact_about_a_referral_that_is_not_ours_is_parked(intake: Harness, clock: FixedClock) -> None:
    await intake.deliver(
        told("r-unknown", "appointment.booked.v1", "appointments", clock, appointment_id="a-1", kind="visit")
    )

    (row,) = await intake.rows(intake.service.definition.tables.parked)
    assert row["reason"] == "unknown-referral"
