"""Line `notices`: what an office was told, by which channel, and what came of it. By notification-service."""

from typing import ClassVar

from baton_contracts.event_types import EventType
from baton_contracts.events.common import (
    ChannelCode,
    Code,
    Count,
    DeliveryKindCode,
    DeliveryRoleCode,
    Id,
    ProofCode,
    ReferralEvent,
    Time,
)
from baton_contracts.events.documents import DocumentVersion


class DeliveryEvent(ReferralEvent):
    """A step of one delivery.

    `kind` is `notice` or `document`; a document delivery names the exact version. `role` is the receiver's
    part (`referrer`, `copy`): only the referrer's counts for the loop. `code` is the channel's answer,
    never its text.
    """

    office_id: Id
    delivery_id: Id
    kind: DeliveryKindCode
    channel: ChannelCode
    role: DeliveryRoleCode
    event_id: Id | None = None
    document: DocumentVersion | None = None
    code: Code | None = None
    attempts: Count | None = None


class DeliverySent(DeliveryEvent):
    """The channel took it over. This proves nothing about the receiver."""

    type: ClassVar[EventType] = EventType.DELIVERY_SENT


class DeliveryDelivered(DeliveryEvent):
    """The receiver has it.

    For a document: a channel that carries the content confirmed, or the office fetched it while identified.
    """

    type: ClassVar[EventType] = EventType.DELIVERY_DELIVERED

    proof: ProofCode | None = None


class DeliveryFailed(DeliveryEvent):
    """It will not arrive by this channel; `fallback_channel` is what is tried instead."""

    type: ClassVar[EventType] = EventType.DELIVERY_FAILED

    fallback_channel: ChannelCode | None = None
    next_attempt_at: Time | None = None


class DeliveryOpened(DeliveryEvent):
    """The receiver looked at the notice or the page."""

    type: ClassVar[EventType] = EventType.DELIVERY_OPENED


class DeliveryAcknowledged(DeliveryEvent):
    """A person or system of the office said that it has this; of a document: this version, identified."""

    type: ClassVar[EventType] = EventType.DELIVERY_ACKNOWLEDGED
