"""streams: how fast a relay empties a full outbox and how fast consumers apply a full log, each in a process
of its own (`stream_process.py`), on SQLite with the embedded log and on PostgreSQL with Kafka.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from measuring import cpu_seconds, family
from standing import HERE, Stand, environment
from table import Table


def run(stand: Stand) -> Table:
    """Both ways of running."""
    count = stand.choose(20_000, 2_000, 200)
    table = Table(
        f"streams: {count} events of distinct referrals in the outbox, then in the log",
        ("what", "events/s", "app us/event", "servers us/event"),
    )
    _way(table, stand, "SQLite", count, {})
    if not stand.tiny and stand.postgres is not None and stand.kafka is not None:
        told = {"BATON_DATABASE_URL": str(stand.database()), "BATON_KAFKA": stand.kafka.bootstrap}
        _way(table, stand, "PostgreSQL, Kafka", count, told)
    return table


def _way(table: Table, stand: Stand, name: str, count: int, told: dict[str, str]) -> None:
    servers = [server.pid for server in (stand.postgres, stand.kafka) if server is not None] if told else []
    folder = stand.place(name.replace(", ", "-"))
    process = subprocess.Popen(
        [sys.executable, str(HERE / "stream_process.py"), str(count)],
        stdout=subprocess.PIPE,
        env=environment(BATON_DATA_DIR=str(folder), **told),
    )
    assert process.stdout is not None
    rates: dict[str, float] = {}
    before = 0.0
    for line in process.stdout:
        said: dict[str, Any] = json.loads(line)
        spent = cpu_seconds(one for pid in servers for one in family(pid))
        if said["now"] == "begins":
            before = spent
            continue
        rates[said["what"]] = said["count"] / said["seconds"]
        table.add(
            f"{name}: {said['what']}",
            f"{said['count'] / said['seconds']:.0f}",
            f"{1e6 * said['cpu'] / said['count']:.0f}",
            f"{1e6 * (spent - before) / said['count']:.0f}" if servers else "in app",
        )
    if process.wait() != 0:
        table.note(f"{name}: the process ended with {process.returncode}")
        return
    _ratios(table, name, rates)


def _ratios(table: Table, name: str, rates: dict[str, float]) -> None:
    log_alone, read_alone = rates["log alone, appending 500 at once"], rates["log alone, reading"]
    table.note(f"{name}: relay / log alone {rates['relay'] / log_alone:.2f}x")
    for consumer in ("scheduling consumer", "notification consumer"):
        table.note(f"{name}: {consumer} / reading alone {rates[consumer] / read_alone:.2f}x")
    one = rates["scheduling consumer, one event a transaction"]
    table.note(
        f"{name}: scheduling, batches / one event a transaction {rates['scheduling consumer'] / one:.2f}x"
    )
