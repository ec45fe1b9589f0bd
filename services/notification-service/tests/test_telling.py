"""What an office hears, by which route, and what it never hears."""

from __future__ import annotations

import json
from typing import Any

from baton_notification.domain.ladder import Status


async def test_a_new_referral_makes_its_office_known_and_tells_it_by_mail(desk: Any) -> None:
    referral = await desk.refer()
    await desk.send()

    office = await desk.queries.office("p1", referral.office_id)
    assert [(route.channel, route.verified_at) for route in office.routes] == [("email", None)]
    (mail,) = await desk.mails()
    assert mail["to"] == "front.desk@family-practice.example"
    assert "FP-2041" in mail["subject"]
    handle = await desk.handle(referral)
    assert f"http://service.test/o/{handle}" in mail["text"]
    assert await desk.types() == ["office.registered.v1", "delivery.sent.v1"]


async def test_nothing_is_sent_by_reading_an_event(quick_desk: Any) -> None:
    desk = quick_desk
    await desk.refer()

    assert await desk.mails() == []
    (delivery,) = await desk.deliveries()
    assert delivery.status is Status.QUEUED


async def test_an_event_read_twice_is_told_once(desk: Any) -> None:
    referral = await desk.refer()
    accepted = desk.accepted(referral)
    envelope = desk.running.envelope(desk.outgoing(accepted))
    await desk.running.deliver(envelope, envelope)
    await desk.send()

    assert len(await desk.mails()) == 2


async def test_a_webhook_of_an_office_is_called_with_a_thin_signed_notice(
    quick_desk: Any, receiver: Any
) -> None:
    desk = quick_desk
    referral = await desk.refer()
    made = await desk.webhook(receiver.url, office_id=referral.office_id)
    await desk.happen(desk.accepted(referral))
    await desk.send()

    (seen,) = receiver.seen
    body = seen.verified(made["secret"], at=desk.security_clock.now())
    assert body["type"] == "referral.status_changed"
    assert body["data"] | {"event_id": "", "links": {}} == {
        "referral_id": referral.referral_id,
        "office_reference": "FP-2041",
        "stage": "received",
        "state": "accepted",
        "previous_state": "received",
        "event_type": "referral.accepted.v1",
        "event_id": "",
        "links": {},
    }
    assert body["data"]["links"] == {"page": f"http://service.test/o/{await desk.handle(referral)}"}
    (delivery,) = await desk.deliveries(channel="webhook")
    assert delivery.status is Status.DELIVERED
    assert json.loads(seen.body) == body
