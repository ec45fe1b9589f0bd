"""The workers: order, tries, patience with the other side, several at once, and a crash after the send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP

from baton_chassis.clock import FixedClock
from baton_chassis.errors import Unavailable
from baton_notification import store
from baton_notification.domain.ladder import Status


async def office_with_webhook(desk: Any, receiver: Any, **said: Any) -> tuple[Any, dict[str, Any]]:
    """A referral whose office is told by webhook only."""
    referral = await desk.refer(mail=None)
    return referral, await desk.webhook(receiver.url, office_id=referral.office_id, **said)


async def test_a_receiver_that_was_down_gets_it_by_the_schedule_under_the_same_id(
    desk: Any, receiver: Any
) -> None:
    referral, made = await office_with_webhook(desk, receiver)
    receiver.answers = ["503 Busy", "500 Broken", "204 No Content"]
    await desk.happen(desk.accepted(referral))

    await desk.send()
    desk.clock.advance(timedelta(seconds=4))
    await desk.send()
    assert len(receiver.seen) == 1
    for pause in (timedelta(seconds=1), timedelta(minutes=5)):
        desk.clock.advance(pause)
        await desk.send()

    assert len(receiver.seen) == 3
    assert len({seen.headers["webhook-id"] for seen in receiver.seen}) == 1
    for seen in receiver.seen:
        seen.verified(made["secret"], at=desk.security_clock.now())
    (delivery,) = await desk.deliveries(channel="webhook")
    assert delivery.status is Status.DELIVERED
    assert [(one.outcome, one.code, one.trigger) for one in delivery.attempts] == [
        ("refused", "503", "event"),
        ("refused", "500", "schedule"),
        ("accepted", "204", "schedule"),
    ]


async def test_a_receiver_that_is_gone_is_not_called_again(desk: Any, receiver: Any) -> None:
    referral, made = await office_with_webhook(desk, receiver)
    receiver.answers = ["410 Gone"]
    await desk.happen(desk.accepted(referral))
    await desk.send()
    await desk.happen(desk.booked(referral))
    await desk.send()

    endpoint = await desk.queries.webhook("p1", made["id"])
    assert (endpoint.active, endpoint.disabled_reason) == (False, "gone")
    assert len(receiver.seen) == 1
    failed = await desk.running.published("delivery.failed.v1")
    assert [event.data["code"] for event in failed] == ["410"]


async def test_retry_after_is_honoured(quick_desk: Any, receiver: Any) -> None:
    desk = quick_desk
    referral, _ = await office_with_webhook(desk, receiver)
    receiver.answers = ["429 Slow down\nRetry-After: 3600\r\n", "204 No Content"]
    await desk.happen(desk.accepted(referral))
    await desk.send()
    desk.clock.advance(timedelta(minutes=59))
    await desk.send()
    assert len(receiver.seen) == 1

    desk.clock.advance(timedelta(minutes=1))
    await desk.send()
    assert len(receiver.seen) == 2


async def test_a_redirect_is_a_failure_and_is_not_followed(
    quick_desk: Any, receiver: Any, other_receiver: Any
) -> None:
    desk = quick_desk
    referral, _ = await office_with_webhook(desk, receiver)
    receiver.answers = [f"307 Elsewhere\nLocation: {other_receiver.url}\r\n"]
    await desk.happen(desk.accepted(referral))
    await desk.send()

    (delivery,) = await desk.deliveries(channel="webhook")
    assert (delivery.status, delivery.attempts[0].outcome) == (Status.QUEUED, "redirected")
    assert other_receiver.seen == []


async def test_after_a_rotation_both_secrets_verify_and_later_the_new_one_only(
    quick_desk: Any, receiver: Any
) -> None:
    desk = quick_desk
    referral, made = await office_with_webhook(desk, receiver)
    async with desk.running.client() as client:
        answer = await client.post(f"/v1/webhooks/{made['id']}/rotate", json={"overlap_hours": 1})
    new = answer.json()["secret"]
    await desk.happen(desk.accepted(referral))
    await desk.send()
    desk.clock.advance(timedelta(hours=2))
    await desk.happen(desk.booked(referral))
    await desk.send()

    during, after = receiver.seen
    for secret in (made["secret"], new):
        during.verified(secret, at=desk.security_clock.now())
    after.verified(new, at=desk.security_clock.now())
    assert len(after.headers["webhook-signature"].split(" ")) == 1


async def test_news_goes_out_in_order_one_at_a_time_and_says_how_it_stands_when_it_leaves(
    desk: Any, receiver: Any
) -> None:
    referral, _ = await office_with_webhook(desk, receiver)
    receiver.hold = asyncio.Event()
    await desk.happen(desk.accepted(referral))
    assert await desk.worker.send_due() == 1
    await asyncio.wait_for(receiver.got_one.wait(), 10)
    await desk.happen(desk.booked(referral))
    assert await desk.worker.send_due() == 0
    receiver.hold.set()
    await desk.worker.idle()
    await desk.send()

    told = [json.loads(seen.body)["data"] for seen in receiver.seen]
    assert [one["event_type"] for one in told] == ["referral.accepted.v1", "appointment.booked.v1"]
    assert [one["state"] for one in told] == ["accepted", "scheduled"]


async def test_older_news_that_waits_for_a_retry_is_superseded_by_newer(desk: Any, receiver: Any) -> None:
    referral, _ = await office_with_webhook(desk, receiver)
    receiver.answers = ["503 Busy", "204 No Content"]
    await desk.happen(desk.accepted(referral))
    await desk.send()
    await desk.happen(desk.booked(referral))
    await desk.send()
    desk.clock.advance(timedelta(days=1))
    await desk.send()

    statuses = {
        one.news.event_type: (one.status, one.code) for one in await desk.deliveries(channel="webhook")
    }
    assert statuses["referral.accepted.v1"] == (Status.SUPPRESSED, "superseded")
    assert statuses["appointment.booked.v1"][0] is Status.DELIVERED
    assert len(receiver.seen) == 2


async def test_a_failure_is_superseded_too_when_newer_news_came_meanwhile(
    quick_desk: Any, receiver: Any
) -> None:
    desk = quick_desk
    referral, _ = await office_with_webhook(desk, receiver)
    receiver.answers, receiver.hold = ["503 Busy", "204 No Content"], asyncio.Event()
    await desk.happen(desk.accepted(referral))
    await desk.worker.send_due()
    await desk.happen(desk.booked(referral))
    receiver.hold.set()
    await desk.worker.idle()
    await desk.send()

    assert [one.status for one in await desk.deliveries(channel="webhook")] == [
        Status.SUPPRESSED,
        Status.DELIVERED,
    ]


async def test_many_workers_never_take_the_same_delivery(desk: Any) -> None:
    for _ in range(12):
        await desk.refer()
    service = desk.running.service
    workers = [
        store.DueRows(database=service.database, keyring=service.keyring, new_id=service.environment.ids)
        for _ in range(6)
    ]
    now = desk.clock.now()
    taken = await asyncio.gather(
        *(
            worker.claim(now=now, until=now + timedelta(minutes=1), shut=frozenset(), limit=3)
            for worker in workers
        )
    )

    ids = [claimed.delivery.id for batch in taken for claimed in batch]
    assert len(ids) == len(set(ids)) == 12
    assert {claimed.delivery.status for batch in taken for claimed in batch} == {Status.SENDING}


async def test_what_a_dead_worker_had_in_its_hands_is_sent_again_under_the_same_id(
    desk: Any, receiver: Any
) -> None:
    """It was sent and the process died before writing it down: the lease runs out, another sends it."""
    referral, _ = await office_with_webhook(desk, receiver)
    await desk.happen(desk.accepted(referral))
    now = desk.clock.now()
    worker = desk.worker
    (claimed,) = await worker._due.claim(
        now=now, until=now + timedelta(seconds=90), shut=frozenset(), limit=4
    )
    await worker._try(claimed.practice_id, claimed.delivery)

    await desk.send()
    assert len(receiver.seen) == 1
    desk.clock.advance(timedelta(seconds=91))
    await desk.send()

    assert len(receiver.seen) == 2
    assert len({seen.headers["webhook-id"] for seen in receiver.seen}) == 1
    (delivery,) = await desk.deliveries(channel="webhook")
    assert (delivery.status, len(delivery.attempts)) == (Status.DELIVERED, 1)


async def test_a_dead_endpoint_burns_no_tries_while_it_is_left_alone(quick_desk: Any, receiver: Any) -> None:
    desk = quick_desk
    receiver.answers = ["500 Broken"]
    await desk.webhook(receiver.url)
    for _ in range(12):
        await desk.refer(mail=None)
    await desk.send()
    tried = len(receiver.seen)
    for _ in range(5):
        desk.clock.advance(timedelta(seconds=5))
        await desk.send()

    assert 5 <= tried <= 8
    assert len(receiver.seen) == tried
    untouched = [one for one in await desk.deliveries(channel="webhook") if not one.attempts]
    assert len(untouched) == 12 - tried

    receiver.answers = ["204 No Content"]
    desk.clock.advance(timedelta(minutes=10))
    await desk.send()
    assert {one.status for one in await desk.deliveries(channel="webhook")} == {Status.DELIVERED}


async def test_a_slow_endpoint_takes_no_more_than_its_share(
    quick_desk: Any, receiver: Any, other_receiver: Any
) -> None:
    desk = quick_desk
    receiver.hold = asyncio.Event()
    await desk.webhook(receiver.url)
    await desk.webhook(other_receiver.url)
    for _ in range(8):
        await desk.refer(mail=None)

    for _ in range(200):
        await desk.worker.send_due()
        if len(other_receiver.seen) == 8:
            break
        await asyncio.sleep(0.01)

    assert len(other_receiver.seen) == 8
    assert len(receiver.seen) == 4
    receiver.hold.set()
    await desk.worker.idle()


async def test_the_running_worker_is_woken_by_a_commit_and_by_the_clock(
    quick_desk: Any, receiver: Any, clock: FixedClock
) -> None:
    desk = quick_desk
    referral, _ = await office_with_webhook(desk, receiver)
    receiver.answers = ["503 Busy", "204 No Content"]
    serving = asyncio.create_task(desk.worker.run())
    try:
        await desk.happen(desk.accepted(referral))
        async with asyncio.timeout(10):
            while not (await desk.deliveries(channel="webhook"))[0].attempts:
                await asyncio.sleep(0.01)
        clock.advance(timedelta(seconds=10))
        desk.worker.knock()
        await until(lambda: len(receiver.seen) == 2)
    finally:
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving


async def test_a_worker_that_is_stopped_writes_down_what_is_under_way(quick_desk: Any, receiver: Any) -> None:
    desk = quick_desk
    referral, _ = await office_with_webhook(desk, receiver)
    receiver.hold = asyncio.Event()
    serving = asyncio.create_task(desk.worker.run())
    await desk.happen(desk.accepted(referral))
    await until(lambda: len(receiver.seen) == 1)
    serving.cancel()
    receiver.hold.set()
    with pytest.raises(asyncio.CancelledError):
        await serving

    (delivery,) = await desk.deliveries(channel="webhook")
    assert delivery.status is Status.DELIVERED


async def until(true: Callable[[], bool]) -> None:
    """Let the loop run until something holds; fails after five seconds."""
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)


async def test_five_days_of_nothing_but_failures_end_an_endpoint(quick_desk: Any, receiver: Any) -> None:
    desk = quick_desk
    _, made = await office_with_webhook(desk, receiver)
    receiver.answers = ["500 Broken"]
    for _ in range(7):
        referral = await desk.refer(mail=None, office_id=made["office_id"])
        await desk.happen(desk.accepted(referral))
        await desk.send()
        desk.clock.advance(timedelta(days=1))

    endpoint = await desk.queries.webhook("p1", made["id"])
    assert (endpoint.active, endpoint.disabled_reason) == (False, "failing")


class Inbox:
    """What a mail server took."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.texts.append(envelope.content)
        return "250 OK"


async def test_with_a_mail_server_set_mail_goes_there_and_is_sent_not_delivered(desk_with: Any) -> None:
    inbox, loop = Inbox(), asyncio.get_running_loop()
    listening = await loop.create_server(lambda: SMTP(inbox, hostname="mail.test", loop=loop), "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with desk_with(smtp_url=f"smtp://127.0.0.1:{port}", mail_from="updates@practice.example") as desk:
        await desk.refer()
        await desk.send()
        (delivery,) = await desk.deliveries()
        async with desk.running.client() as client:
            mailbox = await client.get("/dev/mailbox/messages")
    listening.close()

    assert (delivery.status, delivery.attempts[0].code) == (Status.SENT, "250")
    assert b"front.desk@family-practice.example" in inbox.texts[0]
    assert f"Message-ID: <{delivery.id}@practice.example>".encode() in inbox.texts[0]
    assert mailbox.status_code == 404


async def test_a_name_that_leads_inside_at_sending_time_is_not_dialled(
    desk_with: Any, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk_with(outbound_allow=()) as desk:
        await desk.webhook("https://hooks.office.example/in")
        monkeypatch.setattr("baton_chassis.outbound._ask_system", lambda host: ["127.0.0.1"])
        await desk.refer(mail=None)
        await desk.send()
        (delivery,) = await desk.deliveries()

    assert (delivery.status, delivery.attempts[0].outcome) == (Status.QUEUED, "address-not-public")


async def test_a_note_whose_owner_is_away_is_fetched_again_later(quick_desk: Any, receiver: Any) -> None:
    desk = quick_desk
    referral = await desk.refer(mail=None)
    await desk.webhook(receiver.url, office_id=referral.office_id, payload="full", agreement="A-1")
    contents, fetch = desk.running.contents, desk.running.contents.fetch

    async def away(practice_id: str, reference: Any) -> Any:
        raise Unavailable("the owner does not answer")

    contents.fetch = away
    await desk.sign(referral)
    await desk.send()
    assert receiver.seen == []
    contents.fetch = fetch
    desk.clock.advance(timedelta(seconds=10))
    await desk.send()

    (delivery,) = [one for one in await desk.deliveries() if one.document]
    assert [one.outcome for one in delivery.attempts] == ["content-unavailable", "accepted"]
    assert delivery.status is Status.DELIVERED


async def test_a_code_that_could_not_leave_in_time_does_not_leave(quick_desk: Any) -> None:
    desk = quick_desk
    handle = await desk.handle(await desk.refer())
    async with desk.running.client() as client:
        await client.post(f"/o/{handle}/code", headers={"Accept": "application/json"})
    desk.security_clock.advance(timedelta(minutes=11))
    await desk.send()

    assert not any("Your code" in mail["text"] for mail in await desk.mails())
