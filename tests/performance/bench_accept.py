"""accept: how many referrals a second one process takes in, durable and with every safeguard, beside the
same features as the tutorials write them, and what single safeguards cost.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from load import Burst, burst
from measuring import Stopwatch, median, percentile, settle, steal_seconds
from referrals import requests, token_of
from standing import DidNotStart, Running, Stand, has, python
from table import Table

from baton_chassis.practices import read_practices
from baton_chassis.tokens import Issuer

CONNECTIONS = 16


@dataclass
class Variant:
    """One server under measurement and what was seen of it."""

    name: str
    running: Running
    requests: Iterator[bytes]
    postgres: bool = False
    rates: list[float] = field(default_factory=list)
    app_cpu: list[float] = field(default_factory=list)
    postgres_cpu: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    refused: int = 0

    @property
    def rate(self) -> float:
        """Median requests a second over the rounds."""
        return median(self.rates)

    @property
    def cpu(self) -> float:
        """Median CPU per request, microseconds, process and database together."""
        return median(self.app_cpu) + (median(self.postgres_cpu) if self.postgres else 0.0)


def run(stand: Stand) -> Table:
    """Start every variant, then measure them in turn, round after round."""
    variants = list(_variants(stand))
    rounds, seconds = stand.choose(5, 2, 1), stand.choose(1.5, 0.8, 0.2)
    stolen = steal_seconds()
    for number in range(rounds + 1):
        for variant in variants:
            _measure(stand, variant, seconds, counts=number > 0)
    stolen = steal_seconds() - stolen
    return _table(variants, rounds, seconds, stolen)


def _measure(stand: Stand, variant: Variant, seconds: float, *, counts: bool) -> None:
    """One round; the first of all warms up and does not count."""
    postgres = [stand.postgres.pid] if variant.postgres and stand.postgres else []
    settle([variant.running.pid, *postgres])
    watch = Stopwatch({"app": [variant.running.pid], "postgres": postgres})
    try:
        result: Burst = _loop().run(
            burst(
                variant.running.port,
                variant.requests,
                wanted=201,
                connections=CONNECTIONS,
                seconds=seconds,
            )
        )
    except OSError as error:
        raise DidNotStart(f"{variant.name} is gone: {variant.running.last_words}") from error
    span = watch.stop()
    variant.refused += sum(result.refused.values())
    if result.refused:
        print(f"{variant.name}: refused {result.refused}", file=sys.stderr)
    if not counts or not result.done:
        return
    variant.rates.append(result.rate)
    variant.app_cpu.append(span.per_operation("app", result.done))
    variant.postgres_cpu.append(span.per_operation("postgres", result.done))
    variant.latencies += result.latencies


def _loop() -> asyncio.Runner:
    import uvloop  # the client's loop; only where something is measured

    return _RUNNERS.setdefault("one", asyncio.Runner(loop_factory=uvloop.new_event_loop))


_RUNNERS: dict[str, asyncio.Runner] = {}


def _variants(stand: Stand) -> Iterator[Variant]:
    yield _echo(stand)
    yield _ours(stand, "ours, SQLite, web", role="web")
    yield _ours(stand, "ours, SQLite, all roles", role="all")
    yield _ours(stand, "ours, SQLite, web, batch of 1", role="web", largest=1)
    if has("aiosqlite"):
        yield _tutorial(stand, "tutorial, SQLite")
    else:
        print("no tutorial on SQLite: install aiosqlite to have it", file=sys.stderr)
    if stand.tiny or stand.postgres is None:
        return
    yield _ours(stand, "ours, PostgreSQL, web", role="web", postgres=True)
    yield _ours(stand, "ours, PostgreSQL, all roles", role="all", postgres=True)
    yield _ours(stand, "ours, PostgreSQL, web, batch of 1", role="web", postgres=True, largest=1)
    yield _tutorial(stand, "tutorial, PostgreSQL", postgres=True)


def _echo(stand: Stand) -> Variant:
    running = stand.keep(python("echo_service.py", stand.place("echo") / "output.txt"))
    return Variant("bare echo", running, requests("none", "echo"))


def _ours(
    stand: Stand, name: str, *, role: str, postgres: bool = False, largest: int | None = None
) -> Variant:
    folder = stand.place(name.replace(" ", "-").replace(",", ""))
    told = {"BATON_DATA_DIR": str(folder), "BATON_PORT": "0", "BATON_ROLE": role}
    if postgres:
        told["BATON_DATABASE_URL"] = str(stand.database())
        if role == "all" and stand.kafka is not None:
            told["BATON_KAFKA"] = stand.kafka.bootstrap
    if largest is not None:
        told["BENCH_LARGEST_BATCH"] = str(largest)
    running = stand.keep(python("intake_process.py", folder / "output.txt", **told))
    token = token_of(folder, read_practices(None).ids[0])
    return Variant(name, running, requests(token, _key(name)), postgres)


def _tutorial(stand: Stand, name: str, *, postgres: bool = False) -> Variant:
    folder = stand.place(name.replace(" ", "-").replace(",", ""))
    issuer = Issuer.embedded(folder / "issuer.pem", profile="dev")
    jwks = folder / "jwks.json"
    jwks.write_text(json.dumps(issuer.jwks()))
    url = (
        str(stand.database()).replace("postgresql://", "postgresql+asyncpg://")
        if postgres
        else f"sqlite+aiosqlite:///{folder / 'tutorial.sqlite'}"
    )
    told = {"TUTORIAL_DATABASE": url, "TUTORIAL_JWKS": str(jwks)}
    running = stand.keep(python("tutorial_service.py", folder / "output.txt", **told))
    token = token_of(folder, read_practices(None).ids[0])
    return Variant(name, running, requests(token, _key(name)), postgres)


def _key(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _table(variants: list[Variant], rounds: int, seconds: float, stolen: float) -> Table:
    table = Table(
        f"accept: POST /v1/referrals, {CONNECTIONS} connections, median of {rounds} rounds of {seconds} s, "
        f"one process (host took {stolen:.1f} s of CPU)",
        ("variant", "req/s", "p50 ms", "p99 ms", "app us/req", "db us/req", "us/req", "refused"),
    )
    for one in variants:
        table.add(
            one.name,
            f"{one.rate:.0f}",
            f"{1e3 * median(one.latencies):.1f}",
            f"{1e3 * percentile(one.latencies, 0.99):.1f}",
            f"{median(one.app_cpu):.0f}",
            f"{median(one.postgres_cpu):.0f}" if one.postgres else "in app",
            f"{one.cpu:.0f}",
            str(one.refused),
        )
    _ratios(table, {one.name: one for one in variants})
    return table


def _ratios(table: Table, by_name: dict[str, Variant]) -> None:
    """Quotients of rates and of CPU: these mean the same on another machine."""
    for back_end in ("SQLite", "PostgreSQL"):
        web = by_name.get(f"ours, {back_end}, web")
        if web is None:
            continue
        others = {
            f"{back_end}: ours / tutorial": by_name.get(f"tutorial, {back_end}"),
            f"{back_end}: grouped / batch of 1": by_name.get(f"ours, {back_end}, web, batch of 1"),
            f"{back_end}: web / all roles": by_name.get(f"ours, {back_end}, all roles"),
            f"{back_end}: ours / bare echo": by_name.get("bare echo"),
        }
        for name, other in others.items():
            if other is not None and other.rate:
                table.note(f"{name}: {web.rate / other.rate:.2f}x req/s, {web.cpu / other.cpu:.2f}x CPU")
