"""An appointment: booked, and then cancelled or kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from baton_contracts.lifecycle import AppointmentStatus, Verb, appointment_refusal
from baton_scheduling.domain.events import (
    Act,
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentEvent,
    VisitCompleted,
)
from baton_scheduling.domain.refusals import NotPossible


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalKey:
    """How another system names a thing: its naming system and the value there."""

    system: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clinician:
    """Who will see the patient: a business identity."""

    npi: str = ""
    family: str = ""
    given: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The name as offices read it."""
        return " ".join((*self.given, self.family)).strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """When, with whom and where. Times are aware; ``end`` follows ``start``."""

    start: datetime
    end: datetime | None = None
    clinician: Clinician = Clinician()
    location: str = ""


@dataclass(slots=True)
class Appointment:
    """One appointment of one referral. ``kind`` is ``visit``, ``follow_up`` or ``test``."""

    id: str
    referral_id: str
    patient_id: str
    office_id: str
    source: ExternalKey | None
    kind: str
    slot: Slot
    status: AppointmentStatus = AppointmentStatus.BOOKED
    visit_id: str | None = None
    acts: tuple[Act, ...] = ()
    version: int = 0
    events: list[AppointmentEvent] = field(default_factory=list)

    @classmethod
    def booked(
        cls,
        *,
        id: str,
        referral_id: str,
        patient_id: str,
        office_id: str,
        source: ExternalKey | None,
        kind: str,
        slot: Slot,
        act: Act,
    ) -> Appointment:
        """A new booking."""
        appointment = cls(id, referral_id, patient_id, office_id, source, kind, slot)
        appointment._record(AppointmentBooked(act=act))
        return appointment

    def cancel(self, act: Act) -> None:
        """It will not take place. Raises ``NotPossible`` where that cannot be said of it."""
        self._check(Verb.CANCEL_APPOINTMENT)
        self.status = AppointmentStatus.CANCELLED
        self._record(AppointmentCancelled(act=act))

    def complete(self, act: Act, *, visit_id: str) -> None:
        """The patient was seen. Raises ``NotPossible`` where that cannot be said of it."""
        self._check(Verb.COMPLETE)
        self.status = AppointmentStatus.COMPLETED
        self.visit_id = visit_id
        self._record(VisitCompleted(act=act, visit_id=visit_id))

    def _check(self, verb: Verb) -> None:
        found = appointment_refusal(self.status, verb)
        if found is not None:
            raise NotPossible(found)

    def _record(self, event: AppointmentEvent) -> None:
        self.acts = (*self.acts, event.act)
        self.events.append(event)
