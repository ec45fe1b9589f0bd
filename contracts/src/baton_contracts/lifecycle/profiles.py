"""What kinds of sender may do to a referral, where their standards differ. Our states stay one."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from baton_contracts.lifecycle.states import REOPENABLE, Position, Stage, State


class CancelRight(StrEnum):
    """Whether a sender's cancellation is a request that we answer, or done when it is said."""

    REQUEST = "request"
    DIRECT_BEFORE_WORK = "direct_before_work"
    DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class PartnerProfile:
    """The rules of one kind of partner.

    `reopens` are the endings from which this partner lets a referral go on.
    """

    name: str
    cancels: CancelRight = CancelRight.REQUEST
    reopens: frozenset[State] = REOPENABLE

    def cancels_directly(self, position: Position) -> bool:
        """Whether the sender's word ends the referral now; work starts with the first appointment."""
        if self.cancels is CancelRight.DIRECT_BEFORE_WORK:
            return position.stage is Stage.RECEIVED
        return self.cancels is CancelRight.DIRECT


NATIVE: Final = PartnerProfile("native")
"""Senders without rules of their own: they request, we confirm or refuse."""

PROFILES: Final[Mapping[str, PartnerProfile]] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            NATIVE,
            PartnerProfile("bser"),
            PartnerProfile("360x"),
            PartnerProfile("bars"),
            PartnerProfile("ca-erec"),
            PartnerProfile("ocean"),
            PartnerProfile("fhir-task", CancelRight.DIRECT_BEFORE_WORK),
            PartnerProfile("cow", CancelRight.DIRECT_BEFORE_WORK),
            PartnerProfile("sdohcc", CancelRight.DIRECT),
            PartnerProfile("e-rs", CancelRight.DIRECT, frozenset({State.DECLINED})),
        )
    }
)
"""Partner profiles by name (sources: HL7 COW, SDOHCC 3.0.0, NHS e-RS A036 and A013, FHIR R4 Task)."""
