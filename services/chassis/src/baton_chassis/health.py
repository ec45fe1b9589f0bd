"""Whether the process lives, whether it should get work, and how it does: doors that every service has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import FastAPI

from baton_chassis import metrics, problems
from baton_chassis.doors import Answer, Ask, Routes
from baton_chassis.errors import NotFound

_PATIENCE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What a check found. ``age_s``: seconds since it last went well, where that means something; ``detail``:
    fixed words, shown to anybody."""

    ok: bool
    age_s: float | None = None
    detail: str = ""


Check = Callable[[], Awaitable[Health]]


class Checks:
    """What must hold for a process to be ready. Checks ask for progress, not for an open connection."""

    def __init__(self, *, patience: float = _PATIENCE) -> None:
        self._checks: dict[str, Check] = {}
        self._patience = patience

    def add(self, name: str, check: Check) -> None:
        """Ask ``check`` at every probe; it gets two seconds. Raises ``ValueError`` for a name that is
        taken."""
        if name in self._checks:
            raise ValueError(f"the check {name} is registered twice")
        self._checks[name] = check

    async def run(self) -> list[tuple[str, Health]]:
        """Every check, all at once; one that raises or takes too long is not ok."""
        found = await asyncio.gather(*(self._run(check) for check in self._checks.values()))
        return list(zip(self._checks, found, strict=True))

    async def _run(self, check: Check) -> Health:
        try:
            async with asyncio.timeout(self._patience):
                return await check()
        except TimeoutError:
            return Health(ok=False, detail="no answer in time")
        except Exception as error:  # a probe must answer, and a check that breaks is an answer
            return Health(ok=False, detail=type(error).__name__)


def operations_routes(
    app: FastAPI,
    checks: Checks,
    *,
    registry: metrics.Registry = metrics.REGISTRY,
) -> Routes:
    """``/livez``, ``/readyz``, ``/metrics``, ``/openapi.json`` and ``/problems/{code}``, for mounting on
    ``app``."""
    routes = Routes(tag="operations")

    @routes.raw("GET", "/livez", public=True, produces=("application/json",), documented=False)
    async def livez(ask: Ask[Any]) -> Answer:
        """Say that the process turns; asks nobody else."""
        return Answer(body={"status": "ok"})

    @routes.raw("GET", "/readyz", public=True, produces=("application/json",), documented=False)
    async def readyz(ask: Ask[Any]) -> Answer:
        """Say whether the process should get work: 200 or 503, with ``?verbose`` line by line."""
        found = await checks.run()
        ready = all(health.ok for _, health in found)
        body: dict[str, Any] = {"status": "ok" if ready else "not-ready"}
        if ask.url_query.split("&")[0].split("=")[0] == "verbose":
            body["checks"] = [
                {"name": name, "ok": health.ok, "age_s": health.age_s, "detail": health.detail}
                for name, health in found
            ]
        return Answer(status=200 if ready else 503, body=body)

    @routes.raw("GET", "/metrics", public=True, produces=("text/plain",), documented=False)
    async def show_metrics(ask: Ask[Any]) -> Answer:
        """Show every metric as Prometheus text."""
        return Answer(body=registry.text(), media_type=metrics.MEDIA_TYPE)

    @routes.raw("GET", "/openapi.json", public=True, produces=("application/json",), documented=False)
    async def describe(ask: Ask[Any]) -> Answer:
        """Show what the doors promise, as OpenAPI."""
        return Answer(body=orjson.dumps(app.openapi()))

    @routes.raw("GET", "/problems/{code}", public=True, produces=("application/json",), documented=False)
    async def explain(ask: Ask[Any]) -> Answer:
        """Explain a problem code."""
        kind = _problem_types(app).get(ask.path["code"])
        if kind is None:
            raise NotFound("There is no such problem code.")
        return Answer(
            body={
                "code": kind.code,
                "status": kind.status,
                "title": kind.title,
                "explanation": kind.explanation,
            }
        )

    return routes


def _problem_types(app: FastAPI) -> dict[str, problems.ProblemType]:
    declared = getattr(app.state, "declarations", ())
    return {**problems.STANDARD, **{kind.code: kind for route in declared for kind in route.refusals}}
