"""What R4 allows as a value of a data type: asked before a value that came from elsewhere is written."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

import orjson

from baton_formats.facts import PartialTime
from baton_formats.times import fhir_text

_CODE: Final = re.compile(r"\S+(?: \S+)*")
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
_OID: Final = re.compile(r"[012](\.(0|[1-9]\d*))+", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?", re.ASCII)
_DECIMAL: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_BASE64: Final = re.compile(r"[0-9A-Za-z+/]*={0,2}")
_UNSAFE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
_LOCAL: Final = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9\-._~]{1,64}(/_history/[A-Za-z0-9\-._~]{1,64})?")
LONGEST: Final = 1024 * 1024
"""Bytes of a string (R4, Datatypes)."""
_SHORTEST_OID: Final = 5
"""Characters before the last dot: what is shorter names an authority for arcs, never a namespace."""
MOST: Final = 2**31 - 1
"""The largest number of the integer types."""
_DEEPEST: Final = 16


def is_oid(text: str) -> bool:
    """Whether this is an OID that can be a namespace."""
    return _OID.fullmatch(text) is not None and (
        text.rindex(".") >= _SHORTEST_OID or text.startswith("2.25.")
    )


def is_uri(text: str) -> bool:
    """An absolute URI; those that say they are an OID or a UUID have to be one."""
    if _ABSOLUTE.fullmatch(text) is None:
        return False
    if text.startswith("urn:oid:"):
        return is_oid(text[8:])
    return not text.startswith("urn:uuid:") or _UUID.fullmatch(text[9:]) is not None


def is_pointer(text: str) -> bool:
    """What a Reference may hold outside of its own body: an address, or a type with an id."""
    return _LOCAL.fullmatch(text) is not None or _ABSOLUTE.fullmatch(text) is not None


def is_base64(text: str) -> bool:
    """Whole base64, without white space."""
    return len(text) % 4 == 0 and bool(text) and _BASE64.fullmatch(text) is not None


def is_too_long(text: str) -> bool:
    """Whether a text takes more bytes than a string may."""
    return len(text) > LONGEST // 4 and len(text.encode("utf-8", "replace")) > LONGEST


def is_decimal(text: str) -> bool:
    """A decimal as it stands in JSON, that a double can hold."""
    return len(text) <= 64 and _DECIMAL.fullmatch(text) is not None and math.isfinite(float(text))


def decimal(text: str) -> Any:
    """A decimal with all its digits, for a resource that becomes JSON. Raises ``ValueError`` for others."""
    if not is_decimal(text):
        raise ValueError("no decimal of FHIR")
    return orjson.Fragment(text)


# ---- primitive types ---------------------------------------------------------------------------------------


def _is_text(value: Any) -> bool:
    return (
        isinstance(value, str)
        and bool(value)
        and not value.isspace()
        and not is_too_long(value)
        and not _UNSAFE.search(value)
    )


def _matching(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _all_of(check: Callable[[str], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and check(value)


def _is_loose_uri(text: str) -> bool:
    return bool(text) and not re.search(r"\s", text) and (not text.startswith("urn:") or is_uri(text))


def _is_moment(text: str) -> bool:
    """A dateTime exactly as FHIR writes it: seconds and an offset with every time of day."""
    return fhir_text(PartialTime(iso=text)) == text


def _between(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


_PRIMITIVES: Final[dict[str, Callable[[Any], bool]]] = {
    "Base64Binary": _all_of(is_base64),
    "Boolean": lambda value: isinstance(value, bool),
    "Canonical": _all_of(is_uri),
    "Code": _matching(_CODE),
    "Date": _all_of(lambda text: "T" not in text and _is_moment(text)),
    "DateTime": _all_of(_is_moment),
    "Decimal": lambda value: isinstance(value, int | float | orjson.Fragment) and not isinstance(value, bool),
    "Id": _matching(_ID),
    "Instant": _all_of(lambda text: "T" in text and _is_moment(text)),
    "Integer": _between(-MOST - 1, MOST),
    "Markdown": _is_text,
    "Oid": _all_of(lambda text: text.startswith("urn:oid:") and is_uri(text)),
    "PositiveInt": _between(1, MOST),
    "String": _is_text,
    "Time": _matching(_TIME),
    "UnsignedInt": _between(0, MOST),
    "Uri": _all_of(_is_loose_uri),
    "Url": _all_of(_is_loose_uri),
    "Uuid": _all_of(lambda text: text.startswith("urn:uuid:") and is_uri(text)),
    "Reference.reference": _all_of(is_pointer),
    "Identifier.system": _all_of(lambda text: text.startswith(("http:", "https:", "urn:")) and is_uri(text)),
}
TEXTUAL: Final = frozenset(
    """
    String Code Uri Url Canonical Oid Uuid Id Markdown Date DateTime Instant Time Base64Binary
    """.split()  # noqa: SIM905 - a list of fourteen lines reads worse
)
"""Primitive types whose JSON is a string: the facts keep their text as it is."""

# ---- complex types -----------------------------------------------------------------------------------------

_QUANTITY: Final = "value:Decimal comparator:<|<=|>=|> unit:String system:Uri code:Code"
_SIMPLE: Final = "value:Decimal unit:String system:Uri code:Code"
_NAMES: Final = "usual|official|temp|nickname|anonymous|old|maiden"
_SOURCES: Final = {
    "Address": "use:home|work|temp|old|billing type:postal|physical|both text:String line:String* "
    "city:String district:String state:String postalCode:String country:String period:Period",
    "Annotation": "authorReference:Reference authorString:String time:DateTime text!:Markdown",
    "Attachment": "contentType:Code language:Code data:Base64Binary url:Url size:UnsignedInt "
    "hash:Base64Binary title:String creation:DateTime",
    "CodeableConcept": "coding:Coding* text:String",
    "Coding": "system:Uri version:String code:Code display:String userSelected:Boolean",
    "ContactDetail": "name:String telecom:ContactPoint*",
    "ContactPoint": "system:phone|fax|email|pager|url|sms|other value:String use:home|work|temp|old|mobile "
    "rank:PositiveInt period:Period",
    "HumanName": f"use:{_NAMES} text:String family:String given:String* prefix:String* suffix:String* "
    "period:Period",
    "Identifier": "use:usual|official|temp|secondary|old type:CodeableConcept system:Identifier.system "
    "value:String period:Period assigner:Reference",
    "Meta": "versionId:Id lastUpdated:Instant source:Uri profile:Canonical* security:Coding* tag:Coding*",
    "Money": "value:Decimal currency:Code",
    "Period": "start:DateTime end:DateTime",
    "Quantity": _QUANTITY,
    "Quantity.simple": _SIMPLE,
    "Range": "low:Quantity.simple high:Quantity.simple",
    "Ratio": "numerator:Quantity denominator:Quantity",
    "Reference": "reference:Reference.reference type:Uri identifier:Identifier display:String",
    "Signature": "type!:Coding* when!:Instant who!:Reference onBehalfOf:Reference targetFormat:Code "
    "sigFormat:Code data:Base64Binary",
}


def _elements(source: str) -> dict[str, tuple[str, bool, bool]]:
    """Name to type, whether it is required, whether it repeats."""
    pairs = (part.split(":", 1) for part in source.split())
    return {name.rstrip("!"): (kind.rstrip("*"), name[-1] == "!", kind[-1] == "*") for name, kind in pairs}


_COMPLEX: Final = {kind: _elements(source) for kind, source in _SOURCES.items()}


def _ordered(value: Any) -> bool:
    start, end = value.get("start"), value.get("end")
    return start is None or end is None or in_order(start, end)


_RULES: Final[dict[str, Callable[[Any], bool]]] = {
    "Attachment": lambda value: "data" not in value or "contentType" in value,  # att-1
    "ContactPoint": lambda value: "value" not in value or "system" in value,  # cpt-2
    "Period": _ordered,  # per-1
    "Quantity": lambda value: "code" not in value or "system" in value,  # qty-3
    "Quantity.simple": lambda value: "code" not in value or "system" in value,
    "Ratio": lambda value: ("numerator" in value) == ("denominator" in value),  # rat-1
}


def in_order(start: str, end: str) -> bool:
    """Whether a start is surely not after an end, as FHIR compares them (per-1).

    A date compared with a moment of the same day, or a month with a day of it, is neither before nor after.
    """
    if ("T" in start) == ("T" in end) and len(start) == len(end) and "T" not in start:
        return start <= end
    first, last = PartialTime(iso=start).instant(), PartialTime(iso=end).instant()
    if first is not None and last is not None:
        return first <= last
    size = min(len(start), len(end), 10)
    return max(_days(start, size)) < min(_days(end, size))


def _days(text: str, size: int) -> set[str]:
    """The date of a time, cut: where the sender is, and in UTC."""
    moment = PartialTime(iso=text).instant()
    shown = {text[:size]}
    if moment is not None and moment.utcoffset():
        try:
            shown.add((moment - (moment.utcoffset() or moment.resolution)).isoformat()[:size])
        except OverflowError:
            shown.add("" if text[:4] == "9999" else "9999")
    return shown


def allows(kind: str, value: Any, depth: int = 0) -> bool:
    """Whether a JSON value is one of this type, written as in ``value[x]`` (``DateTime``, ``Quantity``).

    False also for types that no rule here knows. ``decimal`` values may stand as :func:`decimal` gives them.
    """
    if depth > _DEEPEST:
        return False
    primitive = _PRIMITIVES.get(kind)
    if primitive is not None:
        return primitive(value)
    elements = _COMPLEX.get(kind)
    if elements is None or not isinstance(value, dict) or not value:
        return False
    if any(required and name not in value for name, (_, required, _) in elements.items()):
        return False
    rule = _RULES.get(kind)
    return all(_has_place(elements, name, item, depth) for name, item in value.items()) and (
        rule is None or rule(value)
    )


def _has_place(elements: dict[str, tuple[str, bool, bool]], name: str, item: Any, depth: int) -> bool:
    if name == "id":
        return isinstance(item, str) and bool(item) and not re.search(r"\s", item)
    if name == "extension":
        return _are_extensions(item, depth + 1)
    if name[:1] == "_":
        return _is_beside(elements.get(name[1:]), item, depth)
    if name not in elements:
        return False
    kind, _, repeats = elements[name]
    if not repeats:
        return _is_one(kind, item, depth)
    return isinstance(item, list) and bool(item) and all(_is_one(kind, one, depth) for one in item)


def _is_one(kind: str, item: Any, depth: int) -> bool:
    return item in kind.split("|") if "|" in kind else allows(kind, item, depth + 1)


def _is_beside(element: tuple[str, bool, bool] | None, item: Any, depth: int) -> bool:
    """What stands beside a primitive element: its id and extensions, one of a list each or null."""
    if element is None or element[0] in _COMPLEX:
        return False
    held = item if element[2] and isinstance(item, list) else [item]
    return bool(held) and all(
        one is None or (isinstance(one, dict) and _is_aside(one, depth)) for one in held
    )


def _is_aside(value: Any, depth: int) -> bool:
    return bool(value) and all(_has_place({}, name, item, depth) for name, item in value.items())


def _are_extensions(value: Any, depth: int) -> bool:
    return isinstance(value, list) and bool(value) and all(_is_extension(one, depth) for one in value)


def _is_extension(value: Any, depth: int) -> bool:
    """ext-1: a value or extensions, never both."""
    if depth > _DEEPEST or not isinstance(value, dict) or not _PRIMITIVES["Uri"](value.get("url")):
        return False
    others = {name: item for name, item in value.items() if name not in ("url", "id")}
    if len(others) != 1:
        return False
    name, item = others.popitem()
    if name == "extension":
        return _are_extensions(item, depth + 1)
    return name[:5] == "value" and allows(name[5:], item, depth + 1)


def as_json(text: str) -> Any:
    """The JSON of a value that is no string, its decimals with every digit; None if it is none."""
    try:
        return json.loads(text, parse_float=decimal, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(_: str) -> NoReturn:
    raise ValueError("no number of JSON")
