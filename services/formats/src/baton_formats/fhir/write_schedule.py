"""Bookings, openings and visits as Appointment, Slot and Encounter."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from baton_formats.facts import Appointment, Arrival, Coding, Concept, PartialTime, Participant, Period, Slot
from baton_formats.fhir import bindings
from baton_formats.fhir.compose import (
    ABSENT,
    Json,
    coding,
    concept,
    concepts,
    extend,
    filled,
    identifiers,
    instant,
    period,
    words,
)
from baton_formats.fhir.parcel import Parcel, logical, logical_reference
from baton_formats.fhir.write_people import party, subject, typed_numbers

_TIMELESS: Final = frozenset({"proposed", "cancelled", "waitlist", None})
_VISIT: Final = {
    "arrived": "arrived",
    "admitted": "in-progress",
    "cancelled": "cancelled",
    "finished": "finished",
}


def appointment(parcel: Parcel, fact: Appointment) -> Json:
    status = parcel.code(fact.status, bindings.APPOINTMENT_STATUS, "proposed")
    based_on = parcel.links(fact.based_on) or [
        held for number in fact.referrals if (held := logical_reference(number, "ServiceRequest"))
    ]
    resource = filled(
        resourceType="Appointment",
        id=logical(fact.id),
        identifier=identifiers(typed_numbers(fact.identifiers, fact.placer, fact.filler)),
        status=status,
        cancelationReason=concept(fact.cancellation_reason) if status in ("cancelled", "noshow") else None,
        serviceType=concepts(fact.services),
        specialty=concepts(fact.specialties),
        appointmentType=concept(fact.type),
        reasonCode=concepts((fact.reason,)) if fact.reason else None,
        description=words(fact.description),
        **_span(parcel, fact),
        minutesDuration=fact.duration_minutes if (fact.duration_minutes or 0) > 0 else None,
        slot=parcel.links(fact.slots),
        created=parcel.date_time(fact.created_at, "Appointment.created"),
        comment=words("\n".join(note.text for note in fact.notes)),
        patientInstruction=words("\n".join(fact.patient_instructions)),
        basedOn=based_on,
        participant=_participants(parcel, fact),
    )
    extend(resource, fact.extensions)
    return resource


def _span(parcel: Parcel, fact: Appointment) -> Json:
    """Start and end, both or neither (app-2), and both where the booking stands (app-3).

    The end follows from the duration where it was not given; what nobody knows is said to be absent.
    """
    start, end = instant(fact.start, parcel.zone), instant(fact.end, parcel.zone)
    if start and not end and fact.duration_minutes is not None and fact.start is not None:
        end = _later(fact.start, fact.duration_minutes, parcel.zone)
    if (fact.start and not start) or (fact.end and not end):
        parcel.doubt("time-not-written", "Appointment.start", "FHIR wants a moment with an offset here")
    if not start and not end and fact.status in _TIMELESS:
        return {}
    return filled(
        start=start,
        _start=None if start else dict(ABSENT),
        end=end,
        _end=None if end else dict(ABSENT),
    )


def _participants(parcel: Parcel, fact: Appointment) -> list[Json]:
    given = [_participant(parcel, one) for one in fact.participants]
    if given:
        return given
    made: list[Json] = []
    patient = subject(parcel, fact.patient, fact.patient_link)
    if patient is not None:
        made.append({"actor": patient, "status": "accepted"})
    made.extend(
        {"actor": held, "status": "accepted"} for who in fact.clinicians if (held := party(parcel, who))
    )
    if fact.location is not None:
        made.append({"actor": {"reference": parcel.reference(fact.location)}, "status": "accepted"})
    return made or [{"actor": dict(ABSENT), "status": "needs-action"}]


def _participant(parcel: Parcel, one: Participant) -> Json:
    actor: Json | None
    if one.patient is not None:
        actor = subject(parcel, one.patient, None)
    elif one.location is not None:
        actor = {"reference": parcel.reference(one.location)}
    else:
        actor = party(parcel, one.party)
    return filled(
        type=concepts((one.role,)) if one.role else None,
        actor=actor or dict(ABSENT),
        required=one.required if one.required in bindings.PARTICIPANT_REQUIRED else None,
        status=parcel.code(one.status, bindings.PARTICIPATION_STATUS, "needs-action"),
    )


def encounter(parcel: Parcel, fact: Arrival) -> Json:
    visit_class = next((known for one in _codings(fact.visit_class) if (known := coding(one))), None)
    place = {"reference": parcel.reference(fact.location)} if fact.location is not None else None
    playing = (("ATND", fact.attending), ("REF", fact.referring), ("CON", fact.consulting))
    return filled(
        resourceType="Encounter",
        id=logical(fact.id),
        identifier=identifiers(fact.visit),
        status=parcel.code(
            fact.status or _VISIT.get(fact.action or ""), bindings.ENCOUNTER_STATUS, "unknown"
        ),
        class_=visit_class or {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        subject=subject(parcel, fact.patient, fact.patient_link),
        basedOn=[held for n in fact.referrals if (held := logical_reference(n, "ServiceRequest"))],
        participant=[
            {"type": [_participation(code)], "individual": held}
            for code, parties in playing
            for who in parties
            if (held := party(parcel, who))
        ],
        appointment=parcel.links(fact.appointments),
        period=period(Period(start=fact.at, end=fact.ended_at), parcel.zone),
        reasonCode=concepts(fact.reasons),
        location=[{"location": place}] if place else None,
    )


def slot(parcel: Parcel, fact: Slot) -> Json:
    return filled(
        resourceType="Slot",
        id=logical(fact.id),
        identifier=identifiers(fact.identifiers),
        serviceType=concepts(fact.services),
        schedule=parcel.link(fact.schedule) or dict(ABSENT),
        status=parcel.code(fact.status, bindings.SLOT_STATUS, "busy"),
        start=instant(fact.start, parcel.zone),
        end=instant(fact.end, parcel.zone),
        **_absent_times(fact, parcel.zone),
    )


def _codings(value: Concept | None) -> tuple[Coding, ...]:
    return value.codings if value is not None else ()


def _participation(code: str) -> Json:
    return {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": code}]
    }


def _absent_times(fact: Slot, zone: str | None) -> Json:
    return filled(
        _start=None if instant(fact.start, zone) else dict(ABSENT),
        _end=None if instant(fact.end, zone) else dict(ABSENT),
    )


def _later(start: PartialTime, minutes: int, zone: str | None) -> str | None:
    """The end of a booking that only has a start and a duration, in the offset of its start."""
    text = instant(start, zone)
    moment = PartialTime(iso=text).instant() if text else None
    if moment is None:
        return None
    return (moment + timedelta(minutes=minutes)).isoformat()
