"""What the machine knows of processes: CPU spent, memory held, and when they are at rest."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command's name; empty for a process that is gone."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    parents = {int(entry.name): _stat(int(entry.name)) for entry in _PROC.iterdir() if entry.name.isdigit()}
    found = [pid]
    for one in found:
        found += [child for child, fields in parents.items() if fields and int(fields[1]) == one]
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU that these processes and their children (ended ones too) have spent: user and system."""
    total = 0
    for pid in pids:
        fields = _stat(pid)
        total += sum(int(ticks) for ticks in fields[11:15]) if fields else 0
    return total / _TICKS


def memory(pids: Iterable[int]) -> tuple[float, float]:
    """PSS and RSS of these processes together, in MB (PSS shares what several of them map)."""
    totals = {"Pss": 0, "Rss": 0}
    for pid in pids:
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in totals:
                totals[name] += int(rest.split()[0])
    return totals["Pss"] / 1024, totals["Rss"] / 1024


def steal_seconds() -> float:
    """CPU time that the host took from this machine since it started."""
    return int((_PROC / "stat").read_text().split("\n", 1)[0].split()[8]) / _TICKS


def settle(pids: Sequence[int], *, quiet: float = 0.05, patience: float = 8.0) -> bool:
    """Wait until these processes use less than ``quiet`` of a core; False when they did not in time."""
    deadline = time.monotonic() + patience
    before = cpu_seconds(pids)
    while time.monotonic() < deadline:
        time.sleep(0.25)
        now = cpu_seconds(pids)
        if (now - before) / 0.25 <= quiet:
            return True
        before = now
    return False


@dataclass(frozen=True, slots=True)
class Span:
    """CPU of some processes over a stretch of time."""

    seconds: float
    cpu: dict[str, float]

    def per_operation(self, group: str, operations: int) -> float:
        """Microseconds of CPU per operation."""
        return 1e6 * self.cpu[group] / operations if operations else float("nan")


class Stopwatch:
    """Measures wall time and the CPU of named groups of processes."""

    def __init__(self, groups: dict[str, Sequence[int]]) -> None:
        """``groups`` by name; each process counts with the descendants it has now."""
        self._pids = {name: [one for pid in pids for one in family(pid)] for name, pids in groups.items()}
        self._before = self._read()
        self._started = time.perf_counter()

    def stop(self) -> Span:
        """What was spent since it was made."""
        seconds = time.perf_counter() - self._started
        after = self._read()
        return Span(seconds, {name: after[name] - self._before[name] for name in after})

    def _read(self) -> dict[str, float]:
        return {name: cpu_seconds(pids) for name, pids in self._pids.items()}


def median(values: Sequence[float]) -> float:
    """The median; NaN of nothing."""
    return statistics.median(values) if values else float("nan")


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` (0 to 1) of ``values`` lie, by nearest rank; NaN of nothing."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
