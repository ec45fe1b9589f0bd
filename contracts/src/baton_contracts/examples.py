"""Synthetic examples of every event, made once and then kept for ever: consumers must go on parsing them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from baton_contracts.envelope import Envelope, sequence_text
from baton_contracts.events import Event, schema_uri, validate_produced
from baton_contracts.events.common import TEXT_KIND
from baton_contracts.schemas import event_schema

_MOMENT: Final = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
_REFERRAL: Final = "01936f2a-7c00-7000-8000-000000000001"
_OFFICE: Final = "01936f2a-7c00-7000-8000-000000000003"

_BY_FIELD: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "referral_id": _REFERRAL,
        "patient_id": "01936f2a-7c00-7000-8000-000000000002",
        "office_id": _OFFICE,
        "appointment_id": "01936f2a-7c00-7000-8000-000000000004",
        "visit_id": "01936f2a-7c00-7000-8000-000000000005",
        "delivery_id": "01936f2a-7c00-7000-8000-000000000006",
        "name": "Example Family Practice",
        "office_reference": "R-1001",
        "code": "207RC0000X",
        "media_type": "application/pdf",
        "time_zone": "America/New_York",
        "changed": ["start"],
        "start": "2026-12-01T15:00:00.000000Z",
        "end": "2026-12-01T15:30:00.000000Z",
        "previous_start": "2026-11-30T15:00:00.000000Z",
    }
)

_CONTACT: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("system", "code"): "email",
        ("value", "office"): "referrals@practice.example",
        ("value", "id"): "R-1001",
    }
)

_BY_KIND: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "id": "01936f2a-7c00-7000-8000-000000000009",
        "code": "other",
        "uri": "urn:example:system",
        "time": "2026-11-20T14:00:00.000000Z",
        "hash": "0" * 64,
        "office": "Example Family Practice",
    }
)


def example(model: type[Event], *, full: bool) -> Envelope:
    """One envelope of this type: with every field when full, else with the required ones only."""
    schema = event_schema(model)
    body = _value("", schema, schema.get("definitions", {}), full=full)
    event = validate_produced(model.type, body)
    return Envelope(
        id="01936f2a-7c00-7000-8000-0000000000ff",
        source=event.stream,
        type=model.type.value,
        subject=event.entity_id,
        time=_MOMENT,
        practiceid="01936f2a-7c00-7000-8000-0000000000aa",
        partitionkey=event.entity_id,
        sequence=sequence_text(1),
        recordedtime=_MOMENT,
        correlationid="01936f2a-7c00-7000-8000-0000000000bb",
        dataschema=schema_uri(model.type),
        data=body,
    )


def _value(name: str, schema: Mapping[str, Any], definitions: Mapping[str, Any], *, full: bool) -> Any:
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        schema = schema["anyOf"][0]
        return _value(name, schema, definitions, full=full)
    if schema["type"] == "object":
        required = schema.get("required", ())
        return {
            field: _value(field, part, definitions, full=full)
            for field, part in schema["properties"].items()
            if full or field in required
        }
    if "enum" in schema:
        return schema["enum"][0]
    if name in _BY_FIELD:
        return _BY_FIELD[name]
    if schema["type"] == "array":
        return [_value("", schema["items"], definitions, full=full)]
    if schema["type"] == "integer":
        return 1
    kind = schema[TEXT_KIND]
    return _CONTACT.get((name, kind)) or _BY_KIND[kind]
