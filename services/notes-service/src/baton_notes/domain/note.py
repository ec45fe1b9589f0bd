"""A note: received, signed, in the referrer's hands."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from baton_notes.domain.events import Act, NoteDelivered, NoteEvent, NoteReceived, NoteSigned, Proof
from baton_notes.domain.refusals import AlreadySigned

KEEPS_CARE = frozenset({"co_manage", "assume_management"})
"""Dispositions under which a delivered report does not hand care back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalKey:
    """How another system names a thing: its naming system and the value there."""

    system: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanItem:
    """Who does what next, and by when (as said: a date or words)."""

    who: str
    what: str
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the note says beside its content: the answer to the referrer's question, the plan, who signed."""

    answer: str = ""
    plan: tuple[PlanItem, ...] = ()
    signed_by: str = ""


@dataclass(slots=True)
class Note:
    """One document of one referral.

    ``edition`` is the document's own version (its content's), ``sha256`` the digest of that content;
    ``delivered`` is the highest edition that the referrer has (0: none).
    """

    id: str
    referral_id: str
    patient_id: str
    office_id: str
    source: ExternalKey | None
    kind: str
    media_type: str
    sha256: str
    said: Said
    replaces: str | None = None
    disposition: str | None = None
    edition: int = 1
    signed_at: datetime | None = None
    delivered: int = 0
    delivered_at: datetime | None = None
    version: int = 0
    events: list[NoteEvent] = field(default_factory=list)

    @property
    def status(self) -> str:
        """``received``, ``signed`` or ``delivered``."""
        if self.delivered == self.edition:
            return "delivered"
        return "signed" if self.signed_at else "received"

    @property
    def hands_care_back(self) -> bool:
        """Whether a report like this, once the referrer has it, gives care back."""
        return self.disposition not in KEEPS_CARE

    def receive(self, act: Act) -> None:
        """It is here, unsigned."""
        self.events.append(NoteReceived(act=act))

    def sign(self, act: Act, *, by: str = "") -> None:
        """A clinician vouches for it; from now on it may go out. Raises ``AlreadySigned``."""
        if self.signed_at is not None:
            raise AlreadySigned
        self.signed_at = act.at
        if by:
            self.said = Said(answer=self.said.answer, plan=self.said.plan, signed_by=by)
        self.events.append(NoteSigned(act=act))

    def deliver(self, edition: int, sha256: str, act: Act, *, proof: Proof) -> bool:
        """There is proof that the referrer has this edition; only the current one counts. True when that is
        news.
        """
        if (
            self.signed_at is None
            or edition != self.edition
            or sha256 != self.sha256
            or self.delivered == edition
        ):
            return False
        self.delivered, self.delivered_at = edition, act.at
        self.events.append(NoteDelivered(act=act, proof=proof))
        return True


@dataclass(slots=True)
class NoteContent:
    """The bytes of one edition of a note. ``id`` is the note's id and the edition."""

    id: str
    media_type: str
    sha256: str
    body: bytes
    version: int = 0
    events: list[NoteEvent] = field(default_factory=list)


def content_id(note_id: str, edition: int) -> str:
    """The id of the content of one edition."""
    return f"{note_id}.{edition}"
