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
    task_profile: str | None = None
    request_profile: str | None = None
    told: Mapping[str, Told] = field(default_factory=dict)


_V2_EVENTS = {"I12": "new", "I13": "update", "I14": "cancel", "I15": "query"}

PLAIN = Profile(
    name="plain",
    title="FHIR R4 without a guide",
    actions=_V2_EVENTS,
    told={
        "received": Told("received"),
        "accepted": Told("accepted"),
        "on_hold": Told("on-hold"),
        "scheduled": Told("in-progress"),
        "appointment_cancelled": Told("in-progress"),
        "no_show": Told("in-progress"),
        "arrived": Told("in-progress"),
        "seen": Told("in-progress"),
        "interim_note": Told("in-progress"),
        "notes_sent": Told("completed"),
        "care_returned": Told("completed"),
        "co_managed": Told("completed"),
        "declined": Told("rejected"),
        "declined_after_accept": Told("rejected"),
        "cancel_requested": Told("in-progress"),
        "cancelled": Told("cancelled"),
        "withdrawn": Told("cancelled"),
        "expired": Told("failed"),
        "entered_in_error": Told("entered-in-error"),
    },
)

BSER = Profile(
    name="bser",
    title="HL7 Bidirectional Services eReferral",
    marks=("/us/bser/",),
    actions=_V2_EVENTS,
    business_status_system="http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS",
    task_profile="http://hl7.org/fhir/us/bser/StructureDefinition/BSeR-ReferralTask",
    request_profile="http://hl7.org/fhir/us/bser/StructureDefinition/BSeR-ReferralServiceRequest",
)

BARS = Profile(
    name="bars",
    title="NHS Booking and Referral Standard",
    marks=("BARS", "fhir.nhs.uk/CodeSystem/message-", "booking-and-referral"),
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
    marks=("/eRS-", "ers-service", "Extension-eRS-", "ers-request-id", "/Id/UBRN"),
    priorities={"ROUTINE": "routine", "URGENT": "urgent", "TWO_WEEK_WAIT": "asap"},
)

SDOHCC = Profile(
    name="sdohcc",
    title="HL7 SDOH Clinical Care (Gravity)",
    marks=("/us/sdoh-clinicalcare/",),
)

COW = Profile(
    name="cow",
    title="HL7 Clinical Order Workflows",
    marks=("/uv/cow/", "/us/cow/", "fhir-cow", "COWTempCodeSystem"),
)

CA_EREC = Profile(
    name="ca-erec",
    title="Canadian eReferral and eConsult",
    marks=("ca-erec", "/ca/erec", "infoscoop.org/refConsult", "ca-referralbusinessstatus", "erec"),
    actions={
        "add-service-request": "new",
        "revise-service-request": "update",
        "update-service-request": "update",
        "revoke-service-request": "cancel",
        "revoke-request": "cancel",
        "notify-add-service-request": "new",
        "notify-revise-service-request": "update",
        "notify-update-processing-status": "status",
        "notify-revoke-request": "cancel",
    },
)

PROFILES: tuple[Profile, ...] = (BSER, ERS, BARS, SDOHCC, COW, CA_EREC, PLAIN)


def profile_for(marks: list[str]) -> Profile:
    """The first profile that one of these texts gives away, else plain FHIR."""
    for profile in PROFILES:
        if any(mark in text for mark in profile.marks for text in marks):
            return profile
    return PLAIN
