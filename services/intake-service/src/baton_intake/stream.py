"""What intake hears of its referrals from the services that book, see and report."""

from __future__ import annotations

from baton_chassis.consumer import EventHandler, Subscription
from baton_chassis.errors import Poison
from baton_chassis.work import Work
from baton_contracts.envelope import Envelope
from baton_contracts.lifecycle import fact_of
from baton_contracts.topics import ADDRESSES, INTAKE, REFERRAL_EVENTS, Line
from baton_intake.domain.referral import Referral

_HEARD = (Line.APPOINTMENTS, Line.DOCUMENTS)


async def on_fact_of_another_line(event: Envelope, work: Work) -> None:
    """Take what another line says into the referral, so that its state here is what it is everywhere."""
    referral = await work.find(Referral, event.subject)
    if referral is None:
        raise Poison("unknown-referral")
    try:
        fact = fact_of(event.type, event.data)
    except ValueError:
        raise Poison("malformed-event") from None
    referral.hear(fact, at=work.now)
    work.save(referral)


REACTS: dict[str, EventHandler] = {
    type_.value: on_fact_of_another_line for type_, address in ADDRESSES.items() if address.line in _HEARD
}
"""Facts of intake's own lines come back too and only advance their line: they were taken in when they were
decided.
"""

SUBSCRIPTION = Subscription(consumer=INTAKE, topics=(REFERRAL_EVENTS,), handlers=REACTS)
