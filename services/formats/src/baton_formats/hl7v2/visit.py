"""ADT as arrivals and as changes to a patient's identity."""

from __future__ import annotations

from dataclasses import replace

from baton_formats.declaration import FieldMapping, MessageMapping
from baton_formats.facts import Arrival, Concept, HumanName, Identifier, Patient, PatientChange
from baton_formats.findings import Format
from baton_formats.hl7v2 import datatypes
from baton_formats.hl7v2.parts import diagnoses, patient
from baton_formats.hl7v2.patient import read_one, referenced_identifiers
from baton_formats.hl7v2.segments import Segment
from baton_formats.hl7v2.view import View, build, every, first

_ARRIVALS = {
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
_MERGES = frozenset(
    ("A18", "A30", "A34", "A35", "A36", "A39", "A40", "A41", "A42", "A46", "A47", "A48", "A49", "A50", "A51")
)


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
            lambda view, mapping: _ARRIVALS.get(view.event),
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
        FieldMapping("at", "when", "PV1-44", ("EVN-6", "EVN-2"), ("time-unreadable",), first(datatypes.time)),
        FieldMapping("ended_at", "when it ended", "PV1-45", (), ("time-unreadable",), first(datatypes.time)),
        FieldMapping(
            "reasons", "reason of the visit, then diagnoses", "PV2-3", ("PV2-12",), (), _visit_reasons
        ),
        FieldMapping("referrals", "numbers of a referral named in it", "RF1-6", ("RF1-11",), (), _referrals),
    ),
)


def _replaced(view: View, mapping: FieldMapping) -> tuple[Identifier, ...]:
    return referenced_identifiers(view, "MRG-1") or referenced_identifiers(view, "MRG-4")


CHANGE = MessageMapping(
    format=Format.HL7V2,
    message="ADT^A08, A28, A31, A40 and other identity events",
    fact="patient_change",
    source="HL7 v2.5.1 3.3, 3.4.9 MRG",
    notes=("A merge moves what belonged to `replaced` to the patient. One change per PID and MRG pair.",),
    fields=(
        FieldMapping(
            "action",
            "add, update, merge or delete",
            "MSH-9.2",
            (),
            ("event-conflict",),
            lambda view, mapping: _change(view),
        ),
        FieldMapping(
            "patient",
            "the patient who remains",
            "PID-3",
            ("PID-5", "PID-7"),
            ("patient-missing",),
            lambda view, mapping: _subject(view),
        ),
        FieldMapping(
            "replaced",
            "numbers that stand for nobody any more",
            "MRG-1",
            ("MRG-4",),
            ("merge-without-source",),
            _replaced,
        ),
        FieldMapping(
            "replaced_names", "the name under them", "MRG-7", (), (), lambda view, mapping: _old_names(view)
        ),
        FieldMapping("at", "when", "EVN-6", ("EVN-2",), ("time-unreadable",), first(datatypes.time)),
    ),
)


def _change(view: View) -> str | None:
    return "merge" if view.event in _MERGES else _CHANGES.get(view.event)


def _subject(view: View) -> Patient | None:
    pids = view.all("PID")
    return read_one(view, pids[0]) if pids else None


def _old_names(view: View) -> tuple[HumanName, ...]:
    return tuple(name for cell in view.cells("MRG-7") if (name := datatypes.xpn(cell, view)))


def read_adt(view: View) -> tuple[Arrival | PatientChange, ...]:
    """What an ADT message says: a visit event, a change of identity, or nothing this library knows (a
    finding).
    """
    compare_event(view)
    if view.event in _ARRIVALS:
        return (Arrival(**build(ARRIVAL.fields, view)),)
    if _change(view) is None:
        view.note("event-not-used", "MSH-9", "this ADT event says nothing a referral needs")
        return ()
    return tuple(PatientChange(**build(CHANGE.fields, pair)) for pair in _pairs(view))


def compare_event(view: View) -> None:
    """Note it where EVN-1 names another event than MSH-9.2."""
    said = view.text("EVN-1")
    if said and said.upper() != view.event:
        view.note("event-conflict", "EVN-1", "EVN-1 names another event than MSH-9, which was believed")


def _pairs(view: View) -> list[View]:
    """PID with the MRG that follows it, as often as they come; other segments belong to all."""
    context = view.narrowed(
        segment for segment in view.segments if segment.id not in ("PID", "MRG", "PD1", "PV1", "PV2")
    )
    groups: list[list[Segment]] = []
    for segment in view.segments:
        if segment.id == "PID":
            groups.append([segment])
        elif groups and segment.id in ("MRG", "PD1", "PV1", "PV2"):
            groups[-1].append(segment)
    if view.event in _MERGES and not view.all("MRG"):
        view.note(
            "merge-without-source",
            "MRG-1",
            "the message merges patients but does not say which number is replaced",
            refusing=True,
        )
    return [view.narrowed(group, context=context) for group in groups[:1000]] or [view]
