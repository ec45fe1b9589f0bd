"""The command line reads any file and writes facts back, and the content decides what a file is."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from baton_formats.__main__ import main
from baton_formats.facts import Referral
from baton_formats.findings import Format, Outcome
from baton_formats.sniff import read, sniff

V2 = (
    "MSH|^~\\&|PMS|SAMPLE|US|PRACTICE|20261120090000-0500||REF^I12|M1|P|2.5.1\r"
    "RF1|P|R|||||R-1^PMS\rPRD|RP|Sampledoctor^Grace\rPID|1||42^^^SAMPLE||Testperson^Ada||19700102|F\r"
)
PATIENT = {"resourceType": "Patient", "id": "ada", "name": [{"family": "Testperson"}]}


def lines(captured: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in captured.splitlines()]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    bodies = {
        "v2": V2.encode(),
        "fhir": json.dumps(PATIENT).encode(),
        "junk": b"%PDF-1.7",
        "broken": b'{"resourceType": "Patient"',
    }
    for name, body in bodies.items():
        (tmp_path / name).write_bytes(body)
    return {name: str(tmp_path / name) for name in bodies}


def test_read_prints_one_line_a_file(
    files: dict[str, str], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["read", *files.values()]) == 0
    v2, fhir, junk, broken = lines(capfdbinary.readouterr().out)
    assert list(v2)[:5] == ["file", "format", "outcome", "reason", "messages"]
    assert (v2["format"], v2["messages"][0]["type"], v2["messages"][0]["segments"]) == ("hl7v2", "REF^I12", 4)
    assert (fhir["format"], fhir["outcome"], fhir["messages"][0]["entries"]) == ("fhir", "accepted", 1)
    assert fhir["messages"][0]["facts"][0]["names"] == [{"family": "Testperson"}]
    assert (junk["format"], junk["outcome"], junk["messages"]) == ("unknown", "refused", [])
    assert broken["outcome"] == "refused"
    assert "line 1" in broken["reason"]
    assert all(isinstance(one["ms"], float) for one in (v2, fhir, junk, broken))


def test_a_file_that_is_not_there_is_told_and_the_others_are_read(
    files: dict[str, str], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["read", files["v2"] + "-gone", files["fhir"]]) == 1
    captured = capfdbinary.readouterr()
    assert len(lines(captured.out)) == 1
    assert b"-gone" in captured.err


@pytest.mark.parametrize("to", ["fhir", "hl7v2"])
def test_what_read_prints_write_renders(
    files: dict[str, str], tmp_path: Path, to: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    main(["read", files["v2"]])
    printed = tmp_path / "printed"
    printed.write_bytes(capfdbinary.readouterr().out)
    assert main(["write", str(printed), "--to", to, "--zone=-05:00"]) == 0
    result = read(capfdbinary.readouterr().out.rstrip(b"\n"))
    (referral,) = [fact for fact in result.facts if fact.kind == "referral"]
    assert result.format.value == to
    assert isinstance(referral, Referral)
    patient = referral.patient
    assert patient is not None
    assert patient.birth_date is not None
    assert (patient.names[0].family, patient.birth_date.iso) == ("Testperson", "1970-01-02")


def test_facts_are_written_one_resource_each(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    facts = tmp_path / "facts"
    facts.write_text(
        json.dumps([{"kind": "patient", "id": "ada"}, {"kind": "organization", "name": "Sample Office"}])
    )
    assert main(["write", str(facts), "--form", "resource"]) == 0
    assert [one["resourceType"] for one in lines(capfdbinary.readouterr().out)] == ["Patient", "Organization"]


@pytest.mark.parametrize("content", ["17", '{"kind": "potato"}', "{", '[{"kind": "patient", "potato": 1}]'])
def test_what_is_no_fact_is_told(
    tmp_path: Path, content: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    facts = tmp_path / "facts"
    facts.write_text(content)
    assert main(["write", str(facts)]) == 1
    assert capfdbinary.readouterr().err


def test_wrong_usage_ends_with_two() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["potato"])
    assert caught.value.code == 2


def test_standard_input_is_a_file(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(V2.encode())))
    assert main(["read", "-"]) == 0
    assert lines(capfdbinary.readouterr().out)[0]["format"] == "hl7v2"


def test_the_module_runs_alone(files: dict[str, str]) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "baton_formats", "read", files["fhir"]], capture_output=True, check=True
    )
    assert lines(run.stdout)[0]["outcome"] == "accepted"


# ---- what a file is ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", Format.UNKNOWN),
        (b"  \n", Format.UNKNOWN),
        (V2.encode(), Format.HL7V2),
        (b"\xef\xbb\xbf" + V2.encode(), Format.HL7V2),
        (b"\x0b" + V2.encode() + b"\x1c\r", Format.HL7V2),
        (b"[SOM]" + V2.encode(), Format.HL7V2),
        (b"FHS|^~\\&|\rBHS|^~\\&|\r" + V2.encode(), Format.HL7V2),
        (b"PID|1||42\r", Format.HL7V2),
        (b'{"resourceType": "Patient"}', Format.FHIR),
        (b'\n [{"a": 1}]', Format.FHIR),
        (b'<Patient xmlns="http://hl7.org/fhir"/>', Format.FHIR),
        (b'<?xml version="1.0"?><!-- x --><ClinicalDocument xmlns="urn:hl7-org:v3"/>', Format.CCDA),
        ('<ClinicalDocument xmlns="urn:hl7-org:v3"/>'.encode("utf-16"), Format.CCDA),
        (b"<recordTarget><patientRole/></recordTarget>", Format.CCDA),
        (b'<ORU_R01 xmlns="urn:hl7-org:v2xml"/>', Format.UNKNOWN),
        (b"<html/>", Format.UNKNOWN),
        (b"PK\x03\x04rest", Format.XDM),
        (b"%PDF-1.7", Format.UNKNOWN),
        (b"Dear colleague", Format.UNKNOWN),
    ],
)
def test_the_content_decides(body: bytes, kind: Format) -> None:
    assert sniff(body) is kind
    assert read(body).outcome in Outcome


def test_a_gateways_json_is_read_part_by_part(clinical_document: Callable[..., bytes]) -> None:
    letter = clinical_document().decode()
    body = json.dumps({"hl7v2": V2, "documents": [{"content": letter}, {"content": 5}, {"content": "%PDF"}]})
    result = read(body.encode())
    assert result.format is Format.HL7V2
    assert [message.type for message in result.messages] == ["REF^I12", "ClinicalDocument"]
    assert [(one.code, one.where) for one in result.findings if one.code == "part-refused"] == [
        ("part-refused", "documents[2]")
    ]


def test_a_gateways_json_without_a_message_is_refused() -> None:
    result = read(json.dumps({"hl7v2": "nothing here"}).encode())
    assert result.outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    "body", [b'{"hl7v2"', b'{"hl7v2": 5}', b'{"resourceType": "Patient", "hl7v2": "MSH|"}']
)
def test_what_only_looks_like_a_gateways_json_goes_the_way_of_fhir(body: bytes) -> None:
    assert read(body).format is Format.FHIR
