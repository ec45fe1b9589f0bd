"""Every published sample ends in one of three ways, in time, and the floors of the sample collection hold."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from baton_formats.facts import Appointment, Arrival, Document, PatientChange, Referral
from baton_formats.findings import Message, Outcome
from baton_formats.hl7v2 import read as read_hl7v2
from baton_formats.sniff import read

_MEMBER = Path(__file__).resolve().parents[1]


@contextmanager
def loaded(path: Path) -> Iterator[ModuleType]:
    """A script that is no part of the package, as a module."""
    spec = importlib.util.spec_from_file_location(f"formats_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def table() -> Iterator[ModuleType]:
    with loaded(_MEMBER / "benchmarks" / "table.py") as module:
        yield module


@pytest.fixture(scope="module")
def targets() -> Iterator[ModuleType]:
    with loaded(_MEMBER / "fuzz" / "targets.py") as module:
        yield module


@pytest.fixture(scope="module")
def found(table: ModuleType, samples: Path) -> list[Any]:
    return list(table.rows(samples))


def outcomes(found: list[Any], prefix: str, suffix: str = "") -> Counter[str]:
    return Counter(
        row.outcome for row in found if row.folder.startswith(prefix) and row.file.endswith(suffix)
    )


def test_no_file_makes_a_reader_raise(found: list[Any]) -> None:
    assert len(found) > 850
    assert [(row.folder, row.file, row.reason) for row in found if row.outcome == "raised"] == []


def test_every_refusal_has_a_reason_and_nothing_else_has(found: list[Any]) -> None:
    assert all((row.outcome == "refused") == bool(row.reason) for row in found)


def test_no_file_takes_a_second(found: list[Any]) -> None:
    assert [(row.file, row.cpu_ms) for row in found if row.cpu_ms > 1000] == []


def test_all_hl7_files_but_the_one_without_msh_are_read(found: list[Any]) -> None:
    ended = outcomes(found, "hl7v2-", ".hl7")
    assert sum(ended.values()) == 118
    refused = [row.file for row in found if row.file.endswith(".hl7") and row.outcome == "refused"]
    assert refused == ["invalid-missing-msh.hl7"]


def test_fuzzed_hl7_ends_within_50_ms(found: list[Any]) -> None:
    fuzzed = [row for row in found if "BadInputs" in row.file]
    assert len(fuzzed) == 16
    assert max(row.cpu_ms for row in fuzzed) < 50
    assert {row.outcome for row in fuzzed} == {"refused"}


def _tells(message: Message) -> bool:
    """Whether a message gives its patient, its event and a time."""
    about = (Referral, Appointment, Document, Arrival, PatientChange)
    patients = [
        fact.patient for fact in message.facts if isinstance(fact, about) and fact.patient is not None
    ]
    envelope = message.envelope
    times = [envelope.sent_at] if envelope is not None else []
    for fact in message.facts:
        if isinstance(fact, Appointment):
            times.append(fact.start)
        elif isinstance(fact, Document):
            times.append(fact.written_at)
    named = any(patient.names and patient.identifiers for patient in patients)
    event = envelope is not None and bool(envelope.event)
    return named and event and any(time is not None and time.iso is not None for time in times)


def test_referrals_bookings_and_documents_tell_patient_event_and_time(samples: Path) -> None:
    told = []
    for path in sorted(path for folder in samples.glob("hl7v2-*") for path in folder.rglob("*.hl7")):
        messages = read_hl7v2(path.read_bytes()).messages
        told += [_tells(message) for message in messages if message.type[:3] in ("REF", "SIU", "MDM")]
    assert len(told) >= 25
    assert told.count(False) <= len(told) - 24


@pytest.mark.parametrize("folder", ["fhir-r4-spec", "fhir-bser", "fhir-us-core", "fhir-sdoh-cc"])
def test_published_r4_resources_are_all_accepted(found: list[Any], folder: str) -> None:
    assert outcomes(found, folder)["refused"] == 0


def test_no_resource_of_the_booking_standard_is_refused(found: list[Any]) -> None:
    refused = [row for row in found if row.folder == "fhir-nhs-bars" and row.outcome == "refused"]
    assert [row.file for row in refused if "resourceType" not in (row.reason or "")] == []
    assert len(refused) <= 1


def test_stu3_is_read_or_refused_by_name(found: list[Any]) -> None:
    json_files = [row for row in found if row.folder == "fhir-nhs-ers" and row.file.endswith(".json")]
    assert len(json_files) == 107
    assert [
        row.file for row in json_files if row.outcome == "refused" and "STU3" not in (row.reason or "")
    ] == []


def test_c_cda_documents_are_read_and_fragments_named(found: list[Any]) -> None:
    ended = {
        row.file: row
        for row in found
        if row.folder.startswith("ccda-") and not row.file.endswith((".pdf", ".ZIP"))
    }
    refused = sorted(file for file, row in ended.items() if row.outcome == "refused")
    assert refused == [
        "NT_BadXml_r11_v2.xml",
        "Patient_Aliases_(C-CDA_R2.1).xml",
        "Patient_Demographic_Information(C-CDA2.1).xml",
        "Patient_Previous_Name(C-CDA2.1).xml",
    ]
    assert len(ended) - len(refused) == 24


def test_every_attack_in_xml_is_refused(found: list[Any]) -> None:
    assert set(outcomes(found, "adversarial-xml")) == {"refused"}


def test_wrong_json_is_refused_and_right_json_is_told_from_it(samples: Path) -> None:
    folder = samples / "adversarial-json"
    results = {path.name: read(path.read_bytes()) for path in folder.rglob("*.json")}
    assert len([name for name in results if name.startswith("n_")]) == 125
    assert {result.outcome for name, result in results.items() if name.startswith("n_")} == {Outcome.REFUSED}
    assert not [
        name
        for name, result in results.items()
        if name.startswith("y_") and "well-formed" in (result.reason or "")
    ]


def test_the_table_prints_and_tells_by_its_exit_code(
    table: ModuleType, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert table.main(["--json", str(samples)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert {json.loads(line)["outcome"] for line in printed} <= {outcome.value for outcome in Outcome}
    assert table.main([str(samples / "no-such-folder")]) == 0
    assert "skipped" in capsys.readouterr().out


def test_segment_counts_stand_for_what_was_read(samples: Path) -> None:
    body = (samples / "hl7v2-ms-converter/REF-I12-01.hl7").read_bytes()
    lines = [line for line in body.replace(b"\r", b"\n").split(b"\n") if line.strip()]
    assert read_hl7v2(body).messages[0].segments == len(lines)


@pytest.fixture(scope="module")
def hapi(samples: Path) -> Path:
    """The script that runs HAPI's HL7 v2 parser; its absence is a failure where tools are required."""
    script = samples.parent / "judges" / "run"
    missing = None
    if not script.is_file():
        missing = f"the script of the foreign judges is absent: {script}"
    elif shutil.which("java") is None or shutil.which("mvn") is None:
        missing = "java and mvn are needed for HAPI's HL7 v2 parser"
    if missing and os.environ.get("BATON_REQUIRE_TOOLS") == "1":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    return script


def test_segments_are_counted_as_hapi_counts_them_wherever_it_reads_the_message(
    samples: Path, hapi: Path
) -> None:
    paths = sorted(path for folder in samples.glob("hl7v2-*") for path in folder.rglob("*.hl7"))
    names = "\n".join(str(path) for path in paths)
    command = [str(hapi), "hl7v2", "parse", "-"]
    run = subprocess.run(command, input=names, capture_output=True, text=True, timeout=600, check=True)
    read_by_hapi = [json.loads(line) for line in run.stdout.splitlines()]
    ours = {str(path): read_hl7v2(path.read_bytes()).messages for path in paths}
    wrong = [
        (one["file"], one["n"])
        for one in read_by_hapi
        if one["generic"]["ok"] and ours[one["file"]][one["n"] - 1].segments != one["generic"]["segments"]
    ]
    assert sum(1 for one in read_by_hapi if one["generic"]["ok"]) >= 138
    assert wrong == []


_MSH = b"MSH|^~\\&|A|SAMPLE|B|C|20260302||%s|M1|P|2.5.1\rPID|1||42^^^SAMPLE^MR||Testperson^Ada\r"
_ATTRIBUTES = b" ".join(b'a%d="1"' % number for number in range(60_000))
_FLOODS = {
    "escapes": _MSH % b"ORU^R01" + b"OBR|1\rOBX|1|TX|1||" + b"\\X41\\" * 100_000 + b"\r",
    "half an escape": _MSH % b"ORU^R01" + b"OBR|1\rOBX|1|TX|1||" + b"\\X" * 200_000 + b"\r",
    "repetitions": _MSH % b"ADT^A04" + b"PID|1||" + b"42^^^SAMPLE~" * 40_000 + b"\r",
    "segments": _MSH % b"SIU^S12" + b"SCH|1^A|2^B\r" + b"RGS|1\rAIS|1||x^y|202601010900\r" * 10_000,
    "headers": b"MSH|^~\\&|\r" * 40_000,
    "lines before a message": b"junk\r" * 100_000 + _MSH % b"ADT^A04",
    "brackets": b"[" * 500_000,
    "objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "extensions": b'{"resourceType":"Patient"' + b',"extension":[{"url":"u"' * 15_000 + b"}]" * 15_000 + b"}",
    "entries": b'{"resourceType":"Bundle","type":"collection","entry":['
    + b'{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient","id":"p"}},' * 6_000
    + b'{"resource":{"resourceType":"Patient"}}]}',
    "quotes": b'{"resourceType":"Patient","id":"' + b'\\"' * 200_000,
    "attributes in FHIR": b'<Patient xmlns="http://hl7.org/fhir" ' + _ATTRIBUTES + b"/>",
    "attributes in C-CDA": b'<ClinicalDocument xmlns="urn:hl7-org:v3" ' + _ATTRIBUTES + b"/>",
    "elements in C-CDA": b'<ClinicalDocument xmlns="urn:hl7-org:v3">'
    + b"<author/>" * 60_000
    + b"</ClinicalDocument>",
}


@pytest.mark.parametrize("name", sorted(_FLOODS))
def test_a_flood_of_half_a_megabyte_ends_within_a_second(name: str) -> None:
    started = time.process_time()
    read(_FLOODS[name])
    assert time.process_time() - started < 1


_SEEDS = {
    "hl7v2": b"MSH|^~\\&|A|SAMPLE|B|C|20260302||ADT^A04|M1|P|2.5.1\rPID|1||42^^^SAMPLE^MR||Testperson^Ada\r",
    "mllp": b"\x0bMSH|^~\\&|A\x1c\r noise \x0bMSH|\x0b|\x1c\r\x0bMSH|^\x1c\n\x0bMSH|^~\\&|B\x1c\r\x0bMSH",
    "fhir": b'{"resourceType": "Patient", "name": [{"family": "Testperson"}]}',
    "ccda": b"<ClinicalDocument xmlns='urn:hl7-org:v3'><recordTarget/></ClinicalDocument>",
    "xdm": b"PK\x05\x06" + bytes(18),
}


def test_what_must_hold_for_any_bytes_holds_for_small_samples(targets: ModuleType) -> None:
    assert set(targets.TARGETS) == set(_SEEDS)
    for name, seed in _SEEDS.items():
        for cut in range(len(seed)):
            targets.TARGETS[name].run(seed[:cut])
            targets.TARGETS[name].run(seed[cut:])
