"""The 13 states, the five stages, and the position of a referral that is made of them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from baton_contracts.codes import Ack


class State(StrEnum):
    """Where work sits now."""

    RECEIVED = "received"
    ACCEPTED = "accepted"
    SCHEDULED = "scheduled"
    SEEN = "seen"
    NOTES_SENT = "notes_sent"
    CO_MANAGED = "co_managed"
    CANCEL_REQUESTED = "cancel_requested"
    CARE_RETURNED = "care_returned"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    ENTERED_IN_ERROR = "entered_in_error"


class Stage(StrEnum):
    """How far the referral came, by the facts that stand. Declared in their order."""

    RECEIVED = "received"
    SCHEDULED = "scheduled"
    SEEN = "seen"
    NOTES_SENT = "notes_sent"
    CARE_RETURNED = "care_returned"


class Flag(StrEnum):
    """What a person should look at; findings, never states."""

    TRIAGE_PENDING = "triage_pending"
    """Booked before anyone accepted it; accepting and declining stay possible."""
    RELEASE_SLOT = "release_slot"
    """The referral is at an end and an appointment is still live."""
    SEEN_AFTER_ENDING = "seen_after_ending"
    """Somebody ended it, but the patient was seen: the visit counts."""
    LATE_DOCUMENT = "late_document"
    """A signed final note exists although the referral ended without a visit."""
    CORRECTION_OUTSTANDING = "correction_outstanding"
    """The referrer has a version that is no longer the current one."""
    NEEDS_REVIEW = "needs_review"
    """An answer came from a system; a person has to accept it before work goes on."""


class AppointmentStatus(StrEnum):
    """What became of one appointment."""

    BOOKED = "booked"
    RESCHEDULED = "rescheduled"
    ARRIVED = "arrived"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"
    COMPLETED = "completed"
    ENTERED_IN_ERROR = "entered_in_error"


ACTIVE: Final = frozenset(
    {
        State.RECEIVED,
        State.ACCEPTED,
        State.SCHEDULED,
        State.SEEN,
        State.NOTES_SENT,
        State.CO_MANAGED,
        State.CANCEL_REQUESTED,
    }
)
"""States in which somebody still has something to do."""

ENDED: Final = frozenset(State) - ACTIVE
"""States at which a referral rests."""

UNSEEN: Final = frozenset({State.RECEIVED, State.ACCEPTED, State.SCHEDULED})
"""Active states before any visit."""

REOPENABLE: Final = frozenset({State.DECLINED, State.CANCELLED, State.WITHDRAWN, State.EXPIRED})
"""Endings from which a referral may go on."""

LIVE: Final = frozenset({AppointmentStatus.BOOKED, AppointmentStatus.RESCHEDULED, AppointmentStatus.ARRIVED})
"""An appointment that counts until a fact ends it. There is no clock here."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Work waits: for what, and since when."""

    reason: str
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Appointment:
    """One appointment as its facts leave it.

    `no_shows` counts missed times that were not undone; `before` is the status that a completed visit
    replaced, restored when that visit is retracted.
    """

    id: str
    kind: str
    status: AppointmentStatus
    start: datetime | None = None
    end: datetime | None = None
    no_shows: int = 0
    before: AppointmentStatus | None = None

    @property
    def live(self) -> bool:
        """Whether it still stands in the book."""
        return self.status in LIVE


@dataclass(frozen=True, slots=True)
class Position:
    """Where a referral stands: the join of its lines.

    `state` and `stage` are None only while nothing was received. `resume_to` is where a refused
    cancellation leads, or the state itself during a hold. `reason` is the ending's. `next_appointment` is
    the live one that starts first, `last_appointment` the one most recently ended. `accepted` tells whether
    somebody took it, whatever came later.
    """

    state: State | None
    stage: Stage | None
    accepted: bool = False
    hold: Hold | None = None
    resume_to: State | None = None
    reason: str | None = None
    next_appointment: Appointment | None = None
    last_appointment: Appointment | None = None
    no_show_count: int = 0
    ack: Ack | None = None
    flags: tuple[Flag, ...] = ()
    duplicate_of: str | None = None
    redirected_to: str | None = None

    @property
    def ended(self) -> bool:
        """Whether the referral rests."""
        return self.state in ENDED
