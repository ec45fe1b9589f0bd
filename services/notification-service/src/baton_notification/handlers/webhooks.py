"""Webhook endpoints: made, changed, signed anew, tried out, deleted."""

from __future__ import annotations

from datetime import timedelta

from baton_chassis.commands import Reply
from baton_chassis.errors import NotFound
from baton_chassis.work import Work
from baton_notification.commands import (
    ChangeWebhook,
    DeleteWebhook,
    RegisterWebhook,
    RotateSecret,
    TestWebhook,
)
from baton_notification.domain.delivery import Delivery, Destination, Kind, News, Role
from baton_notification.domain.endpoint import Payload, Secret, WebhookEndpoint
from baton_notification.domain.office import Office
from baton_notification.handlers.views import delivery_shown, webhook_shown

TEST_EVENT = "webhook.test"


async def register_webhook(command: RegisterWebhook, work: Work) -> Reply:
    """A new endpoint. Its secret is in this answer and in no other."""
    if command.office_id is not None and await work.find(Office, command.office_id) is None:
        raise NotFound("There is no office by that id.", pointer="/office_id")
    endpoint = WebhookEndpoint(
        id=command.id,
        office_id=command.office_id,
        url=command.url,
        created_at=work.now,
        secrets=(Secret(command.secret),),
        patterns=command.patterns,
        format=command.format,
        payload=command.payload,
        agreement=command.agreement,
    )
    work.save(endpoint)
    return Reply(
        kind="created",
        body=webhook_shown(endpoint) | {"secret": command.secret},
        version=endpoint.version,
        location=RegisterWebhook.location.format(id=endpoint.id),
    )


async def change_webhook(command: ChangeWebhook, work: Work) -> Reply:
    """Another address, other events, or on and off."""
    endpoint = await _live(command.id, work)
    endpoint.change(url=command.url, patterns=command.patterns, enabled=command.enabled, at=work.now)
    work.save(endpoint)
    return Reply(body=webhook_shown(endpoint), version=endpoint.version)


async def rotate_secret(command: RotateSecret, work: Work) -> Reply:
    """Sign with another secret, shown in this answer only."""
    endpoint = await _live(command.id, work)
    endpoint.rotate(command.secret, at=work.now, overlap=timedelta(hours=command.overlap_hours))
    work.save(endpoint)
    return Reply(body=webhook_shown(endpoint) | {"secret": command.secret}, version=endpoint.version)


async def delete_webhook(command: DeleteWebhook, work: Work) -> Reply:
    """Never called again; what still waited for it fails when its turn comes."""
    endpoint = await _live(command.id, work)
    endpoint.delete(at=work.now)
    work.save(endpoint)
    return Reply(body=webhook_shown(endpoint), version=endpoint.version)


async def test_webhook(command: TestWebhook, work: Work) -> Reply:
    """One delivery of a test event, with tries like any other."""
    endpoint = await _live(command.endpoint_id, work)
    delivery = Delivery(
        id=command.id,
        referral_id="",
        office_id=endpoint.office_id or "",
        kind=Kind.NOTICE,
        role=Role.COPY,
        to=webhook_destination(endpoint),
        news=News(command.id, TEST_EVENT, "", work.now),
        created_at=work.now,
        trigger="test",
        due_at=work.now,
    )
    work.save(delivery)
    return Reply(
        kind="created",
        body=delivery_shown(delivery),
        version=delivery.version,
        location=TestWebhook.location.format(id=delivery.id),
    )


def webhook_destination(endpoint: WebhookEndpoint) -> Destination:
    """An endpoint as the end of a delivery."""
    return Destination(
        route_id=endpoint.id,
        channel="webhook",
        address=endpoint.url,
        lane=endpoint.id,
        carries=endpoint.payload is Payload.FULL,
    )


async def _live(id: str, work: Work) -> WebhookEndpoint:
    endpoint = await work.load(WebhookEndpoint, id)
    if endpoint.deleted_at is not None:
        raise NotFound("There is nothing here by that id.")
    return endpoint
