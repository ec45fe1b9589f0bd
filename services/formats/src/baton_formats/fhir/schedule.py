"""Appointments, openings and visits: Appointment, Slot, Encounter."""

from __future__ import annotations

from itertools import chain, islice

from baton_formats.facts import (
    Appointment,
    Arrival,
    Concept,
    Identifier,
    Link,
    Location,
    Note,
    PartialTime,
    Participant,
    Party,
    Patient,
    Slot,
)
from baton_formats.fhir import bindings
from baton_formats.fhir.body import Body, logical_id
from baton_formats.fhir.datatypes import coding_as_concept, concept, extensions, identifier, identifiers
from baton_formats.fhir.people import MAX_NUMBERS, NUMBERED, PATIENT_DOUBTS, link, party, patient, subject
from baton_formats.fhir.requests import reason_of
from baton_formats.fhir.tables import Read, Table, code, many, one, required, row, text, time, version
from baton_formats.fhir.tree import MAX_ITEMS, Node
from baton_formats.times import is_backwards

MAX_CLINICIANS = 100
"""Clinicians of the calendars an appointment is booked in; no visit has more."""

_SOURCE = "FHIR R4 4.0.1, Scheduling"
_ACTIONS = {
    "booked": "booked",
    "cancelled": "cancelled",
    "noshow": "no_show",
    "entered-in-error": "deleted",
    "arrived": "arrived",
    "checked-in": "arrived",
    "fulfilled": "completed",
}


def _action(node: Node) -> str | None:
    """What just happened; a second version of a booking is a change, not a booking."""
    action = _ACTIONS.get(str(node.value.get("status")), "status" if node.has("status") else None)
    headers = node.body.of_type("MessageHeader")
    if action == "booked" and headers and reason_of(headers[0]) == "update":
        return "modified"
    return action


def _actor(participant: Node) -> Node | None:
    return participant.child("actor")


def _is_patient(participant: Node) -> bool:
    body: Body = participant.body
    return body.once("is-patient", participant, _names_a_patient)


def _names_a_patient(participant: Node) -> bool:
    actor = _actor(participant)
    if actor is None:
        return False
    body: Body = participant.body
    target = body.follow(actor)
    if target is not None:
        return target.value.get("resourceType") == "Patient"
    how = body.link(actor)
    numbered = NUMBERED.get(how.identifier.system or "") if how.identifier else None
    return (how.kind or numbered) == "Patient"


def _patient_pointer(node: Node) -> Node | None:
    body: Body = node.body
    return body.once("patient-participant", node, _find_patient)


def _find_patient(node: Node) -> Node | None:
    return next((one_ for one_ in node.children("participant") if _is_patient(one_)), None)


def _patient(node: Node) -> Patient | None:
    held = _patient_pointer(node)
    return subject(held, "actor")[0] if held is not None else _lone_patient(node)


def _lone_patient(node: Node) -> Patient | None:
    """A booking without a patient among its participants means the only Patient of its Bundle."""
    body: Body = node.body
    lone = body.of_type("Patient")
    if not body.closed or len(lone) != 1:
        return None
    node.doubt(
        "subject-is-lone-patient",
        "no participant is a patient; the only Patient here was taken",
        "participant",
    )
    return patient(lone[0])


def _patient_link(node: Node) -> Link | None:
    held = _patient_pointer(node)
    return subject(held, "actor")[1] if held is not None else None


_PARTICIPATION = code("status", bindings.PARTICIPATION_STATUS, required=True)
_REQUIRED = code("required", bindings.PARTICIPANT_REQUIRED)


def _participant(node: Node) -> Participant:
    roles = node.many("type", concept)
    who = node.one("actor", party)
    return Participant(
        role=roles[0] if roles else None,
        party=who,
        patient=subject(node, "actor")[0] if _is_patient(node) else None,
        location=who.location if who else None,
        status=_PARTICIPATION(node),
        required=_REQUIRED(node),
    )


def _participants(node: Node) -> tuple[Participant, ...]:
    found: tuple[Participant, ...] = node.body.once("participant", node, _all_participants)
    return found


def _all_participants(node: Node) -> tuple[Participant, ...]:
    return node.many("participant", _participant)


def _refers(held: Participant) -> bool:
    return held.role is not None and held.role.code == "REF"


def _referrer(node: Node) -> Party | None:
    return next((held.party for held in _participants(node) if _refers(held)), None)


def _clinicians(node: Node) -> tuple[Party, ...]:
    parties = (held.party for held in _participants(node) if held.patient is None and not _refers(held))
    found = tuple(who for who in parties if who is not None and _is_clinician(who))
    return found or _clinicians_of_slots(node)


def _clinicians_of_slots(node: Node) -> tuple[Party, ...]:
    """Whose calendar the slot is in, where no participant says who sees the patient."""
    body: Body = node.body
    openings = body.targets(node.children("slot"))
    calendars = body.targets(held for one_ in openings if (held := one_.child("schedule")) is not None)
    seen = (body.once("clinicians", calendar, _clinicians_of) for calendar in calendars)
    return body.joined(seen, node, "slot", most=MAX_CLINICIANS)


def _clinicians_of(calendar: Node) -> tuple[Party, ...]:
    return tuple(who for who in calendar.many("actor", party) if who.practitioner is not None)


def _is_clinician(who: Party) -> bool:
    return who.practitioner is not None or (
        who.link is not None and who.link.kind in ("Practitioner", "PractitionerRole")
    )


def _location(node: Node) -> Location | None:
    for held in _participants(node):
        if held.location is not None:
            return held.location
        if held.party and held.party.link and held.party.link.kind == "Location" and held.party.display:
            return Location(name=held.party.display)
    return None


def referral_numbers(pointers: list[Node]) -> tuple[Identifier, ...]:
    """Numbers of the referrals pointed at: identifiers, else the logical id (type RI, HL7 table 0203)."""
    held = [_numbers_at(pointer) for pointer in pointers]
    if len(held) < 2:
        return held[0] if held else ()
    numbers = islice(chain.from_iterable(held), MAX_ITEMS)
    return tuple({id(number): number for number in numbers}.values())


def _numbers_at(pointer: Node) -> tuple[Identifier, ...]:
    body: Body = pointer.body
    target = body.follow(pointer)
    numbers = body.once("numbers", target, _numbers_of) if target is not None else ()
    if numbers:
        return numbers
    own = pointer.one("identifier", identifier)
    logical = logical_id(pointer.text("reference"))
    if own is None and logical is not None:
        own = Identifier(value=logical, type="RI")
    return (body.same(own),) if own else ()


def _numbers_of(node: Node) -> tuple[Identifier, ...]:
    """The numbers of a request, each once; more than a few tell nothing new."""
    numbers = identifiers(node)
    if len(numbers) > MAX_NUMBERS:
        node.doubt("list-too-long", f"only the first {MAX_NUMBERS} numbers stand for this", "identifier")
    body: Body = node.body
    return tuple(dict.fromkeys(map(body.same, numbers[:MAX_NUMBERS])))


def _request_pointers(node: Node) -> list[Node]:
    return node.children("basedOn") or node.children("incomingReferral")


def _referrals(node: Node) -> tuple[Identifier, ...]:
    return referral_numbers(_request_pointers(node))


def _based_on(node: Node) -> tuple[Link, ...]:
    return tuple(link(pointer) for pointer in _request_pointers(node))


def _cancellation(node: Node) -> Concept | None:
    """cancelationReason; STU3 has none, so the reason of a cancelled booking is it."""
    given = node.one("cancelationReason", concept)
    if given is None and node.value.get("status") in ("cancelled", "noshow") and node.has("incomingReferral"):
        reasons = node.many("reason", concept)
        return reasons[0] if reasons else None
    return given


def _reason(node: Node) -> Concept | None:
    for name in ("reasonCode", "reason"):
        given = node.many(name, concept)
        if given:
            return given[0]
    return None


def _notes(node: Node) -> tuple[Note, ...]:
    return tuple(Note(text=words) for words in (node.text("comment"),) if words)


def _start(node: Node) -> PartialTime | None:
    start = node.time("start")
    _compare_with_slot(node, "start", start)
    return start


def _end(node: Node) -> PartialTime | None:
    end = node.time("end")
    if is_backwards(node.time("start"), end):
        node.doubt("period-backwards", "the appointment ends before it starts", "end")
    return end


def _compare_with_slot(node: Node, name: str, own: PartialTime | None) -> None:
    slots = node.children("slot")
    mine = own.instant() if own is not None and slots else None
    for pointer in slots:
        target = pointer.body.follow(pointer)
        theirs = target.time(name) if target is not None else None
        moment = theirs.instant() if theirs is not None else None
        if mine is not None and moment is not None and mine != moment:
            pointer.doubt("slot-time-differs", "the slot has another time; the appointment's own was taken")


def _minutes(node: Node) -> int | None:
    return node.whole("minutesDuration")


APPOINTMENT = Table(
    "Appointment",
    Appointment,
    row("action", "what just happened", "Appointment.status", _action, also=("MessageHeader.reason",)),
    row("identifiers", "every number of the booking", "Appointment.identifier", identifiers),
    row(
        "placer",
        "the requester's number",
        "Appointment.identifier (type PLAC)",
        lambda node: next((n for n in identifiers(node) if n.type == "PLAC"), None),
    ),
    row(
        "filler",
        "the scheduler's number",
        "Appointment.identifier (type FILL)",
        lambda node: next((n for n in identifiers(node) if n.type == "FILL"), None),
    ),
    row(
        "status",
        "state of the booking",
        "Appointment.status",
        code("status", bindings.APPOINTMENT_STATUS, protects=True, required=True),
        needs="",
        findings=("missing-required", "unknown-code"),
    ),
    row("reason", "why the visit", "Appointment.reasonCode", _reason, needs="reasonCode reason"),
    row(
        "cancellation_reason",
        "why it was cancelled",
        "Appointment.cancelationReason",
        _cancellation,
        also=("Appointment.reason (STU3, cancelled)",),
        needs="cancelationReason reason",
    ),
    row("type", "kind of appointment", "Appointment.appointmentType", one("appointmentType", concept)),
    row("services", "what is to be done", "Appointment.serviceType", many("serviceType", concept)),
    row("specialties", "whose field it is", "Appointment.specialty", many("specialty", concept)),
    row(
        "start",
        "when it starts",
        "Appointment.start",
        _start,
        findings=("unreadable-time", "slot-time-differs"),
    ),
    row("end", "when it ends", "Appointment.end", _end, findings=("unreadable-time", "period-backwards")),
    row("duration_minutes", "how long", "Appointment.minutesDuration", _minutes),
    row(
        "patient",
        "the patient",
        "Appointment.participant.actor (Patient)",
        _patient,
        also=("the only Patient of the Bundle",),
        needs="",
        findings=PATIENT_DOUBTS,
    ),
    row(
        "patient_link",
        "how the booking names the patient",
        "Appointment.participant.actor (Patient)",
        _patient_link,
    ),
    row(
        "clinicians",
        "who sees the patient",
        "Appointment.participant.actor (Practitioner)",
        _clinicians,
        also=("Appointment.slot (Schedule.actor)",),
        needs="participant slot",
        findings=("dangling-reference", "list-too-long"),
    ),
    row("referrer", "who referred", "Appointment.participant (type REF)", _referrer, needs="participant"),
    row(
        "priority",
        "how urgent, from 0 to 9",
        "Appointment.priority",
        lambda node: str(number) if (number := node.whole("priority")) is not None else None,
    ),
    row("location", "where", "Appointment.participant.actor (Location)", _location),
    row(
        "participants",
        "everyone who takes part",
        "Appointment.participant",
        required("participant", _participants, empty=()),
        needs="",
        findings=("missing-required", "unknown-code"),
    ),
    row(
        "referrals",
        "numbers of the referral it belongs to",
        "Appointment.basedOn",
        _referrals,
        also=("Appointment.incomingReferral (STU3)",),
        needs="basedOn incomingReferral",
    ),
    row(
        "based_on",
        "the request it fulfils",
        "Appointment.basedOn",
        _based_on,
        also=("Appointment.incomingReferral (STU3)",),
        needs="basedOn incomingReferral",
    ),
    row("slots", "the openings it takes", "Appointment.slot", many("slot", link)),
    row("description", "words of the booking", "Appointment.description", text("description")),
    row("notes", "comment", "Appointment.comment", _notes),
    row(
        "patient_instructions",
        "words for the patient",
        "Appointment.patientInstruction",
        lambda node: tuple(filter(None, [node.text("patientInstruction")])),
    ),
    row("created_at", "when it was made", "Appointment.created", time("created")),
    row("id", "id on the sending server", "Appointment.id", text("id")),
    row("version", "version on the sending server", "Appointment.meta.versionId", version),
    row("extensions", "what the sender added", "Appointment.extension", extensions, needs=""),
    source=_SOURCE,
    notes=("The appointment's own times win over those of its Slot.",),
)

SLOT = Table(
    "Slot",
    Slot,
    row("identifiers", "numbers of the opening", "Slot.identifier", identifiers),
    row(
        "status",
        "free or taken",
        "Slot.status",
        code("status", bindings.SLOT_STATUS, protects=True, required=True),
        needs="",
        findings=("missing-required", "unknown-code"),
    ),
    row("start", "when it starts", "Slot.start", time("start")),
    row("end", "when it ends", "Slot.end", time("end")),
    row("services", "what can be booked", "Slot.serviceType", many("serviceType", concept)),
    row("schedule", "whose calendar", "Slot.schedule", one("schedule", link)),
    row("id", "id on the sending server", "Slot.id", text("id")),
    source=_SOURCE,
)

_VISITS = {
    "planned": "status",
    "arrived": "arrived",
    "triaged": "arrived",
    "in-progress": "arrived",
    "finished": "finished",
    "cancelled": "cancelled",
    "entered-in-error": "cancelled",
}


def _visit_action(node: Node) -> str:
    return _VISITS.get(str(node.value.get("status")), "status")


def _bound(name: str) -> Read:
    def read(node: Node) -> PartialTime | None:
        span = node.child("period")
        return span.time(name) if span is not None else None

    return read


def _playing(wanted: str) -> Read:
    def read(node: Node) -> tuple[Party, ...]:
        body: Body = node.body
        return tuple(who for who, roles in body.once("players", node, _players) if wanted in roles)

    return read


def _players(node: Node) -> list[tuple[Party, set[str | None]]]:
    """Who takes part in a visit, with the codes of the parts they play."""
    found: list[tuple[Party, set[str | None]]] = []
    for held in node.children("participant"):
        roles = held.many("type", concept)
        who = held.one("individual", party)
        if who is not None:
            found.append((who, {coding.code for role in roles for coding in role.codings}))
    return found


def _place(node: Node) -> Location | None:
    for held in node.children("location"):
        who = held.one("location", party)
        if who is not None:
            return who.location or (Location(name=who.display) if who.display else None)
    return None


ENCOUNTER = Table(
    "Encounter",
    Arrival,
    row("action", "arrived, finished or cancelled", "Encounter.status", _visit_action),
    row("patient", "the patient", "Encounter.subject", lambda node: subject(node, "subject")[0]),
    row(
        "patient_link",
        "how the visit names the patient",
        "Encounter.subject",
        lambda node: subject(node, "subject")[1],
    ),
    row("visit", "numbers of the visit", "Encounter.identifier", identifiers),
    row(
        "status",
        "state of the visit",
        "Encounter.status",
        code("status", bindings.ENCOUNTER_STATUS, protects=True, required=True),
        needs="",
        findings=("missing-required", "unknown-code"),
    ),
    row("visit_class", "kind of visit", "Encounter.class", one("class", coding_as_concept)),
    row("location", "where", "Encounter.location", _place),
    row(
        "attending",
        "who saw the patient",
        "Encounter.participant (ATND, PPRF)",
        lambda node: _playing("ATND")(node) + _playing("PPRF")(node),
    ),
    row("referring", "who referred", "Encounter.participant (REF)", _playing("REF")),
    row("consulting", "who was consulted", "Encounter.participant (CON)", _playing("CON")),
    row("at", "when it began", "Encounter.period.start", _bound("start")),
    row("ended_at", "when it ended", "Encounter.period.end", _bound("end")),
    row("reasons", "why", "Encounter.reasonCode", many("reasonCode", concept)),
    row(
        "referrals",
        "numbers of the referral",
        "Encounter.basedOn",
        lambda node: referral_numbers(node.children("basedOn")),
    ),
    row("appointments", "the booking it came from", "Encounter.appointment", many("appointment", link)),
    row("id", "id on the sending server", "Encounter.id", text("id")),
    source="FHIR R4 4.0.1, Encounter",
)


def appointment(node: Node) -> Appointment:
    """An Appointment."""
    return APPOINTMENT.read(node)


def slot(node: Node) -> Slot:
    """A Slot."""
    return SLOT.read(node)


def arrival(node: Node) -> Arrival:
    """An Encounter as evidence of a visit."""
    return ENCOUNTER.read(node)
