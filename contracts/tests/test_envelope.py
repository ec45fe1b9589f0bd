"""The envelope: one encoding, a total reader, nothing lost on the way."""

import importlib
import importlib.util
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_contracts.envelope import (
    CONTENT_TYPE,
    Envelope,
    MalformedEnvelope,
    format_time,
    headers,
    sequence_text,
)

MOMENT = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)


def envelope(**changes: Any) -> Envelope:
    plain = Envelope(
        id="01936f2a-7c00-7000-8000-000000000001",
        source="/referrals/r1/request",
        type="referral.received.v1",
        subject="r1",
        time=MOMENT,
        practiceid="p1",
        partitionkey="r1",
        sequence=sequence_text(7),
        recordedtime=MOMENT + timedelta(seconds=1),
        correlationid="c1",
        data={"referral_id": "r1"},
    )
    return replace(plain, **changes)


def document(**changes: Any) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(envelope().to_bytes())
    return {name: value for name, value in (parsed | changes).items() if value is not ...}


def test_the_encoding_is_compact_in_fixed_order_and_utc() -> None:
    text = envelope(time=MOMENT.astimezone(timezone(timedelta(hours=-5)))).to_bytes().decode()
    assert text == (
        '{"specversion":"1.0","id":"01936f2a-7c00-7000-8000-000000000001","source":"/referrals/r1/request",'
        '"type":"referral.received.v1","subject":"r1","time":"2026-11-20T14:00:00.000000Z",'
        '"datacontenttype":"application/json","practiceid":"p1","partitionkey":"r1",'
        '"sequence":"00000000000000000007","recordedtime":"2026-11-20T14:00:01.000000Z","correlationid":"c1",'
        '"data":{"referral_id":"r1"}}'
    )


def test_what_was_written_reads_back_equal_and_writes_the_same_bytes() -> None:
    one = envelope(causationid="e0", traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert Envelope.from_bytes(one.to_bytes()) == one
    assert Envelope.from_bytes(one.to_bytes()).to_bytes() == one.to_bytes()


def test_an_attribute_of_a_newer_version_survives_the_round_trip() -> None:
    read = Envelope.from_bytes(json.dumps(document(zeta="new", alpha=3, flag=True)).encode())
    assert read.extensions == {"zeta": "new", "alpha": 3, "flag": True}
    assert Envelope.from_bytes(read.to_bytes()) == read


def test_sequences_compare_as_text_and_count_from_one() -> None:
    assert sequence_text(9) < sequence_text(10)
    assert envelope().number == 7
    for wrong in (0, -1, 10**20):
        with pytest.raises(ValueError, match="sequence"):
            sequence_text(wrong)


def test_the_headers_are_the_content_type_and_a_copy_of_every_attribute() -> None:
    copies = headers(envelope(extensions={"flag": True, "count": 3}))
    assert copies[0] == ("content-type", CONTENT_TYPE.encode())
    assert ("ce_id", b"01936f2a-7c00-7000-8000-000000000001") in copies
    assert ("ce_time", b"2026-11-20T14:00:00.000000Z") in copies
    assert {("ce_flag", b"true"), ("ce_count", b"3")} <= set(copies)
    assert not any(name == "ce_data" for name, _ in copies)


@pytest.mark.parametrize(
    ("encoded", "complaint"),
    [
        (b"", "not a JSON text"),
        (b"\xff\xfe", "not a JSON text"),
        (b"[]", "not a JSON object"),
        (b"[" * 100_000, "not a JSON text"),
        (b'{"id":"a","id":"b"}', "repeated"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":1e400}', "too large"),
        (b'{"a":"\\ud800"}', "not a JSON text"),
        (b"{}", "data is not an object"),
        (b'{"data":{}}', "specversion is missing"),
    ],
)
def test_bytes_that_are_no_envelope_are_refused_with_a_plain_reason(encoded: bytes, complaint: str) -> None:
    with pytest.raises(MalformedEnvelope, match=complaint):
        Envelope.from_bytes(encoded)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": ""}, "id"),
        ({"id": 5}, "id"),
        ({"subject": ...}, "subject is missing"),
        ({"type": None}, "type is missing"),
        ({"sequence": "7"}, "20 decimal digits"),
        ({"sequence": "٠" * 20}, "20 decimal digits"),
        ({"time": "yesterday"}, "time is not an RFC 3339"),
        ({"time": "2026-11-20T14:00:00"}, "time is not an RFC 3339"),
        ({"time": "2026-02-30T14:00:00Z"}, "calendar"),
        ({"time": "0001-01-01T00:00:00+14:00"}, "calendar"),
        ({"recordedtime": 0}, "recordedtime"),
        ({"datacontenttype": "application/xml"}, "datacontenttype"),
        ({"data": "text"}, "data is not an object"),
        ({"data_base64": "AAAA"}, "data_base64"),
        ({"Upper": "x"}, "lower case"),
        ({"under_score": "x"}, "lower case"),
        ({"extra": {"deep": 1}}, "neither text"),
        ({"extra": 2**31}, "neither text"),
        ({"extra": "line\nbreak"}, "may not hold"),
        ({"traceparent": 4}, "traceparent"),
    ],
)
def test_an_envelope_that_breaks_a_rule_is_refused_and_the_value_is_not_told(
    changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(MalformedEnvelope, match=complaint) as refused:
        Envelope.from_bytes(json.dumps(document(**changes)).encode())
    assert "yesterday" not in str(refused.value)


def test_times_are_read_with_any_offset_case_and_fraction() -> None:
    read = Envelope.from_bytes(json.dumps(document(time="2026-11-20t09:00:00.123456789-05:00")).encode())
    assert format_time(read.time) == "2026-11-20T14:00:00.123456Z"


def test_data_that_json_cannot_carry_is_refused_when_writing() -> None:
    for wrong in ({"a": float("nan")}, {"a": "\ud800"}, {"a": object()}):
        with pytest.raises(MalformedEnvelope, match="cannot be written"):
            envelope(data=wrong).to_bytes()


def test_a_time_without_offset_is_refused() -> None:
    with pytest.raises(MalformedEnvelope, match="offset"):
        envelope(time=datetime(2026, 1, 1))  # noqa: DTZ001 - the point of the test


@given(st.binary(max_size=200))
def test_reading_is_total_over_bytes(encoded: bytes) -> None:
    with pytest.raises(MalformedEnvelope):
        Envelope.from_bytes(encoded)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*document(), "extra", "data_base64"]), JSON, max_size=4))
def test_reading_is_total_over_altered_envelopes_and_what_it_takes_it_can_write(
    changes: dict[str, Any],
) -> None:
    try:
        read = Envelope.from_bytes(json.dumps(document(**changes)).encode())
    except MalformedEnvelope:
        return
    assert Envelope.from_bytes(read.to_bytes()) == read


@given(st.dictionaries(st.text(max_size=12), JSON.filter(lambda value: value == value), max_size=5))
def test_any_json_data_comes_back_as_it_went_in(data: dict[str, Any]) -> None:
    try:
        encoded = envelope(data=data).to_bytes()
    except MalformedEnvelope:
        return
    assert Envelope.from_bytes(encoded).data == data


def test_the_cloudevents_library_reads_what_we_write() -> None:
    pytest.importorskip("cloudevents", reason="the cloudevents library is not installed")
    home = "cloudevents.v1.http" if importlib.util.find_spec("cloudevents.v1") else "cloudevents.http"
    event = importlib.import_module(home).from_json(envelope().to_bytes())
    assert event["sequence"] == sequence_text(7)
    assert event["practiceid"] == "p1"
    assert event.data == {"referral_id": "r1"}
