"""What happened to a referral by our own doing, in the words of the practice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from baton_contracts.event_types import EventType
from baton_contracts.lifecycle import Fact
from baton_intake.domain.request import ExternalKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Somebody did something: who, on whose word, when in the world, and why.

    ``by`` names a kind of party (staff, client, office, patient, service) and ``actor`` the opaque id under
    which that party is known; ``assertion`` is a published code (human, partner_system, pms,
    system_inferred, policy); ``reason`` is a published code; ``text`` is for people and never leaves the
    record.
    """

    by: str
    actor: str
    assertion: str
    at: datetime
    reason: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEvent:
    """A fact of the request line."""

    type: ClassVar[EventType]

    act: Act

    def fact(self) -> Fact:
        """The same as the lifecycle reads it."""
        return Fact(
            type=self.type,
            occurred_at=self.act.at,
            reason=self.act.reason,
            assertion=self.act.assertion,
            attributes=self.attributes(),
        )

    def attributes(self) -> Mapping[str, Any]:
        """What the lifecycle needs to know beside the act."""
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralReceived(RequestEvent):
    """A referral arrived."""

    type: ClassVar[EventType] = EventType.REFERRAL_RECEIVED


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralAccepted(RequestEvent):
    """We took it."""

    type: ClassVar[EventType] = EventType.REFERRAL_ACCEPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralDeclined(RequestEvent):
    """We did not take it."""

    type: ClassVar[EventType] = EventType.REFERRAL_DECLINED

    redirected_to: ExternalKey | None = None

    def attributes(self) -> Mapping[str, Any]:
        """Where the patient was sent instead, as the contract writes it."""
        to = self.redirected_to
        return {} if to is None else {"redirected_to": {"system": to.system, "value": to.value}}
