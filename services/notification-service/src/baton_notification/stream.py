"""What notification hears of every referral. Here rows are written; nothing is ever sent from here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from baton_chassis.consumer import EventHandler, Subscription
from baton_chassis.errors import Poison
from baton_chassis.work import Work
from baton_contracts import events as contract
from baton_contracts.envelope import Envelope
from baton_contracts.lifecycle import fact_of
from baton_contracts.topics import ADDRESSES, NOTIFICATION, REFERRAL_EVENTS, Line
from baton_notification.handlers import following
from baton_notification.handlers.following import Read

_HEARD = (Line.REQUEST, Line.APPOINTMENTS, Line.DOCUMENTS)
NewHandle = Callable[[], str]
"""Gives the handle of a new page: 128 random bits as text that fits a URL."""


def subscription(new_handle: NewHandle) -> Subscription:
    """Everything about referrals except our own line."""

    async def on_referral_received(event: Envelope, work: Work) -> None:
        await following.receive(_parsed(event), _read(event), new_handle(), work)

    own: dict[str, EventHandler] = {
        contract.ReferralReceived.type.value: on_referral_received,
        contract.ReferralUpdated.type.value: _on(following.update),
        contract.NoteSigned.type.value: _on(following.sign),
        contract.NoteCorrected.type.value: _on(following.sign),
        contract.NoteRetracted.type.value: _on(following.retract),
    }
    heard = {type_.value for type_, address in ADDRESSES.items() if address.line in _HEARD}
    return Subscription(
        consumer=NOTIFICATION,
        topics=(REFERRAL_EVENTS,),
        handlers={type_: own.get(type_, _on_any_fact) for type_ in sorted(heard)},
    )


def _on(react: Callable[[Any, Read, Work], Awaitable[None]]) -> EventHandler:
    async def handler(event: Envelope, work: Work) -> None:
        await react(_parsed(event), _read(event), work)

    return handler


async def _on_any_fact(event: Envelope, work: Work) -> None:
    await following.hear(event.subject, _read(event), work)


def _parsed(event: Envelope) -> Any:
    try:
        return contract.parse(event)
    except (contract.MalformedEvent, contract.UnknownEventType):
        raise Poison("malformed-event") from None


def _read(event: Envelope) -> Read:
    try:
        fact = fact_of(event.type, event.data)
    except ValueError:
        raise Poison("malformed-event") from None
    return Read(event_id=event.id, fact=fact, envelope=event.to_bytes())
