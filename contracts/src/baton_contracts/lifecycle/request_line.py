"""The fold of line `request`: what intake says became of the asking."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from baton_contracts.codes import Assertion, HoldReason, ReopenTo
from baton_contracts.event_types import EventType
from baton_contracts.lifecycle.facts import Fact
from baton_contracts.lifecycle.states import Hold, State


@dataclass(frozen=True, slots=True)
class RequestLine:
    """What the request line says by itself. `ending` is declined, cancelled, withdrawn or expired."""

    received: bool = False
    accepted: bool = False
    ending: State | None = None
    reason: str | None = None
    cancel_requested: bool = False
    in_error: bool = False
    hold: Hold | None = None
    needs_review: bool = False
    duplicate_of: str | None = None
    redirected_to: str | None = None

    def after(self, fact: Fact) -> "RequestLine":
        """The line with one more fact; a fact of another line or of an unknown type changes nothing."""
        step = _STEPS.get(fact.type)
        return self if step is None else step(self, fact)


def _received(line: RequestLine, _: Fact) -> RequestLine:
    return replace(line, received=True)


def _accepted(line: RequestLine, _: Fact) -> RequestLine:
    return line if line.ending else replace(line, accepted=True)


def _held(line: RequestLine, fact: Fact) -> RequestLine:
    if line.ending:
        return line
    hold = Hold(fact.reason or HoldReason.OTHER.value, fact.occurred_at, fact.moment("until"))
    return replace(line, hold=hold, needs_review=False)


def _info_requested(line: RequestLine, fact: Fact) -> RequestLine:
    return _held(line, replace(fact, reason=fact.reason or HoldReason.MISSING_INFO.value))


def _info_supplied(line: RequestLine, fact: Fact) -> RequestLine:
    if line.hold is None or line.hold.reason != HoldReason.MISSING_INFO:
        return line
    if fact.assertion in (Assertion.PARTNER_SYSTEM, Assertion.SYSTEM_INFERRED):
        return replace(line, needs_review=True)
    return replace(line, hold=None, needs_review=False)


def _released(line: RequestLine, _: Fact) -> RequestLine:
    return replace(line, hold=None, needs_review=False)


def _cancel_requested(line: RequestLine, _: Fact) -> RequestLine:
    return line if line.ending else replace(line, cancel_requested=True)


def _cancel_refused(line: RequestLine, _: Fact) -> RequestLine:
    return replace(line, cancel_requested=False)


def _reopened(line: RequestLine, fact: Fact) -> RequestLine:
    if line.ending is None:
        return line
    accepted = fact.text("to") != ReopenTo.RECEIVED
    return replace(line, accepted=accepted, ending=None, reason=None, redirected_to=None)


def _marked_in_error(line: RequestLine, fact: Fact) -> RequestLine:
    return replace(line, in_error=True, duplicate_of=fact.text("duplicate_of"))


def _ended(ending: State) -> Callable[[RequestLine, Fact], RequestLine]:
    def step(line: RequestLine, fact: Fact) -> RequestLine:
        redirected_to = fact.part("redirected_to").get("value")
        return replace(
            line,
            ending=ending,
            reason=fact.reason,
            cancel_requested=False,
            hold=None,
            needs_review=False,
            redirected_to=redirected_to if isinstance(redirected_to, str) else None,
        )

    return step


_STEPS: Final[Mapping[str, Callable[[RequestLine, Fact], RequestLine]]] = MappingProxyType(
    {
        EventType.REFERRAL_RECEIVED: _received,
        EventType.REFERRAL_ACCEPTED: _accepted,
        EventType.REFERRAL_DECLINED: _ended(State.DECLINED),
        EventType.REFERRAL_INFO_REQUESTED: _info_requested,
        EventType.REFERRAL_INFO_SUPPLIED: _info_supplied,
        EventType.REFERRAL_HELD: _held,
        EventType.REFERRAL_RELEASED: _released,
        EventType.REFERRAL_CANCEL_REQUESTED: _cancel_requested,
        EventType.REFERRAL_CANCEL_REFUSED: _cancel_refused,
        EventType.REFERRAL_CANCELLED: _ended(State.CANCELLED),
        EventType.REFERRAL_WITHDRAWN: _ended(State.WITHDRAWN),
        EventType.REFERRAL_EXPIRED: _ended(State.EXPIRED),
        EventType.REFERRAL_REOPENED: _reopened,
        EventType.REFERRAL_MARKED_IN_ERROR: _marked_in_error,
    }
)
