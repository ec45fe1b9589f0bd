"""What of a fact FHIR has no way to say: noted as it is written, so that nothing is dropped silently."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, Final

from baton_formats.facts import (
    FACT_TYPES,
    Acknowledgement,
    Address,
    Appointment,
    Attachment,
    Coding,
    Communication,
    ContactPoint,
    Document,
    Extension,
    HumanName,
    Identifier,
    Issue,
    Link,
    Observation,
    Organization,
    PartialTime,
    Participant,
    Party,
    Patient,
    PatientChange,
    Period,
    Practitioner,
    Referral,
    Section,
    Signature,
    Slot,
    Task,
)
from baton_formats.fhir import bindings
from baton_formats.fhir.allowed import is_too_long
from baton_formats.fhir.compose import (
    ADDRESS_USES,
    IDENTIFIER_USES,
    NAME_USES,
    TELECOM_SYSTEMS,
    TELECOM_USES,
    Json,
    attachment,
    code_text,
    date_time,
    namespace,
    span,
    uri,
    words,
)
from baton_formats.fhir.parcel import Parcel, logical
from baton_formats.fhir.write_extensions import fits, fits_inside, is_whole

DETAILS: Final = {
    "code-not-written": "A code outside its required binding was left out, or another stands in its place.",
    "link-by-type": "A pointer into another body was taken to mean the only resource of its type here.",
    "link-not-written": "A pointer that means nothing outside of the body it came in was left out.",
    "not-written": "FHIR has no place for this field, or does not allow what it holds.",
    "time-not-written": "A time was left out, or only the part of it that FHIR can say was written.",
}
"""Findings of :func:`baton_formats.fhir.compose`, with the sentence that explains them."""

NOWHERE: Final[Mapping[type, frozenset[str]]] = {
    Referral: frozenset({"status_code", "priority_code"}),
    Appointment: frozenset({"status_code"}),
    Patient: frozenset({"cleared"}),
    PatientChange: frozenset({"at", "replaced_names"}),
    Document: frozenset({"version_number", "recipients", "referrer", "template_ids"}),
    Section: frozenset({"code", "template_ids"}),
    Signature: frozenset({"at", "code"}),
}
"""Fields that R4 has no place for."""

_ONLY: Final[Mapping[tuple[type, str], frozenset[str]]] = {
    (Referral, "priority"): bindings.PRIORITY,
    (Task, "priority"): bindings.PRIORITY,
    (Communication, "priority"): bindings.PRIORITY,
    (Patient, "gender"): bindings.GENDER,
    (Practitioner, "gender"): bindings.GENDER,
    (Participant, "required"): bindings.PARTICIPANT_REQUIRED,
    (Identifier, "use"): IDENTIFIER_USES,
    (HumanName, "use"): NAME_USES,
    (ContactPoint, "system"): TELECOM_SYSTEMS,
    (ContactPoint, "use"): TELECOM_USES,
    (Address, "use"): ADDRESS_USES,
    (Issue, "severity"): frozenset({"fatal", "error", "warning", "information"}),
}
"""Codes of required bindings that are left out where they are none of them."""

_MOMENTS: Final = frozenset({(Appointment, "start"), (Appointment, "end"), (Slot, "start"), (Slot, "end")})
"""Where FHIR wants an instant: less than that is nothing."""
_DAYS: Final = frozenset({(Patient, "birth_date"), (Practitioner, "birth_date")})
_ELSEWHERE: Final = frozenset({(Party, "link"), (Party, "reference"), (Link, "resolved")})
"""What the writer of the thing itself looks after."""

_TIME: Final = "FHIR has no such time; it was left out, or only what FHIR can say of it was written"
_CODE: Final = "a code outside the required binding was left out"


def note_unsaid(parcel: Parcel, fact: Any, resource: Json) -> None:
    """Notes every field of a fact that its resource does not carry, by its path (``patient.names.use``).

    Facts inside of it are looked at when they are written themselves; positions in lists are not told, so
    that a thousand lines with the same trouble are one finding.
    """
    waiting: list[tuple[Any, str]] = [(fact, str(fact.kind))]
    while waiting:
        value, where = waiting.pop()
        special = _SPECIAL.get(type(value))
        for name in special(value, parcel) if special is not None else ():
            parcel.unsaid(f"{where}.{name}")
        for name, watched in _watched(_class_of(value)):
            held = getattr(value, name)
            if held is None or held == ():
                continue
            if watched or type(held) is not str or is_too_long(held):  # as hardly ever
                waiting.extend(_looked_at(parcel, value, name, held, where, resource))


def _looked_at(
    parcel: Parcel, owner: Any, name: str, held: Any, where: str, resource: Json
) -> list[tuple[Any, str]]:
    """Judges one field, and gives what of it has fields of its own."""
    cls, place = type(owner), f"{where}.{name}"
    if name in NOWHERE.get(cls, ()):
        parcel.unsaid(place)
        return []
    if (cls, name) in _ONLY and held not in _ONLY[cls, name]:
        parcel.doubt("code-not-written", place, _CODE)
    elif isinstance(held, PartialTime):
        _time(parcel, cls, name, held, place)
    elif isinstance(held, Period):
        note_period(parcel, held, f"{place}.start", f"{place}.end")
    elif name == "id" and (cls in FACT_TYPES or cls is Observation) and logical(held) is None:
        parcel.unsaid(place, "this is no id as FHIR allows it")
    elif name == "version" and "versionId" not in resource.get("meta", ()):
        parcel.unsaid(place)
    items = held if isinstance(held, tuple) else (held,)
    if any(isinstance(item, str) and is_too_long(item) for item in items):
        parcel.unsaid(place, "a text of FHIR has at most a megabyte")
    if items and isinstance(items[0], Extension):
        _extensions(parcel, owner, items, place, resource)
        return []
    return [(item, place) for item in items if _has_fields(_class_of(item))]


def _time(parcel: Parcel, cls: type, name: str, held: PartialTime, place: str) -> None:
    text = date_time(held, parcel.zone)
    has_clock = "T" in (held.iso or "")
    short = (cls, name) in _MOMENTS and "T" not in (text or "")
    if text is None or short or (has_clock and ("T" not in text or (cls, name) in _DAYS)):
        parcel.doubt("time-not-written", place, _TIME)


def note_period(parcel: Parcel, held: Period, start: str, end: str) -> None:
    """Notes, at the paths of its ends, what FHIR cannot say of a period."""
    ends = zip((start, end), (held.start, held.end), span(held, parcel.zone), strict=True)
    for place, given, text in ends:
        if given is None:
            continue
        clipped = text != date_time(given, parcel.zone) or (
            "T" in (given.iso or "") and "T" not in (text or "")
        )
        if text is None or clipped:
            parcel.doubt("time-not-written", place, _TIME)


def _extensions(parcel: Parcel, owner: Any, items: tuple[Extension, ...], place: str, resource: Json) -> None:
    kind = None if type(owner) in FACT_TYPES else type(owner).__name__
    holder = resource if kind is None else _lists(owner)
    waiting = list(items)
    if not all(fits(holder, one, kind) for one in items):
        parcel.unsaid(place)
    while waiting:
        one = waiting.pop()
        waiting.extend(one.extensions)
        both = one.extensions and one.value is not None
        if both or (one.type and one.value is not None and not is_whole(one.type, one.value)):
            parcel.unsaid(place, "a part of an extension is nothing that R4 allows there; it was left out")
        if one.extensions and not all(fits_inside(inner) for inner in one.extensions):
            parcel.unsaid(place)


def _lists(owner: Any) -> Json:
    """The lists of a value, whose members may each have an extension."""
    held = ((name, getattr(owner, name)) for name in _names(_class_of(owner)))
    return {name: list(value) for name, value in held if isinstance(value, tuple)}


def _class_of(value: Any) -> Any:
    return type(value)


@cache
def _names(cls: Any) -> tuple[str, ...]:
    return tuple(one.name for one in fields(cls) if (cls, one.name) not in _ELSEWHERE)


@cache
def _watched(cls: Any) -> tuple[tuple[str, bool], ...]:
    """The fields of a class, and whether a text in them may be one that FHIR cannot say."""
    special = NOWHERE.get(cls, frozenset()) | {"id", "version"}
    return tuple((name, name in special or (cls, name) in _ONLY) for name in _names(cls))


@cache
def _has_fields(cls: Any) -> bool:
    """Whether the values of a class are looked into: facts are when they are written themselves."""
    return is_dataclass(cls) and cls not in FACT_TYPES and cls not in (PartialTime, Period)


# ---- values of which a part may have no place --------------------------------------------------------------


def _coding(value: Coding, _: Parcel) -> list[str]:
    named = value.system is not None and words(value.system) and uri(value.system) is None
    odd = words(value.code) is not None and code_text(value.code) is None and words(value.display) is not None
    return [*(("system",) if named else ()), *(("code",) if odd else ())]


def _identifier(value: Identifier, _: Parcel) -> list[str]:
    """A namespace that is no URI stands in the place of the authority, where there is none."""
    lost = words(value.system) is not None and namespace(value.system) is None
    return ["system"] if lost and words(value.authority) is not None else []


def _attachment(value: Attachment, parcel: Parcel) -> list[str]:
    written = attachment(replace(value, content=None), parcel.zone)
    places = (("media_type", "contentType"), ("language", "language"), ("url", "url"), ("id", "id"))
    lost = [name for name, element in places if getattr(value, name) and element not in written]
    if value.content is None:
        lost += ["size"] if value.size is not None and "size" not in written else []
        lost += ["declared_hash"] if value.declared_hash and "hash" not in written else []
    return lost


def _document(value: Document, _: Parcel) -> list[str]:
    named = (("language", value.language), ("confidentiality", value.confidentiality))
    return [name for name, text in named if words(text) is not None and code_text(text) is None]


def _organization(value: Organization, _: Parcel) -> list[str]:
    """An office has no home (org-2, org-3)."""
    named = (("telecom", value.telecom), ("addresses", value.addresses))
    return [f"{name}.use" for name, items in named if any(one.use == "home" for one in items)]


def _party(value: Party, parcel: Parcel) -> list[str]:
    """The number somebody knows a referral by is written as the placer's, where it is theirs."""
    return ["reference"] if value.reference is not None and value.reference not in parcel.placed else []


def _signature(value: Signature, _: Parcel) -> list[str]:
    lost = {"signed": value.by is None, "unsigned": True}.get(value.status, False)
    by = value.by is not None and value.status != "signed"
    return [*(("status",) if lost else ()), *(("by",) if by else ())]


def _acknowledgement(value: Acknowledgement, parcel: Parcel) -> list[str]:
    """What it answers stands in the MessageHeader, which only a message has."""
    if parcel.answered is value:
        return []
    worst = next((one.severity for one in value.issues if one.severity), None)
    code = value.code is not None and value.code != worst
    return [*(("acknowledges",) if value.acknowledges else ()), *(("code",) if code else ())]


_SPECIAL: Final[Mapping[type, Callable[[Any, Parcel], list[str]]]] = {
    Coding: _coding,
    Identifier: _identifier,
    Attachment: _attachment,
    Document: _document,
    Organization: _organization,
    Party: _party,
    Signature: _signature,
    Acknowledgement: _acknowledgement,
}
