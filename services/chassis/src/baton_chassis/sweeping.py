"""What may be forgotten is forgotten: request keys a week old. Events, audit and whatever waits are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import bindparam, delete

from baton_chassis.clock import Clock
from baton_chassis.database import Database, Statement
from baton_chassis.tables import ChassisTables

KEY_LIFE = timedelta(days=7)
"""How long a request's key is answered again; batch jobs of practice systems repeat after a weekend."""

EVERY_SECONDS = 3600.0


class Sweeper:
    """Deletes old request keys, once an hour; several processes may run it."""

    def __init__(
        self,
        *,
        database: Database,
        tables: ChassisTables,
        clock: Clock,
        on_failure: Callable[[str, BaseException], None],
    ) -> None:
        table = tables.idempotency
        self._statement = Statement(
            delete(table).where(table.c.recorded_at < bindparam("before", type_=table.c.recorded_at.type))
        )
        self._database = database
        self._clock = clock
        self._on_failure = on_failure

    async def run(self) -> None:
        """Serve for ever."""
        while True:
            try:
                await self.sweep()
            except Exception as error:  # the loop must survive a database that is away
                self._on_failure("sweeper", error)
            await asyncio.sleep(EVERY_SECONDS)

    async def sweep(self) -> int:
        """Delete what is too old; how many keys that were."""
        async with self._database.transaction() as session:
            return await session.run(self._statement, before=self._clock.now() - KEY_LIFE)
