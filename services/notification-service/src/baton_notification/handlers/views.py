"""How offices, webhooks, deliveries and acknowledgements are shown: addresses masked, no secrets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from baton_notification.domain.acknowledgement import Acknowledgement
from baton_notification.domain.delivery import Attempt, Delivery
from baton_notification.domain.endpoint import WebhookEndpoint
from baton_notification.domain.office import Office


def moment(at: datetime | None) -> str | None:
    """A time as JSON has it: RFC 3339, UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at is not None else None


def masked(channel: str, address: str) -> str:
    """Enough of an address to recognise it: ``d***@example.org``, ``https://example.org/***``."""
    if channel == "webhook":
        parts = urlsplit(address)
        return f"{parts.scheme}://{parts.hostname}/***"
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}***@{domain}" if at else f"***{address[-2:]}"


def office_shown(office: Office) -> dict[str, Any]:
    """An office."""
    return {
        "id": office.id,
        "version": office.version,
        "name": office.name,
        "identifiers": [{"system": system, "value": value} for system, value in office.identifiers],
        "time_zone": office.time_zone,
        "routes": [
            {"id": route.id, "channel": route.channel, "address": route.address,
             "verified_at": moment(route.verified_at)}
            for route in office.routes
        ],
        "preferences": dict(office.preferences),
        "paused_at": moment(office.paused_at),
    }  # fmt: skip


def webhook_shown(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """A webhook endpoint, without its secrets."""
    return {
        "id": endpoint.id,
        "version": endpoint.version,
        "office_id": endpoint.office_id,
        "url": endpoint.url,
        "events": list(endpoint.patterns) if endpoint.patterns is not None else None,
        "format": endpoint.format.value,
        "payload": endpoint.payload.value,
        "agreement": endpoint.agreement,
        "enabled": endpoint.active,
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": moment(endpoint.failing_since),
        "created_at": moment(endpoint.created_at),
    }


def delivery_shown(delivery: Delivery) -> dict[str, Any]:
    """A delivery with its tries."""
    document = delivery.document
    return {
        "id": delivery.id,
        "version": delivery.version,
        "event_id": delivery.news.event_id,
        "event_type": delivery.news.event_type,
        "referral_id": delivery.referral_id or None,
        "office_id": delivery.office_id or None,
        "channel": delivery.to.channel,
        "destination": masked(delivery.to.channel, delivery.to.address),
        "kind": delivery.kind.value,
        "role": delivery.role.value,
        "document": {"id": document.id, "version": document.version} if document else None,
        "status": delivery.status.value,
        "code": delivery.code,
        "attempts": [_attempt_shown(attempt) for attempt in delivery.attempts],
        "next_attempt_at": moment(delivery.due_at) if delivery.unsent else None,
        "created_at": moment(delivery.created_at),
        "updated_at": moment(delivery.updated_at or delivery.created_at),
    }


def acknowledgement_shown(acknowledgement: Acknowledgement) -> dict[str, Any]:
    """What an office confirmed."""
    return {
        "id": acknowledgement.id,
        "referral_id": acknowledgement.referral_id,
        "office_id": acknowledgement.office_id,
        "at": moment(acknowledgement.at),
        "identified": acknowledgement.identified,
        "covers": "documents" if acknowledgement.documents else "notice",
        "documents": [{"id": one.id, "version": one.version} for one in acknowledgement.documents],
        "delivery_ids": list(acknowledgement.delivery_ids),
    }


def _attempt_shown(attempt: Attempt) -> dict[str, Any]:
    return {
        "at": moment(attempt.at),
        "trigger": attempt.trigger,
        "outcome": attempt.outcome,
        "code": attempt.code,
        "duration_ms": attempt.duration_ms,
    }
