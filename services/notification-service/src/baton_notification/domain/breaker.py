"""When to leave a receiver alone for a while, so that nothing queued for it burns its tries."""

from collections import deque
from datetime import datetime, timedelta
from typing import Final

IN_A_ROW: Final = 5
WINDOW: Final = timedelta(minutes=5)
ENOUGH: Final = 10
FIRST_PAUSE: Final = timedelta(seconds=30)
LONGEST_PAUSE: Final = timedelta(minutes=10)


class Breaker:
    """Opens after five failures in a row, or when half of at least ten calls in five minutes failed; lets one
    call through after 30 s, doubling to 10 min. Times are whatever clock the caller goes by.
    """

    __slots__ = ("_calls", "_in_a_row", "_open_until", "_pause", "_probing")

    def __init__(self) -> None:
        self._calls: deque[tuple[datetime, bool]] = deque(maxlen=100)
        self._in_a_row = 0
        self._pause = FIRST_PAUSE
        self._open_until: datetime | None = None
        self._probing = False

    @property
    def opens_again_at(self) -> datetime | None:
        """When one call may be tried; None while everything may pass."""
        return self._open_until

    def admits(self, at: datetime) -> bool:
        """Whether a call may be made now; an open breaker admits one, whose result decides."""
        if self._open_until is None:
            return True
        return at >= self._open_until and not self._probing

    def begin(self) -> None:
        """A call that was admitted is under way."""
        self._probing = self._open_until is not None

    def succeeded(self, at: datetime) -> None:
        """The call went through: all is well again."""
        self._calls.append((at, True))
        self._in_a_row, self._open_until, self._pause, self._probing = 0, None, FIRST_PAUSE, False

    def failed(self, at: datetime) -> None:
        """The call failed."""
        self._calls.append((at, False))
        self._in_a_row += 1
        if self._open_until is not None:
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        elif not self._too_many(at):
            return
        self._open_until, self._probing = at + self._pause, False

    def _too_many(self, at: datetime) -> bool:
        recent = [fine for moment, fine in self._calls if at - moment <= WINDOW]
        return self._in_a_row >= IN_A_ROW or (
            len(recent) >= ENOUGH and recent.count(False) * 2 >= len(recent)
        )
