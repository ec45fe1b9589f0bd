"""JSON as strangers send it, read without mercy: one meaning, or none at all."""

from __future__ import annotations

import json
from typing import Any, NoReturn

MAX_DEPTH = 64
"""Deepest nesting of arrays and objects that is read."""

_MAX_NUMBER = 40
"""Longest number literal that is read, in characters; no field of any contract needs more."""


class MalformedJson(ValueError):
    """The bytes are not JSON with exactly one meaning. Its text is a fixed sentence and holds nothing of the
    input."""


def loads(raw: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """The value that ``raw`` stands for, as plain Python values.

    Refused with ``MalformedJson``: anything but UTF-8 (a byte order mark too), trailing text, a name twice in
    one object, NaN and Infinity, numbers beyond a double, numbers of more than 40 characters, lone
    surrogates, U+0000 (PostgreSQL text cannot hold it) and nesting deeper than ``max_depth`` (RFC 8259;
    I-JSON, RFC 7493, section 2).
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedJson("The body is not UTF-8.") from None
    if text.startswith("\ufeff"):
        raise MalformedJson("The body starts with a byte order mark; send plain UTF-8.")
    _check_depth(text, max_depth)
    try:
        value = _DECODER.decode(text)
    except MalformedJson:
        raise
    except (ValueError, RecursionError):
        raise MalformedJson("The body is not valid JSON.") from None
    if "\\u" in text:
        _check_characters(value)
    return value


def _check_depth(text: str, max_depth: int) -> None:
    if text.count("[") + text.count("{") <= max_depth:
        return
    depth = 0
    inside_string = escaped = False
    for character in text:
        if inside_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                inside_string = False
        elif character == '"':
            inside_string = True
        elif character in "[{":
            depth += 1
            if depth > max_depth:
                raise MalformedJson(f"The body is nested deeper than {max_depth} levels.")
        elif character in "]}":
            depth -= 1


def _check_characters(value: Any) -> None:
    """Escapes can spell what UTF-8 cannot: a lone surrogate, or the character zero."""
    if isinstance(value, str):
        if "\x00" in value:
            raise MalformedJson("A string holds the character U+0000.")
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise MalformedJson("A string holds half of a surrogate pair.")
    elif isinstance(value, list):
        for item in value:
            _check_characters(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_characters(name)
            _check_characters(item)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    thing = dict(pairs)
    if len(thing) != len(pairs):
        raise MalformedJson("A name appears twice in one object.")
    return thing


def _whole(literal: str) -> int:
    if len(literal) > _MAX_NUMBER:
        raise MalformedJson(f"A number is longer than {_MAX_NUMBER} characters.")
    return int(literal)


def _fraction(literal: str) -> float:
    if len(literal) > _MAX_NUMBER:
        raise MalformedJson(f"A number is longer than {_MAX_NUMBER} characters.")
    number = float(literal)
    if number in (float("inf"), float("-inf")):
        raise MalformedJson("A number is too large.")
    return number


def _constant(_literal: str) -> NoReturn:
    raise MalformedJson("NaN and Infinity are not JSON.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_whole, parse_float=_fraction, parse_constant=_constant
)
