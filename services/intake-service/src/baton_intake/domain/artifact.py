"""What another system sent, kept as it came: the bytes, what was read in them, and what became of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class ArtifactStatus(StrEnum):
    """What became of an artifact."""

    ATTACHED = "attached"
    UNMATCHED = "unmatched"
    DISMISSED = "dismissed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One doubt about what was sent: a stable code, the place in the format's own notation, a sentence for a person.

    ``detail`` never repeats what was sent.
    """

    code: str
    where: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One body of bytes as it came through a door. ``sender`` is the client that proved itself, not a name within."""

    sender: str
    format: str
    media_type: str
    content: bytes
    trigger: str = ""
    message_id: str = ""

    @property
    def sha256(self) -> str:
        """SHA-256 of the exact bytes, lower case hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(slots=True, kw_only=True)
class Artifact:
    """One thing that was received: its bytes never change, its status and what it belongs to may."""

    id: str
    received: Received
    received_at: datetime
    status: ArtifactStatus = ArtifactStatus.UNMATCHED
    referral_id: str | None = None
    findings: tuple[Finding, ...] = ()
    version: int = 0
    events: list[Any] = field(default_factory=list)

    def attach(self, referral_id: str) -> None:
        """It is about this referral."""
        self.status, self.referral_id = ArtifactStatus.ATTACHED, referral_id

    def refuse(self) -> None:
        """It was answered with a refusal and is kept for a person to look at."""
        self.status = ArtifactStatus.REFUSED

    def note(self, *findings: Finding) -> None:
        """Add doubts, each once, in the order they came up."""
        self.findings = tuple(dict.fromkeys((*self.findings, *findings)))
