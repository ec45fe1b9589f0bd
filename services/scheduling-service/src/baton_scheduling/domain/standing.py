"""Where a referral stands, as scheduling has heard it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from baton_contracts.lifecycle import Fact, Lines, Party, Verb, refusal
from baton_scheduling.domain.refusals import NotPossible


@dataclass(slots=True)
class ReferralStanding:
    """One referral: whom it is about, who sent it, and its lines of facts as read so far.

    ``id`` is the referral's id. Publishes nothing: it only listens.
    """

    id: str
    patient_id: str
    office_id: str
    lines: Lines = field(default_factory=Lines)
    version: int = 0
    events: list[Any] = field(default_factory=list)

    def hear(self, fact: Fact) -> None:
        """Take one fact of any line."""
        self.lines = self.lines.after(fact)

    def check(self, verb: Verb, *, by: Party, reason: str | None = None) -> None:
        """Raise ``NotPossible`` when the lifecycle does not allow ``verb`` now."""
        found = refusal(self.lines.position, verb, by=by, reason=reason)
        if found is not None:
            raise NotPossible(found)
