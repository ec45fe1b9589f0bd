"""What a sender gave is only passed on where R4 allows it, and a foreign judge finds nothing to say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_formats import fhir
from baton_formats.facts import (
    Address,
    Attachment,
    Coding,
    Concept,
    ContactPoint,
    Document,
    Extension,
    Fact,
    HumanName,
    Identifier,
    Link,
    Organization,
    PartialTime,
    Patient,
    Period,
    Task,
    TaskValue,
)
from baton_formats.fhir.allowed import allows, as_json, in_order, is_pointer, is_uri
from baton_formats.findings import Envelope
from baton_formats.sniff import read

_ADA = Patient(names=(HumanName(family="Testperson"),))

_GOOD = [
    ("String", "words"),
    ("Markdown", "**words**"),
    ("Code", "a b"),
    ("Uri", "http://example.org/a"),
    ("Url", "https://example.org/a"),
    ("Canonical", "http://example.org/a|1"),
    ("Oid", "urn:oid:2.16.840.1.113883.19"),
    ("Uuid", "urn:uuid:00000000-0000-4000-8000-000000000001"),
    ("Id", "a-1.b"),
    ("Date", "2021-02"),
    ("DateTime", "2021-02-03T04:05:06+01:00"),
    ("Instant", "2021-02-03T04:05:06.789Z"),
    ("Time", "10:11:12"),
    ("Base64Binary", "QUJD"),
    ("Boolean", "false"),
    ("Integer", "-4"),
    ("PositiveInt", "1"),
    ("UnsignedInt", "0"),
    ("Decimal", "1.500"),
    ("Coding", '{"system":"http://example.org/c","code":"c","userSelected":true}'),
    ("CodeableConcept", '{"coding":[{"code":"c"}],"text":"words"}'),
    ("Quantity", '{"value":1.50,"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"}'),
    ("Range", '{"low":{"value":1},"high":{"value":2}}'),
    ("Ratio", '{"numerator":{"value":1},"denominator":{"value":2}}'),
    ("Period", '{"start":"2021","end":"2022"}'),
    ("Identifier", '{"system":"http://example.org/i","value":"1","use":"old"}'),
    (
        "HumanName",
        '{"family":"Testperson","_family":{"extension":[{"url":"http://example.org/f","valueCode":"x"}]}}',
    ),
    ("Address", '{"line":["1 Sample Road"],"type":"postal"}'),
    ("ContactPoint", '{"system":"phone","value":"+1-555-0100","rank":1}'),
    ("Attachment", '{"contentType":"text/plain","data":"QUJD","size":3}'),
    ("Annotation", '{"text":"words","authorString":"Grace Sampledoctor"}'),
    ("Reference", '{"reference":"Patient/1","display":"words"}'),
    ("Money", '{"value":1.00,"currency":"EUR"}'),
    ("Meta", '{"versionId":"1","profile":["http://example.org/p"]}'),
    (
        "Signature",
        '{"type":[{"code":"c"}],"when":"2021-02-03T04:05:06Z","who":{"display":"Grace Sampledoctor"}}',
    ),
]
_BAD = [
    ("Foo", "1"),
    ("String", "  "),
    ("String", "a" * 1_100_000),
    ("Code", " a  b "),
    ("Uri", "a b"),
    ("Uri", "urn:oid:2.4"),
    ("Canonical", "foo"),
    ("Oid", "1.2.3.4.5"),
    ("Uuid", "x"),
    ("Id", "a b"),
    ("Date", "2021-02-30"),
    ("DateTime", "yesterday"),
    ("DateTime", "2021-02-03T04:05"),
    ("DateTime", "2021-02-03T04:05:06+14:59"),
    ("Instant", "2021"),
    ("Time", "25:00:00"),
    ("Base64Binary", "!!"),
    ("Boolean", '"yes"'),
    ("Boolean", "1"),
    ("Integer", '"1"'),
    ("Integer", "2147483648"),
    ("PositiveInt", "0"),
    ("UnsignedInt", "-1"),
    ("Decimal", '"x"'),
    ("Decimal", "1e999"),
    ("Decimal", "NaN"),
    ("Coding", '"c"'),
    ("Coding", '{"code":5}'),
    ("CodeableConcept", '{"coding":{"code":"c"}}'),
    ("Quantity", '{"foo":1}'),
    ("Quantity", '{"value":1,"code":"mg"}'),
    ("Period", '{"start":"x"}'),
    ("Period", '{"start":"2022","end":"2021"}'),
    ("Identifier", '{"system":"LAB:1","value":"1"}'),
    ("ContactPoint", '{"value":"+1-555-0100"}'),
    ("Attachment", '{"data":"QUJD"}'),
    ("Annotation", '{"authorString":"Grace Sampledoctor"}'),
    ("Reference", '{"reference":5}'),
    ("Reference", '{"reference":"foo"}'),
    ("Coding", '{"code":"c","extension":[{"url":"http://example.org/e"}]}'),
    ("Coding", "[" * 2000),
    ("Timing", '{"event":["2021"]}'),
]


def with_extension(kind: str, value: str) -> Patient:
    added = Extension(url="http://example.org/own", type=kind, value=value)
    return Patient(names=_ADA.names, extensions=(added,))


@pytest.mark.parametrize(("kind", "value"), _GOOD, ids=[f"{kind}-{value[:20]}" for kind, value in _GOOD])
def test_an_extension_of_a_good_value_is_passed_on_as_it_came(kind: str, value: str) -> None:
    written = fhir.compose([with_extension(kind, value)], form="resource")
    assert not written.findings
    text = orjson.dumps(value).decode() if allows(kind, value) else value
    assert f'"value{kind}":{text}' in written.body.decode()


@pytest.mark.parametrize(("kind", "value"), _BAD, ids=[f"{kind}-{value[:20]}" for kind, value in _BAD])
def test_an_extension_of_a_bad_value_is_left_out_with_a_finding(kind: str, value: str) -> None:
    written = fhir.compose([with_extension(kind, value)], form="resource")
    assert "extension" not in json.loads(written.body)
    assert [(one.code, one.where) for one in written.findings] == [("not-written", "patient.extensions")]


@pytest.mark.parametrize("element", ["name", "foo", "gender.x", "gender[0]", "deceasedDateTime"])
def test_an_extension_beside_no_primitive_element_is_left_out_with_a_finding(element: str) -> None:
    added = Extension(url="http://example.org/own", element=element, type="String", value="words")
    written = fhir.compose([Patient(deceased=True, extensions=(added,))], form="resource")
    assert b"words" not in written.body
    assert [one.where for one in written.findings] == ["patient.extensions"]


def test_an_extension_stands_beside_the_part_of_a_name_it_is_about() -> None:
    added = Extension(url="http://example.org/own", element="given[1]", type="String", value="words")
    name = HumanName(given=("Ada", "B"), partner_family="Sampledoctor", extensions=(added,))
    value = json.loads(fhir.write([Patient(names=(name,))], form="resource"))["name"][0]
    assert value["_given"] == [None, {"extension": [{"url": added.url, "valueString": "words"}]}]
    assert value["_family"]["extension"][0]["valueString"] == "Sampledoctor"


def test_the_bad_part_of_an_extension_does_not_take_the_good_one_with_it() -> None:
    parts = (
        Extension(url="good", type="Code", value="x"),
        Extension(url="bad", type="DateTime", value="yesterday"),
    )
    added = Extension(url="http://example.org/own", extensions=parts)
    written = fhir.compose([Patient(extensions=(added,))], form="resource")
    held = json.loads(written.body)["extension"][0]["extension"]
    assert held == [{"url": "good", "valueCode": "x"}]
    assert [one.where for one in written.findings] == ["patient.extensions"]


@pytest.mark.parametrize(
    "system", ["LAB&CLIA:11D0000000&CLIA", "CLIA:11D0000000", "urn:oid:2.4", "urn:oid:r2.3", "urn:uuid:abc"]
)
def test_a_namespace_that_is_no_uri_says_who_assigned_the_number(system: str) -> None:
    numbers = (Identifier(value="1", system=system),)
    written = fhir.compose([Patient(identifiers=numbers)], form="resource")
    assert json.loads(written.body)["identifier"] == [{"value": "1", "assigner": {"display": system}}]
    assert not written.findings
    both = fhir.compose([Patient(identifiers=(Identifier("1", system, "Sample Lab"),))], form="resource")
    assert [one.where for one in both.findings] == ["patient.identifiers.system"]


def test_an_office_has_no_home() -> None:
    office = Organization(
        name="Sample Office",
        telecom=(ContactPoint(system="phone", value="+1-555-0101", use="home"),),
        addresses=(Address(city="Exampleton", use="home"),),
    )
    written = fhir.compose([office], form="resource")
    assert b'"use"' not in written.body
    assert {one.where for one in written.findings} == {
        "organization.telecom.use",
        "organization.addresses.use",
    }


@pytest.mark.parametrize(
    "reference", ["foo", "Patient?identifier=1", "a|b", "patient/1", "Patient/", "two words"]
)
def test_a_reference_that_is_none_is_left_out_with_a_finding(reference: str) -> None:
    task = Task(focus=Link(reference=reference, display="words"))
    for form in ("message", "resource"):
        written = fhir.compose([task], form=form)
        assert reference.encode() not in written.body
        assert "link-not-written" in {one.code for one in written.findings}


def test_an_event_of_no_table_has_no_code_system() -> None:
    header = json.loads(fhir.write([], envelope=Envelope(event="Z99")))["entry"][0]["resource"]
    assert header["eventCoding"] == {"code": "Z99"}


@given(st.text(max_size=40), st.sampled_from([kind for kind, _ in _GOOD]))
def test_no_text_stops_the_check_of_a_value(text: str, kind: str) -> None:
    allows(kind, text)
    allows(kind, as_json(text))
    is_uri(text)
    is_pointer(text)
    fhir.write([with_extension(kind, text)], form="resource")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["id", "extension", "coding", "code", "_code", "value", "url", "reference", "period"]
                ),
                inner,
                max_size=3,
            )
        ),
        max_leaves=12,
    ),
    st.sampled_from([kind for kind, _ in _GOOD]),
)
def test_no_json_stops_the_check_of_a_value(value: object, kind: str) -> None:
    allows(kind, value)
    fhir.write([with_extension(kind, json.dumps(value))], form="resource")


def test_periods_are_compared_as_fhir_does() -> None:
    assert in_order("2021-01-01", "2021-01-01")
    assert in_order("2021-01-02T10:00:00+01:00", "2021-01-02T09:00:00Z")
    assert not in_order("2021-01-02", "2021-01-02T11:00:00Z")
    assert not in_order("9999-12-31T23:59:59-13:00", "9999")
    assert not in_order("0001", "0001-01-01T00:00:00+13:00")


# ---- the foreign judge -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def validator() -> Path:
    """The script that runs HAPI's FHIR validator; its absence is a failure where tools are required."""
    script = Path(__file__).resolve().parents[3].parent / "shared" / "judges" / "run"
    present = script.is_file() and all(shutil.which(tool) for tool in ("java", "mvn"))
    if not present and os.environ.get("BATON_REQUIRE_TOOLS") == "1":
        pytest.fail("HAPI's FHIR validator is not here")
    if not present:
        pytest.skip("HAPI's FHIR validator is not here")
    return script


def complaints(validator: Path, folder: Path) -> list[str]:
    """What HAPI calls an error in the files of a folder."""
    names = sorted(map(str, folder.iterdir()))
    command = [str(validator), "fhir-validator", "-"]
    run = subprocess.run(
        command, input="\n".join(names), capture_output=True, text=True, timeout=600, check=False
    )
    assert re.search(rf"SUMMARY files={len(names)}\b", run.stdout + run.stderr), run.stderr[-2000:]
    return [line for line in run.stdout.splitlines() if "\tERROR\t" in line]


def odd_facts() -> Iterator[Fact]:
    for kind, value in _GOOD + _BAD:
        yield with_extension(kind, value)
        yield Task(outputs=(TaskValue(value_type=kind, value=value),))
    for start in ("2021", "2021-06", "2021-06-30", "2021-06-30T23:30:00-05:00", "2021-06-30T10:00:00Z"):
        for end in ("2021", "2021-07", "2021-06-30", "2021-07-01", "2021-07-01T01:00:00Z", "2020"):
            yield Task(due=Period(PartialTime(iso=start), PartialTime(iso=end)))
    for system in ("2.4", "2.201", "1.2.840", "2.16.840.1.113883.19", "r2.3"):
        yield Patient(identifiers=(Identifier(value="1", system=f"urn:oid:{system}"),))
        coding = Coding(code="x", system=f"urn:oid:{system}")
        yield Patient(marital_status=Concept(codings=(coding,)))
    yield Task(authored_at=PartialTime(iso="2021-01-01T23:59:00+14:59"))
    yield Document(
        confidentiality="weird", attachments=(Attachment(declared_hash="zz zz", url="urn:oid:2.4"),)
    )
    yield Organization(name="x", addresses=(Address(city="Exampleton", use="home"),))


def test_odd_values_become_valid_base_r4_for_hapi(validator: Path, tmp_path: Path) -> None:
    for number, fact in enumerate(odd_facts()):
        for form in ("resource", "message"):
            body = fhir.write([fact], form=form)
            (tmp_path / f"{number:03}-{form}.json").write_bytes(body)
    assert complaints(validator, tmp_path) == []


def test_messages_of_every_format_become_valid_base_r4_for_hapi(
    validator: Path, tmp_path: Path, samples: Path
) -> None:
    """Every fifth published file of HL7 v2 and C-CDA, and those that once went wrong."""
    files = sorted(path for path in samples.glob("[hc]*/**/*") if path.is_file() and path.suffix != ".md")
    known = (
        "MDM_01",
        "cv.04_001_chem",
        "ADT-A01-01",
        "segmentfinder_a24",
        "LAB-ORU-1",
        "REF-I12-01",
        "b2_Adam",
    )
    chosen = files[::5] + [path for path in files if path.name.startswith(known)]
    for number, path in enumerate(dict.fromkeys(chosen)):
        for message in read(path.read_bytes()).messages[:2]:
            for form in ("message", "transaction"):
                facts, envelope = message.facts[:60], message.envelope
                body = fhir.write(facts, form=form, envelope=envelope, default_zone="+00:00")
                (tmp_path / f"{number:03}-{form}-{path.name}.json").write_bytes(body)
    assert len(list(tmp_path.iterdir())) > 60
    assert complaints(validator, tmp_path) == []
