"""The name of every event, its major version last. Standard library only: the lifecycle reads these too."""

from enum import StrEnum


class EventType(StrEnum):
    """The CloudEvents `type` of every event that is published.

    A break of a schema is a new name, never a change.
    """

    # line `request`, produced by intake-service
    REFERRAL_RECEIVED = "referral.received.v1"
    REFERRAL_UPDATED = "referral.updated.v1"
    REFERRAL_ACCEPTED = "referral.accepted.v1"
    REFERRAL_DECLINED = "referral.declined.v1"
    REFERRAL_INFO_REQUESTED = "referral.info_requested.v1"
    REFERRAL_INFO_SUPPLIED = "referral.info_supplied.v1"
    REFERRAL_HELD = "referral.held.v1"
    REFERRAL_RELEASED = "referral.released.v1"
    REFERRAL_CANCEL_REQUESTED = "referral.cancel_requested.v1"
    REFERRAL_CANCEL_REFUSED = "referral.cancel_refused.v1"
    REFERRAL_CANCELLED = "referral.cancelled.v1"
    REFERRAL_WITHDRAWN = "referral.withdrawn.v1"
    REFERRAL_EXPIRED = "referral.expired.v1"
    REFERRAL_REOPENED = "referral.reopened.v1"
    REFERRAL_MARKED_IN_ERROR = "referral.marked_in_error.v1"

    # line `appointments`, produced by scheduling-service
    APPOINTMENT_BOOKED = "appointment.booked.v1"
    APPOINTMENT_RESCHEDULED = "appointment.rescheduled.v1"
    APPOINTMENT_CANCELLED = "appointment.cancelled.v1"
    APPOINTMENT_NO_SHOW = "appointment.no_show.v1"
    APPOINTMENT_REINSTATED = "appointment.reinstated.v1"
    APPOINTMENT_ENTERED_IN_ERROR = "appointment.entered_in_error.v1"
    PATIENT_ARRIVED = "patient.arrived.v1"
    VISIT_COMPLETED = "visit.completed.v1"
    VISIT_RETRACTED = "visit.retracted.v1"

    # line `documents`, produced by notes-service
    NOTE_RECEIVED = "note.received.v1"
    NOTE_SIGNED = "note.signed.v1"
    NOTE_CORRECTED = "note.corrected.v1"
    NOTE_RETRACTED = "note.retracted.v1"
    NOTE_DELIVERED = "note.delivered.v1"
    CARE_RETURNED = "care.returned.v1"
    CARE_RETURN_RETRACTED = "care.return_retracted.v1"
    COMANAGEMENT_AGREED = "comanagement.agreed.v1"
    COMANAGEMENT_ENDED = "comanagement.ended.v1"

    # line `notices`, produced by notification-service
    DELIVERY_SENT = "delivery.sent.v1"
    DELIVERY_DELIVERED = "delivery.delivered.v1"
    DELIVERY_FAILED = "delivery.failed.v1"
    DELIVERY_OPENED = "delivery.opened.v1"
    DELIVERY_ACKNOWLEDGED = "delivery.acknowledged.v1"

    # offices, produced by notification-service on the partner topic
    OFFICE_REGISTERED = "office.registered.v1"
    OFFICE_CHANGED = "office.changed.v1"
