"""What partner profiles add to plain FHIR, as small tables over one reader and one writer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Told:
    """How a partner is told one of our states: Task.status, its businessStatus code, words beside it."""

    status: str
    business_status: str | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """One partner profile.

    ``marks`` are substrings of ``meta.profile``, systems or endpoints that give it away, strongest first.
    ``actions`` maps the message event to what it does to the referral; ``priorities`` and ``statuses`` map
    their own words to FHIR's. ``business_status_system`` and ``told`` serve the writer:
    our state as their Task says it.
    """

    name: str
    title: str
    marks: tuple[str, ...] = ()
    fhir_version: str = "4.0"
    actions: Mapping[str, str] = field(default_factory=dict)
    priorities: Mapping[str, str] = field(default_factory=dict)
    statuses: Mapping[str, str] = field(default_factory=dict)
    business_status_system: str | None = None
    business_status_words: Mapping[str, str] = field(default_factory=dict)
    task_profile: str | None = None
    request_profile: str | None = None
    told: Mapping[str, Told] = field(default_factory=dict)


_V2_EVENTS = {"I12": "new", "I13": "update", "I14": "cancel", "I15": "query"}


def _told(table: str) -> dict[str, Told]:
    """Rows of ``moment status [businessStatus]``."""
    rows = (line.split() for line in table.strip().splitlines())
    return {parts[0]: Told(*parts[1:]) for parts in rows}


PLAIN = Profile(
    name="plain",
    title="FHIR R4 without a guide",
    actions=_V2_EVENTS,
    business_status_system="urn:x-referral-loop:business-status",
    told=_told(
        """
        received received received
        accepted accepted accepted
        info_requested received info-requested
        info_requested_after_accept on-hold info-requested
        on_hold received on-hold
        on_hold_after_accept on-hold on-hold
        scheduled in-progress scheduled
        appointment_cancelled in-progress appointment-cancelled
        no_show in-progress no-show
        arrived in-progress arrived
        seen in-progress seen
        interim_note in-progress interim-note
        notes_sent completed notes-sent
        advice_given completed notes-sent
        care_returned completed care-returned
        co_managed completed co-managed
        declined rejected declined
        declined_after_accept rejected declined
        cancel_requested in-progress cancel-requested
        cancelled cancelled cancelled
        withdrawn cancelled withdrawn
        expired failed expired
        entered_in_error entered-in-error
        """
    ),
)

BSER = Profile(
    name="bser",
    title="HL7 Bidirectional Services eReferral",
    marks=("/us/bser/",),
    actions=_V2_EVENTS,
    business_status_system="http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS",
    business_status_words={"7.0": "Service Request Fulfillment Completed"},
    task_profile="http://hl7.org/fhir/us/bser/StructureDefinition/BSeR-ReferralTask",
    request_profile="http://hl7.org/fhir/us/bser/StructureDefinition/BSeR-ReferralServiceRequest",
    told=_told(
        """
        received received 2.0
        accepted accepted 3.0
        info_requested received 2.0
        info_requested_after_accept on-hold
        on_hold received 2.0
        on_hold_after_accept on-hold
        scheduled in-progress 5.1.1
        no_show in-progress 5.1.2
        appointment_cancelled in-progress 5.1.3
        arrived in-progress 5.1.1
        seen in-progress 5.1.4
        interim_note in-progress 5.1.4
        notes_sent completed 7.0
        advice_given completed 7.0
        care_returned completed 7.0
        co_managed completed 7.0
        declined rejected 4.0
        declined_after_accept rejected 4.0
        cancel_requested in-progress 5.2
        cancelled cancelled 6.0
        withdrawn cancelled 4.0
        expired failed
        entered_in_error entered-in-error
        """
    ),
)

BARS = Profile(
    name="bars",
    title="NHS Booking and Referral Standard",
    marks=(
        "/StructureDefinition/BARS",
        "fhir.nhs.uk/CodeSystem/message-",
        "fhir.nhs.uk/MessageDefinition/bars-",
        "/booking-and-referral/",
    ),
    actions={
        "servicerequest-request": "new",
        "servicerequest-response": "status",
        "booking-request": "new",
        "booking-response": "status",
    },
)

ERS = Profile(
    name="ers",
    title="NHS e-Referral Service",
    marks=("/eRS-", "/Id/ers-service", "/Extension-eRS-", "/Id/ers-request-id", "/Id/UBRN"),
    priorities={"ROUTINE": "routine", "URGENT": "urgent", "TWO_WEEK_WAIT": "asap"},
)

SDOHCC = Profile(
    name="sdohcc",
    title="HL7 SDOH Clinical Care (Gravity)",
    marks=("/us/sdoh-clinicalcare/",),
    told=_told(
        """
        received requested
        accepted accepted
        info_requested requested
        info_requested_after_accept on-hold
        on_hold requested
        on_hold_after_accept on-hold
        scheduled in-progress
        appointment_cancelled in-progress
        no_show in-progress
        arrived in-progress
        seen in-progress
        interim_note in-progress
        notes_sent completed
        advice_given completed
        care_returned completed
        co_managed completed
        declined rejected
        declined_after_accept cancelled
        cancel_requested in-progress
        cancelled cancelled
        withdrawn cancelled
        expired failed
        entered_in_error entered-in-error
        """
    ),
)

COW = Profile(
    name="cow",
    title="HL7 Clinical Order Workflows",
    marks=("/uv/cow/", "/us/cow/", "fhir-cow", "COWTempCodeSystem"),
    # The address of the ballot's code system was not verified, so its codes go out without one.
    told=_told(
        """
        received requested
        accepted accepted
        info_requested received awaiting-information
        info_requested_after_accept in-progress awaiting-information
        on_hold received
        on_hold_after_accept on-hold
        scheduled in-progress visit-scheduled
        appointment_cancelled in-progress
        no_show in-progress
        arrived in-progress
        seen in-progress visit-complete
        interim_note in-progress preliminary-outcome
        notes_sent completed
        advice_given completed
        care_returned completed
        co_managed completed
        declined rejected
        declined_after_accept failed
        cancel_requested in-progress
        cancelled cancelled
        withdrawn failed
        expired failed
        entered_in_error entered-in-error
        """
    ),
)

CA_EREC = Profile(
    name="ca-erec",
    title="Canadian eReferral and eConsult",
    marks=("ca-erec", "/ca/erec", "infoscoop.org/refConsult", "ca-referralbusinessstatus"),
    actions={
        "add-service-request": "new",
        "revise-service-request": "update",
        "update-service-request": "update",
        "revoke-service-request": "cancel",
        "revoke-request": "cancel",
        "notify-add-service-request": "new",
        "notify-revise-service-request": "update",
        "notify-update-service-request": "update",
        "notify-revoke-request": "cancel",
        "notify-revoke-service-request": "cancel",
        "notify-add-process-request": "status",
        "notify-update-process-request": "status",
        "notify-add-appointment": "status",
        "notify-update-appointment": "status",
    },
    business_status_system="https://fhir.infoway-inforoute.ca/CodeSystem/ca-referralbusinessstatus",
    told=_told(
        """
        received received awaiting-triage
        accepted in-progress awaiting-booking
        info_requested received
        info_requested_after_accept in-progress
        on_hold received
        on_hold_after_accept on-hold
        scheduled in-progress booked
        appointment_cancelled in-progress awaiting-booking
        no_show in-progress no-show
        arrived in-progress booked
        seen in-progress
        interim_note in-progress
        notes_sent completed
        advice_given completed completed-with-advice
        care_returned completed
        co_managed completed
        declined rejected rejected-by-performer
        declined_after_accept cancelled cancelled-by-performer
        cancel_requested in-progress
        cancelled cancelled
        withdrawn cancelled cancelled-by-patient
        expired failed
        entered_in_error entered-in-error
        """
    ),
)

PROFILES: tuple[Profile, ...] = (BSER, ERS, BARS, SDOHCC, COW, CA_EREC, PLAIN)


_MARKS = tuple((mark, profile) for profile in PROFILES for mark in profile.marks)


def profile_for(text: str) -> Profile:
    """The first profile that something in this text gives away, else plain FHIR."""
    for mark, profile in _MARKS:
        if mark in text:
            return profile
    return PLAIN


def profile_named(name: str) -> Profile:
    """The profile of this name. Raises ``KeyError``."""
    return _BY_NAME[name]


_BY_NAME = {profile.name: profile for profile in PROFILES}
