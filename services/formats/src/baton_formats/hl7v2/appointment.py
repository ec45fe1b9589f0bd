"""SIU as appointments: the event over the status text, the resources' times over the schedule's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from baton_formats.declaration import FieldMapping, MessageMapping
from baton_formats.facts import (
    Appointment,
    Concept,
    HumanName,
    Identifier,
    Location,
    PartialTime,
    Participant,
    Party,
    Practitioner,
)
from baton_formats.findings import Format
from baton_formats.hl7v2 import datatypes
from baton_formats.hl7v2.deletions import fields_read, note_deletions
from baton_formats.hl7v2.grouping import resource_groups
from baton_formats.hl7v2.parts import notes, patient, priority_of, referring_party
from baton_formats.hl7v2.patient import read_one
from baton_formats.hl7v2.segments import Cell, Segment
from baton_formats.hl7v2.view import View, build, every, first, place_of

_EVENTS = {
    "S12": ("booked", "booked"),
    "S13": ("rescheduled", "booked"),
    "S14": ("modified", "booked"),
    "S15": ("cancelled", "cancelled"),
    "S16": ("discontinued", "cancelled"),
    "S17": ("deleted", "entered-in-error"),
    "S18": ("modified", "booked"),
    "S19": ("modified", "booked"),
    "S20": ("modified", "booked"),
    "S21": ("modified", "booked"),
    "S22": ("modified", "booked"),
    "S26": ("no_show", "noshow"),
}
_MODIFYING = frozenset(("S14", "S18", "S19", "S20", "S21", "S22"))
_ENDING = frozenset(("S15", "S16", "S17"))
# HL7 table 0278 and the free text senders write in SCH-25.
_STATUS_WORDS = {
    "PENDING": "pending",
    "WAITLIST": "waitlist",
    "BOOKED": "booked",
    "SCHEDULED": "booked",
    "CONFIRMED": "booked",
    "OVERBOOK": "booked",
    "RESCHEDULED": "booked",
    "STARTED": "arrived",
    "ARRIVED": "arrived",
    "CHECKEDIN": "arrived",
    "COMPLETE": "fulfilled",
    "COMPLETED": "fulfilled",
    "CANCELLED": "cancelled",
    "CANCELED": "cancelled",
    "CANCEL": "cancelled",
    "DC": "cancelled",
    "DISCONTINUED": "cancelled",
    "DELETED": "entered-in-error",
    "NOSHOW": "noshow",
}
_PROGRESS = {"arrived": "arrived", "fulfilled": "completed"}
_OPEN = frozenset(("booked", "pending", "waitlist", "arrived", "fulfilled"))
_UNIT_MINUTES = {
    "S": 1 / 60,
    "SEC": 1 / 60,
    "SECONDS": 1 / 60,
    "M": 1,
    "MIN": 1,
    "MINS": 1,
    "MINUTE": 1,
    "MINUTES": 1,
}
_UNIT_MINUTES |= {"H": 60, "HR": 60, "HRS": 60, "HOUR": 60, "HOURS": 60, "D": 1440, "DAY": 1440, "DAYS": 1440}
_SHORTEST, _LONGEST = 1, 24 * 60
# AIG-4 codes that call the resource a person.
_PERSON_KINDS = frozenset(
    ("P", "D", "DR", "MD", "DOCTOR", "PROVIDER", "PHYSICIAN", "PRACTITIONER", "CLINICIAN", "PERSON")
)
_NOT_A_REASON = frozenset(("ADD", "NEW", "BOOK", "BOOKED", "SCHEDULE", "SCHEDULED", "UPDATE", "MODIFY"))


@dataclass(frozen=True, slots=True)
class _Resource:
    """Where a resource segment keeps its start and its duration."""

    segment: str
    start: int
    duration: int


_RESOURCE_NAMES = frozenset(("AIS", "AIP", "AIL", "AIG"))
_RESOURCES = (_Resource("AIS", 4, 7), _Resource("AIP", 6, 9), _Resource("AIL", 6, 9), _Resource("AIG", 8, 11))


@dataclass(frozen=True, slots=True)
class _Times:
    """When, as far as the message tells, and from which field."""

    start: PartialTime | None = None
    end: PartialTime | None = None
    minutes: int | None = None


def _status_word(view: View) -> str | None:
    cell = view.cell("SCH-25")
    if cell is None:
        return None
    for word in (cell.text(1), cell.text(2)):
        known = _STATUS_WORDS.get("".join(filter(str.isalpha, (word or "").upper())))
        if known:
            return known
    view.note("status-unknown-code", "SCH-25", "the status is a local word; the event was believed")
    return None


def _action(view: View, mapping: FieldMapping) -> str | None:
    event_action = _EVENTS.get(view.event, ("status", ""))[0]
    if view.event in _MODIFYING:
        return _PROGRESS.get(_status_word(view) or "", event_action)
    return event_action


def _status(view: View, mapping: FieldMapping) -> str | None:
    """The event decides. Only a modification, which says nothing about the state, takes progress from
    SCH-25.
    """
    decided = _EVENTS.get(view.event, ("", ""))[1] or None
    said = _status_word(view)
    if said is None or said == decided:
        return decided
    if decided is None:
        return said
    if view.event in _MODIFYING and said in _OPEN:
        return said
    if view.event == "S12" and said in ("pending", "waitlist"):
        return said
    both_end = said not in _OPEN and decided not in _OPEN
    if not both_end:
        view.note(
            "status-contradicts-event",
            "SCH-25",
            "the status field says otherwise than the event, which was believed",
        )
    return decided


def _number(place: str, kind: str) -> Callable[[View, FieldMapping], Identifier | None]:
    def read(view: View, mapping: FieldMapping) -> Identifier | None:
        found = next((ei for cell in view.cells(place) if (ei := datatypes.ei(cell, view))), None)
        return replace(found, type=kind) if found else None

    return read


_placer = _number("SCH-1", "PLAC")
_filler = _number("SCH-2", "FILL")


def _numbers(view: View, mapping: FieldMapping) -> tuple[Identifier, ...]:
    found = tuple(number for read in (_filler, _placer) if (number := read(view, mapping)))
    if not found:
        view.note(
            "appointment-id-missing",
            "SCH-2",
            "the appointment has no number; it is known by patient and time only",
        )
    return found


def _referral_numbers(view: View, mapping: FieldMapping) -> tuple[Identifier, ...]:
    placer = tuple(
        replace(ei, type="PLAC") for cell in view.cells("SCH-26") if (ei := datatypes.ei(cell, view))
    )
    filler = tuple(
        replace(ei, type="FILL") for cell in view.cells("SCH-27") if (ei := datatypes.ei(cell, view))
    )
    return (*placer, *filler)


def _minutes(view: View, value: Cell | None, unit: Cell | None) -> int | None:
    """A duration and its unit in whole minutes; None where the unit is unknown, with a finding."""
    number = value.text(1) if value else None
    if value is None or not number:
        return None
    try:
        amount = float(number)
    except ValueError:
        view.note("duration-unreadable", value.place, "the duration is not a number")
        return None
    words = [word.upper() for at in (1, 2) if unit and (word := unit.text(at))] or ["MIN"]
    scale = next((_UNIT_MINUTES[word] for word in words if word in _UNIT_MINUTES), None)
    return _plausible(view, value, amount * scale if scale is not None else 0)


def _plausible(view: View, cell: Cell, minutes: float) -> int | None:
    """Whole minutes if a visit can be that long; nan and infinity cannot."""
    if _SHORTEST <= minutes <= _LONGEST:
        return round(minutes)
    view.note(
        "duration-implausible", cell.place, "the duration and its unit make no sense; they were left out"
    )
    return None


_Start = tuple[str, PartialTime, int | None]


def _resource_times(view: View) -> list[_Start]:
    found: list[_Start] = []
    for kind in _RESOURCES:
        found += view.once(kind.segment, "starts", partial(_starts, kind=kind))
    return found


def _starts(view: View, kind: _Resource) -> list[_Start]:
    found = []
    for segment in view.all(kind.segment)[:100]:
        cell = next(view.cells_of(segment, kind.start), None)
        start = datatypes.time(cell, view) if cell else None
        if start is None or start.iso is None:
            continue
        length, unit = (next(view.cells_of(segment, kind.duration + at), None) for at in (0, 1))
        found.append((segment.place(kind.start), start, _minutes(view, length, unit)))
    return found


def _spans(view: View) -> list[tuple[str, _Times]]:
    """Every span the message gives, best source first: AIS-4, AIP-6, AIL-6, AIG-8, TQ1-7, SCH-11."""
    found = [(place, _Times(start, None, minutes)) for place, start, minutes in _resource_times(view)]
    for start_at, end_at in (("TQ1-7", "TQ1-8"), ("SCH-11.4", "SCH-11.5")):
        start, end = _time(view, start_at), _time(view, end_at)
        if start is not None:
            found.append((start_at.partition(".")[0], _Times(start, end, _between(start, end))))
    return found


def _time(view: View, place: str) -> PartialTime | None:
    return view.once(place_of(place).segment, place, lambda holder: _first_time(holder, place))


def _first_time(view: View, place: str) -> PartialTime | None:
    for cell in view.cells(place):
        found = datatypes.time_at(cell, view, place_of(place).component)
        if found is not None and found.iso is not None:
            return found
    return None


def _between(start: PartialTime | None, end: PartialTime | None) -> int | None:
    first_moment = start.instant(default_offset_minutes=0) if start else None
    last_moment = end.instant(default_offset_minutes=0) if end else None
    if first_moment is None or last_moment is None or last_moment <= first_moment:
        return None
    length = last_moment - first_moment
    return round(length / timedelta(minutes=1)) if length <= timedelta(days=1) else None


def _same_moment(one: PartialTime | None, other: PartialTime | None) -> bool:
    """The same instant; where only one of them names an offset, the same time on the clock."""
    if one is None or other is None or one == other:
        return one is not None and one == other
    if one.offset_minutes is not None and other.offset_minutes is not None:
        return one.instant() == other.instant()
    clocks = [time.instant(default_offset_minutes=0) for time in (one, other)]
    return (
        clocks[0] is not None
        and clocks[1] is not None
        and clocks[0].replace(tzinfo=None) == clocks[1].replace(tzinfo=None)
    )


def times(view: View) -> _Times:
    """The believed start, with its end and length; disagreement of other sources is a finding."""
    if "times" not in view.memo:
        view.memo["times"] = _settled(view, _spans(view))
    found = view.memo["times"]
    return found if isinstance(found, _Times) else _Times()


def _settled(view: View, spans: list[tuple[str, _Times]]) -> _Times:
    if not spans:
        view.note(
            "appointment-time-missing",
            "SCH-11",
            "no readable start time stands in any of the places it may stand in",
        )
        return _Times(minutes=_planned(view)[1])
    best_place, best = spans[0]
    agreeing = [span for place, span in spans if _same_moment(span.start, best.start)]
    for place, span in spans[1:]:
        if not _same_moment(span.start, best.start):
            view.note("times-disagree", place, f"another start than {best_place}, which was believed")
    end = next((span.end for span in agreeing if span.end and _between(best.start, span.end)), None)
    spanned = _between(best.start, end)
    stated = next((span.minutes for span in agreeing if span.minutes), None)
    planned_place, planned = _planned(view)
    minutes = spanned or stated or planned
    if planned and planned != minutes:
        view.note(
            "durations-disagree", planned_place, "another length than the booked slot, which was believed"
        )
    if spanned and stated and spanned != stated:
        view.note(
            "durations-disagree",
            best_place,
            "start and end give another length than the duration field; they were believed",
        )
    return _Times(best.start, end, minutes)


def _planned(view: View) -> tuple[str, int | None]:
    """SCH-9 with SCH-10, else the length inside SCH-11 (TQ.3, as M30): where it stands, and the minutes."""
    return view.once("SCH", "length", _planned_in)


def _planned_in(view: View) -> tuple[str, int | None]:
    minutes = _minutes(view, view.cell("SCH-9"), view.cell("SCH-10"))
    if minutes is not None:
        return "SCH-9", minutes
    for cell in view.cells("SCH-11"):
        length = datatypes.tq_minutes(cell)
        if length is not None:
            return "SCH-11", _plausible(view, cell, length)
    return "SCH-9", None


def _clinicians(view: View, mapping: FieldMapping) -> tuple[Party, ...]:
    """AIP-3; where there is no AIP, an AIG-3 that is a person by its kind or shape."""
    named = tuple(party for aip in view.all("AIP")[:100] if (party := _personnel(view, aip)))
    if named:
        return tuple(dict.fromkeys(named))
    found = [party for aig in view.all("AIG")[:100] if (party := _person_in_equipment(view, aig))]
    if found:
        view.note(
            "clinician-in-equipment",
            "AIG-3",
            "there is no AIP; the clinician was taken from the general resource",
        )
    return tuple(dict.fromkeys(found))


def _personnel(view: View, aip: Segment) -> Party | None:
    person, role = (next(view.cells_of(aip, number), None) for number in (3, 4))
    party = datatypes.party(person, view) if person else None
    return replace(party, role=datatypes.cwe(role, view) if role else None) if party else None


def _person_in_equipment(view: View, aig: Segment) -> Party | None:
    cell, kind = (next(view.cells_of(aig, number), None) for number in (3, 4))
    if cell is None:
        return None
    shaped = len(cell.components) > 6 and bool(cell.text(2) and cell.text(3))
    if shaped:
        return datatypes.party(cell, view)
    called = (kind.text(1) or "").upper() if kind else ""
    name, number = cell.text(2), cell.text(1)
    if called not in _PERSON_KINDS or not name:
        return None
    identifiers = (Identifier(value=number),) if number else ()
    return Party(practitioner=Practitioner(identifiers=identifiers, names=(HumanName(text=name),)))


def _location(view: View, mapping: FieldMapping) -> Location | None:
    return next(
        (place for ail in view.all("AIL")[:100] if (place := _place(view, ail))), None
    ) or _visit_place(view)


def _place(view: View, ail: Segment) -> Location | None:
    cell, kind = (next(view.cells_of(ail, number), None) for number in (3, 4))
    place = datatypes.pl(cell, view) if cell else None
    words = kind.text(2) if kind else None
    if place is None or place.description or not words:
        return place
    return replace(place, description=words)


def _visit_place(view: View) -> Location | None:
    cell = view.cell("PV1-3")
    return datatypes.pl(cell, view) if cell else None


def _participants(view: View, mapping: FieldMapping) -> tuple[Participant, ...]:
    """Further places, and further patients of a group appointment."""
    places = [place for ail in view.all("AIL")[1:100] if (place := _place(view, ail))]
    return (*(Participant(location=place) for place in places), *_further_patients(view))


def _further_patients(view: View) -> tuple[Participant, ...]:
    """Those behind the first PID, read once for all appointments of the message."""
    if "further patients" not in view.shared:
        others = (read_one(view, pid) for pid in view.all("PID")[1:100])
        view.shared["further patients"] = tuple(Participant(patient=other) for other in others if other)
    found = view.shared["further patients"]
    if not found or not isinstance(found, tuple):
        return ()
    view.note(
        "several-patients",
        "PID[2]",
        "the message names several patients; the first one is the patient of the appointment",
    )
    return found


def _cancellation_reason(view: View, mapping: FieldMapping) -> Concept | None:
    if view.event not in _ENDING and view.event != "S26":
        return None
    cell = view.cell(mapping.path)
    reason = datatypes.cwe(cell, view) if cell else None
    of_booking = {view.text("SCH-7"), view.text("SCH-8")}
    if reason and (
        (reason.code or "").upper() in _NOT_A_REASON or (reason.code and reason.code in of_booking)
    ):
        view.note(
            "reason-contradicts-event",
            "SCH-6",
            "the event reason is left over from the booking; it was not used",
        )
        return None
    return reason


def _priority(view: View, mapping: FieldMapping) -> str | None:
    """TQ1-9, before v2.5 the priority inside the timing of SCH-11."""
    given = [(cell, datatypes.cwe(cell, view)) for cell in view.cells("TQ1-9")]
    given += [(cell, datatypes.tq_priority(cell)) for cell in view.cells("SCH-11")]
    for cell, concept in given:
        known = priority_of(concept)
        if known:
            return known
        if concept:
            view.note(
                "priority-unknown", cell.place, "the priority is none of routine, urgent, asap and stat"
            )
    return None


APPOINTMENT = MessageMapping(
    format=Format.HL7V2,
    message="SIU^S12, S13, S14, S15, S16, S17, S18 to S22, S26",
    fact="appointment",
    source="HL7 v2.5.1 chapter 10",
    notes=(
        "The event decides the state; SCH-25 confirms it. It adds progress to a modification only.",
        "Resource groups (RGS) with different start times are different appointments; `id` then counts them.",
        "Start and end are believed before any duration.",
        "What RGS-2, AIS-2, AIP-2, AIL-2 or AIG-2 marks deleted (D) gives no time, service, person or place.",
    ),
    fields=(
        FieldMapping(
            "action",
            "what just happened",
            "MSH-9.2",
            ("SCH-25",),
            (
                "event-not-used",
                "appointment-missing",
                "several-appointments",
                "resource-deleted",
                "resource-in-deleted-group",
                "resources-all-deleted",
                "value-deleted",
            ),
            _action,
        ),
        FieldMapping(
            "status",
            "state of the booking",
            "MSH-9.2",
            ("SCH-25",),
            ("status-contradicts-event", "status-unknown-code"),
            _status,
        ),
        FieldMapping("status_code", "their word for it", "SCH-25", (), (), first(datatypes.cwe)),
        FieldMapping(
            "identifiers",
            "numbers of the booking",
            "SCH-2",
            ("SCH-1",),
            ("appointment-id-missing",),
            _numbers,
        ),
        FieldMapping("placer", "the requester's number", "SCH-1", (), (), _placer),
        FieldMapping("filler", "the scheduler's number", "SCH-2", (), (), _filler),
        FieldMapping("referrals", "numbers of the referral", "SCH-26", ("SCH-27",), (), _referral_numbers),
        FieldMapping(
            "start",
            "when it starts",
            "AIS-4",
            ("AIP-6", "AIL-6", "AIG-8", "TQ1-7", "SCH-11"),
            ("times-disagree", "appointment-time-missing", "time-unreadable", "offset-dropped"),
            lambda view, mapping: times(view).start,
        ),
        FieldMapping(
            "end",
            "when it ends, if that was said",
            "TQ1-8",
            ("SCH-11",),
            (),
            lambda view, mapping: times(view).end,
        ),
        FieldMapping(
            "duration_minutes",
            "how long, in minutes",
            "TQ1-8",
            ("SCH-11", "AIS-7", "AIP-9", "AIL-9", "AIG-11", "SCH-9"),
            ("durations-disagree", "duration-implausible", "duration-unreadable"),
            lambda view, mapping: times(view).minutes,
        ),
        FieldMapping("patient", "the patient", "PID-3", ("PID-5", "PID-7"), ("patient-missing",), patient),
        FieldMapping(
            "participants",
            "further places and patients",
            "AIL-3",
            ("PID-5",),
            ("several-patients",),
            _participants,
        ),
        FieldMapping(
            "clinicians",
            "who sees the patient",
            "AIP-3",
            ("AIG-3",),
            ("clinician-in-equipment", "npi-check-digit", "name-in-id"),
            _clinicians,
        ),
        FieldMapping("location", "where", "AIL-3", ("PV1-3",), (), _location),
        FieldMapping("services", "what is done", "AIS-3", (), (), every(datatypes.cwe)),
        FieldMapping("reason", "why", "SCH-7", (), (), first(datatypes.cwe)),
        FieldMapping("type", "kind of appointment", "SCH-8", (), (), first(datatypes.cwe)),
        FieldMapping(
            "cancellation_reason",
            "why it was ended",
            "SCH-6",
            (),
            ("reason-contradicts-event",),
            _cancellation_reason,
        ),
        FieldMapping("priority", "urgency", "TQ1-9", ("SCH-11.6",), ("priority-unknown",), _priority),
        FieldMapping(
            "referrer", "who referred", "PV1-8", (), (), lambda view, mapping: referring_party(view)
        ),
        FieldMapping(
            "notes",
            "comments",
            "NTE-3",
            ("NTE-2",),
            ("note-in-source",),
            notes("SCH", "AIS", "AIP", "AIL", "AIG", "PID", "PV1", "PV2", "RGS", "MSH"),
        ),
    ),
)


_FIELDS = fields_read(APPOINTMENT)


def read_appointments(view: View) -> tuple[Appointment, ...]:
    """The appointments of a SIU. Groups that start together are one; an unused event makes none."""
    if view.event not in _EVENTS:
        view.note("event-not-used", "MSH-9", "this scheduling event changes no appointment of a patient")
        return ()
    if view.first("SCH") is None and view.first("RGS") is None:
        view.note(
            "appointment-missing",
            "SCH",
            "there is neither SCH nor RGS, so no appointment can be told",
            refusing=True,
        )
        return ()
    note_deletions(view, _FIELDS)
    view = _live(view)
    runs = _runs(resource_groups(view))
    if len(runs) == 1:
        return (_appointment(view, None),)
    view.note("several-appointments", "RGS", f"one message books {len(runs)} appointments under one number")
    grouped = {segment.position for run in runs for segment in run}
    context = view.narrowed(segment for segment in view.segments if segment.position not in grouped)
    booked = [view.narrowed(run, context=context) for run in runs]
    return tuple(_appointment(one, at) for at, one in enumerate(booked, start=1))


def _live(view: View) -> View:
    """The message without the resources its sender deletes (action code D, HL7 table 0206), notes kept.

    A group (RGS) goes with all that is in it. An ended appointment from which everything was deleted keeps
    it: there it says what has ended.
    """
    marked, gone = _deleted(view)
    if not marked:
        return view
    whole = not any(s.id in _RESOURCE_NAMES and s.position not in gone for s in view.segments)
    if whole and view.event in _ENDING:
        return view
    for segment in marked:
        view.note("resource-deleted", segment.place(2), "a resource is marked deleted and was left out")
    if whole:
        detail = "every resource of the appointment is marked deleted; only SCH and TQ1 tell of it"
        view.note("resources-all-deleted", marked[0].place(2), detail)
    return view.narrowed(segment for segment in view.segments if segment.position not in gone)


def _deleted(view: View) -> tuple[list[Segment], set[int]]:
    """The groups and resources marked deleted, and the positions of all that goes with them.

    A resource that is added or updated inside a deleted group contradicts it, and is kept with a finding.
    """
    marked: list[Segment] = []
    gone: set[int] = set()
    group: Segment | None = None
    for segment in view.segments:
        action = _action_code(view, segment) if segment.id in _RESOURCE_NAMES or segment.id == "RGS" else None
        if segment.id == "RGS":
            group = segment if action == "D" else None
        if action == "D" and (group is None or segment is group):
            marked.append(segment)
        if group is not None and action in ("A", "U"):
            gone.discard(group.position)
            view.note("resource-in-deleted-group", segment.place(2), _CONTRADICTION)
        elif action == "D" or (group is not None and action is not None):
            gone.add(segment.position)
    return marked, gone


_CONTRADICTION = "a resource is added or updated in a group that is marked deleted; it was kept"


def _action_code(view: View, segment: Segment) -> str:
    action = next(view.cells_of(segment, 2), None)
    return ((action.text(1) if action else None) or "").upper()


def _runs(groups: list[View]) -> list[list[Segment]]:
    """The groups by their start on the clock; groups without a time of their own join the first."""
    timed: dict[str, list[Segment]] = {}
    untimed: list[Segment] = []
    for group in groups:
        start = next((start for _, start, _ in _resource_times(group)), None)
        run = untimed if start is None or start.iso is None else timed.setdefault(start.iso[:16], [])
        run += group.segments
    runs = list(timed.values()) or [[]]
    runs[0] += untimed
    return runs


def _appointment(view: View, ordinal: int | None) -> Appointment:
    return Appointment(id=str(ordinal) if ordinal else None, **build(APPOINTMENT.fields, view))
