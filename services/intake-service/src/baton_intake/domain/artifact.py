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
    """One doubt about what was sent: a stable code, the place in the format's own notation, a sentence for
    a person.

    ``detail`` never repeats what was sent.
    """

    code: str
    where: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One body of bytes as it came through a door, without the bytes.

    ``sender`` is the client that proved itself, not a name within. ``message_id`` is what the sender calls
    this message; empty where it has no name. ``sha256`` is of the exact bytes, lower case hexadecimal.
    """

    sender: str
    format: str
    media_type: str
    size: int
    sha256: str
    trigger: str = ""
    message_id: str = ""

    @classmethod
    def of(
        cls,
        content: bytes,
        *,
        sender: str,
        format: str,
        media_type: str,
        trigger: str = "",
        message_id: str = "",
    ) -> Received:
        """What is to be known of these bytes."""
        return cls(
            sender=sender,
            format=format,
            media_type=media_type,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            trigger=trigger,
            message_id=message_id,
        )


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


@dataclass(slots=True, kw_only=True)
class ArtifactBytes:
    """The bytes of the artifact with the same id, exactly as they came. They never change."""

    id: str
    content: bytes
    version: int = 0
    events: list[Any] = field(default_factory=list)
