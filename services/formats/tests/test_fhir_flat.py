"""What is usual is read flat, what is odd by the cursor: both give the same facts and the same findings."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baton_formats import fhir
from baton_formats.fhir import body, documents, messages, parameters, people, requests, schedule, tree
from baton_formats.fhir.body import Body
from baton_formats.fhir.flat import Element, text, usual
from baton_formats.fhir.tables import Table, _look_for_strangers
from baton_formats.fhir.tree import Node
from baton_formats.findings import ReadResult

Json = dict[str, Any]

_MODULES = (documents, messages, parameters, people, requests, schedule)
TABLES = {id(held): held for module in _MODULES for held in vars(module).values() if isinstance(held, Table)}


def by_cursor(table: Table[Any], node: Node) -> Any:
    """A table read row by row, as it is declared."""
    values = {
        row.target: row.read(node)
        for row in table.rows
        if row.read is not None and (row.elements is None or not row.elements.isdisjoint(node.value))
    }
    if table._known is not None:
        _look_for_strangers(node, table._known)
    return table.fact(**values)


@contextmanager
def nothing_flat() -> Iterator[None]:
    """All is read by the cursor: no quick reader of any type, no table written out."""
    written = {key: table.read for key, table in TABLES.items()}
    with patch.dict(tree._QUICK, clear=True), patch.object(body, "_USUAL_POINTER", lambda value: None):
        for table in TABLES.values():
            table.read = partial(by_cursor, table)
        try:
            yield
        finally:
            for key, table in TABLES.items():
                table.read = written[key]


def both(content: bytes) -> tuple[ReadResult, ReadResult]:
    flat = fhir.read(content)
    with nothing_flat():
        return flat, fhir.read(content)


def test_every_table_is_compared() -> None:
    assert len(TABLES) == len(fhir.MAPPINGS) == 18


def test_every_published_file_says_the_same_either_way(samples: Path) -> None:
    for path in sorted(samples.glob("fhir-*/**/*.json")):
        flat, cursor = both(path.read_bytes())
        assert flat == cursor, path.name


# ---- odd values in ample resources -------------------------------------------------------------------------

_PERIOD = {"start": "2026-01-02", "end": "2026-01-31T10:00:00Z"}
_NUMBER = {
    "use": "official",
    "type": {"coding": [{"system": "urn:example:types", "code": "PLAC"}], "text": "placer"},
    "system": "http://hl7.org/fhir/sid/us-npi",
    "value": "1234567893",
    "period": _PERIOD,
}
_MEANING = {
    "coding": [{"system": "urn:example:codes", "version": "1", "code": "c", "display": "C"}],
    "text": "a C",
}
_POINTER = {"reference": "Patient/ada", "type": "Patient", "identifier": _NUMBER, "display": "Ada"}
_EXTRA = [{"url": "urn:example:a", "extension": [{"url": "b", "valueString": "c"}]}]
_WHO = {
    "id": "ada",
    "meta": {"versionId": "1", "profile": ["urn:example:profile"]},
    "extension": _EXTRA,
    "identifier": [_NUMBER],
    "active": True,
    "name": [
        {"use": "usual", "text": "A", "family": "B", "given": ["C"], "prefix": ["D"], "period": _PERIOD}
    ],
    "telecom": [{"system": "phone", "value": "+1-555-0100", "use": "work", "period": _PERIOD}],
    "address": [{"use": "home", "line": ["1 Sample Road"], "city": "Exampleton", "period": _PERIOD}],
    "gender": "female",
    "birthDate": "1970-01-02",
}
AMPLE: list[Json] = [
    {
        **_WHO,
        "resourceType": "Patient",
        "_gender": {"extension": _EXTRA},
        "maritalStatus": _MEANING,
        "generalPractitioner": [_POINTER],
        "link": [{"type": "replaced-by", "other": _POINTER}],
        "communication": [{"language": _MEANING}],
    },
    {**_WHO, "resourceType": "Practitioner"},
    {
        "resourceType": "ServiceRequest",
        "identifier": [_NUMBER],
        "status": "active",
        "intent": "order",
        "priority": "routine",
        "category": [_MEANING],
        "code": _MEANING,
        "subject": _POINTER,
        "requester": {"reference": "#who"},
        "contained": [{**_WHO, "resourceType": "Practitioner", "id": "who"}],
        "authoredOn": "2026-02-28T23:59:59.125+05:30",
        "occurrencePeriod": _PERIOD,
        "reasonCode": [_MEANING, {"text": "words"}],
        "note": [{"authorString": "Dr. Sample", "time": "2026", "text": "please look"}],
        "supportingInfo": [_POINTER],
        "insurance": [{"display": "Sample Health"}],
    },
    {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "focus": _POINTER,
        "for": _POINTER,
        "businessStatus": _MEANING,
        "restriction": {"period": _PERIOD},
        "input": [{"type": _MEANING, "valueReference": _POINTER}],
        "output": [{"type": _MEANING, "valueString": "done"}],
    },
    {
        "resourceType": "Appointment",
        "status": "booked",
        "start": "2026-03-02T10:00:00Z",
        "end": "2026-03-02T10:30:00Z",
        "minutesDuration": 30,
        "participant": [{"type": [_MEANING], "actor": _POINTER, "status": "accepted"}],
        "basedOn": [_POINTER],
    },
    {
        "resourceType": "DocumentReference",
        "status": "current",
        "docStatus": "final",
        "subject": _POINTER,
        "content": [{"attachment": {"contentType": "text/plain", "data": "QQ==", "creation": "2026-01"}}],
        "context": {"related": [_POINTER], "period": _PERIOD},
    },
]
ODD: list[Any] = [
    None,
    "",
    " ",
    "\u2003",
    "words",
    "2026-02-29",
    "2026-02-28t10:00Z",
    17,
    1.50,
    True,
    [],
    {},
    [""],
    [None],
    [17],
    ["one", None],
    [{}],
    [{"extension": _EXTRA}],
    {"extension": _EXTRA},
    {"extension": {"url": "u"}},
    {"code": "bare"},
    {"coding": {"code": "c"}},
    {"text": " "},
    {"reference": "#"},
    {"reference": ":uuid:1"},
    {"identifier": [{"value": "1"}], "display": "Ada"},
    {"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"},
    {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567890"},
    {"value": "1", "assigner": {"display": "Sample Registry", "reference": "Organization/1"}},
]
"""What no guide allows in most places, and what is allowed where the flat readers do not expect it."""


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


@st.composite
def odd_resources(draw: st.DrawFn) -> bytes:
    resource = copy.deepcopy(draw(st.sampled_from(AMPLE)))
    for _ in range(draw(st.integers(0, 3))):
        places = [place for place in _places(resource) if place[1] != "resourceType"]
        holder, key = draw(st.sampled_from(places))
        replacement = copy.deepcopy(draw(st.sampled_from(ODD)))
        change = draw(st.sampled_from(["replace", "wrap", "add", "drop"]))
        if change == "drop":
            del holder[key]
        elif change == "add" and isinstance(holder, dict):
            holder[draw(st.sampled_from(["extension", "code", "assigner", "type", "zzz", "_status"]))] = (
                replacement
            )
        else:
            holder[key] = [holder[key]] if change == "wrap" else replacement
    entry = {"fullUrl": "urn:uuid:0", "resource": resource}
    closed = {"resourceType": "Bundle", "type": "collection", "entry": [entry]}
    return json.dumps(draw(st.sampled_from([resource, closed]))).encode()


@given(odd_resources())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_odd_is_read_the_same_either_way(content: bytes) -> None:
    flat, cursor = both(content)
    assert flat == cursor


def test_ample_resources_are_read_without_the_cursor_noticing_anything() -> None:
    for resource in AMPLE:
        found = {one.code for one in fhir.read(json.dumps(resource).encode()).all_findings}
        assert found <= {"not-in-use"}, resource["resourceType"]  # the patient was replaced by another


@pytest.mark.parametrize("read", sorted(tree._QUICK, key=str))
@pytest.mark.parametrize("odd", ODD, ids=str)
def test_a_quick_reader_gives_what_the_cursor_gives_or_nothing(read: Any, odd: Any) -> None:
    for value in ({}, {"value": odd}, {"code": odd}, {"text": "a", "coding": odd}, {"start": odd}, odd):
        if not isinstance(value, dict):
            continue
        found = tree._QUICK[read](value)
        around = Body({"resourceType": "Basic"})
        with nothing_flat():
            slow = read(Node(value, (None, "Basic"), value, around))
        assert found is None or (found == slow and not around.doubts.all())


# ---- what a declaration may say ----------------------------------------------------------------------------


def test_an_absent_element_is_usual_and_an_odd_one_is_left_alone() -> None:
    read = usual(lambda *found: found, text("a"), None, text("b"), unless="c")
    assert read({"a": "1"}) == ("1", None, None)
    assert read({"a": "1", "b": " "}) is None
    assert read({"a": "1", "c": "2"}) is None


def test_what_only_the_cursor_can_read_cannot_be_written_out() -> None:
    with pytest.raises(AssertionError, match="only the cursor"):
        usual(lambda found: found, Element("a", lambda node: None))


def test_extensions_nested_as_deep_as_json_may_be_are_read_in_time() -> None:
    for innermost in ("urn:example:a", 17):
        nested: Json = {"url": innermost, "valueString": "v"}
        for _ in range(110):
            nested = {"url": "u", "extension": [nested]}
        flat, cursor = both(json.dumps({"resourceType": "Patient", "extension": [nested] * 50}).encode())
        assert flat == cursor
        assert len(flat.facts) == 1
