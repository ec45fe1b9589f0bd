"""From the log into a service: offset by compare-and-set, numbers checked per line, batches in order per
key, parking.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import BindParameter, bindparam, select

from baton_chassis.clock import Clock
from baton_chassis.commands import Caller
from baton_chassis.database import Database, Row, Statement, among
from baton_chassis.dispatcher import Dispatcher
from baton_chassis.errors import Busy, Poison
from baton_chassis.failpoints import declare, failpoint
from baton_chassis.log.port import EventLog, LogConsumer, Partition, Record
from baton_chassis.signals import Signal
from baton_chassis.tables import ChassisTables
from baton_chassis.work import OffsetMove, Work
from baton_chassis.writer import Fenced, Stale, Writer
from baton_contracts.envelope import Envelope, MalformedEnvelope
from baton_contracts.topics import address_of

EventHandler = Callable[[Envelope, Work], Awaitable[None]]

CopyHandler = Callable[[Envelope, Work, Partition], Awaitable[None]]
"""Sees every event with the partition it came by; events of one partition come to it in one order for ever.
"""

AFTER_COMMIT = declare("consumer.after_commit", "applied and committed, the log not told yet")
MAX_RECORDS = 200
TRIES_BEFORE_PARKING = 3
POLL_SECONDS = 1.0
FIRST_BACKOFF, LONGEST_BACKOFF = 0.2, 30.0


@dataclass(frozen=True)
class Subscription:
    """What one consumer reads and which function applies which type.

    ``consumer`` is the group's name. A type without a handler only advances its line. ``every`` sees all
    types, known and unknown, after the type's own handler (for copies of the whole stream).
    """

    consumer: str
    topics: tuple[str, ...]
    handlers: Mapping[str, EventHandler] = field(default_factory=dict)
    every: CopyHandler | None = None


class ConsumerStatements:
    """What the consumer reads of the service's database."""

    def __init__(self, tables: ChassisTables) -> None:
        o, s, p = tables.consumer_offset, tables.consumer_seen, tables.parked
        mine: BindParameter[str] = bindparam("consumer")
        self.places = Statement(
            select(o.c.topic, o.c.partition, o.c.next).where(
                o.c.consumer == mine, o.c.log_id == bindparam("log_id")
            )
        )
        self.seen = Statement(
            select(s.c.practice_id, s.c.source, s.c.sequence, s.c.event_id).where(
                s.c.consumer == mine, among(s.c.source, "sources")
            )
        )
        self.parked = Statement(
            select(p).where(p.c.consumer == mine, among(p.c.key, "keys")).order_by(p.c.number)
        )


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A record as an event, or the reason why it is none."""

    record: Record
    envelope: Envelope | None
    fault: str = ""


@dataclass(slots=True)
class _Rest:
    """A partition that is paused after a transient failure; ``until`` is a time of the monotonic clock."""

    delay: float
    until: float


class Consumer:
    """One member of a consumer group inside a service process.

    ``run`` serves until cancelled. Exactly-once effect: offset, line numbers, handlers' writes and their
    events are one transaction. A transient failure keeps the offset, pauses the partition and tries again for
    ever while the others go on; an event that cannot be applied is parked with everything later of its key,
    other keys go on.
    """

    def __init__(
        self,
        *,
        subscription: Subscription,
        log: EventLog,
        database: Database,
        tables: ChassisTables,
        dispatcher: Dispatcher,
        writer: Writer,
        clock: Clock,
        member: str,
        on_failure: Callable[[str, BaseException], None],
        progress: Signal | None = None,
    ) -> None:
        self._subscription = subscription
        self._log = log
        self._database = database
        self._statements = ConsumerStatements(tables)
        self._dispatcher = dispatcher
        self._writer = writer
        self._clock = clock
        self._member = member
        self._on_failure = on_failure
        self._progress = progress
        self._places: dict[Partition, int | None] = {}
        self._in_hand = asyncio.Lock()
        self._resting: dict[Partition, _Rest] = {}
        self.applied = 0
        self.duplicates = 0
        self.gaps = 0
        self.forks = 0
        self.parked = 0
        self.fenced = 0
        self.last_progress = time.monotonic()
        self.partitions: frozenset[Partition] = frozenset()
        self.on_applied: list[Callable[[Envelope], None]] = []

    @property
    def name(self) -> str:
        """The group's name."""
        return self._subscription.consumer

    async def run(self) -> None:
        """Join, read, apply; rejoin after whatever went wrong."""
        delay = FIRST_BACKOFF
        while True:
            member = self._log.consumer(self.name, self._subscription.topics, member=self._member)
            try:
                await member.start(self._assigned, self._revoked)
                delay = FIRST_BACKOFF
                await self._serve(member)
            except Exception as error:  # the loop must survive: log away, group lost, database away, fenced
                self._on_failure("consumer", error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, LONGEST_BACKOFF)
            finally:
                with contextlib.suppress(Exception):  # leaving a group that is already lost
                    await asyncio.shield(member.stop())

    async def _serve(self, member: LogConsumer) -> None:
        while True:
            self._wake_rested(member)
            batches = await member.poll(max_records=MAX_RECORDS, timeout=self._patience())
            if not self._resting:
                self.last_progress = time.monotonic()
            if not batches:
                continue
            async with self._in_hand:
                held = {p: records for p, records in batches.items() if p in self.partitions}
                done = await asyncio.gather(
                    *(self._apply_or_rest(member, p, records) for p, records in held.items()),
                    return_exceptions=True,
                )
            offsets = _places_of(done)
            failpoint(AFTER_COMMIT)
            await member.commit(offsets)
            if self._progress is not None:
                self._progress.knock()

    async def _apply_or_rest(
        self, member: LogConsumer, partition: Partition, records: Sequence[Record]
    ) -> tuple[Partition, int | None]:
        """Apply a partition's records; while the database is away the partition rests where it stands."""
        try:
            await self.apply(partition, records)
        except Busy as error:
            self._on_failure("consumer", error)
            self._rest(partition)
            member.pause(frozenset([partition]))
            member.seek(partition, self._places.get(partition) or records[0].offset)
        else:
            self._resting.pop(partition, None)
        return partition, self._places[partition]

    def _rest(self, partition: Partition) -> None:
        before = self._resting.get(partition)
        delay = min(before.delay * 2, LONGEST_BACKOFF) if before is not None else FIRST_BACKOFF
        spread = delay * random.uniform(0.75, 1.0)  # replicas do not knock in step
        self._resting[partition] = _Rest(delay, time.monotonic() + spread)

    def _wake_rested(self, member: LogConsumer) -> None:
        now = time.monotonic()
        rested = frozenset(place for place, rest in self._resting.items() if rest.until <= now)
        if rested:
            member.resume(rested)

    def _patience(self) -> float:
        """How long to wait for records: no longer than until the next partition has rested."""
        now = time.monotonic()
        ends = (rest.until - now for rest in self._resting.values() if rest.until > now)
        return min(POLL_SECONDS, *ends, POLL_SECONDS)

    async def _assigned(self, partitions: frozenset[Partition]) -> Mapping[Partition, int | None]:
        async with self._database.reading(None) as session:
            rows = await session.fetch(self._statements.places, consumer=self.name, log_id=self._log.log_id)
        known = {Partition(row["topic"], row["partition"]): int(row["next"]) for row in rows}
        self._places = {partition: known.get(partition) for partition in partitions}
        self._resting.clear()  # a pause ends with the share
        self.partitions = partitions
        return dict(self._places)

    async def _revoked(self, partitions: frozenset[Partition]) -> None:
        self.partitions = frozenset()
        async with self._in_hand:
            return

    async def apply(self, partition: Partition, records: Sequence[Record]) -> None:
        """Apply records of one partition, each exactly once; what can never be applied is parked.

        Raises ``Busy`` (nothing more was applied, try again) and ``Fenced`` (another owner has moved on).
        """
        todo = [record for record in records if record.offset >= (self._places.get(partition) or 0)]
        if not todo:
            return
        try:
            await self._apply(partition, todo)
        except (Busy, Fenced):
            raise
        except Exception as error:
            if len(todo) == 1:
                await self._apply_or_park(partition, todo[0], error)
                return
            for record in todo:
                await self.apply(partition, [record])

    async def _apply_or_park(self, partition: Partition, record: Record, error: Exception) -> None:
        for _ in range(TRIES_BEFORE_PARKING - 1):
            if isinstance(error, Poison):
                break
            try:
                await self._apply(partition, [record])
            except (Busy, Fenced):
                raise
            except Exception as again:
                error = again
            else:
                return
        self._on_failure("consumer.parked", error)
        reason = error.reason if isinstance(error, Poison) else type(error).__name__
        await self._apply(partition, [record], park_as=reason)

    async def _apply(self, partition: Partition, records: Sequence[Record], *, park_as: str = "") -> None:
        """One unit of work over the records of one partition, decided again while others are faster."""
        arrivals = [_read(record) for record in records]
        while True:
            batch = _Batch(self, await self._history(arrivals))
            work = self._dispatcher.work(_nobody(), self._clock.now())
            for arrival in arrivals:
                await batch.take(arrival, work, park_as=park_as)
            work.writes.offsets.append(self._move(partition, records[-1].next_offset))
            try:
                await self._writer.write(work.writes)
            except Stale:
                continue
            except Fenced:
                self.fenced += 1
                raise
            break
        self._places[partition] = records[-1].next_offset
        batch.count()

    def _move(self, partition: Partition, following: int) -> OffsetMove:
        return OffsetMove(
            consumer=self.name,
            log_id=self._log.log_id,
            topic=partition.topic,
            partition=partition.number,
            expected=self._places.get(partition),
            next=following,
        )

    async def _history(self, arrivals: Sequence[_Arrival]) -> _History:
        envelopes = [arrival.envelope for arrival in arrivals if arrival.envelope is not None]
        keys = sorted({envelope.partitionkey for envelope in envelopes})
        # Nobody but the owner of the partition writes these rows, so two looks say what one snapshot would.
        look = self._database.look
        parked = await look(self._statements.parked, consumer=self.name, keys=keys)
        sources = {envelope.source for envelope in envelopes} | {row["source"] for row in parked}
        seen = await look(self._statements.seen, consumer=self.name, sources=sorted(sources))
        return _History(
            seen={
                (row["practice_id"], row["source"]): (int(row["sequence"]), row["event_id"]) for row in seen
            },
            parked=_by_key(parked),
        )

    def handler_of(self, type: str) -> EventHandler | None:
        """The function that applies events of this type here."""
        return self._subscription.handlers.get(type)

    @property
    def every(self) -> CopyHandler | None:
        """The function that sees every event here."""
        return self._subscription.every


@dataclass(slots=True)
class _History:
    """What this consumer knows of the lines and keys of a batch, moved along as the batch is taken."""

    seen: dict[tuple[str, str], tuple[int, str]]
    parked: dict[str, list[Row]]


class _Batch:
    """One attempt at a batch: decides for each arrival whether it is next, repeated, early, forked or must
    queue.
    """

    def __init__(self, consumer: Consumer, history: _History) -> None:
        self._consumer = consumer
        self._history = history
        self._applied: list[Envelope] = []
        self._duplicates = self._gaps = self._forks = self._parked = 0

    async def take(self, arrival: _Arrival, work: Work, *, park_as: str = "") -> None:
        """Apply the arrival, drop it as a repeat, or park it."""
        envelope = arrival.envelope
        if envelope is None:
            self._park(arrival, work, reason=arrival.fault)
            return
        last, last_id = self._history.seen.get((envelope.practiceid, envelope.source), (0, ""))
        queue = self._history.parked.get(envelope.partitionkey, [])
        if envelope.number < last or (envelope.number == last and envelope.id == last_id):
            self._duplicates += 1
        elif envelope.number == last:
            self._forks += 1
            self._park(arrival, work, reason="fork")
        elif any(row["event_id"] == envelope.id for row in queue):
            self._duplicates += 1
        elif park_as:
            self._park(arrival, work, reason=park_as)
        elif queue and queue[0]["reason"] != "gap":
            self._park(arrival, work, reason="behind")
        elif envelope.number > last + 1:
            self._gaps += 1
            self._park(arrival, work, reason="gap")
        else:
            await self._apply(arrival.record.place, envelope, work, first_offset=arrival.record.offset)
            await self._drain(envelope.partitionkey, work)

    async def _apply(
        self, place: Partition, envelope: Envelope, work: Work, *, first_offset: int | None = None
    ) -> None:
        view = work.at(_caller(envelope, self._consumer.name), work.now)
        handler = self._consumer.handler_of(envelope.type)
        if handler is not None:
            await handler(envelope, view)
        elif first_offset is not None and address_of(envelope.type) is None:
            work.writes.unknown.append(_unknown(self._consumer.name, envelope, place, first_offset, work))
        if self._consumer.every is not None:
            await self._consumer.every(envelope, view, place)
        self._history.seen[(envelope.practiceid, envelope.source)] = (envelope.number, envelope.id)
        key = (self._consumer.name, envelope.practiceid, envelope.source)
        work.writes.seen[key] = (envelope.number, envelope.id)
        self._applied.append(envelope)

    async def _drain(self, key: str, work: Work) -> None:
        """After a gap was filled: apply what queued behind it, in order, as far as it goes."""
        queue = self._history.parked.get(key, [])
        moved = True
        while moved and queue and queue[0]["reason"] in ("gap", "behind"):
            moved = False
            for row in list(queue):
                last, _ = self._history.seen.get((row["practice_id"], row["source"]), (0, ""))
                if row["sequence"] > last + 1:
                    continue
                if row["sequence"] == last + 1:
                    place = Partition(row["topic"], row["partition"])
                    await self._apply(place, Envelope.from_bytes(row["body"]), work)
                queue.remove(row)
                if row["number"] is not None:
                    work.writes.unparked.append(row["number"])
                else:
                    work.writes.parked.remove(row)
                moved = True
                break

    def _park(self, arrival: _Arrival, work: Work, *, reason: str) -> None:
        row = _parked_row(self._consumer.name, arrival, reason=reason, work=work)
        work.writes.parked.append(row)
        self._history.parked.setdefault(row["key"], []).append(row)
        self._parked += 1

    def count(self) -> None:
        """After the commit: what this batch did."""
        consumer = self._consumer
        consumer.applied += len(self._applied)
        consumer.duplicates += self._duplicates
        consumer.gaps += self._gaps
        consumer.forks += self._forks
        consumer.parked += self._parked
        for envelope in self._applied:
            for listener in consumer.on_applied:
                listener(envelope)


def _places_of(done: Sequence[tuple[Partition, int | None] | BaseException]) -> dict[Partition, int]:
    """Where each partition stands now; the first failure is raised once all have ended."""
    for outcome in done:
        if isinstance(outcome, BaseException):
            raise outcome
    return {o[0]: o[1] for o in done if not isinstance(o, BaseException) and o[1] is not None}


def _read(record: Record) -> _Arrival:
    try:
        envelope = Envelope.from_bytes(record.value)
    except MalformedEnvelope:
        return _Arrival(record, None, "malformed")
    address = address_of(envelope.type)
    if address is not None and (
        address.topic != record.topic or not envelope.source.endswith(_line(address.line))
    ):
        return _Arrival(record, None, "undeclared-line")
    if envelope.partitionkey.encode() != record.key:
        return _Arrival(record, None, "foreign-key")
    return _Arrival(record, envelope)


def _line(line: str) -> str:
    return "" if line == "office" else f"/{line}"


def _parked_row(consumer: str, arrival: _Arrival, *, reason: str, work: Work) -> Row:
    record, envelope = arrival.record, arrival.envelope
    return {
        "number": None,
        "consumer": consumer,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "practice_id": envelope.practiceid if envelope else "",
        "key": envelope.partitionkey if envelope else record.key.decode(errors="replace"),
        "event_id": envelope.id if envelope else "",
        "source": envelope.source if envelope else "",
        "sequence": envelope.number if envelope else 0,
        "reason": reason,
        "body": record.value,
        "parked_at": work.now,
    }


def _unknown(consumer: str, envelope: Envelope, place: Partition, offset: int, work: Work) -> Row:
    return {
        "consumer": consumer,
        "type": envelope.type,
        "topic": place.topic,
        "partition": place.number,
        "first_offset": offset,
        "first_seen_at": work.now,
    }


def _by_key(rows: Sequence[Row]) -> dict[str, list[Row]]:
    queues: dict[str, list[Row]] = {}
    for row in rows:
        queues.setdefault(row["key"], []).append(row)
    return queues


def _nobody() -> Caller:
    return Caller(practice_id="", actor="", assertion="system_inferred")


def _caller(envelope: Envelope, consumer: str) -> Caller:
    return Caller(
        practice_id=envelope.practiceid,
        actor=f"service:{consumer}",
        assertion="system_inferred",
        correlation_id=envelope.correlationid,
        causation_id=envelope.id,
        traceparent=envelope.traceparent or "",
    )
