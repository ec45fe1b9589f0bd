"""The first and the last thing every request passes: one trace, one log line, one measurement, the last
catch."""

from __future__ import annotations

import time
from collections.abc import Callable

from opentelemetry.trace import SpanKind
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from baton_chassis import logs, metrics, problems, telemetry
from baton_chassis.doors import RouteDeclaration

log = logs.get("http")

_QUIET = frozenset({"/livez", "/readyz", "/metrics"})


class Front:
    """Put outermost around an application (plain ASGI: it costs microseconds and sees everything)."""

    def __init__(self, app: ASGIApp, *, monotonic: Callable[[], float] = time.perf_counter) -> None:
        self._app, self._monotonic = app, monotonic
        self._log = log.bind()  # once: binding costs more than writing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve; an exception that got this far is logged by type and place and answered as ``internal``."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        parent = telemetry.parse(_header(scope, b"traceparent"))
        with telemetry.span("http.request", parent=parent, kind=SpanKind.SERVER):
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, status = self._monotonic(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # nothing may pass this point: the server would print it with its text
            log.error("request.defect", **problems.whereabouts(error))
            if status == 0:
                await _answer_internal(watched)
        finally:
            self._note(scope, status, self._monotonic() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        door = scope.get("door")
        route = door.path if isinstance(door, RouteDeclaration) else "none"
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        metrics.REQUESTS.observe(seconds, method=method, route=route, status=str(status))
        if route not in _QUIET:
            self._log.info(
                "request", method=method, route=route, status=status, duration_ms=round(seconds * 1000, 2)
            )


_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})


def _header(scope: Scope, name: bytes) -> str | None:
    found = [value for key, value in scope["headers"] if key == name]
    return found[0].decode("latin-1") if len(found) == 1 else None


async def _answer_internal(send: Send) -> None:
    problem = problems.named("internal")
    media_type, body = problems.as_json(problem, "")
    headers = [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
