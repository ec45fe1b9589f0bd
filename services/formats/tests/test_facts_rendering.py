"""Facts as JSON and back, and times exactly as precise as they were given."""

from __future__ import annotations

import itertools
import json
from datetime import date
from typing import Any
from unittest import mock

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baton_formats import rendering
from baton_formats.facts import (
    FACT_TYPES,
    Attachment,
    Coding,
    Concept,
    Document,
    HumanName,
    Identifier,
    PartialTime,
    Patient,
    Period,
    Referral,
    Text,
    npi_is_valid,
)
from baton_formats.findings import Envelope, Finding, Format, Message, Outcome, ReadResult, refused
from baton_formats.rendering import NotAFact, fact_from_plain, from_plain, members, to_json, to_plain
from baton_formats.times import drops_offset, fhir_text, hl7_text, is_backwards, parse_hl7, parse_iso

# ---- rendering ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FACT_TYPES, ids=lambda kind: str(kind.kind))
def test_an_empty_fact_is_its_kind_and_comes_back(kind: Any) -> None:
    assert to_plain(kind()) == {"kind": kind.kind}
    assert fact_from_plain({"kind": kind.kind}) == kind()


@given(st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_fact_comes_back_from_json(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(FACT_TYPES))
    fact = data.draw(st.from_type(kind))
    plain = to_plain(fact)
    try:
        text = json.dumps(plain)
    except UnicodeEncodeError:
        return
    assert fact_from_plain(json.loads(text)) == fact


@given(st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_json_in_pieces_is_the_same_json(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(FACT_TYPES))
    result = ReadResult(Format.FHIR, (Message("x", facts=(data.draw(st.from_type(kind)),)),))
    try:
        expected = orjson.dumps(to_plain(result))
    except TypeError:  # a lone surrogate, which no JSON can carry
        return
    with mock.patch.object(rendering, "_PIECE", 3):
        assert b"".join(to_json(members(result))) == expected
    assert b"".join(to_json(members(result))) == expected


def _times() -> st.SearchStrategy[PartialTime]:
    return st.sampled_from(["1963", "1963-06", "2026-02-28T23:59:59.125+05:30", "2026-02-28T09"]).map(
        parse_iso
    ) | st.just(PartialTime(text="Aug 15, 1942"))


st.register_type_strategy(PartialTime, _times())
st.register_type_strategy(Text, st.text().map(Text.of))
st.register_type_strategy(
    Identifier, st.builds(Identifier, value=st.none() | st.text(), system=st.none() | st.text())
)
st.register_type_strategy(
    Coding, st.builds(Coding, code=st.none() | st.text(), display=st.none() | st.text())
)
st.register_type_strategy(
    HumanName,
    st.builds(HumanName, family=st.none() | st.text(), given=st.lists(st.text(), max_size=2).map(tuple)),
)
st.register_type_strategy(
    Patient, st.builds(Patient, names=st.lists(st.from_type(HumanName), max_size=2).map(tuple))
)
st.register_type_strategy(Period, st.builds(Period, start=st.none() | _times(), end=st.none() | _times()))


@pytest.mark.parametrize(
    "plain",
    [
        {},
        {"kind": "potato"},
        {"kind": "referral", "potato": 1},
        {"kind": "referral", "status": 5},
        {"kind": "referral", "identifiers": {}},
        {"kind": "referral", "authored_at": "yesterday"},
        {"kind": "referral", "patient": "Ada"},
        {"kind": "document", "attachments": [{"content": "%%%"}]},
        {"kind": "referral", "notes": [{}]},
    ],
)
def test_what_is_no_fact_is_refused_without_repeating_it(plain: dict[str, Any]) -> None:
    with pytest.raises(NotAFact) as caught:
        fact_from_plain(plain)
    assert "Ada" not in str(caught.value)


def test_bytes_and_unreadable_times_survive() -> None:
    document = Document(
        attachments=(Attachment(content=b"\x00\xff"),), written_at=PartialTime(text="27 digits")
    )
    plain = to_plain(document)
    assert plain["attachments"] == [{"content": "AP8="}]
    assert plain["written_at"] == {"unreadable": "27 digits"}
    assert fact_from_plain(plain) == document


def test_a_result_renders_with_its_outcome() -> None:
    message = Message("REF^I12", segments=3, facts=(Referral(),), findings=(Finding("x", "PID-7", "odd"),))
    result = ReadResult(Format.HL7V2, (message,))
    assert to_plain(result) == {
        "format": "hl7v2",
        "outcome": "accepted_with_findings",
        "reason": None,
        "messages": [
            {
                "type": "REF^I12",
                "segments": 3,
                "facts": [{"kind": "referral"}],
                "findings": [{"code": "x", "where": "PID-7", "detail": "odd"}],
            }
        ],
    }


def test_an_envelope_comes_back() -> None:
    envelope = Envelope(control_id="1", event="I12", sent_at=PartialTime(iso="2026"))
    assert from_plain(Envelope, to_plain(envelope)) == envelope


def test_a_refusal_has_a_reason_and_a_refusing_finding_does_not_refuse() -> None:
    assert refused(Format.FHIR, "no").outcome is Outcome.REFUSED
    finding = Finding("x", "y", "z", refusing=True)
    result = ReadResult(Format.FHIR, (Message("Task", findings=(finding,)),))
    assert (result.outcome, result.refusing) == (Outcome.ACCEPTED_WITH_FINDINGS, (finding,))


# ---- times -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "iso", "precision", "offset"),
    [
        ("1963", "1963", "year", None),
        ("196306", "1963-06", "month", None),
        ("19630612", "1963-06-12", "day", None),
        ("2018062309", "2018-06-23T09", "hour", None),
        ("201806230900-0800", "2018-06-23T09:00-08:00", "minute", -480),
        ("20210924093000+0215", "2021-09-24T09:30:00+02:15", "second", 135),
        ("20210924093000.1234+00", "2021-09-24T09:30:00.1234+00:00", "fraction", 0),
        ("20130221-08", "2013-02-21", "day", None),
        ("20240101120000+1500", "2024-01-01T12:00:00+15:00", "second", 900),
        ("202401011200-2359", "2024-01-01T12:00-23:59", "minute", -1439),
    ],
)
def test_hl7_times_keep_their_precision(text: str, iso: str, precision: str, offset: int | None) -> None:
    time = parse_hl7(text)
    assert (time.iso, time.precision, time.offset_minutes) == (iso, precision, offset)


@pytest.mark.parametrize(
    "text",
    [
        "Aug 15, 1942",
        "19999999",
        "1231231",
        "",
        "1111111",
        "2021092409300099",
        "20230230",
        "202401011200+2400",
        "202401011200+1260",
    ],
)
def test_what_is_no_hl7_time_keeps_its_text(text: str) -> None:
    assert parse_hl7(text) == PartialTime(text=text)


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2026-11-20T09:00:00-05:00", "2026-11-20T09:00:00-05:00"),
        ("2026-11-20T09:00Z", "2026-11-20T09:00Z"),
        ("2026-11-20 09:00:00", "2026-11-20T09:00:00"),
        ("2026-11-20T09:00:00.1234567+0000", "2026-11-20T09:00:00.1234567+00:00"),
        ("2024-02-29", "2024-02-29"),
    ],
)
def test_iso_times_keep_what_was_given(text: str, iso: str) -> None:
    assert parse_iso(text).iso == iso


@pytest.mark.parametrize(
    "text", ["2019-08-10T09:10:00:00-06:00", "2023-02-29", "2026-13", "2026-11-20T25:00Z", "1/2/2026"]
)
def test_what_is_no_iso_time_keeps_its_text(text: str) -> None:
    assert parse_iso(text) == PartialTime(text=text)


@pytest.mark.parametrize("year", ["0000", "0001", "1900", "2000", "2023", "2024"])
def test_the_days_of_the_calendar_are_dates_and_no_others(year: str) -> None:
    for month, day in itertools.product(range(14), range(33)):
        text = f"{year}-{month:02}-{day:02}"
        try:
            exists = date.fromisoformat(text) is not None
        except ValueError:
            exists = False
        for suffix in ("", "T00:00", "T23:59:60Z", "T09:00:00.125-05:00"):
            assert parse_iso(text + suffix).iso == (text + suffix if exists else None)


def test_a_moment_needs_an_offset() -> None:
    assert parse_iso("2026-11-20T09:00:00").instant() is None
    given_zone = parse_iso("2026-11-20T09:00:00").instant(default_offset_minutes=-300)
    assert given_zone is not None
    assert given_zone.isoformat() == "2026-11-20T09:00:00-05:00"
    assert parse_iso("2026-11-20").instant(default_offset_minutes=0) is None


@pytest.mark.parametrize(
    "text", ["1963", "196306", "19630612", "201806230900-0800", "20210924093000.12+0215"]
)
def test_hl7_times_are_written_as_they_were(text: str) -> None:
    assert hl7_text(parse_hl7(text)) == text


def test_fhir_times_get_seconds_but_never_an_offset_nobody_gave() -> None:
    assert fhir_text(parse_hl7("201806230900-0800")) == "2018-06-23T09:00:00-08:00"
    assert fhir_text(parse_hl7("2018062309")) == "2018-06-23"
    assert fhir_text(parse_hl7("2018062309"), default_zone="Z") == "2018-06-23T09:00:00Z"
    assert fhir_text(parse_hl7("Aug 15, 1942")) is None


def test_an_offset_fhir_does_not_allow_becomes_the_same_moment_in_utc() -> None:
    assert fhir_text(parse_hl7("202401011200+1500")) == "2023-12-31T21:00:00Z"
    assert fhir_text(parse_hl7("20240101120030.25-1430")) == "2024-01-02T02:30:30.25Z"
    assert fhir_text(parse_hl7("202401011200+1400")) == "2024-01-01T12:00:00+14:00"
    assert fhir_text(parse_hl7("000101010000+2300")) == "0001-01-01"


@pytest.mark.parametrize(
    ("text", "drops"),
    [("20240101-0500", True), ("2024+01", True), ("20240101", False), ("202401011200-0500", False)],
)
def test_an_offset_that_a_date_cannot_keep_is_told(text: str, drops: bool) -> None:
    assert drops_offset(text) is drops


@given(st.text(max_size=40))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_text_stops_the_parsers_of_times(text: str) -> None:
    for parsed in (parse_iso(text), parse_hl7(text)):
        assert (parsed.iso is None) != (parsed.text is None)
        if parsed.iso is not None:
            assert parsed.precision is not None


# ---- small -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("npi", "valid"),
    [("1234567893", True), ("1234567890", False), ("123456789", False), ("１２３４５６７８９３", False)],
)
def test_an_npi_has_a_check_digit(npi: str, valid: bool) -> None:
    assert npi_is_valid(npi) is valid


def test_a_patient_is_called_by_the_current_official_name() -> None:
    ended = HumanName(family="Old", use="official", period=Period(end=PartialTime(iso="2020")))
    patient = Patient(
        names=(HumanName(family="Maiden", use="maiden"), ended, HumanName(family="Now", use="usual"))
    )
    assert patient.name is not None
    assert patient.name.family == "Now"
    assert Patient().name is None


def test_a_concept_has_words() -> None:
    assert Concept(codings=(Coding(code="1", display="One"),)).label == "One"
    assert Concept(text="Both", codings=(Coding(code="1", display="One"),)).label == "Both"
    assert Concept(codings=(Coding(code="1"),)).label == "1"
    assert Concept().label is None


_WRITTEN = st.sampled_from(
    [
        f"2026-03-{day}{time}{zone}"
        for day in ("01", "02")
        for time in ("", "T09:30", "T09:30:00", "T09:30:60", "T10:30:59", "T10:30:00.125", "T10:30:00.5")
        for zone in (("", "Z", "+00:00", "-05:00", "+02:15") if time else ("",))
    ]
)


@given(_WRITTEN, _WRITTEN)
def test_a_span_is_backwards_exactly_when_both_moments_are_known_and_the_end_is_earlier(
    first: str, second: str
) -> None:
    start, end = parse_iso(first), parse_iso(second)
    begins, ends = start.instant(), end.instant()
    assert is_backwards(start, end) == (begins is not None and ends is not None and ends < begins)


def test_a_span_with_an_open_end_is_not_backwards() -> None:
    assert not is_backwards(None, parse_iso("2026"))
    assert not is_backwards(parse_iso("2026-03-01T09:30Z"), None)
    assert not is_backwards(parse_iso("tomorrow"), parse_iso("2026-03-01T09:30Z"))
