"""Offices on the partner topic: that they exist and how they want to hear.

Produced by notification-service.
"""

from typing import ClassVar

from baton_contracts.event_types import EventType
from baton_contracts.events.common import (
    Actor,
    AssertionCode,
    ChannelCode,
    Code,
    Event,
    ExternalId,
    Id,
    OfficeText,
    Time,
    Value,
)


class OfficeRoute(Value):
    """One route to an office; its address stays with the owner."""

    id: Id
    channel: ChannelCode
    verified_at: Time | None = None


class OfficeEvent(Event):
    """A fact about one office."""

    office_id: Id
    actor: Actor
    assertion: AssertionCode
    reason: Code | None = None
    external_ids: tuple[ExternalId, ...] = ()
    name: OfficeText
    routes: tuple[OfficeRoute, ...] = ()
    time_zone: Code | None = None

    @property
    def entity_id(self) -> str:
        """The office's id."""
        return self.office_id


class OfficeRegistered(OfficeEvent):
    """An office is known, at first unverified."""

    type: ClassVar[EventType] = EventType.OFFICE_REGISTERED

    referral_id: Id | None = None


class OfficeChanged(OfficeEvent):
    """An office is as stated from now on. `changed` names the fields that differ from before."""

    type: ClassVar[EventType] = EventType.OFFICE_CHANGED

    changed: tuple[Code, ...]
