"""When two requests speak of the same office, or of the same person."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass

from baton_intake.domain.npi import is_npi
from baton_intake.domain.request import NPI_SYSTEM, ContactPoint, ExternalKey, Office, Patient

NOTICE_SYSTEMS = ("email", "fax", "sms")
"""ContactPoint systems by which an office can be told something in writing, most useful first."""

_ROUTE_ORDER = (*NOTICE_SYSTEMS, "phone", "url", "pager", "other")
_SPACES = re.compile(r"\s+")
_FULL_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NaturalKey:
    """A key under which a thing is found again: ``system`` says what is named, ``value`` which one."""

    system: str
    value: str


def office_key(office: Office) -> NaturalKey:
    """The key of an office: its first good identifier with its first contact route, else its name with that
    route.

    Never the sending client, which may send for many offices: a note would reach the wrong one. An office
    that changes its address makes a second one here; the two are merged by a person.
    """
    route = first_route(office.telecom)
    address = _address(route) if route else ""
    identifier = next((key for key in office.identifiers if is_strong(key)), None)
    if identifier is None:
        return NaturalKey(system="name", value=_digest(folded(office.name), address))
    return NaturalKey(system=identifier.system, value=_digest(identifier.value.strip(), address))


def first_route(telecom: tuple[ContactPoint, ...]) -> ContactPoint | None:
    """The route that counts: by usefulness, then in the order they were given."""
    known = [point for point in telecom if point.system in _ROUTE_ORDER and point.value.strip()]
    return min(known, key=lambda point: _ROUTE_ORDER.index(point.system), default=None)


def is_reachable(office: Office) -> bool:
    """Whether the office can be told anything in writing."""
    return any(point.system in NOTICE_SYSTEMS and point.value.strip() for point in office.telecom)


def is_strong(key: ExternalKey) -> bool:
    """Whether an identifier can tell one from another: it has a namespace, is no placeholder, and an NPI
    checks.
    """
    value = key.value.strip()
    if not key.system.strip() or not value.strip("0-. "):
        return False
    return is_npi(value) if key.system == NPI_SYSTEM else True


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordKey:
    """One record number of a patient as text to be made blind: ``number`` alone, and with who it is said to
    be.

    The same number with another name or birth date is a conflict for a person, never a match.
    """

    number: str
    person: str | None


def record_keys(patient: Patient) -> tuple[RecordKey, ...]:
    """Keys of every strong identifier; ``person`` only where family name and full birth date are known."""
    family, born = folded(patient.name.family), patient.birth_date
    who = f"{family}\x1f{born}" if family and _FULL_DATE.fullmatch(born) else None
    numbers = dict.fromkeys(
        f"{key.system}\x1f{key.value.strip()}" for key in patient.identifiers if is_strong(key)
    )
    return tuple(RecordKey(number=number, person=f"{number}\x1f{who}" if who else None) for number in numbers)


def folded(text: str) -> str:
    """Text for comparing: compatibility forms, case, accents and runs of space do not count."""
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return _SPACES.sub(" ", plain).strip()


def digits(number: str) -> str:
    """A telephone number for comparing: its digits, without the North American country code."""
    only = "".join(character for character in number if character.isdigit() and character.isascii())
    return only[1:] if len(only) == 11 and only.startswith("1") else only


def _address(route: ContactPoint) -> str:
    if route.system in ("phone", "fax", "sms", "pager"):
        return f"{route.system}:{digits(route.value)}"
    return f"{route.system}:{folded(route.value)}"


def _digest(*parts: str) -> str:
    # A digest because names and addresses have no bound that an index row could rely on.
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
