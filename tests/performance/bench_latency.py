"""latency: from the 201 of a new referral to the mail at the office's mail server, and to the event in the
live stream, at a steady rate; embedded and on two processes of every service with PostgreSQL and Kafka.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.controller import Controller
from load import Answered, paced
from measuring import Stopwatch, percentile, settle
from referrals import requests
from standing import Running, Stand, installation
from table import Table

from baton_chassis.testing.server_process import free_port

RATE = 20.0
_DESK = re.compile(r"desk([0-9]+)@")


@dataclass
class Office:
    """A mail server that notes when the mail for each desk came."""

    came: dict[int, float] = field(default_factory=dict)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        """Take the mail."""
        for recipient in envelope.rcpt_tos:
            found = _DESK.match(recipient)
            if found is not None:
                self.came.setdefault(int(found[1]), time.time())
        return "250 OK"


@dataclass
class Seen:
    """When things were seen, by number of the referral, in seconds of the wall clock of this machine."""

    answered: dict[int, float] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)
    streamed: dict[str, float] = field(default_factory=dict)
    refused: int = 0

    def answer(self, number: int, answered: Answered, at: float) -> None:
        """One 201, or something else."""
        if answered.status != 201:
            self.refused += 1
            return
        self.answered[number + 1] = at
        self.took.append(answered.seconds)
        self.ids[json.loads(answered.body)["id"]] = number + 1

    def to_mail(self, office: Office) -> list[float]:
        """Seconds from the answer to the mail, of those that came."""
        return [office.came[number] - at for number, at in self.answered.items() if number in office.came]

    def to_stream(self) -> list[float]:
        """Seconds from the answer to the event in the live stream."""
        return [
            self.streamed[id] - self.answered[number]
            for id, number in self.ids.items()
            if id in self.streamed
        ]


def run(stand: Stand) -> Table:
    """Both ways of running, one after the other."""
    count = stand.choose(300, 100, 20)
    table = Table(
        f"latency: {count} referrals at {RATE:.0f}/s, each from an office of its own, mail over SMTP",
        (
            *("way of running", "mails", "201 to mail p50", "p99", "201 to stream p50", "p99"),
            *("POST p50", "p99", "CPU ms/referral"),
        ),
    )
    with _mail_server() as (office, smtp_url):
        told = {"BATON_DEMO": "0", "BATON_SMTP_URL": smtp_url, "BATON_MAIL_FROM": "desk@practice.example"}
        running, state = installation(stand, "embedded", told)
        with contextlib.closing(_Stopping(running)):
            _row(table, "embedded: one process, SQLite", running, state, office, count)
        if stand.tiny or stand.postgres is None or stand.kafka is None:
            return table
        office.came.clear()
        told |= {"BATON_DATABASE_URL": str(stand.database()), "BATON_KAFKA": stand.kafka.bootstrap}
        running, state = installation(stand, "cluster", told, cluster=True)
        with contextlib.closing(_Stopping(running)):
            _row(table, "cluster: 10 processes, PostgreSQL, Kafka", running, state, office, count)
    return table


@dataclass
class _Stopping:
    running: Running

    def close(self) -> None:
        self.running.stop()


@contextlib.contextmanager
def _mail_server() -> Iterator[tuple[Office, str]]:
    office = Office()
    controller = Controller(office, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield office, f"smtp://127.0.0.1:{controller.port}"
    finally:
        controller.stop()


def _row(
    table: Table, name: str, running: Running, state: dict[str, Any], office: Office, count: int
) -> None:
    settle([running.pid], patience=5)
    watch = Stopwatch({"all": [running.pid]})
    seen = asyncio.run(_measure(running.port, state["token"], office, count))
    span = watch.stop()
    to_mail, to_stream = seen.to_mail(office), seen.to_stream()
    table.add(
        name,
        f"{len(to_mail)} of {len(seen.answered)}",
        *_milliseconds(to_mail),
        *_milliseconds(to_stream),
        *_milliseconds(seen.took),
        f"{span.per_operation('all', len(seen.answered)) / 1000:.1f}",
    )
    if seen.refused:
        table.note(f"{name}: {seen.refused} not answered with 201")


def _milliseconds(seconds: list[float]) -> tuple[str, str]:
    return f"{1e3 * percentile(seconds, 0.5):.0f} ms", f"{1e3 * percentile(seconds, 0.99):.0f} ms"


async def _measure(port: int, token: str, office: Office, count: int) -> Seen:
    warm_up = 20
    seen, warm = Seen(), Seen()
    listening = asyncio.create_task(_listen(port, token, seen))
    try:
        made = requests(token, "latency", own_offices=True)
        await paced(port, made, rate=RATE, count=warm_up, on_answer=warm.answer)
        await asyncio.sleep(1)
        await paced(
            port,
            made,
            rate=RATE,
            count=count,
            on_answer=lambda number, answered, at: seen.answer(number + warm_up, answered, at),
        )
        deadline = time.monotonic() + 30
        while len(seen.to_mail(office)) < len(seen.answered) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    return seen


async def _listen(port: int, token: str, seen: Seen) -> None:
    """Read the live event stream and note when each new referral appears in it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(
        f"GET /v1/events/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        "Accept: text/event-stream\r\n\r\n".encode()
    )
    try:
        while line := await reader.readline():
            if line.startswith(b"data:") and b"referral.received" in line:
                seen.streamed.setdefault(json.loads(line[5:])["subject"], time.time())
    finally:
        writer.close()
