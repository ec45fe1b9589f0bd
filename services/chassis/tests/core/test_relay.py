"""Committed events reach the log in order, at least once, by one leader at a time; no row is skipped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from baton_chassis.ids import new_id
from baton_chassis.log.port import Draft, EventLog, LogUnavailable
from baton_chassis.relay import Relay
from baton_chassis.signals import Signal
from baton_chassis.testing.harness import Harness
from baton_contracts.envelope import Envelope


class Moody:
    """A log that can be away, or lose the acknowledgement of what it took."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.away = False
        self.forgets_to_say = 0
        self.appended = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def append(self, drafts: Sequence[Draft]) -> None:
        if self.away:
            raise LogUnavailable("away")
        await self._log.append(drafts)
        if self.forgets_to_say:
            self.forgets_to_say -= 1
            raise LogUnavailable("no acknowledgement")
        self.appended.set()


@pytest.fixture
async def log(toy: Harness) -> Moody:
    """The toy's log."""
    await toy.service.environment.log.ensure_topics(["referral.events"])
    return Moody(toy.service.environment.log)


def _relay(toy: Harness, log: Any, holder: str = "one") -> Relay:
    return Relay(
        database=toy.service.database,
        tables=toy.service.definition.tables,
        log=log,
        holder=holder,
        wake=Signal(),
        on_failure=lambda where, error: None,
    )


@asynccontextmanager
async def _running(relay: Relay) -> AsyncIterator[Relay]:
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def _until_empty(toy: Harness) -> None:
    async with asyncio.timeout(10):
        while await toy.rows(toy.service.definition.tables.outbox):
            await asyncio.sleep(0.02)


async def _in_log(log: Any) -> list[Envelope]:
    found = []
    for number in range(12):
        found += [Envelope.from_bytes(r.value) for r in await log.read("referral.events", number, 0, 1000)]
    return found


async def test_what_was_committed_gets_out_in_order_and_leaves_the_outbox(
    toy: Harness, words: dict[str, Any], log: Moody
) -> None:
    id = new_id()
    await toy.submit(words["Open"](id=id))
    for _ in range(5):
        await toy.submit(words["Count"](id=id))

    async with _running(_relay(toy, log)):
        await _until_empty(toy)

    assert [event.number for event in await _in_log(log)] == [1, 2, 3, 4, 5, 6]


async def test_the_log_gets_the_bytes_of_the_journal(toy: Harness, words: dict[str, Any], log: Moody) -> None:
    await toy.submit(words["Open"](id=new_id()))

    async with _running(_relay(toy, log)):
        await _until_empty(toy)

    (row,) = await toy.rows(toy.service.definition.tables.journal)
    (event,) = await _in_log(log)
    assert event.to_bytes() == bytes(row["body"])


async def test_a_log_that_is_away_loses_nothing(toy: Harness, words: dict[str, Any], log: Moody) -> None:
    log.away = True
    await toy.submit(words["Open"](id=new_id()))

    async with _running(_relay(toy, log)) as relay:
        async with asyncio.timeout(10):
            while relay.failures < 2:
                await asyncio.sleep(0.02)
        log.away = False
        await _until_empty(toy)

    assert len(await _in_log(log)) == 1


async def test_a_lost_acknowledgement_is_a_repeat_not_a_loss(
    toy: Harness, words: dict[str, Any], log: Moody
) -> None:
    log.forgets_to_say = 1
    id = new_id()
    await toy.submit(words["Open"](id=id))
    await toy.submit(words["Count"](id=id))

    async with _running(_relay(toy, log)):
        await _until_empty(toy)

    assert [event.number for event in await _in_log(log)] == [1, 2, 1, 2]


async def test_only_one_of_two_relays_leads_and_the_other_takes_over(
    toy: Harness, words: dict[str, Any], log: Moody
) -> None:
    first, second = _relay(toy, log, "one"), _relay(toy, log, "two")
    async with _running(first):
        async with asyncio.timeout(10):
            while not first.leading:
                await asyncio.sleep(0.02)
        async with _running(second):
            await toy.submit(words["Open"](id=new_id()))
            await _until_empty(toy)
            assert (first.leading, second.leading) == (True, False)

    async with _running(second):
        await toy.submit(words["Open"](id=new_id()))
        await _until_empty(toy)
        assert second.leading


async def test_a_leader_whose_lease_was_taken_deletes_nothing(
    toy: Harness, words: dict[str, Any], log: Moody
) -> None:
    frozen = _relay(toy, log, "frozen")
    frozen._epoch = await frozen._acquire()
    await toy.submit(words["Open"](id=new_id()))
    rows = await frozen._fetch()
    async with toy.service.database.transaction() as session:
        from sqlalchemy import update

        from baton_chassis.database import Statement, database_now

        lease = toy.service.definition.tables.lease
        await session.run(
            Statement(update(lease).values(holder="other", epoch=99, expires_at=database_now(5)))
        )

    deleted = await frozen._run(frozen._statements.delete, numbers=[row["number"] for row in rows])

    assert deleted == 0
    assert await frozen._fetch() == []
    assert len(await toy.rows(toy.service.definition.tables.outbox)) == 1
