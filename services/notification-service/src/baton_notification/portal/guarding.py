"""What every answer of the page passes: its headers, where forms may come from, its refusals, its pace."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from baton_chassis import problems, strict_json
from baton_chassis.doors import Answer, Ask
from baton_chassis.errors import Fault, Invalid, Refused
from baton_notification.domain.access import CODES_AT_MOST, CODES_WITHIN, digest
from baton_notification.domain.refusals import TooOften
from baton_notification.portal.showing import Pages

LEVEL_SECONDS: Final = 0.08
"""Answers about codes never come sooner, so that known handles are not told from others by the time."""

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
}
HSTS: Final = "max-age=31536000; includeSubDomains"

Page = Callable[[Ask[Any]], Awaitable[Answer]]

_TITLES: Final = {
    "not-found": "There is nothing here",
    "rate-limited": "Please wait a little",
    "unauthenticated": "A code is needed first",
    "busy": "Please try again",
}
"""What people read above the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Stands around the handlers of the page. ``origin`` is ours, as browsers write it."""

    pages: Pages
    origin: str
    level_seconds: float = LEVEL_SECONDS

    def around(self, handler: Page, *, level: bool) -> Page:
        """The handler with everything that must hold for all of them; ``level`` keeps its pace even."""

        async def guarded(ask: Ask[Any]) -> Answer:
            started = time.monotonic()
            answer = await self._answer(handler, ask)
            if level:
                await asyncio.sleep(max(0.0, self.level_seconds - (time.monotonic() - started)))
            return self._with_headers(answer)

        guarded.__name__ = handler.__name__
        return guarded

    async def _answer(self, handler: Page, ask: Ask[Any]) -> Answer:
        try:
            if ask.method == "POST":
                self._require_own_page(ask)
            return await handler(ask)
        except Exception as error:  # only to show a refusal in our own form; whatever is none goes on
            problem = problems.problem_for(error)
            if problem is None:
                raise
            return self._refusal(ask, problem)

    def _require_own_page(self, ask: Ask[Any]) -> None:
        """A form of another site is refused by what browsers say of its origin; programs say nothing.

        Under our referrer policy a browser sends ``Origin: null`` even from our own page, so
        ``Sec-Fetch-Site`` decides where there is one; for browsers too old to send it ``SameSite`` keeps the
        session at home.
        """
        site, origin = ask.headers.get("sec-fetch-site"), ask.headers.get("origin")
        host = ask.headers.get("host", "")
        ours = {self.origin, f"http://{host}", f"https://{host}", "null", None}
        if site not in ("same-origin", "none", None) or (site is None and origin not in ours):
            raise Refused("Send this form from its own page.", code="forbidden")

    def _refusal(self, ask: Ask[Any], problem: problems.Problem) -> Answer:
        headers = dict(problem.headers)
        if wants_json(ask):
            return Answer(
                status=problem.status, body=problem.json(), media_type=problems.MEDIA_TYPE, headers=headers
            )
        title = _TITLES.get(problem.type.code, "This did not work")
        html = self.pages.problem(title, problem.detail or problem.type.explanation)
        return Answer(
            status=problem.status, body=html, media_type="text/html; charset=utf-8", headers=headers
        )

    def _with_headers(self, answer: Answer) -> Answer:
        secure = {"Strict-Transport-Security": HSTS} if self.origin.startswith("https:") else {}
        return Answer(
            status=answer.status,
            body=answer.body,
            headers={**HEADERS, **secure, **answer.headers},
            media_type=answer.media_type,
            version=answer.version,
            set_cookies=answer.set_cookies,
        )


class Strangers:
    """Counts code requests for handles that open nothing, so that they are limited just like real ones. Kept
    in memory, the oldest forgotten first.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._asked: OrderedDict[str, deque[datetime]] = OrderedDict()
        self._most = most

    def ask(self, handle: str, at: datetime) -> None:
        """One more request.

        Raises:
            TooOften: where a known office would get it too.
        """
        asked = self._asked.pop(digest(handle), deque())
        while asked and at - asked[0] >= CODES_WITHIN:
            asked.popleft()
        self._asked[digest(handle)] = asked
        if len(self._asked) > self._most:
            self._asked.popitem(last=False)
        if len(asked) >= CODES_AT_MOST:
            raise TooOften.until(asked[0] + CODES_WITHIN, at=at)
        asked.append(at)


def wants_json(ask: Ask[Any]) -> bool:
    """Whether a program asks."""
    return "json" in ask.headers.get("accept", "")


def either(
    ask: Ask[Any],
    as_json: Callable[[], dict[str, Any]],
    as_html: Callable[[], str],
    *,
    status: int = 200,
    cookies: tuple[str, ...] = (),
) -> Answer:
    """The same as JSON or as a page, as it was asked for."""
    if wants_json(ask):
        return Answer(status=status, body=as_json(), set_cookies=cookies)
    return Answer(status=status, body=as_html(), media_type="text/html; charset=utf-8", set_cookies=cookies)


def said(ask: Ask[Any], *fields: str) -> Mapping[str, Any]:
    """What a form or a JSON object says in these fields. Anything else is refused, as on all doors."""
    if not ask.raw:
        return {}
    if "json" not in ask.headers.get("content-type", ""):
        words: Any = ask.form()
    else:
        try:
            words = strict_json.loads(ask.raw)
        except strict_json.MalformedJson as error:
            raise Refused(str(error), code="malformed-json") from None
    if not isinstance(words, dict):
        raise Invalid([Fault("", "not-an-object", "Send an object.")])
    if not words.keys() <= set(fields):
        raise Invalid([Fault("", "unknown-field", "Leave out what the description does not name.")])
    return words


def origin_of(url: str) -> str:
    """Scheme and authority of a URL, as browsers write an origin."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
