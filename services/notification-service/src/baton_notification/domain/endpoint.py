"""A webhook endpoint: whose it is, what it hears, how it is signed, and when it is given up."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Final

from baton_notification.domain.refusals import NotPossibleNow, NotValid

OVERLAP: Final = timedelta(hours=24)
"""How long a replaced secret still signs, unless it was said otherwise (0 to 7 days)."""

GIVEN_UP_AFTER: Final = timedelta(days=5)


class Format(StrEnum):
    """What the body is: our thin notice, or the event as it stands in the log."""

    STATUS = "status"
    CLOUDEVENTS = "cloudevents"


class Payload(StrEnum):
    """Whether documents travel in the body. ``FULL`` needs a recorded agreement."""

    THIN = "thin"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Secret:
    """A signing secret in its ``whsec_`` form; ``until`` ends a replaced one."""

    value: str
    until: datetime | None = None


@dataclass(slots=True)
class WebhookEndpoint:
    """An address that wants to be called. Without ``office_id`` it is the practice's own and hears of
    everything.

    ``events`` are patterns over event types; None means all that offices hear.
    """

    id: str
    office_id: str | None
    url: str
    created_at: datetime
    secrets: tuple[Secret, ...]
    patterns: tuple[str, ...] | None = None
    format: Format = Format.STATUS
    payload: Payload = Payload.THIN
    agreement: str | None = None
    disabled_at: datetime | None = None
    disabled_reason: str | None = None
    deleted_at: datetime | None = None
    failing_since: datetime | None = None
    version: int = 0
    events: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Content goes only to an office that has agreed to it.

        Raises:
            NotValid: a full payload without an office or without the agreement.
        """
        if self.payload is Payload.FULL and not (self.office_id and self.agreement):
            raise NotValid(
                "Documents go only to an endpoint of one office, with the reference of its agreement.",
                pointer="/agreement",
            )

    @property
    def active(self) -> bool:
        """Whether it is called."""
        return self.disabled_at is None and self.deleted_at is None

    def hears(self, event_type: str, *, heard: bool) -> bool:
        """Whether it is called for such an event; ``heard`` says that the office is told of this one.

        An office's endpoint never hears more than the office; the practice's own hears all that it asked for.
        """
        if self.patterns is None:
            return heard
        matches = any(fnmatchcase(event_type, pattern) for pattern in self.patterns)
        return matches and (heard or self.office_id is None)

    def signing(self, at: datetime) -> tuple[str, ...]:
        """The secrets that sign now, the newest first."""
        return tuple(secret.value for secret in self.secrets if secret.until is None or at < secret.until)

    def rotate(self, secret: str, *, at: datetime, overlap: timedelta = OVERLAP) -> None:
        """Sign with ``secret`` from now on, and with the previous one for ``overlap``.

        Raises:
            NotPossibleNow: the endpoint was deleted.
        """
        self._refuse_deleted()
        previous = replace(self.secrets[0], until=at + overlap)
        self.secrets = (Secret(secret), previous) if overlap else (Secret(secret),)

    def change(
        self, *, url: str | None = None, patterns: tuple[str, ...] | None = None, enabled: bool | None = None,
        at: datetime,
    ) -> None:  # fmt: skip
        """Another address, other events, or on and off by hand.

        Raises:
            NotPossibleNow: the endpoint was deleted.
        """
        self._refuse_deleted()
        self.url = url or self.url
        self.patterns = patterns if patterns is not None else self.patterns
        if enabled is True:
            self.disabled_at, self.disabled_reason, self.failing_since = None, None, None
        elif enabled is False and self.disabled_at is None:
            self.disabled_at, self.disabled_reason = at, "by-hand"

    def delete(self, *, at: datetime) -> None:
        """Never call it again and forget how to sign for it."""
        if self.deleted_at is None:
            self.deleted_at, self.secrets = at, ()

    def answered(self) -> bool:
        """It took a call; tells whether that is news."""
        news, self.failing_since = self.failing_since is not None, None
        return news

    def gone(self, *, at: datetime) -> None:
        """It said that it is no more (410)."""
        if self.disabled_at is None:
            self.disabled_at, self.disabled_reason = at, "gone"

    def did_not_answer(self, *, at: datetime) -> bool:
        """A call failed; after five days of nothing but failures it is given up. Tells whether anything
        changed.
        """
        if self.failing_since is None:
            self.failing_since = at
            return True
        if self.disabled_at is None and at - self.failing_since >= GIVEN_UP_AFTER:
            self.disabled_at, self.disabled_reason = at, "failing"
            return True
        return False

    def _refuse_deleted(self) -> None:
        if self.deleted_at is not None:
            raise NotPossibleNow("This endpoint was deleted. Make a new one.")
