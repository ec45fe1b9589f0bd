"""Events: ids, codes, times and offices; strict for producers, tolerant for consumers, kept for ever."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from pydantic import ValidationError

from baton_contracts import codes
from baton_contracts.envelope import Envelope, MalformedEnvelope
from baton_contracts.event_types import EventType
from baton_contracts.events import (
    EVENTS,
    Actor,
    AppointmentCancelled,
    Event,
    ExternalId,
    MalformedEvent,
    OfficeIdentity,
    ReferralDeclined,
    ReferralEvent,
    ReferralReceived,
    UnknownEventType,
    enveloped,
    is_code,
    is_external_value,
    parse,
    schema_uri,
    validate_produced,
)
from baton_contracts.events.common import TEXT_KIND
from baton_contracts.examples import example
from baton_contracts.lifecycle import fact_of
from baton_contracts.schemas import envelope_schema, event_schema
from baton_contracts.topics import ADDRESSES, Line

MOMENT = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
ALL = [pytest.param(model, id=type_.value) for type_, model in EVENTS.items()]

BUSINESS_FIELDS = {
    "OfficeIdentity.name",
    "ContactRoute.value",
    "Clinician.name",
    "Location.name",
    "office.registered.v1.name",
    "office.changed.v1.name",
}
"""The only texts that are neither id, code, time, hash nor uri: business fields, none about a patient."""


def texts(schema: Mapping[str, Any], owner: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every text field of a schema with the name of its owner and field."""
    for name, part in schema.get("definitions", {}).items():
        yield from texts(part, name)
    for name, part in schema.get("properties", {}).items():
        yield from texts_of_field(part, f"{owner}.{name}")


def texts_of_field(part: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for branch in part.get("anyOf", [part]):
        if branch.get("type") == "string":
            yield path, branch
        elif branch.get("type") == "array":
            yield from texts_of_field(branch["items"], path)
        else:
            # Anything else is a reference to a listed part, a number or nothing: no open object hides a text.
            assert "$ref" in branch or branch.get("type") in ("integer", "null"), (path, branch)


@pytest.mark.parametrize("model", ALL)
def test_no_event_has_a_place_for_free_text_or_a_person(model: type[Event]) -> None:
    schema = event_schema(model)
    for path, text in texts(schema, model.type.value):
        kind = text.get(TEXT_KIND)
        assert kind in {"id", "code", "time", "hash", "uri", "office"}, path
        assert kind != "office" or path in BUSINESS_FIELDS
        assert kind == "time" or "pattern" in text, path
    forbidden = {"birth_date", "given", "family", "address", "phone", "note", "text", "question", "display"}
    assert not forbidden & {path.rpartition(".")[2] for path, _ in texts(schema, "")}


@pytest.mark.parametrize("model", ALL)
def test_every_object_of_a_schema_is_closed(model: type[Event]) -> None:
    schema = event_schema(model)
    for part in (schema, *schema.get("definitions", {}).values()):
        assert part["additionalProperties"] is False


def test_every_type_has_a_model_and_no_name_carries_the_product() -> None:
    assert set(EVENTS) == set(EventType)
    assert not any("baton" in name for type_ in EventType for name in (type_.value, schema_uri(type_)))


@pytest.mark.parametrize("model", ALL)
@pytest.mark.parametrize("full", [True, False])
def test_an_example_meets_the_published_schemas_and_both_readers(model: type[Event], full: bool) -> None:
    envelope = example(model, full=full)
    jsonschema_rs.validator_for(event_schema(model), validate_formats=True).validate(dict(envelope.data))
    document = json.loads(envelope.to_bytes())
    jsonschema_rs.validator_for(envelope_schema(), validate_formats=True).validate(document)
    assert parse(envelope) == validate_produced(envelope.type, envelope.data)


@pytest.mark.parametrize("model", ALL)
def test_an_event_survives_its_envelope(model: type[Event]) -> None:
    event = parse(example(model, full=True))
    envelope = enveloped(
        event, event_id="e1", practice_id="p1", number=3, recorded_at=MOMENT, correlation_id="c1"
    )
    assert parse(Envelope.from_bytes(envelope.to_bytes())) == event
    assert envelope.source == event.stream
    assert envelope.partitionkey == envelope.subject == event.entity_id
    assert envelope.time == event.occurred_at


@pytest.mark.parametrize("model", ALL)
def test_a_field_of_tomorrow_is_passed_over_by_readers_and_refused_from_writers(model: type[Event]) -> None:
    envelope = example(model, full=False)
    body = {**envelope.data, "from_tomorrow": "x"}
    changed = Envelope.from_bytes(envelope.to_bytes().replace(b'"data":{', b'"data":{"from_tomorrow":"x",'))
    assert parse(changed) == parse(envelope)
    with pytest.raises(MalformedEvent, match="extra_forbidden"):
        validate_produced(model.type, body)


@pytest.mark.parametrize("model", ALL)
def test_a_missing_field_is_told_by_name_and_never_by_value(model: type[Event]) -> None:
    envelope = example(model, full=False)
    for name in envelope.data:
        body = {field: value for field, value in envelope.data.items() if field != name}
        if name not in event_schema(model)["required"]:
            continue
        with pytest.raises(MalformedEvent, match=name) as refused:
            validate_produced(model.type, body)
        assert "01936f2a" not in str(refused.value)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=f"{path.parent.name}-{path.stem}")
        for path in sorted((Path(__file__).parents[1] / "examples").glob("*/*.json"))
    ],
)
def test_every_example_ever_kept_still_parses(path: Path) -> None:
    envelope = Envelope.from_bytes(path.read_bytes())
    assert envelope.type == path.parent.name
    event = parse(envelope)
    assert event.stream == envelope.source
    if isinstance(event, ReferralEvent):
        assert fact_of(envelope.type, envelope.data).occurred_at == event.occurred_at


def test_every_type_keeps_an_example() -> None:
    kept = {path.parent.name for path in (Path(__file__).parents[1] / "examples").glob("*/*.json")}
    assert kept == {type_.value for type_ in EventType}


def test_a_code_of_tomorrow_is_read_but_cannot_be_written() -> None:
    envelope = example(AppointmentCancelled, full=True)
    body = {**envelope.data, "reason": "alien_abduction", "kind": "ceremony"}
    read = parse(Envelope.from_bytes(envelope_with(envelope, body)))
    assert isinstance(read, AppointmentCancelled)
    assert (read.reason, read.kind) == ("alien_abduction", "ceremony")
    with pytest.raises(MalformedEvent, match="reason value_error"):
        validate_produced(envelope.type, body)


def envelope_with(envelope: Envelope, body: dict[str, Any]) -> bytes:
    return json.dumps({**json.loads(envelope.to_bytes()), "data": body}).encode()


def test_a_decline_cannot_be_made_without_its_reason_or_with_a_sentence() -> None:
    common: dict[str, Any] = {
        "referral_id": "r1",
        "actor": Actor(kind=codes.ActorKind.STAFF),
        "assertion": codes.Assertion.HUMAN,
        "occurred_at": MOMENT,
    }
    for wrong in ({}, {"reason": "we are full, sorry"}, {"reason": "sunspots"}):
        with pytest.raises(ValidationError):
            ReferralDeclined(**common, **wrong)
    assert ReferralDeclined(**common, reason=codes.DeclineReason.NO_CAPACITY).reason == "no_capacity"


@pytest.mark.parametrize(
    "type_",
    [
        EventType.REFERRAL_DECLINED,
        EventType.REFERRAL_CANCELLED,
        EventType.REFERRAL_WITHDRAWN,
        EventType.CARE_RETURNED,
    ],
)
def test_no_system_infers_an_ending_or_a_return_of_care(type_: EventType) -> None:
    body = {**example(EVENTS[type_], full=True).data, "assertion": "system_inferred"}
    with pytest.raises(MalformedEvent, match="assertion value_error"):
        validate_produced(type_, body)


def test_times_need_an_offset_and_travel_in_utc() -> None:
    event = AppointmentCancelled(
        referral_id="r1",
        patient_id="p1",
        office_id="o1",
        appointment_id="a1",
        kind=codes.AppointmentKind.VISIT,
        actor=Actor(kind=codes.ActorKind.STAFF),
        assertion=codes.Assertion.HUMAN,
        occurred_at=datetime.fromisoformat("2026-11-20T09:00:00-05:00"),
    )
    assert event.body()["occurred_at"] == "2026-11-20T14:00:00.000000Z"
    with pytest.raises(ValidationError):
        AppointmentCancelled(**{**event.model_dump(), "occurred_at": datetime(2026, 1, 1)})  # noqa: DTZ001


def test_an_event_cannot_be_changed() -> None:
    event = parse(example(ReferralReceived, full=True))
    with pytest.raises(ValidationError):
        setattr(event, "occurred_at", MOMENT)  # noqa: B010 - assigning is what must fail


def test_the_names_of_a_referral_start_with_its_source_and_repeat_nothing() -> None:
    one, two = ExternalId(system="urn:a", value="1"), ExternalId(system="urn:b", value="2")
    event = ReferralReceived(
        referral_id="r1",
        patient_id="p1",
        office_id="o1",
        actor=Actor(kind=codes.ActorKind.CLIENT, id="pms"),
        assertion=codes.Assertion.PARTNER_SYSTEM,
        occurred_at=MOMENT,
        source=one,
        external_ids=(two, one),
        office=OfficeIdentity(name="Example Family Practice"),
        priority=codes.Priority.ROUTINE,
    )
    assert event.names == (one, two)


def test_an_unknown_type_is_told_apart_from_a_malformed_event() -> None:
    envelope = example(ReferralReceived, full=False)
    newer = Envelope.from_bytes(envelope.to_bytes().replace(b"referral.received.v1", b"referral.received.v2"))
    with pytest.raises(UnknownEventType):
        parse(newer)
    with pytest.raises(UnknownEventType):
        validate_produced("referral.teleported.v1", {})


def test_an_envelope_cannot_be_made_with_an_empty_practice() -> None:
    event = parse(example(ReferralReceived, full=False))
    with pytest.raises(MalformedEnvelope):
        enveloped(event, event_id="e1", practice_id="", number=1, recorded_at=MOMENT, correlation_id="c")


def test_doors_can_ask_whether_a_foreign_key_or_code_fits() -> None:
    assert is_external_value("R 1001")
    assert not any(is_external_value(value) for value in ("", " x", "x\n", "ü", "x" * 129))
    assert is_code("207RC0000X")
    assert not any(is_code(value) for value in ("", "two words", "x" * 65))


def test_reasons_belong_to_types_that_exist_and_match_the_models() -> None:
    for type_, vocabulary in codes.REASONS.items():
        reason = event_schema(EVENTS[type_])["properties"]["reason"]
        enumerated = [branch["enum"] for branch in reason.get("anyOf", [reason]) if "enum" in branch]
        assert enumerated == [[member.value for member in vocabulary]]


def test_office_events_lie_on_the_partner_topic_under_the_office() -> None:
    for model in (EVENTS[EventType.OFFICE_REGISTERED], EVENTS[EventType.OFFICE_CHANGED]):
        event = parse(example(model, full=False))
        assert event.stream == f"/offices/{event.entity_id}"
        assert ADDRESSES[model.type].line is Line.OFFICE
