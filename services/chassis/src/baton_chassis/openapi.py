"""What the doors promise, as OpenAPI 3.1: written from the declarations, so it cannot say anything else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from baton_chassis import problems
from baton_chassis.doors import RouteDeclaration
from baton_chassis.shapes import UUID_PATTERN

_REF = "#/components/schemas/{model}"
_PENDING = "#/x-models/"
"""Where an operation refers to before all models of the application, and so their names, are known."""

_ABOUT = (
    "Send `Authorization: Bearer`; the practice comes from the token. Unknown fields of a body are refused. "
    "Every refusal is a problem (RFC 9457) with a stable `code`; `/problems/{code}` says what to do. "
    "Times are RFC 3339 with an offset, ids are UUIDs. Ignore fields of answers that you do not know."
)
Mode = Literal["validation", "serialization"]
_PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}
_PROBLEM_SCHEMA: Mapping[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457. `code` is stable; `errors` names each fault by pointer, never by its value.",
    "type": "object",
    "required": ["type", "title", "status", "code", "errors", "trace_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "trace_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {name: {"type": "string"} for name in ("pointer", "code", "detail")},
            },
        },
    },
}
_HEADERS: Mapping[str, Mapping[str, str]] = {
    "Location": {"description": "The address of what was created or waits."},
    "ETag": {"description": 'The version, as `W/"3"`; send it back as `If-Match`.'},
    "Idempotent-Replayed": {
        "description": "`true` when this answer was given before to the same Idempotency-Key."
    },
    "Retry-After": {"description": "Seconds to wait."},
    "WWW-Authenticate": {"description": "What kind of token is needed (RFC 6750)."},
}


def operation(declared: RouteDeclaration) -> dict[str, Any]:
    """What FastAPI cannot know of a route that reads its request itself."""
    said: dict[str, Any] = {
        "parameters": [
            *_path_parameters(declared),
            *_query_parameters(declared),
            *_header_parameters(declared),
        ],
        "responses": _responses(declared),
        "security": [] if declared.public else [{"bearer": [scope]} for scope in declared.scopes],
    }
    if declared.takes_body and (declared.body is not None or declared.kind in ("raw", "page")):
        said["requestBody"] = _request_body(declared)
    return said


def extend(app: FastAPI, declarations: Sequence[RouteDeclaration]) -> None:
    """Make ``app.openapi()`` carry the models of ``declarations`` as well."""
    app.state.declarations = [*getattr(app.state, "declarations", ()), *declarations]
    app.openapi_schema = None
    plain = app.__class__.openapi

    def complete() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _with_components(plain(app), app.state.declarations)
        return app.openapi_schema

    app.openapi = complete  # type: ignore[method-assign]  # FastAPI's documented way of extending it


def _with_components(schema: dict[str, Any], declarations: Iterable[RouteDeclaration]) -> dict[str, Any]:
    models = {_key(model, mode): (model, mode) for model, mode in _models(declarations)}
    places, defined = models_json_schema(list(models.values()), ref_template=_REF)
    named = {_PENDING + key: places[model]["$ref"] for key, model in models.items()}
    whole: dict[str, Any] = _renamed(schema, named)
    whole["info"]["description"] = _ABOUT
    whole.setdefault("servers", [{"url": "/"}])
    components = whole.setdefault("components", {})
    shapes = {**components.get("schemas", {}), **defined.get("$defs", {}), "Problem": _PROBLEM_SCHEMA}
    components["schemas"] = dict(sorted(shapes.items()))
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    return whole


def _models(declarations: Iterable[RouteDeclaration]) -> Iterator[tuple[type[BaseModel], Mode]]:
    for declared in declarations:
        if declared.documented and declared.body is not None:
            yield declared.body, "validation"
        if declared.documented and declared.reply is not None:
            yield declared.reply, "serialization"


def _renamed(schema: Any, named: Mapping[str, str]) -> Any:
    if isinstance(schema, dict):
        return {
            key: named.get(value, value) if key == "$ref" else _renamed(value, named)
            for key, value in schema.items()
        }
    return [_renamed(item, named) for item in schema] if isinstance(schema, list) else schema


def _key(model: type[BaseModel], mode: Mode) -> str:
    return f"{mode}/{model.__module__}.{model.__qualname__}"


def _ref(model: type[BaseModel], mode: Mode) -> dict[str, str]:
    return {"$ref": _PENDING + _key(model, mode)}


def _request_body(declared: RouteDeclaration) -> dict[str, Any]:
    model = declared.body
    optional = model is None or not any(field.is_required() for field in model.model_fields.values())
    schema: dict[str, Any] = _ref(model, "validation") if model is not None else {}
    return {
        "required": not optional,
        "content": {accepted: {"schema": schema} for accepted in declared.accepts},
    }


def _path_parameters(declared: RouteDeclaration) -> list[dict[str, Any]]:
    ids = declared.path_ids
    id_schema = {"type": "string", "format": "uuid", "pattern": UUID_PATTERN}
    text_schema = {"type": "string", "minLength": 1, "maxLength": 512}
    return [
        {"name": name, "in": "path", "required": True, "schema": id_schema if name in ids else text_schema}
        for name in declared.path_parameters
    ]


def _query_parameters(declared: RouteDeclaration) -> list[dict[str, Any]]:
    if declared.query is None:
        return []
    schema = declared.query.model_json_schema()
    required = schema.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _inline(shape, schema)}
        for name, shape in schema.get("properties", {}).items()
    ]


def _inline(shape: Any, root: Mapping[str, Any]) -> Any:
    """Parameters stand alone: what they refer to is written out in place."""
    if isinstance(shape, dict):
        if "$ref" in shape:
            return _inline(root["$defs"][shape["$ref"].rsplit("/", 1)[-1]], root)
        return {key: _inline(value, root) for key, value in shape.items()}
    return [_inline(item, root) for item in shape] if isinstance(shape, list) else shape


def _header_parameters(declared: RouteDeclaration) -> list[dict[str, Any]]:
    said: list[tuple[str, dict[str, Any]]] = []
    if declared.idempotent:
        said.append(("Idempotency-Key", {"type": "string", "pattern": r"^[\x21-\x7e]{1,255}$"}))
    if declared.kind == "command":
        etag = r'^(\*|(W/)?"[!#-~]{0,64}")$'
        said.append(("If-Match", {"type": "string", "pattern": etag, "examples": ['W/"3"']}))
    return [{"name": name, "in": "header", "required": False, "schema": schema} for name, schema in said]


def _responses(declared: RouteDeclaration) -> dict[str, Any]:
    answers = {str(declared.success): _success(declared)}
    if declared.kind == "command":
        answers["200"] = answers["202"] = answers[str(declared.success)]
    if declared.documented:
        for kind in _possible(declared):
            answers.setdefault(str(kind.status), _refused(kind, declared))
    return answers


def _success(declared: RouteDeclaration) -> dict[str, Any]:
    schema: dict[str, Any] = _ref(declared.reply, "serialization") if declared.reply is not None else {}
    said: dict[str, Any] = {
        "description": declared.summary,
        "content": {media_type: {"schema": schema} for media_type in declared.produces},
    }
    if declared.kind == "command":
        names = ["Location", "ETag", *(["Idempotent-Replayed"] if declared.idempotent else [])]
        said["headers"] = {name: {**_HEADERS[name], "schema": {"type": "string"}} for name in names}
    return said


def _possible(declared: RouteDeclaration) -> list[problems.ProblemType]:
    codes = ["busy", "internal"]
    if not declared.public:
        codes += ["unauthenticated", "forbidden"]
    if declared.path_parameters:
        codes.append("not-found")
    if declared.query is not None or declared.kind in ("command", "query"):
        codes.append("validation-failed")
    if declared.takes_body:
        codes += [
            "malformed-json",
            "too-large",
            "unsupported-media-type",
            "validation-failed",
            "request-timeout",
        ]
    if declared.idempotent:
        codes += ["in-flight", "key-reused"]
    if declared.kind == "command":
        codes.append("version-mismatch")
    return [*(problems.STANDARD[code] for code in codes), *declared.refusals]


def _refused(kind: problems.ProblemType, declared: RouteDeclaration) -> dict[str, Any]:
    content: dict[str, Any] = {problems.MEDIA_TYPE: {"schema": _PROBLEM_REF}}
    if declared.on_problem is not problems.as_json:
        content = {**{media_type: {} for media_type in declared.produces}, **content}
    said: dict[str, Any] = {"description": kind.title, "content": content}
    header = {401: "WWW-Authenticate", 403: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}.get(
        kind.status
    )
    if header is not None:
        said["headers"] = {header: {**_HEADERS[header], "schema": {"type": "string"}}}
    return said
