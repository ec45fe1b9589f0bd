"""What can be asked of scheduling."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from baton_chassis.commands import Command
from baton_scheduling.domain.appointment import ExternalKey, Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralReference:
    """Which referral: by our id, or by the name another system gave it (``system`` empty: our id)."""

    system: str = ""
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BookAppointment(Command):
    """Give the patient of a referral a time. ``id`` is the id the appointment will have."""

    location: ClassVar[str] = "/v1/appointments/{id}"

    referral: ReferralReference
    source: ExternalKey | None = None
    kind: str = "visit"
    slot: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class AppointmentCommand(Command):
    """Something about one appointment, with when it happened in the world (None: now) and why."""

    location: ClassVar[str] = "/v1/appointments/{id}"

    reason: str | None = None
    text: str = ""
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAppointment(AppointmentCommand):
    """It will not take place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteAppointment(AppointmentCommand):
    """The patient was seen."""
