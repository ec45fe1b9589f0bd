"""What can be asked of notes, and what it does with what it hears."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from baton_chassis.commands import Command
from baton_notes.domain.note import ExternalKey, Said


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralReference:
    """Which referral: by our id, or by the name another system gave it (``system`` empty: our id)."""

    system: str = ""
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordNote(Command):
    """Keep a note. With ``signed_at`` a clinician has signed it; ``id`` is the id the note will have."""

    location: ClassVar[str] = "/v1/notes/{id}"

    referral: ReferralReference
    source: ExternalKey | None = None
    kind: str
    replaces: str | None = None
    disposition: str | None = None
    said: Said
    media_type: str
    content: bytes
    signed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignNote(Command):
    """A clinician vouches for a note that is here. ``by`` is their name; the time is now unless said."""

    location: ClassVar[str] = "/v1/notes/{id}"

    by: str = ""
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredDocument:
    """One edition of one note, as a delivery names it."""

    id: str
    edition: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDelivery(Command):
    """There is proof that the referrer has a document. ``id`` is the note's id."""

    document: DeliveredDocument
    delivery_id: str
    proof: str | None = None
    delivered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAcknowledgement(Command):
    """The referring office says that it has a document. ``id`` is the note's id."""

    document: DeliveredDocument
    delivery_id: str
    office_id: str
    acknowledged_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnCareByPolicy(Command):
    """The window after a proven delivery has passed. ``id`` is the referral's id."""

    note_id: str
    edition: int
