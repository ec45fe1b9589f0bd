"""The last lines of a test run: what passed, on which back ends, and which servers could not be had."""

import sys
from collections import Counter
from collections.abc import Generator, Iterable

import pytest

BACKENDS = ("sqlite", "postgres", "kafka")
"""In the order of the line. A test runs on what its fixtures, marks or its parameter `backend` say."""

_FIXTURES = {
    "sqlite_file": "sqlite",
    "postgres_server": "postgres",
    "postgres_database": "postgres",
    "postgres_of_its_own": "postgres",
    "kafka_server": "kafka",
    "kafka_of_its_own": "kafka",
}
_WORST_FIRST = ("failed", "skipped", "passed")


def backends_of(item: pytest.Item) -> frozenset[str]:
    """The back ends that a test runs on, by its parameter `backend`, else by its fixtures and marks."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    if parameters.get("backend") in BACKENDS:
        return frozenset([parameters["backend"]])
    fixtures: Iterable[str] = getattr(item, "fixturenames", ())
    marks = {mark.name for mark in item.iter_markers()}
    return frozenset(_FIXTURES[name] for name in fixtures if name in _FIXTURES) | (marks & set(BACKENDS))


class RunSummary:
    """Counts each test once, by the worst of its phases, and prints the last lines."""

    def __init__(self) -> None:
        self._phases: dict[str, set[str]] = {}
        self._ran_on: set[str] = set()
        self._unavailable: dict[str, str] = {}
        self._active = False

    def unavailable(self, server: str, reason: str) -> None:
        """A server that a test asked for could not be had."""
        self._unavailable[server] = reason

    def lines(self) -> list[str]:
        """What is printed, the TESTS line last."""
        count = Counter(
            next(outcome for outcome in _WORST_FIRST if outcome in phases) for phases in self._phases.values()
        )
        backends = ",".join(name for name in BACKENDS if name in self._ran_on)
        return [
            *(f"SKIPPED {server}: {reason}" for server, reason in sorted(self._unavailable.items())),
            f"TESTS passed={count['passed']} failed={count['failed']} skipped={count['skipped']} "
            f"backends={backends}",
        ]

    def pytest_sessionstart(self) -> None:
        """A run that collects tests has begun (`--help` and the like do not get here)."""
        self._active = True

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be collected counts as a failed test; one skipped whole as a skipped one."""
        if report.outcome != "passed":
            self._phases.setdefault(report.nodeid, set()).add(report.outcome)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note each phase of each test, and where its body really ran."""
        report = yield
        if report.when == "call" or report.outcome != "passed":
            self._phases.setdefault(item.nodeid, set()).add(report.outcome)
        if report.when == "call" and report.outcome != "skipped":
            self._ran_on |= backends_of(item)
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Print: after pytest's own summary, which comes earlier, whatever its verbosity."""
        if self._active:
            sys.stdout.write("\n".join(["", *self.lines(), ""]))
            sys.stdout.flush()


SUMMARY = pytest.StashKey[RunSummary]()
"""Where the fixtures find the summary of this run."""


def pytest_configure(config: pytest.Config) -> None:
    """Begin the count."""
    config.stash[SUMMARY] = RunSummary()
    config.pluginmanager.register(config.stash[SUMMARY], "run-summary")
