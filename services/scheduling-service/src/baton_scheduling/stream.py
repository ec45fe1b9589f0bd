"""What scheduling hears: where each referral stands, and that one it was waiting for has arrived."""

from __future__ import annotations

from collections.abc import Mapping

from baton_chassis.consumer import EventHandler, Subscription
from baton_chassis.errors import Poison
from baton_chassis.work import Work
from baton_contracts.envelope import Envelope
from baton_contracts.event_types import EventType
from baton_contracts.events import MalformedEvent, ReferralReceived, parse
from baton_contracts.lifecycle import fact_of
from baton_contracts.topics import ADDRESSES, REFERRAL_EVENTS, SCHEDULING, Line
from baton_scheduling.domain.standing import ReferralStanding

_HEARD = (Line.REQUEST, Line.APPOINTMENTS, Line.DOCUMENTS)


async def on_referral_received(event: Envelope, work: Work) -> None:
    """A referral is here: know it by all its names, and run what waited for it."""
    try:
        received = parse(event)
    except MalformedEvent:
        raise Poison("malformed-event") from None
    assert isinstance(received, ReferralReceived)
    standing = ReferralStanding(
        id=received.referral_id, patient_id=received.patient_id, office_id=received.office_id
    )
    standing.hear(fact_of(event.type, event.data))
    work.save(standing)
    names = [("", received.referral_id), *((name.system, name.value) for name in received.names)]
    await work.arrived("referral", names, received.referral_id)


async def on_fact(event: Envelope, work: Work) -> None:
    """Any later fact of a referral moves where it stands."""
    standing = await work.find(ReferralStanding, event.subject)
    if standing is None:
        raise Poison("unknown-referral")
    try:
        standing.hear(fact_of(event.type, event.data))
    except ValueError:
        raise Poison("malformed-event") from None
    work.save(standing)


REACTS: Mapping[str, EventHandler] = {
    type_.value: on_fact for type_, address in ADDRESSES.items() if address.line in _HEARD
} | {EventType.REFERRAL_RECEIVED.value: on_referral_received}

SUBSCRIPTION = Subscription(consumer=SCHEDULING, topics=(REFERRAL_EVENTS,), handlers=REACTS)
