"""How each kind of partner is told where a referral stands: Task.status, businessStatus, statusReason."""

from __future__ import annotations

from dataclasses import dataclass, replace

from baton_formats.facts import Coding, Concept, Task
from baton_formats.fhir.profiles import profile_named

MOMENTS = (
    "received",
    "accepted",
    "info_requested",
    "info_requested_after_accept",
    "on_hold",
    "on_hold_after_accept",
    "scheduled",
    "appointment_cancelled",
    "no_show",
    "arrived",
    "seen",
    "interim_note",
    "notes_sent",
    "advice_given",
    "care_returned",
    "co_managed",
    "declined",
    "declined_after_accept",
    "cancel_requested",
    "cancelled",
    "withdrawn",
    "expired",
    "entered_in_error",
)
"""Our states and the happenings inside of them that partners hear about, in the order of the lifecycle."""


@dataclass(frozen=True, slots=True)
class Telling:
    """What one partner's Task says at one moment."""

    status: str
    business_status: Concept | None = None
    status_reason: Concept | None = None


def tell(moment: str, *, profile: str, reason: Concept | None = None) -> Telling | None:
    """What a partner of this profile is told at this moment; None where the profile tracks without a Task.

    ``reason`` becomes Task.statusReason, for the moments that have one. Raises ``KeyError`` for an unknown
    moment or profile.
    """
    if moment not in MOMENTS:
        raise KeyError(moment)
    partner = profile_named(profile)
    told = partner.told.get(moment)
    if told is None:
        return None
    business = None
    if told.business_status is not None:
        coding = Coding(
            code=told.business_status,
            system=partner.business_status_system,
            display=partner.business_status_words.get(told.business_status),
        )
        business = Concept(codings=(coding,))
    return Telling(status=told.status, business_status=business, status_reason=_worded(reason))


def _worded(reason: Concept | None) -> Concept | None:
    """A reason with text: BSeR and SDOHCC require statusReason.text wherever there is a statusReason."""
    if reason is None or reason.text is not None:
        return reason
    return replace(reason, text=reason.label)


def told_task(task: Task, moment: str, *, profile: str, reason: Concept | None = None) -> Task:
    """The same Task as this partner is told it now; unchanged where the profile tracks without a Task."""
    telling = tell(moment, profile=profile, reason=reason)
    if telling is None:
        return task
    return replace(
        task,
        status=telling.status,
        business_status=telling.business_status,
        status_reason=telling.status_reason,
    )
