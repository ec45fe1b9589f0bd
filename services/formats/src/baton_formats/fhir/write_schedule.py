"""Bookings, openings and visits as Appointment, Slot and Encounter."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from baton_formats.facts import (
    Appointment,
    Arrival,
    Coding,
    Concept,
    Location,
    PartialTime,
    Participant,
    Period,
    Slot,
)
from baton_formats.fhir import bindings
from baton_formats.fhir.allowed import MOST
from baton_formats.fhir.compose import (
    ABSENT,
    Json,
    coding,
    concept,
    concepts,
    date_time,
    filled,
    identifiers,
    instant,
    period,
    words,
)
from baton_formats.fhir.parcel import Parcel, logical, logical_reference, requests_of
from baton_formats.fhir.unsaid import note_period
from baton_formats.fhir.write_extensions import extend
from baton_formats.fhir.write_people import party, person_or_role, subject, typed_numbers, version

_TIMELESS: Final = frozenset({"proposed", "cancelled", "waitlist"})
_BOOKINGS: Final = {
    "booked": "booked",
    "cancelled": "cancelled",
    "no_show": "noshow",
    "deleted": "entered-in-error",
    "arrived": "arrived",
    "completed": "fulfilled",
}
"""The state a booking is in after what happened, where nobody said it."""
_HAPPENED: Final = {status: action for action, status in _BOOKINGS.items()} | {"checked-in": "arrived"}
_OFF: Final = frozenset({"cancelled", "noshow"})
_VISIT: Final = {
    "arrived": "arrived",
    "admitted": "in-progress",
    "cancelled": "cancelled",
    "finished": "finished",
}
_VISITED: Final = {
    "arrived": "arrived",
    "triaged": "arrived",
    "in-progress": "arrived",
    "finished": "finished",
    "cancelled": "cancelled",
    "entered-in-error": "cancelled",
}


def appointment(parcel: Parcel, fact: Appointment) -> Json:
    event = fact.status or _BOOKINGS.get(fact.action or "")
    status = parcel.code(event, bindings.APPOINTMENT_STATUS, "proposed", "appointment.status")
    _note_lost_of_a_booking(parcel, fact, status)
    resource = filled(
        resourceType="Appointment",
        id=logical(fact.id),
        meta=version(fact.version),
        identifier=identifiers(typed_numbers(fact.identifiers, fact.placer, fact.filler)),
        status=status,
        cancelationReason=concept(fact.cancellation_reason) if status in _OFF else None,
        serviceType=concepts(fact.services),
        specialty=concepts(fact.specialties),
        appointmentType=concept(fact.type),
        reasonCode=concepts((fact.reason,)) if fact.reason else None,
        description=words(fact.description),
        priority=_priority(fact),
        **_span(parcel, fact, status),
        minutesDuration=_minutes(fact),
        slot=parcel.links(fact.slots),
        created=date_time(fact.created_at, parcel.zone),
        comment=words("\n".join(note.text for note in fact.notes)),
        patientInstruction=words("\n".join(fact.patient_instructions)),
        basedOn=requests_of(parcel, fact.based_on, fact.referrals),
        participant=_participants(parcel, fact),
    )
    extend(resource, fact.extensions)
    return resource


def _note_lost_of_a_booking(parcel: Parcel, fact: Appointment, status: str) -> None:
    if fact.action is not None and fact.action != _HAPPENED.get(status, "status"):
        parcel.unsaid("appointment.action")
    if fact.cancellation_reason is not None and status not in _OFF:
        parcel.unsaid("appointment.cancellation_reason", "the booking stands (app-4)")
    if fact.priority is not None and _priority(fact) is None:
        parcel.unsaid("appointment.priority", "FHIR has a number here, from 0 to 9")
    if fact.duration_minutes is not None and _minutes(fact) is None:
        parcel.unsaid("appointment.duration_minutes")
    if any(note.author or note.at for note in fact.notes):
        parcel.unsaid("appointment.notes", "a comment has neither author nor time; its words were written")


def _priority(fact: Appointment) -> int | None:
    """RFC 5545: 0 to 9."""
    text = fact.priority or ""
    return int(text) if len(text) == 1 and text in "0123456789" else None


def _minutes(fact: Appointment) -> int | None:
    minutes = fact.duration_minutes
    return minutes if minutes is not None and 0 < minutes <= MOST else None


def _span(parcel: Parcel, fact: Appointment, status: str) -> Json:
    """Start and end, both or neither (app-2), and both where the booking stands (app-3).

    The end follows from the duration where it was not given; what nobody knows is said to be absent.
    """
    start, end = instant(fact.start, parcel.zone), instant(fact.end, parcel.zone)
    if start and not end and fact.duration_minutes is not None and fact.start is not None:
        end = _later(fact.start, fact.duration_minutes, parcel.zone)
    if not start and not end and status in _TIMELESS:
        return {}
    return filled(
        start=start,
        _start=None if start else dict(ABSENT),
        end=end,
        _end=None if end else dict(ABSENT),
    )


def _participants(parcel: Parcel, fact: Appointment) -> list[Json]:
    """Everyone who takes part as given, then the patient, clinicians, place and referrer not among them."""
    given = [_participant(parcel, one) for one in fact.participants]
    parties = {one.party for one in fact.participants}
    if not _has_patient(fact) and (about := subject(parcel, fact.patient, fact.patient_link)):
        given.append({"actor": about, "status": "accepted"})
    who = (one for one in fact.clinicians if one not in parties)
    given.extend({"actor": held, "status": "accepted"} for one in who if (held := party(parcel, one)))
    if fact.location is not None and not _has_place(fact, fact.location):
        given.append({"actor": {"reference": parcel.reference(fact.location)}, "status": "accepted"})
    asking = party(parcel, fact.referrer) if fact.referrer not in parties else None
    if asking is not None:
        given.append({"type": [_participation("REF")], "actor": asking, "status": "accepted"})
    return given or [{"actor": dict(ABSENT), "status": "needs-action"}]


def _has_patient(fact: Appointment) -> bool:
    """Whether the patient is one of the participants, as a person or only as a pointer."""
    if fact.patient is not None:
        return any(one.patient == fact.patient for one in fact.participants)
    links = (one.party.link for one in fact.participants if one.party is not None)
    return fact.patient_link is None or fact.patient_link in links


def _has_place(fact: Appointment, place: Location) -> bool:
    """The same for the place, of which a pointer may give the name alone."""
    named = (one.party.display for one in fact.participants if one.party is not None)
    known = any(one.location == place for one in fact.participants)
    return known or (place == Location(name=place.name) and place.name in named)


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
        status=parcel.code(
            one.status, bindings.PARTICIPATION_STATUS, "needs-action", "appointment.participants.status"
        ),
    )


def encounter(parcel: Parcel, fact: Arrival) -> Json:
    visit_class = next((known for one in _codings(fact.visit_class) if (known := coding(one))), None)
    place = {"reference": parcel.reference(fact.location)} if fact.location is not None else None
    visit = fact.status or _VISIT.get(fact.action or "")
    status = parcel.code(visit, bindings.ENCOUNTER_STATUS, "unknown", "arrival.status")
    time = Period(start=fact.at, end=fact.ended_at)
    note_period(parcel, time, "arrival.at", "arrival.ended_at")
    if fact.action is not None and fact.action != _VISITED.get(status, "status"):
        parcel.unsaid("arrival.action")
    if fact.visit_class is not None and (fact.visit_class.text or len(fact.visit_class.codings) > 1):
        parcel.unsaid("arrival.visit_class", "a visit has one code for its kind, and no other words")
    playing = (("ATND", fact.attending), ("REF", fact.referring), ("CON", fact.consulting))
    return filled(
        resourceType="Encounter",
        id=logical(fact.id),
        identifier=identifiers(fact.visit),
        status=status,
        class_=visit_class or {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        subject=subject(parcel, fact.patient, fact.patient_link),
        basedOn=[held for n in fact.referrals if (held := logical_reference(n, "ServiceRequest"))],
        participant=[
            {"type": [_participation(code)], "individual": held}
            for code, parties in playing
            for who in parties
            if (held := person_or_role(parcel, who))
        ],
        appointment=parcel.links(fact.appointments),
        period=period(time, parcel.zone),
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
        status=parcel.code(fact.status, bindings.SLOT_STATUS, "busy", "slot.status"),
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
    try:
        return (moment + timedelta(minutes=minutes)).isoformat()
    except OverflowError:  # later than any calendar
        return None
