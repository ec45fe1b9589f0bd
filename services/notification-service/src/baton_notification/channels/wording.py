"""What an office is told, in words: one headline and one sentence for each template of the table of who
hears.

No word here depends on the patient, the specialty or a reason: mail is read on many screens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from baton_contracts.lifecycle import Stage, State, Template
from baton_notification.domain.progress import NextStep


@dataclass(frozen=True, slots=True)
class Said:
    """A headline and a sentence."""

    headline: str
    sentence: str


TOLD: Final[dict[str, Said]] = {
    Template.RECEIVED: Said("Referral received", "We have your referral and will look at it."),
    Template.ACCEPTED: Said("Referral accepted", "We take this referral and will arrange the visit."),
    Template.INFO_REQUESTED: Said(
        "We need something from you", "Before we can go on we need information from you."
    ),
    Template.INFO_RECEIVED: Said("Information received", "We have what you sent and go on."),
    Template.ON_HOLD: Said("On hold", "Work on this referral waits. The page says for what."),
    Template.HOLD_RELEASED: Said("Work goes on", "What this referral waited for is settled."),
    Template.SCHEDULED: Said("Visit scheduled", "The visit has a date."),
    Template.RESCHEDULED: Said("Visit moved", "The visit has another date or clinician."),
    Template.APPOINTMENT_CANCELLED: Said("Appointment cancelled", "The appointment will not take place."),
    Template.NO_SHOW: Said("Missed appointment", "The appointment was not kept. We try to arrange another."),
    Template.APPOINTMENT_CORRECTED: Said(
        "Correction", "What we told you about the appointment was not right."
    ),
    Template.FOLLOW_UP_SCHEDULED: Said("Follow-up scheduled", "A further appointment has a date."),
    Template.FOLLOW_UP_CANCELLED: Said("Follow-up cancelled", "A further appointment will not take place."),
    Template.FOLLOW_UP_NO_SHOW: Said("Missed follow-up", "A further appointment was not kept."),
    Template.SEEN: Said("Visit took place", "The visit took place. You will get the note when it is signed."),
    Template.VISIT_CORRECTED: Said("Correction", "The visit that we told you of did not take place as said."),
    Template.INTERIM_DOCUMENT: Said("Interim note", "An interim note is ready for you."),
    Template.DOCUMENT: Said("Note ready", "The signed note is ready for you."),
    Template.DOCUMENT_CHANGED: Said("Note changed", "A new version of the note replaces the one you have."),
    Template.DOCUMENT_RETRACTED: Said("Note taken back", "A note was taken back. Please do not use it."),
    Template.CARE_RETURNED: Said(
        "Care is with you again", "This referral is complete: care is with you again."
    ),
    Template.CARE_RETURN_CORRECTED: Said("Correction", "This referral is not complete after all."),
    Template.CO_MANAGED: Said("Shared care", "We look after this patient together with you."),
    Template.CO_MANAGEMENT_ENDED: Said("Shared care ended", "Care is with you again."),
    Template.DECLINED: Said(
        "Referral declined", "We cannot take this referral. The page says what you can do."
    ),
    Template.CANCEL_RECEIVED: Said(
        "Cancellation received", "We have your wish to cancel and will answer it."
    ),
    Template.CANCEL_REFUSED: Said("Not cancelled", "We go on with this referral. The page says why."),
    Template.CANCELLED: Said("Referral cancelled", "This referral was cancelled."),
    Template.WITHDRAWN: Said("Referral ended", "This referral will not go on."),
    Template.EXPIRED: Said("Referral expired", "This referral ended because nothing moved in time."),
    Template.REOPENED: Said("Referral reopened", "This referral goes on."),
    Template.ENTERED_IN_ERROR: Said(
        "Entered in error", "This referral was entered in error. Please disregard it."
    ),
}
"""By template; the tests hold it against the vocabulary, so that nothing is ever said without words."""

STATES: Final[dict[State, str]] = {
    State.RECEIVED: "Received",
    State.ACCEPTED: "Accepted",
    State.SCHEDULED: "Scheduled",
    State.SEEN: "Seen",
    State.NOTES_SENT: "Note with you",
    State.CO_MANAGED: "Shared care",
    State.CANCEL_REQUESTED: "Cancellation asked for",
    State.CARE_RETURNED: "Care returned",
    State.DECLINED: "Declined",
    State.CANCELLED: "Cancelled",
    State.WITHDRAWN: "Ended",
    State.EXPIRED: "Expired",
    State.ENTERED_IN_ERROR: "Entered in error",
}

STAGES: Final[dict[Stage, str]] = {
    Stage.RECEIVED: "Received",
    Stage.SCHEDULED: "Scheduled",
    Stage.SEEN: "Seen",
    Stage.NOTES_SENT: "Note sent",
    Stage.CARE_RETURNED: "Care returned",
}

_NEXT: Final[dict[str, str]] = {
    "review": "We look at the referral and decide whether we can take it.",
    "schedule": "We reach out to arrange the visit.",
    "visit": "The visit takes place.",
    "write_note": "The clinician writes and signs the note; you get it at once.",
    "confirm_note": "Please read the note and confirm that you have it.",
    "send_information": "Please send us the information that we asked for.",
    "answer_cancellation": "We answer your wish to cancel.",
    "shared_care": "Care is shared; we will look at it together again.",
    "nothing": "Nothing more is to be done.",
}


def next_text(step: NextStep) -> str:
    """What happens next, in one sentence."""
    return _NEXT[step.code]
