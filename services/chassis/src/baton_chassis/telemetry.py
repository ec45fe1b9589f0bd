"""Which trace a piece of work belongs to: W3C trace context in, one own span, trace context out."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from opentelemetry import trace as otel
from opentelemetry.context import Context

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Trace:
    """A place in a trace (W3C Trace Context, level 1)."""

    trace_id: str
    span_id: str
    sampled: bool = True

    @property
    def traceparent(self) -> str:
        """The header that hands this place on."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


_current: ContextVar[Trace | None] = ContextVar("current_trace", default=None)


def current() -> Trace | None:
    """The trace of the work at hand, if there is one."""
    return _current.get()


def trace_id() -> str:
    """The trace id of the work at hand, or an empty string."""
    here = _current.get()
    return here.trace_id if here else ""


def parse(traceparent: str | None) -> Trace | None:
    """The place a ``traceparent`` names; None for anything the standard calls invalid (it is then
    ignored)."""
    if traceparent is None or len(traceparent) > 512:
        return None
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return None
    version, trace_id_, span_id, flags, rest = found.groups()
    if version == "ff" or (version == "00" and rest) or not int(trace_id_, 16) or not int(span_id, 16):
        return None
    return Trace(trace_id_, span_id, bool(int(flags, 16) & 1))


def fresh() -> Trace:
    """A new trace."""
    return Trace(secrets.token_hex(16), secrets.token_hex(8))


@contextmanager
def span(name: str, *, parent: Trace | None, kind: otel.SpanKind = otel.SpanKind.INTERNAL) -> Iterator[Trace]:
    """Work under one span of our own; inside, ``current()`` is the place to hand on.

    The ids come from the OpenTelemetry SDK where one is installed, else they are made here, so that problems,
    logs and events name one trace in either case. ``name`` is a fixed word or a route template.
    """
    if isinstance(otel.get_tracer_provider(), otel.ProxyTracerProvider):  # no SDK: nothing would be recorded
        with _standing_at(_next(parent)) as here:
            yield here
        return
    with (
        otel.get_tracer("baton_chassis").start_as_current_span(
            name, context=_context(parent), kind=kind, record_exception=False
        ) as started,
        _standing_at(_place(started.get_span_context(), parent)) as here,
    ):
        yield here


@contextmanager
def _standing_at(here: Trace) -> Iterator[Trace]:
    token = _current.set(here)
    try:
        yield here
    finally:
        _current.reset(token)


def _next(parent: Trace | None) -> Trace:
    return fresh() if parent is None else Trace(parent.trace_id, secrets.token_hex(8), parent.sampled)


def _context(parent: Trace | None) -> Context | None:
    if parent is None:
        return None
    flags = otel.TraceFlags(otel.TraceFlags.SAMPLED if parent.sampled else otel.TraceFlags.DEFAULT)
    remote = otel.SpanContext(
        int(parent.trace_id, 16), int(parent.span_id, 16), is_remote=True, trace_flags=flags
    )
    return otel.set_span_in_context(otel.NonRecordingSpan(remote))


def _place(started: otel.SpanContext, parent: Trace | None) -> Trace:
    if started.is_valid and (parent is None or f"{started.span_id:016x}" != parent.span_id):
        return Trace(f"{started.trace_id:032x}", f"{started.span_id:016x}", started.trace_flags.sampled)
    return _next(parent)
