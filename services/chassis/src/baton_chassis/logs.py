"""One JSON line for each thing that happened: fixed event names, allowed fields, typed values, nothing
else."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, cast

import orjson
import structlog
from structlog.typing import FilteringBoundLogger

from baton_chassis import metrics, telemetry

_EVENT = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+){0,3}")
_WORD = re.compile(r"[A-Za-z0-9_.:;,/<>(){}%'\-+*#@=\[\] ]{0,200}")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16}|[0-9a-f]{32}|")

Check = Callable[[Any], bool]


def word(value: Any) -> bool:
    """Short text from our own vocabulary: names of code, codes, topics, route templates."""
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


def identity(value: Any) -> bool:
    """A UUID, or a trace or span id."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def number(value: Any) -> bool:
    """A count, a duration, a position; what does not fit 64 bits is none of these."""
    return isinstance(value, (int, float)) and abs(value) < 2**63


_WORDS = (
    "component service version instance process role method route error_type error_at error_code where kind"
    " topic consumer member reason outcome channel event_type state setting name backend signal logger"
    " template profile address"
)
_IDENTITIES = (
    "trace_id span_id correlation_id causation_id event_id command_id practice_id timer_id artifact_id"
)
_NUMBERS = "status duration_ms sequence partition offset attempt count rows lag age_s port pid size line"
_FIELDS: dict[str, Check] = {
    **dict.fromkeys(_WORDS.split(), word),
    **dict.fromkeys(_IDENTITIES.split(), identity),
    **dict.fromkeys(_NUMBERS.split(), number),
}


def allow(**fields: Check) -> None:
    """Let a service's own fields through (``referral_id=logs.identity``). Called at import, by composition
    roots."""
    _FIELDS.update(fields)


def get(component: str) -> FilteringBoundLogger:
    """The logger of a module: ``log.warning("relay.failed", error_type=...)``.

    Event names are fixed words with dots. Fields that nobody allowed, or whose value is not of the allowed
    kind, are dropped and counted (``log_fields_dropped_total``), so that nothing said by a patient gets out
    this way.
    """
    return cast(FilteringBoundLogger, structlog.get_logger(component=component))


def configure(
    *, service: str = "", level: int = logging.INFO, write: Callable[[str], None] | None = None
) -> None:
    """Send every line, those of libraries too, to ``write`` (standard error by default)."""
    out = write or _standard_error

    def emit(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> str:
        out(rendered(line, service=service))
        raise structlog.DropEvent

    structlog.configure(
        processors=[structlog.processors.add_log_level, emit],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_Libraries(out, service)]
    root.setLevel(max(level, logging.WARNING))


def rendered(line: Mapping[str, Any], *, service: str = "") -> str:
    """The JSON of one line; only what is allowed is in it."""
    said = {
        "ts": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "level": line.get("level", "info"),
        "event": _event(line.get("event")),
        **({"service": service} if service else {}),
        **({"trace_id": telemetry.trace_id()} if telemetry.trace_id() else {}),
    }
    for name, value in line.items():
        if name in ("event", "level"):
            continue
        check = _FIELDS.get(name)
        if check is not None and (value is None or isinstance(value, bool) or check(value)):
            said[name] = value
        else:
            metrics.LOG_FIELDS_DROPPED.add()
    return orjson.dumps(said).decode()


def _event(name: Any) -> str:
    if isinstance(name, str) and len(name) <= 64 and _EVENT.fullmatch(name):
        return name
    metrics.LOG_FIELDS_DROPPED.add()
    return "log.unnamed"


class _Libraries(logging.Handler):
    """What libraries log through the standard library: who, how bad, and their message before anything was
    put into it. The finished text may quote values (a failed statement's parameters), so it is not
    written."""

    def __init__(self, write: Callable[[str], None], service: str) -> None:
        super().__init__()
        self._write_line = write
        self._service = service

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; never raises."""
        line: dict[str, Any] = {
            "event": "library",
            "level": record.levelname.lower(),
            "logger": record.name,
            "error_at": f"{record.filename}:{record.lineno}",
        }
        if record.args and isinstance(record.msg, str) and word(record.msg):
            line["template"] = record.msg
        if record.exc_info and record.exc_info[0] is not None:
            line["error_type"] = record.exc_info[0].__qualname__
        self._write_line(rendered(line, service=self._service))


def _standard_error(line: str) -> None:
    sys.stderr.write(line + "\n")  # looked up each time: tests and supervisors replace it


def _quiet_by_default() -> None:
    """Before anybody configures anything, the allow-list already holds."""
    if not structlog.is_configured():
        configure()


_quiet_by_default()
