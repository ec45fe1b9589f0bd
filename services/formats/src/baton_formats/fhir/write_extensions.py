"""What a sender added, written where it stood: only as R4 allows it, on elements that may carry it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from baton_formats.facts import Extension
from baton_formats.fhir.allowed import TEXTUAL, allows, as_json, decimal, is_decimal, is_uri

Json = dict[str, Any]

_DEEPEST: Final = 64
_PLACE: Final = re.compile(r"([A-Za-z]+)(?:\[(\d{1,4})\])?")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PRIMITIVE_ELEMENTS: Final = {
    "Appointment": _names("status priority description start end minutesDuration created comment"),
    "Communication": _names("status priority sent received"),
    "CommunicationRequest": _names("status priority authoredOn"),
    "Coverage": _names("status subscriberId dependent order network subrogation"),
    "DiagnosticReport": _names("status effectiveDateTime issued conclusion"),
    "DocumentReference": _names("status docStatus date description"),
    "Organization": _names("active name"),
    "Patient": _names("active gender birthDate deceasedBoolean deceasedDateTime multipleBirthBoolean"),
    "Practitioner": _names("active gender birthDate"),
    "ServiceRequest": _names(
        "status intent priority doNotPerform occurrenceDateTime authoredOn patientInstruction"
    ),
    "Task": _names("status intent priority description authoredOn lastModified"),
    "HumanName": _names("use text family given[] prefix[] suffix[]"),
}
"""Elements beside which an extension may stand (``_birthDate``); the lists among them by position."""
_CHOICES: Final = ("deceased", "multipleBirth", "occurrence", "effective")


def extend(holder: Json, extensions: Iterable[Extension], kind: str | None = None) -> None:
    """Put extensions where they stood: on the thing itself, or beside one of its primitive elements.

    What R4 does not allow there is left out; :func:`fits` says so of each. ``kind`` is the type of the thing
    where it is no resource.
    """
    for one in extensions:
        if fits(holder, one, kind):
            _put(holder, one)


def fits(holder: Json, one: Extension, kind: str | None = None) -> bool:
    """Whether an extension can be written on this resource or value."""
    if extension(one) is None or not is_uri(one.url.strip()):
        return False
    if not one.element:
        return not one.modifier or kind is None
    place = _PLACE.fullmatch(one.element)
    known = _PRIMITIVE_ELEMENTS.get(kind or str(holder.get("resourceType")), frozenset())
    if place is None or one.modifier:
        return False
    name, position = place.groups()
    if position is not None:
        held = holder.get(name)
        return f"{name}[]" in known and isinstance(held, list) and int(position) < len(held)
    return name in known and not _is_other_choice(holder, name)


def fits_inside(one: Extension) -> bool:
    """Whether an extension inside another one can be written: its name may be relative there."""
    return extension(one) is not None and not one.element and not one.modifier


def _is_other_choice(holder: Json, name: str) -> bool:
    choice = next((stem for stem in _CHOICES if name.startswith(stem)), None)
    return choice is not None and any(own.startswith(choice) and own != name for own in holder)


def _put(holder: Json, one: Extension) -> None:
    written = extension(one)
    if not one.element:
        holder.setdefault("modifierExtension" if one.modifier else "extension", []).append(written)
        return
    name, bracket, rest = one.element.partition("[")
    beside = holder.setdefault(f"_{name}", [None] * len(holder.get(name, ())) if bracket else {})
    if bracket:
        position = int(rest[:-1])
        beside[position] = beside[position] or {}
        beside = beside[position]
    beside.setdefault("extension", []).append(written)


def extension(value: Extension, depth: int = 0) -> Json | None:
    """One extension; None if it says nothing or nothing that R4 allows (ext-1: a value or extensions)."""
    url = value.url.strip()
    if depth > _DEEPEST or not url or re.search(r"\s", url) or (":" in url and not is_uri(url)):
        return None
    plain = (one for one in value.extensions if not one.modifier)
    inner = [written for one in plain if (written := extension(one, depth + 1)) is not None]
    if inner:
        return {"url": url, "extension": inner}
    if value.value is None or value.type is None:
        return None
    content = typed_value(value.type, value.value)
    return None if content is None else {"url": url, f"value{value.type}": content}


def typed_value(kind: str, text: str) -> Any:
    """The JSON of a value of this type from the text facts keep of it; None if R4 has no such value."""
    if kind in TEXTUAL:
        content: Any = _tidy(kind, text)
    elif kind == "Decimal":
        content = decimal(text) if is_decimal(text) else None
    else:
        content = _portable(as_json(text), 0)
    return content if content is not None and allows(kind, content) else None


def _tidy(kind: str, text: str) -> str:
    if kind == "Base64Binary":
        return "".join(text.split())
    return text.strip() if kind in ("String", "Markdown") else text


def is_whole(kind: str, text: str) -> bool:
    """Whether :func:`typed_value` gives all of it: no namespace or pointer had to be left out."""
    if kind in TEXTUAL or kind == "Decimal":
        return True
    value = as_json(text)
    return bool(_portable(value, 0) == value)


def _portable(value: Any, depth: int) -> Any:
    """A complex value as it came, without namespaces that are none and pointers into another body."""
    if depth > 16:
        return None
    if isinstance(value, list):
        return [kept for item in value if (kept := _portable(item, depth + 1)) not in (None, {}, [])]
    if not isinstance(value, dict):
        return value
    kept_members: Json = {}
    for name, item in value.items():
        foreign = name == "system" and isinstance(item, str) and ":" not in item
        inside = name == "reference" and isinstance(item, str) and item[0:1] in ("#", ":")
        foreign = foreign and not _is_telecom(value)
        kept = None if foreign or inside else _portable(item, depth + 1)
        if kept not in (None, {}, []):
            kept_members[name] = kept
    return kept_members


def _is_telecom(value: Json) -> bool:
    return value.get("system") in ("phone", "fax", "email", "pager", "url", "sms", "other")
