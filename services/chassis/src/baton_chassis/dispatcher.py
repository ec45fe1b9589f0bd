"""From a command to its answer: load, decide, write, and again when somebody was faster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from baton_chassis.clock import Clock
from baton_chassis.commands import Caller, Command, Decided, IdempotencyKey, Reply
from baton_chassis.errors import Contended, NotFound, NotYetKnown, VersionMismatch
from baton_chassis.ids import Ids
from baton_chassis.reads import UnitSnapshot
from baton_chassis.repository import Repository
from baton_chassis.work import HandlerOf, KeyClaim, Work, new_work
from baton_chassis.writer import Replayed, Stale, Writer

TRIES = 12


@dataclass(frozen=True, slots=True)
class Fired:
    """The timer whose firing a command is: deleted in the same transaction, or the command is not run."""

    practice_id: str
    id: str
    due_at: datetime


class Dispatcher:
    """Decides commands. One object per service process; calls run side by side."""

    def __init__(
        self,
        *,
        repositories: Mapping[type, Repository[Any]],
        handlers: Mapping[type[Command], HandlerOf],
        snapshot: UnitSnapshot,
        writer: Writer,
        clock: Clock,
        ids: Ids,
        pause: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._repositories = repositories
        self._handlers = handlers
        self._snapshot = snapshot
        self._writer = writer
        self._clock = clock
        self._ids = ids
        self._pause = pause
        self._running: set[asyncio.Task[Any]] = set()

    async def __call__(
        self,
        command: Command,
        caller: Caller,
        *,
        key: IdempotencyKey | None = None,
        if_match: int | None = None,
        fired: Fired | None = None,
    ) -> Decided:
        """Run ``command`` to its durable end and answer.

        With ``key`` a repeat gets the first answer (``KeyReused`` for another request under the same key).
        With ``if_match`` the addressed aggregate must have that version (``VersionMismatch``). A command
        that names what has not arrived is kept and answered as waiting; so are commands to a thing that
        still waits. Raises the handler's refusals, ``Contended`` after many lost races, ``Unavailable``.
        The caller's cancellation does not cancel the write.
        """
        task = asyncio.create_task(self._decide(command, caller, key=key, if_match=if_match, fired=fired))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Wait until every command that was begun has ended."""
        while self._running:
            await asyncio.wait(self._running)

    def work(self, caller: Caller, now: datetime) -> Work:
        """A fresh unit of work over the last committed state."""
        return new_work(
            repositories=self._repositories,
            handlers=self._handlers,
            snapshot=self._snapshot,
            ids=self._ids,
            caller=caller,
            now=now,
        )

    async def _decide(
        self,
        command: Command,
        caller: Caller,
        *,
        key: IdempotencyKey | None,
        if_match: int | None,
        fired: Fired | None,
    ) -> Decided:
        claim = self._claim(caller, key)
        if key is not None:
            earlier = await self._writer.stored_reply(claim)
            if earlier is not None:
                return Decided(reply=earlier, replayed=True)
        now = self._clock.now()
        for attempt in range(TRIES):
            work = self.work(caller, now)
            reply = await self._answer(command, work, if_match=if_match)
            work.writes.key, work.writes.reply = claim, reply
            if fired is not None:
                work.writes.timer_fired = (fired.practice_id, fired.id, fired.due_at)
            try:
                outcome = await self._writer.write(work.writes)
            except Stale:
                await self._pause(0.002 * attempt)
                continue
            if isinstance(outcome, Replayed):
                return Decided(reply=outcome.reply, replayed=True)
            return Decided(reply=reply, replayed=False)
        raise Contended("others changed the same thing on every try")

    async def _answer(self, command: Command, work: Work, *, if_match: int | None) -> Reply:
        """The reply, with everything to write left in ``work``; a command that must wait leaves just
        itself.
        """
        expected = _Expected(if_match, command.id)
        try:
            reply = await work.run(command)
        except NotYetKnown as missing:
            return await self._wait(command, work, missing)
        except NotFound:
            before = await self._snapshot.waiting_about(work.practice_id, command.id)
            if before is not None:
                behind = NotYetKnown(space=before.space, system=before.system, value=before.value)
                return await self._wait(command, work, behind)
            work.discard()  # it may have left the waiting room between the two looks
            reply = await work.run(command)
        expected.check(work)
        return reply

    async def _wait(self, command: Command, work: Work, missing: NotYetKnown) -> Reply:
        place = (work.practice_id, missing.space, missing.system, missing.value)
        target, version = await self._snapshot.identifier(place)
        work.discard()
        if target is not None:
            return await work.run(command)
        work.wait(command, space=missing.space, system=missing.system, value=missing.value, version=version)
        work.audit(f"{type(command).__name__}.waits", command.id)
        return Reply(
            kind="waiting",
            body={"id": command.id, "status": "waiting"},
            location=command.location.format(id=command.id) or None,
        )

    def _claim(self, caller: Caller, key: IdempotencyKey | None) -> KeyClaim:
        """Every command claims a key, its own where the client gave none: after a commit whose outcome was
        lost, the key tells what happened.
        """
        if key is None:
            return KeyClaim(caller.practice_id, "", f"once:{self._ids()}", b"", keep_reply=False)
        return KeyClaim(
            caller.practice_id, caller.client_id or caller.actor, key.key, key.fingerprint, keep_reply=True
        )


@dataclass(frozen=True, slots=True)
class _Expected:
    """``If-Match`` against the version that the addressed aggregate had before this command."""

    version: int | None
    id: str

    def check(self, work: Work) -> None:
        if self.version is None:
            return
        before = [s.expected for s in work.writes.saves.values() if s.aggregate.id == self.id]
        if before and before[0] != self.version:
            raise VersionMismatch(current=before[0])
