"""HL7 v2 data types as parts of facts: names, identifiers, addresses, phones, codes, places, times.

Component numbers are those of HL7 v2.5.1 chapter 2A; where versions differ the comment says so.
"""

from __future__ import annotations

import re
from dataclasses import replace

from baton_formats.facts import (
    Address,
    Coding,
    Concept,
    ContactPoint,
    HumanName,
    Identifier,
    Location,
    Organization,
    PartialTime,
    Party,
    Period,
    Practitioner,
    npi_is_valid,
)
from baton_formats.hl7v2.segments import Cell
from baton_formats.hl7v2.view import View, place_of
from baton_formats.times import drops_offset, parse_hl7, parse_iso

NPI_OID = "urn:oid:2.16.840.1.113883.4.6"
_OID = re.compile(r"[0-2](?:\.\d+)+")
_TYPED = re.compile(r"([A-Za-z0-9]{1,6}):(.+)", re.DOTALL)
_DIGIT = re.compile(r"\d")
_DAY = len("2024-01-01")
_RUN_TOGETHER = re.compile(r"(?:19|20)\d{13,16}(?:[+-]\d{4})?")
# HL7 v2.5.1 2A.81.3; months (L) have no length of their own.
_LENGTH = re.compile(r"([SMHDW])(\d{1,6})", re.ASCII)
_LENGTH_MINUTES = {"S": 1 / 60, "M": 1, "H": 60, "D": 1440, "W": 7 * 1440}
# HL7 table 0200 by the HL7 v2-to-FHIR mapping; codes without a counterpart say nothing about use.
_NAME_USES = {
    "L": "official",
    "R": "official",
    "D": "usual",
    "K": "usual",
    "C": "usual",
    "M": "maiden",
    "N": "nickname",
    "A": "nickname",
    "S": "anonymous",
    "TEMP": "temp",
    "NOUSE": "old",
    "BAD": "old",
}
# HL7 table 0190.
_ADDRESS_USES = {"H": "home", "P": "home", "B": "work", "O": "work", "C": "temp", "BA": "old", "V": "old"}
# HL7 tables 0201 (use) and 0202 (equipment).
_PHONE_USES = {"PRN": "home", "ORN": "home", "VHN": "home", "WPN": "work", "PRS": "mobile"}
_EQUIPMENT = {"PH": "phone", "CP": "phone", "TDD": "phone", "TTY": "phone", "SAT": "phone", "MD": "other"}
_EQUIPMENT |= {"FX": "fax", "BP": "pager", "INTERNET": "email", "X.400": "email"}


def time(cell: Cell, view: View) -> PartialTime | None:
    """A TS or DTM, as precise as given. ISO 8601 is read too; anything else is kept as text, with a
    finding.
    """
    given = cell.text(1)
    return _time(given, cell, view) if given else None


def time_at(cell: Cell, view: View, component: int) -> PartialTime | None:
    """A time that stands in one component."""
    given = cell.part(component, 1)
    return _time(given, cell, view) if given else None


def _time(given: str, cell: Cell, view: View) -> PartialTime:
    read = parse_hl7(given)
    if read.iso is not None:
        if len(read.iso) <= _DAY and drops_offset(given):
            view.note(
                "offset-dropped", cell.place, "a date without a time of day has no offset; it was left out"
            )
        return read
    iso = parse_iso(given)
    if iso.iso is not None and "-" in given:
        view.note(
            "time-not-hl7", cell.place, "the time is written in ISO 8601, not in the HL7 v2 form; it was read"
        )
        return iso
    if _RUN_TOGETHER.fullmatch(given):
        view.note(
            "time-not-hl7", cell.place, "the fraction of the second stands without its point; it was read"
        )
        return parse_hl7(f"{given[:14]}.{given[14:]}")
    view.note("time-unreadable", cell.place, "the time could not be read and is kept as text")
    return read


def quiet_time(given: str | None) -> PartialTime | None:
    """A time of minor weight: unreadable is kept as text without a finding."""
    return parse_hl7(given) if given else None


def period(start: str | None, end: str | None) -> Period | None:
    """The span two texts give, None if neither says anything."""
    if not start and not end:
        return None
    return Period(start=quiet_time(start), end=quiet_time(end))


def universal(value: str | None, kind: str | None) -> str | None:
    """The URI of a universal id and its type (HD.2, HD.3; HL7 table 0301): ``urn:oid:`` for ISO.

    Types without a URI form stay visible in front: ``CLIA:36D1332559``, ``DNS:example.org``.
    """
    if not value:
        return None
    scheme = (kind or "").upper()
    if scheme in ("ISO", "OID") or (not scheme and _OID.fullmatch(value)):
        return f"urn:oid:{value}"
    if scheme in ("UUID", "GUID"):
        return f"urn:uuid:{value}"
    if scheme in ("URI", "URL", ""):
        return value
    return f"{kind}:{value}"


def universal_parts(system: str | None) -> tuple[str, str]:
    """HD.2 and HD.3 of a system: the way back of :func:`universal`."""
    if not system:
        return "", ""
    for prefix, kind in (("urn:oid:", "ISO"), ("urn:uuid:", "UUID")):
        if system.startswith(prefix):
            return system[len(prefix) :], kind
    typed = _TYPED.fullmatch(system)
    if "://" in system or system.startswith("urn:") or typed is None:
        return system, "URI" if ":" in system else ""
    return typed.group(2), typed.group(1)


def hd(cell: Cell, view: View) -> Identifier | None:
    """HD as the name of a system or facility: namespace id with the universal id as its system."""
    value, system = cell.text(1), universal(cell.text(2), cell.text(3))
    return Identifier(value=value, system=system) if value or system else None


def ei(cell: Cell, view: View) -> Identifier | None:
    """EI: a number with the namespace it lives in. A namespace without a number is nothing."""
    value = cell.text(1)
    if value is None:
        return None
    system = universal(cell.text(3), cell.text(4))
    return Identifier(value=value, system=system, authority=cell.text(2))


def numbers(view: View, place: str, kind: str | None) -> dict[Identifier, None]:
    """Every EI of a field once, as of this kind (PLAC, FILL); read once for all groups that share it."""

    def read(holder: View) -> dict[Identifier, None]:
        found = (number for cell in holder.cells(place) if (number := ei(cell, holder)))
        return {replace(number, type=kind): None for number in found}

    return view.once(place_of(place).segment, f"{kind} {place}", read)


def cx(cell: Cell, view: View) -> Identifier | None:
    """CX: number, authority (CX.4), type (CX.5), facility (CX.6), validity (CX.7, CX.8)."""
    value = cell.text(1)
    if value is None:
        return None
    facility, facility_system = cell.part(6, 1), universal(cell.part(6, 2), cell.part(6, 3))
    return Identifier(
        value=value,
        system=universal(cell.part(4, 2), cell.part(4, 3)),
        authority=cell.part(4, 1),
        type=cell.text(5),
        assigner="|".join(part for part in (facility_system, facility) if part) or None,
        period=period(cell.text(7), cell.text(8)),
    )


def xpn(cell: Cell, view: View) -> HumanName | None:
    """XPN (before v2.3 PN): family and partner's surname, given names, suffix and degree, prefix, use."""
    return _name(cell, 1, use_at=7, validity=True)


def _name(cell: Cell, start: int, *, use_at: int, validity: bool = False) -> HumanName | None:
    family, partner = cell.part(start, 1), cell.part(start, 5)
    given = tuple(part for at in (start + 1, start + 2) if (part := cell.text(at)))
    suffixes = tuple(part for at in (start + 3, start + 5) if (part := cell.text(at)))
    prefix = cell.text(start + 4)
    if not (family or given or partner):
        return None
    return HumanName(
        family=family,
        given=given,
        prefixes=(prefix,) if prefix else (),
        suffixes=suffixes,
        use=_NAME_USES.get((cell.text(use_at) or "").upper()),
        partner_family=partner,
        period=period(cell.text(12), cell.text(13)) if validity else None,
    )


def xcn(cell: Cell, view: View) -> Practitioner | None:
    """XCN (before v2.3 CN): number, name, authority (XCN.9), type (XCN.13).

    A lone first component that is all letters is a name written in the wrong place, and a finding.
    """
    number, name = cell.text(1), _name(cell, 2, use_at=10)
    if number is None and name is None:
        return None
    if name is None and number and not _DIGIT.search(number) and len(number) > 3:
        view.note("name-in-id", cell.place, "a name stands where the person's number belongs")
        return Practitioner(names=(HumanName(text=number),))
    names = (name,) if name else ()
    if number is None:
        return Practitioner(names=names)
    authority, system = cell.part(9, 1), universal(cell.part(9, 2), cell.part(9, 3))
    identifier = Identifier(value=number, system=system, authority=authority, type=cell.text(13))
    return Practitioner(identifiers=(identifier,), npi=npi_of(identifier, cell, view), names=names)


def npi_of(identifier: Identifier, cell: Cell, view: View) -> str | None:
    """The value if the sender calls it an NPI and its check digit holds; a finding if it does not hold."""
    labels = (identifier.type or "", identifier.authority or "")
    if identifier.system != NPI_OID and "NPI" not in (label.upper() for label in labels):
        return None
    value = identifier.value or ""
    if npi_is_valid(value):
        return value
    view.note(
        "npi-check-digit", cell.place, "a number called NPI fails its check digit and is not used as one"
    )
    return None


def party(cell: Cell, view: View) -> Party | None:
    """XCN as someone who plays a part."""
    practitioner = xcn(cell, view)
    return Party(practitioner=practitioner) if practitioner else None


def xon(cell: Cell, view: View) -> Organization | None:
    """XON: name, number (XON.10, before v2.5 XON.3), authority (XON.6), type (XON.7)."""
    name, number = cell.text(1), cell.text(10) or cell.text(3)
    if name is None and number is None:
        return None
    if number is None:
        return Organization(name=name)
    system = universal(cell.part(6, 2), cell.part(6, 3))
    identifier = Identifier(value=number, system=system, authority=cell.part(6, 1), type=cell.text(7))
    return Organization(name=name, identifiers=(identifier,), npi=npi_of(identifier, cell, view))


def xad(cell: Cell, view: View) -> Address | None:
    """XAD: street (XAD.1 with its sub-components), second line, city, state, postal code, country, use."""
    street = " ".join(part for at in (1, 2, 3) if (part := cell.part(1, at)))
    lines = tuple(line for line in (street, cell.text(2)) if line)
    address = Address(
        lines=lines,
        city=cell.text(3),
        state=cell.text(4),
        postal_code=cell.text(5),
        country=cell.text(6),
        district=cell.part(9, 1) or cell.part(9, 2),
        use=_ADDRESS_USES.get((cell.text(7) or "").upper()),
    )
    return address if address != Address(use=address.use) else None


def xtn(cell: Cell, view: View) -> tuple[ContactPoint, ...]:
    """XTN: the number in XTN.1, XTN.12 or XTN.5 to XTN.8, in that order, and the e-mail in XTN.4 besides."""
    use = _PHONE_USES.get((cell.text(2) or "").upper())
    equipment = (cell.text(3) or "").upper()
    if equipment == "CP":
        use = "mobile"
    number = cell.text(1) or cell.text(12) or _dialled(cell)
    email = cell.text(4)
    found = []
    if number:
        found.append(ContactPoint(system=_telecom_system(number, equipment), value=number, use=use))
    if email and email != number:
        found.append(ContactPoint(system="email" if "@" in email else "other", value=email, use=use))
    return tuple(found)


def _telecom_system(value: str, equipment: str) -> str:
    if "@" in value and "/" not in value:
        return "email"
    if "://" in value:
        return "url"
    system = _EQUIPMENT.get(equipment, "phone")
    return "other" if system == "email" else system


def _dialled(cell: Cell) -> str | None:
    country, area, local, extension = (cell.text(at) for at in (5, 6, 7, 8))
    if not local:
        return None
    number = " ".join(part for part in (f"+{country.lstrip('+')}" if country else "", area, local) if part)
    return f"{number} ext. {extension}" if extension else number


def cwe(cell: Cell, view: View) -> Concept | None:
    """CWE, CE, IS or ID: the code and its alternate, original text (CWE.9); words without a code are the
    text.
    """
    codings = tuple(
        coding for start, version in ((1, 7), (4, 8)) if (coding := _coding(cell, start, version))
    )
    words = cell.text(9)
    if not codings and not words:
        words = cell.text(2) or cell.text(5)
    return Concept(codings=codings, text=words) if codings or words else None


def _coding(cell: Cell, start: int, version: int) -> Coding | None:
    code = cell.text(start)
    if code is None:
        return None
    return Coding(
        code=code, display=cell.text(start + 1), system=cell.text(start + 2), version=cell.text(version)
    )


def pl(cell: Cell, view: View) -> Location | None:
    """PL: point of care, room and bed as the name, facility (PL.4) as the organisation, PL.9 as
    description.
    """
    spot = [part for at in (1, 2, 3) if (part := cell.part(at, 1))]
    facility, building = cell.part(4, 1), cell.text(7)
    if not spot and not facility and not building and not cell.text(9):
        return None
    return Location(
        name=", ".join(dict.fromkeys(spot)) or None,
        description=cell.text(9),
        organization=Organization(name=facility) if facility else None,
    )


def tq_priority(cell: Cell) -> Concept | None:
    """TQ.6, the priority inside a timing (SCH-11, ORC-7, OBR-27), as a code of its own."""
    code = cell.text(6)
    return Concept(codings=(Coding(code=code),)) if code else None


def tq_minutes(cell: Cell) -> float | None:
    """TQ.3, the length inside a timing, in minutes: ``M30``, ``H1``. None for what is none (``X3``)."""
    match = _LENGTH.fullmatch((cell.text(3) or "").upper())
    return int(match.group(2)) * _LENGTH_MINUTES[match.group(1)] if match else None


def label(concept: Concept | None) -> str | None:
    """A concept in words, None if there is none."""
    return concept.label if concept else None
