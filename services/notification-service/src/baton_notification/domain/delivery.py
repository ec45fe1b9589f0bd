"""One thing told to one office by one route: its tries, how far it got, and what proves it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from baton_notification.domain.ladder import ENDS, UNSENT, Status, follows
from baton_notification.domain.refusals import NotPossibleNow
from baton_notification.domain.schedule import pause_before


class Kind(StrEnum):
    """What a delivery is: news, a document, or the code that opens the office page."""

    NOTICE = "notice"
    DOCUMENT = "document"
    CODE = "code"


class Role(StrEnum):
    """Whose copy it is: only what the referrer got counts for the loop."""

    REFERRER = "referrer"
    COPY = "copy"


class Verdict(StrEnum):
    """What one try came to."""

    TAKEN = "taken"
    """The channel took it over; that proves nothing about the receiver."""
    PROVEN = "proven"
    """The receiver has it."""
    LATER = "later"
    """Not now; another try may do better."""
    NEVER = "never"
    """No further try would do better."""
    BOUNCED = "bounced"
    """The address does not take it."""


@dataclass(frozen=True, slots=True)
class DocumentVersion:
    """Exactly one version of one document; ``sha256`` is of its bytes, lower case hexadecimal."""

    id: str
    version: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a delivery goes: by which channel, over which route, to which address.

    ``lane`` names what fails together: a webhook endpoint, or the one mail server. ``carries`` tells whether
    the channel carries a document's content, so that its acceptance proves the document and not only the
    notice.
    """

    route_id: str
    channel: str
    address: str
    lane: str
    carries: bool = False


@dataclass(frozen=True, slots=True)
class News:
    """What happened, as far as a delivery must know to say it: the rest is looked up when it is sent."""

    event_id: str
    event_type: str
    template: str
    occurred_at: datetime
    previous_state: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try. ``outcome`` is a bounded word, ``code`` the channel's answer (an HTTP or SMTP status)."""

    at: datetime
    trigger: str
    outcome: str
    code: str | None
    duration_ms: int


@dataclass(frozen=True, slots=True)
class DeliveryMoved:
    """The delivery climbed, or ended. Published only for what concerns a referral."""

    status: Status
    at: datetime
    code: str | None = None
    proof: str | None = None


@dataclass(slots=True)
class Delivery:
    """A delivery and its history.

    ``due_at`` is when a worker should take it up next; while one has it (``lease``), when another may.
    ``chain`` names what goes out in order, one at a time; empty for what has no order. ``body`` is what must
    be sent as it is (an envelope, a code), None for what is rendered from the state at sending time.
    """

    id: str
    referral_id: str
    office_id: str
    kind: Kind
    role: Role
    to: Destination
    news: News
    created_at: datetime
    document: DocumentVersion | None = None
    body: bytes | None = None
    chain: str = ""
    correlation: str = ""
    status: Status = Status.QUEUED
    trigger: str = "event"
    tries: int = 0
    attempts: tuple[Attempt, ...] = ()
    code: str | None = None
    lease: str | None = None
    due_at: datetime | None = None
    expires_at: datetime | None = None
    updated_at: datetime | None = None
    version: int = 0
    events: list[Any] = field(default_factory=list)

    @property
    def unsent(self) -> bool:
        """Whether the channel does not have it yet."""
        return self.status in UNSENT

    @property
    def held_back(self) -> bool:
        """Whether it waits for something else than a free worker: a retry, or an office that paused."""
        return self.status is Status.QUEUED and (self.tries > 0 or self.due_at is None)

    def record(
        self, attempt: Attempt, verdict: Verdict, *, chance: float, wish: timedelta | None = None,
        proof: str | None = None, lease: str | None = None,
    ) -> None:  # fmt: skip
        """A try came to an end. ``lease`` is the one it was made under; a try under a lease that ran out
        leaves its trace and, if it went through, its success, but plans nothing.
        """
        current = lease == self.lease
        self.attempts += (attempt,)
        self.updated_at = attempt.at
        if verdict is Verdict.TAKEN:
            self._climb(Status.SENT, attempt)
        elif verdict is Verdict.PROVEN:
            self._climb(Status.DELIVERED, attempt, proof=proof)
        elif current and self.unsent:
            self._failed(attempt, verdict, chance, wish)
        elif current:
            self._rest()

    def prove(self, proof: str, *, at: datetime) -> None:
        """Something else than the channel shows that the receiver has it."""
        self._move(Status.DELIVERED, at, proof=proof)

    def open(self, *, at: datetime) -> None:
        """The receiver looked at it."""
        self._move(Status.OPENED, at)

    def acknowledge(self, *, at: datetime) -> None:
        """A person of the office said that they have it."""
        self._move(Status.ACKNOWLEDGED, at)

    def supersede(self, *, at: datetime) -> None:
        """Newer news of the same chain says more."""
        self._move(Status.SUPPRESSED, at, code="superseded")

    def suppress(self, code: str, *, at: datetime) -> None:
        """The office does not want it."""
        self._move(Status.SUPPRESSED, at, code=code)

    def cancel(self, code: str, *, at: datetime) -> None:
        """There is nothing to send any more."""
        self._move(Status.CANCELLED, at, code=code)

    def fail(self, code: str, *, at: datetime) -> None:
        """It cannot be sent at all."""
        self._move(Status.FAILED, at, code=code)

    def expire(self, *, at: datetime) -> None:
        """Its time has passed."""
        self._move(Status.EXPIRED, at, code="expired")

    def hold(self, *, at: datetime) -> None:
        """Wait until somebody releases it; a try under way goes on."""
        if self.status is Status.QUEUED:
            self.due_at, self.updated_at = None, at

    def release(self, *, at: datetime) -> None:
        """Go on after ``hold``."""
        if self.status is Status.QUEUED:
            self.due_at, self.updated_at = at, at

    def send_again(self, *, at: datetime) -> None:
        """A person asks for another round of tries.

        Raises:
            NotPossibleNow: it is on its way already, or was cancelled.
        """
        if self.unsent and self.due_at is not None:
            raise NotPossibleNow("This delivery is on its way already.")
        if self.status is Status.CANCELLED:
            raise NotPossibleNow("This delivery was cancelled: there is nothing to send any more.")
        if self.status in ENDS:
            self.status, self.code = Status.QUEUED, None
        self.trigger, self.tries, self.lease = "manual", 0, None
        self.due_at, self.updated_at = at, at

    def _failed(self, attempt: Attempt, verdict: Verdict, chance: float, wish: timedelta | None) -> None:
        self.tries += 1
        pause = pause_before(self.tries, chance=chance, wish=wish)
        if verdict is Verdict.BOUNCED:
            self._move(Status.BOUNCED, attempt.at, code=attempt.code or attempt.outcome)
        elif verdict is Verdict.NEVER or pause is None:
            self._move(Status.FAILED, attempt.at, code=attempt.code or attempt.outcome)
        elif self.expires_at is not None and attempt.at + pause >= self.expires_at:
            self.expire(at=attempt.at)
        else:
            self.status, self.lease, self.trigger = Status.QUEUED, None, "schedule"
            self.due_at = attempt.at + pause

    def _climb(self, status: Status, attempt: Attempt, *, proof: str | None = None) -> None:
        self._rest()
        self._move(status, attempt.at, code=attempt.code, proof=proof)

    def _rest(self) -> None:
        self.due_at, self.lease = None, None

    def _move(
        self, status: Status, at: datetime, *, code: str | None = None, proof: str | None = None
    ) -> None:
        if not follows(status, self.status):
            return
        self.status, self.code, self.updated_at = status, code, at
        self._rest()
        if status in ENDS | {Status.SENT, Status.DELIVERED}:
            self.body = self.body if self.kind is not Kind.CODE else None
        self.events.append(DeliveryMoved(status, at, code, proof))
