"""Line `appointments`: bookings and visits of one referral. Produced by scheduling-service."""

from typing import ClassVar

from baton_contracts.event_types import EventType
from baton_contracts.events.common import (
    AppointmentCancelReasonCode,
    AppointmentKindCode,
    CancelledByCode,
    Clinician,
    Code,
    ErrorReasonCode,
    Id,
    Location,
    NoShowReasonCode,
    ReferralEvent,
    RetractReasonCode,
    Time,
)


class AppointmentEvent(ReferralEvent):
    """A fact about one appointment.

    `kind` is `visit`, `follow_up` or `test`; only a visit moves the referral.
    """

    patient_id: Id
    office_id: Id
    appointment_id: Id
    kind: AppointmentKindCode


class AppointmentBooked(AppointmentEvent):
    """A patient has a time with us."""

    type: ClassVar[EventType] = EventType.APPOINTMENT_BOOKED

    start: Time
    end: Time | None = None
    clinician: Clinician | None = None
    location: Location | None = None


class AppointmentRescheduled(AppointmentEvent):
    """The same appointment at another time, place or clinician.

    `changed` names what differs, `start` first.
    """

    type: ClassVar[EventType] = EventType.APPOINTMENT_RESCHEDULED

    start: Time
    end: Time | None = None
    previous_start: Time | None = None
    clinician: Clinician | None = None
    location: Location | None = None
    changed: tuple[Code, ...]


class AppointmentCancelled(AppointmentEvent):
    """The appointment will not take place. `cancelled_by` is `patient`, `clinic` or `sender`.

    It ends no referral.
    """

    type: ClassVar[EventType] = EventType.APPOINTMENT_CANCELLED

    reason: AppointmentCancelReasonCode | None = None
    cancelled_by: CancelledByCode | None = None


class AppointmentNoShow(AppointmentEvent):
    """The patient did not come."""

    type: ClassVar[EventType] = EventType.APPOINTMENT_NO_SHOW

    reason: NoShowReasonCode | None = None


class AppointmentReinstated(AppointmentEvent):
    """A cancellation, no-show or mark in error was itself wrong: the appointment stands."""

    type: ClassVar[EventType] = EventType.APPOINTMENT_REINSTATED

    reason: RetractReasonCode | None = None
    start: Time | None = None


class AppointmentEnteredInError(AppointmentEvent):
    """The appointment was never real."""

    type: ClassVar[EventType] = EventType.APPOINTMENT_ENTERED_IN_ERROR

    reason: ErrorReasonCode | None = None


class PatientArrived(AppointmentEvent):
    """The patient is here."""

    type: ClassVar[EventType] = EventType.PATIENT_ARRIVED


class VisitCompleted(ReferralEvent):
    """The patient was seen; without `appointment_id` they walked in.

    `report_due` is when we promise the note.
    """

    type: ClassVar[EventType] = EventType.VISIT_COMPLETED

    patient_id: Id
    office_id: Id
    visit_id: Id
    appointment_id: Id | None = None
    kind: AppointmentKindCode
    clinician: Clinician | None = None
    report_due: Time | None = None


class VisitRetracted(ReferralEvent):
    """That visit did not happen, or not for this referral."""

    type: ClassVar[EventType] = EventType.VISIT_RETRACTED

    reason: RetractReasonCode | None = None
    patient_id: Id
    office_id: Id
    visit_id: Id
    appointment_id: Id | None = None
