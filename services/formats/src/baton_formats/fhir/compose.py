"""Plain values as the data types of FHIR: what is empty is left out, what FHIR forbids is not written."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from typing import Any

from baton_formats.facts import (
    Address,
    Attachment,
    Coding,
    Concept,
    ContactPoint,
    HumanName,
    Identifier,
    Note,
    PartialTime,
    Period,
)
from baton_formats.fhir.allowed import MOST, in_order, is_base64, is_oid, is_too_long, is_uri
from baton_formats.fhir.write_extensions import extend
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
IDENTIFIER_USES = frozenset({"usual", "official", "temp", "secondary", "old"})
NAME_USES = frozenset({"usual", "official", "temp", "nickname", "anonymous", "old", "maiden"})
TELECOM_SYSTEMS = frozenset({"phone", "fax", "email", "pager", "url", "sms", "other"})
TELECOM_USES = frozenset({"home", "work", "temp", "old", "mobile"})
ADDRESS_USES = frozenset({"home", "work", "temp", "old", "billing"})
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_INVISIBLE = " \t\r\n\u180e\u200b\u200c\u200d\u2060\ufeff"
_CODE = re.compile(r"[^\s]+(?: [^\s]+)*")
_TABLE = re.compile(r"HL7(?:0)?(\d{4})")
_ZONE = re.compile(r"Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00)", re.ASCII)
PARTNER_NAME = "http://hl7.org/fhir/StructureDefinition/humanname-partner-name"
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
    """Text as FHIR allows it: no control characters, not only blanks, joiners or marks, not too long."""
    if text is None or is_too_long(text):
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
    if clean.lower().startswith("urn:uuid:"):
        clean = clean.lower()
    if is_uri(clean):
        return clean
    table = _TABLE.fullmatch(clean)
    if table is not None:
        return f"http://terminology.hl7.org/CodeSystem/v2-{table.group(1)}"
    return SYSTEMS.get(clean.upper())


def namespace(text: str | None) -> str | None:
    """The system of an identifier, which has to be an address or a urn."""
    known = uri(text)
    return known if known is not None and known.startswith(("http:", "https:", "urn:")) else None


def zone_of(zone: str | None) -> str | None:
    """A default offset as FHIR writes it. Raises ``ValueError`` for anything else."""
    if zone is not None and _ZONE.fullmatch(zone) is None:
        raise ValueError("the default zone has to be an offset from UTC such as -05:00, or Z")
    return zone


def date_time(time: PartialTime | None, zone: str | None) -> str | None:
    """A ``dateTime``; None for what could not be read."""
    return fhir_text(time, default_zone=zone) if time is not None else None


def instant(time: PartialTime | None, zone: str | None) -> str | None:
    """An ``instant``; None for what is no moment."""
    text = date_time(time, zone)
    return text if text is not None and "T" in text else None


def date(time: PartialTime | None) -> str | None:
    """A ``date``: the calendar part alone; None for a day that no calendar has."""
    text = date_time(time, None)
    return text[:10] if text is not None else None


def identifier(number: Identifier) -> Json:
    """Identifier; the assigner's number as a logical reference.

    A namespace that is no URI (``LAB&CLIA:11D0000000``, an authority for arcs) names who assigned it.
    """
    kind = words(number.type)
    system, value = _namespaced(number)
    authority = words(number.authority) or (words(number.system) if system is None else None)
    assigner = filled(identifier=_assigner(number.assigner), display=authority)
    return filled(
        use=number.use if number.use in IDENTIFIER_USES else None,
        type=_identifier_type(kind) if kind else None,
        system=system,
        value=value,
        period=period(number.period),
        assigner=assigner,
    )


def _namespaced(number: Identifier) -> tuple[str | None, str | None]:
    """System and value; where the system says that the value is a URI, it has to be one."""
    system, value = namespace(number.system), words(number.value)
    if system != "urn:ietf:rfc:3986" or value is None or is_uri(value):
        return system, value
    return (system, f"urn:oid:{value}") if is_oid(value) else (None, value)


def _identifier_type(kind: str) -> Json:
    if kind in _TYPE_CODES:
        return {"coding": [{"system": V2_IDENTIFIER_TYPE, "code": kind}]}
    return {"text": kind}


def _assigner(number: str | None) -> Json | None:
    if not number:
        return None
    system, bar, value = number.rpartition("|")
    known = namespace(system) if bar else None
    return filled(system=known, value=words(value if known else number))


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
    """HumanName; the partner's name beside the family name, as R4's extension has it."""
    written = filled(
        use=name.use if name.use in NAME_USES else None,
        text=words(name.text),
        family=words(name.family),
        given=all_words(name.given),
        prefix=all_words(name.prefixes),
        suffix=all_words(name.suffixes),
        period=period(name.period),
    )
    partner = words(name.partner_family)
    if partner is not None and not any(one.url == PARTNER_NAME for one in name.extensions):
        written["_family"] = {"extension": [{"url": PARTNER_NAME, "valueString": partner}]}
    extend(written, name.extensions, "HumanName")
    return written


def human_names(names: Iterable[HumanName]) -> list[Json]:
    """Names that carry anything."""
    return [written for name in names if (written := human_name(name))]


def contact_point(point: ContactPoint) -> Json:
    """ContactPoint; a value without a system is ``other`` (cpt-2)."""
    value = words(point.value)
    system = point.system if point.system in TELECOM_SYSTEMS else None
    return filled(
        system=system or ("other" if value else None),
        value=value,
        use=point.use if point.use in TELECOM_USES else None,
        period=period(point.period),
    )


def contact_points(points: Iterable[ContactPoint]) -> list[Json]:
    """Contact points that carry anything."""
    return [written for point in points if (written := contact_point(point))]


def address(value: Address) -> Json:
    """Address."""
    return filled(
        use=value.use if value.use in ADDRESS_USES else None,
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
    start, end = span(value, zone)
    return filled(start=start, end=end) or None


def span(value: Period | None, zone: str | None) -> tuple[str | None, str | None]:
    """Both ends as FHIR wants them (per-1).

    Ends that can only be compared by their date, or by their year, are cut to it. A period that ends before
    it starts is no period: nobody knows which end is wrong.
    """
    if value is None:
        return None, None
    start, end = date_time(value.start, zone), date_time(value.end, zone)
    if start is None or end is None or in_order(start, end):
        return start, end
    size = min(len(start), len(end), 10)
    if len(start) == len(end) == size or ("T" in start and "T" in end) or start[:size] > end[:size]:
        return None, None
    return start[:size], end[:size]


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
    declared = "".join((value.declared_hash or "").split())
    written = filled(
        id=value.id if value.id and _CODE.fullmatch(value.id) else None,
        contentType=kind,
        language=code_text(value.language),
        data=data,
        url=url(value.url),
        size=value.size if value.size is not None and 0 <= value.size <= MOST else None,
        hash=_sha1(content) if content is not None else declared if is_base64(declared) else None,
        title=words(value.title),
        creation=date_time(value.created, zone),
    )
    return written or dict(ABSENT)


def url(text: str | None) -> str | None:
    """An address as FHIR allows it, also a relative one."""
    known = uri(text)
    loose = text and not re.search(r"\s", text) and not text.startswith("urn:")
    return known or (text if loose else None)


def _sha1(content: bytes) -> str:
    return base64.b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode("ascii")
