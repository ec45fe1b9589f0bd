"""Every event that is published, as a model; strict for its producer, tolerant for its consumers."""

import json
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError

from baton_contracts.envelope import Envelope, sequence_text
from baton_contracts.event_types import EventType
from baton_contracts.events.appointments import (
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentEnteredInError,
    AppointmentEvent,
    AppointmentNoShow,
    AppointmentReinstated,
    AppointmentRescheduled,
    PatientArrived,
    VisitCompleted,
    VisitRetracted,
)
from baton_contracts.events.common import (
    CONSUMED,
    Actor,
    Clinician,
    Coding,
    Dataref,
    Event,
    ExternalId,
    Location,
    ReferralEvent,
    is_code,
    is_external_value,
)
from baton_contracts.events.documents import (
    CareReturned,
    CareReturnRetracted,
    ComanagementAgreed,
    ComanagementEnded,
    DocumentVersion,
    NoteCorrected,
    NoteDelivered,
    NoteReceived,
    NoteRetracted,
    NoteSigned,
)
from baton_contracts.events.notices import (
    DeliveryAcknowledged,
    DeliveryDelivered,
    DeliveryEvent,
    DeliveryFailed,
    DeliveryOpened,
    DeliverySent,
)
from baton_contracts.events.offices import OfficeChanged, OfficeEvent, OfficeRegistered, OfficeRoute
from baton_contracts.events.request import (
    ContactRoute,
    OfficeIdentity,
    ReferralAccepted,
    ReferralCancelled,
    ReferralCancelRefused,
    ReferralCancelRequested,
    ReferralDeclined,
    ReferralExpired,
    ReferralHeld,
    ReferralInfoRequested,
    ReferralInfoSupplied,
    ReferralMarkedInError,
    ReferralReceived,
    ReferralReleased,
    ReferralReopened,
    ReferralUpdated,
    ReferralWithdrawn,
)

EVENTS: Final[Mapping[EventType, type[Event]]] = MappingProxyType(
    {
        model.type: model
        for model in (
            ReferralReceived,
            ReferralUpdated,
            ReferralAccepted,
            ReferralDeclined,
            ReferralInfoRequested,
            ReferralInfoSupplied,
            ReferralHeld,
            ReferralReleased,
            ReferralCancelRequested,
            ReferralCancelRefused,
            ReferralCancelled,
            ReferralWithdrawn,
            ReferralExpired,
            ReferralReopened,
            ReferralMarkedInError,
            AppointmentBooked,
            AppointmentRescheduled,
            AppointmentCancelled,
            AppointmentNoShow,
            AppointmentReinstated,
            AppointmentEnteredInError,
            PatientArrived,
            VisitCompleted,
            VisitRetracted,
            NoteReceived,
            NoteSigned,
            NoteCorrected,
            NoteRetracted,
            NoteDelivered,
            CareReturned,
            CareReturnRetracted,
            ComanagementAgreed,
            ComanagementEnded,
            DeliverySent,
            DeliveryDelivered,
            DeliveryFailed,
            DeliveryOpened,
            DeliveryAcknowledged,
            OfficeRegistered,
            OfficeChanged,
        )
    }
)
"""The model of every event type."""


class UnknownEventType(LookupError):
    """A type that this version has no model for: note it, and read it again once the code knows it."""


class MalformedEvent(ValueError):
    """Data that breaks the schema of its type. The message names fields and rules, never a value."""


def parse(envelope: Envelope) -> Event:
    """The event in an envelope, as a consumer reads it: fields that this version does not know are passed
    over.

    Raises:
        UnknownEventType: there is no model for the envelope's type.
        MalformedEvent: a field that this version needs is missing or of another type.
    """
    model = _model(envelope.type)
    try:
        return model.model_validate(envelope.data, extra="ignore", context=CONSUMED)
    except ValidationError as error:
        raise MalformedEvent(_complaint(envelope.type, error)) from None


def validate_produced(event_type: str, body: Mapping[str, Any]) -> Event:
    """The event that a producer is about to publish, refused if it has any field that is not in the schema.

    Raises:
        UnknownEventType: there is no model for the type.
        MalformedEvent: the data does not fit the schema exactly.
    """
    model = _model(event_type)
    try:
        return model.model_validate_json(json.dumps(body), strict=True, extra="forbid")
    except ValidationError as error:
        raise MalformedEvent(_complaint(event_type, error)) from None


def enveloped(
    event: Event,
    *,
    event_id: str,
    practice_id: str,
    number: int,
    recorded_at: datetime,
    correlation_id: str,
    causation_id: str | None = None,
    traceparent: str | None = None,
) -> Envelope:
    """The envelope for one event; `number` is its place in its source, from 1.

    Raises:
        MalformedEnvelope: an argument cannot be a CloudEvents attribute.
        ValueError: the number is out of range.
    """
    return Envelope(
        id=event_id,
        source=event.stream,
        type=event.type.value,
        subject=event.entity_id,
        time=event.occurred_at,
        practiceid=practice_id,
        partitionkey=event.entity_id,
        sequence=sequence_text(number),
        recordedtime=recorded_at,
        correlationid=correlation_id,
        causationid=causation_id,
        traceparent=traceparent,
        dataschema=schema_uri(event.type),
        data=event.body(),
    )


def schema_uri(event_type: EventType) -> str:
    """The `dataschema` of a type: the `$id` of its published JSON Schema."""
    return f"urn:x-closed-loop:schema:{event_type.value}"


def _model(event_type: str) -> type[Event]:
    try:
        return EVENTS[EventType(event_type)]
    except ValueError:
        raise UnknownEventType("no model for this event type") from None


def _complaint(event_type: str, error: ValidationError) -> str:
    found = [
        ".".join(str(step) for step in problem["loc"]) + " " + problem["type"]
        for problem in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return f"{event_type}: " + ", ".join(found[:8])


__all__ = [
    "CONSUMED",
    "EVENTS",
    "Actor",
    "AppointmentBooked",
    "AppointmentCancelled",
    "AppointmentEnteredInError",
    "AppointmentEvent",
    "AppointmentNoShow",
    "AppointmentReinstated",
    "AppointmentRescheduled",
    "CareReturnRetracted",
    "CareReturned",
    "Clinician",
    "Coding",
    "ComanagementAgreed",
    "ComanagementEnded",
    "ContactRoute",
    "Dataref",
    "DeliveryAcknowledged",
    "DeliveryDelivered",
    "DeliveryEvent",
    "DeliveryFailed",
    "DeliveryOpened",
    "DeliverySent",
    "DocumentVersion",
    "Event",
    "EventType",
    "ExternalId",
    "Location",
    "MalformedEvent",
    "NoteCorrected",
    "NoteDelivered",
    "NoteReceived",
    "NoteRetracted",
    "NoteSigned",
    "OfficeChanged",
    "OfficeEvent",
    "OfficeIdentity",
    "OfficeRegistered",
    "OfficeRoute",
    "PatientArrived",
    "ReferralAccepted",
    "ReferralCancelRefused",
    "ReferralCancelRequested",
    "ReferralCancelled",
    "ReferralDeclined",
    "ReferralEvent",
    "ReferralExpired",
    "ReferralHeld",
    "ReferralInfoRequested",
    "ReferralInfoSupplied",
    "ReferralMarkedInError",
    "ReferralReceived",
    "ReferralReleased",
    "ReferralReopened",
    "ReferralUpdated",
    "ReferralWithdrawn",
    "UnknownEventType",
    "VisitCompleted",
    "VisitRetracted",
    "enveloped",
    "is_code",
    "is_external_value",
    "parse",
    "schema_uri",
    "validate_produced",
]
