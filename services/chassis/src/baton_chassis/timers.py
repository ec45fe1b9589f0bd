"""Durable timers: rows with a command to come; firing runs the command in the transaction that deletes the
row.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from sqlalchemy import bindparam, func, select

from baton_chassis.clock import Clock
from baton_chassis.codec import CommandCodec
from baton_chassis.commands import Caller, Command
from baton_chassis.database import Database, Row, Statement
from baton_chassis.dispatcher import Dispatcher, Fired
from baton_chassis.errors import Busy, is_refusal
from baton_chassis.ids import derived_id
from baton_chassis.sealing import Keyring
from baton_chassis.signals import Signal
from baton_chassis.tables import ChassisTables
from baton_chassis.work import WriteSet
from baton_chassis.writer import TimerGone, Writer

BATCH = 100
LONGEST_SLEEP = timedelta(seconds=30)
RECHECK = timedelta(seconds=1)

CaughtUp = Callable[[str], Awaitable[bool]]
"""Has this service read the partition of that event key up to where it ends now?"""


class Timers:
    """Fires due timers by the service's clock; any number of processes may run it, each timer fires once.

    A timer that infers from absence waits until the service has read its key's partition up to an end
    fetched after the due time. A command that is refused has had its chance: its timer is gone, the refusal
    is told to ``on_failure``.
    """

    def __init__(
        self,
        *,
        database: Database,
        tables: ChassisTables,
        dispatcher: Dispatcher,
        writer: Writer,
        keyring: Keyring,
        codec: CommandCodec,
        clock: Clock,
        wake: Signal,
        caught_up: CaughtUp,
        on_failure: Callable[[str, BaseException], None],
    ) -> None:
        timer = tables.timer
        self._due = Statement(
            select(timer)
            .where(timer.c.due_at <= bindparam("now", type_=timer.c.due_at.type))
            .order_by(timer.c.due_at, timer.c.id)
            .limit(BATCH)
        )
        self._next = Statement(select(func.min(timer.c.due_at, type_=timer.c.due_at.type).label("due_at")))
        self._database = database
        self._dispatcher = dispatcher
        self._writer = writer
        self._keyring = keyring
        self._codec = codec
        self._clock = clock
        self._wake = wake
        self._caught_up = caught_up
        self._on_failure = on_failure
        self.fired = 0

    async def run(self) -> None:
        """Serve for ever."""
        while True:
            try:
                held_back = await self.fire_due()
                pause = RECHECK if held_back else await self._until_next()
            except Exception as error:  # the loop must survive a database that is away
                self._on_failure("timers", error)
                pause = RECHECK
            await self._wake.wait(pause.total_seconds())

    async def fire_due(self) -> int:
        """Fire what is due now; tells how many had to be held back."""
        held_back = 0
        async with self._database.reading(None) as session:
            rows = await session.fetch(self._due, now=self._clock.now())
        for row in rows:
            if (row["infers_absence"] and not await self._caught_up(row["key"])) or not await self._fire(row):
                held_back += 1
        return held_back

    async def _fire(self, row: Row) -> bool:
        """Run the timer's command; False when it failed in a way that deserves another try."""
        fired = Fired(row["practice_id"], row["id"], row["due_at"])
        try:
            command, caller = await self._opened(row)
            await self._dispatcher(command, caller, fired=fired)
        except TimerGone:
            return True
        except Busy:
            raise
        except Exception as error:  # one timer's fault must not hold up the others
            refused = is_refusal(error)
            self._on_failure("timer.refused" if refused else "timer.failed", error)
            if refused:
                await self._drop(fired)
            return refused
        self.fired += 1
        return True

    async def _drop(self, fired: Fired) -> None:
        writes = WriteSet(timer_fired=(fired.practice_id, fired.id, fired.due_at))
        try:
            await self._writer.write(writes)
        except TimerGone:
            return

    async def _opened(self, row: Row) -> tuple[Command, Caller]:
        key = await self._keyring.for_practice(row["practice_id"])
        body = key.open(row["body"], table="timer", column="body", row=row["id"])
        command, caller = self._codec.load(row["command"], body)
        cause = derived_id(row["practice_id"], row["id"], row["due_at"].isoformat())
        return command, _caused(caller, cause)

    async def _until_next(self) -> timedelta:
        async with self._database.reading(None) as session:
            rows = await session.fetch(self._next)
        due: datetime | None = rows[0]["due_at"]
        if due is None:
            return LONGEST_SLEEP
        return max(timedelta(0), min(LONGEST_SLEEP, due - self._clock.now()))


def _caused(caller: Caller, cause: str) -> Caller:
    return Caller(
        practice_id=caller.practice_id,
        actor=caller.actor,
        assertion=caller.assertion,
        correlation_id=cause,
        causation_id=cause,
    )
