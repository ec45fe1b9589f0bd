"""PID, PD1 and MRG: who the message is about."""

from __future__ import annotations

import re
from dataclasses import replace

from baton_formats.declaration import FieldMapping, MessageMapping
from baton_formats.facts import ContactPoint, HumanName, Identifier, PartialTime, Patient
from baton_formats.findings import Format
from baton_formats.hl7v2 import datatypes
from baton_formats.hl7v2.header import sender_authority
from baton_formats.hl7v2.segments import NULL, Cell, Segment
from baton_formats.hl7v2.view import View, build, every, first, place_of, text

# HL7 table 0001.
_GENDERS = {
    "F": "female",
    "M": "male",
    "O": "other",
    "A": "other",
    "U": "unknown",
    "N": "other",
    "X": "other",
}
_GENDER_WORDS = {"FEMALE": "female", "MALE": "male", "OTHER": "other", "UNKNOWN": "unknown"}
_PLACEHOLDER = re.compile(r"(?:000-?00-?0000|(\d)\1{8}|(\d)\2\2-\2\2-\2{4})")
_MASKED = re.compile(r".*(?:\*\*|XX-?XX|\[[A-Za-z ]+\]).*", re.IGNORECASE | re.DOTALL)


def _identifiers(view: View, mapping: FieldMapping) -> tuple[Identifier, ...]:
    found: list[Identifier] = []
    for place in (mapping.path, *mapping.also):
        number = place_of(place).field
        for cell in view.cells(place):
            identifier = _identifier(cell, view, number)
            if identifier and not any(_same_number(identifier, known) for known in found):
                found.append(identifier)
    return tuple(found)


def _same_number(new: Identifier, known: Identifier) -> bool:
    """A number repeated in PID-2 or PID-4 says nothing new unless it names another authority."""
    if new == known:
        return True
    return new.value == known.value and new.use == "secondary" and new.authority in (None, known.authority)


def _identifier(cell: Cell, view: View, number: int) -> Identifier | None:
    identifier = datatypes.cx(cell, view)
    if identifier is None or not _meaningful(identifier, cell, view):
        return None
    if number == 18:
        return replace(identifier, type=identifier.type or "AN", use="secondary")
    if number == 19:
        return replace(identifier, type="SS", use="secondary")
    if number == 20:
        return _licence(cell, view)
    scoped = _scoped(identifier, cell, view, loud=number == 3)
    return scoped if number == 3 else replace(scoped, use=_use_of(number, view))


def _licence(cell: Cell, view: View) -> Identifier:
    """DLN: number and issuing state; some senders put a label in front of the number."""
    value, issuer = cell.text(1), cell.text(2)
    if issuer and any(map(str.isdigit, issuer)) and not any(map(str.isdigit, value or "")):
        view.note(
            "identifier-misplaced", cell.place, "the licence number stands in the component of its issuer"
        )
        value, issuer = issuer, None
    return Identifier(value=value, authority=issuer, type="DL", use="secondary")


def _use_of(number: int, view: View) -> str | None:
    """PID-2 and PID-4 were kept for old senders; where PID-3 is empty they are all there is."""
    if any(view.cells("PID-3")):
        return "secondary"
    view.note(
        "patient-id-misplaced", f"PID-{number}", "PID-3 is empty; the patient's number was taken from here"
    )
    return None


def _meaningful(identifier: Identifier, cell: Cell, view: View) -> bool:
    value = identifier.value or ""
    if _PLACEHOLDER.fullmatch(value):
        view.note("identifier-placeholder", cell.place, "a placeholder stands for a number; it is not used")
        return False
    if _MASKED.fullmatch(value):
        view.note("identifier-masked", cell.place, "a number is masked; it is not used")
        return False
    return True


def _scoped(identifier: Identifier, cell: Cell, view: View, *, loud: bool) -> Identifier:
    """A number without authority belongs to the sending facility; one with it in the wrong component is
    moved.
    """
    if identifier.authority or identifier.system:
        return identifier
    if identifier.assigner and not identifier.type:
        view.note("authority-misplaced", cell.place, "the authority stands in the facility component (CX.6)")
        return replace(identifier, authority=identifier.assigner.rpartition("|")[2], assigner=None)
    sender = sender_authority(view.envelope)
    if loud:
        view.note(
            "identifier-without-authority",
            cell.place,
            "the number names no authority; it was scoped to the sender (MSH-4)",
        )
    if sender is None:
        return identifier
    return replace(identifier, authority=sender.value, system=sender.system)


def _names(view: View, mapping: FieldMapping) -> tuple[HumanName, ...]:
    names = [name for cell in view.cells(mapping.path) if (name := datatypes.xpn(cell, view))]
    aliases = [name for cell in view.cells("PID-9") if (name := datatypes.xpn(cell, view))]
    if names and not names[0].family:
        view.note("family-name-missing", "PID-5", "the name has no family part")
    return (*names, *(replace(alias, use=alias.use or "nickname") for alias in aliases))


def _birth_date(cell: Cell, view: View) -> PartialTime | None:
    given = datatypes.time(cell, view)
    if given is not None and given.iso is None:
        view.note(
            "birth-date-unreadable",
            cell.place,
            "the birth date could not be read; it takes no part in matching",
        )
    return given


def _gender(cell: Cell, view: View) -> str | None:
    code = (cell.text(1) or "").upper()
    gender = _GENDERS.get(code) or _GENDER_WORDS.get(code)
    if code and gender is None:
        view.note("gender-unknown-code", cell.place, "the code is not in HL7 table 0001")
    return gender


def _telecom(view: View, mapping: FieldMapping) -> tuple[ContactPoint, ...]:
    found: list[ContactPoint] = []
    for place, use in (
        (mapping.path, "home"),
        *((place, "work" if place == "PID-14" else None) for place in mapping.also),
    ):
        for cell in view.cells(place):
            for point in datatypes.xtn(cell, view):
                known = replace(point, use=point.use or use)
                if known not in found:
                    found.append(known)
    return tuple(found)


def _yes(cell: Cell, view: View) -> bool | None:
    return {"Y": True, "N": False}.get((cell.text(1) or "").upper())


def _cleared(view: View, mapping: FieldMapping) -> tuple[str, ...]:
    if not any(NULL in segment.fields for name in ("PID", "PD1") for segment in view.all(name)):
        return ()
    places = {
        field.target: (field.path, *field.also) for field in PATIENT.fields if field.target != "cleared"
    }
    return tuple(target for target, all_of in places.items() if _is_cleared(view, all_of))


def _is_cleared(view: View, places: tuple[str, ...]) -> bool:
    raws = [view.raw(place).strip() for place in places]
    return NULL in raws and not any(raw and raw != NULL for raw in raws)


PATIENT = MessageMapping(
    format=Format.HL7V2,
    message="PID in any message",
    fact="patient",
    source="HL7 v2.5.1 3.4.2 PID, 3.4.10 PD1",
    notes=(
        'A field holding "" is listed in `cleared`: delete it. An empty field says nothing.',
        "A number without an authority is scoped to the sending facility.",
    ),
    fields=(
        FieldMapping(
            "identifiers",
            "the patient's numbers, each with its authority",
            "PID-3",
            ("PID-2", "PID-4", "PID-19", "PID-20", "PID-18"),
            (
                "identifier-without-authority",
                "authority-misplaced",
                "patient-id-misplaced",
                "identifier-placeholder",
                "identifier-masked",
                "identifier-misplaced",
            ),
            _identifiers,
        ),
        FieldMapping("names", "names, aliases last", "PID-5", ("PID-9",), ("family-name-missing",), _names),
        FieldMapping(
            "birth_date",
            "date of birth as precise as given",
            "PID-7",
            (),
            ("birth-date-unreadable",),
            first(_birth_date),
        ),
        FieldMapping("gender", "administrative sex", "PID-8", (), ("gender-unknown-code",), first(_gender)),
        FieldMapping("telecom", "phones and e-mail", "PID-13", ("PID-14", "PID-40"), (), _telecom),
        FieldMapping("addresses", "addresses", "PID-11", (), (), every(datatypes.xad)),
        FieldMapping("language", "language to speak", "PID-15", (), (), first(text)),
        FieldMapping("marital_status", "marital status", "PID-16", (), (), first(datatypes.cwe)),
        FieldMapping("deceased", "whether the patient died", "PID-30", (), (), first(_yes)),
        FieldMapping("deceased_at", "when", "PID-29", (), ("time-unreadable",), first(datatypes.time)),
        FieldMapping(
            "general_practitioners", "primary care provider", "PD1-4", (), (), every(datatypes.party)
        ),
        FieldMapping("cleared", 'fields sent as ""', "PID-3", (), (), _cleared),
    ),
)


def read_patient(view: View) -> Patient | None:
    """The patient of the first PID in view; None if there is none or it tells nothing that could identify
    anyone.
    """
    pids = view.all("PID")
    if not pids:
        return None
    return read_one(view, pids[0])


def read_one(view: View, pid: Segment) -> Patient | None:
    """The patient of one PID."""
    more = view.all("PD1")[:1] if pid.ordinal == 1 or len(view.all("PID")) == 1 else []
    seen = view.narrowed((pid, *more))
    patient = Patient(**build(PATIENT.fields, seen))
    return patient if patient.identifiers or patient.names else None


def referenced_identifiers(view: View, place: str) -> tuple[Identifier, ...]:
    """Patient numbers elsewhere (MRG-1), scoped like those of PID-3."""
    found = []
    for cell in view.cells(place):
        identifier = datatypes.cx(cell, view)
        if identifier is not None and _meaningful(identifier, cell, view):
            found.append(_scoped(identifier, cell, view, loud=True))
    return tuple(found)
