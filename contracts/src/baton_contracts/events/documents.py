"""Line `documents`: notes, their delivery as our own side counts it, and the return of care.

By notes-service.
"""

from typing import ClassVar

from baton_contracts.event_types import EventType
from baton_contracts.events.common import (
    AckCode,
    Dataref,
    DispositionCode,
    DocumentKindCode,
    Id,
    MediaType,
    ProofCode,
    ReferralEvent,
    RetractReasonCode,
    Sha256,
    Time,
    Value,
    Version,
    VouchedAssertionCode,
)


class DocumentVersion(Value):
    """Exactly one version of one document."""

    id: Id
    version: Version
    sha256: Sha256


class NoteEvent(ReferralEvent):
    """A fact about one version of a note. `kind` is `interim`, `final`, `addendum` or `corrected`."""

    patient_id: Id
    office_id: Id
    document: DocumentVersion
    kind: DocumentKindCode
    media_type: MediaType
    dataref: Dataref


class NoteReceived(NoteEvent):
    """A note came in that nobody has signed yet. It goes nowhere."""

    type: ClassVar[EventType] = EventType.NOTE_RECEIVED

    replaces: Id | None = None


class NoteSigned(NoteEvent):
    """A clinician signed this version; it may go out.

    `disposition` says what we propose for the patient's care.
    """

    type: ClassVar[EventType] = EventType.NOTE_SIGNED

    disposition: DispositionCode | None = None
    replaces: Id | None = None
    signed_at: Time | None = None


class NoteCorrected(NoteEvent):
    """A signed version replaces a signed one: as a later version, or as another document with `replaces`."""

    type: ClassVar[EventType] = EventType.NOTE_CORRECTED

    disposition: DispositionCode | None = None
    replaces: Id | None = None
    signed_at: Time | None = None


class NoteRetracted(ReferralEvent):
    """The note should not have gone out for this referral."""

    type: ClassVar[EventType] = EventType.NOTE_RETRACTED

    reason: RetractReasonCode | None = None
    patient_id: Id
    office_id: Id
    document: DocumentVersion
    kind: DocumentKindCode


class NoteDelivered(ReferralEvent):
    """There is proof that the referrer has this version."""

    type: ClassVar[EventType] = EventType.NOTE_DELIVERED

    patient_id: Id
    office_id: Id
    document: DocumentVersion
    kind: DocumentKindCode
    delivery_id: Id | None = None
    proof: ProofCode | None = None


class CareReturned(ReferralEvent):
    """Care went back: `ack` is `explicit` (the office said so) or `implied` (window passed, with proof)."""

    type: ClassVar[EventType] = EventType.CARE_RETURNED

    assertion: VouchedAssertionCode
    patient_id: Id
    office_id: Id
    ack: AckCode
    document: DocumentVersion | None = None
    delivery_id: Id | None = None


class CareReturnRetracted(ReferralEvent):
    """Care did not go back after all."""

    type: ClassVar[EventType] = EventType.CARE_RETURN_RETRACTED

    reason: RetractReasonCode | None = None
    patient_id: Id
    office_id: Id


class ComanagementAgreed(ReferralEvent):
    """Both sides look after the patient; to be looked at again at `review_at`."""

    type: ClassVar[EventType] = EventType.COMANAGEMENT_AGREED

    patient_id: Id
    office_id: Id
    plan_id: Id
    review_at: Time | None = None


class ComanagementEnded(ReferralEvent):
    """Shared care ended and care is with the referrer."""

    type: ClassVar[EventType] = EventType.COMANAGEMENT_ENDED

    patient_id: Id
    office_id: Id
    plan_id: Id
