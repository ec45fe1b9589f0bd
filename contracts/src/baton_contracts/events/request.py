"""Line `request`: what was asked of us and what became of the asking. Produced by intake-service."""

from typing import ClassVar

from baton_contracts import codes
from baton_contracts.event_types import EventType
from baton_contracts.events.common import (
    CancelReasonCode,
    CancelRefusalReasonCode,
    Clinician,
    Code,
    Coding,
    Dataref,
    DeclineReasonCode,
    ErrorReasonCode,
    ExpiryReasonCode,
    ExternalId,
    ExternalValue,
    HoldReasonCode,
    Id,
    OfficeText,
    PriorityCode,
    ReferralEvent,
    ReopenReasonCode,
    ReopenToCode,
    RequestedDispositionCode,
    Time,
    Value,
    VouchedAssertionCode,
    WithdrawReasonCode,
)


class ContactRoute(Value):
    """A way to reach an office, as stated: FHIR ContactPoint system (phone, fax, email, url) and address."""

    system: Code
    value: OfficeText


class OfficeIdentity(Value):
    """The business identity of a referring office: nothing here is about a patient."""

    name: OfficeText
    identifiers: tuple[ExternalId, ...] = ()
    telecom: tuple[ContactRoute, ...] = ()


class ReferralReceived(ReferralEvent):
    """A referral arrived.

    `source` is the key its sender gave it; `external_ids` are all other names it has.
    """

    type: ClassVar[EventType] = EventType.REFERRAL_RECEIVED

    patient_id: Id
    office_id: Id
    source: ExternalId
    office: OfficeIdentity
    office_reference: ExternalValue | None = None
    clinician: Clinician | None = None
    priority: PriorityCode
    specialty: Coding | None = None
    requested_disposition: RequestedDispositionCode | None = None
    authored_at: Time | None = None
    expires_at: Time | None = None
    dataref: Dataref | None = None

    @property
    def names(self) -> tuple[ExternalId, ...]:
        """Every name by which others may speak of this referral, the sender's key first, without repeats."""
        return tuple(dict.fromkeys((self.source, *self.external_ids)))


class ReferralUpdated(ReferralEvent):
    """The request's content changed. `changed` names the fields, never their values."""

    type: ClassVar[EventType] = EventType.REFERRAL_UPDATED

    changed: tuple[Code, ...]
    office_reference: ExternalValue | None = None
    priority: PriorityCode | None = None
    specialty: Coding | None = None
    requested_disposition: RequestedDispositionCode | None = None
    expires_at: Time | None = None
    dataref: Dataref | None = None


class ReferralAccepted(ReferralEvent):
    """We take the referral."""

    type: ClassVar[EventType] = EventType.REFERRAL_ACCEPTED


class ReferralDeclined(ReferralEvent):
    """We do not take the referral, or no longer. The reason is required."""

    type: ClassVar[EventType] = EventType.REFERRAL_DECLINED

    assertion: VouchedAssertionCode
    reason: DeclineReasonCode
    redirected_to: ExternalId | None = None


class ReferralInfoRequested(ReferralEvent):
    """We asked the office for something.

    `items` are codes of what is missing; the question's text stays with its owner.
    """

    type: ClassVar[EventType] = EventType.REFERRAL_INFO_REQUESTED

    reason: HoldReasonCode = codes.HoldReason.MISSING_INFO
    request_id: Id
    items: tuple[Code, ...] = ()
    reply_by: Time | None = None
    dataref: Dataref | None = None


class ReferralInfoSupplied(ReferralEvent):
    """An answer arrived.

    Vouched for by a person it lifts the hold; from a system alone it waits for review.
    """

    type: ClassVar[EventType] = EventType.REFERRAL_INFO_SUPPLIED

    request_id: Id | None = None
    items: tuple[Code, ...] = ()
    dataref: Dataref | None = None


class ReferralHeld(ReferralEvent):
    """Work waits for someone or something. The reason is required."""

    type: ClassVar[EventType] = EventType.REFERRAL_HELD

    reason: HoldReasonCode
    until: Time | None = None


class ReferralReleased(ReferralEvent):
    """Work goes on."""

    type: ClassVar[EventType] = EventType.REFERRAL_RELEASED


class ReferralCancelRequested(ReferralEvent):
    """The sender asked us to stop; we have not answered yet."""

    type: ClassVar[EventType] = EventType.REFERRAL_CANCEL_REQUESTED

    reason: CancelReasonCode | None = None
    request_id: Id | None = None


class ReferralCancelRefused(ReferralEvent):
    """We do not stop, because it is too late or the work is done."""

    type: ClassVar[EventType] = EventType.REFERRAL_CANCEL_REFUSED

    reason: CancelRefusalReasonCode | None = None
    request_id: Id | None = None


class ReferralCancelled(ReferralEvent):
    """The sender took the referral back."""

    type: ClassVar[EventType] = EventType.REFERRAL_CANCELLED

    assertion: VouchedAssertionCode
    reason: CancelReasonCode | None = None
    request_id: Id | None = None


class ReferralWithdrawn(ReferralEvent):
    """The patient, or their death, ended the referral. The reason is required."""

    type: ClassVar[EventType] = EventType.REFERRAL_WITHDRAWN

    assertion: VouchedAssertionCode
    reason: WithdrawReasonCode


class ReferralExpired(ReferralEvent):
    """Nobody we waited for moved in time. The reason is required."""

    type: ClassVar[EventType] = EventType.REFERRAL_EXPIRED

    reason: ExpiryReasonCode


class ReferralReopened(ReferralEvent):
    """An ended referral goes on: `to` is `accepted`, or `received` when it was sent again."""

    type: ClassVar[EventType] = EventType.REFERRAL_REOPENED

    reason: ReopenReasonCode | None = None
    to: ReopenToCode


class ReferralMarkedInError(ReferralEvent):
    """It was never a real referral; a duplicate names the one that counts."""

    type: ClassVar[EventType] = EventType.REFERRAL_MARKED_IN_ERROR

    reason: ErrorReasonCode | None = None
    duplicate_of: Id | None = None
