"""What can be seen from outside (logs, metrics, traces, probes) and what must not be."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace as otel

from baton_chassis import logs, metrics, mounting, problems, telemetry
from baton_chassis.access import Principal
from baton_chassis.clock import SystemClock
from baton_chassis.commands import Caller, Command, IdempotencyKey
from baton_chassis.doors import Answer, Ask, Decided, Doorway, Routes, View
from baton_chassis.front import Front
from baton_chassis.health import Checks, Health, operations_routes
from baton_chassis.ids import new_id

CANARY = "Kanarienvogel-Ada"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Thing(View):
    id: str = ""


async def admit(headers: Mapping[str, str]) -> Principal:
    return Principal(subject="ada", client_id="c", practice_id="p1", scopes=frozenset({"things:read"}))


async def submit(
    command: Command, caller: Caller, *, key: IdempotencyKey | None = None, if_match: int | None = None
) -> Decided:
    raise AssertionError("nothing is submitted here")


def things() -> Routes:
    routes = Routes(tag="things")
    gone = problems.ProblemType(code="thing-gone", status=409, title="Gone", explanation="It went.")

    @routes.query("GET", "/v1/things/{id}", scope="things:read", reply=Thing, refusals=(gone,))
    async def one(ask: Ask[None]) -> Answer:
        """Read a thing."""
        here = telemetry.current()
        return Answer(
            body=Thing(id=here.trace_id if here else ""), headers={"X-Caller": ask.caller.traceparent}
        )

    return routes


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """Every log line while the test runs, parsed."""
    written: list[dict[str, Any]] = []
    logs.configure(service="things", write=lambda line: written.append(json.loads(line)))
    yield written
    logs.configure()
    logging.getLogger().handlers = []


@pytest.fixture
def checks() -> Checks:
    return Checks(patience=0.05)


@pytest.fixture
def app(checks: Checks) -> FastAPI:
    app = mounting.new_app(title="Things", version="1")
    doorway = Doorway(admit=admit, submit=submit, clock=SystemClock(), new_id=new_id)
    mounting.mount(app, things(), doorway)
    mounting.mount(app, operations_routes(app, checks), doorway)

    async def explode(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError(CANARY)

    app.mount("/explode", explode)
    return app


async def get(app: FastAPI, path: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(Front(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        return await client.get(path, headers=headers)


async def test_one_request_is_one_line_with_its_template_and_trace(
    app: FastAPI, lines: list[dict[str, Any]]
) -> None:
    response = await get(app, f"/v1/things/{new_id()}?x={CANARY}", traceparent=TRACEPARENT)

    [line] = lines
    assert (line["event"], line["method"], line["route"], line["status"]) == (
        "request",
        "GET",
        "/v1/things/{id}",
        422,
    )
    assert line["trace_id"] == response.json()["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert line["duration_ms"] >= 0
    assert line["service"] == "things"
    assert CANARY not in json.dumps(lines)


async def test_the_trace_goes_on_with_a_span_of_our_own(app: FastAPI) -> None:
    known = await get(app, f"/v1/things/{new_id()}", traceparent=TRACEPARENT)
    unknown = await get(app, f"/v1/things/{new_id()}")

    assert known.json()["id"] == "0af7651916cd43dd8448eb211c80319c"
    passed_on = telemetry.parse(known.headers["x-caller"])
    assert passed_on is not None
    assert (passed_on.trace_id, passed_on.span_id != "b7ad6b7169203331") == (known.json()["id"], True)
    assert len(unknown.json()["id"]) == 32
    assert telemetry.current() is None


async def test_what_no_door_caught_ends_at_the_front(app: FastAPI, lines: list[dict[str, Any]]) -> None:
    response = await get(app, "/explode/x")

    assert (response.status_code, response.json()["code"]) == (500, "internal")
    assert CANARY not in json.dumps(lines) + response.text
    assert any(
        line["event"] == "request.defect" and line["error_type"] == "builtins.RuntimeError" for line in lines
    )


async def test_the_front_answers_what_broke_before_an_answer_and_ends_what_broke_after(
    lines: list[dict[str, Any]],
) -> None:
    async def late(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError(CANARY)

    async def early(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError(CANARY)

    async def other(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": scope["type"]})

    for app, status in ((late, 200), (early, 500)):
        sent = await spoken(app, {"type": "http", "method": "BREW", "headers": []})
        assert [message["status"] for message in sent if "status" in message] == [status]
        assert lines[-1]["method"] == "OTHER"
    assert await spoken(other, {"type": "lifespan"}) == [{"type": "lifespan"}]
    assert CANARY not in json.dumps(lines)


async def spoken(app: Any, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """What an application says behind the front."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    await Front(app)(scope, receive, send)
    return sent


async def test_unknown_addresses_share_one_label(app: FastAPI) -> None:
    before = metrics.REQUESTS.value(method="GET", route="none", status="404")

    await get(app, f"/{CANARY}")

    assert metrics.REQUESTS.value(method="GET", route="none", status="404") == before + 1
    assert CANARY not in metrics.REGISTRY.text()


async def test_a_process_lives_whatever_its_checks_say(app: FastAPI, checks: Checks) -> None:
    async def stuck() -> Health:
        await asyncio.Event().wait()
        raise AssertionError

    async def broken() -> Health:
        raise ValueError(CANARY)

    async def fine() -> Health:
        return Health(ok=True, age_s=0.5, detail="caught up")

    checks.add("log", fine)
    assert (await get(app, "/readyz")).json() == {"status": "ok"}
    checks.add("database", stuck)
    checks.add("relay", broken)

    probe = await get(app, "/readyz?verbose")
    assert probe.status_code == 503
    assert probe.json() == {
        "status": "not-ready",
        "checks": [
            {"name": "log", "ok": True, "age_s": 0.5, "detail": "caught up"},
            {"name": "database", "ok": False, "age_s": None, "detail": "no answer in time"},
            {"name": "relay", "ok": False, "age_s": None, "detail": "ValueError"},
        ],
    }
    assert (await get(app, "/readyz")).status_code == 503
    assert (await get(app, "/livez")).json() == {"status": "ok"}
    with pytest.raises(ValueError, match="twice"):
        checks.add("log", fine)


async def test_metrics_and_openapi_and_problems_are_shown(app: FastAPI) -> None:
    text = await get(app, "/metrics")
    described = await get(app, "/openapi.json")
    own, standard, unknown = [await get(app, f"/problems/{c}") for c in ("thing-gone", "busy", "nothing")]

    assert text.headers["content-type"] == metrics.MEDIA_TYPE
    assert "# TYPE baton_outbox_rows gauge" in text.text
    assert list(described.json()["paths"]) == ["/v1/things/{id}"]
    assert own.json() == {"code": "thing-gone", "status": 409, "title": "Gone", "explanation": "It went."}
    assert standard.json()["status"] == 503
    assert unknown.status_code == 404


def test_only_allowed_fields_of_the_allowed_kind_are_logged(lines: list[dict[str, Any]]) -> None:
    dropped = metrics.LOG_FIELDS_DROPPED.value()

    logs.get("t").warning(
        "loop.failed",
        where="relay",
        patient=CANARY,
        error_type="x\nforged",
        event_id=CANARY,
        count="3",
        attempt=2,
    )
    logs.get("t").warning(f"{CANARY} came in")
    logs.get("t").warning("x\x1b[31m")

    first, second, third = lines
    assert first.keys() == {"ts", "level", "event", "service", "component", "where", "attempt"}
    assert (first["level"], first["component"], first["attempt"]) == ("warning", "t", 2)
    assert (second["event"], third["event"]) == ("log.unnamed", "log.unnamed")
    assert CANARY not in json.dumps(lines)
    assert metrics.LOG_FIELDS_DROPPED.value() == dropped + 6


def test_a_service_may_allow_fields_of_its_own(lines: list[dict[str, Any]]) -> None:
    logs.allow(parcel_id=logs.identity)
    parcel = new_id()

    logs.get("t").info("parcel.sent", parcel_id=parcel)

    assert lines[0]["parcel_id"] == parcel


def test_libraries_are_heard_without_their_values(lines: list[dict[str, Any]]) -> None:
    logging.getLogger("some.library").error("row %s failed", CANARY)
    logging.getLogger("some.library").error(f"row {CANARY} failed")
    logging.getLogger("some.library").info("chatter")
    try:
        raise ValueError(CANARY)
    except ValueError:
        logging.getLogger("some.library").exception("failed for %s", CANARY)

    assert [line.get("template") for line in lines] == ["row %s failed", None, "failed for %s"]
    assert lines[2]["error_type"] == "ValueError"
    assert CANARY not in json.dumps(lines)


@given(st.text(), st.text() | st.binary() | st.dictionaries(st.text(), st.text()) | st.integers() | st.none())
def test_every_line_is_one_line(name: str, value: Any) -> None:
    line = logs.rendered({"event": name, "where": value, "count": value, name: value})

    assert "\n" not in line
    assert "\r" not in line
    assert json.loads(line)["level"] == "info"


def test_metrics_read_as_prometheus_text() -> None:
    registry = metrics.Registry()
    counter = metrics.Counter("t_total", "Things.", labels=("kind",), registry=registry)
    gauge = metrics.Gauge("t_rows", "Rows.", registry=registry)
    histogram = metrics.Histogram("t_seconds", "Time.", registry=registry)
    counter.add(kind='a"b\n')
    counter.add(2, kind="c")
    gauge.set(1.5)
    for seconds in (0.001, 0.3, 99.0):
        histogram.observe(seconds)

    text = registry.text()

    assert 't_total{kind="a\\"b\\n"} 1' in text
    assert 't_total{kind="c"} 2' in text
    assert "t_rows 1.5" in text
    assert 't_seconds_bucket{le="0.005"} 1' in text
    assert 't_seconds_bucket{le="0.5"} 2' in text
    assert 't_seconds_bucket{le="10"} 2' in text
    assert 't_seconds_bucket{le="+Inf"} 3' in text
    assert "t_seconds_sum 99.301" in text
    assert "t_seconds_count 3" in text
    with pytest.raises(ValueError, match="labels"):
        counter.add(sort="a")
    with pytest.raises(ValueError, match="grows"):
        counter.add(-1, kind="a")
    with pytest.raises(ValueError, match="twice"):
        metrics.Gauge("t_rows", "Rows.", registry=registry)


def test_labels_cannot_fill_the_memory() -> None:
    registry = metrics.Registry()
    counter = metrics.Counter("t_total", "Things.", labels=("kind",), registry=registry)

    for number in range(2000):
        counter.add(kind=str(number))

    assert registry.text().count("t_total{") == 501
    assert counter.value(kind="other") == 1500


def test_every_metric_has_a_sentence_and_no_label_of_a_person() -> None:
    for name, sentence in metrics.REGISTRY.names().items():
        assert name.startswith("baton_")
        assert sentence.endswith(".")
    allowed = {
        "service",
        "consumer",
        "partition",
        "reason",
        "error",
        "where",
        "method",
        "route",
        "status",
        "le",
    }
    labels = {
        part.split("=")[0]
        for line in metrics.REGISTRY.text().splitlines()
        if "{" in line
        for part in line.split("{")[1].split("}")[0].split(",")
    }
    assert labels <= allowed


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "x",
        TRACEPARENT.upper(),
        "ff" + TRACEPARENT[2:],
        TRACEPARENT + "-x",
        TRACEPARENT + "\n",
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
        "0" * 70_000,
    ],
)
def test_an_invalid_traceparent_is_ignored(header: str | None) -> None:
    assert telemetry.parse(header) is None


def test_a_valid_traceparent_is_read_and_written() -> None:
    trace = telemetry.parse(TRACEPARENT)

    assert trace is not None
    assert trace.traceparent == TRACEPARENT
    assert telemetry.parse("01" + TRACEPARENT[2:] + "-later") == trace
    assert telemetry.parse(telemetry.fresh().traceparent) is not None


class Recorder(otel.TracerProvider):
    """An SDK in twenty lines: remembers what was started, and gives ids of its own."""

    def __init__(self) -> None:
        self.started: list[tuple[str, otel.SpanKind, int]] = []

    def get_tracer(self, *_args: Any, **_kwargs: Any) -> otel.Tracer:
        recorder = self

        class Tracer(otel.NoOpTracer):
            @contextmanager
            def start_as_current_span(self, name: str, *args: Any, **kwargs: Any) -> Iterator[otel.Span]:  # type: ignore[override]
                parent = otel.get_current_span(kwargs["context"]).get_span_context().trace_id
                recorder.started.append((name, kwargs["kind"], parent))
                yield otel.NonRecordingSpan(otel.SpanContext(parent or 7, 9, False, otel.TraceFlags(1)))

        return Tracer()


async def test_where_an_sdk_is_installed_its_spans_carry_the_trace(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    monkeypatch.setattr(otel, "get_tracer_provider", lambda: recorder)

    known = await get(app, f"/v1/things/{new_id()}", traceparent=TRACEPARENT)
    unknown = await get(app, f"/v1/things/{new_id()}")

    assert known.headers["x-caller"] == "00-0af7651916cd43dd8448eb211c80319c-0000000000000009-01"
    assert unknown.json()["id"] == f"{7:032x}"
    assert [(name, kind) for name, kind, _ in recorder.started] == [
        ("http.request", otel.SpanKind.SERVER)
    ] * 2
