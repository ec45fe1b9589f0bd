"""Waiting for what other processes do: bounded, and saying what was seen last."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class NotInTime(AssertionError):
    """What was waited for did not happen."""


def until(look: Callable[[], T | None], *, seconds: float = 30.0, what: str = "") -> T:
    """``look`` again until it gives something true; raises ``NotInTime`` with the last thing it gave."""
    deadline = time.monotonic() + seconds
    found = look()
    while not found:
        if time.monotonic() > deadline:
            raise NotInTime(f"not within {seconds} s: {what or look.__name__}; last seen: {found!r}")
        time.sleep(0.05)
        found = look()
    return found
