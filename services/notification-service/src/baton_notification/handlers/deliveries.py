"""Deliveries: what a try came to, and another round when a person asks for it."""

from __future__ import annotations

from datetime import timedelta

from baton_chassis.commands import Reply
from baton_chassis.work import Work
from baton_notification.commands import RecordAttempt, ResendDelivery
from baton_notification.domain.delivery import Attempt, Delivery, Kind, Verdict
from baton_notification.domain.endpoint import WebhookEndpoint
from baton_notification.domain.ladder import Status
from baton_notification.domain.refusals import NotPossibleNow
from baton_notification.handlers.views import delivery_shown

GONE = "gone"
"""The outcome of a receiver that said it is no more (HTTP 410)."""


async def resend_delivery(command: ResendDelivery, work: Work) -> Reply:
    """Another round of tries under the same name, so that a receiver can tell it from news."""
    delivery = await work.load(Delivery, command.id)
    if delivery.kind is Kind.CODE:
        raise NotPossibleNow("A code is sent once. The office asks for another on its page.")
    delivery.send_again(at=work.now)
    work.save(delivery)
    return Reply(body=delivery_shown(delivery), version=delivery.version)


async def record_attempt(command: RecordAttempt, work: Work) -> Reply:
    """One try ended: the delivery climbs, waits for the next, or ends; its endpoint is judged along."""
    delivery = await work.load(Delivery, command.id)
    attempt = Attempt(command.at, delivery.trigger, command.outcome, command.code, command.duration_ms)
    delivery.record(
        attempt,
        command.verdict,
        chance=command.chance,
        wish=timedelta(seconds=command.wish_seconds) if command.wish_seconds is not None else None,
        proof=command.proof,
        lease=command.lease,
    )
    if delivery.held_back and await _newer(delivery, work):
        delivery.supersede(at=command.at)
    work.save(delivery)
    await _judge_endpoint(delivery, command, work)
    return Reply(body={"status": delivery.status.value}, version=delivery.version)


async def _newer(delivery: Delivery, work: Work) -> bool:
    if not delivery.chain:
        return False
    waiting = await work.select(Delivery, chain=delivery.chain, status=Status.QUEUED.value)
    return any(one.id > delivery.id for one in waiting)


async def _judge_endpoint(delivery: Delivery, command: RecordAttempt, work: Work) -> None:
    endpoint = (
        await work.find(WebhookEndpoint, delivery.to.lane) if delivery.to.channel == "webhook" else None
    )
    if endpoint is None or endpoint.deleted_at is not None:
        return
    if command.outcome == GONE:
        endpoint.gone(at=command.at)
        work.save(endpoint)
    elif command.verdict in (Verdict.TAKEN, Verdict.PROVEN):
        if endpoint.answered():
            work.save(endpoint)
    elif endpoint.did_not_answer(at=command.at):
        work.save(endpoint)
