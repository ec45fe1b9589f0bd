"""What a step of another standard means here: a command that may be refused, or a report that is recorded."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from baton_contracts.codes import AppointmentKind, Assertion, DocumentKind
from baton_contracts.event_types import EventType
from baton_contracts.lifecycle import (
    NATIVE,
    Fact,
    Lines,
    PartnerProfile,
    Party,
    Verb,
    fold,
    refusal,
    sender_cancellation,
)

MOMENT: Final = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
"""When everything in a vector happens; the lifecycle knows no clock, so one moment is enough."""

EVENT_OF: Final[Mapping[str, EventType]] = MappingProxyType(
    {
        Verb.ACCEPT: EventType.REFERRAL_ACCEPTED,
        Verb.DECLINE: EventType.REFERRAL_DECLINED,
        Verb.REQUEST_INFO: EventType.REFERRAL_INFO_REQUESTED,
        Verb.SUPPLY_INFO: EventType.REFERRAL_INFO_SUPPLIED,
        Verb.HOLD: EventType.REFERRAL_HELD,
        Verb.RELEASE: EventType.REFERRAL_RELEASED,
        Verb.CANCEL: EventType.REFERRAL_CANCELLED,
        Verb.REQUEST_CANCEL: EventType.REFERRAL_CANCEL_REQUESTED,
        Verb.CONFIRM_CANCEL: EventType.REFERRAL_CANCELLED,
        Verb.REFUSE_CANCEL: EventType.REFERRAL_CANCEL_REFUSED,
        Verb.WITHDRAW: EventType.REFERRAL_WITHDRAWN,
        Verb.EXPIRE: EventType.REFERRAL_EXPIRED,
        Verb.REOPEN: EventType.REFERRAL_REOPENED,
        Verb.MARK_IN_ERROR: EventType.REFERRAL_MARKED_IN_ERROR,
        Verb.UPDATE: EventType.REFERRAL_UPDATED,
        Verb.BOOK: EventType.APPOINTMENT_BOOKED,
        Verb.RESCHEDULE: EventType.APPOINTMENT_RESCHEDULED,
        Verb.CANCEL_APPOINTMENT: EventType.APPOINTMENT_CANCELLED,
        Verb.NO_SHOW: EventType.APPOINTMENT_NO_SHOW,
        Verb.ARRIVE: EventType.PATIENT_ARRIVED,
        Verb.COMPLETE: EventType.VISIT_COMPLETED,
        Verb.REINSTATE: EventType.APPOINTMENT_REINSTATED,
        Verb.MARK_APPOINTMENT_IN_ERROR: EventType.APPOINTMENT_ENTERED_IN_ERROR,
        Verb.RETRACT_VISIT: EventType.VISIT_RETRACTED,
        Verb.SIGN: EventType.NOTE_SIGNED,
        Verb.CORRECT: EventType.NOTE_CORRECTED,
        Verb.RETRACT_NOTE: EventType.NOTE_RETRACTED,
        Verb.RETURN_CARE: EventType.CARE_RETURNED,
        Verb.RETRACT_RETURN: EventType.CARE_RETURN_RETRACTED,
        Verb.AGREE_COMANAGEMENT: EventType.COMANAGEMENT_AGREED,
        Verb.END_COMANAGEMENT: EventType.COMANAGEMENT_ENDED,
    }
)
"""The event that a granted command records."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A command. `verb` is text because a standard may ask for what does not exist here."""

    verb: str
    by: Party = Party.OWN
    reason: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tell:
    """A report: recorded, never refused."""

    type: EventType
    reason: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    assertion: Assertion = Assertion.HUMAN


@dataclass(frozen=True, slots=True)
class SenderCancels:
    """The sender says that it cancels: what that means depends on its profile."""

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class RefusedElsewhere:
    """Refused by the other system or by the door before the lifecycle is asked; nothing is recorded."""

    why: str


@dataclass(frozen=True, slots=True)
class NewReferral:
    """Another referral begins; the old one stays as it is."""


Step = Ask | Tell | SenderCancels | RefusedElsewhere | NewReferral


@dataclass(frozen=True, slots=True)
class Run:
    """A referral while steps happen to it; `refused` counts the steps that were refused."""

    lines: Lines = field(default_factory=Lines)
    profile: PartnerProfile = NATIVE
    refused: int = 0

    def after(self, step: Step) -> "Run":
        """The run with one more step."""
        match step:
            case Tell(type_, reason, attributes, assertion):
                return self._recorded(Fact(type_, MOMENT, reason, assertion, attributes))
            case Ask():
                return self._asked(step)
            case SenderCancels(reason):
                verb = sender_cancellation(self.lines.position, self.profile)
                return self._asked(Ask(verb, Party.SENDER, reason))
            case RefusedElsewhere():
                return self._refused()
            case NewReferral():
                return Run(fold([received()]), self.profile, self.refused)

    def _asked(self, ask: Ask) -> "Run":
        position = self.lines.position
        if refusal(position, ask.verb, by=ask.by, reason=ask.reason, profile=self.profile) is not None:
            return self._refused()
        fact = Fact(EVENT_OF[ask.verb], MOMENT, ask.reason, Assertion.HUMAN, ask.attributes)
        return self._recorded(fact)

    def _recorded(self, fact: Fact) -> "Run":
        return Run(self.lines.after(fact), self.profile, self.refused)

    def _refused(self) -> "Run":
        return Run(self.lines, self.profile, self.refused + 1)


def run(facts: Iterable[Fact], steps: Iterable[Step], profile: PartnerProfile) -> Run:
    """Let steps happen to a referral of which these facts are known."""
    state = Run(fold(facts), profile)
    for step in steps:
        state = state.after(step)
    return state


def received() -> Fact:
    """A referral arrives."""
    return Fact(EventType.REFERRAL_RECEIVED, MOMENT, assertion=Assertion.PARTNER_SYSTEM)


def appointment(appointment_id: str, kind: AppointmentKind = AppointmentKind.VISIT) -> Mapping[str, Any]:
    """The attributes of a fact about an appointment."""
    return {"appointment_id": appointment_id, "kind": kind.value, "start": MOMENT.isoformat()}


def document(document_id: str, kind: DocumentKind, version: int = 1) -> Mapping[str, Any]:
    """The attributes of a fact about a note."""
    return {"document": {"id": document_id, "version": version}, "kind": kind.value}
