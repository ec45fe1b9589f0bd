"""Plain values as the data types of FHIR: what is empty is left out, what FHIR forbids is not written."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from typing import Any

import orjson

from baton_formats.facts import (
    Address,
    Attachment,
    Coding,
    Concept,
    ContactPoint,
    Extension,
    HumanName,
    Identifier,
    Note,
    PartialTime,
    Period,
)
from baton_formats.times import fhir_text

Json = dict[str, Any]


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


V2_IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"
ABSENT: Json = {
    "extension": [
        {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
    ]
}
"""Stands where FHIR requires an element and nobody knows its content."""

_TYPE_CODES = _codes(
    """
    AN BC BRN DL DN EN FILL HC JHN MA MB MC MCN MD MI MR MRT NI NII NIIP NPI PEN PI PLAC PN PPN
    PRN PT RI RN RR RRI SB SL SN SNO SR SS TAX U UPIN VN VS WC XX
    """
)
_IDENTIFIER_USES = frozenset({"usual", "official", "temp", "secondary", "old"})
_NAME_USES = frozenset({"usual", "official", "temp", "nickname", "anonymous", "old", "maiden"})
_TELECOM_SYSTEMS = frozenset({"phone", "fax", "email", "pager", "url", "sms", "other"})
_TELECOM_USES = frozenset({"home", "work", "temp", "old", "mobile"})
_ADDRESS_USES = frozenset({"home", "work", "temp", "old", "billing"})
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_INVISIBLE = " \t\r\n\u180e\u200b\u200c\u200d\u2060\ufeff"
_CODE = re.compile(r"[^\s]+(?: [^\s]+)*")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
_OID = re.compile(r"[012](\.(0|[1-9]\d*))+")
_TABLE = re.compile(r"HL7(?:0)?(\d{4})")
_WORDS = frozenset(
    {
        "String",
        "Code",
        "Uri",
        "Url",
        "Canonical",
        "Oid",
        "Uuid",
        "Id",
        "Markdown",
        "Date",
        "DateTime",
        "Instant",
        "Time",
        "Base64Binary",
    }
)

SYSTEMS = {
    "I10": "http://hl7.org/fhir/sid/icd-10-cm",
    "I10C": "http://hl7.org/fhir/sid/icd-10-cm",
    "ICD10": "http://hl7.org/fhir/sid/icd-10-cm",
    "ICD-10-CM": "http://hl7.org/fhir/sid/icd-10-cm",
    "I9": "http://hl7.org/fhir/sid/icd-9-cm",
    "I9C": "http://hl7.org/fhir/sid/icd-9-cm",
    "ICD9": "http://hl7.org/fhir/sid/icd-9-cm",
    "LN": "http://loinc.org",
    "LOINC": "http://loinc.org",
    "SCT": "http://snomed.info/sct",
    "SNM": "http://snomed.info/sct",
    "C4": "http://www.ama-assn.org/go/cpt",
    "CPT": "http://www.ama-assn.org/go/cpt",
    "CPT4": "http://www.ama-assn.org/go/cpt",
    "RXNORM": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "NUCC": "http://nucc.org/provider-taxonomy",
}
"""Names of code systems in HL7 v2 (table 0396) and the URIs FHIR knows them by."""


def filled(**members: Any) -> Json:
    """The members that carry something; Python keywords may end in an underscore."""
    return {name.rstrip("_"): value for name, value in members.items() if value not in (None, "", [], {}, ())}


def words(text: str | None) -> str | None:
    """Text as FHIR allows it: no control characters, not blank and not only joiners or marks."""
    if text is None:
        return None
    clean = _CONTROLS.sub("", text).strip()
    return clean if clean.strip(_INVISIBLE) else None


def all_words(texts: Iterable[str]) -> list[str]:
    """Several texts, the blank ones left out."""
    return [clean for text in texts if (clean := words(text)) is not None]


def code_text(text: str | None) -> str | None:
    """A code as FHIR allows it, else None."""
    clean = words(text)
    return clean if clean is not None and _CODE.fullmatch(clean) else None


def uri(text: str | None) -> str | None:
    """A namespace as a URI: as it is, or the URI of a well-known HL7 v2 name; None if it has none."""
    clean = words(text)
    if clean is None:
        return None
    if _URI.fullmatch(clean):
        return clean
    table = _TABLE.fullmatch(clean)
    if table is not None:
        return f"http://terminology.hl7.org/CodeSystem/v2-{table.group(1)}"
    return SYSTEMS.get(clean.upper())


def date_time(time: PartialTime | None, zone: str | None) -> str | None:
    """A ``dateTime``; None for what could not be read."""
    return fhir_text(time, default_zone=zone) if time is not None else None


def instant(time: PartialTime | None, zone: str | None) -> str | None:
    """An ``instant``; None for what is no moment."""
    text = date_time(time, zone)
    return text if text is not None and "T" in text else None


def date(time: PartialTime | None) -> str | None:
    """A ``date``: the calendar part alone."""
    return time.date if time is not None else None


def identifier(number: Identifier) -> Json:
    """Identifier; the assigner's number as a logical reference."""
    kind = words(number.type)
    system, value = _namespaced(number)
    assigner = filled(identifier=_assigner(number.assigner), display=words(number.authority))
    return filled(
        use=number.use if number.use in _IDENTIFIER_USES else None,
        type=_identifier_type(kind) if kind else None,
        system=system,
        value=value,
        period=period(number.period),
        assigner=assigner,
    )


def _namespaced(number: Identifier) -> tuple[str | None, str | None]:
    """System and value; where the system says that the value is a URI, it has to be one."""
    system, value = uri(number.system), words(number.value)
    if system != "urn:ietf:rfc:3986" or value is None or _URI.fullmatch(value):
        return system, value
    return (system, f"urn:oid:{value}") if _OID.fullmatch(value) else (None, value)


def _identifier_type(kind: str) -> Json:
    if kind in _TYPE_CODES:
        return {"coding": [{"system": V2_IDENTIFIER_TYPE, "code": kind}]}
    return {"text": kind}


def _assigner(number: str | None) -> Json | None:
    if not number:
        return None
    system, bar, value = number.rpartition("|")
    return filled(system=uri(system), value=words(value)) if bar else filled(value=words(number))


def identifiers(numbers: Iterable[Identifier]) -> list[Json]:
    """Identifiers that carry anything."""
    return [written for number in numbers if (written := identifier(number))]


def coding(value: Coding) -> Json:
    """Coding; a system without a URI is left out, a code FHIR does not allow becomes its display."""
    code = code_text(value.code)
    return filled(
        system=uri(value.system),
        version=words(value.version),
        code=code,
        display=words(value.display) or (words(value.code) if code is None else None),
    )


def concept(value: Concept | None) -> Json | None:
    """CodeableConcept, None if it says nothing."""
    if value is None:
        return None
    codings = [written for one in value.codings if (written := coding(one))]
    return filled(coding=codings, text=words(value.text)) or None


def concepts(values: Iterable[Concept]) -> list[Json]:
    """CodeableConcepts that say anything."""
    return [written for value in values if (written := concept(value)) is not None]


def human_name(name: HumanName) -> Json:
    """HumanName."""
    return filled(
        use=name.use if name.use in _NAME_USES else None,
        text=words(name.text),
        family=words(name.family),
        given=all_words(name.given),
        prefix=all_words(name.prefixes),
        suffix=all_words(name.suffixes),
        period=period(name.period),
    )


def human_names(names: Iterable[HumanName]) -> list[Json]:
    """Names that carry anything."""
    return [written for name in names if (written := human_name(name))]


def contact_point(point: ContactPoint) -> Json:
    """ContactPoint; a value without a system is ``other`` (cpt-2)."""
    value = words(point.value)
    system = point.system if point.system in _TELECOM_SYSTEMS else None
    return filled(
        system=system or ("other" if value else None),
        value=value,
        use=point.use if point.use in _TELECOM_USES else None,
        period=period(point.period),
    )


def contact_points(points: Iterable[ContactPoint]) -> list[Json]:
    """Contact points that carry anything."""
    return [written for point in points if (written := contact_point(point))]


def address(value: Address) -> Json:
    """Address."""
    return filled(
        use=value.use if value.use in _ADDRESS_USES else None,
        text=words(value.text),
        line=all_words(value.lines),
        city=words(value.city),
        district=words(value.district),
        state=words(value.state),
        postalCode=words(value.postal_code),
        country=words(value.country),
        period=period(value.period),
    )


def addresses(values: Iterable[Address]) -> list[Json]:
    """Addresses that carry anything."""
    return [written for value in values if (written := address(value))]


def period(value: Period | None, zone: str | None = None) -> Json | None:
    """Period, None if it has no end that FHIR can say."""
    if value is None:
        return None
    return filled(start=date_time(value.start, zone), end=date_time(value.end, zone)) or None


def annotation(note: Note, zone: str | None = None) -> Json | None:
    """Annotation, None without text."""
    text = words(note.text)
    if text is None:
        return None
    return filled(authorString=words(note.author), time=date_time(note.at, zone), text=text)


def attachment(value: Attachment, zone: str | None = None) -> Json:
    """Attachment with its bytes; never empty, since a document without any content still has one."""
    content = value.content
    data = base64.b64encode(content).decode("ascii") if content is not None else None
    kind = code_text(value.media_type) or ("application/octet-stream" if data else None)
    written = filled(
        id=value.id if value.id and _CODE.fullmatch(value.id) else None,
        contentType=kind,
        language=code_text(value.language),
        data=data,
        url=uri(value.url) or (value.url if value.url and not re.search(r"\s", value.url) else None),
        size=value.size if value.size is not None and 0 <= value.size < 2**31 else None,
        hash=_sha1(content) if content is not None else value.declared_hash,
        title=words(value.title),
        creation=date_time(value.created, zone),
    )
    return written or dict(ABSENT)


def _sha1(content: bytes) -> str:
    return base64.b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode("ascii")


def extend(resource: Json, extensions: Iterable[Extension]) -> None:
    """Put extensions where they stood: on the resource, or beside one of its primitive elements."""
    for one in extensions:
        written = extension(one)
        if written is None:
            continue
        if not one.element:
            resource.setdefault("extension", []).append(written)
        elif not isinstance(resource.get(one.element), dict | list):
            beside = resource.setdefault(f"_{one.element}", {})
            beside.setdefault("extension", []).append(written)


def extension(value: Extension) -> Json | None:
    """One extension; None if it says nothing (ext-1: a value or extensions, never both)."""
    inner = [written for one in value.extensions if (written := extension(one)) is not None]
    url = uri(value.url) or words(value.url)
    if url is None or re.search(r"\s", url):
        return None
    if inner:
        return {"url": url, "extension": inner}
    if value.value is None or value.type is None:
        return None
    content = words(value.value) if value.type in _WORDS else _json(value.value)
    return {"url": url, f"value{value.type}": content} if content not in (None, "", {}, []) else None


def _json(text: str) -> Any:
    """A complex value as it came, without namespaces that are none and pointers into another body."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return _portable(value, 0)


def _portable(value: Any, depth: int) -> Any:
    if depth > 16:
        return None
    if isinstance(value, list):
        return [kept for item in value if (kept := _portable(item, depth + 1)) not in (None, {}, [])]
    if not isinstance(value, dict):
        return value
    kept_members: Json = {}
    for name, item in value.items():
        foreign = name == "system" and isinstance(item, str) and not _URI.fullmatch(item)
        inside = name == "reference" and isinstance(item, str) and item[0:1] in ("#", ":")
        kept = None if foreign or inside else _portable(item, depth + 1)
        if kept not in (None, {}, []):
            kept_members[name] = kept
    return kept_members
