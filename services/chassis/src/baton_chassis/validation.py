"""From a pydantic model's objections to faults: pointer, code and remedy, and never a word of what was
sent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from baton_chassis.errors import Fault, Invalid

M = TypeVar("M", bound=BaseModel)

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_MOST_FAULTS = 50
_CODES: Mapping[str, tuple[str, str]] = {
    "missing": ("required", "Send this field."),
    "extra_forbidden": ("unknown-field", "Leave out what the description does not name."),
    "string_too_short": ("too-short", "Send at least {min_length} characters."),
    "string_too_long": ("too-long", "Send at most {max_length} characters."),
    "string_pattern_mismatch": ("wrong-form", "Send text of the form that the description shows."),
    "too_short": ("too-few", "Send at least {min_length} items."),
    "too_long": ("too-many", "Send at most {max_length} items."),
    "greater_than": ("too-small", "Send more than {gt}."),
    "greater_than_equal": ("too-small", "Send at least {ge}."),
    "less_than": ("too-large", "Send less than {lt}."),
    "less_than_equal": ("too-large", "Send at most {le}."),
    "literal_error": ("not-in-list", "Send one of {expected}."),
    "enum": ("not-in-list", "Send one of {expected}."),
    "timezone_aware": ("not-a-timestamp", "Add the offset, like 2026-11-20T09:00:00-05:00."),
    "datetime_parsing": ("not-a-timestamp", "Write an RFC 3339 time that exists, with its offset."),
    "datetime_from_date_parsing": ("not-a-timestamp", "Write an RFC 3339 time that exists, with its offset."),
    "datetime_object_invalid": ("not-a-timestamp", "Write an RFC 3339 time that exists, with its offset."),
    "date_parsing": ("not-a-date", "Write a date that exists as YYYY-MM-DD."),
    "date_from_datetime_parsing": ("not-a-date", "Write a date that exists as YYYY-MM-DD."),
    "date_from_datetime_inexact": ("not-a-date", "Write a date that exists as YYYY-MM-DD."),
    "union_tag_not_found": ("required", "Name the kind that decides which fields follow."),
    "union_tag_invalid": ("not-in-list", "Send one of {expected_tags}."),
}


def read_body(model: type[M], raw: bytes) -> M:
    """The body as ``model``, read strictly; raises ``Invalid``. ``raw`` must have passed ``strict_json``
    before."""
    try:
        return model.model_validate_json(raw, strict=True, extra="forbid")
    except ValidationError as error:
        raise Invalid(faults(error, model)) from None


def read_query(model: type[M] | None, query: str) -> M | None:
    """The parameters as ``model``; raises ``Invalid`` for unknown names, a name twice, odd numbers and bad
    escapes."""
    if model is None:
        if query:
            raise Invalid([Fault("/query", "unknown-parameter", "This address takes no parameters.")])
        return None
    forms = _forms(model)
    said: dict[str, str | list[str]] = {}
    for name, value in _pairs(query):
        form = forms.get(name)
        if form is None:
            raise Invalid(
                [Fault("/query", "unknown-parameter", "Leave out parameters that are not described.")]
            )
        if (form.whole and not _WHOLE.fullmatch(value)) or (form.truth and value not in ("true", "false")):
            wanted = "true or false" if form.truth else "a whole number in digits"
            raise Invalid([Fault(f"/query/{name}", "wrong-type", f"Send {wanted}.")])
        if form.many:
            said.setdefault(name, [])
            said[name].append(value)  # type: ignore[union-attr]  # a name keeps its form
        elif name in said:
            raise Invalid([Fault(f"/query/{name}", "repeated", "Send this parameter once.")])
        else:
            said[name] = value
    try:
        return model.model_validate(said, strict=False, extra="forbid")
    except ValidationError as error:
        raise Invalid(faults(error, model, under="/query")) from None


def _pairs(query: str) -> Sequence[tuple[str, str]]:
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, strict_parsing=bool(query), errors="strict", max_num_fields=100
        )
    except ValueError:
        raise _malformed_query() from None
    if any("\x00" in name or "\x00" in value for name, value in pairs):
        raise _malformed_query()
    return pairs


def _malformed_query() -> Invalid:
    fault = Fault("/query", "malformed-query", "Send at most 100 parameters as UTF-8, percent-encoded.")
    return Invalid([fault])


class _Form:
    """How the text of one parameter is written."""

    __slots__ = ("many", "truth", "whole")

    def __init__(self, annotation: Any) -> None:
        parts = _flat(annotation)
        self.many = any(get_origin(part) in (list, tuple, set, frozenset) for part in parts)
        inner = [*parts, *(_bare(item) for part in parts for item in get_args(part))]
        self.whole = int in inner
        self.truth = bool in inner


@lru_cache(maxsize=256)
def _forms(model: type[BaseModel]) -> Mapping[str, _Form]:
    return {field.alias or name: _Form(field.annotation) for name, field in model.model_fields.items()}


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _flat(annotation: Any) -> list[Any]:
    annotation = _bare(annotation)
    if get_origin(annotation) in (Union, UnionType):
        return [leaf for part in get_args(annotation) for leaf in _flat(part)]
    return [annotation]


def faults(error: ValidationError, model: type[BaseModel], *, under: str = "") -> list[Fault]:
    """Each objection once. Pointers hold only names that the model itself declares, and positions in lists:
    whatever else stands where a name should (unknown fields, keys of maps) may be somebody's data."""
    names = _names(model)
    found = [
        _fault(detail, names, under)
        for detail in error.errors(include_url=False, include_input=False)[:_MOST_FAULTS]
    ]
    return list(dict.fromkeys(found))


@lru_cache(maxsize=256)
def _names(model: type[BaseModel]) -> frozenset[str]:
    found: set[str] = set()
    schemas: list[Any] = [model.model_json_schema()]
    while schemas:
        schema = schemas.pop()
        if isinstance(schema, dict):
            found.update(schema.get("properties", ()))
            schemas.extend(schema.values())
        elif isinstance(schema, list):
            schemas.extend(schema)
    return frozenset(found)


def _fault(detail: ErrorDetails, names: frozenset[str], under: str) -> Fault:
    where = detail["loc"][:-1] if detail["type"] == "extra_forbidden" else detail["loc"]
    steps = [str(step) for step in where if isinstance(step, int) or step in names]
    pointer = under + "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
    return Fault(pointer, *_said(detail))


def _said(detail: ErrorDetails) -> tuple[str, str]:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _CODES:
        code, remedy = _CODES[kind]
        return code, remedy.format_map(_Known(context))
    if "-" in kind:  # a PydanticCustomError of ours: pydantic's own codes have no dashes, our text is fixed
        return kind, detail["msg"]
    if kind.endswith("_type"):
        return "wrong-type", f"Send {_TYPES.get(kind, 'the type that the description names')}."
    return "invalid-value", "Send a value that the description allows."


class _Known(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "what the description says"


_TYPES: Mapping[str, str] = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "model_type": "an object",
    "dict_type": "an object",
    "none_required": "null",
}
