"""The care that a referral asked for: where it stands, and that it went back."""

from __future__ import annotations

from dataclasses import dataclass, field

from baton_contracts.lifecycle import Ack, Fact, Lines, Party, Verb, refusal
from baton_notes.domain.events import Act, CareReturned
from baton_notes.domain.note import Note
from baton_notes.domain.refusals import NotPossible


@dataclass(slots=True)
class Care:
    """One referral as notes sees it. ``id`` is the referral's id; ``lines`` are all its facts heard so far,
    its own documents line included as soon as it is written.
    """

    id: str
    patient_id: str
    office_id: str
    lines: Lines = field(default_factory=Lines)
    version: int = 0
    events: list[CareReturned] = field(default_factory=list)

    def hear(self, fact: Fact) -> None:
        """Take one fact of any line."""
        self.lines = self.lines.after(fact)

    def check(self, verb: Verb, *, by: Party) -> None:
        """Raise ``NotPossible`` when the lifecycle does not allow ``verb`` now."""
        found = refusal(self.lines.position, verb, by=by)
        if found is not None:
            raise NotPossible(found)

    def hand_back(self, note: Note, act: Act, *, ack: Ack, by: Party, delivery_id: str | None = None) -> bool:
        """Care is with the referrer again, on the strength of ``note``. False where that cannot be said
        now: the report is not in the referrer's hands in its current edition, or we keep the patient.
        """
        if not note.hands_care_back or note.delivered != note.edition:
            return False
        if refusal(self.lines.position, Verb.RETURN_CARE, by=by) is not None:
            return False
        self.events.append(
            CareReturned(
                act=act,
                ack=ack,
                note_id=note.id,
                note_version=note.edition,
                note_sha256=note.sha256,
                delivery_id=delivery_id,
            )
        )
        return True
