"""Published messages of other people's systems: none lost, none misread, and read as a person reads them."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import hl7
import pytest

from baton_formats.facts import Appointment, Arrival, Document, Identifier, Patient, Referral
from baton_formats.findings import Message, Outcome, ReadResult
from baton_formats.hl7v2 import read, split_body

JUDGE = Path(__file__).resolve().parents[3].parent / "shared" / "judges" / "run"
MS, ISSUES, RETHINK = "hl7v2-ms-converter", "hl7v2-reported-issues", "hl7v2-rethink"


@pytest.fixture
def load(samples: Path) -> Callable[[str], ReadResult]:
    """Reads one published file."""
    return lambda name: read((samples / name).read_bytes())


def files(samples: Path) -> list[Path]:
    """Every published file that is meant as HL7 v2 in bars and carets."""
    found = [path for folder in samples.glob("hl7v2-*") for path in folder.rglob("*") if path.is_file()]
    return sorted(path for path in found if path.name != "SOURCE.md" and path.suffix != ".xml")


def only(result: ReadResult) -> Message:
    (message,) = result.messages
    return message


def fact(result: ReadResult, at: int = 0) -> object:
    return result.messages[at].facts[0]


def codes(result: ReadResult) -> set[str]:
    return {finding.code for finding in result.all_findings}


def family_of(patient: Patient | None) -> str | None:
    return patient.name.family if patient and patient.name else None


def test_every_file_is_accepted_or_refused_with_a_reason_within_a_second(samples: Path) -> None:
    for path in files(samples):
        start = time.perf_counter()
        result = read(path.read_bytes())
        assert time.perf_counter() - start < 1.0, path.name
        assert (result.outcome is Outcome.REFUSED) == bool(result.reason), path.name


def test_all_but_the_one_file_without_msh_are_readable(samples: Path) -> None:
    named = [path for path in files(samples) if path.suffix == ".hl7"]
    refused = [path.name for path in named if read(path.read_bytes()).outcome is Outcome.REFUSED]
    assert len(named) == 118
    assert refused == ["invalid-missing-msh.hl7"]


def test_every_fuzzer_input_is_a_clean_refusal_within_50_ms(samples: Path) -> None:
    inputs = [path for path in (samples / "hl7v2-nhapi" / "BadInputs").rglob("*") if path.is_file()]
    assert len(inputs) == 16
    for path in inputs:
        body = path.read_bytes()
        start = time.perf_counter()
        result = read(body)
        elapsed = time.perf_counter() - start
        assert result.outcome is Outcome.REFUSED, path.name
        assert result.reason
        assert elapsed < 0.05, path.name


def test_no_line_of_any_readable_file_is_lost(samples: Path) -> None:
    for path in files(samples):
        if path.suffix != ".hl7" or path.name == "invalid-missing-msh.hl7":
            continue
        body = path.read_bytes()
        lines = [line for line in body.replace(b"\n", b"\r").split(b"\r") if line.strip()]
        wrappers = [line for line in lines if line[:3] in (b"FHS", b"BHS", b"BTS", b"FTS")]
        counted = sum(len(message.segments) for message in split_body(body).messages)
        assert counted == len(lines) - len(wrappers), path.name


def test_patient_event_and_time_of_the_loop_messages_are_told(samples: Path) -> None:
    told = 0
    messages = 0
    for path in files(samples):
        for message in read(path.read_bytes()).messages if path.suffix == ".hl7" else ():
            if message.type[:3] not in ("REF", "SIU", "MDM"):
                continue
            messages += 1
            patient = next((getattr(f, "patient", None) for f in message.facts), None)
            sent = message.envelope.sent_at if message.envelope else None
            told += bool(
                patient and patient.name and message.envelope and message.envelope.event and sent and sent.iso
            )
    assert messages >= 25
    assert messages - told <= 1


def test_segment_counts_agree_with_hapi(samples: Path) -> None:
    """HAPI does not count a segment without any value: the three empty TQ1 of OML_O21_messages.txt."""
    paths = [path for path in files(samples) if read(path.read_bytes()).outcome is not Outcome.REFUSED]
    verdicts: dict[str, list[int | None]] = {}
    for line in _judged(paths):
        verdict = json.loads(line)
        counts = verdicts.setdefault(verdict["file"], [])
        counts.append(verdict["generic"].get("segments") if verdict["generic"]["ok"] else None)
    differing: dict[str, list[tuple[int | None, int]]] = {}
    compared = 0
    for path in paths:
        ours = [message.segments for message in read(path.read_bytes()).messages]
        pairs = list(zip(ours, verdicts[str(path)], strict=True))
        compared += sum(theirs is not None for _, theirs in pairs)
        if unlike := [(mine, theirs) for mine, theirs in pairs if theirs is not None and mine != theirs]:
            differing[path.name] = unlike
    assert differing == {"OML_O21_messages.txt": [(14, 11)]}
    assert compared >= 150


def _judged(paths: list[Path]) -> list[str]:
    required = os.environ.get("BATON_REQUIRE_TOOLS") == "1"
    if not JUDGE.is_file():
        if required:
            pytest.fail(f"the HL7 v2 judge is absent: {JUDGE}")
        pytest.skip(f"the HL7 v2 judge is absent: {JUDGE}")
    command = [str(JUDGE), "hl7v2", "parse", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170)
    if done.returncode != 0 and not required:
        pytest.skip(f"the HL7 v2 judge does not run here: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout.splitlines()


def test_reading_to_facts_is_at_least_half_as_fast_as_the_bare_library_parses(samples: Path) -> None:
    pairs = []
    for path in files(samples):
        body = path.read_bytes()
        text = body.decode("utf-8-sig", errors="replace").replace("\r\n", "\r").replace("\n", "\r")
        if path.suffix == ".hl7" and text.startswith("MSH"):
            try:
                hl7.parse(text)
            except (hl7.HL7Exception, AssertionError, ValueError, IndexError, KeyError):
                continue
            pairs.append((body, text))
    theirs = min(_cpu(lambda: [hl7.parse(text) for _, text in pairs]) for _ in range(3))
    ours = min(_cpu(lambda: [read(body) for body, _ in pairs]) for _ in range(3))
    print(f"\nHL7 v2 to facts: {theirs / ours:.2f} x hl7 {hl7.__version__} parse() on {len(pairs)} files")
    assert len(pairs) > 100
    assert theirs / ours >= 0.5


def _cpu(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


# What a person reads in each file.


@pytest.mark.parametrize(
    ("name", "action", "status"), [("REF-I12-01", "new", "active"), ("REF-I14-01", "cancel", "revoked")]
)
def test_the_referral_of_everyman(
    load: Callable[[str], ReadResult], name: str, action: str, status: str
) -> None:
    result = load(f"{MS}/{name}.hl7")
    referral = fact(result)
    assert isinstance(referral, Referral)
    assert (referral.action, referral.status, referral.priority) == (action, status, "routine")
    assert referral.status_code is not None
    assert referral.status_code.code == "P"
    assert referral.patient is not None
    assert referral.patient.name is not None
    assert referral.patient.birth_date is not None
    assert (referral.patient.name.family, referral.patient.name.given, referral.patient.name.suffixes) == (
        "EVERYMAN",
        ("ADAM", "A"),
        ("III",),
    )
    assert (referral.patient.gender, referral.patient.birth_date.iso) == ("male", "1961-06-15")
    assert referral.patient.identifiers[0].value == "PATID1234"
    assert referral.referrer is not None
    assert referral.referrer.practitioner is not None
    assert referral.referrer.practitioner.names[0].family == "POWELL"
    assert referral.referrer.practitioner.identifiers[0].value == "PLN1001"
    specialist = referral.performers[0].practitioner
    assert specialist is not None
    assert (specialist.names[0].family, specialist.identifiers[0].value) == ("McWILLIAMS", "PLN5010")
    assert [(n.value, n.authority) for n in referral.identifiers] == [("226839", "EPIC"), ("11001", "EXTID")]
    assert referral.effective_at is not None
    assert referral.expires_at is not None
    assert (referral.effective_at.iso, referral.expires_at.iso) == ("2022-01-25", "2022-02-10")
    assert (referral.reasons[0].code, referral.reasons[0].label) == ("K63.3", "Ulcer of Intestine")
    assert [n.value for n in referral.authorizations] == ["HL71001111111111", "HL72001111111111"]
    envelope = only(result).envelope
    assert envelope is not None
    assert envelope.control_id == "MSG00112"
    assert {"several-authorizations", "referrer-disagrees"} <= codes(result)
    assert ("status-contradicts-event" in codes(result)) == (action == "cancel")


@pytest.mark.parametrize(
    ("event", "action", "status", "room"),
    [
        ("S12", "booked", "booked", "Room01"),
        ("S13", "rescheduled", "booked", "Room01"),
        ("S14", "modified", "booked", "Room02"),
        ("S15", "cancelled", "cancelled", None),
        ("S16", "discontinued", "cancelled", None),
        ("S17", "deleted", "entered-in-error", None),
        ("S26", "no_show", "noshow", None),
    ],
)
def test_the_appointment_of_everyman(
    load: Callable[[str], ReadResult], event: str, action: str, status: str, room: str | None
) -> None:
    result = load(f"{MS}/SIU-{event}-01.hl7")
    booking = fact(result)
    assert isinstance(booking, Appointment)
    assert (booking.action, booking.status) == (action, status)
    assert booking.start is not None
    assert (booking.start.iso, booking.duration_minutes) == ("2021-09-24T09:30:00+02:15", 50)
    assert booking.patient is not None
    assert booking.patient.name is not None
    assert booking.patient.birth_date is not None
    assert (booking.patient.name.family, booking.patient.name.partner_family) == ("EVERYMAN", "Aniston")
    assert booking.patient.birth_date.date == "1988-08-18"
    assert booking.patient.identifiers[0].value == "PATID1234"
    assert (booking.placer, booking.filler) == (
        Identifier("12345", type="PLAC"),
        Identifier("36996", type="FILL"),
    )
    assert booking.services[0].label == "Biopsy of colon (procedure)"
    assert booking.clinicians[0].practitioner is not None
    assert booking.clinicians[0].practitioner.names[0].family == "GE"
    assert booking.cancellation_reason is None
    if room:
        assert booking.location is not None
        assert room in (booking.location.name or "")
    assert {"times-disagree", "durations-disagree"} <= codes(result)


def test_the_referrer_of_everymans_appointment(load: Callable[[str], ReadResult]) -> None:
    booking = fact(load(f"{MS}/SIU-S12-01.hl7"))
    assert isinstance(booking, Appointment)
    assert booking.referrer is not None
    assert booking.referrer.practitioner is not None
    assert (booking.referrer.practitioner.names[0].family, booking.referrer.practitioner.names[0].given) == (
        "REFER",
        ("LINDA", "C"),
    )


def test_a_no_show_was_sent_when_it_happened(load: Callable[[str], ReadResult]) -> None:
    envelope = only(load(f"{MS}/SIU-S26-01.hl7")).envelope
    assert envelope is not None
    assert envelope.sent_at is not None
    assert (envelope.sent_at.iso or "").startswith("2021-09-24T10:00")


def test_a_cancellation_stamped_years_before_the_booking_is_read(load: Callable[[str], ReadResult]) -> None:
    envelope = only(load(f"{MS}/SIU-S16-01.hl7")).envelope
    assert envelope is not None
    assert envelope.sent_at is not None
    assert (envelope.sent_at.iso or "").startswith("1989")


@pytest.mark.parametrize(("event", "words"), [("S16", "equipment malfunction"), ("S17", "wrong patient")])
def test_the_reason_of_an_ending_stands_in_the_notes(
    load: Callable[[str], ReadResult], event: str, words: str
) -> None:
    booking = fact(load(f"{MS}/SIU-{event}-01.hl7"))
    assert isinstance(booking, Appointment)
    assert any(words in note.text.lower() for note in booking.notes)


def test_three_messages_without_a_wrapper(load: Callable[[str], ReadResult]) -> None:
    result = load("hl7v2-mirth/filereader/batch/batch01.hl7")
    read_ids = [message.envelope.control_id for message in result.messages if message.envelope]
    assert read_ids == ["24916560", "24916579", "24916597"]
    bookings = [f for f in result.facts if isinstance(f, Appointment)]
    assert [(b.action, b.duration_minutes) for b in bookings] == [
        ("booked", 45),
        ("modified", 60),
        ("cancelled", 60),
    ]
    for booking in bookings:
        assert booking.start is not None
        assert booking.start.iso == "2011-06-14T08:45:00"
        assert booking.filler is not None
        assert booking.filler.value == "2196178"
        assert booking.patient is not None
        assert booking.patient.birth_date is not None
        assert (family_of(booking.patient), booking.patient.birth_date.iso) == ("BEEBLEBROX", "1978-10-12")
        assert booking.patient.identifiers[0].value == "42"
        assert booking.clinicians[0].practitioner is not None
        assert booking.clinicians[0].practitioner.names[0].family == "Adams"
        assert booking.referrer is not None
        assert booking.referrer.practitioner is not None
        assert booking.referrer.practitioner.names[0].family == "Colfer"


def test_a_booking_whose_clinician_stands_among_the_equipment(load: Callable[[str], ReadResult]) -> None:
    booking = fact(load(f"{RETHINK}/siu-s12-schedule.hl7"))
    assert isinstance(booking, Appointment)
    assert booking.start is not None
    assert booking.end is not None
    assert (booking.start.iso, booking.end.iso) == ("2026-03-25T14:00:00", "2026-03-25T14:30:00")
    assert family_of(booking.patient) == "JOHNSON"
    assert booking.filler is not None
    assert booking.filler.value == "APT001"
    assert booking.clinicians[0].practitioner is not None
    assert booking.clinicians[0].practitioner.names[0].family == "CARDIOLOGIST"


def test_a_booking_with_the_patient_first_and_no_placer(load: Callable[[str], ReadResult]) -> None:
    booking = fact(load(f"{ISSUES}/python_10_siu_s12_sch.hl7"))
    assert isinstance(booking, Appointment)
    assert booking.patient is not None
    assert booking.patient.name is not None
    assert booking.patient.birth_date is not None
    assert (booking.patient.name.family, booking.patient.name.prefixes) == ("Doe", ("Mr",))
    assert (booking.patient.identifiers[0].value, booking.patient.birth_date.iso) == ("123456", "1975-08-30")
    assert booking.start is not None
    assert (booking.start.iso, booking.duration_minutes) == ("2016-01-15T13:00", 15)
    assert (booking.placer, booking.filler) == (None, Identifier("12345678", type="FILL"))


def test_a_booking_of_nobody_is_for_a_person(load: Callable[[str], ReadResult]) -> None:
    result = load(f"{ISSUES}/python_11_siu_s12_obx.hl7")
    assert {finding.code for finding in result.refusing} == {"appointment-missing", "patient-missing"}
    assert not result.facts


@pytest.mark.parametrize(("event", "action"), [("T02", "new"), ("T06", "addendum")])
def test_the_document_of_prosolv(load: Callable[[str], ReadResult], event: str, action: str) -> None:
    result = load(f"{MS}/MDM-{event}-01.hl7")
    note = fact(result)
    assert isinstance(note, Document)
    assert note.action == action
    assert note.identifiers[0].value == "1.2.840.317.5947431.51.20080131160038"
    assert (note.parents[0].value or "").endswith("155715")
    assert note.type is not None
    assert note.type.code == "DI"
    assert note.signature is not None
    assert (note.signature.status, note.signature.code) == ("signed", "AU")
    assert note.signature.by is not None
    assert note.signature.by.names[0].family == "Doctorovich"
    assert note.patient is not None
    assert note.patient.birth_date is not None
    assert (family_of(note.patient), note.patient.birth_date.iso) == ("PROSOLV", "1972-12-01")
    assert note.patient.identifiers[0].value == "987654321"
    assert (note.attachments[0].media_type, note.attachments[0].content) == ("application/pdf", None)
    assert {"event-conflict", "content-missing"} <= codes(result)


def test_a_document_without_a_number(load: Callable[[str], ReadResult]) -> None:
    result = load(f"{RETHINK}/mdm-t02-document.hl7")
    note = fact(result)
    assert isinstance(note, Document)
    assert note.type is not None
    assert note.written_at is not None
    assert (note.type.label, note.written_at.iso) == ("History and Physical", "2026-03-22T15:00:00")
    assert "persistent headaches" in str(note.text)
    assert note.authors[0].practitioner is not None
    assert note.authors[0].practitioner.names[0].family == "AUTHOR"
    assert {"document-id-missing", "author-in-transcriptionist"} <= codes(result)


def test_an_admission_that_carries_a_document_under_a_misleading_name(
    load: Callable[[str], ReadResult],
) -> None:
    message = only(load(f"{MS}/MDM_01.hl7"))
    assert message.type == "ADT^A01"
    arrival, note = message.facts
    assert isinstance(arrival, Arrival)
    assert isinstance(note, Document)
    assert (arrival.action, family_of(arrival.patient)) == ("admitted", "EVERYMAN")
    assert note.identifiers[0].value == "018840"


# The surprises that other readers stumble over, file by file.


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("hl7v2-linuxforhealth/sample_unix.hl7", "separators-escaped"),
        (f"{ISSUES}/java_05_adt_a31.hl7", "separators-unusual"),
        (f"{ISSUES}/python_01_adt_a01_con_segment.hl7", "header-shifted"),
        (f"{ISSUES}/python_08_adt_a03_insurance.hl7", "charset-mismatch"),
        (f"{ISSUES}/python_06_oru_r01_v251.hl7", "base64-broken"),
        (f"{ISSUES}/java_09_oru_r01_obr21.hl7", "birth-date-unreadable"),
        ("hl7v2-mirth/test-hl7-batch-input.txt", "batch-trailer-missing"),
        ("hl7v2-mirth/simplesender-hl7.txt", "junk-before-message"),
        ("hl7v2-reportstream/test__fhirengine__smoketest__valid_mars.hl7", "control-id-conflict"),
        ("hl7v2-nhapi/OML_O21_messages.txt", "control-id-missing"),
        (f"{MS}/ADT04-23.hl7", "byte-order-mark"),
    ],
)
def test_each_surprise_is_read_and_said(load: Callable[[str], ReadResult], name: str, code: str) -> None:
    result = load(name)
    assert result.outcome is Outcome.ACCEPTED_WITH_FINDINGS
    assert code in codes(result)


def test_custom_separators_and_escapes_give_the_plain_text(load: Callable[[str], ReadResult]) -> None:
    custom, escaped = (
        fact(load(f"{RETHINK}/edge-custom-delimiters.hl7")),
        fact(load(f"{RETHINK}/edge-escaped-delimiters.hl7")),
    )
    assert isinstance(custom, Arrival)
    assert isinstance(escaped, Arrival)
    assert family_of(custom.patient) == "DOE"
    assert family_of(escaped.patient) == "DOE&SMITH"


def test_a_large_batch_is_read_message_by_message(load: Callable[[str], ReadResult]) -> None:
    result = load(
        "hl7v2-reportstream/testIntegration__datatests__CSV_to_HL7__sample-batch-pdi-20210608-0001.hl7"
    )
    assert len(result.messages) == 20
    assert not result.findings
