"""The time, as an argument: UTC, aware, and movable in tests and sandboxes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time that business rules, timers and retry schedules go by."""

    def now(self) -> datetime:
        """The current time, timezone-aware, UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current time in UTC."""
        return datetime.now(UTC)


class MovableClock:
    """The machine's clock plus an offset that only grows; listeners hear of every move.

    Security checks (tokens, codes, cookies) never use it: they take a ``SystemClock``.
    """

    def __init__(self, base: Clock | None = None) -> None:
        self._base = base or SystemClock()
        self._offset = timedelta()
        self._listeners: list[Callable[[], None]] = []

    def now(self) -> datetime:
        """The moved time in UTC."""
        return self._base.now() + self._offset

    @property
    def offset(self) -> timedelta:
        """How far ahead of the machine this clock is."""
        return self._offset

    def advance(self, step: timedelta) -> None:
        """Move forward by ``step`` (never back: raises ``ValueError``) and wake whoever sleeps by this
        clock.
        """
        if step < timedelta():
            raise ValueError("a clock moves forward only")
        self._offset += step
        for listener in list(self._listeners):
            listener()

    def on_move(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after every move (from the thread that moved the clock)."""
        self._listeners.append(listener)


class FixedClock:
    """A clock for tests: stands still until told otherwise."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        """The time it was set to."""
        return self.at

    def advance(self, step: timedelta) -> None:
        """Move forward by ``step``."""
        self.at += step
