"""Why scheduling says no."""

from __future__ import annotations

from baton_contracts.lifecycle import Refusal, RefusalCode

_INVALID = frozenset({RefusalCode.REASON_REQUIRED, RefusalCode.UNKNOWN_REASON})


class NotPossible(Exception):
    """The lifecycle does not allow it now, or not for this reason. ``detail`` names codes only."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.code = "validation-failed" if refusal.code in _INVALID else "illegal-transition"
        self.detail = refusal.detail
        self.pointer = "/reason" if refusal.code in _INVALID else None
