"""From what happened here to the events of line `notices` and of offices: ids, codes, times, no address."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from baton_chassis.commands import Outgoing
from baton_contracts import events as contract
from baton_contracts.topics import PARTNER_EVENTS, REFERRAL_EVENTS
from baton_notification.domain.delivery import Delivery, DeliveryMoved, Kind
from baton_notification.domain.ladder import Status
from baton_notification.domain.office import Office, OfficeChanged, OfficeRegistered

_EVENT_OF_STATUS: Mapping[Status, type[contract.DeliveryEvent]] = {
    Status.SENT: contract.DeliverySent,
    Status.DELIVERED: contract.DeliveryDelivered,
    Status.OPENED: contract.DeliveryOpened,
    Status.ACKNOWLEDGED: contract.DeliveryAcknowledged,
    Status.FAILED: contract.DeliveryFailed,
    Status.BOUNCED: contract.DeliveryFailed,
    Status.EXPIRED: contract.DeliveryFailed,
}
_BY_PERSON = frozenset({"fetched_identified", "confirmed_by_person"})
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-.+/]{0,63}")


def delivery_outgoing(event: DeliveryMoved, delivery: Delivery) -> Outgoing | None:
    """A step of a delivery. Codes, tests, and what we decided not to send stay inside."""
    model = _EVENT_OF_STATUS.get(event.status)
    if model is None or delivery.kind is Kind.CODE or not delivery.referral_id:
        return None
    told = model(
        referral_id=delivery.referral_id,
        office_id=delivery.office_id,
        delivery_id=delivery.id,
        kind=delivery.kind.value,
        channel=delivery.to.channel,
        role=delivery.role.value,
        event_id=delivery.news.event_id,
        document=_version(delivery),
        code=event.code if event.code is not None and _CODE.fullmatch(event.code) else None,
        attempts=len(delivery.attempts),
        occurred_at=event.at,
        **_by_whom(event, delivery),
        **({"proof": event.proof} if model is contract.DeliveryDelivered else {}),
    )
    return _outgoing(told, REFERRAL_EVENTS, delivery.referral_id, event.at)


def office_outgoing(event: OfficeRegistered | OfficeChanged, office: Office) -> Outgoing:
    """An office as it is known from now on."""
    common: dict[str, Any] = {
        "office_id": office.id,
        "actor": contract.Actor(kind="service"),
        "assertion": "human" if isinstance(event, OfficeChanged) else "system_inferred",
        "occurred_at": event.at,
        "name": office.name,
        "external_ids": tuple(
            contract.ExternalId(system=system, value=value) for system, value in office.identifiers
        ),
        "routes": tuple(
            contract.OfficeRoute(id=route.id, channel=route.channel, verified_at=route.verified_at)
            for route in office.routes
        ),
        "time_zone": office.time_zone,
    }
    told: contract.OfficeEvent
    if isinstance(event, OfficeRegistered):
        told = contract.OfficeRegistered(**common, referral_id=event.referral_id)
    else:
        told = contract.OfficeChanged(**common, changed=event.changed)
    return _outgoing(told, PARTNER_EVENTS, office.id, event.at)


def _outgoing(told: contract.Event, topic: str, entity_id: str, at: datetime) -> Outgoing:
    return Outgoing(
        type=told.type.value,
        topic=topic,
        source=told.stream,
        subject=entity_id,
        key=entity_id,
        data=told.body(),
        occurred_at=at,
        dataschema=contract.schema_uri(told.type),
    )


def _version(delivery: Delivery) -> contract.DocumentVersion | None:
    document = delivery.document
    if document is None:
        return None
    return contract.DocumentVersion(id=document.id, version=document.version, sha256=document.sha256)


def _by_whom(event: DeliveryMoved, delivery: Delivery) -> dict[str, Any]:
    office = contract.Actor(kind="office", id=delivery.office_id)
    if event.status in (Status.OPENED, Status.ACKNOWLEDGED) or event.proof in _BY_PERSON:
        return {"actor": office, "assertion": "human"}
    if event.status is Status.DELIVERED:
        return {"actor": office, "assertion": "partner_system"}
    return {"actor": contract.Actor(kind="service"), "assertion": "system_inferred"}
