"""JSON as FHIR needs it: strict, bounded, duplicate keys refused by line and column, decimals exact."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson

MAX_DEPTH = 64
"""Levels of arrays and objects. Real Bundles stay below 20; what is deeper is made to hurt."""

MAX_NUMBER_LENGTH = 64
"""Characters of one number. FHIR asks for 18 significant digits."""

MAX_REPEATED_KEYS = 16
"""Keys that may stand twice with one value; comparing more of them would cost more than they are worth."""

_BOM = b"\xef\xbb\xbf"
_KEPT = b'"\\[]{}:,0123456789.eE+-'
_DROPPED = bytes(set(range(256)) - set(_KEPT))
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_LONG_NUMBER = re.compile(rb"[0-9.eE+-]{%d}" % (MAX_NUMBER_LENGTH + 1))
_LARGE_EXPONENT = re.compile(rb"\d[eE][+-]?\d{3}")
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


@dataclass(frozen=True, slots=True)
class Parsed:
    """A JSON value with what was odd about its text.

    ``repeated`` are line and column of keys that stand twice in one object with the same value: odd, but they
    say one thing. Numbers are ``int`` and ``float``; :func:`exact` gives the same value with decimals.
    """

    value: Any
    byte_order_mark: bool = False
    repeated: tuple[tuple[int, int], ...] = ()


def parse(body: bytes) -> Parsed:
    """The value of a JSON text, in time and memory linear in its size.

    Refused, with :class:`NotJson`: anything RFC 8259 does not allow, ``NaN`` and ``Infinity``, two equal keys with
    different values in one object, text that is not UTF-8, unpaired surrogates, more than ``MAX_DEPTH`` levels,
    numbers beyond ``MAX_NUMBER_LENGTH`` characters or with an exponent of three digits.
    """
    mark = body.startswith(_BOM)
    if mark:
        body = body[3:]
    skeleton = _outside_strings(body)
    if _depth_exceeds(skeleton, MAX_DEPTH):
        raise NotJson("too-deep", f"arrays and objects are nested more than {MAX_DEPTH} levels deep")
    value = _loaded(body)
    if _LONG_NUMBER.search(skeleton) or _LARGE_EXPONENT.search(skeleton):
        raise NotJson("number-too-large", "a number is too long, or its exponent too large")
    repeated: tuple[tuple[int, int], ...] = ()
    # Equal keys collapse when the value is written again, so fewer colons come out than went in.
    if _outside_strings(orjson.dumps(value)).count(b":") != skeleton.count(b":"):
        repeated = tuple(_repeated_keys(body.decode("utf-8")))
    return Parsed(value, byte_order_mark=mark, repeated=repeated)


def exact(body: bytes) -> Any:
    """The value of a text that :func:`parse` accepted, with every number that has a fraction as ``Decimal``."""
    return _EXACT.decode(body.decode("utf-8-sig"))


_EXACT = json.JSONDecoder(parse_float=Decimal)


def _outside_strings(body: bytes) -> bytes:
    """Brackets, colons, commas and numbers outside strings; exact for well-formed JSON, bounded for all."""
    kept = body.translate(None, _DROPPED)
    if b"\\" in kept:
        kept = kept.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(kept.split(b'"')[::2])


def _depth_exceeds(skeleton: bytes, limit: int) -> bool:
    brackets = skeleton.translate(None, _NOT_BRACKETS)
    for _ in range(limit):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    # What is left nests too deep, or is unbalanced, which the grammar check says better.
    depth = deepest = 0
    for byte in brackets:
        depth += 1 if byte in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest > limit


def _loaded(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _malformed(body, error) from None


def _malformed(body: bytes, error: orjson.JSONDecodeError) -> NotJson:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as wrong:
        line, column = _position(body[: wrong.start].decode("utf-8"), None)
        return NotJson("not-utf-8", "the text is not UTF-8", line=line, column=column)
    if "surrogate" in error.msg and _SURROGATE_ESCAPE.search(body):
        return NotJson("lone-surrogate", "an unpaired surrogate", line=error.lineno, column=error.colno)
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
