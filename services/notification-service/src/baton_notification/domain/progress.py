"""How far one referral is, as the office may know it: the folded lines, the dates of the stages, the
documents.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from baton_contracts.lifecycle import Fact, Lines, Notice, Position, Stage, State, who_hears
from baton_notification.domain.delivery import DocumentVersion

STAGES: Final = tuple(Stage)


@dataclass(frozen=True, slots=True)
class ContentReference:
    """Where content is kept and what to ask its owner for."""

    owner: str
    kind: str
    id: str
    version: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SignedDocument:
    """The current version of a note that was signed for the office."""

    document: DocumentVersion
    kind: str
    media_type: str
    content: ContentReference
    signed_at: datetime
    event_id: str
    event_type: str


@dataclass(frozen=True, slots=True)
class Change:
    """What one fact did: where the referral stood before and after, and what the office is told of it."""

    before: Position
    after: Position
    notice: Notice | None


@dataclass(frozen=True, slots=True)
class NextStep:
    """What happens next: ``who`` has to do it, ``code`` names it, ``at`` is when, where that is known."""

    code: str
    who: str
    at: datetime | None = None


@dataclass(slots=True)
class ReferralProgress:
    """One referral. Its id is the referral's; the office is unknown until the referral itself was read.

    ``told`` are the templates that the office was told so far, ``reached`` when each stage was reached.
    """

    id: str
    office_id: str | None = None
    patient_id: str | None = None
    office_reference: str | None = None
    patient_card: ContentReference | None = None
    lines: Lines = field(default_factory=Lines)
    reached: Mapping[str, datetime] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    documents: tuple[SignedDocument, ...] = ()
    version: int = 0
    events: list[Any] = field(default_factory=list)

    @property
    def position(self) -> Position:
        """Where the referral stands."""
        return self.lines.position

    def introduce(
        self,
        *,
        office_id: str,
        patient_id: str,
        office_reference: str | None,
        patient_card: ContentReference | None,
    ) -> None:
        """Who referred, and under which number of theirs."""
        self.office_id, self.patient_id = office_id, patient_id
        self.office_reference, self.patient_card = office_reference, patient_card

    def restate(self, *, office_reference: str | None, patient_card: ContentReference | None) -> None:
        """The request changed; None leaves what was known."""
        self.office_reference = office_reference or self.office_reference
        self.patient_card = patient_card or self.patient_card

    def follow(self, fact: Fact) -> Change:
        """One more fact of the referral, each line in its own order."""
        before = self.position
        self.lines = self.lines.after(fact)
        after = self.position
        self._date(after, fact.occurred_at)
        return Change(before, after, who_hears(fact, before, after, self.told))

    def tell(self, template: str) -> None:
        """The office is being told this."""
        if template not in self.told:
            self.told = (*self.told, template)

    def keep(self, signed: SignedDocument, *, replaces: str | None) -> None:
        """A version was signed; it takes the place of older versions, and of the document it replaces."""
        left = tuple(one for one in self.documents if one.document.id not in (signed.document.id, replaces))
        current = self.document(signed.document.id)
        if current is None or current.document.version <= signed.document.version:
            self.documents = (*left, signed)

    def take_back(self, document_id: str) -> None:
        """The note should not have gone out."""
        self.documents = tuple(one for one in self.documents if one.document.id != document_id)

    def document(self, document_id: str) -> SignedDocument | None:
        """The current version of a document that stands."""
        return next((one for one in self.documents if one.document.id == document_id), None)

    def steps(self) -> tuple[tuple[Stage, datetime | None], ...]:
        """The five stages with the time each was reached; None for those to come and those passed over."""
        return tuple((stage, self.reached.get(stage.value)) for stage in STAGES)

    def next_step(self) -> NextStep:
        """What happens next and who does it."""
        position = self.position
        if position.hold is not None and position.hold.reason == "missing_info":
            return NextStep("send_information", "office")
        appointment = position.next_appointment
        if position.state is State.SCHEDULED and appointment is not None:
            return NextStep("visit", "patient", appointment.start)
        if position.state is State.NOTES_SENT or (position.state is State.SEEN and self.documents):
            return NextStep("confirm_note", "office")
        return _NEXT.get(position.state, NextStep("nothing", "nobody"))

    def _date(self, after: Position, at: datetime) -> None:
        """Stages that no longer hold lose their date; the one now reached gets it, once."""
        if after.stage is None:
            return
        reached = STAGES.index(after.stage)
        kept = {stage: when for stage, when in self.reached.items() if STAGES.index(Stage(stage)) <= reached}
        kept.setdefault(after.stage.value, at)
        self.reached = kept


_NEXT: Final[Mapping[State | None, NextStep]] = {
    State.RECEIVED: NextStep("review", "practice"),
    State.ACCEPTED: NextStep("schedule", "practice"),
    State.SEEN: NextStep("write_note", "practice"),
    State.CO_MANAGED: NextStep("shared_care", "both"),
    State.CANCEL_REQUESTED: NextStep("answer_cancellation", "practice"),
}
