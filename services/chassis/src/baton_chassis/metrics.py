"""What can be watched: counters, gauges and histograms by fixed names, as Prometheus text (exposition format
0.0.4)."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_MOST_SERIES = 500
"""Label sets of one metric; further ones are counted together as ``other``, so that no label can fill the
memory."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metric:
    """One name with a sentence and its label names. Labels are fixed words, never ids of people or of their
    things."""

    kind = "untyped"

    def __init__(
        self, name: str, sentence: str, *, labels: Sequence[str] = (), registry: Registry | None = None
    ) -> None:
        self.name, self.sentence, self.labels = name, sentence, tuple(labels)
        self._lock = threading.Lock()
        self._series: dict[tuple[str, ...], list[float]] = {}
        (registry if registry is not None else REGISTRY).add(self)

    def lines(self) -> Iterator[str]:
        """The metric as Prometheus text."""
        yield f"# HELP {self.name} {self.sentence}"
        yield f"# TYPE {self.name} {self.kind}"
        with self._lock:
            series = sorted((labels, list(values)) for labels, values in self._series.items())
        for labels, values in series:
            yield from self._samples(labels, values)

    def value(self, **labels: str) -> float:
        """The present value of one series (of a histogram: how many were observed); for tests and
        displays."""
        values = self._series.get(self._key(labels))
        return values[-1] if values else 0.0

    def _samples(self, labels: tuple[str, ...], values: list[float]) -> Iterator[str]:
        yield f"{self.name}{self._braced(labels)} {_text(values[0])}"

    def _of(self, labels: dict[str, str]) -> list[float]:
        """The series of these labels; call under the lock."""
        key = self._key(labels)
        if key not in self._series and len(self._series) >= _MOST_SERIES:
            key = ("other",) * len(self.labels)
        return self._series.setdefault(key, self._empty())

    def _key(self, labels: dict[str, str]) -> tuple[str, ...]:
        if labels.keys() != set(self.labels):
            raise ValueError(f"{self.name} has the labels {', '.join(self.labels) or 'none'}")
        return tuple(labels[name] for name in self.labels)

    def _empty(self) -> list[float]:
        return [0.0]

    def _braced(self, values: tuple[str, ...], *more: str) -> str:
        pairs = [f'{name}="{_escaped(value)}"' for name, value in zip(self.labels, values, strict=True)]
        return "{" + ",".join([*pairs, *more]) + "}" if pairs or more else ""


class Counter(Metric):
    """Only grows."""

    kind = "counter"

    def add(self, amount: float = 1.0, **labels: str) -> None:
        """Count ``amount`` more; never negative."""
        if amount < 0:
            raise ValueError("a counter only grows")
        with self._lock:
            self._of(labels)[0] += amount


class Gauge(Metric):
    """Goes up and down."""

    kind = "gauge"

    def set(self, value: float, **labels: str) -> None:
        """What it is now."""
        with self._lock:
            self._of(labels)[0] = value


class Histogram(Metric):
    """How long things took, in seconds."""

    kind = "histogram"

    def observe(self, seconds: float, **labels: str) -> None:
        """One more that took this long."""
        with self._lock:
            values = self._of(labels)
            values[bisect_left(_SECONDS, seconds)] += 1
            values[-2] += seconds
            values[-1] += 1

    def _empty(self) -> list[float]:
        return [0.0] * (len(_SECONDS) + 3)  # each bucket, beyond the last, sum, count

    def _samples(self, labels: tuple[str, ...], values: list[float]) -> Iterator[str]:
        running = 0.0
        for bound, count in zip((*map(_text, _SECONDS), "+Inf"), values, strict=False):
            running += count
            le = f'le="{bound}"'
            yield f"{self.name}_bucket{self._braced(labels, le)} {_text(running)}"
        yield f"{self.name}_sum{self._braced(labels)} {_text(values[-2])}"
        yield f"{self.name}_count{self._braced(labels)} {_text(values[-1])}"


class Registry:
    """All metrics of a process, each name once."""

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}

    def add(self, metric: Metric) -> None:
        """Make ``metric`` part of the text; raises ``ValueError`` for a name that is taken."""
        if metric.name in self._metrics:
            raise ValueError(f"{metric.name} is declared twice")
        self._metrics[metric.name] = metric

    def names(self) -> dict[str, str]:
        """Every name with its sentence."""
        return {name: metric.sentence for name, metric in sorted(self._metrics.items())}

    def text(self) -> str:
        """Everything, as Prometheus reads it."""
        return (
            "\n".join(line for _, metric in sorted(self._metrics.items()) for line in metric.lines()) + "\n"
        )


def _text(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _escaped(value: str) -> str:
    return value[:100].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


REGISTRY: Final = Registry()
"""The metrics of this process. A service declares its own beside these, at import."""

_BY_SERVICE = ("service",)
_BY_CONSUMER = ("consumer",)

REQUESTS = Histogram(
    "baton_http_request_seconds",
    "Requests by route template and status.",
    labels=("method", "route", "status"),
)
OUTBOX_ROWS = Gauge("baton_outbox_rows", "Events committed and not yet in the log.", labels=_BY_SERVICE)
OUTBOX_OLDEST = Gauge(
    "baton_outbox_oldest_age_seconds",
    "Age of the oldest event that is not yet in the log.",
    labels=_BY_SERVICE,
)
RELAY_LEADER = Gauge(
    "baton_relay_leader", "1 where this process publishes for the service.", labels=_BY_SERVICE
)
RELAY_PUBLISHED = Counter("baton_relay_published_total", "Events the log acknowledged.", labels=_BY_SERVICE)
RELAY_FAILURES = Counter(
    "baton_relay_publish_failures_total", "Batches the log did not acknowledge.", labels=("service", "error")
)
CONSUMER_LAG = Gauge(
    "baton_consumer_lag_messages",
    "Events in the log that are not applied yet.",
    labels=("consumer", "partition"),
)
CONSUMER_LAG_SECONDS = Gauge(
    "baton_consumer_lag_seconds", "Age of the oldest event that is not applied yet.", labels=_BY_CONSUMER
)
CONSUMER_PROGRESS = Gauge(
    "baton_consumer_last_progress_timestamp_seconds",
    "When events were applied last (Unix time).",
    labels=_BY_CONSUMER,
)
CONSUMER_DUPLICATES = Counter(
    "baton_consumer_duplicates_total", "Events seen before, left out.", labels=_BY_CONSUMER
)
CONSUMER_GAPS = Counter(
    "baton_consumer_gaps_total", "Events that came before their predecessor.", labels=_BY_CONSUMER
)
CONSUMER_FORKS = Counter(
    "baton_consumer_forks_total",
    "Two events with one number in a line: never seen in health.",
    labels=_BY_CONSUMER,
)
CONSUMER_ZOMBIES = Counter(
    "baton_consumer_zombie_commits_total",
    "Batches undone because the partition had a new owner.",
    labels=_BY_CONSUMER,
)
REBALANCES = Counter("baton_rebalances_total", "Times that partitions changed hands.", labels=_BY_CONSUMER)
PARKED = Gauge("baton_parked_events", "Events that wait for an operator.", labels=("consumer", "reason"))
END_TO_END = Histogram("baton_event_end_to_end_seconds", "From commit to applied.", labels=_BY_CONSUMER)
LOOP_FAILURES = Counter(
    "baton_loop_failures_total",
    "Rounds of a loop that failed and will be repeated.",
    labels=("service", "where"),
)
LOG_FIELDS_DROPPED = Counter(
    "baton_log_fields_dropped_total", "Log fields that were not allowed, or not of the allowed kind."
)
