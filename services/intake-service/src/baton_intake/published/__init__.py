"""Words out: what the world hears of our events, and what a caller is shown of our things."""

from baton_intake.published.events import outgoing
from baton_intake.published.representation import PATIENT_CARD, artifact_shown, card_reference, referral_shown

__all__ = ["PATIENT_CARD", "artifact_shown", "card_reference", "outgoing", "referral_shown"]
