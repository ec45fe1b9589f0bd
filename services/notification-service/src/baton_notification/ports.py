"""What the rooms of this service need from outside, as they would say it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from baton_notification.domain.delivery import Delivery, Verdict
from baton_notification.domain.mailbox import CapturedMail


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A delivery that is ours to send until its lease ends."""

    practice_id: str
    delivery: Delivery


class DueDeliveries(Protocol):
    """The deliveries of all practices that wait for a worker. Many workers and processes may ask at once."""

    async def next_due(self, *, shut: frozenset[str]) -> datetime | None:
        """When the next one is due, lanes in ``shut`` left out; None when nothing waits."""
        ...

    async def claim(
        self, *, now: datetime, until: datetime, shut: frozenset[str], limit: int
    ) -> list[Claimed]:
        """Take what is due: at most ``limit``, one a chain, nobody else gets them before ``until``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a channel says of one try. ``outcome`` is a bounded word, ``code`` the other side's own number."""

    verdict: Verdict
    outcome: str
    code: str | None = None
    duration_ms: int = 0
    wish: timedelta | None = None
    proof: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail ready to go: one receiver, plain text and the same as HTML, headers of our own."""

    message_id: str
    to: str
    sender_name: str
    subject: str
    text: str
    html: str


class MailChannel(Protocol):
    """How mail leaves: a server, or the captured mailbox of development."""

    async def send(self, practice_id: str, mail: Mail) -> Result:
        """One try; never raises for what the other side did."""
        ...


class Handles(Protocol):
    """Whose page a handle opens: the one question that is asked before a practice is known."""

    async def find(self, handle: str) -> tuple[str, str] | None:
        """(practice, link id), None for a handle that nobody has."""
        ...


class Mailbox(Protocol):
    """Captured mail, in development."""

    async def newest(self, most: int) -> list[CapturedMail]:
        """The newest first, of all practices."""
        ...
