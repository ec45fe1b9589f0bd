"""What the sender of an XDM archive says of its documents (METADATA.XML, ebRIM 3.0); they win over it."""

from dataclasses import dataclass
from typing import Final

from baton_formats.ccda.datatypes import system_of
from baton_formats.ccda.document import Node, Outside, named
from baton_formats.ccda.safe_xml import XmlRefused, stream
from baton_formats.facts import HumanName, Identifier, PartialTime, Patient
from baton_formats.times import parse_hl7

_RIM: Final = "other:"  # the tree keeps foreign namespaces under this mark
_GENDERS: Final = {"M": "male", "F": "female", "O": "other", "U": "unknown"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One document entry (XDSDocumentEntry): where it is, how large, its SHA-1, and its source patient."""

    uri: str | None
    media_type: str | None
    size: int | None
    sha1: str | None
    patient: Patient | None


def entries(content: bytes) -> tuple[Entry, ...] | None:
    """The document entries of a METADATA.XML, in order; None where it cannot be read safely."""
    outside = Outside()
    try:
        report = stream(content, outside, named=named)
    except XmlRefused:
        return None
    if outside.root is None or report.broken is not None:
        return None
    return tuple(_entry(node) for node in outside.root.walk() if node.name == f"{_RIM}ExtrinsicObject")


def _entry(node: Node) -> Entry:
    size = _slot(node, "size")
    return Entry(
        uri=_slot(node, "URI"),
        media_type=node.get("mimeType"),
        size=int(size) if size and size.isascii() and size.isdigit() and len(size) < 16 else None,
        sha1=(_slot(node, "hash") or "").lower() or None,
        patient=_patient(node),
    )


def _slot(node: Node, name: str) -> str | None:
    return next(iter(_slots(node, name)), None)


def _slots(node: Node, name: str) -> list[str]:
    slots = (slot for slot in node.all(f"{_RIM}Slot") if slot.get("name") == name)
    return [text for slot in slots for one in slot.all(f"{_RIM}ValueList/{_RIM}Value") if (text := one.text)]


def _patient(node: Node) -> Patient | None:
    """sourcePatientId and sourcePatientInfo: PID fields as one line each (IHE ITI TF-3 4.2.3.2.23)."""
    lines = dict(line.partition("|")[::2] for line in _slots(node, "sourcePatientInfo"))
    number = _identifier(_slot(node, "sourcePatientId") or lines.get("PID-3", ""))
    name = _name(lines.get("PID-5", ""))
    if number is None and name is None and "PID-7" not in lines:
        return None
    return Patient(
        identifiers=(number,) if number is not None else (),
        names=(name,) if name is not None else (),
        birth_date=_birth_date(lines.get("PID-7", "")),
        gender=_GENDERS.get(lines.get("PID-8", "").strip().upper()),
    )


def _identifier(text: str) -> Identifier | None:
    """A CX: number, then in its fourth component `&oid&ISO`."""
    parts = [*text.split("^"), "", "", "", ""]
    oid = ([*parts[3].split("&"), "", ""])[1]
    system = (system_of(oid) or f"urn:oid:{oid}") if oid else None
    return Identifier(value=parts[0], system=system) if parts[0] else None


def _name(text: str) -> HumanName | None:
    parts = [*(part.strip() for part in text.split("^")), "", ""]
    family, given = parts[0], tuple(part for part in parts[1:3] if part)
    return HumanName(family=family or None, given=given) if family or given else None


def _birth_date(text: str) -> PartialTime | None:
    return parse_hl7(text) if text.strip() else None
