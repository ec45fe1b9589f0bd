"""A coalesced knock on the door of a loop: many knocks, one waking."""

from __future__ import annotations

import asyncio
import contextlib


class Signal:
    """Set from the loop's own thread (``knock``) or any other (``knock_from_anywhere``); ``wait`` clears
    it.
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def knock(self) -> None:
        """Wake whoever waits, now or next time."""
        self._event.set()

    def knock_from_anywhere(self) -> None:
        """The same from another thread; without a waiter so far there is nobody to wake."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, seconds: float) -> bool:
        """Wait for a knock, at most ``seconds``; tells whether there was one."""
        self._loop = asyncio.get_running_loop()
        # asyncio.timeout, not wait_for: that one forgets a cancellation that meets the knock (Python 3.11)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0.0)):
                await self._event.wait()
        knocked = self._event.is_set()
        self._event.clear()
        return knocked
