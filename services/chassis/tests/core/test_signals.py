"""A knock wakes once, and never swallows a cancellation."""

from __future__ import annotations

import asyncio

import pytest

from baton_chassis.signals import Signal


async def test_many_knocks_are_one_waking() -> None:
    signal = Signal()
    signal.knock()
    signal.knock()

    assert await signal.wait(1.0)
    assert not await signal.wait(0.0)


async def test_a_cancellation_that_meets_a_knock_is_not_forgotten() -> None:
    signal = Signal()

    async def serve() -> None:
        while True:
            await signal.wait(60.0)

    task = asyncio.create_task(serve())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    signal.knock()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asyncio.shield(task), 1.0)
