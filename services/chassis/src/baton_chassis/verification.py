"""Invariants of an installation at rest: what must hold between journals, log and consumers in any case.

Nothing here writes. Evidence is gathered once, each invariant is one function over it. What is said about a
violation are ids and numbers, never content.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import bindparam, func, select
from sqlalchemy.sql import Select

from baton_chassis.database import Database, Row, Statement
from baton_chassis.log.port import EventLog, Record
from baton_chassis.service import ServiceDefinition
from baton_contracts.envelope import Envelope, MalformedEnvelope
from baton_contracts.topics import TOPICS, address_of, partition_for

PAGE: Final = 1000
PAUSE_SECONDS: Final = 0.1
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

LineKey = tuple[str, str]
"""A line of facts: (practice id, source)."""


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """One thing that must not be: which invariant, where (service, partition or client), ids and numbers."""

    invariant: str
    where: str
    detail: str


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """A rule with its short name and one sentence; ``check`` gives what breaks it."""

    id: str
    name: str
    sentence: str
    check: Callable[[Evidence], Iterable[Violation]]


@dataclass(frozen=True, slots=True)
class Subject:
    """A service to be looked at: what it is, and its open database."""

    definition: ServiceDefinition
    database: Database


# Gathering


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


async def _records(log: EventLog, topic: str, number: int, offset: int) -> Any:
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


# The invariants


def no_loss(evidence: Evidence) -> Iterator[Violation]:
    """I1: every journal event is in the log, and applied (or parked) by every consumer of its topic."""
    topic_of = {one.event.id: one.topic for one in evidence.log.occurrences}
    for service, event in evidence.journal():
        if event.id not in topic_of:
            yield Violation("I1", service.name, f"event {event.id} is in the journal and not in the log")
    for service in evidence.services:
        if service.outbox:
            yield Violation("I1", service.name, f"{service.outbox} events still lie in the outbox")
    tops = _tops(evidence)
    topic_of_line = {one.event.line: one.topic for one in evidence.log.occurrences}
    for service in evidence.services:
        held = {(one.consumer, one.line, one.sequence) for one in service.parked}
        for consumer, topics in service.topics_of.items():
            seen = service.seen.get(consumer, {})
            for line, top in tops.items():
                if topic_of_line.get(line) not in topics:
                    continue
                reached = seen.get(line, (0, ""))[0]
                lost = [n for n in range(reached + 1, top + 1) if (consumer, line, n) not in held]
                if lost:
                    yield Violation("I1", consumer, f"{line[1]} is applied up to {reached} of {top}")


def no_phantom(evidence: Evidence) -> Iterator[Violation]:
    """I2: nothing is in the log without a journal row of its owner with the same bytes."""
    journal = {event.id: (service.name, event) for service, event in evidence.journal()}
    for topic, partition, offset in evidence.log.unreadable:
        yield Violation("I2", f"{topic}/{partition}", f"offset {offset} holds no envelope")
    for one in evidence.log.occurrences:
        where = f"{one.topic}/{one.partition}"
        found = journal.get(one.event.id)
        if found is None:
            yield Violation("I2", where, f"offset {one.offset}: event {one.event.id} is in no journal")
        elif found[1].digest != one.event.digest:
            yield Violation(
                "I2", where, f"offset {one.offset}: event {one.event.id} differs from its journal row"
            )
        else:
            address = address_of(one.event.type)
            if address is not None and (address.topic, address.producer) != (one.topic, found[0]):
                yield Violation(
                    "I2", where, f"offset {one.offset}: {one.event.type} was published by {found[0]}"
                )


def key_order(evidence: Evidence) -> Iterator[Violation]:
    """I3: first occurrences of a line are in the order of their numbers, each where its key belongs."""
    last: dict[LineKey, int] = {}
    for one in evidence.log.firsts():
        event, where = one.event, f"{one.topic}/{one.partition}"
        wanted = partition_for(one.record_key, evidence.log.partitions[one.topic])
        if one.record_key != event.key.encode() or wanted != one.partition:
            yield Violation(
                "I3", where, f"offset {one.offset}: event {event.id} lies outside its key's partition"
            )
        before = last.get(event.line, 0)
        if event.sequence != before + 1:
            yield Violation(
                "I3", where, f"offset {one.offset}: {event.source} number {event.sequence} follows {before}"
            )
        last[event.line] = max(before, event.sequence)


def effect_once(evidence: Evidence) -> Iterator[Violation]:
    """I4: every line has the numbers 1..n once, from one service, and no consumer is beyond or beside it."""
    by_line: dict[LineKey, dict[int, str]] = defaultdict(dict)
    writers: dict[LineKey, set[str]] = defaultdict(set)
    for service, event in evidence.journal():
        writers[event.line].add(service.name)
        if event.sequence in by_line[event.line]:
            yield Violation("I4", service.name, f"{event.source} has number {event.sequence} twice")
        by_line[event.line][event.sequence] = event.id
    for line, numbers in by_line.items():
        if len(writers[line]) > 1:
            yield Violation("I4", ", ".join(sorted(writers[line])), f"{line[1]} has several writers")
        if sorted(numbers) != list(range(1, len(numbers) + 1)):
            yield Violation("I4", min(writers[line]), f"{line[1]} has a hole among {len(numbers)} numbers")
    for service in evidence.services:
        for line, counted in service.lines.items():
            if counted != len(by_line.get(line, {})):
                yield Violation(
                    "I4", service.name, f"{line[1]} counts {counted} and holds {len(by_line.get(line, {}))}"
                )
        for consumer, seen in service.seen.items():
            for line, (number, id) in seen.items():
                if by_line.get(line, {}).get(number) != id:
                    yield Violation("I4", consumer, f"{line[1]} number {number} was applied as {id}")


def no_gap(evidence: Evidence) -> Iterator[Violation]:
    """I5: nothing is parked: whatever is, has to be named here."""
    for service in evidence.services:
        for one in service.parked:
            place = f"{one.topic}/{one.partition} offset {one.offset}"
            yield Violation(
                "I5", one.consumer, f"{place}: event {one.event_id or '?'} is parked: {one.reason}"
            )


def offset_safe(evidence: Evidence) -> Iterator[Violation]:
    """I6: no consumer stands beyond the end of this log, or only in another log."""
    for service in evidence.services:
        for (consumer, topic, partition), following in service.offsets.items():
            end = evidence.log.ends.get((topic, partition), 0)
            if following > end:
                yield Violation(
                    "I6", consumer, f"{topic}/{partition}: reads {following} next, the log ends at {end}"
                )
        if service.foreign_offsets and not service.offsets and evidence.log.occurrences:
            yield Violation("I6", service.name, f"{service.foreign_offsets} offsets belong to another log")


CHASSIS_INVARIANTS: Final = (
    Invariant(
        id="I1", name="no-loss", check=no_loss,
        sentence="Every journal event is in the log and applied by every consumer of its topic.",
    ),
    Invariant(
        id="I2", name="no-phantom", check=no_phantom,
        sentence="Nothing is in the log without a journal row of its owner with the same bytes.",
    ),
    Invariant(
        id="I3", name="key-order", check=key_order,
        sentence="First occurrences of a line are in sequence, in the partition of their key.",
    ),
    Invariant(
        id="I4", name="effect-once", check=effect_once,
        sentence="Every line has the numbers 1..n once, and no consumer is beyond or beside it.",
    ),
    Invariant(
        id="I5", name="no-gap", check=no_gap, sentence="No event is parked.",
    ),
    Invariant(
        id="I6", name="offset-safe", check=offset_safe,
        sentence="No consumer stands beyond the end of the log.",
    ),
)  # fmt: skip
"""What holds for any services on this chassis."""


# What clients were told


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request of a client and what it was answered, from the client's own log.

    ``key`` is its Idempotency-Key, ``status`` None where no answer came. ``makes`` is the event type that a
    2xx promises, ``thing`` the id in the answer, ``answer`` a digest of the answer's body.
    """

    key: str
    makes: str
    status: int | None
    thing: str = ""
    answer: str = ""
    replayed: bool = False

    @property
    def promised(self) -> bool:
        """Whether the client may rely on it."""
        return self.status is not None and 200 <= self.status < 300


def ack_durable(evidence: Evidence, exchanges: Iterable[Exchange]) -> Iterator[Violation]:
    """I19: whatever was answered 2xx is in a journal."""
    for one in exchanges:
        if one.promised and evidence.mentions(one.makes, one.thing) == 0:
            yield Violation("I19", one.key, f"answered {one.status}, no {one.makes} names {one.thing}")


def idempotent_api(evidence: Evidence, exchanges: Iterable[Exchange]) -> Iterator[Violation]:
    """I20: one key, one answer, one event."""
    by_key: dict[str, list[Exchange]] = defaultdict(list)
    for one in exchanges:
        if one.promised:
            by_key[one.key].append(one)
    keys_of: Counter[tuple[str, str]] = Counter()
    for key, told in by_key.items():
        answers = {(one.status, one.thing, one.answer) for one in told}
        if len(answers) > 1:
            yield Violation("I20", key, f"{len(answers)} answers to one key")
        if sum(not one.replayed for one in told) > 1:
            yield Violation("I20", key, "answered as new more than once")
        keys_of[told[0].makes, told[0].thing] += 1
    for (type, thing), wanted in keys_of.items():
        found = evidence.mentions(type, thing)
        if found > wanted:
            yield Violation("I20", thing, f"{found} events {type} for {wanted} keys")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one invariant found."""

    invariant: Invariant
    violations: Sequence[Violation]


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome over a whole installation."""

    evidence: Evidence
    findings: Sequence[Finding]
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def violations(self) -> list[Violation]:
        """Everything that was found, in the order of the invariants."""
        return [violation for finding in self.findings for violation in finding.violations]

    def plain(self) -> dict[str, Any]:
        """The report as JSON types."""
        return {
            "quiet": self.evidence.quiet,
            "counts": dict(self.counts),
            "invariants": [
                {
                    "id": finding.invariant.id,
                    "name": finding.invariant.name,
                    "sentence": finding.invariant.sentence,
                    "violations": [{"where": one.where, "detail": one.detail} for one in finding.violations],
                }
                for finding in self.findings
            ],
        }


def examine(evidence: Evidence, invariants: Sequence[Invariant] = CHASSIS_INVARIANTS) -> Report:
    """Check ``invariants`` over ``evidence``."""
    findings = [Finding(one, sorted(set(one.check(evidence)))) for one in invariants]
    counts = {
        "services": len(evidence.services),
        "lines": len(_tops(evidence)),
        "events": sum(len(service.journal) for service in evidence.services),
        "records": len(evidence.log.occurrences),
    }
    return Report(evidence, findings, counts)


def _tops(evidence: Evidence) -> dict[LineKey, int]:
    """The highest number of every line, by the journals."""
    tops: dict[LineKey, int] = {}
    for _, event in evidence.journal():
        tops[event.line] = max(tops.get(event.line, 0), event.sequence)
    return tops
