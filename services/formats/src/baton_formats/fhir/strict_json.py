"""JSON as FHIR needs it: strict, bounded, duplicate keys refused by line and column, decimals exact."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import orjson

MAX_DEPTH = 250
"""Levels of arrays and objects. Real Bundles stay below 20; what is deeper is made to hurt."""

MAX_REPEATED_KEYS = 16
"""Keys that may stand twice with one value; comparing more of them would cost more than they are worth."""

_BOM = b"\xef\xbb\xbf"
_KEPT = b'"[]{}:,0123456789.eE+-'
_DROPPED = bytes(set(range(256)) - set(_KEPT))
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s"{}\[\],:]+', re.DOTALL)


class NotJson(ValueError):
    """The bytes are no acceptable JSON: why, and where by line and column, both counted from one.

    ``code`` is ``malformed-json``, ``duplicate-key``, ``not-utf-8``, ``too-deep``, ``number-too-large`` or
    ``lone-surrogate``. The message never repeats content.
    """

    def __init__(self, code: str, detail: str, *, line: int | None = None, column: int | None = None) -> None:
        place = f" (line {line} column {column})" if line is not None else ""
        super().__init__(detail + place)
        self.code = code
        self.detail = detail
        self.line = line
        self.column = column


class Parsed(NamedTuple):
    """A JSON value with what was odd about its text.

    ``repeated`` are line and column of keys that stand twice in one object with the same value: odd, but they
    say one thing. ``modified`` says whether ``modifierExtension`` stands anywhere, however it is spelt.
    Numbers are ``int`` and ``float``; :func:`exact` gives the same value with every digit.
    """

    value: Any
    byte_order_mark: bool = False
    repeated: tuple[tuple[int, int], ...] = ()
    modified: bool = False


def parse(body: bytes) -> Parsed:
    """The value of a JSON text, in time and memory linear in its size.

    Refused, with :class:`NotJson`: anything RFC 8259 does not allow, ``NaN`` and ``Infinity``, two equal keys
    with different values in one object, text that is not UTF-8, unpaired surrogates, more than ``MAX_DEPTH``
    levels, numbers that no double can hold.
    """
    mark = body.startswith(_BOM)
    if mark:
        body = body[3:]
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _refusal(body, error) from None
    again = _written_again(value, body)
    repeated = tuple(_repeated_keys(body.decode("utf-8"))) if _strings_are_missing(again, body) else ()
    return Parsed(value, mark, repeated, _MODIFIER in again)


_MODIFIER = b'"modifierExtension"'


@dataclass(frozen=True, slots=True)
class Digits:
    """A number whose exponent is beyond every ``Decimal``, as it was written."""

    text: str

    def __str__(self) -> str:
        return self.text


def exact(body: bytes) -> Any:
    """The value of a text that :func:`parse` accepted, with every fraction as ``Decimal`` or ``Digits``."""
    return _EXACT.decode(_text_of(body))


def _text_of(body: bytes) -> str:
    return body.removeprefix(_BOM).decode("utf-8")


_ADDRESS = re.compile(r'"fullUrl"\s*:\s*"([^"\\]*\\?)"?(\s*,\s*"resource"\s*:\s*(?=\{))?')
_ESCAPED_LETTER = re.compile(rb"\\u00[2-7]")


def _addresses(text: str) -> dict[str, int | None]:
    """Every ``fullUrl`` with the place of the resource written right behind it.

    None stands for a place that cannot be told: the address occurs again, or the resource does not follow.
    Nothing at all is told where an address is spelt with escapes, and so may be another's.
    """
    places: dict[str, int | None] = {}
    for address in _ADDRESS.finditer(text):
        url, resource = address.groups()
        if url[-1:] == "\\":
            return {}
        places[url] = None if resource is None or url in places else address.end()
    return places


class ExactNumbers:
    """A text that :func:`parse` accepted, read again with every digit, and only where somebody asks.

    Few resources of a large Bundle are asked for; each of those is read on its own if its entry can be told
    by its ``fullUrl``, otherwise the whole text is.
    """

    _text: str | None = None
    _whole: Any = None
    _places: dict[str, int | None]
    _read: dict[str, Any]

    def __init__(self, body: bytes) -> None:
        self._body = body  # all else is made when the first number is asked for

    def whole(self) -> Any:
        """The value of the whole text."""
        if self._whole is None:
            self._whole = exact(self._body)
        return self._whole

    def resource(self, full_url: str, like: Mapping[str, Any]) -> Any:
        """The resource of the entry with this ``fullUrl``, which is ``like`` this; None if it is not sure."""
        if self._text is None:
            self._text, self._read = _text_of(self._body), {}
            hidden = _may_hide(self._body, b"u00") and _ESCAPED_LETTER.search(self._body)
            self._places = {} if hidden else _addresses(self._text)
        place = self._places.get(full_url)
        if place is None:
            return None
        if full_url not in self._read:
            found = _EXACT.raw_decode(self._text, place)[0]
            alike = all(found.get(name) == like.get(name) for name in ("resourceType", "id"))
            self._read[full_url] = found if alike else None
        return self._read[full_url]


def _exact_whole(text: str) -> int | Decimal:
    return int(text) if len(text) < 19 else Decimal(text)


def _exact_fraction(text: str) -> Decimal | Digits:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent of twenty digits
        return Digits(text)


_EXACT = json.JSONDecoder(parse_float=_exact_fraction, parse_int=_exact_whole)


def _refusal(body: bytes, error: orjson.JSONDecodeError) -> NotJson:
    return _too_deep() if _depth_exceeds(body, MAX_DEPTH) else _malformed(body, error)


_SMALL = 16_384
"""Bytes up to which a text may be written again in lines: with hostile nesting that is 250 times as long."""


def _written_again(value: Any, body: bytes) -> bytes:
    """The value as the same text, if its sender wrote it as most programs do: compact, or in lines of two."""
    try:
        if body[1:2] == b"\n" and len(body) < _SMALL:
            return orjson.dumps(value, option=orjson.OPT_INDENT_2)
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise _too_deep() from None


def _too_deep() -> NotJson:
    return NotJson("too-deep", f"arrays and objects are nested more than {MAX_DEPTH} levels deep")


def _strings_are_missing(again: bytes, body: bytes) -> bool:
    """Whether fewer strings came out than went in: of two equal keys only one survives parsing.

    A text that comes out as it went in lacks nothing. In any other a string takes as many quotes as it
    contains and two more, on the way in as on the way out, so equal numbers of quotes mean that no key is
    gone. Only ``\\u0022`` is a quote that does not look like one; where it may stand, colons are counted.
    """
    if again == body or (len(body) < _SMALL and again == body.rstrip()):
        return False
    if _may_hide(body, b"u0022"):
        return _outside_strings(again).count(b":") != _outside_strings(body).count(b":")
    return again.count(b'"') != body.count(b'"')


_RARE = 1024
"""Bytes for each backslash from which on going from one to the next is quicker than a search."""


def _may_hide(body: bytes, escape: bytes) -> bool:
    """Whether this escape stands behind any backslash."""
    place = body.find(b"\\")
    for _ in range(len(body) // _RARE):
        if place < 0 or body.startswith(escape, place + 1):
            break
        place = body.find(b"\\", place + 1)
    return place >= 0 and body.find(b"\\" + escape, place) >= 0


def _outside_strings(body: bytes) -> bytes:
    """Brackets, colons, commas and numbers outside strings; exact for well-formed JSON."""
    if b"\\\\" in body:
        body = body.replace(b"\\\\", b"")
    if b'\\"' in body:
        body = body.replace(b'\\"', b"")
    return b"".join(body.translate(None, _DROPPED).split(b'"')[::2])


def _depth_exceeds(body: bytes, limit: int) -> bool:
    """Whether brackets outside strings ever nest deeper than ``limit``, for any bytes."""
    depth = deepest = 0
    for byte in _outside_strings(body).translate(None, _NOT_BRACKETS):
        depth += 1 if byte in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest > limit


def _malformed(body: bytes, error: orjson.JSONDecodeError) -> NotJson:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as wrong:
        line, column = _position(body[: wrong.start].decode("utf-8"), None)
        return NotJson("not-utf-8", "the text is not UTF-8", line=line, column=column)
    if "surrogate" in error.msg and _SURROGATE_ESCAPE.search(body):
        return NotJson("lone-surrogate", "an unpaired surrogate", line=error.lineno, column=error.colno)
    if "infinity" in error.msg:
        detail = "a number is larger than any double"
        return NotJson("number-too-large", detail, line=error.lineno, column=error.colno)
    detail = "this is not well-formed JSON"
    return NotJson("malformed-json", detail, line=error.lineno, column=error.colno)


def _repeated_keys(text: str) -> Iterator[tuple[int, int]]:
    """Places of keys that stand twice with one value; raises at the first whose values differ."""
    for count, (first, second) in enumerate(_pairs_of_equal_keys(text), start=1):
        line, column = _position(text, second[0])
        if count > MAX_REPEATED_KEYS or _value_at(text, first[1]) != _value_at(text, second[1]):
            detail = "the same key stands twice in one object with different values"
            raise NotJson("duplicate-key", detail, line=line, column=column)
        yield line, column


_Place = tuple[int, int]
"""Where a key begins, and where its value does."""


def _pairs_of_equal_keys(text: str) -> Iterator[tuple[_Place, _Place]]:
    open_values: list[dict[str, _Place] | None] = []
    key: tuple[str, int] | None = None
    for token in _TOKEN.finditer(text):
        lexeme = token.group()
        if lexeme in "{[":
            open_values.append({} if lexeme == "{" else None)
        elif lexeme in "}]":
            open_values.pop()
        elif lexeme == ":" and key is not None and open_values and (keys := open_values[-1]) is not None:
            place = (key[1], token.end())
            if (first := keys.setdefault(key[0], place)) is not place:
                yield first, place
        key = (json.loads(lexeme), token.start()) if lexeme[0] == '"' else None


def _value_at(text: str, offset: int) -> Any:
    while text[offset] in " \t\r\n":
        offset += 1
    return _EXACT.raw_decode(text, offset)[0]


def _position(text: str, offset: int | None) -> tuple[int, int]:
    before = text if offset is None else text[:offset]
    return before.count("\n") + 1, len(before) - before.rfind("\n")
