"""Who is at the page: which referral the handle opens, and whether this browser has proven itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from baton_chassis.clock import Clock
from baton_chassis.commands import Caller
from baton_chassis.doors import Ask
from baton_notification.domain.access import (
    CODE_LASTS,
    SESSION_LASTS,
    OfficeSession,
    TrackingLink,
    digest,
)
from baton_notification.domain.progress import ReferralProgress
from baton_notification.ports import Handles
from baton_notification.queries import Queries

_HANDLE: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A page that exists, and the session of the browser that looks, if it has one for this office."""

    practice_id: str
    link: TrackingLink
    progress: ReferralProgress
    session: OfficeSession | None

    @property
    def identified(self) -> bool:
        """Whether a code was used in this browser."""
        return self.session is not None


class Visits:
    """Turns requests into visits. ``clock`` is the security clock; ``secure`` says that the page is served by
    https, then cookies carry the ``__Host-`` prefix and never leave it.
    """

    def __init__(
        self, *, handles: Handles, queries: Queries, clock: Clock, secret: Callable[[], str], secure: bool
    ) -> None:
        self._handles = handles
        self._queries = queries
        self._clock = clock
        self._secret = secret
        self._secure = secure
        prefix = "__Host-" if secure else ""
        self._session_cookie, self._browser_cookie = f"{prefix}office", f"{prefix}office-browser"

    async def find(self, ask: Ask[Any]) -> Visit | None:
        """The visit; None for a handle that opens nothing (never given, expired or revoked)."""
        handle = ask.path["handle"]
        known = await self._handles.find(handle) if _HANDLE.fullmatch(handle) else None
        if known is None:
            return None
        practice_id, link_id = known
        link = await self._queries.link(practice_id, link_id)
        if link is None or not link.holds(self._clock.now()):
            return None
        progress = await self._queries.progress(practice_id, link.referral_id)
        if progress is None:
            return None
        session = await self._session(ask, practice_id, link.office_id)
        return Visit(practice_id=practice_id, link=link, progress=progress, session=session)

    def caller(self, ask: Ask[Any], visit: Visit) -> Caller:
        """The office as the one who acts."""
        return Caller(
            practice_id=visit.practice_id,
            actor=f"office:{visit.link.office_id}",
            assertion="human",
            correlation_id=ask.caller.correlation_id,
            traceparent=ask.caller.traceparent,
        )

    def browser(self, ask: Ask[Any]) -> str | None:
        """What this browser was given before it had a code."""
        cookie = ask.cookies.get(self._browser_cookie, "")
        return cookie if _SECRET.fullmatch(cookie) else None

    def new_secret(self) -> str:
        """256 random bits as text, for a cookie."""
        return self._secret()

    def browser_cookie(self, value: str) -> str:
        """The cookie that binds a code to this browser."""
        return self._cookie(self._browser_cookie, value, CODE_LASTS * 2)

    def session_cookies(self, value: str) -> tuple[str, ...]:
        """A new session in place of what the browser had."""
        return (
            self._cookie(self._session_cookie, value, SESSION_LASTS),
            self._cookie(self._browser_cookie, "", timedelta()),
        )

    async def _session(self, ask: Ask[Any], practice_id: str, office_id: str) -> OfficeSession | None:
        cookie = ask.cookies.get(self._session_cookie, "")
        if not _SECRET.fullmatch(cookie):
            return None
        session = await self._queries.session(practice_id, digest(cookie))
        if session is None or session.office_id != office_id or not session.holds(self._clock.now()):
            return None
        return session

    def _cookie(self, name: str, value: str, lasts: timedelta) -> str:
        safe = "; Secure" if self._secure else ""
        return f"{name}={value}; Path=/; Max-Age={int(lasts.total_seconds())}; HttpOnly; SameSite=Lax{safe}"
