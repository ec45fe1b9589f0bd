"""The one writer of a process: many units of work, one short transaction, each caller answered after its
own commit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from baton_chassis.clock import Clock
from baton_chassis.codec import load_reply
from baton_chassis.commands import Reply
from baton_chassis.database import Database, Row, RowConflict, Session
from baton_chassis.database.port import OutcomeUnknown
from baton_chassis.errors import ChassisError, Contended, KeyReused, Unavailable
from baton_chassis.failpoints import declare, failpoint
from baton_chassis.ids import Ids
from baton_chassis.sealing import Keyring
from baton_chassis.work import IdentifierChange, IdentifierKey, KeyClaim, Publication, WriteSet
from baton_chassis.writing import Rendered, Renderer, WriteStatements, identifier_row
from baton_contracts.envelope import Envelope, sequence_text

BEFORE_COMMIT = declare(
    "writer.before_commit", "inside the transaction, everything written, nothing committed"
)
AFTER_COMMIT = declare("writer.after_commit", "committed, no caller answered yet")
LARGEST_BATCH = 64


class Stale(ChassisError):
    """Somebody else changed what this unit of work was decided on: decide it again."""


class Fenced(ChassisError):
    """Another owner has moved this consumer's offset: drop what is in hand and read the place again."""


class TimerGone(ChassisError):
    """The timer was replaced, dropped or fired by somebody else."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The key was claimed before; this was the answer."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Written:
    """Committed."""


Outcome = Written | Replayed


@dataclass(slots=True)
class _Item:
    rendered: Rendered
    answer: asyncio.Future[Outcome]


class _Losers(Exception):
    """Some sets of the batch cannot be written as they are; the transaction is rolled back and goes on
    without.
    """

    def __init__(self, verdicts: dict[int, ChassisError | None]) -> None:
        super().__init__("losers")
        self.verdicts = verdicts


class Writer:
    """Groups units of work into short transactions.

    ``write`` returns after the commit that contains its set. A cancelled caller does not cancel its write.
    Verdicts: ``Stale`` (decide again), ``Fenced``, ``TimerGone``, ``KeyReused``, ``Unavailable`` (nothing
    was written), or the database's error for a set that can never be written; neighbours in the batch are
    not touched by any of them.
    """

    def __init__(
        self,
        *,
        database: Database,
        statements: WriteStatements,
        renderer: Renderer,
        keyring: Keyring,
        clock: Clock,
        ids: Ids,
        largest_batch: int = LARGEST_BATCH,
    ) -> None:
        self._database = database
        self._statements = statements
        self._renderer = renderer
        self._keyring = keyring
        self._clock = clock
        self._ids = ids
        self._largest = largest_batch
        self._queue: deque[_Item] = deque()
        self._wake = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._stopping = False
        self.on_commit: list[Callable[[Sequence[WriteSet]], None]] = []
        self.batches = 0
        self.sets = 0

    async def start(self) -> None:
        """Begin to serve the queue."""
        self._stopping = False
        self._running = asyncio.create_task(self._serve(), name="writer")

    async def stop(self) -> None:
        """Write what is queued, then end."""
        self._stopping = True
        self._wake.set()
        if self._running is not None:
            await self._running
            self._running = None

    async def write(self, writes: WriteSet) -> Outcome:
        """Commit ``writes`` with whatever else is waiting; see the class for what it raises."""
        if self._running is None or self._stopping:
            raise Unavailable("the service is stopping")
        rendered = await self._renderer.render(writes, now=self._clock.now())
        item = _Item(rendered, asyncio.get_running_loop().create_future())
        self._queue.append(item)
        self._wake.set()
        return await asyncio.shield(item.answer)

    async def stored_reply(self, claim: KeyClaim) -> Reply | None:
        """The answer given to this key before, or None; ``KeyReused`` when that was another request."""
        return await self._replay(claim)

    async def _serve(self) -> None:
        while not (self._stopping and not self._queue):
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._commit(self._next_batch())

    def _next_batch(self) -> list[_Item]:
        """The longest run of queued sets that touch different things; a second set for one thing waits its
        turn.
        """
        batch: list[_Item] = []
        held: set[tuple[str, ...]] = set()
        later: list[_Item] = []
        while self._queue and len(batch) < self._largest:
            item = self._queue.popleft()
            locks = item.rendered.writes.locks
            if held & locks:
                later.append(item)
            else:
                batch.append(item)
            held |= locks
        self._queue.extendleft(reversed(later))
        return batch

    async def _commit(self, batch: list[_Item]) -> None:
        self.batches += 1
        self.sets += len(batch)
        try:
            async with self._database.transaction() as session:
                await self._check(session, batch)
                await self._write(session, batch)
                failpoint(BEFORE_COMMIT)
        except _Losers as losers:
            await self._set_aside(batch, losers)
        except OutcomeUnknown:
            await self._ask_what_happened(batch)
        except Exception as error:
            await self._isolate(batch, error)
        else:
            failpoint(AFTER_COMMIT)
            self._answer(batch)

    def _answer(self, batch: list[_Item]) -> None:
        for item in batch:
            _settle(item, Written())
        written = [item.rendered.writes for item in batch]
        for listener in self.on_commit:
            listener(written)

    async def _set_aside(self, batch: list[_Item], losers: _Losers) -> None:
        rest = [item for place, item in enumerate(batch) if place not in losers.verdicts]
        if rest:
            await self._commit(rest)
        for place, verdict in losers.verdicts.items():
            if verdict is not None:
                _settle(batch[place], verdict)
            else:
                await self._answer_again(batch[place])

    async def _answer_again(self, item: _Item) -> None:
        claim = item.rendered.writes.key
        assert claim is not None
        try:
            reply = await self.stored_reply(claim)
            _settle(item, Replayed(reply) if reply is not None else Stale("the key's first request vanished"))
        except ChassisError as error:
            _settle(item, error)

    async def _isolate(self, batch: list[_Item], error: Exception) -> None:
        """A failed batch: one bad row must not fail its neighbours, so each set is tried alone."""
        if len(batch) > 1 and not isinstance(error, Unavailable):
            for item in batch:
                await self._commit([item])
            return
        for item in batch:
            _settle(
                item,
                Stale("a key was taken meanwhile") if isinstance(error, RowConflict | Contended) else error,
            )

    async def _ask_what_happened(self, batch: list[_Item]) -> None:
        """The connection went away at commit: sets with a key look whether theirs was kept; others are not
        sure.
        """
        for item in batch:
            claim = item.rendered.writes.key
            if claim is None:
                _settle(item, Unavailable("the connection was lost while committing"))
                continue
            try:
                kept = await self._database.look(self._statements.read_key, **_named(claim))
            except Exception as error:
                _settle(item, error)
            else:
                _settle(item, Written() if kept else Stale("the commit did not happen"))

    async def _check(self, session: Session, batch: list[_Item]) -> None:
        """Claim and lock in one fixed order (offsets, timers, rows, natural keys, request keys), collect
        losers.
        """
        verdicts: dict[int, ChassisError | None] = {}
        for place, item in enumerate(batch):
            verdict = await self._places_moved(session, item.rendered.writes)
            if verdict is not None:
                verdicts[place] = verdict
        await self._rows_current(session, batch, verdicts)
        await self._identifiers_free(session, batch, verdicts)
        await self._keys_free(session, batch, verdicts)
        if verdicts:
            raise _Losers(verdicts)

    async def _places_moved(self, session: Session, writes: WriteSet) -> ChassisError | None:
        now = self._clock.now()
        for move in sorted(writes.offsets, key=lambda m: (m.topic, m.partition)):
            place = {
                "consumer": move.consumer,
                "log_id": move.log_id,
                "topic": move.topic,
                "partition": move.partition,
            }
            if move.expected is None:
                moved = bool(
                    await session.fetch(self._statements.first_offset, **place, next=move.next, moved_at=now)
                )
            else:
                moved = bool(
                    await session.run(
                        self._statements.move_offset,
                        **place,
                        expected=move.expected,
                        to_next=move.next,
                        moved_at=now,
                    )
                )
            if not moved:
                return Fenced("another owner has moved on in this partition")
        if writes.timer_fired is not None:
            practice_id, id, due_at = writes.timer_fired
            if not await session.run(
                self._statements.fire_timer, practice_id=practice_id, id=id, due_at=due_at
            ):
                return TimerGone("the timer is not there any more")
        return None

    async def _rows_current(
        self, session: Session, batch: list[_Item], verdicts: dict[int, ChassisError | None]
    ) -> None:
        groups: dict[tuple[str, str], list[tuple[int, Any, Row, int]]] = {}
        for place, item in enumerate(batch):
            for repository, save, row in item.rendered.saves:
                groups.setdefault((repository.name, save.practice_id), []).append(
                    (place, repository, row, save.expected)
                )
        for (_, practice_id), entries in sorted(groups.items(), key=lambda group: group[0]):
            repository = entries[0][1]
            known = sorted(row["id"] for _, _, row, expected in entries if expected > 0)
            current: dict[str, int] = {}
            if known:
                rows = await session.fetch(repository.versions(), practice_id=practice_id, ids=known)
                current = {row["id"]: row["version"] for row in rows}
            new = [row for place, _, row, expected in entries if expected == 0 and place not in verdicts]
            inserted = {row["id"] for row in await session.fetch_many(repository.insert(), new)}
            for place, _, row, expected in entries:
                fresh = current.get(row["id"]) == expected if expected > 0 else row["id"] in inserted
                if not fresh and place not in verdicts:
                    verdicts[place] = Stale("the row has another version")

    async def _identifiers_free(
        self, session: Session, batch: list[_Item], verdicts: dict[int, ChassisError | None]
    ) -> None:
        """Bind natural keys, first those without a row, each kind in the order of the keys."""
        changes = sorted(
            (
                (key, change, place)
                for place, item in enumerate(batch)
                if place not in verdicts
                for key, change in item.rendered.writes.identifiers.items()
            ),
            key=lambda entry: entry[0],
        )
        new = [identifier_row(key, change.target) for key, change, _ in changes if change.expected == 0]
        made = {tuple(row.values()) for row in await session.fetch_many(self._statements.new_identifier, new)}
        for key, change, place in changes:
            if change.expected == 0:
                free = key in made
            else:
                free = await self._rebind(session, key, change)
            if not free:
                verdicts[place] = Stale("a natural key was bound meanwhile")

    async def _rebind(self, session: Session, key: IdentifierKey, change: IdentifierChange) -> bool:
        names = ("key_practice_id", "key_space", "key_system", "key_value")
        bound = dict(zip(names, key, strict=True))
        return bool(
            await session.run(
                self._statements.change_identifier, **bound, expected=change.expected, target=change.target
            )
        )

    async def _keys_free(
        self, session: Session, batch: list[_Item], verdicts: dict[int, ChassisError | None]
    ) -> None:
        """Claim request keys; of two sets with one key the first has it."""
        rows = [
            (place, item.rendered.key_row)
            for place, item in enumerate(batch)
            if place not in verdicts and item.rendered.key_row is not None
        ]
        claimed = await session.fetch_many(self._statements.claim_key, [row for _, row in rows])
        free = {tuple(row.values()) for row in claimed}
        for place, row in rows:
            name = (row["practice_id"], row["client_id"], row["key"])
            if name not in free:
                verdicts[place] = None
            free.discard(name)

    async def _write(self, session: Session, batch: list[_Item]) -> None:
        now = self._clock.now()
        sets = [item.rendered for item in batch]
        await self._overwrite(session, sets)
        await self._publish(session, [p for s in sets for p in s.writes.publications], now=now)
        await self._keep_waiting(session, sets)
        await session.run_many(self._statements.set_timer, [row for s in sets for row in s.timer_rows])
        cleared = [{"practice_id": p, "id": i} for s in sets for p, i in sorted(s.writes.timers_cleared)]
        await session.run_many(self._statements.clear_timer, cleared)
        audit = [_audit_row(entry) for s in sets for entry in s.writes.audit]
        await session.run_many(self._statements.audit, audit)
        await self._remember(session, sets)

    async def _overwrite(self, session: Session, sets: list[Rendered]) -> None:
        by_table: dict[str, tuple[Any, list[Row]]] = {}
        for rendered in sets:
            for repository, save, row in rendered.saves:
                if save.expected > 0:
                    by_table.setdefault(repository.name, (repository, []))[1].append(row)
        for _, (repository, rows) in sorted(by_table.items()):
            await session.run_many(repository.overwrite(), rows)

    async def _publish(self, session: Session, publications: list[Publication], *, now: datetime) -> None:
        if not publications:
            return
        counts: dict[tuple[str, str], int] = {}
        for publication in publications:
            line = (publication.practice_id, publication.outgoing.source)
            counts[line] = counts.get(line, 0) + 1
        lines = [
            {"practice_id": practice_id, "source": source, "count": count}
            for (practice_id, source), count in sorted(counts.items())
        ]
        taken = await session.fetch_many(self._statements.number_line, lines)
        following = {
            (line["practice_id"], line["source"]): last["sequence"] - line["count"] + 1
            for line, last in zip(lines, taken, strict=True)
        }
        envelopes = []
        for publication in publications:
            line = (publication.practice_id, publication.outgoing.source)
            envelopes.append(
                (publication.outgoing.topic, self._envelope(publication, following[line], now=now))
            )
            following[line] += 1
        rows = [_event_row(topic, envelope, now) for topic, envelope in envelopes]
        await session.run_many(self._statements.journal, rows)
        await session.run_many(self._statements.outbox, rows)

    def _envelope(self, publication: Publication, number: int, *, now: datetime) -> Envelope:
        outgoing = publication.outgoing
        id = self._ids()
        return Envelope(
            id=id,
            source=outgoing.source,
            type=outgoing.type,
            subject=outgoing.subject,
            time=outgoing.occurred_at,
            practiceid=publication.practice_id,
            partitionkey=outgoing.key,
            sequence=sequence_text(number),
            recordedtime=now,
            correlationid=publication.correlation_id or id,
            causationid=publication.causation_id or None,
            traceparent=publication.traceparent or None,
            dataschema=outgoing.dataschema,
            data=outgoing.data,
        )

    async def _keep_waiting(self, session: Session, sets: list[Rendered]) -> None:
        await session.run_many(self._statements.add_waiting, [row for s in sets for row in s.waiting_rows])
        done = [entry for s in sets for entry in s.writes.waiting_done]
        await session.run_many(
            self._statements.end_waiting, [{"id": id} for id, code in done if code is None]
        )
        refused = [{"key_id": id, "refused": code} for id, code in done if code is not None]
        await session.run_many(self._statements.refuse_waiting, refused)

    async def _remember(self, session: Session, sets: list[Rendered]) -> None:
        seen = [
            {"consumer": c, "practice_id": p, "source": source, "sequence": number, "event_id": event_id}
            for s in sets
            for (c, p, source), (number, event_id) in sorted(s.writes.seen.items())
        ]
        await session.run_many(self._statements.seen, seen)
        await session.run_many(self._statements.park, [row for s in sets for row in s.writes.parked])
        await session.run_many(
            self._statements.unpark, [{"number": n} for s in sets for n in s.writes.unparked]
        )
        await session.run_many(self._statements.unknown, [row for s in sets for row in s.writes.unknown])

    async def _replay(self, claim: KeyClaim) -> Reply | None:
        rows = await self._database.look(self._statements.read_key, **_named(claim))
        if not rows:
            return None
        if rows[0]["fingerprint"] != claim.fingerprint:
            raise KeyReused
        if rows[0]["reply"] is None:
            return Reply()
        key = await self._keyring.for_practice(claim.practice_id)
        return load_reply(key.open(rows[0]["reply"], table="idempotency", column="reply", row=claim.key))


def _settle(item: _Item, verdict: Outcome | BaseException) -> None:
    with contextlib.suppress(asyncio.InvalidStateError):
        if isinstance(verdict, BaseException):
            item.answer.set_exception(verdict)
            item.answer.exception()  # a caller that went away must not make the loop complain
        else:
            item.answer.set_result(verdict)


def _named(claim: KeyClaim) -> dict[str, str]:
    return {"practice_id": claim.practice_id, "client_id": claim.client_id, "key": claim.key}


def _audit_row(entry: Any) -> Row:
    return {
        name: getattr(entry, name)
        for name in ("practice_id", "at", "actor", "action", "target", "correlation_id")
    }


def _event_row(topic: str, envelope: Envelope, now: datetime) -> Row:
    """What journal and outbox keep of an event: both take their columns from here."""
    return {
        "event_id": envelope.id,
        "practice_id": envelope.practiceid,
        "source": envelope.source,
        "sequence": envelope.number,
        "type": envelope.type,
        "topic": topic,
        "key": envelope.partitionkey,
        "body": envelope.to_bytes(),
        "recorded_at": now,
    }
