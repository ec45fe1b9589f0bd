"""When to try again: the schedule of the Standard Webhooks specification, spread against stampedes."""

from datetime import timedelta
from typing import Final

SCHEDULE: Final = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""The pause before each try; the tenth is the last (75.6 h in all)."""

SPREAD: Final = 0.2
LONGEST_WISH: Final = timedelta(hours=24)
"""How far ahead a receiver's ``Retry-After`` is believed."""


def pause_before(tried: int, *, chance: float, wish: timedelta | None = None) -> timedelta | None:
    """How long to wait after ``tried`` tries; None when that was the last.

    ``chance`` lies in [0, 1) and spreads the pause by +-20 %; a receiver's ``wish`` can lengthen it, not
    shorten it.
    """
    if tried >= len(SCHEDULE):
        return None
    spread = 1 - SPREAD + 2 * SPREAD * chance
    pause = SCHEDULE[tried] * spread
    return max(pause, min(wish, LONGEST_WISH)) if wish is not None else pause
