"""The published codes: why something was done, and the small vocabularies of events. Standard library only.

Producers use these values only; consumers take an unknown one as it is. A value is never dropped or given
another meaning. The comments name the nearest NHS e-RS code where there is one.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from baton_contracts.event_types import EventType


class Assertion(StrEnum):
    """Who vouches for a fact. `system_inferred` never declines, cancels, withdraws or returns care."""

    HUMAN = "human"
    PARTNER_SYSTEM = "partner_system"
    PMS = "pms"
    SYSTEM_INFERRED = "system_inferred"
    POLICY = "policy"


class VouchedAssertion(StrEnum):
    """Who vouches for an ending or a return of care: never a system's inference."""

    HUMAN = Assertion.HUMAN.value
    PARTNER_SYSTEM = Assertion.PARTNER_SYSTEM.value
    PMS = Assertion.PMS.value
    POLICY = Assertion.POLICY.value


class ActorKind(StrEnum):
    """What sort of party acted."""

    STAFF = "staff"
    CLIENT = "client"
    OFFICE = "office"
    PATIENT = "patient"
    SERVICE = "service"


class Priority(StrEnum):
    """How soon (FHIR request-priority)."""

    ROUTINE = "routine"
    URGENT = "urgent"
    ASAP = "asap"
    STAT = "stat"


class RequestedDisposition(StrEnum):
    """What the referrer wants back (HL7 v2 table 0282)."""

    ASSUME_MANAGEMENT = "assume_management"
    RETURN_PATIENT = "return_patient"
    SECOND_OPINION = "second_opinion"
    WRITTEN_REPORT = "written_report"


class Disposition(StrEnum):
    """What a final note proposes for the patient's care."""

    CARE_RETURNED = "care_returned"
    CO_MANAGE = "co_manage"
    SECOND_OPINION_GIVEN = "second_opinion_given"
    ADVICE_GIVEN = "advice_given"
    ASSUME_MANAGEMENT = "assume_management"
    UNABLE_TO_COMPLETE = "unable_to_complete"


class AppointmentKind(StrEnum):
    """What an appointment is for; only a visit moves the referral."""

    VISIT = "visit"
    FOLLOW_UP = "follow_up"
    TEST = "test"


class CancelledBy(StrEnum):
    """Who called an appointment off."""

    PATIENT = "patient"
    CLINIC = "clinic"
    SENDER = "sender"


class DocumentKind(StrEnum):
    """What a note is; `final` and what corrects it close the loop, `interim` does not."""

    INTERIM = "interim"
    FINAL = "final"
    ADDENDUM = "addendum"
    CORRECTED = "corrected"


class Ack(StrEnum):
    """How care went back: the office said so, or the window passed with proof that it has the note."""

    EXPLICIT = "explicit"
    IMPLIED = "implied"


class ReopenTo(StrEnum):
    """Where an ended referral goes on: plainly accepted, or received when it was sent again."""

    ACCEPTED = "accepted"
    RECEIVED = "received"


class Channel(StrEnum):
    """By which means an office is reached."""

    EMAIL = "email"
    WEBHOOK = "webhook"
    FAX = "fax"
    SMS = "sms"
    FHIR = "fhir"
    HL7V2 = "hl7v2"
    DIRECT = "direct"
    PAGE = "page"
    PHONE = "phone"
    LETTER = "letter"


class DeliveryKind(StrEnum):
    """Whether a delivery tells something or carries a document."""

    NOTICE = "notice"
    DOCUMENT = "document"


class DeliveryRole(StrEnum):
    """The receiver's part: only what the referrer got counts for the loop."""

    REFERRER = "referrer"
    COPY = "copy"


class Proof(StrEnum):
    """What shows that a document is in the referrer's hands."""

    FULL_PAYLOAD_ACCEPTED = "full_payload_accepted"
    HL7_ACK = "hl7_ack"
    PROVIDER_CONFIRMED = "provider_confirmed"
    FETCHED_IDENTIFIED = "fetched_identified"
    CONFIRMED_BY_PERSON = "confirmed_by_person"


class DeclineReason(StrEnum):
    """Why we do not take a referral."""

    INSUFFICIENT_INFO = "insufficient_info"  # FURTHER_INFORMATION_REQUIRED
    PREREQUISITES_MISSING = "prerequisites_missing"  # SERVICE_PREREQUISITES_NOT_COMPLETE
    WRONG_SERVICE = "wrong_service"  # SERVICE_INAPPROPRIATE, REDIRECTED_APPROPRIATE_CLINIC, ..._SPECIALTY
    NOT_NEEDED_ADVICE_GIVEN = (
        "not_needed_advice_given"  # OUTPATIENT_APPT_NOT_REQUIRED, RETURN_TO_REFERRER_...
    )
    PAYER_NOT_ACCEPTED = "payer_not_accepted"
    NO_CAPACITY = "no_capacity"
    AGE_LIMIT = "age_limit"  # REDIRECTED_AGE
    CONFLICT_CONFIDENTIALITY = "conflict_confidentiality"  # REDIRECTED_CONFIDENTIALITY
    DUPLICATE = "duplicate"
    OUT_OF_AREA = "out_of_area"
    OTHER = "other"


class CancelReason(StrEnum):
    """Why the sender takes a referral back."""

    NO_LONGER_NEEDED = "no_longer_needed"  # NO_LONGER_REQUIRED
    SENT_ELSEWHERE = "sent_elsewhere"  # BOOKED_OUTSIDE_CAB
    MORE_URGENT_PATH = "more_urgent_path"  # BOOKED_CLINICAL_NEED, STRAIGHT_TO_TEST
    RAISED_IN_ERROR = "raised_in_error"  # RAISED_IN_ERROR
    OTHER = "other"  # REFERRER_CANCELLATION


class CancelRefusalReason(StrEnum):
    """Why we go on although the sender asked us to stop."""

    ALREADY_SEEN = "already_seen"
    VISIT_UNDER_WAY = "visit_under_way"
    PATIENT_WISHES_CARE = "patient_wishes_care"
    OTHER = "other"


class WithdrawReason(StrEnum):
    """Why the patient does not come, for good."""

    DECLINED_CARE = "declined_care"
    CHOSE_OTHER_PROVIDER = "chose_other_provider"  # INTEND_PRIVATE
    COST_OR_COVERAGE = "cost_or_coverage"
    TRANSPORT_DISTANCE = "transport_distance"
    MOVED = "moved"
    DIED = "died"  # PATIENT_DIED
    OTHER = "other"  # PATIENT_REQUEST_CANCELLATION_OTHER


class HoldReason(StrEnum):
    """What work waits for."""

    MISSING_INFO = "missing_info"
    AUTH_PENDING = "auth_pending"
    AUTH_DENIED = "auth_denied"
    ELIGIBILITY_FAILED = "eligibility_failed"
    PATIENT_UNREACHABLE = "patient_unreachable"
    PATIENT_DEFERRED = "patient_deferred"
    NO_CAPACITY = "no_capacity"
    OTHER = "other"


class ExpiryReason(StrEnum):
    """Who did not move in time."""

    AUTH_EXPIRED = "auth_expired"
    REFERRAL_EXPIRED = "referral_expired"  # HL7 v2 RF1-8 passed
    NO_PATIENT_RESPONSE = "no_patient_response"
    NO_SENDER_RESPONSE = "no_sender_response"


class ErrorReason(StrEnum):
    """Why a referral or an appointment was never real."""

    DUPLICATE = "duplicate"
    WRONG_PATIENT = "wrong_patient"
    WRONG_OFFICE = "wrong_office"
    TEST_RECORD = "test_record"
    OTHER = "other"


class ReopenReason(StrEnum):
    """Why an ended referral goes on."""

    INFO_SUPPLIED = "info_supplied"
    RESUBMITTED = "resubmitted"
    PATIENT_RETURNED = "patient_returned"
    ENDED_IN_ERROR = "ended_in_error"
    OTHER = "other"


class AppointmentCancelReason(StrEnum):
    """Why an appointment will not take place."""

    PATIENT_ILL = "patient_ill"
    PATIENT_AWAY = "patient_away"  # PATIENT_HOLIDAY
    PATIENT_CLASH = "patient_clash"  # PATIENT_APPOINTMENT_CLASH
    PATIENT_OTHER = "patient_other"
    CLINIC_CANCELLED = "clinic_cancelled"
    SLOT_CANCELLED = "slot_cancelled"
    CLINIC_OVERRUN = "clinic_overrun"
    PRIORITY_CHANGE = "priority_change"
    WRONG_PATIENT = "wrong_patient"  # APPT_MADE_FOR_WRONG_PATIENT
    REFERRAL_ENDED = "referral_ended"
    OTHER = "other"


class NoShowReason(StrEnum):
    """Why the patient did not come that day."""

    FORGOT = "forgot"  # PATIENT_FORGOT
    LATE_ARRIVAL = "late_arrival"  # ARRIVED_TOO_LATE
    LATE_CANCEL = "late_cancel"  # CANCELLED_TOO_LATE
    ILL = "ill"  # PATIENT_ILL
    UNKNOWN = "unknown"  # UNKNOWN


class RetractReason(StrEnum):
    """Why something that was recorded did not happen so."""

    WRONG_REFERRAL = "wrong_referral"
    WRONG_PATIENT = "wrong_patient"
    RECORDED_IN_ERROR = "recorded_in_error"
    OTHER = "other"


REASONS: Final[Mapping[EventType, type[StrEnum]]] = MappingProxyType(
    {
        EventType.REFERRAL_DECLINED: DeclineReason,
        EventType.REFERRAL_INFO_REQUESTED: HoldReason,
        EventType.REFERRAL_HELD: HoldReason,
        EventType.REFERRAL_CANCEL_REQUESTED: CancelReason,
        EventType.REFERRAL_CANCEL_REFUSED: CancelRefusalReason,
        EventType.REFERRAL_CANCELLED: CancelReason,
        EventType.REFERRAL_WITHDRAWN: WithdrawReason,
        EventType.REFERRAL_EXPIRED: ExpiryReason,
        EventType.REFERRAL_REOPENED: ReopenReason,
        EventType.REFERRAL_MARKED_IN_ERROR: ErrorReason,
        EventType.APPOINTMENT_CANCELLED: AppointmentCancelReason,
        EventType.APPOINTMENT_NO_SHOW: NoShowReason,
        EventType.APPOINTMENT_ENTERED_IN_ERROR: ErrorReason,
        EventType.APPOINTMENT_REINSTATED: RetractReason,
        EventType.VISIT_RETRACTED: RetractReason,
        EventType.NOTE_RETRACTED: RetractReason,
        EventType.CARE_RETURN_RETRACTED: RetractReason,
    }
)
"""The reasons an event type may carry; a type that is not here carries none or any code of its producer."""

VOCABULARIES: Final[tuple[type[StrEnum], ...]] = (
    Assertion,
    VouchedAssertion,
    ActorKind,
    Priority,
    RequestedDisposition,
    Disposition,
    AppointmentKind,
    CancelledBy,
    DocumentKind,
    Ack,
    ReopenTo,
    Channel,
    DeliveryKind,
    DeliveryRole,
    Proof,
    DeclineReason,
    CancelReason,
    CancelRefusalReason,
    WithdrawReason,
    HoldReason,
    ExpiryReason,
    ErrorReason,
    ReopenReason,
    AppointmentCancelReason,
    NoShowReason,
    RetractReason,
)
"""Every published vocabulary."""
