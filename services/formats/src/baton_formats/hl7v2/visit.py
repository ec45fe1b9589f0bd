"""ADT as arrivals and as changes to a patient's identity."""

from __future__ import annotations

from dataclasses import replace

from baton_formats.declaration import FieldMapping, MessageMapping
from baton_formats.facts import Arrival, Concept, HumanName, Identifier, Patient, PatientChange
from baton_formats.findings import Format
from baton_formats.hl7v2 import datatypes
from baton_formats.hl7v2.deletions import fields_read, note_deletions
from baton_formats.hl7v2.parts import diagnoses, patient
from baton_formats.hl7v2.patient import read_one, referenced_identifiers
from baton_formats.hl7v2.segments import Segment
from baton_formats.hl7v2.view import View, build, every, first, place_of

ARRIVALS = {
    "A01": "admitted",
    "A04": "arrived",
    "A03": "finished",
    "A11": "cancelled",
    "A02": "status",
    "A05": "status",
    "A06": "status",
    "A07": "status",
    "A10": "status",
    "A12": "status",
    "A13": "status",
    "A14": "status",
}
_CHANGES = {"A08": "update", "A31": "update", "A28": "add", "A29": "delete", "A23": "delete"}
# Events after which a patient's number stands for nobody, and where MRG has it (HL7 v2.5.1 3.3). A46, A47 and
# A48 correct a number, the others merge two; to whoever keeps the old one it is the same.
_MERGES = {
    "A18": ("MRG-1", "MRG-4"),
    "A30": ("MRG-1", "MRG-4"),
    "A34": ("MRG-1", "MRG-4"),
    "A36": ("MRG-1", "MRG-4"),
    "A40": ("MRG-1", "MRG-4"),
    "A47": ("MRG-1",),
    "A39": ("MRG-4", "MRG-1"),
    "A46": ("MRG-4", "MRG-1"),
    "A48": ("MRG-2",),
}
# Merges, moves and changes of accounts and visits: the number in MRG-1 is the patient's own and lives on.
_OF_ACCOUNTS = frozenset(("A35", "A41", "A42", "A44", "A45", "A49", "A50", "A51"))
_MOVE = "A43"
_MAX_PAIRS = 1000
_PAIRED = frozenset(("MRG", "PD1", "PV1", "PV2"))


def _referrals(view: View, mapping: FieldMapping) -> tuple[Identifier, ...]:
    placer = tuple(
        replace(ei, type="PLAC") for cell in view.cells("RF1-6") if (ei := datatypes.ei(cell, view))
    )
    return (*placer, *(ei for cell in view.cells("RF1-11") if (ei := datatypes.ei(cell, view))))


def _visit_reasons(view: View, mapping: FieldMapping) -> tuple[Concept, ...]:
    told = every(datatypes.cwe)(view, mapping)
    return (*told, *(found for found in diagnoses(view, mapping) if found not in told))


ARRIVAL = MessageMapping(
    format=Format.HL7V2,
    message="ADT^A01, A03, A04, A11 and other visit events",
    fact="arrival",
    source="HL7 v2.5.1 3.3, 3.4.3 PV1",
    notes=("MSH-9 names the event. EVN-1 is believed nowhere; where it differs that is a finding.",),
    fields=(
        FieldMapping(
            "action",
            "what happened",
            "MSH-9.2",
            (),
            ("event-conflict",),
            lambda view, mapping: ARRIVALS.get(view.event),
        ),
        FieldMapping("patient", "the patient", "PID-3", ("PID-5", "PID-7"), ("patient-missing",), patient),
        FieldMapping("visit", "visit number", "PV1-19", ("PV1-50",), (), every(datatypes.cx)),
        FieldMapping(
            "visit_class", "inpatient, outpatient, emergency", "PV1-2", (), (), first(datatypes.cwe)
        ),
        FieldMapping("location", "where", "PV1-3", (), (), first(datatypes.pl)),
        FieldMapping("attending", "attending doctor", "PV1-7", (), (), every(datatypes.party)),
        FieldMapping("referring", "referring doctor", "PV1-8", (), (), every(datatypes.party)),
        FieldMapping("consulting", "consulting doctor", "PV1-9", (), (), every(datatypes.party)),
        FieldMapping(
            "at",
            "when",
            "PV1-44",
            ("EVN-6", "EVN-2"),
            ("time-unreadable", "offset-dropped"),
            first(datatypes.time),
        ),
        FieldMapping(
            "ended_at",
            "when it ended",
            "PV1-45",
            (),
            ("time-unreadable", "offset-dropped"),
            first(datatypes.time),
        ),
        FieldMapping(
            "reasons", "reason of the visit, then diagnoses", "PV2-3", ("PV2-12",), (), _visit_reasons
        ),
        FieldMapping("referrals", "numbers of a referral named in it", "RF1-6", ("RF1-11",), (), _referrals),
    ),
)


def _replaced(view: View, mapping: FieldMapping) -> tuple[Identifier, ...]:
    """The numbers of MRG that the patient who remains does not bear; without one a merge cannot be done."""
    places = _MERGES.get(view.event, ())
    if not places:
        return ()
    place = next((place for place in places if view.cell(place)), places[0])
    named = referenced_identifiers(view, place)
    living = _living(view, place) if named else frozenset()
    gone = tuple(number for number in named if not living.intersection(_keys(number)))
    if len(gone) < len(named):
        detail = "MRG names a number of the patient who remains; that one was not taken as replaced"
        view.note("merge-into-itself", _source_place(view, place), detail, refusing=not gone)
    elif not gone:
        view.note(
            "merge-without-source",
            _source_place(view, place),
            "the message merges patients but does not say which number is replaced",
            refusing=True,
        )
    return gone


def _living(view: View, place: str) -> frozenset[tuple[str | None, str | None]]:
    """The numbers by which the patient who remains is known, in the form of :func:`_keys`.

    Where one of both sides names no authority, the value alone tells: a living number called dead does more
    harm than a merge that waits for a person.
    """
    kept = _subject(view)
    numbers = kept.identifiers if kept else ()
    if place == "MRG-1":  # the identifier list; what else the patient has may be the old number, kept as such
        numbers = tuple(number for number in numbers if number.use is None)
    bare = _values_without_authority(view, place)
    known: set[tuple[str | None, str | None]]
    known = {(n.value, name) for n in numbers for name in (n.authority, n.system) if name}
    known |= {(value, None) for value in _values_without_authority(view, "PID-3")}
    return frozenset(known | {(n.value, None) for n in numbers if n.value in bare})


def _keys(number: Identifier) -> tuple[tuple[str | None, str | None], ...]:
    """A number under each name of its authority, and alone."""
    return (number.value, number.authority), (number.value, number.system), (number.value, None)


def _values_without_authority(view: View, place: str) -> set[str | None]:
    numbers = (datatypes.cx(cell, view) for cell in view.cells(place))
    return {n.value for n in numbers if n and not (n.authority or n.system or n.assigner)}


def _source_place(view: View, place: str) -> str:
    """Where the source should stand: in the pair's MRG, or beside a further PID that has none."""
    mrg, pid = view.first("MRG"), view.first("PID")
    if mrg is not None:
        return mrg.place(place_of(place).field)
    return pid.place(3) if pid is not None and pid.ordinal > 1 else place


CHANGE = MessageMapping(
    format=Format.HL7V2,
    message="ADT^A08, A28, A31, A40 and other identity events",
    fact="patient_change",
    source="HL7 v2.5.1 3.3, 3.4.9 MRG",
    notes=(
        "A merge moves what belonged to `replaced` to the patient. One change per PID and MRG pair.",
        "MRG-1 counts for A18, A30, A34, A36, A40 and A47, MRG-4 for A39 and A46, MRG-2 for A48.",
        "Events of accounts and visits (A35, A41, A42, A44, A45, A49 to A51) and moves (A43) change nobody.",
    ),
    fields=(
        FieldMapping(
            "action",
            "add, update, merge or delete",
            "MSH-9.2",
            (),
            ("event-conflict", "event-not-used", "account-or-visit-changed", "patient-number-moved"),
            lambda view, mapping: _change(view),
        ),
        FieldMapping(
            "patient",
            "the patient who remains",
            "PID-3",
            ("PID-5", "PID-7"),
            ("patient-missing",),
            lambda view, mapping: _remaining(view),
        ),
        FieldMapping(
            "replaced",
            "numbers that stand for nobody any more",
            "MRG-1",
            ("MRG-4", "MRG-2"),
            ("merge-without-source", "merge-into-itself", "merge-order-unusual"),
            _replaced,
        ),
        FieldMapping(
            "replaced_names", "the name under them", "MRG-7", (), (), lambda view, mapping: _old_names(view)
        ),
        FieldMapping(
            "at", "when", "EVN-6", ("EVN-2",), ("time-unreadable", "offset-dropped"), first(datatypes.time)
        ),
    ),
)


def _change(view: View) -> str | None:
    return "merge" if view.event in _MERGES else _CHANGES.get(view.event)


def _subject(view: View) -> Patient | None:
    """The patient of one pair, read once."""
    if "subject" not in view.memo:
        pid = view.first("PID")
        view.memo["subject"] = read_one(view, pid) if pid else None
    found = view.memo["subject"]
    return found if isinstance(found, Patient) else None


def _remaining(view: View) -> Patient | None:
    found, pid = _subject(view), view.first("PID")
    if found is None and pid is not None:
        view.note("patient-missing", pid.place(3), "the message names no patient", refusing=True)
    return found


def _old_names(view: View) -> tuple[HumanName, ...]:
    if view.event not in _MERGES:
        return ()
    return tuple(name for cell in view.cells("MRG-7") if (name := datatypes.xpn(cell, view)))


_FIELDS = fields_read(ARRIVAL)


def read_adt(view: View) -> tuple[Arrival | PatientChange, ...]:
    """What an ADT message says: a visit event, a change of identity, or nothing this library knows (a
    finding).
    """
    compare_event(view)
    if view.event in ARRIVALS:
        note_deletions(view, _FIELDS)
        return (Arrival(**build(ARRIVAL.fields, view)),)
    if _change(view) is None:
        _note_unused(view)
        return ()
    return tuple(PatientChange(**build(CHANGE.fields, pair)) for pair in _pairs(view))


def _note_unused(view: View) -> None:
    """Why an event changes no patient: most say nothing we need, some change what hangs on a patient."""
    if view.event in _OF_ACCOUNTS:
        detail = "the event merges, moves or changes an account or a visit; the patient's own numbers stand"
        view.note("account-or-visit-changed", "MSH-9", detail)
    elif view.event == _MOVE:
        detail = "the event moves a number from one person to another; a person has to see to it"
        view.note("patient-number-moved", "MSH-9", detail)
    else:
        view.note("event-not-used", "MSH-9", "this ADT event says nothing a referral needs")


def compare_event(view: View) -> None:
    """Note it where EVN-1 names another event than MSH-9.2."""
    said = view.text("EVN-1")
    if said and said.upper() != view.event:
        view.note("event-conflict", "EVN-1", "EVN-1 names another event than MSH-9, which was believed")


def _pairs(view: View) -> list[View]:
    """One view per PID with the MRG, PD1 and visit nearest to it; other segments belong to all.

    These stand behind their PID. Where a message opens with MRG, its sender writes each MRG before its PID.
    """
    ahead = next((s.id for s in view.segments if s.id in ("PID", "MRG")), "") == "MRG"
    groups: list[list[Segment]] = []
    waiting: list[Segment] = []
    for segment in view.segments:
        if segment.id == "PID":
            groups.append([segment, *waiting])
            waiting = []
        elif segment.id in _PAIRED:
            (waiting if not groups or (ahead and segment.id == "MRG") else groups[-1]).append(segment)
    if not groups:
        return [view]
    groups[-1] += waiting
    if ahead and view.event in _MERGES:
        view.note("merge-order-unusual", "MRG-1", "MRG stands before PID; it was read with the PID behind it")
    if len(groups) > _MAX_PAIRS:
        view.note("too-many-groups", "PID", f"only the first {_MAX_PAIRS} patients were made into facts")
    context = view.narrowed(segment for segment in view.segments if segment.id not in ("PID", *_PAIRED))
    return [view.narrowed(group, context=context) for group in groups[:_MAX_PAIRS]]
