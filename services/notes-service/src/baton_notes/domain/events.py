"""What happened to a note and to the care it reports on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Somebody did something: who (a kind of party, an opaque id), on whose word, and when in the world."""

    by: str
    actor: str
    assertion: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What shows that the referrer has a version: the delivery, and the published code of the proof."""

    delivery_id: str
    code: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteReceived:
    """A note came in that nobody has signed."""

    act: Act


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSigned:
    """A clinician signed the current version."""

    act: Act


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteDelivered:
    """The referrer has the current version."""

    act: Act
    proof: Proof


@dataclass(frozen=True, slots=True, kw_only=True)
class CareReturned:
    """Care is with the referrer again: ``ack`` is ``explicit`` or ``implied``."""

    act: Act
    ack: str
    note_id: str
    note_version: int
    note_sha256: str
    delivery_id: str | None = None


NoteEvent = NoteReceived | NoteSigned | NoteDelivered
