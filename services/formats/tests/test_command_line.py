"""The command line reads any file and writes facts back, and the content decides what a file is."""

from __future__ import annotations

import io
import json
import os
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


HEAD = "MSH|^~\\&|PMS|SAMPLE|US|PRACTICE|20261120090000-0500||{}|M1|P|{}\r"
PID = "PID|1||42^^^SAMPLE||Testperson^Ada||19700102|F\r"


def written_again(
    body: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], *more: str
) -> tuple[list[bytes], str, int]:
    """What comes of reading a body and writing what was printed: messages, complaints, exit code."""
    source, printed = tmp_path / "source", tmp_path / "printed"
    source.write_bytes(body.encode())
    assert main(["read", str(source)]) == 0
    printed.write_bytes(capfdbinary.readouterr().out)
    code = main(["write", *more, str(printed)])
    captured = capfdbinary.readouterr()
    return captured.out.split(b"\n")[:-1], captured.err.decode(), code


@pytest.mark.parametrize(
    ("kind", "segments"),
    [
        ("REF^I14", "RF1|P|R||||R-1^PMS\r" + PID),
        ("RRI^I12", "MSA|AA|X1\rRF1|A|R||||R-1^PMS\r" + PID),
        ("OMG^O19", PID + "ORC|NW|R-1^PMS\rOBR|1|R-1^PMS||57133-1^Referral^LN\r"),
        ("OSU^O51", PID + "ORC|SC|R-1^PMS|F-1||IP\r"),
        ("ORM^O01", PID + "ORC|CA|R-1^PMS\rOBR|1|R-1^PMS||57133-1^Referral^LN\r"),
        ("SIU^S13", "SCH|1|2|||||||||^^^202611270900||||||||||||||Booked\r" + PID),
        ("ADT^A08", "EVN|A08|20261120\r" + PID),
        ("ADT^A04", "EVN|A04|20261120\r" + PID + "PV1|1|O\r"),
        ("MDM^T02", "EVN|T02\r" + PID + "TXA|1|CN|TX|20261120||||||||D-1|||||AU\rOBX|1|TX|||text\r"),
        ("ACK^I12", "MSA|AE|X1|no\r"),
    ],
)
def test_a_message_is_written_as_the_kind_it_was_read_as(
    kind: str, segments: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    body = HEAD.format(kind, "2.5.1") + segments
    (written,), complaints, code = written_again(body, tmp_path, capfdbinary)
    (before,), (after,) = read(body.encode()).messages, read(written).messages
    assert (after.type, after.facts, complaints, code) == (kind, before.facts, "", 0)


@pytest.mark.parametrize(
    ("kind", "version", "segments", "told"),
    [
        ("ORU^R01", "2.5.1", PID + "OBR|1|P|F|X^Report\rOBX|1|TX|||text||||||F\r", "MDM^T02"),
        ("ORM^O01", "2.8", PID + "ORC|NW|R-1^PMS\r", "OMG^O19"),
    ],
)
def test_another_kind_of_message_than_was_read_is_told(
    kind: str,
    version: str,
    segments: str,
    told: str,
    tmp_path: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    body = HEAD.format(kind, version) + segments
    (written,), complaints, code = written_again(body, tmp_path, capfdbinary)
    assert read(written).messages[0].type == told
    assert complaints.endswith(f"messages[0].facts[0]: it is written as {told}\n")
    assert code == 0


def test_several_orders_of_a_message_get_control_ids_of_their_own(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    body = HEAD.format("OMG^O19", "2.5.1") + PID + "ORC|NW|R-1\rORC|NW|R-2\rORC|NW|R-3\r"
    written, _, _ = written_again(body, tmp_path, capfdbinary)
    assert [one.split(b"|")[9] for one in written] == [b"M1", b"M1-2", b"M1-3"]
    result = read(b"".join(written))
    assert [message.type for message in result.messages] == ["OMG^O19"] * 3


def test_a_deleted_value_is_written_as_deleted(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    body = HEAD.format("ADT^A31", "2.5.1") + 'EVN|A31|20261120\rPID|1||42^^^SAMPLE||Testperson^Ada||""|F\r'
    (written,), _, _ = written_again(body, tmp_path, capfdbinary)
    assert b'|Testperson^Ada||""|F' in written


def test_a_message_that_nothing_can_be_written_of_is_told(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    written, complaints, code = written_again(HEAD.format("ADT^A62", "2.5.1") + PID, tmp_path, capfdbinary)
    assert (written, code) == ([], 1)
    assert complaints.endswith("messages[0].facts: none of them is a message\n")


SECRET = "Testperson"


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"", "nothing in it"),
        (b" \n", "nothing in it"),
        (b"Testperson", "line 1 column 1"),
        (b"[1]", "[0]: an object"),
        (b'["Testperson"]', "[0]: an object"),
        (b'[{"kind": "Testperson"}]', "[0].kind: no such kind"),
        (b'[{"kind": ["Testperson"]}]', "[0].kind: no such kind"),
        (b'[{"kind": "patient", "Testperson": 1}]', "[0]: a field"),
        (b'{"facts": 5}', "facts: a list"),
        (b'{"facts": {"Testperson": 1}}', "facts: a list"),
        (b'{"facts": [["Testperson"]]}', "facts[0]: an object"),
        (b'{"facts": [{"kind": "patient", "names": "Testperson"}]}', "facts[0].names: a list"),
        (b'{"facts": [{"kind": "patient", "names": [5]}]}', "facts[0].names[0]: an object"),
        (b'{"facts": [{"kind": "patient", "gender": 5}]}', "facts[0].gender: str"),
        (b'{"facts": [], "envelope": "Testperson"}', "envelope: an object"),
        (b'{"facts": [], "envelope": {"sender": "Testperson"}}', "envelope.sender: an object"),
        (b'{"facts": [], "envelope": {"Testperson": 1}}', "envelope: a field"),
        (b'{"messages": 5}', "messages: a list"),
        (b'{"messages": []}', "messages: there is none"),
        (b'{"messages": [1]}', "messages[0]: an object"),
        (b'{"messages": [["Testperson"]]}', "messages[0]: an object"),
        (b'{"messages": [{"facts": "Testperson"}]}', "messages[0].facts: a list"),
        (b'{"messages": [{"facts": [7]}]}', "messages[0].facts[0]: an object"),
        (b'{"kind": "patient", "id": "\xe4"}', "UTF-8"),
        (b"\xff\xfe{\x00}\x00", "column 1"),
        (
            b'{"facts": [' + b'{"kind": "document", "sections": [' + b'{"sections": [' * 480 + b"]}" * 482,
            "deeper",
        ),
        (b"[" * 5000, "column"),
    ],
    ids=range(27),
)
@pytest.mark.parametrize("to", [[], ["--to", "hl7v2"], ["--to", "fhir"]], ids=["as-read", "hl7v2", "fhir"])
def test_what_cannot_be_written_is_one_line_that_names_the_place(
    tmp_path: Path, content: bytes, place: str, to: list[str], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    facts = tmp_path / "facts"
    facts.write_bytes(content)
    assert main(["write", *to, str(facts)]) == 1
    complaints = capfdbinary.readouterr().err.decode()
    assert complaints.count("\n") == 1
    assert place in complaints
    assert SECRET not in complaints


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b'{"format": "hl7v2", "messages": [{"facts": []}]}', "messages[0].facts: none"),
        (b'{"format": "hl7v2", "messages": [{}]}', "messages[0].facts: none"),
        (
            b'{"format": "hl7v2", "messages": [{"facts": [{"kind": "slot"}]}]}',
            "messages[0].facts[0]: no HL7 v2 message is written for a slot",
        ),
        (
            b'{"format": "hl7v2", "messages": [{"facts": [{"kind": "referral", "action": "Testperson"}]}]}',
            "messages[0].facts[0]: action",
        ),
    ],
    ids=range(4),
)
def test_what_hl7_has_no_message_for_is_one_line_that_names_the_place(
    tmp_path: Path, content: bytes, place: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    test_what_cannot_be_written_is_one_line_that_names_the_place(tmp_path, content, place, [], capfdbinary)


def test_a_line_that_cannot_be_written_stops_no_other(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    good = '{"format": "hl7v2", "messages": [{"facts": [{"kind": "referral", "action": "new"}]}]}'
    facts = tmp_path / "facts"
    facts.write_text(f'{good}\n{{"messages": [1]}}\n{{"facts": \n{good}\n')
    assert main(["write", str(facts)]) == 1
    captured = capfdbinary.readouterr()
    assert captured.out.count(b"REF^I12") == 2
    assert [line.split(b": ")[1] for line in captured.err.splitlines()] == [b"line 2", b"line 3"]


def test_folders_and_empty_files_are_told_and_the_others_are_read(
    files: dict[str, str], tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "empty").touch()
    assert main(["read", str(tmp_path), str(tmp_path / "empty"), files["fhir"]]) == 1
    captured = capfdbinary.readouterr()
    assert [one["outcome"] for one in lines(captured.out)] == ["refused", "accepted"]
    assert [line.rpartition(b": ")[0].decode() for line in captured.err.splitlines()] == [
        str(tmp_path),
        str(tmp_path / "empty"),
    ]


def test_a_file_name_that_is_no_text_is_read_all_the_same(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    name = os.fsencode(tmp_path) + b"/\xff.hl7"
    Path(os.fsdecode(name)).write_bytes(V2.encode())
    assert main(["read", os.fsdecode(name)]) == 0
    assert lines(capfdbinary.readouterr().out)[0]["format"] == "hl7v2"


def test_a_reader_who_has_had_enough_ends_it_quietly(files: dict[str, str]) -> None:
    run = subprocess.run(
        ["sh", "-c", 'exec "$@" | head -c 1', "sh", sys.executable, "-m", "baton_formats", "read"]
        + [files["v2"]] * 200,
        capture_output=True,
        check=True,
    )
    assert (run.stdout, run.stderr) == (b"{", b"")


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
