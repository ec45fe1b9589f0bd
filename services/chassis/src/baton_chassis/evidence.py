"""What an installation's log and databases say of its events, gathered without writing anything."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, func, select
from sqlalchemy.sql import Select

from baton_chassis.database import Database, Row, Statement
from baton_chassis.log.port import EventLog, Record
from baton_chassis.service import ServiceDefinition
from baton_contracts.envelope import Envelope, MalformedEnvelope
from baton_contracts.topics import TOPICS

PAGE: Final = 1000
PAUSE_SECONDS: Final = 0.1
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

LineKey = tuple[str, str]
"""A line of facts: (practice id, source)."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One event by what tells it from others; ``digest`` stands for its bytes."""

    id: str
    practice_id: str
    source: str
    sequence: int
    type: str
    key: str
    digest: bytes

    @property
    def line(self) -> LineKey:
        """The line it belongs to."""
        return self.practice_id, self.source


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An event where it lies in the log; ``record_key`` is the key that decided the partition."""

    event: Recorded
    topic: str
    partition: int
    offset: int
    record_key: bytes


@dataclass(frozen=True, slots=True)
class Parked:
    """An event that a consumer could not apply."""

    consumer: str
    line: LineKey
    sequence: int
    event_id: str
    reason: str
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceEvidence:
    """What one service's database says. ``mentions`` counts its events by (type, an id in it)."""

    name: str
    topics_of: Mapping[str, frozenset[str]]
    journal: Sequence[Recorded]
    lines: Mapping[LineKey, int]
    outbox: int
    seen: Mapping[str, Mapping[LineKey, tuple[int, str]]]
    offsets: Mapping[tuple[str, str, int], int]
    foreign_offsets: int
    parked: Sequence[Parked]
    mentions: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvidence:
    """What the log holds, by topic and partition in the order of offsets; ``unreadable`` are no envelopes."""

    log_id: str
    partitions: Mapping[str, int]
    ends: Mapping[tuple[str, int], int]
    occurrences: Sequence[Occurrence]
    unreadable: Sequence[tuple[str, int, int]]

    def firsts(self) -> Iterator[Occurrence]:
        """Every event where it occurs first, partition by partition."""
        met: set[str] = set()
        for one in self.occurrences:
            if one.event.id not in met:
                met.add(one.event.id)
                yield one


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything the invariants look at. ``quiet`` is False where the installation was still at work."""

    log: LogEvidence
    services: Sequence[ServiceEvidence]
    quiet: bool

    def journal(self) -> Iterator[tuple[ServiceEvidence, Recorded]]:
        """Every journal event with the service that wrote it."""
        for service in self.services:
            for event in service.journal:
                yield service, event

    def mentions(self, type: str, id: str) -> int:
        """How many journal events of ``type`` name ``id``."""
        return sum(service.mentions.get((type, id), 0) for service in self.services)


@dataclass(frozen=True, slots=True)
class Subject:
    """A service to be looked at: what it is, and its open database."""

    definition: ServiceDefinition
    database: Database


async def gather(
    log: EventLog,
    subjects: Sequence[Subject],
    *,
    patience: float = 10.0,
    on_event: Callable[[Envelope], None] | None = None,
    begin: Callable[[], None] | None = None,
) -> Evidence:
    """Read log and databases (both started), again until nothing moved meanwhile or ``patience`` (s) is over.

    ``on_event`` sees every readable record of the log in order, for those who want to fold it; ``begin`` is
    called before each new reading. About half a kilobyte an event is kept. Raises ``Unavailable``.
    """
    deadline = time.monotonic() + patience
    while True:
        before = await _unrest(log, subjects)
        if begin is not None:
            begin()
        services = [await _service_evidence(subject, log.log_id) for subject in subjects]
        read = await _log_evidence(log, on_event or (lambda _: None))
        quiet = before.waiting == 0 and before == await _unrest(log, subjects)
        if quiet or time.monotonic() > deadline:
            return Evidence(log=read, services=services, quiet=quiet)
        await asyncio.sleep(PAUSE_SECONDS)


@dataclass(frozen=True, slots=True)
class _Unrest:
    """How much still waits to be published or applied, and where the log ends."""

    waiting: int
    ends: Mapping[str, Mapping[int, int]]


async def _unrest(log: EventLog, subjects: Sequence[Subject]) -> _Unrest:
    ends = {topic: dict(await log.end_offsets(topic)) for topic in TOPICS}
    waiting = 0
    for subject in subjects:
        waiting += await _count(subject.database, subject.definition.tables.outbox)
        offsets, _ = await _offsets(subject, log.log_id)
        for subscription in subject.definition.subscriptions:
            for topic in subscription.topics:
                waiting += sum(
                    max(0, end - offsets.get((subscription.consumer, topic, number), 0))
                    for number, end in ends[topic].items()
                )
    return _Unrest(waiting, ends)


async def _service_evidence(subject: Subject, log_id: str) -> ServiceEvidence:
    definition, database = subject.definition, subject.database
    tables = definition.tables
    seen: dict[str, dict[LineKey, tuple[int, str]]] = defaultdict(dict)
    for row in await _all(database, select(tables.consumer_seen)):
        seen[row["consumer"]][row["practice_id"], row["source"]] = (row["sequence"], row["event_id"])
    offsets, foreign = await _offsets(subject, log_id)
    journal, mentions = await _journal(subject)
    return ServiceEvidence(
        name=definition.name,
        topics_of={one.consumer: frozenset(one.topics) for one in definition.subscriptions},
        journal=journal,
        lines={
            (row["practice_id"], row["source"]): row["sequence"]
            for row in await _all(database, select(tables.line))
        },
        outbox=await _count(database, tables.outbox),
        seen=seen,
        offsets=offsets,
        foreign_offsets=foreign,
        parked=[
            _parked(row)
            for row in await _all(database, select(tables.parked).order_by(tables.parked.c.number))
        ],
        mentions=mentions,
    )


async def _journal(subject: Subject) -> tuple[list[Recorded], Counter[tuple[str, str]]]:
    journal = subject.definition.tables.journal
    page = Statement(
        select(journal)
        .where(journal.c.event_id > bindparam("after"))
        .order_by(journal.c.event_id)
        .limit(PAGE)
    )
    events: list[Recorded] = []
    mentions: Counter[tuple[str, str]] = Counter()
    after = ""
    while True:
        async with subject.database.reading(None) as session:
            rows = await session.fetch(page, after=after)
        for row in rows:
            events.append(_recorded(row))
            mentions.update((row["type"], id) for id in _ids_in(bytes(row["body"])))
        if len(rows) < PAGE:
            return events, mentions
        after = rows[-1]["event_id"]


def _ids_in(body: bytes) -> set[str]:
    """Every id that an event's data names, at whatever depth."""
    try:
        said = json.loads(body)
    except ValueError:
        return set()
    return set(_ids(said.get("data"))) if isinstance(said, dict) else set()


def _ids(value: Any) -> Iterator[str]:
    if isinstance(value, str) and _ID.fullmatch(value):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from _ids(member)
    elif isinstance(value, list):
        for member in value:
            yield from _ids(member)


def _recorded(row: Row) -> Recorded:
    return Recorded(
        id=row["event_id"],
        practice_id=row["practice_id"],
        source=row["source"],
        sequence=row["sequence"],
        type=row["type"],
        key=row["key"],
        digest=_digest(bytes(row["body"])),
    )


def _parked(row: Row) -> Parked:
    return Parked(
        consumer=row["consumer"],
        line=(row["practice_id"], row["source"]),
        sequence=row["sequence"],
        event_id=row["event_id"],
        reason=row["reason"],
        topic=row["topic"],
        partition=row["partition"],
        offset=row["offset"],
    )


async def _offsets(subject: Subject, log_id: str) -> tuple[dict[tuple[str, str, int], int], int]:
    """What each consumer reads next in this log, and how many rows belong to other logs."""
    table = subject.definition.tables.consumer_offset
    rows = await _all(subject.database, select(table))
    mine = {
        (row["consumer"], row["topic"], row["partition"]): int(row["next"])
        for row in rows
        if row["log_id"] == log_id
    }
    return mine, len(rows) - len(mine)


async def _log_evidence(log: EventLog, on_event: Callable[[Envelope], None]) -> LogEvidence:
    occurrences: list[Occurrence] = []
    unreadable: list[tuple[str, int, int]] = []
    ends: dict[tuple[str, int], int] = {}
    partitions: dict[str, int] = {}
    for topic in TOPICS:
        firsts, lasts = await log.beginning_offsets(topic), await log.end_offsets(topic)
        partitions[topic] = len(lasts)
        for number, end in lasts.items():
            ends[topic, number] = end
            async for record in _records(log, topic, number, firsts.get(number, 0)):
                envelope = _envelope(record)
                if envelope is None:
                    unreadable.append((topic, number, record.offset))
                    continue
                occurrences.append(_occurrence(record, envelope))
                on_event(envelope)
    return LogEvidence(
        log_id=log.log_id, partitions=partitions, ends=ends, occurrences=occurrences, unreadable=unreadable
    )


async def _records(log: EventLog, topic: str, number: int, offset: int) -> AsyncIterator[Record]:
    while page := await log.read(topic, number, offset, PAGE):
        for record in page:
            yield record
        offset = page[-1].next_offset


def _envelope(record: Record) -> Envelope | None:
    try:
        return Envelope.from_bytes(record.value)
    except MalformedEnvelope:
        return None


def _occurrence(record: Record, envelope: Envelope) -> Occurrence:
    event = Recorded(
        id=envelope.id,
        practice_id=envelope.practiceid,
        source=envelope.source,
        sequence=envelope.number,
        type=envelope.type,
        key=envelope.partitionkey,
        digest=_digest(record.value),
    )
    return Occurrence(event, record.topic, record.partition, record.offset, record.key)


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:16]


async def _all(database: Database, clause: Select[Any]) -> list[Row]:
    async with database.reading(None) as session:
        return await session.fetch(Statement(clause))


async def _count(database: Database, table: Any) -> int:
    rows = await _all(database, select(func.count().label("n")).select_from(table))
    return int(rows[0]["n"])
