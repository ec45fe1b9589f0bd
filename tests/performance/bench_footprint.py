"""footprint: what `baton up` takes of the machine when nothing happens, and how long it takes to be ready."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from measuring import cpu_seconds, family, median, memory, settle
from standing import ROOT, Stand, installation, start
from table import Table


def run(stand: Stand) -> Table:
    """First start (tables made, demo played), then warm starts, then a rest."""
    table = Table("footprint: baton up, every service in one process, SQLite", ("what", "figure"))
    running, _ = installation(stand, "data")
    table.add("first start to ready, with migrations and the demo", f"{running.seconds_to_ready:.1f} s")
    running.stop()
    warm = []
    for _ in range(stand.choose(3, 1, 1)):
        running, _ = installation(stand, "data")
        warm.append(running.seconds_to_ready)
        running.stop()
    table.add("warm start to ready (the demo asked for again)", f"{median(warm):.1f} s")
    running, _ = installation(stand, "data")
    _rest(table, stand, running.pid)
    running.stop()
    if stand.fresh:
        _fresh(table, stand)
    return table


def _rest(table: Table, stand: Stand, pid: int) -> None:
    settle([pid], patience=20)
    pids = family(pid)
    seconds = stand.choose(20.0, 5.0, 1.0)
    before, started = cpu_seconds(pids), time.monotonic()
    time.sleep(seconds)
    share = (cpu_seconds(pids) - before) / (time.monotonic() - started)
    pss, rss = memory(pids)
    table.add("memory after the demo, PSS / RSS", f"{pss:.0f} / {rss:.0f} MB")
    table.add(f"CPU at rest, over {seconds:.0f} s", f"{100 * share:.1f} % of a core")
    table.add("threads", str(sum(len(list(Path(f"/proc/{one}/task").iterdir())) for one in pids)))


def _fresh(table: Table, stand: Stand) -> None:
    """Clone what is committed, then `make run` there: everything that a newcomer waits for."""
    clone = stand.place("fresh") / "project"
    started = time.perf_counter()
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    running = start(
        ["make", "run", f"PYTHON={sys.executable}"],
        stand.place("fresh") / "output.txt",
        {"BATON_PORT": "0", "BATON_DATA_DIR": str(stand.place("fresh") / "data")},
        patience=900,
        cwd=clone,
    )
    table.add("fresh clone to ready (git clone, make run)", f"{time.perf_counter() - started:.0f} s")
    for pid in reversed(family(running.pid)):
        subprocess.run(["kill", "-INT", str(pid)], check=False)
    running.stop()
