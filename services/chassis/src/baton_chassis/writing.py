"""The statements of a grouped commit, and the rows they take: rendered before the transaction, written
inside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from baton_chassis.codec import CommandCodec, dump_reply
from baton_chassis.commands import Caller
from baton_chassis.database import Row, Statement, insert_ignoring, upsert
from baton_chassis.database.statements import insert_row
from baton_chassis.repository import Repository
from baton_chassis.sealing import Keyring
from baton_chassis.tables import ChassisTables
from baton_chassis.work import Save, TimerRow, WaitingCommand, WriteSet


class WriteStatements:
    """Everything that the writer says to the database, declared once a service."""

    def __init__(self, tables: ChassisTables) -> None:
        o, t, i, k = tables.consumer_offset, tables.timer, tables.identifier, tables.idempotency
        place = [o.c[n] == bindparam(n) for n in ("consumer", "log_id", "topic", "partition")]
        self.move_offset = Statement(
            update(o)
            .where(*place, o.c.next == bindparam("expected"))
            .values(next=bindparam("to_next"), moved_at=bindparam("moved_at", type_=o.c.moved_at.type))
        )
        self.first_offset = insert_ignoring(o, returning=[o.c.next])
        self.fire_timer = Statement(
            delete(t).where(
                t.c.practice_id == bindparam("practice_id"),
                t.c.id == bindparam("id"),
                t.c.due_at == bindparam("due_at", type_=t.c.due_at.type),
            )
        )
        named = [i.c[n] == bindparam(f"key_{n}") for n in ("practice_id", "space", "system", "value")]
        self.change_identifier = Statement(
            update(i)
            .where(*named, i.c.version == bindparam("expected"), i.c.target.is_(None))
            .values(target=bindparam("target", type_=i.c.target.type), version=i.c.version + 1)
        )
        self.new_identifier = insert_ignoring(i, returning=list(i.primary_key.columns))
        self.claim_key = insert_ignoring(k, returning=list(k.primary_key.columns))
        self.read_key = Statement(
            select(k.c.fingerprint, k.c.reply).where(
                k.c.practice_id == bindparam("practice_id"),
                k.c.client_id == bindparam("client_id"),
                k.c.key == bindparam("key"),
            )
        )
        self.number_line = _numbering(tables)
        self.journal = insert_row(tables.journal)
        self.outbox = insert_row(tables.outbox)
        self.audit = insert_row(tables.audit)
        self.add_waiting = insert_row(tables.waiting)
        w = tables.waiting
        self.end_waiting = Statement(delete(w).where(w.c.id == bindparam("id")))
        self.refuse_waiting = Statement(
            update(w).where(w.c.id == bindparam("key_id")).values(refused=bindparam("refused"))
        )
        self.set_timer = upsert(t)
        self.clear_timer = Statement(
            delete(t).where(t.c.practice_id == bindparam("practice_id"), t.c.id == bindparam("id"))
        )
        self.seen = upsert(tables.consumer_seen)
        self.park = insert_ignoring(tables.parked)
        self.unpark = Statement(delete(tables.parked).where(tables.parked.c.number == bindparam("number")))
        self.unknown = insert_ignoring(tables.unknown_event)


def _numbering(tables: ChassisTables) -> Statement:
    """Take the next ``count`` numbers of a line: creates, locks and advances it in one statement."""
    line = tables.line

    def clause(module: Any) -> Any:
        made = module.insert(line).values(
            practice_id=bindparam("practice_id"), source=bindparam("source"), sequence=bindparam("count")
        )
        made = made.on_conflict_do_update(
            index_elements=["practice_id", "source"],
            set_={"sequence": line.c.sequence + made.excluded.sequence},
        )
        return made.returning(line.c.sequence)

    return Statement(clause(postgresql), on_sqlite=clause(sqlite))


@dataclass(slots=True)
class Rendered:
    """One write set as rows: what costs time (sealing, JSON) is done before the transaction opens."""

    writes: WriteSet
    saves: list[tuple[Repository[Any], Save, Row]] = field(default_factory=list)
    key_row: Row | None = None
    waiting_rows: list[Row] = field(default_factory=list)
    timer_rows: list[Row] = field(default_factory=list)


class Renderer:
    """Turns write sets into rows."""

    def __init__(self, *, keyring: Keyring, codec: CommandCodec) -> None:
        self._keyring = keyring
        self._codec = codec

    async def render(self, writes: WriteSet, *, now: datetime) -> Rendered:
        """All rows of ``writes`` whose content does not depend on the transaction."""
        done = Rendered(writes)
        for save in writes.saves.values():
            key = await self._keyring.for_practice(save.practice_id)
            row = save.repository.row_of(save.aggregate, practice_id=save.practice_id, key=key)
            done.saves.append((save.repository, save, row))
        done.saves.sort(key=lambda entry: (entry[0].name, entry[1].practice_id, entry[1].aggregate.id))
        done.waiting_rows = [await self._waiting(entry) for entry in writes.waiting_added]
        done.timer_rows = [await self._timer(row) for row in writes.timers_set.values()]
        if writes.key is not None:
            done.key_row = await self._key(writes, now=now)
        return done

    async def _key(self, writes: WriteSet, *, now: datetime) -> Row:
        claim = writes.key
        assert claim is not None
        reply = None
        if claim.keep_reply and writes.reply is not None:
            key = await self._keyring.for_practice(claim.practice_id)
            reply = key.seal(dump_reply(writes.reply), table="idempotency", column="reply", row=claim.key)
        return {
            "practice_id": claim.practice_id,
            "client_id": claim.client_id,
            "key": claim.key,
            "fingerprint": claim.fingerprint,
            "reply": reply,
            "recorded_at": now,
        }

    async def _waiting(self, entry: WaitingCommand) -> Row:
        key = await self._keyring.for_practice(entry.practice_id)
        body = self._codec.dump(entry.command, entry.caller)
        return {
            "id": entry.id,
            "practice_id": entry.practice_id,
            "space": entry.space,
            "system": entry.system,
            "value": entry.value,
            "target": entry.target,
            "command": type(entry.command).__name__,
            "body": key.seal(body, table="waiting", column="body", row=entry.id),
            "asked_at": entry.asked_at,
            "refused": None,
        }

    async def _timer(self, entry: TimerRow) -> Row:
        key = await self._keyring.for_practice(entry.practice_id)
        body = self._codec.dump(entry.command, _by_policy(entry))
        return {
            "practice_id": entry.practice_id,
            "id": entry.id,
            "kind": entry.kind,
            "due_at": entry.due_at,
            "key": entry.key,
            "infers_absence": entry.infers_absence,
            "command": type(entry.command).__name__,
            "body": key.seal(body, table="timer", column="body", row=entry.id),
        }


def _by_policy(entry: TimerRow) -> Caller:
    return Caller(practice_id=entry.practice_id, actor=f"timer:{entry.kind}", assertion="policy")


def identifier_row(key: tuple[str, str, str, str], target: str | None) -> Row:
    """A first row for a natural key."""
    practice_id, space, system, value = key
    return {
        "practice_id": practice_id,
        "space": space,
        "system": system,
        "value": value,
        "target": target,
        "version": 1,
    }
