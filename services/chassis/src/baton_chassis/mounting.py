"""Puts declared doors on an application: admit, measure, read, validate, ask, answer; any error in the door's
form."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Match, Route

from baton_chassis import logs, openapi, problems, strict_json, telemetry, validation
from baton_chassis.access import Forbidden, Principal, granted
from baton_chassis.commands import Caller, IdempotencyKey, Reply
from baton_chassis.doors import Answer, Ask, Doorway, RouteDeclaration, Routes, fingerprint
from baton_chassis.errors import Fault, Invalid, NotFound, Refused
from baton_chassis.problems import Problem
from baton_chassis.shapes import is_id

log = logs.get("doors")

_STATUS = {"done": 200, "existing": 200, "created": 201, "waiting": 202}
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')
_OUR_ETAG = re.compile(r'(?:W/)?"([0-9]{1,18})"')
_TEXT = re.compile(r"[^\x00-\x1f\x7f]{1,512}")
_ALWAYS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
"""On every answer unless the door says otherwise: answers hold patient data, so nobody between may keep
them."""


def new_app(*, title: str, version: str) -> FastAPI:
    """An application without a single route or habit of its own: no docs, no redirects, problems for every
    error."""
    app = FastAPI(
        title=title, version=version, openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False},
    )  # fmt: skip
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, _defect)
    return app


def mount(app: FastAPI, routes: Routes, doorway: Doorway) -> None:
    """Put every declared route on ``app``; hot ones also as a plain Starlette route ahead of all others.

    Several services may mount on one application, each with its own ``doorway``. The OpenAPI of ``app`` grows
    along.
    """
    for declared in routes.declarations:
        door = Door(declared, doorway)
        if declared.hot:
            app.router.routes.insert(0, Route(declared.path, door.answer, methods=[declared.method]))
        app.add_api_route(
            declared.path, door.answer, methods=[declared.method], response_class=Response,
            response_model=None, status_code=declared.success, tags=[declared.tag],
            summary=declared.summary, name=door.name, operation_id=door.name,
            include_in_schema=declared.documented, openapi_extra=openapi.operation(declared),
        )  # fmt: skip
        if declared.method == "GET":
            app.router.routes.append(Route(declared.path, door.answer, methods=["HEAD"]))
    openapi.extend(app, routes.declarations)


class Door:
    """One mounted route."""

    def __init__(self, declared: RouteDeclaration, doorway: Doorway) -> None:
        self._declared = declared
        self._doorway = doorway
        self._known = {**problems.STANDARD, **{kind.code: kind for kind in declared.refusals}}
        self._empty_body = declared.body is not None and not any(
            field.is_required() for field in declared.body.model_fields.values()
        )

    @property
    def name(self) -> str:
        """The operation's id: method and path, as ``post_v1_parcels_id_send``."""
        return re.sub(r"[^a-z0-9]+", "_", f"{self._declared.method} {self._declared.path}".lower()).strip("_")

    async def answer(self, request: Request) -> Response:
        """The response to one request, whatever happens: this is the last catch of a door."""
        request.scope["door"] = self._declared
        try:
            ask = await self._ask(request)
            return self._response(await self._declared.handler(ask), ask, request.method)
        except (
            Exception
        ) as error:  # a door must answer; a defect is logged, counted by its status, and shown as 500
            return self._refusal(error, request)

    async def _ask(self, request: Request) -> Ask[Any]:
        declared, headers = self._declared, request.headers
        caller = await self._caller(request)
        self._check_path(request.path_params)
        url_query = request.scope["query_string"].decode("latin-1")
        query = (
            validation.read_query(declared.query, url_query)
            if declared.query is not None or declared.kind in ("command", "query")
            else None
        )
        raw = await self._read(request) if declared.takes_body else b""
        body = self._body(raw, headers.get("content-type", ""))
        return Ask(
            doorway=self._doorway, caller=caller, body=body, query=query, path=request.path_params,
            headers=headers, raw=raw, url_query=url_query, key=self._key(request, url_query, raw),
            if_match=_if_match(headers.get("if-match")), method=request.method,
        )  # fmt: skip

    async def _caller(self, request: Request) -> Caller:
        trace = (
            telemetry.current() or telemetry.parse(request.headers.get("traceparent")) or telemetry.fresh()
        )
        correlation = request.headers.get("x-correlation-id", "")
        who = Principal(subject="public", client_id="", practice_id="", scopes=frozenset())
        if not self._declared.public:
            who = await self._doorway.admit(request.headers)
            if not any(granted(who.scopes, scope) for scope in self._declared.scopes):
                raise Forbidden(scope=" ".join(self._declared.scopes))
        return Caller(
            practice_id=who.practice_id, actor=who.subject, assertion=who.assertion, client_id=who.client_id,
            scopes=who.scopes, correlation_id=correlation if is_id(correlation) else self._doorway.new_id(),
            traceparent=trace.traceparent,
        )  # fmt: skip

    def _check_path(self, path: Mapping[str, str]) -> None:
        ids = self._declared.path_ids
        if not all(is_id(text) if name in ids else _TEXT.fullmatch(text) for name, text in path.items()):
            raise NotFound("There is nothing at this address.")

    async def _read(self, request: Request) -> bytes:
        limit = self._declared.max_body
        length = request.headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise Refused("Send Content-Length as a number of bytes.", code="bad-request")
        if len(length) > 18 or int(length) > limit:
            raise _too_large(limit)
        chunks, size = [], 0
        try:
            async with asyncio.timeout(self._doorway.body_seconds):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > limit:
                        raise _too_large(limit)
                    chunks.append(chunk)
        except TimeoutError:
            raise Refused("Send the body without long pauses.", code="request-timeout") from None
        except ClientDisconnect:
            raise Refused("The body ended early.", code="bad-request") from None
        return b"".join(chunks)

    def _body(self, raw: bytes, content_type: str) -> BaseModel | None:
        declared = self._declared
        if not declared.takes_body or (not raw and (declared.body is None or self._empty_body)):
            return validation.read_body(declared.body, b"{}") if declared.body is not None else None
        self._check_content_type(content_type)
        if declared.body is None:
            if declared.kind in ("raw", "page"):
                return None
            raise Invalid([Fault("", "unknown-field", "This address takes no body.")])
        try:
            strict_json.loads(raw)
        except strict_json.MalformedJson as error:
            raise Refused(str(error), code="malformed-json") from None
        return validation.read_body(declared.body, raw)

    def _check_content_type(self, content_type: str) -> None:
        media_type, _, parameters = content_type.partition(";")
        charset = re.search(r'charset\s*=\s*"?([^";\s]+)', parameters, re.IGNORECASE)
        wrong_charset = (
            charset is not None
            and charset[1].lower() not in ("utf-8", "utf8", "us-ascii")
            and self._declared.kind in ("command", "query")
        )
        if media_type.strip().lower() not in self._declared.accepts or wrong_charset:
            raise _UnsupportedMediaType(self._declared.accepts)

    def _key(self, request: Request, url_query: str, raw: bytes) -> IdempotencyKey | None:
        if not self._declared.idempotent:
            return None
        key = request.headers.get("idempotency-key")
        if key is None:
            return None
        if not _KEY.fullmatch(key):
            raise Invalid([
                Fault("", "invalid-idempotency-key", "Send 1 to 255 visible ASCII characters, like a UUID.")
            ])  # fmt: skip
        path = request.scope.get("raw_path", b"").decode("latin-1") or request.url.path
        return IdempotencyKey(key=key, fingerprint=fingerprint(request.method, path, url_query, raw))

    def _response(self, outcome: Reply | Answer, ask: Ask[Any], method: str) -> Response:
        if isinstance(outcome, Answer):
            return self._shown(outcome, method)
        headers = {} if outcome.location is None else {"Location": outcome.location}
        if ask.replayed:
            headers["Idempotent-Replayed"] = "true"
        status = _STATUS[outcome.kind]
        return self._shown(
            Answer(status=status, body=outcome.body, headers=headers, version=outcome.version), method
        )

    def _shown(self, answer: Answer, method: str) -> Response:
        headers = {**_ALWAYS, **answer.headers}
        if answer.version is not None:
            headers["ETag"] = f'W/"{answer.version}"'
        response: Response
        if isinstance(answer.body, AsyncIterator) and method != "HEAD":
            response = StreamingResponse(answer.body, answer.status, headers, media_type=answer.media_type)
        else:
            content = _bytes(answer.body)
            self._check_reply(answer, content)
            media_type = answer.media_type if content is not None else None
            response = Response(content, answer.status, headers, media_type=media_type)
        for cookie in answer.set_cookies:
            response.raw_headers.append((b"set-cookie", cookie.encode("latin-1")))
        return response

    def _check_reply(self, answer: Answer, content: bytes | None) -> None:
        declared = self._declared
        if not self._doorway.check_replies or declared.reply is None or answer.status >= 300:
            return
        if answer.status not in (declared.success, *((200, 202) if declared.kind == "command" else ())):
            raise UndeclaredAnswer(f"{declared.method} {declared.path} does not declare {answer.status}")
        declared.reply.model_validate_json(content or b"")

    def _refusal(self, error: Exception, request: Request) -> Response:
        problem = problems.problem_for(error, known=self._known)
        if problem is None:
            log.error("request.defect", route=self._declared.path, **problems.whereabouts(error))
            problem = problems.named("internal")
        media_type, body = self._declared.on_problem(problem, request.headers.get("accept", ""))
        return _written(problem, media_type, body)


class UndeclaredAnswer(Exception):
    """A handler answered with a status that its declaration does not name; only where answers are checked."""


class _UnsupportedMediaType(Refused):
    code = "unsupported-media-type"

    def __init__(self, accepted: tuple[str, ...]) -> None:
        super().__init__(f"Send one of: {', '.join(accepted)}.")
        self.headers = (("Accept", ", ".join(accepted)),)


def _too_large(limit: int) -> Refused:
    return Refused(f"Send at most {limit} bytes.", code="too-large")


def _if_match(header: str | None) -> int | None:
    """The version named (RFC 9110, 13.1.1). Ours are weak, compared by number; any other is out of date."""
    if header is None or header == "*":
        return None
    if not _ETAG.fullmatch(header):
        raise Invalid([Fault("", "invalid-if-match", "Send the one ETag of the thing as it was read.")])
    found = _OUR_ETAG.fullmatch(header)
    if found is None:
        raise Refused("The thing has no such version. Read it again and repeat.", code="version-mismatch")
    return int(found[1])


def _bytes(body: Any) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, BaseModel):
        return body.__pydantic_serializer__.to_json(body, by_alias=True)
    if isinstance(body, AsyncIterator):
        return b""
    return orjson.dumps(body)


def _written(problem: Problem, media_type: str, body: bytes) -> Response:
    return Response(body, problem.status, {**_ALWAYS, **dict(problem.headers)}, media_type=media_type)


def _http_exception(request: Request, error: Exception) -> Response:
    """What the router itself refuses: no such address, or not by this method (with every method it takes)."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    code = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}.get(status, "bad-request")
    headers = (("Allow", ", ".join(_allowed(request))),) if status == 405 else ()
    problem = problems.named(code, headers=headers)
    return _written(problem, *problems.as_json(problem, ""))


def _allowed(request: Request) -> list[str]:
    matching = (
        route
        for route in request.app.router.routes
        if route.matches(dict(request.scope))[0] is not Match.NONE
    )
    return sorted({method for route in matching for method in getattr(route, "methods", None) or ()})


def _defect(_request: Request, error: Exception) -> Response:
    log.error("request.defect", route="", **problems.whereabouts(error))
    problem = problems.named("internal")
    return _written(problem, *problems.as_json(problem, ""))
