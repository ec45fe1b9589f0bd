"""Appointments at the door: booked, cancelled, kept, and early ones that wait for their referral."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from baton_chassis.clock import FixedClock
from baton_chassis.commands import Outgoing
from baton_chassis.ids import new_id
from baton_chassis.testing.harness import Harness
from baton_contracts import events as contract

Make = Callable[..., Outgoing]


def _booking(referral: dict[str, Any], **said: Any) -> dict[str, Any]:
    return {
        "referral": referral,
        "source": {"system": "urn:example:pms", "id": "A-1"},
        "start": "2026-03-09T09:00:00-05:00",
        "end": "2026-03-09T09:30:00-05:00",
        "clinician": {"npi": "1234567893", "name": {"family": "Example", "given": ["Grace"]}},
        "location": {"name": "Room 1"},
        "kind": "visit",
    } | said


async def _book(scheduling: Harness, referral: Make, **said: Any) -> dict[str, Any]:
    received = referral()
    await scheduling.deliver(received)
    async with scheduling.client() as client:
        answer = await client.post("/v1/appointments", json=_booking({"id": received.subject}, **said))
    assert answer.status_code == 201, answer.text
    booked: dict[str, Any] = answer.json()
    return booked


async def test_a_booking_is_answered_with_its_address_and_published(
    scheduling: Harness, referral: Make
) -> None:
    received = referral()
    await scheduling.deliver(received)

    async with scheduling.client() as client:
        answer = await client.post("/v1/appointments", json=_booking({"id": received.subject}))
        shown = await client.get(answer.headers["location"])

    assert (answer.status_code, answer.headers["etag"]) == (201, 'W/"1"')
    assert shown.json() == answer.json()
    assert shown.json()["status"] == "booked"
    (event,) = await scheduling.published()
    assert (event.type, event.source) == (
        "appointment.booked.v1",
        f"/referrals/{received.subject}/appointments",
    )
    assert contract.parse(event).model_dump()["clinician"]["name"] == "Grace Example"


async def test_the_same_source_again_shows_the_booking_that_is_here(
    scheduling: Harness, referral: Make
) -> None:
    booked = await _book(scheduling, referral)

    async with scheduling.client() as client:
        again = await client.post("/v1/appointments", json=_booking(booked["referral"]))

    assert (again.status_code, again.json()["id"]) == (200, booked["id"])
    assert len(await scheduling.published()) == 1


async def test_a_referral_is_found_by_the_name_its_sender_gave_it(
    scheduling: Harness, referral: Make
) -> None:
    received = referral()
    await scheduling.deliver(received)

    async with scheduling.client() as client:
        answer = await client.post(
            "/v1/appointments", json=_booking({"system": "urn:example:pms", "id": "R-1"})
        )

    assert answer.json()["referral"] == {"id": received.subject}


async def test_a_visit_is_completed_once(scheduling: Harness, referral: Make) -> None:
    booked = await _book(scheduling, referral)

    async with scheduling.client() as client:
        done = await client.post(f"/v1/appointments/{booked['id']}/complete", json={})
        again = await client.post(f"/v1/appointments/{booked['id']}/complete", json={})

    assert (done.status_code, done.json()["status"]) == (200, "completed")
    assert (again.status_code, again.json()["code"]) == (409, "illegal-transition")
    assert [event.type for event in await scheduling.published()][1:] == ["visit.completed.v1"]


async def test_a_cancellation_says_whose_doing_it_was(scheduling: Harness, referral: Make) -> None:
    booked = await _book(scheduling, referral)

    async with scheduling.client() as client:
        answer = await client.post(f"/v1/appointments/{booked['id']}/cancel", json={"reason": "patient_ill"})

    assert answer.json()["status"] == "cancelled"
    cancelled = contract.parse((await scheduling.published())[1])
    assert isinstance(cancelled, contract.AppointmentCancelled)
    assert (cancelled.reason, cancelled.cancelled_by) == ("patient_ill", "patient")


async def test_an_unpublished_reason_is_refused_at_its_place(scheduling: Harness, referral: Make) -> None:
    booked = await _book(scheduling, referral)

    async with scheduling.client() as client:
        answer = await client.post(f"/v1/appointments/{booked['id']}/cancel", json={"reason": "bad_mood"})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/reason"


async def test_an_ended_referral_takes_no_booking(scheduling: Harness, referral: Make) -> None:
    received = referral()
    declined = referral(
        contract.ReferralDeclined,
        referral_id=received.subject,
        reason="no_capacity",
        assertion="human",
    )
    await scheduling.deliver(received, declined)

    async with scheduling.client() as client:
        answer = await client.post("/v1/appointments", json=_booking({"id": received.subject}))

    assert (answer.status_code, answer.json()["code"]) == (409, "illegal-transition")


async def test_a_booking_and_its_visit_wait_for_their_referral_and_keep_their_times(
    scheduling: Harness, referral: Make, clock: FixedClock
) -> None:
    async with scheduling.client() as client:
        early = await client.post(
            "/v1/appointments", json=_booking({"system": "urn:example:pms", "id": "R-1"})
        )
        clock.advance(timedelta(minutes=5))
        seen = await client.post(f"/v1/appointments/{early.json()['id']}/complete", json={})
        waiting = await client.get(early.headers["location"])
        assert (early.status_code, seen.status_code) == (202, 202)
        assert waiting.json()["status"] == "waiting"
        clock.advance(timedelta(days=1))

        await scheduling.deliver(referral())
        after = await client.get(early.headers["location"])

    assert after.json()["status"] == "completed"
    booked, completed = await scheduling.published()
    assert completed.time - booked.time == timedelta(minutes=5)
    assert clock.now() - completed.time == timedelta(days=1)


async def test_another_practices_referral_is_never_bound(scheduling: Harness, referral: Make) -> None:
    received = referral()
    await scheduling.deliver(received, practice_id="another")

    async with scheduling.client() as client:
        answer = await client.post("/v1/appointments", json=_booking({"id": received.subject}))
        shown = await client.get(answer.headers["location"])

    assert answer.status_code == 202
    assert shown.json()["status"] == "waiting"


async def test_an_end_before_its_start_is_refused(scheduling: Harness) -> None:
    async with scheduling.client() as client:
        answer = await client.post(
            "/v1/appointments", json=_booking({"id": new_id()}, end="2026-03-09T08:00:00-05:00")
        )

    assert answer.status_code == 422


async def test_a_list_has_a_second_page(scheduling: Harness, referral: Make) -> None:
    received = referral()
    await scheduling.deliver(received)
    async with scheduling.client() as client:
        for number in range(5):
            source = {"system": "urn:example:pms", "id": f"A-{number}"}
            await client.post("/v1/appointments", json=_booking({"id": received.subject}, source=source))

        first = (await client.get("/v1/appointments", params={"limit": 3})).json()
        second = (await client.get("/v1/appointments", params={"limit": 3, "after": first["next"]})).json()

    assert [len(first["items"]), len(second["items"]), second["next"]] == [3, 2, None]


@pytest.mark.parametrize("path", ["/v1/appointments/{}", "/v1/appointments/{}/cancel"])
async def test_what_is_not_there_is_not_found(scheduling: Harness, path: str) -> None:
    async with scheduling.client() as client:
        url = path.format(new_id())
        answer = await (client.post(url, json={}) if url.endswith("cancel") else client.get(url))

    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
