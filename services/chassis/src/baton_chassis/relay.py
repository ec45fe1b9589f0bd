"""From the outbox to the log: one leader a service by lease, rows leave after the log's acknowledgement,
none is skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import bindparam, delete, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite

from baton_chassis.database import Database, Row, Statement, among, database_now
from baton_chassis.errors import Busy
from baton_chassis.failpoints import declare, failpoint
from baton_chassis.log.port import Draft, EventLog
from baton_chassis.signals import Signal
from baton_chassis.tables import ChassisTables
from baton_contracts.envelope import Envelope, headers

AFTER_SEND = declare("relay.after_send", "the log has the events, the outbox still too")
LEASE_SECONDS = 5
RENEW_SECONDS = 1.5
BATCH = 500
POLL_SECONDS = 1.0


class RelayStatements:
    """Lease and outbox; every fetch and delete checks holder, epoch and expiry by the database's clock."""

    def __init__(self, tables: ChassisTables, *, name: str = "relay") -> None:
        lease, outbox = tables.lease, tables.outbox
        self.acquire = _acquire(tables, name)
        mine = [
            lease.c.name == name,
            lease.c.holder == bindparam("lease_holder"),
            lease.c.epoch == bindparam("lease_epoch"),
        ]
        live = exists(select(lease.c.name).where(*mine, lease.c.expires_at > database_now()))
        self.renew = Statement(
            update(lease)
            .where(*mine, lease.c.expires_at > database_now())
            .values(expires_at=database_now(LEASE_SECONDS))
        )
        self.release = Statement(update(lease).where(*mine).values(expires_at=database_now()))
        self.fetch = Statement(
            select(outbox.c.number, outbox.c.topic, outbox.c.key, outbox.c.body)
            .where(live)
            .order_by(outbox.c.number)
            .limit(BATCH)
        )
        self.delete = Statement(delete(outbox).where(among(outbox.c.number, "numbers"), live))


def _acquire(tables: ChassisTables, name: str) -> Statement:
    lease = tables.lease

    def clause(module: Any) -> Any:
        made = module.insert(lease).values(
            name=name, holder=bindparam("holder"), epoch=1, expires_at=database_now(LEASE_SECONDS)
        )
        made = made.on_conflict_do_update(
            index_elements=["name"],
            set_={
                "holder": made.excluded.holder,
                "epoch": lease.c.epoch + 1,
                "expires_at": made.excluded.expires_at,
            },
            where=lease.c.expires_at <= database_now(),
        )
        return made.returning(lease.c.epoch)

    return Statement(clause(postgresql), on_sqlite=clause(sqlite))


class Relay:
    """Moves committed events to the log, in order per line, at least once.

    ``run`` serves until cancelled and survives every failure of database and log; ``holder`` is unique per
    process.
    """

    def __init__(
        self,
        *,
        database: Database,
        tables: ChassisTables,
        log: EventLog,
        holder: str,
        wake: Signal,
        on_failure: Callable[[str, BaseException], None],
    ) -> None:
        self._database = database
        self._statements = RelayStatements(tables)
        self._log = log
        self._holder = holder
        self._wake = wake
        self._on_failure = on_failure
        self._epoch: int | None = None
        self._renewed_at = 0.0
        self.published = 0
        self.failures = 0
        self.last_success = time.monotonic()

    @property
    def leading(self) -> bool:
        """Whether this process held the lease when it last looked."""
        return self._epoch is not None

    async def run(self) -> None:
        """Serve the outbox for ever; on cancellation the lease is given back."""
        delay = 0.1
        try:
            while True:
                try:
                    busy = await self._lead_once()
                    self.last_success = time.monotonic()
                    delay = 0.1
                except Exception as error:  # the loop must survive: database away, log away, lease lost
                    self.failures += 1
                    self._on_failure("relay", error)
                    self._epoch = None
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, 5.0)
                    continue
                if not busy:
                    await self._wake.wait(POLL_SECONDS)
        finally:
            await self._give_back()

    async def _lead_once(self) -> bool:
        """One batch if we lead; True when there may be more.

        Fetch and delete ask themselves whether we still lead, so the lease is only renewed when it has aged.
        """
        aged = time.monotonic() - self._renewed_at >= RENEW_SECONDS
        if self._epoch is None or (aged and not await self._renew()):
            self._epoch = await self._acquire()
        if self._epoch is None:
            return False
        rows = await self._fetch()
        if not rows:
            return False
        async with self._renewing():
            await self._log.append([_draft(row) for row in rows])
        failpoint(AFTER_SEND)
        await self._run(self._statements.delete, numbers=[row["number"] for row in rows])
        self.published += len(rows)
        return True

    @contextlib.asynccontextmanager
    async def _renewing(self) -> Any:
        """Keep the lease while the log takes its time."""
        task = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Busy):
                await task

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            await self._renew()

    async def _acquire(self) -> int | None:
        self._renewed_at = time.monotonic()
        async with self._database.transaction() as session:
            rows = await session.fetch(self._statements.acquire, holder=self._holder)
        return int(rows[0]["epoch"]) if rows else None

    async def _renew(self) -> bool:
        self._renewed_at = time.monotonic()
        return bool(await self._run(self._statements.renew))

    async def _fetch(self) -> list[Row]:
        return await self._database.look(self._statements.fetch, **self._lease())

    async def _run(self, statement: Statement, **parameters: Any) -> int:
        async with self._database.transaction() as session:
            return await session.run(statement, **self._lease(), **parameters)

    def _lease(self) -> dict[str, Any]:
        return {"lease_holder": self._holder, "lease_epoch": self._epoch}

    async def _give_back(self) -> None:
        if self._epoch is None:
            return
        with contextlib.suppress(Exception):  # the lease runs out by itself
            await asyncio.shield(self._run(self._statements.release))
        self._epoch = None


def _draft(row: Row) -> Draft:
    envelope = Envelope.from_bytes(row["body"])
    return Draft(
        topic=row["topic"], key=row["key"].encode(), value=row["body"], headers=tuple(headers(envelope))
    )
