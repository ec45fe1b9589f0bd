"""Parts that several messages share: notes, coverage, diagnoses, the referring clinician, the patient."""

from __future__ import annotations

import re
from collections.abc import Callable

from baton_formats.declaration import FieldMapping, MessageMapping
from baton_formats.facts import Coding, Concept, Coverage, Note, Organization, Party, Patient, Period
from baton_formats.findings import Format
from baton_formats.hl7v2 import datatypes
from baton_formats.hl7v2.grouping import notes_after
from baton_formats.hl7v2.patient import read_patient
from baton_formats.hl7v2.segments import Cell, Segment
from baton_formats.hl7v2.view import Read, View, build, first, place_of, text

_MAX_DIAGNOSES = 200
_MAX_COVERAGES = 50
# HL7 table 0364 (NTE-4), which is the users' own beyond a few codes.
PATIENT_INSTRUCTION = Concept((Coding("PI", "HL70364", "Patient Instructions"),))
QUESTION = Concept((Coding("QUESTION", "L", "Question"),))
_SOURCE_OF_COMMENT = re.compile(r"[A-Z]{1,2}")
# HL7 tables 0280, 0485 and 0027 (OBR-5, TQ1-9, RF1-2).
_PRIORITIES = {"S": "stat", "A": "asap", "R": "routine", "U": "urgent", "STAT": "stat", "ASAP": "asap"}
_PRIORITIES |= {"ROUTINE": "routine", "URGENT": "urgent", "RO": "routine", "UR": "urgent", "ST": "stat"}


def patient(view: View, mapping: FieldMapping) -> Patient | None:
    """The patient of the message, read once however many facts it holds."""
    if "patient" not in view.shared:
        view.shared["patient"] = read_patient(view)
    found = view.shared["patient"]
    return found if isinstance(found, Patient) else None


def note_text(view: View, segment: Segment) -> str | None:
    """NTE-3, all repetitions as lines; NTE-2 where a sender wrote the text there instead of its source."""
    lines = [cell.whole().strip() for cell in view.cells_of(segment, 3)]
    words = "\n".join(lines).strip()
    if words:
        return words
    misplaced = next((cell.whole().strip() for cell in view.cells_of(segment, 2)), "")
    if not misplaced or _SOURCE_OF_COMMENT.fullmatch(misplaced):
        return None
    view.note(
        "note-in-source", segment.place(2), "the text of the note stands in NTE-2, the field for its source"
    )
    return misplaced


def notes(*owners: str, apart: tuple[Concept, ...] = ()) -> Read:
    """A reader of the notes that stand behind one of ``owners``, without those of the types ``apart``."""
    commented, left_out = _comments(owners), frozenset(kind.code for kind in apart)

    def read(view: View, mapping: FieldMapping) -> tuple[Note, ...]:
        return tuple(note for kind, note in commented(view) if kind not in left_out)

    return read


def comments(kind: Concept, *owners: str) -> Read:
    """A reader of the words of one type of comment (NTE-4) behind one of ``owners``."""
    commented = _comments(owners)

    def read(view: View, mapping: FieldMapping) -> tuple[str, ...]:
        return tuple(note.text for type_, note in commented(view) if type_ == kind.code)

    return read


_Comments = tuple[tuple[str | None, Note], ...]


def _comments(owners: tuple[str, ...]) -> Callable[[View], _Comments]:
    """All notes behind ``owners`` with their types, those outside the group in view first; read once."""
    wanted, key = frozenset(owners), f"notes {' '.join(owners)}"

    def of(view: View) -> _Comments:
        if key not in view.memo:
            found = (_comment(view, nte) for nte in notes_after(view, wanted))
            view.memo[key] = tuple(comment for comment in found if comment)
        known: _Comments = view.memo[key]
        return known

    return lambda view: (*of(view.context), *of(view)) if view.context else of(view)


def _comment(view: View, nte: Segment) -> tuple[str | None, Note] | None:
    """A note with its type (NTE-4), who entered it (NTE-5) and when (NTE-6)."""
    words = note_text(view, nte)
    if not words:
        return None
    kind, author, at = (next(view.cells_of(nte, number), None) for number in (4, 5, 6))
    named = [part for part in (author.text(3), author.part(2, 1)) if part] if author else []
    note = Note(
        text=words,
        author=" ".join(named) or (author.text(1) if author else None),
        at=datatypes.quiet_time(at.text(1)) if at else None,
    )
    return (kind.text(1) or "").upper() if kind else None, note


def priority_of(concept: Concept | None) -> str | None:
    """routine, urgent, asap or stat by code or by the words a sender wrote; None if none of them."""
    if concept is None:
        return None
    words = [concept.code, *(coding.display for coding in concept.codings), concept.text]
    return next((known for word in words if word and (known := _PRIORITIES.get(word.strip().upper()))), None)


def priority(view: View, mapping: FieldMapping) -> str | None:
    """The priority of the first place that gives one; a code that is none of ours is a finding."""
    for place in (mapping.path, *mapping.also):
        for cell in view.cells(place):
            concept = _priority_at(cell, view, place)
            known = priority_of(concept)
            if known:
                return known
            if concept is not None:
                view.note(
                    "priority-unknown", cell.place, "the priority is none of routine, urgent, asap and stat"
                )
    return None


def priority_code(view: View, mapping: FieldMapping) -> Concept | None:
    """The code of the first place that gives one."""
    for place in (mapping.path, *mapping.also):
        for cell in view.cells(place):
            concept = _priority_at(cell, view, place)
            if concept is not None:
                return concept
    return None


def _priority_at(cell: Cell, view: View, place: str) -> Concept | None:
    """A field that is the priority, or the component of a timing (TQ.6) that holds its code."""
    if "." not in place:
        return datatypes.cwe(cell, view)
    code = cell.part(place_of(place).component, 1)
    return Concept(codings=(Coding(code=code),)) if code else None


def diagnoses(view: View, mapping: FieldMapping) -> tuple[Concept, ...]:
    """DG1-3, with DG1-4 as words where there is no code; read once for all that see the same segments."""
    holder = view.holder("DG1")
    if "diagnoses" not in holder.memo:
        holder.memo["diagnoses"] = _diagnoses(holder)
    known: tuple[Concept, ...] = holder.memo["diagnoses"]
    return known


def _diagnoses(view: View) -> tuple[Concept, ...]:
    found: dict[Concept, None] = {}
    segments = view.all("DG1")
    if len(segments) > _MAX_DIAGNOSES:
        place = segments[_MAX_DIAGNOSES].place(3)
        view.note("too-many-repetitions", place, f"only the first {_MAX_DIAGNOSES} diagnoses were read")
    for segment in segments[:_MAX_DIAGNOSES]:
        cell = next(view.cells_of(segment, 3), None) or next(view.cells_of(segment, 4), None)
        concept = datatypes.cwe(cell, view) if cell else None
        if concept:
            found[concept] = None
    return tuple(found)


def referring_party(view: View) -> Party | None:
    """The referring doctor of the visit (PV1-8)."""
    cell = view.cell("PV1-8")
    return datatypes.party(cell, view) if cell else None


def _coverage_period(view: View, mapping: FieldMapping) -> Period | None:
    return datatypes.period(view.text("IN1-12"), view.text("IN1-13"))


def _payer(view: View, mapping: FieldMapping) -> Organization | None:
    name = view.cell("IN1-4")
    organization = datatypes.xon(name, view) if name else None
    number = view.cell("IN1-3")
    identifier = datatypes.cx(number, view) if number else None
    if organization is None and identifier is None:
        return None
    named = organization or Organization()
    address = tuple(found for cell in view.cells("IN1-5") if (found := datatypes.xad(cell, view)))
    return Organization(
        name=named.name,
        identifiers=(identifier,) if identifier else named.identifiers,
        npi=named.npi,
        addresses=address,
    )


COVERAGE = MessageMapping(
    format=Format.HL7V2,
    message="IN1 in any message",
    fact="coverage",
    source="HL7 v2.5.1 6.5.6 IN1",
    fields=(
        FieldMapping("payer", "the insurance company", "IN1-4", ("IN1-3", "IN1-5"), (), _payer),
        FieldMapping("plan", "plan number", "IN1-2", (), (), first(text)),
        FieldMapping(
            "plan_name",
            "plan name",
            "IN1-2.2",
            ("IN1-9",),
            (),
            first(lambda cell, view: cell.text(2 if cell.number == 2 else 1)),
        ),
        FieldMapping("group", "group number", "IN1-8", (), (), first(text)),
        FieldMapping("member_id", "policy number", "IN1-36", ("IN1-49",), (), first(text)),
        FieldMapping("subscriber_id", "number of the insured", "IN1-49", (), (), first(text)),
        FieldMapping(
            "relationship",
            "the insured's relationship to the patient",
            "IN1-17",
            (),
            (),
            first(datatypes.cwe),
        ),
        FieldMapping("type", "kind of plan", "IN1-15", (), (), first(datatypes.cwe)),
        FieldMapping(
            "period", "plan effective and expiration date", "IN1-12", ("IN1-13",), (), _coverage_period
        ),
    ),
)


def coverage(view: View, mapping: FieldMapping) -> tuple[Coverage, ...]:
    """One coverage per IN1."""
    if "coverage" not in view.shared:
        segments = view.all("IN1")
        if len(segments) > _MAX_COVERAGES:
            place = segments[_MAX_COVERAGES].place(1)
            view.note("too-many-repetitions", place, f"only the first {_MAX_COVERAGES} coverages were read")
        used = segments[:_MAX_COVERAGES]
        made = (Coverage(**build(COVERAGE.fields, view.narrowed([in1]))) for in1 in used)
        view.shared["coverage"] = tuple(found for found in made if found != Coverage())
    found = view.shared["coverage"]
    return found if isinstance(found, tuple) else ()


__all__ = [
    "COVERAGE",
    "PATIENT_INSTRUCTION",
    "QUESTION",
    "comments",
    "coverage",
    "diagnoses",
    "note_text",
    "notes",
    "patient",
    "priority",
    "priority_code",
    "priority_of",
    "referring_party",
]
