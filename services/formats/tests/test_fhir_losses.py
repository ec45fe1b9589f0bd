"""Nothing a sender wrote is lost without a word: digits, siblings, outputs of every type, old versions."""

from __future__ import annotations

import base64
import json
import time
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baton_formats import fhir
from baton_formats.facts import Document, Fact, Patient, Referral, Task, TaskValue
from baton_formats.findings import Outcome, ReadResult
from baton_formats.rendering import members, to_json

F = TypeVar("F", bound=Fact)
Json = dict[str, Any]

REQUEST: Json = {
    "resourceType": "ServiceRequest",
    "status": "active",
    "intent": "order",
    "subject": {"display": "Ada Testperson"},
}


def read(value: Json) -> ReadResult:
    return fhir.read(json.dumps(value).encode())


def fact(result: ReadResult, kind: type[F]) -> F:
    return next(one for one in result.facts if isinstance(one, kind))


def is_written(text: str | None, number: str) -> bool:
    return text == number or Decimal(str(text)) == Decimal(number)


def found(result: ReadResult) -> list[tuple[str, str]]:
    return [(one.code, one.where) for one in result.all_findings]


# ---- numbers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number",
    ["1e-99999999999999999999", "0e99999999999999999999", "1E-400", "0.0", "-0.10", "12345678901e10"],
)
def test_a_number_of_any_exponent_is_kept_as_it_was_written(number: str) -> None:
    body = '{"resourceType": "Patient", "id": %s, "extension": [{"url": "urn:x", "valueDecimal": %s}]}'
    patient = fact(fhir.read((body % (number, number)).encode()), Patient)
    assert is_written(patient.id, number)
    assert is_written(patient.extensions[0].value, number)
    weight = '{"resourceType": "Observation", "status": "final", "valueQuantity": {"value": %s}}'
    (line,) = fact(fhir.read((weight % number).encode()), Document).observations
    assert is_written(line.value, number)


@pytest.mark.parametrize("number", ["1.10", "0.1234567890123456789", "2.00", "12345678901234567890123"])
def test_an_extension_keeps_every_digit(number: str) -> None:
    held = f'"extension": [{{"url": "urn:x", "valueDecimal": {number}}}, {{"url": "urn:y", "valueQuantity":'
    held += f' {{"value": {number}, "unit": "kg"}}}}, {{"url": "urn:z", "extension": [{{"url": "a", '
    held += f'"valueDecimal": {number}}}]}}]'
    plain, complex_, nested = fact(
        fhir.read(f'{{"resourceType": "Patient", {held}}}'.encode()), Patient
    ).extensions
    assert (plain.type, plain.value) == ("Decimal", number)
    assert (complex_.type, complex_.value) == ("Quantity", f'{{"value":{number},"unit":"kg"}}')
    assert nested.extensions[0].value == number


_WEIGHT = '{"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "K"}%s}'


def _weight(number: str) -> str:
    return _WEIGHT % f', "valueQuantity": {{"value": {number}}}'


@pytest.mark.parametrize("inner", [_weight("9.90"), _weight("1.1"), _WEIGHT % ""])
@pytest.mark.parametrize("key", ['"fullUrl"', '"full\\u0055rl"'])
@pytest.mark.parametrize("address", ['"urn:x:1"', '"urn:\\u0078:1"', '"urn:x\\/1"'])
def test_a_result_keeps_its_own_digits_whatever_else_has_its_address(
    inner: str, key: str, address: str
) -> None:
    nested = '{"resourceType": "Bundle", "type": "history", "entry": [{"fullUrl": %s, "resource": %s}]}'
    plain = '"urn:x/1"' if "/" in address else '"urn:x:1"'
    entries = [
        f'{{"resource": {_weight("1.10")}, {key}: {address}}}',
        f'{{"fullUrl": "urn:b", "resource": {nested % (plain, inner)}}}',
    ]
    body = f'{{"resourceType": "Bundle", "type": "collection", "entry": [{", ".join(entries)}]}}'
    lines = fact(fhir.read(body.encode()), Document).observations
    assert lines[0].value == "1.10"


# ---- outputs, siblings, contents ---------------------------------------------------------------------------


def test_an_output_of_any_type_is_kept() -> None:
    body = b"""{"resourceType": "Task", "status": "completed", "intent": "order", "output": [
        {"type": {"text": "letter"}, "valueAttachment": {"contentType": "text/plain", "data": "QUJD"}},
        {"valueQuantity": {"value": 1.10, "unit": "kg"}}, {"valueBoolean": false}, {"valueInteger": 5},
        {"valueIdentifier": {"system": "urn:example:a", "value": "7"}}, {"valueTime": "10:00:00"}]}"""
    letter, amount, flag, count, number, hour = fact(fhir.read(body), Task).outputs
    assert letter.attachment is not None
    assert letter.attachment.content == b"ABC"
    assert (amount.value_type, amount.value) == ("Quantity", '{"value":1.10,"unit":"kg"}')
    assert (flag.value_type, flag.value) == ("Boolean", "false")
    assert (count.value_type, count.value) == ("Integer", "5")
    assert number.identifier is not None
    assert number.identifier.value == "7"
    assert (hour.value_type, hour.value) == ("Time", "10:00:00")


def test_an_output_without_a_value_has_none() -> None:
    task = {"resourceType": "Task", "status": "completed", "intent": "order", "output": [{"value": 1}, {}]}
    assert fact(read(task), Task).outputs == (TaskValue(), TaskValue())


def test_what_stands_beside_the_parts_of_a_name_is_kept_with_the_part() -> None:
    own = {"extension": [{"url": "urn:example:own-name", "valueString": "van"}]}
    odd = {"extension": [{"url": "urn:example:initial", "valueCode": "IN"}]}
    name: Json = {"family": "van Testperson", "_family": own, "given": ["Ada", None, "B"]}
    name |= {"_given": [None, odd, None], "extension": [{"url": "urn:example:all", "valueBoolean": True}]}
    (kept,) = fact(read({"resourceType": "Patient", "name": [name]}), Patient).names
    assert kept.given == ("Ada", "B")
    assert [(one.url, one.element) for one in kept.extensions] == [
        ("urn:example:all", ""),
        ("urn:example:own-name", "family"),
        ("urn:example:initial", "given[1]"),
    ]


@pytest.mark.parametrize("data", [5, True, ["QQ=="], {"value": "QQ=="}])
def test_content_that_is_no_text_is_a_finding(data: Any) -> None:
    content = [{"attachment": {"contentType": "text/plain", "data": data}}]
    result = read({"resourceType": "DocumentReference", "status": "current", "content": content})
    assert found(result) == [("wrong-type", "DocumentReference.content[0].attachment.data")]


def test_a_result_of_a_type_that_is_not_read_is_a_finding() -> None:
    weight = {"resourceType": "Observation", "status": "final", "valueRange": {"low": {"value": 1}}}
    assert found(read(weight)) == [("value-left-aside", "Observation.valueRange")]


def test_several_family_names_are_joined_with_a_finding() -> None:
    result = read({"resourceType": "Patient", "name": [{"family": ["Test", "Person"]}]})
    assert fact(result, Patient).names[0].family == "Test Person"
    assert found(result) == [("unexpected-list", "Patient.name[0].family")]


# ---- versions of FHIR --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "old",
    [
        {"resourceType": "ReferralRequest", "status": "requested", "patient": {"reference": "Patient/1"}},
        {"resourceType": "ReferralRequest", "status": "active", "patient": {"reference": "Patient/1"}},
        {"resourceType": "ReferralRequest", "status": "accepted"},
        {"resourceType": "DiagnosticOrder"},
    ],
)
def test_dstu2_is_refused_by_its_name(old: Json) -> None:
    for body in (old, {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": old}]}):
        result = read(body)
        assert result.outcome is Outcome.REFUSED
        assert "DSTU2" in str(result.reason)


def test_who_asks_is_found_in_a_task_of_stu3() -> None:
    task: Json = {"resourceType": "Task", "status": "requested", "intent": "order"}
    task["requester"] = {
        "agent": {"reference": "Practitioner/1", "display": "Grace Sampledoctor"},
        "onBehalfOf": {"reference": "Organization/1", "display": "Sample Office"},
    }
    result = read(task)
    who = fact(result, Task).requester
    assert who is not None
    assert who.organization is not None
    assert (who.display, who.organization.name) == ("Grace Sampledoctor", "Sample Office")
    assert result.messages[0].envelope is not None
    assert result.messages[0].envelope.version == "3.0"


# ---- XML ---------------------------------------------------------------------------------------------------

_HEAD = '<?xml version="1.0" encoding="UTF-16"?>'
_XML = '<Patient xmlns="http://hl7.org/fhir"><name><family value="Tést"/></name>%s</Patient>'


@pytest.mark.parametrize("charset", ["utf-16", "utf-16-le", "utf-16-be"])
def test_xml_in_utf_16_is_read(charset: str) -> None:
    result = fhir.read((_HEAD + _XML % "").encode(charset))
    assert fact(result, Patient).names[0].family == "Tést"


@pytest.mark.parametrize("charset", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_document_type_in_utf_16_is_refused_all_the_same(charset: str) -> None:
    prolog = '<!DOCTYPE x [<!ENTITY e "v">]>'
    result = fhir.read((_HEAD + prolog + _XML % "").encode(charset))
    assert "document type" in str(result.reason)


def test_an_element_cannot_change_what_the_resource_is() -> None:
    result = fhir.read((_XML % '<resourceType value="Organization"/>').encode())
    assert fact(result, Patient).names[0].family == "Tést"
    assert found(result) == [("unknown-element", "Patient.(unnamed)")]


@pytest.mark.parametrize(
    "system",
    ["http://BARSTOW.example/mrn", "http://fathers-service.example/mrn", "http://x.example/COWBARS-1"],
)
def test_a_name_that_only_sounds_like_a_profile_is_none(system: str) -> None:
    envelope = read({**REQUEST, "identifier": [{"system": system, "value": "1"}]}).messages[0].envelope
    assert envelope is not None
    assert envelope.profile == "plain"


# ---- what many share ---------------------------------------------------------------------------------------

_SHORTLIST = "https://fhir.nhs.uk/STU3/StructureDefinition/Extension-eRS-ReferralShortlist-1"
_MANY, _EACH = 1_000, 2_000


def _many(count: int, kind: str, **members: Any) -> Iterator[Json]:
    return ({"resourceType": kind, "id": str(n), "status": "active", **members} for n in range(count))


def _numbers(prefix: str) -> list[Json]:
    return [{"value": f"{prefix}{n}"} for n in range(_MANY)]


def _shared(what: str) -> list[Json]:
    if what == "calendar":
        actors = [{"type": "Practitioner", "display": "d"}] * _MANY
        calendars = [{"resourceType": "Schedule", "id": x, "actor": actors} for x in "st"]
        slots = [{"resourceType": "Slot", "id": x, "schedule": {"reference": f"Schedule/{x}"}} for x in "st"]
        pointers = [{"reference": f"Slot/{x}"} for x in "st"]
        return [*calendars, *slots, *_many(_EACH, "Appointment", slot=pointers)]
    if what == "shortlist":
        entries = [{"item": {"display": f"d{n}"}} for n in range(_MANY)]
        chosen = [{"url": _SHORTLIST, "valueReference": {"reference": "List/L"}}]
        asked = _many(_EACH, "ReferralRequest", extension=chosen, subject={"display": "Ada"})
        return [{"resourceType": "List", "id": "L", "entry": entries}, *asked]
    if what == "documents":
        files = [{"attachment": {"title": str(n)}} for n in range(_MANY)]
        letters = [{"resourceType": "DocumentReference", "id": x, "content": files} for x in "de"]
        pointers = [{"reference": f"DocumentReference/{x}"} for x in "de"]
        return [*letters, *_many(_EACH, "ServiceRequest", supportingInfo=pointers)]
    if what == "bytes":
        data = base64.b64encode(b"x" * 200_000).decode()
        letter: Json = {"resourceType": "Binary", "id": "b", "contentType": "text/plain", "data": data}
        return [letter, *_many(_EACH, "DocumentReference", content=[{"attachment": {"url": "Binary/b"}}])]
    if what == "numbers":
        asked = [{**REQUEST, "id": x, "identifier": _numbers(x)} for x in "xy"]  # type: ignore[assignment]
        pointers = [{"reference": f"ServiceRequest/{x}"} for x in "xy"]
        return [*asked, *_many(_EACH, "Appointment", basedOn=pointers)]
    if what == "reasons":
        reasons = [{"resourceType": "Condition", "id": x, "code": {"coding": _codings(x)}} for x in "xy"]
        pointers = [{"reference": f"Condition/{x}"} for x in "xy"]
        return [*reasons, *_many(_EACH, "ServiceRequest", reasonReference=pointers)]
    who = {"resourceType": "Practitioner", "id": "x", "identifier": _numbers("x")}
    roles = _many(
        _EACH, "PractitionerRole", practitioner={"reference": "Practitioner/x"}, code=[{"text": "r"}]
    )
    return [who, *({**role, "identifier": [{"value": role["id"]}]} for role in roles), *_asking()]


def _codings(prefix: str) -> list[Json]:
    return [{"code": f"{prefix}{n}"} for n in range(_MANY)]


def _asking() -> Iterator[Json]:
    for one in _many(_EACH, "ServiceRequest"):
        yield {**one, "requester": {"reference": f"PractitionerRole/{one['id']}"}}


@pytest.mark.parametrize(
    "what", ["calendar", "shortlist", "documents", "bytes", "numbers", "reasons", "roles"]
)
def test_what_thousands_share_is_neither_read_nor_kept_by_each(what: str) -> None:
    entries = [{"resource": resource} for resource in _shared(what)]
    body = json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": entries}).encode()
    started = time.thread_time()
    result = fhir.read(body)
    assert time.thread_time() - started < 3
    assert len(result.facts) >= _EACH
    tracemalloc.start()
    try:
        fhir.read(body)
        assert tracemalloc.get_traced_memory()[1] < 60 * len(body)
    finally:
        tracemalloc.stop()


def test_what_is_cut_is_said() -> None:
    entries = [{"resource": resource} for resource in _shared("shortlist")]
    result = read({"resourceType": "Bundle", "type": "searchset", "entry": entries})
    assert len(fact(result, Referral).performers) == 200
    assert ("list-too-long", "Bundle.entry[1].resource.extension") in found(result)


# ---- anything, anywhere ------------------------------------------------------------------------------------

_POINTER: Json = {"reference": "Patient/1", "identifier": {"system": "urn:x", "value": "1"}, "display": "A"}
_MEANING: Json = {"coding": [{"system": "urn:x", "code": "c"}], "text": "t"}
_WHOLE: list[Json] = [
    {
        **REQUEST,
        "id": "1",
        "meta": {"versionId": "1", "lastUpdated": "2026-01-01T00:00:00Z"},
        "identifier": [{"system": "urn:x", "value": "1"}],
        "subject": _POINTER,
        "requester": _POINTER,
        "performer": [_POINTER],
        "reasonCode": [_MEANING],
        "reasonReference": [_POINTER],
        "supportingInfo": [_POINTER],
        "insurance": [_POINTER],
        "note": [{"text": "n"}],
        "doNotPerform": False,
        "modifierExtension": [{"url": "u"}],
        "occurrencePeriod": {"start": "2026-01-01", "end": "2026-01-02"},
    },
    {
        "resourceType": "Patient",
        "id": "1",
        "identifier": [{"system": "urn:x", "value": "1", "assigner": _POINTER}],
        "name": [
            {"family": "F", "_family": {"extension": [{"url": "u", "valueDecimal": 1.5}]}, "given": ["G"]}
        ],
        "link": [{"type": "replaced-by", "other": _POINTER}],
        "generalPractitioner": [_POINTER],
        "extension": [{"url": "u", "valueQuantity": {"value": 1.5}}],
        "active": True,
    },
    {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "focus": {"reference": "ServiceRequest/1"},
        "for": _POINTER,
        "requester": {"agent": _POINTER, "onBehalfOf": _POINTER},
        "output": [
            {"type": _MEANING, "valueQuantity": {"value": 1.5}},
            {"valueAttachment": {"data": "QQ=="}},
        ],
        "restriction": {"period": {"end": "2026"}},
    },
    {
        "resourceType": "Appointment",
        "status": "booked",
        "start": "2026-03-02T10:00:00Z",
        "minutesDuration": 30,
        "slot": [_POINTER],
        "basedOn": [_POINTER],
        "participant": [{"type": [_MEANING], "actor": _POINTER, "status": "accepted"}],
    },
    {
        "resourceType": "DocumentReference",
        "status": "current",
        "relatesTo": [{"code": "replaces", "target": _POINTER}],
        "content": [{"attachment": {"url": "Binary/1", "size": 3, "hash": "x", "data": "QQ=="}}],
        "context": {"related": [_POINTER], "period": {"start": "2026"}},
    },
    {
        "resourceType": "Observation",
        "status": "final",
        "code": _MEANING,
        "subject": _POINTER,
        "valueQuantity": {"value": 1.5, "comparator": "<", "unit": "kg"},
        "component": [{"code": _MEANING, "valueInteger": 3}],
    },
    {
        "resourceType": "Composition",
        "status": "final",
        "author": [_POINTER],
        "section": [{"title": "t", "text": {"div": "<div/>"}, "entry": [_POINTER]}],
        "attester": [{"mode": "legal", "party": _POINTER}],
    },
    {"resourceType": "Coverage", "status": "active", "payor": [_POINTER], "class": [{"type": _MEANING}]},
    {
        "resourceType": "MessageHeader",
        "eventCoding": {"code": "I12"},
        "source": {"endpoint": "urn:x"},
        "sender": _POINTER,
        "destination": [{"endpoint": "urn:x", "receiver": _POINTER}],
        "response": {"identifier": "1", "code": "ok", "details": _POINTER},
    },
    {
        "resourceType": "PractitionerRole",
        "id": "r",
        "practitioner": _POINTER,
        "organization": _POINTER,
        "location": [_POINTER],
        "identifier": [{"value": "1"}],
    },
    {"resourceType": "Parameters", "parameter": [{"name": "patient", "valueIdentifier": {"value": "1"}}]},
    {"resourceType": "List", "id": "L", "entry": [{"item": _POINTER, "deleted": False}]},
]
_NUMBERS = st.sampled_from(
    ["1e-99999999999999999999", "0e99999999999999999999", "1E400", "-0", "0.0", "1e308", "1e-5", "5"]
)
_ANY = st.one_of(
    _NUMBERS,
    st.sampled_from(["9" * 30, "9" * 400, "-" + "9" * 25, "1." + "0" * 60, str(2**64)]),
    st.recursive(
        st.none() | st.booleans() | st.text(st.characters(codec="utf-8"), max_size=6),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["reference", "value", "code", "extension", "valueDecimal", "id", "entry", "url"]
                ),
                inner,
                max_size=3,
            )
        ),
        max_leaves=6,
    ).map(json.dumps),
)
"""JSON texts: a number that is out of the way, or a small value of any shape."""


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


@given(st.sampled_from(["message", "document", "searchset", "alone"]), st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_value_anywhere_gives_a_result_that_can_be_shown(kind: str, data: st.DataObject) -> None:
    whole = json.loads(json.dumps(_WHOLE))
    entries = [{"fullUrl": f"http://a.example/{one['resourceType']}/1", "resource": one} for one in whole]
    body: Any = {"resourceType": "Bundle", "type": kind, "entry": entries}
    if kind == "alone":
        body = data.draw(st.sampled_from(whole))
    holder, key = data.draw(st.sampled_from(list(_places(body))))
    holder[key] = "\x00place"
    text = json.dumps(body).replace('"\\u0000place"', data.draw(_ANY))
    result = fhir.read(text.encode())
    assert result.outcome is not Outcome.REFUSED or result.reason
    assert b"".join(to_json(members(result)))


@pytest.mark.parametrize("odd", [[], {}, [1], {"a": 1}, 1, True, None])
def test_a_word_of_any_type_is_looked_up_without_an_error(odd: object) -> None:
    request = {"method": odd, "url": odd}
    entry = {"resource": {"resourceType": "Location", "status": odd}, "request": request}
    for body in (
        {"resourceType": "ReferralRequest", "status": odd},
        {"resourceType": "Location", "status": odd},
        {"resourceType": "Bundle", "type": "transaction", "entry": [entry]},
    ):
        assert fhir.read(json.dumps(body).encode()) is not None
