"""What happened to an appointment, in the words of the front desk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Somebody did something: who (a kind of party and an opaque id), on whose word, when in the world, and
    why.

    ``text`` is for people and never leaves the record.
    """

    by: str
    actor: str
    assertion: str
    at: datetime
    reason: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppointmentBooked:
    """The patient has a time with us."""

    act: Act


@dataclass(frozen=True, slots=True, kw_only=True)
class AppointmentCancelled:
    """The appointment will not take place."""

    act: Act


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitCompleted:
    """The patient was seen."""

    act: Act
    visit_id: str


AppointmentEvent = AppointmentBooked | AppointmentCancelled | VisitCompleted
