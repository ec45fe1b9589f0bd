"""Which commands are legal now, for whom, and with which reasons.

Reports are never refused; commands may be.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from baton_contracts import codes
from baton_contracts.lifecycle.profiles import NATIVE, PartnerProfile
from baton_contracts.lifecycle.states import ACTIVE, REOPENABLE, UNSEEN, AppointmentStatus, Position, State


class Verb(StrEnum):
    """What can be asked of a referral, its appointments and its documents."""

    ACCEPT = "accept"
    DECLINE = "decline"
    REQUEST_INFO = "request-info"
    SUPPLY_INFO = "supply-info"
    HOLD = "hold"
    RELEASE = "release"
    CANCEL = "cancel"
    REQUEST_CANCEL = "request-cancel"
    CONFIRM_CANCEL = "confirm-cancel"
    REFUSE_CANCEL = "refuse-cancel"
    WITHDRAW = "withdraw"
    EXPIRE = "expire"
    REOPEN = "reopen"
    MARK_IN_ERROR = "mark-in-error"
    ASSIGN = "assign"
    UPDATE = "update"

    BOOK = "book"
    RESCHEDULE = "reschedule"
    CANCEL_APPOINTMENT = "cancel-appointment"
    NO_SHOW = "no-show"
    ARRIVE = "arrive"
    COMPLETE = "complete"
    REINSTATE = "reinstate"
    MARK_APPOINTMENT_IN_ERROR = "mark-appointment-in-error"
    RETRACT_VISIT = "retract-visit"

    RECORD_NOTE = "record-note"
    SIGN = "sign"
    CORRECT = "correct"
    RETRACT_NOTE = "retract-note"
    RETURN_CARE = "return-care"
    RETRACT_RETURN = "retract-return"
    AGREE_COMANAGEMENT = "agree-comanagement"
    END_COMANAGEMENT = "end-comanagement"


class Party(StrEnum):
    """On whose behalf something is asked."""

    OWN = "own"
    PMS = "pms"
    SENDER = "sender"
    TIMER = "timer"


class RefusalCode(StrEnum):
    """Why a command is refused."""

    ILLEGAL_TRANSITION = "illegal-transition"
    ALREADY_DONE = "already-done"
    ALREADY_SEEN = "already-seen"
    REASON_REQUIRED = "reason-required"
    UNKNOWN_REASON = "unknown-reason"
    NOT_FOR_PARTY = "not-for-party"
    NOT_FOR_PARTNER = "not-for-partner"
    UNKNOWN_VERB = "unknown-verb"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command that is not legal now. `detail` is fit for a problem document: it names codes only."""

    code: RefusalCode
    detail: str


@dataclass(frozen=True, slots=True)
class Rule:
    """When one verb is legal: in these states, for these parties, with a reason of this vocabulary."""

    states: frozenset[State]
    parties: frozenset[Party]
    reasons: type[StrEnum] | None = None
    reason_required: bool = False


_OWN: Final = frozenset({Party.OWN})
_OURS: Final = frozenset({Party.OWN, Party.PMS})
_TIMED: Final = frozenset({Party.OWN, Party.TIMER})
_BOTH: Final = frozenset({Party.OWN, Party.SENDER})
_EVERY: Final = frozenset(State)
_REAL: Final = _EVERY - {State.ENTERED_IN_ERROR}
_BEFORE_REPORT: Final = UNSEEN | {State.SEEN}
_REPORTED: Final = frozenset({State.NOTES_SENT})

RULES: Final[Mapping[Verb, Rule]] = MappingProxyType(
    {
        Verb.ACCEPT: Rule(frozenset({State.RECEIVED, State.SCHEDULED}), _TIMED),
        Verb.DECLINE: Rule(UNSEEN, _OWN, codes.DeclineReason, reason_required=True),
        Verb.REQUEST_INFO: Rule(UNSEEN, _OWN, codes.HoldReason),
        Verb.SUPPLY_INFO: Rule(UNSEEN, _BOTH),
        Verb.HOLD: Rule(UNSEEN, _TIMED, codes.HoldReason, reason_required=True),
        Verb.RELEASE: Rule(UNSEEN | {State.CANCEL_REQUESTED}, _TIMED),
        Verb.CANCEL: Rule(UNSEEN | {State.CANCEL_REQUESTED}, _BOTH, codes.CancelReason),
        Verb.REQUEST_CANCEL: Rule(_BEFORE_REPORT, _BOTH, codes.CancelReason),
        Verb.CONFIRM_CANCEL: Rule(frozenset({State.CANCEL_REQUESTED}), _OWN, codes.CancelReason),
        Verb.REFUSE_CANCEL: Rule(frozenset({State.CANCEL_REQUESTED}), _OWN, codes.CancelRefusalReason),
        Verb.WITHDRAW: Rule(UNSEEN, _BOTH, codes.WithdrawReason, reason_required=True),
        Verb.EXPIRE: Rule(UNSEEN, _TIMED, codes.ExpiryReason, reason_required=True),
        Verb.REOPEN: Rule(REOPENABLE, _OWN, codes.ReopenReason),
        Verb.MARK_IN_ERROR: Rule(_REAL, _BOTH, codes.ErrorReason),
        Verb.ASSIGN: Rule(ACTIVE, _OWN),
        Verb.UPDATE: Rule(_BEFORE_REPORT | {State.CANCEL_REQUESTED}, _BOTH),
        Verb.BOOK: Rule(ACTIVE, _OURS | {Party.SENDER}),
        Verb.RESCHEDULE: Rule(ACTIVE, _OURS),
        Verb.CANCEL_APPOINTMENT: Rule(_EVERY, _OURS, codes.AppointmentCancelReason),
        Verb.NO_SHOW: Rule(_EVERY, _OURS, codes.NoShowReason),
        Verb.ARRIVE: Rule(_REAL, _OURS),
        Verb.COMPLETE: Rule(_REAL, _OURS),
        Verb.REINSTATE: Rule(_REAL, _OURS, codes.RetractReason),
        Verb.MARK_APPOINTMENT_IN_ERROR: Rule(_EVERY, _OURS, codes.ErrorReason),
        Verb.RETRACT_VISIT: Rule(_EVERY, _OURS, codes.RetractReason),
        Verb.RECORD_NOTE: Rule(_REAL, _OURS),
        Verb.SIGN: Rule(_REAL, _OURS),
        Verb.CORRECT: Rule(_REAL, _OURS),
        Verb.RETRACT_NOTE: Rule(_EVERY, _OURS, codes.RetractReason),
        Verb.RETURN_CARE: Rule(_REPORTED, frozenset({Party.OWN, Party.SENDER, Party.TIMER})),
        Verb.RETRACT_RETURN: Rule(frozenset({State.CARE_RETURNED}), _OWN, codes.RetractReason),
        Verb.AGREE_COMANAGEMENT: Rule(_REPORTED, _OWN),
        Verb.END_COMANAGEMENT: Rule(frozenset({State.CO_MANAGED}), _OWN),
    }
)
"""One row per verb."""


def refusal(
    position: Position,
    verb: str,
    *,
    by: Party = Party.OWN,
    reason: str | None = None,
    profile: PartnerProfile = NATIVE,
) -> Refusal | None:
    """Why this command is not legal now, or None when it is. Total over verbs, reasons and positions."""
    if verb not in RULES or position.state is None:
        return Refusal(RefusalCode.UNKNOWN_VERB, "there is nothing here to which this could be done")
    known = Verb(verb)
    rule = RULES[known]
    if by not in rule.parties:
        return Refusal(RefusalCode.NOT_FOR_PARTY, f"{known} is not for {by}")
    if position.state not in rule.states:
        return Refusal(RefusalCode.ILLEGAL_TRANSITION, f"{known} is not possible while {position.state}")
    return _particular(position, known, by, profile) or _reason_refusal(rule, known, reason)


def allowed(
    position: Position,
    verb: str,
    *,
    by: Party = Party.OWN,
    reason: str | None = None,
    profile: PartnerProfile = NATIVE,
) -> bool:
    """Whether this command is legal now."""
    return refusal(position, verb, by=by, reason=reason, profile=profile) is None


def actions(
    position: Position, *, by: Party = Party.OWN, profile: PartnerProfile = NATIVE
) -> tuple[Verb, ...]:
    """The verbs that are legal now given a fitting reason, in the order of `Verb`."""
    return tuple(
        verb for verb in Verb if allowed(position, verb, by=by, reason=_any_reason(verb), profile=profile)
    )


def reasons(verb: Verb) -> tuple[str, ...]:
    """The reason codes that fit a verb; empty when it takes none."""
    vocabulary = RULES[verb].reasons
    return tuple(member.value for member in vocabulary) if vocabulary else ()


def sender_cancellation(position: Position, profile: PartnerProfile) -> Verb:
    """What a sender's cancellation means: done at once where its profile says so, else a request."""
    return Verb.CANCEL if profile.cancels_directly(position) else Verb.REQUEST_CANCEL


def appointment_refusal(status: AppointmentStatus, verb: Verb) -> Refusal | None:
    """Why this cannot be done to an appointment of this status, or None when it can. Total."""
    if verb in _APPOINTMENT_VERBS[status]:
        return None
    return Refusal(
        RefusalCode.ILLEGAL_TRANSITION, f"{verb} is not possible while the appointment is {status}"
    )


_LIVE_VERBS: Final = frozenset(
    {
        Verb.RESCHEDULE,
        Verb.CANCEL_APPOINTMENT,
        Verb.NO_SHOW,
        Verb.ARRIVE,
        Verb.COMPLETE,
        Verb.MARK_APPOINTMENT_IN_ERROR,
    }
)

_APPOINTMENT_VERBS: Final[Mapping[AppointmentStatus, frozenset[Verb]]] = MappingProxyType(
    {
        AppointmentStatus.BOOKED: _LIVE_VERBS,
        AppointmentStatus.RESCHEDULED: _LIVE_VERBS,
        AppointmentStatus.ARRIVED: _LIVE_VERBS - {Verb.RESCHEDULE, Verb.ARRIVE},
        # A cancellation may follow a no-show (S15 after S26), and a missed time may be moved.
        AppointmentStatus.NO_SHOW: _LIVE_VERBS - {Verb.NO_SHOW, Verb.ARRIVE} | {Verb.REINSTATE},
        AppointmentStatus.CANCELLED: frozenset(
            {Verb.REINSTATE, Verb.COMPLETE, Verb.NO_SHOW, Verb.MARK_APPOINTMENT_IN_ERROR}
        ),
        AppointmentStatus.COMPLETED: frozenset({Verb.RETRACT_VISIT}),
        AppointmentStatus.ENTERED_IN_ERROR: frozenset({Verb.REINSTATE}),
    }
)


def _particular(position: Position, verb: Verb, by: Party, profile: PartnerProfile) -> Refusal | None:
    """Rules that look further than the state."""
    if verb is Verb.ACCEPT and position.accepted:
        return Refusal(RefusalCode.ALREADY_DONE, "it is accepted already")
    if verb is Verb.SUPPLY_INFO and not _waits_for_info(position):
        return Refusal(RefusalCode.ILLEGAL_TRANSITION, "nothing was asked")
    if verb is Verb.RELEASE and position.hold is None:
        return Refusal(RefusalCode.ILLEGAL_TRANSITION, "there is no hold")
    if verb in (Verb.CANCEL, Verb.CONFIRM_CANCEL) and position.resume_to is State.SEEN:
        return Refusal(RefusalCode.ALREADY_SEEN, "the patient was seen: refuse it, the outcome follows")
    if verb is Verb.CANCEL and by is Party.SENDER and not profile.cancels_directly(position):
        return Refusal(RefusalCode.NOT_FOR_PARTNER, "this sender requests a cancellation")
    if verb is Verb.REOPEN and (position.state not in profile.reopens or position.redirected_to):
        return Refusal(RefusalCode.NOT_FOR_PARTNER, "it does not go on here: a new referral is needed")
    return None


def _waits_for_info(position: Position) -> bool:
    return position.hold is not None and position.hold.reason == codes.HoldReason.MISSING_INFO


def _reason_refusal(rule: Rule, verb: Verb, reason: str | None) -> Refusal | None:
    if reason is None:
        missing = rule.reason_required
        return Refusal(RefusalCode.REASON_REQUIRED, f"{verb} needs a reason") if missing else None
    if rule.reasons is not None and reason not in rule.reasons.__members__.values():
        return Refusal(RefusalCode.UNKNOWN_REASON, f"this is not a reason for {verb}")
    return None


def _any_reason(verb: Verb) -> str | None:
    return next(iter(reasons(verb)), None)
