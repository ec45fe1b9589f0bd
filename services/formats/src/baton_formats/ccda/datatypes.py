"""The data types of HL7 version 3 (II, TS, CD, PN, AD, TEL) become facts; every doubt becomes a finding."""

import re
from collections.abc import Iterator
from typing import Final

from baton_formats.ccda.document import Node
from baton_formats.ccda.doubts import Doubts
from baton_formats.facts import (
    Address,
    Coding,
    Concept,
    ContactPoint,
    HumanName,
    Identifier,
    PartialTime,
    Period,
    npi_is_valid,
)
from baton_formats.times import parse_hl7

NPI_ROOT: Final = "2.16.840.1.113883.4.6"
SSN_ROOT: Final = "2.16.840.1.113883.4.1"
NPI_SYSTEM: Final = "http://hl7.org/fhir/sid/us-npi"
SSN_SYSTEM: Final = "http://hl7.org/fhir/sid/us-ssn"

# HL7 Terminology (THO), "External Terminologies": the URI of a code system that has an OID in CDA.
_CODE_SYSTEMS: Final = {
    "2.16.840.1.113883.6.1": "http://loinc.org",
    "2.16.840.1.113883.6.96": "http://snomed.info/sct",
    "2.16.840.1.113883.6.88": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "2.16.840.1.113883.6.90": "http://hl7.org/fhir/sid/icd-10-cm",
    "2.16.840.1.113883.6.103": "http://hl7.org/fhir/sid/icd-9-cm",
    "2.16.840.1.113883.6.12": "http://www.ama-assn.org/go/cpt",
    "2.16.840.1.113883.6.101": "http://nucc.org/provider-taxonomy",
}
_OID: Final = re.compile(r"[0-2](?:\.(?:0|[1-9]\d*)){1,63}")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SAME_DIGIT: Final = re.compile(r"(\d)\1*")
_PLACEHOLDERS: Final = frozenset(
    {
        "null",
        "unk",
        "unknown",
        "n/a",
        "na",
        "none",
        "nil",
        "-",
        "--",
        ".",
        "?",
        "fname",
        "lname",
        "firstname",
        "lastname",
        "first name",
        "last name",
    }
)
_NULL_CODES: Final = frozenset({"UNK", "NI", "NA", "NULL", "NASK", "ASKU", "MSK"})


def system_of(root: str) -> str | None:
    """The URI of an II root: `urn:oid:` or `urn:uuid:`; None where it is neither."""
    if root in (NPI_ROOT, SSN_ROOT):
        return NPI_SYSTEM if root == NPI_ROOT else SSN_SYSTEM
    if _OID.fullmatch(root):
        return f"urn:oid:{root}"
    return f"urn:uuid:{root.lower()}" if _UUID.fullmatch(root) else None


def identifier(node: Node, doubts: Doubts, *, of_thing: bool = False) -> Identifier | None:
    """An II (HL7 V3 data types R1): a root with an extension, or a root alone that is itself unique.

    An OID alone may name a thing (an office, a document), never a person: `of_thing` tells which is meant.
    """
    root, extension = node.get("root"), node.get("extension")
    if node.is_null or not (root or extension) or (extension or "").upper() in _NULL_CODES:
        return None
    system = system_of(root) if root else None
    authority = node.get("assigningAuthorityName")
    if root and system is None:
        doubts.add("identifier-without-system", node)
        authority = authority or root
    if extension is None:
        unique = (system or "").startswith("urn:uuid:" if not of_thing else "urn:")
        if unique:
            return Identifier(value=system, system="urn:ietf:rfc:3986", authority=authority)
        doubts.add("identifier-without-value", node)
        return None
    kind = {NPI_ROOT: "NPI", SSN_ROOT: "SS"}.get(root or "")
    if kind == "SS" and not _is_real_ssn(extension):
        doubts.add("placeholder-identifier", node)
        return None
    if kind == "NPI" and not npi_is_valid(extension):
        doubts.add("npi-invalid", node)
    return Identifier(value=extension, system=system, authority=authority, type=kind)


def _is_real_ssn(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    return len(digits) == 9 and not _SAME_DIGIT.fullmatch(digits)


def identifiers(nodes: list[Node], doubts: Doubts, *, of_thing: bool = False) -> tuple[Identifier, ...]:
    """All that are some, in order, without repeats; see `identifier`."""
    found = (identifier(node, doubts, of_thing=of_thing) for node in nodes)
    return tuple(dict.fromkeys(one for one in found if one is not None))


def template_ids(node: Node) -> tuple[str, ...]:
    """The roots of the template ids of a document or section, in order, without repeats."""
    return tuple(dict.fromkeys(root for one in node.all("templateId") if (root := one.get("root"))))


def npi_among(found: tuple[Identifier, ...]) -> str | None:
    """The first NPI whose check digit holds."""
    return next((i.value for i in found if i.type == "NPI" and i.value and npi_is_valid(i.value)), None)


def time(node: Node | None, doubts: Doubts) -> PartialTime | None:
    """A TS; None where nothing is said, text alone where it cannot be read."""
    value = node.get("value") if node is not None else None
    if node is None or value is None:
        return None
    parsed = parse_hl7(value)
    if parsed.iso is None:
        doubts.add("unreadable-time", node)
    return parsed


def period(node: Node | None, doubts: Doubts) -> Period | None:
    """An IVL_TS: low and high, or one value for both of its ends."""
    if node is None:
        return None
    at = time(node, doubts)
    start, end = time(node.first("low"), doubts), time(node.first("high"), doubts)
    if at is not None and start is None and end is None:
        return Period(start=at, end=at)
    return Period(start=start, end=end) if start or end else None


def concept(node: Node | None) -> Concept | None:
    """A CD or CE with its translations and the words it stood for."""
    if node is None:
        return None
    codings = tuple(filter(None, (_coding(one) for one in (node, *node.all("translation")))))
    original = node.first("originalText")
    text = (original.text or None) if original is not None else (node.own_text or None)
    return Concept(codings=codings, text=text) if codings or text else None


def _coding(node: Node) -> Coding | None:
    code, display = node.get("code"), node.get("displayName")
    if code is None and display is None:
        return None
    oid = node.get("codeSystem")
    system = None if oid is None else _CODE_SYSTEMS.get(oid) or system_of(oid) or oid
    return Coding(code=code, system=system, display=display, version=node.get("codeSystemVersion"))


# EntityNameUse and EntityNamePartQualifier (HL7 V3 2.16.840.1.113883.5.45 and .43) in the words of FHIR.
_NAME_USES: Final = {"L": "official", "ASGN": "usual", "P": "nickname", "A": "nickname", "C": "usual"}


def names(nodes: list[Node], doubts: Doubts) -> tuple[HumanName, ...]:
    """All names that say something, in order, without repeats."""
    found = (name for node in nodes for name in _names(node, doubts))
    return tuple(dict.fromkeys(found))


def _names(node: Node, doubts: Doubts) -> Iterator[HumanName]:
    """A PN, in parts or as one text; a birth name within it stands for itself."""
    families = [(part, text) for part in node.all("family") if (text := _said(part, doubts))]
    born = [text for part, text in families if _is_of_birth(part)]
    family = [text for part, text in families if not _is_of_birth(part)] or born
    given = _parts(node, "given", doubts)
    loose = _said(node, doubts, beside_parts=True)
    if not (family or given or loose):
        return
    if loose and (family or given):
        doubts.add("words-between-parts", node)
        loose = node.text
    whole = HumanName(
        family=" ".join(family) or None,
        given=given,
        prefixes=_parts(node, "prefix", doubts),
        suffixes=_parts(node, "suffix", doubts),
        use=_name_use(node, is_of_birth=family == born),
        text=loose or None,
        period=period(node.first("validTime"), doubts),
    )
    yield whole
    if born and family != born:
        yield HumanName(family=" ".join(born), given=given, use="maiden")


def _is_of_birth(part: Node) -> bool:
    return "BR" in (part.get("qualifier") or "").split()


def _parts(node: Node, kind: str, doubts: Doubts) -> tuple[str, ...]:
    return tuple(text for part in node.all(kind) if (text := _said(part, doubts)))


def _loose(node: Node) -> str:
    """The words directly in a name or address, between its parts; commas and the like are none."""
    text = node.own_text
    return text if not node.children or any(mark.isalnum() for mark in text) else ""


def _said(part: Node, doubts: Doubts, *, beside_parts: bool = False) -> str:
    """The text of a part, empty where a program wrote that it had none."""
    text = "" if part.is_null else _loose(part) if beside_parts else part.text
    if text.lower() in _PLACEHOLDERS:
        doubts.add("placeholder-name", part)
        return ""
    return text


def _name_use(node: Node, *, is_of_birth: bool) -> str | None:
    stated = next((_NAME_USES[use] for use in (node.get("use") or "").split() if use in _NAME_USES), None)
    born = {part.name for part in node.children if _is_of_birth(part)}
    if stated is not None or not born:
        return stated
    if "family" in born:
        return "maiden" if is_of_birth else None
    return "old"


_USES: Final = {
    "H": "home",
    "HP": "home",
    "HV": "home",
    "WP": "work",
    "DIR": "work",
    "PUB": "work",
    "TMP": "temp",
    "BAD": "old",
    "MC": "mobile",
    "MP": "mobile",
}
_SCHEMES: Final = {
    "tel": "phone",
    "fax": "fax",
    "mailto": "email",
    "http": "url",
    "https": "url",
    "sms": "sms",
}


def _use(node: Node) -> str | None:
    uses = [_USES[use] for use in (node.get("use") or "").split() if use in _USES]
    return "mobile" if "mobile" in uses else next(iter(uses), None)


def contact_points(nodes: list[Node], doubts: Doubts) -> tuple[ContactPoint, ...]:
    """All telecom values that say something, in order, without repeats."""
    found = (_contact_point(node, doubts) for node in nodes if not node.is_null)
    return tuple(dict.fromkeys(one for one in found if one is not None))


def _contact_point(node: Node, doubts: Doubts) -> ContactPoint | None:
    """A TEL; a number without its scheme is taken for what it looks like, with a finding."""
    written = node.get("value") or ""
    scheme, colon, rest = written.partition(":")
    system = _SCHEMES.get(scheme.strip().lower()) if colon else None
    value = (written if system in (None, "url") else rest).strip()
    if not value:
        return None
    if system is None:
        system = (
            "email" if "@" in value else "phone" if sum(mark.isdigit() for mark in value) >= 5 else "other"
        )
        doubts.add("telecom-without-scheme", node)
    if system == "phone" and "PG" in (node.get("use") or "").split():
        system = "pager"
    return ContactPoint(system=system, value=value, use=_use(node))


_ADDRESS_PARTS: Final = ("city", "county", "state", "postalCode", "country")
_WHOLE_LINES: Final = frozenset({"streetAddressLine", "deliveryAddressLine", "careOf", "postBox"})
_NO_LINES: Final = frozenset({*_ADDRESS_PARTS, "useablePeriod", "delimiter", "censusTract"})


def addresses(nodes: list[Node], doubts: Doubts) -> tuple[Address, ...]:
    """All addresses that say something, in order, without repeats."""
    found = (_address(node, doubts) for node in nodes if not node.is_null)
    return tuple(dict.fromkeys(one for one in found if one is not None))


def _address(node: Node, doubts: Doubts) -> Address | None:
    """An AD: in parts, or as one text; blanks around a postal code are no part of it."""
    lines = tuple(_lines(node))
    city, county, state, postal, country = (_address_part(node, part) for part in _ADDRESS_PARTS)
    in_parts = bool(lines or city or county or state or postal or country)
    loose = _loose(node)
    if not (in_parts or loose):
        return None
    if loose and in_parts:
        doubts.add("words-between-parts", node)
        lines = (loose, *lines)
    return Address(
        lines=lines,
        city=city,
        district=county,
        state=state,
        postal_code=postal,
        country=country,
        use=_use(node),
        text=loose if loose and not in_parts else None,
        period=period(node.first("useablePeriod"), doubts),
    )


def _lines(node: Node) -> Iterator[str]:
    """Whole lines as they are; parts of one, such as house number and street, in their order in one line."""
    line: list[str] = []
    for part in node.children:
        text = "" if part.is_null or part.name in _NO_LINES or ":" in part.name else part.text
        if line and (part.name in _WHOLE_LINES or part.name in _NO_LINES):
            yield " ".join(line)
            line = []
        if text and part.name in _WHOLE_LINES:
            yield text
        elif text:
            line.append(text)
    if line:
        yield " ".join(line)


def _address_part(node: Node, name: str) -> str | None:
    return next((text for part in node.all(name) if not part.is_null and (text := part.text)), None)
