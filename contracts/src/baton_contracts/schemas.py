"""The JSON Schemas of every event and of the envelope, as a producer must meet them (draft-07)."""

from typing import Any, Final

from baton_contracts.envelope import SPEC_VERSION
from baton_contracts.event_types import EventType
from baton_contracts.events import EVENTS, Event, schema_uri

DIALECT: Final = "http://json-schema.org/draft-07/schema#"


def event_schema(model: type[Event]) -> dict[str, Any]:
    """The schema of one event's data: closed, with enumerated values listed. Consumers read it as open."""
    schema = model.model_json_schema(ref_template="#/definitions/{model}")
    definitions = schema.pop("$defs", {})
    published = {
        "$schema": DIALECT,
        "$id": schema_uri(model.type),
        **_untitled(schema),
        "title": model.type.value,
        "definitions": {name: _untitled(part) for name, part in sorted(definitions.items())},
    }
    if not definitions:
        del published["definitions"]
    return published


def event_schemas() -> dict[EventType, dict[str, Any]]:
    """The schema of every event type."""
    return {type_: event_schema(model) for type_, model in EVENTS.items()}


def envelope_schema() -> dict[str, Any]:
    """The schema of the envelope as structured JSON; more attributes may come, `data` is the event's."""
    text = {"type": "string", "minLength": 1}
    moment = {"type": "string", "format": "date-time"}
    return {
        "$schema": DIALECT,
        "$id": "urn:x-closed-loop:schema:envelope",
        "title": "envelope",
        "description": "CloudEvents 1.0 as structured JSON, with the attributes that every event carries.",
        "type": "object",
        "properties": {
            "specversion": {"const": SPEC_VERSION},
            "id": text,
            "source": {**text, "format": "uri-reference"},
            "type": text,
            "subject": text,
            "time": moment,
            "datacontenttype": {"const": "application/json"},
            "dataschema": {**text, "format": "uri"},
            "practiceid": text,
            "partitionkey": text,
            "sequence": {"type": "string", "pattern": "^[0-9]{20}$"},
            "recordedtime": moment,
            "correlationid": text,
            "causationid": text,
            "traceparent": text,
            "data": {"type": "object"},
        },
        "required": [
            "specversion",
            "id",
            "source",
            "type",
            "subject",
            "time",
            "practiceid",
            "partitionkey",
            "sequence",
            "recordedtime",
            "correlationid",
            "data",
        ],
        "additionalProperties": {"type": ["string", "integer", "boolean"]},
    }


def _untitled(schema: Any) -> Any:
    """Without the titles that repeat a field's name; a property that is called `title` is not one of them."""
    if isinstance(schema, list):
        return [_untitled(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: {field: _untitled(part) for field, part in value.items()}
        if name == "properties"
        else _untitled(value)
        for name, value in schema.items()
        if name != "title"
    }
