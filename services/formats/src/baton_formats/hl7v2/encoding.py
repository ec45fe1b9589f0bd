"""Parts of facts as HL7 v2 data types: the way back of :mod:`baton_formats.hl7v2.datatypes`."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import TypeVar

from baton_formats.facts import (
    Address,
    Attachment,
    Coding,
    Concept,
    ContactPoint,
    HumanName,
    Identifier,
    Location,
    Organization,
    PartialTime,
    Practitioner,
)
from baton_formats.hl7v2.datatypes import NPI_OID, universal_parts
from baton_formats.hl7v2.syntax import Syntax
from baton_formats.times import hl7_text

T = TypeVar("T")
Leaf = str | None

_NAME_CODES = {
    "official": "L",
    "usual": "D",
    "maiden": "M",
    "nickname": "N",
    "temp": "TEMP",
    "anonymous": "S",
    "old": "NOUSE",
}
_ADDRESS_CODES = {"home": "H", "work": "B", "temp": "C", "old": "BA"}
_PHONE_CODES = {"home": "PRN", "work": "WPN", "mobile": "PRS"}
_EQUIPMENT_CODES = {"phone": "PH", "fax": "FX", "pager": "BP", "email": "Internet", "url": "Internet"}


class Encoder:
    """Writes values with one message's separators. ``modern`` is v2.7 and later, where XTN.1 is withdrawn."""

    def __init__(self, syntax: Syntax, *, modern: bool = False) -> None:
        """``syntax`` escapes and joins."""
        self.syntax = syntax
        self.modern = modern

    def text(self, value: str | None) -> str:
        """One escaped leaf."""
        return self.syntax.encode(value) if value else ""

    def components(self, *leaves: Leaf) -> str:
        """Leaves as components, trailing empty ones left out."""
        return self.joined((self.text(leaf) for leaf in leaves), self.syntax.component)

    def parts(self, *leaves: Leaf) -> str:
        """Leaves as sub-components of one component."""
        return self.joined((self.text(leaf) for leaf in leaves), self.syntax.subcomponent)

    def joined(self, encoded: Iterable[str], mark: str) -> str:
        """Encoded pieces joined by ``mark``, trailing empty ones left out."""
        return mark.join(encoded).rstrip(mark)

    def repeated(self, values: Iterable[T], encode: Callable[[T], str]) -> str:
        """All non-empty values as repetitions."""
        return self.syntax.repetition.join(text for value in values if (text := encode(value)))

    def time(self, time: PartialTime | None) -> str:
        """A time as precise as it is; an unreadable one goes out as it came in."""
        if time is None:
            return ""
        return self.text(hl7_text(time) or time.text)

    def hd(self, name: Identifier | None) -> str:
        """HD: namespace id, universal id and its type."""
        return self.components(name.value, *universal_parts(name.system)) if name else ""

    def ei(self, number: Identifier | None) -> str:
        """EI."""
        return (
            self.components(number.value, number.authority, *universal_parts(number.system)) if number else ""
        )

    def cx(self, number: Identifier | None) -> str:
        """CX."""
        if number is None:
            return ""
        authority = self.parts(number.authority, *universal_parts(number.system))
        system, _, facility = (number.assigner or "").rpartition("|")
        assigner = self.parts(facility, *universal_parts(system))
        start, end = (number.period.start, number.period.end) if number.period else (None, None)
        head = (self.text(number.value), "", "", authority, self.text(number.type), assigner)
        return self.joined((*head, self.time(start), self.time(end)), self.syntax.component)

    def xpn(self, name: HumanName) -> str:
        """XPN. A name known only as text goes out as the family name."""
        start, end = (name.period.start, name.period.end) if name.period else (None, None)
        fields = [
            *self._name(name),
            self.text(_NAME_CODES.get(name.use or "")),
            "",
            "",
            "",
            "",
            self.time(start),
            self.time(end),
        ]
        return self.joined(fields, self.syntax.component)

    def _name(self, name: HumanName) -> list[str]:
        family = self.parts(
            name.family or (None if name.given else name.text), None, None, None, name.partner_family
        )
        given, further = (*name.given[:1], "")[0], " ".join(name.given[1:])
        suffix, degree = (*name.suffixes[:1], "")[0], " ".join(name.suffixes[1:])
        return [family, *map(self.text, (given, further, suffix, " ".join(name.prefixes), degree))]

    def xcn(self, person: Practitioner | None, *more: str) -> str:
        """XCN; ``more`` are encoded components from XCN.14 on."""
        if person is None:
            return ""
        number = self._number(person)
        authority = self.parts(number.authority, *universal_parts(number.system)) if number else ""
        name = person.names[0] if person.names else HumanName()
        kind = self.text(number.type) if number else ""
        use = self.text(_NAME_CODES.get(name.use or ""))
        fields = [
            self.text(number.value) if number else "",
            *self._name(name),
            "",
            authority,
            use,
            "",
            "",
            kind,
            *more,
        ]
        return self.joined(fields, self.syntax.component)

    def _number(self, person: Practitioner) -> Identifier | None:
        if person.npi and not any(number.value == person.npi for number in person.identifiers):
            return Identifier(value=person.npi, system=NPI_OID, authority="NPI", type="NPI")
        return next(iter(person.identifiers), None)

    def xon(self, office: Organization | None) -> str:
        """XON: name, and the number in XON.10 with its authority."""
        if office is None:
            return ""
        number = next(iter(office.identifiers), None)
        if number is None and office.npi:
            number = Identifier(value=office.npi, system=NPI_OID, authority="NPI", type="NPI")
        if number is None:
            return self.components(office.name)
        authority = self.parts(number.authority, *universal_parts(number.system))
        fields = [
            self.text(office.name),
            "",
            "",
            "",
            "",
            authority,
            self.text(number.type),
            "",
            "",
            self.text(number.value),
        ]
        return self.joined(fields, self.syntax.component)

    def xad(self, address: Address) -> str:
        """XAD; lines after the second share its component."""
        first, rest = (*address.lines[:1], "")[0], ", ".join(address.lines[1:])
        use = _ADDRESS_CODES.get(address.use or "")
        place = (
            address.city,
            address.state,
            address.postal_code,
            address.country,
            use,
            None,
            address.district,
        )
        return self.components(first or address.text, rest, *place)

    def xtn(self, point: ContactPoint) -> str:
        """XTN: the number in XTN.1, from v2.7 on in XTN.12; e-mail in XTN.4."""
        use = _PHONE_CODES.get(point.use or "")
        equipment = _EQUIPMENT_CODES.get(point.system or "", "MD")
        if point.system == "email":
            return self.components(None, use or "NET", equipment, point.value)
        if point.system == "phone" and point.use == "mobile":
            equipment = "CP"
        if self.modern:
            return self.components(None, use, equipment, *[None] * 8, point.value)
        return self.components(point.value, use, equipment)

    def cwe(self, concept: Concept | None) -> str:
        """CWE; words alone stand in the second component, where older receivers look for them."""
        if concept is None:
            return ""
        if not concept.codings:
            return self.components(None, concept.text)
        one, two = (*concept.codings[:2], Coding())[:2]
        pair = (one.code, one.display, one.system, two.code, two.display, two.system)
        return self.components(*pair, one.version, two.version, concept.text)

    def pl(self, place: Location | None) -> str:
        """PL: the name as point of care, the organisation as facility, the description in PL.9."""
        if place is None:
            return ""
        facility = place.organization.name if place.organization else None
        return self.components(place.name, None, None, facility, None, None, None, None, place.description)

    def ed(self, file: Attachment) -> str:
        """ED: the bytes as base64."""
        main, _, subtype = (file.media_type or "").partition("/")
        data = base64.b64encode(file.content or b"").decode("ascii")
        return self.components(None, main, subtype, "Base64", data)

    def rp(self, file: Attachment) -> str:
        """RP: where the file is, without its bytes."""
        main, _, subtype = (file.media_type or "").partition("/")
        return self.components(file.url, None, main, subtype)
