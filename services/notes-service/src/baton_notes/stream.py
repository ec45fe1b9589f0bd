"""What notes hears: where each referral stands, that one has arrived, and what became of deliveries."""

from __future__ import annotations

from collections.abc import Mapping

from baton_chassis.consumer import EventHandler, Subscription
from baton_chassis.errors import Poison
from baton_chassis.work import Work
from baton_contracts.codes import DeliveryKind, DeliveryRole
from baton_contracts.envelope import Envelope
from baton_contracts.event_types import EventType
from baton_contracts.events import (
    DeliveryAcknowledged,
    DeliveryDelivered,
    DeliveryEvent,
    Event,
    MalformedEvent,
    ReferralReceived,
    parse,
)
from baton_contracts.lifecycle import fact_of
from baton_contracts.topics import ADDRESSES, NOTES, REFERRAL_EVENTS, Line
from baton_notes.commands import DeliveredDocument, RecordAcknowledgement, RecordDelivery
from baton_notes.domain.care import Care
from baton_notes.domain.note import Note

_HEARD = (Line.REQUEST, Line.APPOINTMENTS)
"""Its own line of documents is taken in when it is written, not when it comes back."""


async def on_referral_received(event: Envelope, work: Work) -> None:
    """A referral is here: know it by all its names, and run what waited for it."""
    received = _read(event)
    assert isinstance(received, ReferralReceived)
    care = Care(id=received.referral_id, patient_id=received.patient_id, office_id=received.office_id)
    care.hear(fact_of(event.type, event.data))
    work.save(care)
    names = [("", received.referral_id), *((name.system, name.value) for name in received.names)]
    await work.arrived("referral", names, received.referral_id)


async def on_fact(event: Envelope, work: Work) -> None:
    """Any later fact of a referral moves where it stands."""
    care = await work.find(Care, event.subject)
    if care is None:
        raise Poison("unknown-referral")
    try:
        care.hear(fact_of(event.type, event.data))
    except ValueError:
        raise Poison("malformed-event") from None
    work.save(care)


async def on_delivered(event: Envelope, work: Work) -> None:
    """A document of ours reached the referrer."""
    delivered = _read(event)
    assert isinstance(delivered, DeliveryDelivered)
    document = _document(delivered)
    if document is None or await work.find(Note, document.id) is None:
        return
    await work.run(
        RecordDelivery(
            id=document.id,
            document=document,
            delivery_id=delivered.delivery_id,
            proof=delivered.proof,
            delivered_at=delivered.occurred_at,
        )
    )


async def on_acknowledged(event: Envelope, work: Work) -> None:
    """The referring office said that it has a document of ours."""
    said = _read(event)
    assert isinstance(said, DeliveryAcknowledged)
    document = _document(said)
    if document is None or await work.find(Note, document.id) is None:
        return
    await work.run(
        RecordAcknowledgement(
            id=document.id,
            document=document,
            delivery_id=said.delivery_id,
            office_id=said.office_id,
            acknowledged_at=said.occurred_at,
        )
    )


def _document(event: DeliveryEvent) -> DeliveredDocument | None:
    """The document that a delivery to the referrer carried; a copy to others closes nothing."""
    told = event.document
    if told is None or event.kind != DeliveryKind.DOCUMENT or event.role != DeliveryRole.REFERRER:
        return None
    return DeliveredDocument(id=told.id, edition=told.version, sha256=told.sha256)


def _read(event: Envelope) -> Event:
    try:
        return parse(event)
    except MalformedEvent:
        raise Poison("malformed-event") from None


REACTS: Mapping[str, EventHandler] = {
    **{type_.value: on_fact for type_, address in ADDRESSES.items() if address.line in _HEARD},
    EventType.REFERRAL_RECEIVED.value: on_referral_received,
    EventType.DELIVERY_DELIVERED.value: on_delivered,
    EventType.DELIVERY_ACKNOWLEDGED.value: on_acknowledged,
}

SUBSCRIPTION = Subscription(consumer=NOTES, topics=(REFERRAL_EVENTS,), handlers=REACTS)
