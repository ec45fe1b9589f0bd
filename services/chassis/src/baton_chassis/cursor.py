"""Cursors of lists: opaque outside, a short keyset inside, and never believed."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence

import orjson

from baton_chassis import strict_json
from baton_chassis.errors import Fault, Invalid

_ALPHABET = re.compile(r"[A-Za-z0-9_-]{1,1024}")

Key = str | int


def write(keys: Sequence[Key]) -> str:
    """The cursor that continues behind the row with these keys (the columns of the list's order)."""
    return base64.urlsafe_b64encode(orjson.dumps(list(keys))).rstrip(b"=").decode("ascii")


def read(text: str, *shape: type[Key]) -> tuple[Key, ...]:
    """The keys in a cursor, each of the type in ``shape``; raises ``Invalid`` for anything we did not write
    so.

    A cursor only ever narrows a statement that carries the practice of the caller, so a forged one shows
    nothing that the caller could not list anyway. Use the keys as bound parameters only.
    """
    keys = _decoded(text)
    if (
        not isinstance(keys, list)
        or len(keys) != len(shape)
        or any(type(key) is not wanted for key, wanted in zip(keys, shape, strict=True))
        or any(isinstance(key, int) and abs(key) >= 2**63 for key in keys)
        or any(isinstance(key, str) and ("\x00" in key or len(key) > 256) for key in keys)
    ):
        raise _invalid()
    return tuple(keys)


def _decoded(text: str) -> object:
    if not _ALPHABET.fullmatch(text):
        raise _invalid()
    try:
        return strict_json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), max_depth=1)
    except (binascii.Error, strict_json.MalformedJson):
        raise _invalid() from None


def _invalid() -> Invalid:
    fault = Fault(
        "/query/after", "invalid-cursor", "Use the `next` of a page as it is, or leave `after` out."
    )
    return Invalid([fault])
