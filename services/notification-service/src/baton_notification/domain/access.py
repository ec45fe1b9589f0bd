"""Who may see what on the office page: the link, the one-time code, the session, by the security clock."""

import hashlib
import hmac
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from baton_notification.domain.refusals import TooOften

LINK_LASTS: Final = timedelta(days=30)
CODE_LASTS: Final = timedelta(minutes=10)
CODE_TRIES: Final = 5
CODES_AT_MOST: Final = 3
CODES_WITHIN: Final = timedelta(minutes=15)
SESSION_IDLE: Final = timedelta(minutes=30)
SESSION_LASTS: Final = timedelta(hours=8)
_SLIDES_AFTER: Final = timedelta(days=1)
_SEEN_AGAIN_AFTER: Final = timedelta(minutes=1)
_CODE: Final = re.compile(r"[0-9]{8}")


def digest(secret: str) -> str:
    """How a handle or a cookie is kept: SHA-256, hexadecimal. Both have 128 random bits or more."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(slots=True)
class TrackingLink:
    """The address of one referral's page for one office. ``handle`` says nothing by itself; it is kept so
    that the next notice can show it, and found by its digest.
    """

    id: str
    referral_id: str
    office_id: str
    handle: str
    expires_at: datetime
    revoked_at: datetime | None = None
    version: int = 0
    events: list[Any] = field(default_factory=list)

    def holds(self, at: datetime) -> bool:
        """Whether the link still opens the page."""
        return self.revoked_at is None and at < self.expires_at

    def wears(self, at: datetime) -> bool:
        """Whether a use now makes it last noticeably longer."""
        return at + LINK_LASTS - self.expires_at >= _SLIDES_AFTER

    def slide(self, at: datetime) -> None:
        """Used: it lasts another thirty days."""
        self.expires_at = max(self.expires_at, at + LINK_LASTS)


@dataclass(frozen=True, slots=True)
class Challenge:
    """A code that was sent, for one link and one browser."""

    link_id: str
    browser: str
    code: str
    route_id: str
    expires_at: datetime
    tries: int = 0

    def open(self, at: datetime) -> bool:
        """Whether the code may still be tried."""
        return self.tries < CODE_TRIES and at < self.expires_at


@dataclass(slots=True)
class OfficeAccess:
    """The codes of one office, one row, so that tries and limits cannot be raced. Its id is the office's."""

    id: str
    challenges: tuple[Challenge, ...] = ()
    issued: tuple[datetime, ...] = ()
    version: int = 0
    events: list[Any] = field(default_factory=list)

    def issue(self, *, link_id: str, browser: str, code: str, route_id: str, at: datetime) -> Challenge:
        """A new code; the one this browser had for this link ends.

        Raises:
            TooOften: three codes were sent within a quarter of an hour.
        """
        recent = tuple(moment for moment in self.issued if at - moment < CODES_WITHIN)
        if len(recent) >= CODES_AT_MOST:
            raise TooOften.until(recent[0] + CODES_WITHIN, at=at)
        challenge = Challenge(link_id, browser, code, route_id, at + CODE_LASTS)
        kept = (
            one
            for one in self.challenges
            if one.open(at) and (one.link_id, one.browser) != (link_id, browser)
        )
        self.challenges, self.issued = (*kept, challenge), (*recent, at)
        return challenge

    def verify(self, *, link_id: str, browser: str, code: str, at: datetime) -> str | None:
        """The route that the code went to, if it is right; it is used up then. Every wrong one counts."""
        challenge = next(
            (one for one in self.challenges if (one.link_id, one.browser) == (link_id, browser)), None
        )
        if challenge is None or not challenge.open(at):
            return None
        right = hmac.compare_digest(challenge.code, code if _CODE.fullmatch(code) else "")
        tried = None if right else replace(challenge, tries=challenge.tries + 1)
        rest = tuple(one for one in self.challenges if one is not challenge)
        self.challenges = rest if tried is None else (*rest, tried)
        return challenge.route_id if right else None


@dataclass(slots=True)
class OfficeSession:
    """Somebody of the office, in one browser, after the code. Its id is the digest of the cookie."""

    id: str
    office_id: str
    route_id: str
    started_at: datetime
    seen_at: datetime
    ended_at: datetime | None = None
    version: int = 0
    events: list[Any] = field(default_factory=list)

    def holds(self, at: datetime) -> bool:
        """Whether it still counts: used within 30 minutes, begun within 8 hours."""
        fresh = at - self.seen_at < SESSION_IDLE and at - self.started_at < SESSION_LASTS
        return self.ended_at is None and fresh

    def wears(self, at: datetime) -> bool:
        """Whether a use now is worth writing down."""
        return at - self.seen_at >= _SEEN_AGAIN_AFTER

    def seen(self, at: datetime) -> None:
        """Used now."""
        self.seen_at = max(self.seen_at, at)
