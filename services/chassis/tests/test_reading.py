"""Strict JSON and cursors: one meaning or none, and nothing a client sends is believed."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_chassis import cursor, strict_json
from baton_chassis.errors import Invalid

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_whatever_json_can_say_is_read_back(value: Any, ascii: bool) -> None:
    assert strict_json.loads(json.dumps(value, ensure_ascii=ascii).encode()) == value


@given(st.binary(max_size=100))
def test_bytes_are_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(strict_json.MalformedJson):
        strict_json.loads(raw)


def test_depth_counts_brackets_outside_strings_only() -> None:
    deep = strict_json.MAX_DEPTH

    assert strict_json.loads(json.dumps(["[" * 500 + '"{\\']).encode()) == ["[" * 500 + '"{\\']
    strict_json.loads(b"[" * deep + b"]" * deep)
    wide = b"[" + b"[]," * 500 + b"[]]"
    assert len(strict_json.loads(wide)) == 501
    with pytest.raises(strict_json.MalformedJson, match="deeper"):
        strict_json.loads(b"[" * (deep + 1) + b"]" * (deep + 1))


@given(st.lists(TEXT | st.integers(-(2**62), 2**62), max_size=4))
def test_a_cursor_of_ours_is_read_back(keys: list[str | int]) -> None:
    assert cursor.read(cursor.write(keys), *map(type, keys)) == tuple(keys)


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "x",
        "%",
        "a b",
        "é",
        "=" * 4,
        "A" * 2000,
        "bnVsbA",
        "W10",
        "WzFd",
        "WyJhIiwyLDNd",
        "e30",
        "WyJhIix0cnVlXQ",
        "WyJhIiwxLjVd",
        base64.urlsafe_b64encode(b'["a",99999999999999999999]').decode().rstrip("="),
        base64.urlsafe_b64encode(b'["\\u0000",1]').decode().rstrip("="),
        "WyJhIiwy",
    ],
)
def test_a_forged_cursor_is_refused(forged: str) -> None:
    with pytest.raises(Invalid) as refused:
        cursor.read(forged, str, int)

    assert [fault.pointer for fault in refused.value.faults] == ["/query/after"]


@given(st.text(max_size=60))
def test_no_text_at_all_makes_a_cursor_fail(text: str) -> None:
    try:
        keys = cursor.read(text, str)
    except Invalid:
        return
    assert isinstance(keys[0], str)
