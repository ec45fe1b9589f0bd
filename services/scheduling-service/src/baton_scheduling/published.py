"""From what happened here to the events of line `appointments`, and to what a client is shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from baton_chassis.commands import Outgoing
from baton_contracts import events as contract
from baton_contracts.codes import AppointmentCancelReason, CancelledBy
from baton_contracts.events import is_external_value
from baton_contracts.topics import REFERRAL_EVENTS
from baton_scheduling.domain.appointment import Appointment, ExternalKey
from baton_scheduling.domain.events import (
    Act,
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentEvent,
    VisitCompleted,
)

_NPI = "http://hl7.org/fhir/sid/us-npi"
_SUBJECT = re.compile(r"[!-~]{1,128}")
_OFFICE_TEXT = re.compile(r"[^\x00-\x1f\x7f]{1,256}")


def outgoing(event: AppointmentEvent, appointment: Appointment) -> Outgoing:
    """The published form of one event of an appointment."""
    told = _TELL[type(event)](event, appointment)
    return Outgoing(
        type=told.type.value,
        topic=REFERRAL_EVENTS,
        source=told.stream,
        subject=appointment.referral_id,
        key=appointment.referral_id,
        data=told.body(),
        occurred_at=event.act.at,
        dataschema=contract.schema_uri(told.type),
    )


def appointment_shown(appointment: Appointment) -> dict[str, Any]:
    """The appointment as a client reads it."""
    slot, source = appointment.slot, appointment.source
    last = appointment.acts[-1]
    return {
        "id": appointment.id,
        "version": appointment.version,
        "status": appointment.status.value,
        "referral": {"id": appointment.referral_id},
        "source": {"system": source.system, "id": source.value} if source else None,
        "kind": appointment.kind,
        "start": slot.start.isoformat(),
        "end": slot.end.isoformat() if slot.end else None,
        "clinician": _clinician_shown(appointment),
        "location": {"name": slot.location} if slot.location else None,
        "visit_id": appointment.visit_id,
        "reason": last.reason,
        "changed_at": last.at.isoformat(),
    }


def _clinician_shown(appointment: Appointment) -> dict[str, Any] | None:
    who = appointment.slot.clinician
    if not who.npi and not who.shown:
        return None
    return {"npi": who.npi, "name": {"family": who.family, "given": list(who.given)}}


def _booked(event: AppointmentBooked, appointment: Appointment) -> contract.Event:
    slot = appointment.slot
    return contract.AppointmentBooked(
        **_common(event.act, appointment),
        appointment_id=appointment.id,
        kind=appointment.kind,
        start=slot.start,
        end=slot.end,
        clinician=_clinician(appointment),
        location=contract.Location(name=slot.location) if _OFFICE_TEXT.fullmatch(slot.location) else None,
    )


def _cancelled(event: AppointmentCancelled, appointment: Appointment) -> contract.Event:
    return contract.AppointmentCancelled(
        **_common(event.act, appointment),
        appointment_id=appointment.id,
        kind=appointment.kind,
        cancelled_by=_cancelled_by(event.act),
    )


def _completed(event: VisitCompleted, appointment: Appointment) -> contract.Event:
    return contract.VisitCompleted(
        **_common(event.act, appointment),
        visit_id=event.visit_id,
        appointment_id=appointment.id,
        kind=appointment.kind,
        clinician=_clinician(appointment),
    )


_TELL: Mapping[type[Any], Callable[[Any, Appointment], contract.Event]] = {
    AppointmentBooked: _booked,
    AppointmentCancelled: _cancelled,
    VisitCompleted: _completed,
}


def _common(act: Act, appointment: Appointment) -> dict[str, Any]:
    return {
        "referral_id": appointment.referral_id,
        "patient_id": appointment.patient_id,
        "office_id": appointment.office_id,
        "actor": contract.Actor(kind=act.by, id=act.actor if _SUBJECT.fullmatch(act.actor) else None),
        "assertion": act.assertion,
        "reason": act.reason,
        "occurred_at": act.at,
        "external_ids": _external_ids(appointment.source),
    }


def _external_ids(source: ExternalKey | None) -> tuple[contract.ExternalId, ...]:
    if source is None or not _SUBJECT.fullmatch(source.system) or not is_external_value(source.value):
        return ()
    return (contract.ExternalId(system=source.system, value=source.value),)


def _clinician(appointment: Appointment) -> contract.Clinician | None:
    who = appointment.slot.clinician
    npi = contract.ExternalId(system=_NPI, value=who.npi) if who.npi else None
    name = who.shown if _OFFICE_TEXT.fullmatch(who.shown) else None
    return contract.Clinician(identifier=npi, name=name) if npi or name else None


def _cancelled_by(act: Act) -> str | None:
    """Whose doing it was, where the reason or the party says so."""
    if act.by == "office":
        return CancelledBy.SENDER
    if act.reason is None:
        return None
    if act.reason.startswith("patient_"):
        return CancelledBy.PATIENT
    return CancelledBy.CLINIC if act.reason in _CLINIC else None


_CLINIC = frozenset(
    {
        AppointmentCancelReason.CLINIC_CANCELLED,
        AppointmentCancelReason.SLOT_CANCELLED,
        AppointmentCancelReason.CLINIC_OVERRUN,
        AppointmentCancelReason.PRIORITY_CHANGE,
    }
)
