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
_POINT_USES = {"PID-13": "home", "PID-14": "work"}
# What a place holds of a field that several places hold, and what the components of a field are called: for
# `cleared`, where only a part is deleted.
_SHARES = {"PID-9": "nickname", "PID-18": "AN", "PID-19": "SS", "PID-20": "DL"} | _POINT_USES
_COMPONENTS = {
    "PID-5": {1: "family", 2: "given", 3: "given", 4: "suffixes", 5: "prefixes", 6: "suffixes"},
    "PID-11": {
        1: "lines",
        2: "lines",
        3: "city",
        4: "state",
        5: "postal_code",
        6: "country",
        9: "district",
    },
}
_PLACEHOLDER = re.compile(r"(?:000-?00-?0000|(\d)\1{8}|(\d)\2\2-\2\2-\2{4})")
_SSN_LABELS = frozenset(("SS", "SSN", "SSA", "USSSA"))
_SSN_OID = "urn:oid:2.16.840.1.113883.4.1"
_MASKED = re.compile(r".*(?:\*\*|XX-?XX|\[[A-Za-z ]+\]).*", re.IGNORECASE | re.DOTALL)


def _identifiers(view: View, mapping: FieldMapping) -> tuple[Identifier, ...]:
    """Every number once. One repeated beside PID-3 says nothing new unless it names another authority."""
    found: dict[Identifier, None] = {}
    authorities: dict[str | None, set[str | None]] = {}
    for place in (mapping.path, *mapping.also):
        number = place_of(place).field
        for cell in view.cells(place):
            identifier = _identifier(cell, view, number)
            if identifier is None:
                continue
            known = authorities.setdefault(identifier.value, set())
            if (
                known
                and identifier.use == "secondary"
                and (identifier.authority is None or identifier.authority in known)
            ):
                continue
            found[identifier] = None
            known.add(identifier.authority)
    return tuple(found)


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
    if view.once("PID", "PID-3 is given", lambda seen: seen.cell("PID-3") is not None):
        return "secondary"
    view.note(
        "patient-id-misplaced", f"PID-{number}", "PID-3 is empty; the patient's number was taken from here"
    )
    return None


def _meaningful(identifier: Identifier, cell: Cell, view: View) -> bool:
    value = identifier.value or ""
    if _PLACEHOLDER.fullmatch(value):
        if not _issued(identifier, value):
            view.note(
                "identifier-placeholder", cell.place, "a placeholder stands for a number; it is not used"
            )
            return False
        detail = "the number is one digit repeated; its authority is named, so it was kept"
        view.note("identifier-suspicious", cell.place, detail)
    if _MASKED.fullmatch(value):
        view.note("identifier-masked", cell.place, "a number is masked; it is not used")
        return False
    return True


def _issued(identifier: Identifier, value: str) -> bool:
    """Whether an office may have given out a number of one repeated digit: never as a social security number,
    never all zeros, and only where the office is named.
    """
    labels = {(label or "").upper() for label in (identifier.type, identifier.authority)}
    named = identifier.authority or identifier.system
    of_ssa = labels & _SSN_LABELS or identifier.system == _SSN_OID
    return bool(named and not of_ssa and value.isdigit() and value.strip("0"))


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
    found: dict[ContactPoint, None] = {}
    for place in (mapping.path, *mapping.also):
        use = _POINT_USES.get(place)
        for cell in view.cells(place):
            for point in datatypes.xtn(cell, view):
                found[replace(point, use=point.use or use)] = None
    return tuple(found)


def _yes(cell: Cell, view: View) -> bool | None:
    return {"Y": True, "N": False}.get((cell.text(1) or "").upper())


def _cleared(view: View, mapping: FieldMapping) -> tuple[str, ...]:
    """What the sender deletes: a field of the fact, or after a dot the part of it that one place or one
    component holds. A deletion that cannot be told so is a finding.
    """
    if not any(NULL in field for name in ("PID", "PD1") for pid in view.all(name) for field in pid.fields):
        return ()
    found: dict[str, None] = {}
    for field in PATIENT.fields:
        if field.target == mapping.target:
            continue
        raws = {place: raw for place in (field.path, *field.also) if (raw := view.raw(place).strip())}
        if raws and all(raw == NULL for raw in raws.values()):
            found[field.target] = None
            continue
        for place, raw in raws.items():
            for part in _deleted_parts(view, place, raw) if NULL in raw else ():
                found[f"{field.target}.{part}"] = None
    return tuple(found)


def _deleted_parts(view: View, place: str, raw: str) -> list[str]:
    """The names of what is deleted in one place while other places or components are set."""
    if raw == NULL:
        parts = [_SHARES.get(place)]
    else:
        parts = [_COMPONENTS.get(place, {}).get(at) for at in _null_components(view, raw)]
    if None in parts:
        where = place_of(place)
        label = view.all(where.segment)[0].place(where.field)
        view.note("deletion-unclear", label, 'a part is deleted ("") beside others that are set')
    return [part for part in parts if part]


def _null_components(view: View, raw: str) -> list[int]:
    """The components that are deleted; 0 for anything deleted within repetitions or sub-components."""
    syntax = view.syntax
    repetitions = raw.split(syntax.repetition) if syntax.repetition else [raw]
    found: dict[int, None] = {}
    for repetition in repetitions:
        components = repetition.split(syntax.component) if syntax.component else [repetition]
        for at, component in enumerate(components, start=1):
            if NULL not in component:
                continue
            if component.strip() == NULL:
                found[at if len(repetitions) == 1 else 0] = None
            elif syntax.subcomponent and NULL in map(str.strip, component.split(syntax.subcomponent)):
                found[0] = None
    return list(found)


PATIENT = MessageMapping(
    format=Format.HL7V2,
    message="PID in any message",
    fact="patient",
    source="HL7 v2.5.1 3.4.2 PID, 3.4.10 PD1",
    notes=(
        'A field holding "" is listed in `cleared`: delete it. An empty field says nothing.',
        "Where one place or component of it is deleted, `cleared` names that part: `telecom.home` (PID-13), "
        "`telecom.work`, `identifiers.SS`, `identifiers.DL`, `identifiers.AN`, `names.nickname` (PID-9), "
        "`names.given`, `addresses.city` and so on.",
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
                "identifier-suspicious",
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
            ("birth-date-unreadable", "time-unreadable", "time-not-hl7", "offset-dropped"),
            first(_birth_date),
        ),
        FieldMapping("gender", "administrative sex", "PID-8", (), ("gender-unknown-code",), first(_gender)),
        FieldMapping("telecom", "phones and e-mail", "PID-13", ("PID-14", "PID-40"), (), _telecom),
        FieldMapping("addresses", "addresses", "PID-11", (), (), every(datatypes.xad)),
        FieldMapping("language", "language to speak", "PID-15", (), (), first(text)),
        FieldMapping("marital_status", "marital status", "PID-16", (), (), first(datatypes.cwe)),
        FieldMapping("deceased", "whether the patient died", "PID-30", (), (), first(_yes)),
        FieldMapping(
            "deceased_at", "when", "PID-29", (), ("time-unreadable", "offset-dropped"), first(datatypes.time)
        ),
        FieldMapping(
            "general_practitioners", "primary care provider", "PD1-4", (), (), every(datatypes.party)
        ),
        FieldMapping("cleared", 'fields and parts sent as ""', "PID-3", (), ("deletion-unclear",), _cleared),
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
