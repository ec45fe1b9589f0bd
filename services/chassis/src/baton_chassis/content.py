"""Content by claim check: an event carries a reference, whoever renders or delivers fetches the bytes then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentRef:
    """Where content is: its owner, what it is, and the digest it must have (hex)."""

    owner: str
    kind: str
    id: str
    version: int
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The bytes and what they are."""

    media_type: str
    body: bytes
    sha256: str


class ContentSource(Protocol):
    """What an owner offers of one kind."""

    async def read(self, practice_id: str, kind: str, id: str, version: int) -> Content | None:
        """The content, or None."""
        ...


class ContentClient(Protocol):
    """Fetches content of other services."""

    async def fetch(self, practice_id: str, ref: ContentRef) -> Content:
        """The content."""
        ...
