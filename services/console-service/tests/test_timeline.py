"""The story of one referral."""

from __future__ import annotations

from collections.abc import Callable

from baton_chassis.commands import Outgoing
from baton_chassis.testing.harness import Harness

Tell = Callable[..., Outgoing]
ID = "01a20000-0000-7000-8000-000000000000"
DOCUMENT = {"document": {"id": "d-1", "version": 1, "sha256": "0" * 64}, "kind": "final"}


async def test_every_step_shows_where_it_left_the_referral(console: Harness, tell: Tell) -> None:
    visit = {"appointment_id": "a-1", "kind": "visit", "start": "2026-12-01T09:00:00Z"}
    sent = DOCUMENT | {"kind": "document", "delivery_id": "x-2"}
    await console.deliver(
        tell(ID, "referral.received.v1"),
        tell(ID, "delivery.sent.v1", "notices", minutes=1, kind="notice", delivery_id="x-1"),
        tell(ID, "referral.accepted.v1", minutes=2),
        tell(ID, "appointment.booked.v1", "appointments", minutes=3, **visit),
        tell(ID, "visit.completed.v1", "appointments", minutes=4, visit_id="v-1", **visit),
        tell(ID, "note.signed.v1", "documents", minutes=5, **DOCUMENT),
        tell(ID, "delivery.delivered.v1", "notices", minutes=6, **sent),
        tell(ID, "note.delivered.v1", "documents", minutes=7, **DOCUMENT),
        tell(ID, "care.returned.v1", "documents", minutes=8, ack="explicit"),
    )
    async with console.client() as client:
        items = (await client.get(f"/v1/timelines/{ID}")).json()["items"]

    assert [item["state"] for item in items] == [
        "received", "received", "accepted", "scheduled", "seen", "seen", "seen", "notes_sent",
        "care_returned",
    ]  # fmt: skip
    assert [item["kind"] for item in items][:7] == [
        "fact", "notice", "fact", "fact", "fact", "document", "delivery",
    ]  # fmt: skip
    assert set(items[0]) >= {"at", "recorded_at", "kind", "type", "actor", "assertion", "state", "ref"}
    assert items[0]["actor"] == {"kind": "staff", "id": "user:1"}


async def test_a_referral_nobody_told_of_has_no_story(console: Harness) -> None:
    async with console.client() as client:
        answer = await client.get(f"/v1/timelines/{ID}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
