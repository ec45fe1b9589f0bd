"""The gate: red for what would break a consumer or a replay, green for an added optional field."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from baton_contracts.event_types import EventType
from baton_contracts.events import EVENTS
from baton_contracts.gate import Direction, breaks
from baton_contracts.schemas import event_schema, event_schemas

Schema = dict[str, Any]
RELEASED = event_schema(EVENTS[EventType.APPOINTMENT_RESCHEDULED])


def changed(change: Callable[[Schema], object]) -> Schema:
    current = copy.deepcopy(RELEASED)
    change(current)
    return current


def found(change: Callable[[Schema], object]) -> set[tuple[str, Direction]]:
    return {(one.path, one.direction) for one in breaks(RELEASED, changed(change))}


def drop_required(schema: Schema) -> None:
    del schema["properties"]["start"]
    schema["required"].remove("start")


def drop_optional(schema: Schema) -> None:
    del schema["properties"]["end"]


def drop_nested(schema: Schema) -> None:
    del schema["definitions"]["ExternalId"]["properties"]["value"]
    schema["definitions"]["ExternalId"]["required"].remove("value")


def retype(schema: Schema) -> None:
    schema["properties"]["referral_id"] = {"type": "integer"}


def require_new(schema: Schema) -> None:
    schema["properties"]["room"] = {"type": "string", "pattern": "^[0-9]+$"}
    schema["required"].append("room")


def drop_enum_value(schema: Schema) -> None:
    schema["properties"]["kind"]["enum"].remove("test")


def drop_enum_value_of_a_part(schema: Schema) -> None:
    schema["definitions"]["Actor"]["properties"]["kind"]["enum"].remove("patient")


def make_optional(schema: Schema) -> None:
    schema["required"].remove("start")


def make_nullable(schema: Schema) -> None:
    schema["properties"]["start"] = {"anyOf": [schema["properties"]["start"], {"type": "null"}]}


def make_required(schema: Schema) -> None:
    schema["required"].append("end")


def make_unnullable(schema: Schema) -> None:
    schema["properties"]["end"] = schema["properties"]["end"]["anyOf"][0]


def lengthen(schema: Schema) -> None:
    schema["properties"]["referral_id"]["maxLength"] = 99


def shorten(schema: Schema) -> None:
    schema["properties"]["referral_id"]["maxLength"] = 9


def change_pattern(schema: Schema) -> None:
    schema["properties"]["referral_id"]["pattern"] = "^.*$"


def change_format(schema: Schema) -> None:
    schema["properties"]["start"]["format"] = "date"


def retype_items(schema: Schema) -> None:
    schema["properties"]["changed"]["items"] = {"type": "integer"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (drop_required, {("/start", Direction.EITHER), ("/start", Direction.FORWARD)}),
        (drop_optional, {("/end", Direction.EITHER)}),
        (drop_nested, {("/external_ids/*/value", Direction.EITHER)}),
        (retype, {("/referral_id", Direction.FORWARD), ("/referral_id", Direction.REPLAY)}),
        (require_new, {("/room", Direction.REPLAY)}),
        (drop_enum_value, {("/kind", Direction.REPLAY)}),
        (drop_enum_value_of_a_part, {("/actor/kind", Direction.REPLAY)}),
        (make_optional, {("/start", Direction.FORWARD)}),
        (make_nullable, {("/start", Direction.FORWARD)}),
        (make_required, {("/end", Direction.REPLAY)}),
        (make_unnullable, {("/end", Direction.REPLAY)}),
        (lengthen, {("/referral_id", Direction.FORWARD)}),
        (shorten, {("/referral_id", Direction.REPLAY)}),
        (change_pattern, {("/referral_id", Direction.FORWARD), ("/referral_id", Direction.REPLAY)}),
        (change_format, {("/start", Direction.FORWARD), ("/start", Direction.REPLAY)}),
        (retype_items, {("/changed/*", Direction.FORWARD), ("/changed/*", Direction.REPLAY)}),
    ],
)
def test_a_breaking_change_is_red(
    change: Callable[[Schema], object], expected: set[tuple[str, Direction]]
) -> None:
    assert expected <= found(change)


def add_optional(schema: Schema) -> None:
    schema["properties"]["room"] = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}


def add_optional_part(schema: Schema) -> None:
    schema["definitions"]["Room"] = {"type": "object", "properties": {"n": {"type": "integer"}}}
    schema["properties"]["room"] = {"anyOf": [{"$ref": "#/definitions/Room"}, {"type": "null"}]}


def add_enum_value(schema: Schema) -> None:
    schema["properties"]["kind"]["enum"].append("ceremony")


def reword(schema: Schema) -> None:
    schema["description"] = "Said otherwise."


@pytest.mark.parametrize("change", [add_optional, add_optional_part, add_enum_value, reword])
def test_an_addition_that_old_and_new_can_live_with_is_green(change: Callable[[Schema], object]) -> None:
    assert breaks(RELEASED, changed(change)) == []


def test_every_schema_suits_itself() -> None:
    assert {type_: breaks(one, one) for type_, one in event_schemas().items() if breaks(one, one)} == {}
