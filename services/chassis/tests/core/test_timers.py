"""Durable timers fire once, by the service's clock, in the transaction that removes them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from baton_chassis.clock import FixedClock
from baton_chassis.ids import new_id
from baton_chassis.signals import Signal
from baton_chassis.testing.harness import Harness
from baton_chassis.timers import Timers


class Caught:
    """Says whether the partition has been read."""

    def __init__(self) -> None:
        self.up = True
        self.asked: list[str] = []

    async def __call__(self, key: str) -> bool:
        self.asked.append(key)
        return self.up


@pytest.fixture
def caught() -> Caught:
    """Caught up, until a test says otherwise."""
    return Caught()


@pytest.fixture
def timers(toy: Harness, caught: Caught) -> Timers:
    """The toy's timers, fired by hand."""
    service = toy.service
    return Timers(
        database=service.database,
        tables=service.definition.tables,
        dispatcher=service.submit,
        writer=service.writer,
        keyring=service.keyring,
        codec=service.codec,
        clock=service.environment.clock,
        wake=Signal(),
        caught_up=caught,
        on_failure=lambda where, error: None,
    )


async def _opened(toy: Harness, words: dict[str, Any]) -> str:
    id = new_id()
    await toy.submit(words["Open"](id=id))
    return id


async def _schedule(toy: Harness, words: dict[str, Any], id: str, after: timedelta, **said: Any) -> None:
    work = toy.service.submit.work(toy.caller, words["NOON"])
    work.schedule("remind", id, words["NOON"] + after, words["Count"](id=id), **said)
    await toy.service.writer.write(work.writes)


async def _total(toy: Harness, words: dict[str, Any], id: str) -> int:
    tally = await toy.service.reader.get(words["Tally"], "p1", id)
    assert tally is not None
    return int(tally.total)


async def test_a_timer_fires_when_it_is_due_and_not_before(
    toy: Harness, words: dict[str, Any], timers: Timers, clock: FixedClock
) -> None:
    id = await _opened(toy, words)
    await _schedule(toy, words, id, timedelta(days=14))

    await timers.fire_due()
    assert await _total(toy, words, id) == 1
    clock.advance(timedelta(days=14))
    await timers.fire_due()
    await timers.fire_due()

    assert await _total(toy, words, id) == 2
    assert await toy.rows(toy.service.definition.tables.timer) == []


async def test_two_processes_fire_a_timer_once(
    toy: Harness, words: dict[str, Any], timers: Timers, clock: FixedClock
) -> None:
    id = await _opened(toy, words)
    await _schedule(toy, words, id, timedelta(minutes=1))
    clock.advance(timedelta(hours=1))

    await asyncio.gather(timers.fire_due(), timers.fire_due(), timers.fire_due())

    assert await _total(toy, words, id) == 2


async def test_the_same_kind_and_id_again_replaces_the_timer(
    toy: Harness, words: dict[str, Any], timers: Timers, clock: FixedClock
) -> None:
    id = await _opened(toy, words)
    await _schedule(toy, words, id, timedelta(days=1))
    await _schedule(toy, words, id, timedelta(days=3))

    clock.advance(timedelta(days=2))
    await timers.fire_due()

    assert await _total(toy, words, id) == 1


async def test_a_dropped_timer_does_not_fire(
    toy: Harness, words: dict[str, Any], timers: Timers, clock: FixedClock
) -> None:
    id = await _opened(toy, words)
    await _schedule(toy, words, id, timedelta(days=1))
    work = toy.service.submit.work(toy.caller, words["NOON"])
    work.unschedule("remind", id)
    await toy.service.writer.write(work.writes)

    clock.advance(timedelta(days=2))
    await timers.fire_due()

    assert await _total(toy, words, id) == 1


async def test_a_timer_that_infers_from_absence_waits_until_everything_was_read(
    toy: Harness, words: dict[str, Any], timers: Timers, clock: FixedClock, caught: Caught
) -> None:
    id = await _opened(toy, words)
    await _schedule(toy, words, id, timedelta(days=1), key="the-key", infers_absence=True)
    clock.advance(timedelta(days=2))
    caught.up = False

    assert await timers.fire_due() == 1
    assert await _total(toy, words, id) == 1
    caught.up = True
    assert await timers.fire_due() == 0

    assert await _total(toy, words, id) == 2
    assert caught.asked == ["the-key", "the-key"]


async def test_a_refused_timer_is_gone_and_changes_nothing(
    toy: Harness, words: dict[str, Any], timers: Timers, clock: FixedClock
) -> None:
    await _schedule(toy, words, new_id(), timedelta(days=1))
    clock.advance(timedelta(days=2))

    await timers.fire_due()

    assert await toy.rows(toy.service.definition.tables.timer) == []
    assert await toy.published() == []


async def test_a_timer_says_that_it_acts_by_policy(
    toy: Harness, words: dict[str, Any], timers: Timers, clock: FixedClock
) -> None:
    id = await _opened(toy, words)
    await _schedule(toy, words, id, timedelta(days=1))
    clock.advance(timedelta(days=2))

    await timers.fire_due()

    audit = await toy.rows(toy.service.definition.tables.audit)
    assert audit[-1]["actor"] == "timer:remind"
