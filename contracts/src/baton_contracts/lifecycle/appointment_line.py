"""The fold of line `appointments`: what scheduling says about bookings and visits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from baton_contracts.codes import AppointmentKind
from baton_contracts.event_types import EventType
from baton_contracts.lifecycle.facts import Fact
from baton_contracts.lifecycle.states import Appointment, AppointmentStatus


@dataclass(frozen=True, slots=True)
class Visit:
    """One completed visit that was not retracted."""

    id: str
    kind: str
    appointment_id: str | None = None


@dataclass(frozen=True, slots=True)
class AppointmentLine:
    """What the appointments line says by itself; `appointments` are in the order of their latest fact."""

    appointments: tuple[Appointment, ...] = ()
    visits: tuple[Visit, ...] = ()

    def after(self, fact: Fact) -> "AppointmentLine":
        """The line with one more fact; a fact of another line or of an unknown type changes nothing."""
        step = _STEPS.get(fact.type)
        return self if step is None else step(self, fact)

    @property
    def booked(self) -> bool:
        """Whether a live appointment for a visit stands."""
        return any(one.live and one.kind == AppointmentKind.VISIT for one in self.appointments)

    @property
    def ever_booked(self) -> bool:
        """Whether there ever was a real appointment for a visit."""
        return any(
            one.kind == AppointmentKind.VISIT and one.status is not AppointmentStatus.ENTERED_IN_ERROR
            for one in self.appointments
        )

    @property
    def visited(self) -> bool:
        """Whether the patient was seen."""
        return any(one.kind == AppointmentKind.VISIT for one in self.visits)

    @property
    def next_appointment(self) -> Appointment | None:
        """The live appointment that starts first; one without a time comes last."""
        live = [one for one in self.appointments if one.live]
        return min(live, key=_starts, default=None)

    @property
    def last_appointment(self) -> Appointment | None:
        """The appointment most recently ended, by the order of facts; what was never real is passed over."""
        for one in reversed(self.appointments):
            if not one.live and one.status is not AppointmentStatus.ENTERED_IN_ERROR:
                return one
        return None

    @property
    def no_show_count(self) -> int:
        """How often the patient did not come, undone and unreal ones not counted."""
        real = (one for one in self.appointments if one.status is not AppointmentStatus.ENTERED_IN_ERROR)
        return sum(one.no_shows for one in real)

    def find(self, appointment_id: str | None) -> Appointment | None:
        """The appointment with this id."""
        return next((one for one in self.appointments if one.id == appointment_id), None)

    def with_latest(self, appointment: Appointment) -> "AppointmentLine":
        """The line with this appointment as the latest one."""
        return replace(self, appointments=(*self._others(appointment.id), appointment))

    def without(self, appointment_id: str) -> "AppointmentLine":
        """The line without this appointment."""
        return replace(self, appointments=self._others(appointment_id))

    def _others(self, appointment_id: str) -> tuple[Appointment, ...]:
        return tuple(one for one in self.appointments if one.id != appointment_id)


def _starts(appointment: Appointment) -> tuple[bool, float]:
    start = appointment.start
    return (start is None, 0.0 if start is None else start.timestamp())


def _booking(status: AppointmentStatus) -> Callable[[AppointmentLine, Fact], AppointmentLine]:
    """A booking or its change stands whatever the appointment was before, unless the visit took place.

    The same number may come back after a no-show or a cancellation: that is a rebooking, not a repeat.
    """

    def step(line: AppointmentLine, fact: Fact) -> AppointmentLine:
        known = line.find(_appointment_id(fact)) or _unbooked(fact)
        if known.status is AppointmentStatus.COMPLETED:
            return line
        return line.with_latest(
            replace(
                known,
                kind=fact.text("kind") or known.kind,
                status=status,
                start=fact.moment("start") or known.start,
                end=fact.moment("end"),
            )
        )

    return step


def _cancelled(line: AppointmentLine, fact: Fact) -> AppointmentLine:
    known = line.find(_appointment_id(fact))
    if known is None or not (known.live or known.status is AppointmentStatus.NO_SHOW):
        return line
    return line.with_latest(replace(known, status=AppointmentStatus.CANCELLED))


def _no_show(line: AppointmentLine, fact: Fact) -> AppointmentLine:
    known = line.find(_appointment_id(fact))
    if known is None or not (known.live or known.status is AppointmentStatus.CANCELLED):
        return line
    return line.with_latest(replace(known, status=AppointmentStatus.NO_SHOW, no_shows=known.no_shows + 1))


def _arrived(line: AppointmentLine, fact: Fact) -> AppointmentLine:
    known = line.find(_appointment_id(fact))
    if known is None or not known.live:
        return line
    return line.with_latest(replace(known, status=AppointmentStatus.ARRIVED))


def _reinstated(line: AppointmentLine, fact: Fact) -> AppointmentLine:
    known = line.find(_appointment_id(fact))
    if known is None or known.live or known.status is AppointmentStatus.COMPLETED:
        return line
    undone = known.status is AppointmentStatus.NO_SHOW
    return line.with_latest(
        replace(
            known,
            status=AppointmentStatus.BOOKED,
            start=fact.moment("start") or known.start,
            no_shows=known.no_shows - undone,
        )
    )


def _entered_in_error(line: AppointmentLine, fact: Fact) -> AppointmentLine:
    """A completed appointment stays: only `visit.retracted` takes a visit back."""
    known = line.find(_appointment_id(fact))
    if known is None or known.status is AppointmentStatus.COMPLETED:
        return line
    return line.with_latest(replace(known, status=AppointmentStatus.ENTERED_IN_ERROR))


def _completed(line: AppointmentLine, fact: Fact) -> AppointmentLine:
    visit_id = fact.text("visit_id") or _appointment_id(fact)
    if any(one.id == visit_id for one in line.visits):
        return line
    appointment_id = fact.text("appointment_id")
    booked = line.find(appointment_id)
    kind = fact.text("kind") or (booked.kind if booked else AppointmentKind.VISIT.value)
    seen = replace(line, visits=(*line.visits, Visit(visit_id, kind, appointment_id)))
    if appointment_id is None or (booked and booked.status is AppointmentStatus.COMPLETED):
        return seen
    known = replace(booked, before=booked.status) if booked else _unbooked(fact)
    return seen.with_latest(replace(known, status=AppointmentStatus.COMPLETED))


def _retracted(line: AppointmentLine, fact: Fact) -> AppointmentLine:
    visit_id = fact.text("visit_id") or _appointment_id(fact)
    gone = next((one for one in line.visits if one.id == visit_id), None)
    if gone is None:
        return line
    left = replace(line, visits=tuple(one for one in line.visits if one is not gone))
    known = left.find(gone.appointment_id)
    if known is None or any(one.appointment_id == known.id for one in left.visits):
        return left
    if known.before is None:
        return left.without(known.id)
    return left.with_latest(replace(known, status=known.before, before=None))


def _appointment_id(fact: Fact) -> str:
    return fact.text("appointment_id") or ""


def _unbooked(fact: Fact) -> Appointment:
    kind = fact.text("kind") or AppointmentKind.VISIT.value
    return Appointment(_appointment_id(fact), kind, AppointmentStatus.ENTERED_IN_ERROR)


_STEPS: Final[Mapping[str, Callable[[AppointmentLine, Fact], AppointmentLine]]] = MappingProxyType(
    {
        EventType.APPOINTMENT_BOOKED: _booking(AppointmentStatus.BOOKED),
        EventType.APPOINTMENT_RESCHEDULED: _booking(AppointmentStatus.RESCHEDULED),
        EventType.APPOINTMENT_CANCELLED: _cancelled,
        EventType.APPOINTMENT_NO_SHOW: _no_show,
        EventType.APPOINTMENT_REINSTATED: _reinstated,
        EventType.APPOINTMENT_ENTERED_IN_ERROR: _entered_in_error,
        EventType.PATIENT_ARRIVED: _arrived,
        EventType.VISIT_COMPLETED: _completed,
        EventType.VISIT_RETRACTED: _retracted,
    }
)
