"""Why notes says no."""

from __future__ import annotations

from baton_contracts.lifecycle import Refusal


class NotPossible(Exception):
    """The lifecycle does not allow it now. ``detail`` names codes only."""

    code = "illegal-transition"

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.detail = refusal.detail


class AlreadySigned(Exception):
    """A signed version stands as it is; what changes is a correction."""

    code = "illegal-transition"
    detail = "This note is signed already. Send a correction instead."
