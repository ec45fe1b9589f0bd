"""Who hears of it: one row per thing an office is told, read from the top, the first that fits decides."""

from collections.abc import Collection, Set
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from typing import Final

from baton_contracts.codes import AppointmentKind, DocumentKind, HoldReason
from baton_contracts.event_types import EventType
from baton_contracts.lifecycle.facts import Fact
from baton_contracts.lifecycle.states import ACTIVE, UNSEEN, Position, State


class Urgency(StrEnum):
    """How the referring office hears."""

    AT_ONCE = "at_once"
    DIGEST = "digest"
    DOCUMENT = "document"
    NONE = "none"


class Template(StrEnum):
    """The name of what the office is told."""

    RECEIVED = "received"
    ACCEPTED = "accepted"
    INFO_REQUESTED = "info_requested"
    INFO_RECEIVED = "info_received"
    ON_HOLD = "on_hold"
    HOLD_RELEASED = "hold_released"
    SCHEDULED = "scheduled"
    RESCHEDULED = "rescheduled"
    APPOINTMENT_CANCELLED = "appointment_cancelled"
    NO_SHOW = "no_show"
    APPOINTMENT_CORRECTED = "appointment_corrected"
    FOLLOW_UP_SCHEDULED = "follow_up_scheduled"
    FOLLOW_UP_CANCELLED = "follow_up_cancelled"
    FOLLOW_UP_NO_SHOW = "follow_up_no_show"
    SEEN = "seen"
    VISIT_CORRECTED = "visit_corrected"
    INTERIM_DOCUMENT = "interim_document"
    DOCUMENT = "document"
    DOCUMENT_CHANGED = "document_changed"
    DOCUMENT_RETRACTED = "document_retracted"
    CARE_RETURNED = "care_returned"
    CARE_RETURN_CORRECTED = "care_return_corrected"
    CO_MANAGED = "co_managed"
    CO_MANAGEMENT_ENDED = "co_management_ended"
    DECLINED = "declined"
    CANCEL_RECEIVED = "cancel_received"
    CANCEL_REFUSED = "cancel_refused"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    REOPENED = "reopened"
    ENTERED_IN_ERROR = "entered_in_error"


@dataclass(frozen=True, slots=True)
class Notice:
    """What the office is to be told, and how soon."""

    urgency: Urgency
    template: Template


@dataclass(frozen=True, slots=True)
class Row:
    """One row: this event, under these conditions, makes this notice. A condition that is None always holds.

    `before` and `after` are the referral's states around the event, `reasons` the event's reason, `kinds`
    its `kind`, `changed` at least one of its changed fields, `told` at least one template that this office
    was told before.
    """

    event: EventType
    urgency: Urgency
    template: Template | None = None
    _: KW_ONLY
    before: frozenset[State] | None = None
    after: frozenset[State] | None = None
    reasons: Set[str] | None = None
    kinds: Set[str] | None = None
    changed: frozenset[str] | None = None
    told: frozenset[Template] | None = None

    def fits(self, fact: Fact, before: State | None, after: State | None, told: Collection[str]) -> bool:
        """Whether every condition of the row holds."""
        return (
            self.event == fact.type
            and (self.before is None or before in self.before)
            and (self.after is None or after in self.after)
            and (self.reasons is None or fact.reason in self.reasons)
            and (self.kinds is None or fact.text("kind") in self.kinds)
            and (self.changed is None or not self.changed.isdisjoint(_changed(fact)))
            and (self.told is None or not self.told.isdisjoint(told))
        )


def who_hears(
    fact: Fact, before: Position | None, after: Position, told: Collection[str] = ()
) -> Notice | None:
    """What the referring office is told about this fact, or None.

    `before` and `after` are the referral's positions around the fact; `told` are the templates that this
    office was told about this referral so far. Total over facts of any type.
    """
    state = before.state if before else None
    for row in TABLE:
        if row.fits(fact, state, after.state, told):
            return Notice(row.urgency, row.template) if row.template else None
    return None


def _changed(fact: Fact) -> Collection[str]:
    value = fact.attributes.get("changed")
    return [item for item in value if isinstance(item, str)] if isinstance(value, list | tuple) else ()


E, T = EventType, Template

_NOW: Final = Urgency.AT_ONCE
_DIGEST: Final = Urgency.DIGEST
_DOCUMENT: Final = Urgency.DOCUMENT
_NONE: Final = Urgency.NONE

_UNBOOKED: Final = frozenset({State.RECEIVED, State.ACCEPTED})
_SCHEDULED: Final = frozenset({State.SCHEDULED})
_SEEN: Final = frozenset({State.SEEN})
_AFTER_VISIT: Final = frozenset({State.SEEN, State.NOTES_SENT, State.CO_MANAGED})
_CARE_RETURNED: Final = frozenset({State.CARE_RETURNED})
_ENTERED_IN_ERROR: Final = frozenset({State.ENTERED_IN_ERROR})

_PRESSING_HOLDS: Final = frozenset({HoldReason.PATIENT_UNREACHABLE, HoldReason.AUTH_DENIED})
_DATE_OR_CLINICIAN: Final = frozenset({"start", "clinician"})
_VISIT: Final = frozenset({AppointmentKind.VISIT})
_INTERIM: Final = frozenset({DocumentKind.INTERIM})
_ADDENDUM: Final = frozenset({DocumentKind.ADDENDUM})

_TOLD_OF_TIME: Final = frozenset({T.SCHEDULED, T.RESCHEDULED, T.FOLLOW_UP_SCHEDULED})
_TOLD_OF_MISS: Final = frozenset(
    {
        T.APPOINTMENT_CANCELLED,
        T.NO_SHOW,
        T.FOLLOW_UP_CANCELLED,
        T.FOLLOW_UP_NO_SHOW,
        T.APPOINTMENT_CORRECTED,
    }
)
_TOLD_OF_REPORT: Final = frozenset({T.DOCUMENT, T.DOCUMENT_CHANGED})
_TOLD_OF_DOCUMENT: Final = _TOLD_OF_REPORT | {T.INTERIM_DOCUMENT}
_TOLD_OF_RETURN: Final = frozenset({T.CARE_RETURNED, T.CO_MANAGEMENT_ENDED})

TABLE: Final[tuple[Row, ...]] = (
    Row(E.REFERRAL_RECEIVED, _NOW, T.RECEIVED),
    Row(E.REFERRAL_UPDATED, _NONE),
    Row(E.REFERRAL_ACCEPTED, _NOW, T.ACCEPTED, after=ACTIVE),
    Row(E.REFERRAL_ACCEPTED, _NONE),
    Row(E.REFERRAL_INFO_REQUESTED, _NOW, T.INFO_REQUESTED, after=ACTIVE),
    Row(E.REFERRAL_INFO_REQUESTED, _NONE),
    Row(E.REFERRAL_INFO_SUPPLIED, _DIGEST, T.INFO_RECEIVED),
    Row(E.REFERRAL_HELD, _NOW, T.ON_HOLD, reasons=_PRESSING_HOLDS),
    Row(E.REFERRAL_HELD, _DIGEST, T.ON_HOLD),
    Row(E.REFERRAL_RELEASED, _DIGEST, T.HOLD_RELEASED, told=frozenset({T.ON_HOLD, T.INFO_REQUESTED})),
    Row(E.REFERRAL_RELEASED, _NONE),
    Row(E.REFERRAL_CANCEL_REQUESTED, _NOW, T.CANCEL_RECEIVED),
    Row(E.REFERRAL_CANCEL_REFUSED, _NOW, T.CANCEL_REFUSED),
    Row(E.REFERRAL_CANCELLED, _NOW, T.CANCELLED),
    Row(E.REFERRAL_DECLINED, _NOW, T.DECLINED),
    Row(E.REFERRAL_WITHDRAWN, _NOW, T.WITHDRAWN),
    Row(E.REFERRAL_EXPIRED, _NOW, T.EXPIRED),
    Row(E.REFERRAL_REOPENED, _NOW, T.REOPENED, after=ACTIVE),
    Row(E.REFERRAL_REOPENED, _NONE),
    Row(E.REFERRAL_MARKED_IN_ERROR, _NOW, T.ENTERED_IN_ERROR, told=frozenset(T)),
    Row(E.REFERRAL_MARKED_IN_ERROR, _NONE),
    # Appointments move the referral before the visit, are news after it, and are no news once it ended.
    Row(E.APPOINTMENT_BOOKED, _NOW, T.FOLLOW_UP_SCHEDULED, before=_AFTER_VISIT),
    Row(E.APPOINTMENT_BOOKED, _NOW, T.SCHEDULED, after=_SCHEDULED, kinds=_VISIT),
    Row(E.APPOINTMENT_BOOKED, _NONE),
    Row(E.APPOINTMENT_RESCHEDULED, _NOW, T.RESCHEDULED, before=_UNBOOKED, after=_SCHEDULED),
    Row(E.APPOINTMENT_RESCHEDULED, _NOW, T.RESCHEDULED, after=_SCHEDULED, changed=_DATE_OR_CLINICIAN),
    Row(
        E.APPOINTMENT_RESCHEDULED,
        _NOW,
        T.FOLLOW_UP_SCHEDULED,
        before=_AFTER_VISIT,
        changed=_DATE_OR_CLINICIAN,
    ),
    Row(E.APPOINTMENT_RESCHEDULED, _NONE),
    Row(E.APPOINTMENT_CANCELLED, _NOW, T.FOLLOW_UP_CANCELLED, before=_AFTER_VISIT),
    Row(E.APPOINTMENT_CANCELLED, _NOW, T.APPOINTMENT_CANCELLED, after=UNSEEN, told=_TOLD_OF_TIME),
    Row(E.APPOINTMENT_CANCELLED, _NOW, T.APPOINTMENT_CANCELLED, after=UNSEEN, kinds=_VISIT),
    Row(E.APPOINTMENT_CANCELLED, _NONE),
    Row(E.APPOINTMENT_NO_SHOW, _NOW, T.FOLLOW_UP_NO_SHOW, before=_AFTER_VISIT),
    Row(E.APPOINTMENT_NO_SHOW, _NOW, T.NO_SHOW, after=UNSEEN),
    Row(E.APPOINTMENT_NO_SHOW, _NONE),
    Row(E.APPOINTMENT_REINSTATED, _NOW, T.APPOINTMENT_CORRECTED, after=ACTIVE, told=_TOLD_OF_MISS),
    Row(E.APPOINTMENT_REINSTATED, _NOW, T.SCHEDULED, after=_SCHEDULED),
    Row(E.APPOINTMENT_REINSTATED, _NONE),
    Row(E.APPOINTMENT_ENTERED_IN_ERROR, _NOW, T.APPOINTMENT_CORRECTED, after=ACTIVE, told=_TOLD_OF_TIME),
    Row(E.APPOINTMENT_ENTERED_IN_ERROR, _NONE),
    Row(E.PATIENT_ARRIVED, _NONE),
    Row(E.VISIT_COMPLETED, _NONE, before=_SEEN),
    Row(E.VISIT_COMPLETED, _NOW, T.SEEN, after=_SEEN),
    Row(E.VISIT_COMPLETED, _NONE),
    Row(E.VISIT_RETRACTED, _NOW, T.VISIT_CORRECTED, told=frozenset({T.SEEN})),
    Row(E.VISIT_RETRACTED, _NONE),
    # Signing makes a document go out; that it was delivered is news for our side, not for the office.
    Row(E.NOTE_RECEIVED, _NONE),
    Row(E.NOTE_SIGNED, _NONE, after=_ENTERED_IN_ERROR),
    Row(E.NOTE_SIGNED, _DOCUMENT, T.INTERIM_DOCUMENT, kinds=_INTERIM),
    Row(E.NOTE_SIGNED, _DOCUMENT, T.DOCUMENT_CHANGED, kinds=_ADDENDUM, told=_TOLD_OF_REPORT),
    Row(E.NOTE_SIGNED, _DOCUMENT, T.DOCUMENT),
    Row(E.NOTE_CORRECTED, _NONE, after=_ENTERED_IN_ERROR),
    Row(E.NOTE_CORRECTED, _DOCUMENT, T.DOCUMENT_CHANGED, told=_TOLD_OF_DOCUMENT),
    Row(E.NOTE_CORRECTED, _DOCUMENT, T.DOCUMENT),
    Row(E.NOTE_RETRACTED, _NOW, T.DOCUMENT_RETRACTED, told=_TOLD_OF_DOCUMENT),
    Row(E.NOTE_RETRACTED, _NONE),
    Row(E.NOTE_DELIVERED, _NONE),
    Row(E.CARE_RETURNED, _NOW, T.CARE_RETURNED, after=_CARE_RETURNED),
    Row(E.CARE_RETURNED, _NONE),
    Row(E.CARE_RETURN_RETRACTED, _NOW, T.CARE_RETURN_CORRECTED, told=_TOLD_OF_RETURN),
    Row(E.CARE_RETURN_RETRACTED, _NONE),
    Row(E.COMANAGEMENT_AGREED, _NOW, T.CO_MANAGED, after=ACTIVE),
    Row(E.COMANAGEMENT_AGREED, _NONE),
    Row(E.COMANAGEMENT_ENDED, _NOW, T.CO_MANAGEMENT_ENDED, told=frozenset({T.CO_MANAGED})),
    Row(E.COMANAGEMENT_ENDED, _NONE),
    # What the office got or did itself is no news to it.
    Row(E.DELIVERY_SENT, _NONE),
    Row(E.DELIVERY_DELIVERED, _NONE),
    Row(E.DELIVERY_FAILED, _NONE),
    Row(E.DELIVERY_OPENED, _NONE),
    Row(E.DELIVERY_ACKNOWLEDGED, _NONE),
    Row(E.OFFICE_REGISTERED, _NONE),
    Row(E.OFFICE_CHANGED, _NONE),
)
"""Every event type stands here; the last row of a type takes what the rows above it left."""
