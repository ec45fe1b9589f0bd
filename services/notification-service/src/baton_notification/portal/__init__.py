"""The page of the referring office: status without a code, names and documents after one. GET only ever
"opens".
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlsplit

from baton_chassis import problems, strict_json
from baton_chassis.clock import Clock
from baton_chassis.content import ContentAltered, ContentClient, ContentMissing, ContentRef
from baton_chassis.doors import Answer, Ask, Routes
from baton_chassis.errors import Fault, Invalid, NotFound, Refused, Unavailable
from baton_notification.commands import (
    AcknowledgeReceipt,
    ContinueSession,
    NoteCardShown,
    NoteOpened,
    ProveFetched,
    SendCode,
    VerifyCode,
)
from baton_notification.domain.access import CODE_LASTS, CODES_AT_MOST, CODES_WITHIN, digest
from baton_notification.domain.progress import ContentReference, SignedDocument
from baton_notification.domain.refusals import TooOften
from baton_notification.portal.showing import Pages, Shown, page_as_json, patient_of
from baton_notification.portal.visits import Visit, Visits
from baton_notification.queries import Queries

LEVEL_SECONDS: Final = 0.08
"""Answers about codes never come sooner, so that a known handle is not told from an unknown one by the time.
"""

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
WRONG_CODE: Final = "This code is wrong, used, or too old. Ask for another one."
NO_PAGE: Final = "This link does not open anything (any more). Ask the practice for a new one."

Page = Callable[[Ask[Any]], Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """What the page stands on. ``new_code`` gives eight random digits; ``clock`` is the security clock."""

    visits: Visits
    queries: Queries
    pages: Pages
    contents: ContentClient
    clock: Clock
    new_code: Callable[[], str]
    origin: str
    level_seconds: float = LEVEL_SECONDS
    strangers: Strangers = field(default_factory=lambda: Strangers())


class Strangers:
    """Counts code requests for handles that open nothing, so that they are limited just like real ones. Kept
    in memory, the oldest forgotten first.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._asked: OrderedDict[str, deque[datetime]] = OrderedDict()
        self._most = most

    def ask(self, handle: str, at: datetime) -> None:
        """One more request; raises ``TooOften`` where a known office would get it."""
        asked = self._asked.pop(digest(handle), deque())
        while asked and at - asked[0] >= CODES_WITHIN:
            asked.popleft()
        self._asked[digest(handle)] = asked
        if len(self._asked) > self._most:
            self._asked.popitem(last=False)
        if len(asked) >= CODES_AT_MOST:
            wait = (CODES_WITHIN - (at - asked[0])).total_seconds()
            raise TooOften(
                "Several codes were sent already. Use the last one or wait.", seconds=int(wait) + 1
            )
        asked.append(at)


def routes(portal: Portal) -> Routes:
    """The office page under ``/o/``."""
    routes = Routes(tag="office page")

    @routes.raw("GET", "/o/assets/office.css", public=True, produces=("text/css",), documented=False)
    async def style(ask: Ask[Any]) -> Answer:
        """How the page looks."""
        return Answer(body=_STYLE, media_type="text/css; charset=utf-8",
                      headers={"Cache-Control": "public, max-age=3600"})  # fmt: skip

    def page(method: str, path: str, summary: str, *, level: bool = False) -> Callable[[Page], Page]:
        def declare(handler: Page) -> Page:
            guarded = _guarded(portal, handler, level=level)
            routes.page(method, path, public=True, summary=summary)(guarded)
            return handler

        return declare

    @page("GET", "/o/{handle}", "Where the referral is, and what comes next.")
    async def show(ask: Ask[Any]) -> Answer:
        visit = await _known(portal, ask)
        await _note_visit(portal, ask, visit)
        shown = Shown(
            visit=visit,
            office=await portal.queries.office(visit.practice_id, visit.link.office_id),
            patient=await _patient(portal, ask, visit),
            acknowledgements=await _said(portal, visit),
        )
        return _either(ask, lambda: page_as_json(shown), lambda: portal.pages.page(shown))

    @page("POST", "/o/{handle}/code", "Send a code to the address on file.", level=True)
    async def send_code(ask: Ask[Any]) -> Answer:
        _said(ask)
        visit = await portal.visits.find(ask)
        browser = portal.visits.browser(ask) or portal.visits.new_secret()
        await _send_code(portal, ask, visit, browser)
        handle = ask.path["handle"]
        return _either(
            ask,
            lambda: {"sent": True, "expires_in": int(CODE_LASTS.total_seconds())},
            lambda: portal.pages.code(None, handle),
            status=202 if _wants_json(ask) else 200,
            cookies=(portal.visits.browser_cookie(browser),),
        )

    @page("POST", "/o/{handle}/verify", "Prove with the code that you are of the office.", level=True)
    async def verify(ask: Ask[Any]) -> Answer:
        code = _said(ask, "code").get("code")
        visit = await portal.visits.find(ask)
        secret = portal.visits.new_secret()
        if visit is None or not await _verified(portal, ask, visit, code, secret):
            return _wrong_code(portal, ask)
        cookies = portal.visits.session_cookies(secret)
        if _wants_json(ask):
            return Answer(body={"verified": True}, set_cookies=cookies)
        return Answer(status=303, headers={"Location": f"/o/{visit.link.handle}"}, set_cookies=cookies)

    @page("POST", "/o/{handle}/acknowledge", "Confirm that you have it.")
    async def acknowledge(ask: Ask[Any]) -> Answer:
        named = _said(ask, "documents").get("documents")
        visit = await _known(portal, ask)
        reply = await ask.submit(
            AcknowledgeReceipt(
                id=ask.new_id(),
                referral_id=visit.link.referral_id,
                office_id=visit.link.office_id,
                identified=visit.identified,
                documents=_documents_confirmed(named, visit),
                delivery_id=ask.new_id(),
            ),
            caller=portal.visits.caller(ask, visit),
        )
        if _wants_json(ask):
            return Answer(status=201 if reply.kind == "created" else 200, body=reply.body)
        return Answer(status=303, headers={"Location": f"/o/{visit.link.handle}"})

    @page("GET", "/o/{handle}/documents/{id}", "Read a document, after the code.")
    async def document(ask: Ask[Any]) -> Answer:
        visit = await _known(portal, ask)
        if not visit.identified:
            return _code_first(portal, ask, visit)
        signed = visit.progress.document(ask.path["id"])
        if signed is None:
            raise NotFound("This document was replaced or taken back. Read the page again.")
        return await _document(portal, ask, visit, signed)

    return routes


async def _known(portal: Portal, ask: Ask[Any]) -> Visit:
    visit = await portal.visits.find(ask)
    if visit is None:
        raise NotFound(NO_PAGE)
    return visit


async def _note_visit(portal: Portal, ask: Ask[Any], visit: Visit) -> None:
    """A look opens the notices that led here. HEAD is no look."""
    if ask.method == "HEAD":
        return
    now, caller = portal.clock.now(), portal.visits.caller(ask, visit)
    if visit.link.wears(now) or await portal.queries.unopened(visit.link, visit.practice_id):
        await ask.submit(NoteOpened(id=visit.link.id, at=now), caller=caller)
    if visit.session is not None and visit.session.wears(now):
        await ask.submit(ContinueSession(id=visit.session.id, at=now), caller=caller)


async def _patient(portal: Portal, ask: Ask[Any], visit: Visit) -> Mapping[str, Any] | None:
    """The patient, after a code: fetched now, kept nowhere, audited. Where it cannot be had the page does
    without.
    """
    card = visit.progress.patient_card
    if not visit.identified or card is None or ask.method == "HEAD":
        return None
    try:
        content = await portal.contents.fetch(visit.practice_id, _reference(card))
    except (ContentMissing, ContentAltered, Unavailable):
        return None
    await ask.submit(NoteCardShown(id=visit.link.referral_id), caller=portal.visits.caller(ask, visit))
    return patient_of(content)


async def _said(portal: Portal, visit: Visit) -> list[Any]:
    listed = await portal.queries.acknowledgements(
        visit.practice_id, limit=200, after=None, referral_id=visit.link.referral_id
    )
    return [one for one in listed.items if one.office_id == visit.link.office_id]


async def _send_code(portal: Portal, ask: Ask[Any], visit: Visit | None, browser: str) -> None:
    now, code = portal.clock.now(), portal.new_code()
    if visit is None:
        portal.strangers.ask(ask.path["handle"], now)
        return
    await ask.submit(
        SendCode(
            id=visit.link.office_id,
            link_id=visit.link.id,
            browser=digest(browser),
            code=code,
            delivery_id=ask.new_id(),
            at=now,
        ),
        caller=portal.visits.caller(ask, visit),
    )


async def _verified(portal: Portal, ask: Ask[Any], visit: Visit, code: object, secret: str) -> bool:
    browser = portal.visits.browser(ask)
    if browser is None or not isinstance(code, str):
        return False
    reply = await ask.submit(
        VerifyCode(
            id=visit.link.office_id,
            link_id=visit.link.id,
            browser=digest(browser),
            code="".join(code.split()),
            session=digest(secret),
            at=portal.clock.now(),
        ),
        caller=portal.visits.caller(ask, visit),
    )
    return bool(reply.body.get("verified"))


async def _document(portal: Portal, ask: Ask[Any], visit: Visit, signed: SignedDocument) -> Answer:
    """The bytes, proven to be those that were signed; that they were fetched is written down before they
    leave.
    """
    try:
        content = await portal.contents.fetch(visit.practice_id, _reference(signed.content))
    except (ContentMissing, ContentAltered):
        raise NotFound("This document cannot be had any more. Ask the practice.") from None
    if ask.method != "HEAD":
        await ask.submit(
            ProveFetched(
                id=visit.link.referral_id,
                office_id=visit.link.office_id,
                document_id=signed.document.id,
                document_version=signed.document.version,
                delivery_id=ask.new_id(),
            ),
            caller=portal.visits.caller(ask, visit),
        )
    media_type = content.media_type.partition(";")[0].strip().lower()
    if media_type == "text/plain" and "text/html" in ask.headers.get("accept", ""):
        html = portal.pages.document(visit, signed, content.body.decode("utf-8", "replace"))
        return Answer(body=html, media_type="text/html; charset=utf-8")
    name = f"{signed.kind}-v{signed.document.version}{_EXTENSIONS.get(media_type, '')}"
    shown_as = "text/plain; charset=utf-8" if media_type == "text/plain" else media_type
    return Answer(
        body=content.body,
        media_type=shown_as,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _guarded(portal: Portal, handler: Page, *, level: bool) -> Page:
    """Every answer with all headers; forms only from our own pages; refusals as pages of ours."""

    async def guarded(ask: Ask[Any]) -> Answer:
        started = time.monotonic()
        try:
            if ask.method == "POST":
                _require_own_page(portal, ask)
            answer = await handler(ask)
        except Exception as error:  # only to show a refusal in our own form; whatever is none goes on
            problem = problems.problem_for(error)
            if problem is None:
                raise
            answer = _refusal(portal, ask, problem)
        if level:
            await asyncio.sleep(max(0.0, portal.level_seconds - (time.monotonic() - started)))
        return _with_headers(portal, answer)

    guarded.__name__ = handler.__name__
    return guarded


def _require_own_page(portal: Portal, ask: Ask[Any]) -> None:
    """A form of another site is refused by what browsers say of where a request comes from; programs say
    nothing.

    Under our referrer policy a browser sends ``Origin: null`` even from our own page, so ``Sec-Fetch-Site``
    decides where there is one; for browsers too old to send it ``SameSite`` keeps the session at home.
    """
    site, origin = ask.headers.get("sec-fetch-site"), ask.headers.get("origin")
    host = ask.headers.get("host", "")
    ours = {portal.origin, f"http://{host}", f"https://{host}", "null", None}
    if site not in ("same-origin", "none", None) or (site is None and origin not in ours):
        raise Refused("Send this form from its own page.", code="forbidden")


def _refusal(portal: Portal, ask: Ask[Any], problem: problems.Problem) -> Answer:
    headers = dict(problem.headers)
    if _wants_json(ask):
        return Answer(
            status=problem.status, body=problem.json(), media_type=problems.MEDIA_TYPE, headers=headers
        )
    title = _TITLES.get(problem.type.code, "This did not work")
    html = portal.pages.problem(title, problem.detail or problem.type.explanation)
    return Answer(status=problem.status, body=html, media_type="text/html; charset=utf-8", headers=headers)


def _with_headers(portal: Portal, answer: Answer) -> Answer:
    headers = {
        **HEADERS,
        **({"Strict-Transport-Security": HSTS} if portal.origin.startswith("https:") else {}),
    }
    return Answer(
        status=answer.status,
        body=answer.body,
        headers={**headers, **answer.headers},
        media_type=answer.media_type,
        version=answer.version,
        set_cookies=answer.set_cookies,
    )


def _wrong_code(portal: Portal, ask: Ask[Any]) -> Answer:
    if _wants_json(ask):
        raise Refused(WRONG_CODE, code="unauthenticated")
    html = portal.pages.code(None, ask.path["handle"], wrong=True)
    return Answer(status=401, body=html, media_type="text/html; charset=utf-8")


def _code_first(portal: Portal, ask: Ask[Any], visit: Visit) -> Answer:
    if "text/html" not in ask.headers.get("accept", ""):
        raise Refused("Use a code first: documents are shown to the office only.", code="unauthenticated")
    return Answer(status=303, headers={"Location": f"/o/{visit.link.handle}#identify"})


def _either(
    ask: Ask[Any], as_json: Callable[[], dict[str, Any]], as_html: Callable[[], str], *, status: int = 200,
    cookies: tuple[str, ...] = (),
) -> Answer:  # fmt: skip
    if _wants_json(ask):
        return Answer(status=status, body=as_json(), set_cookies=cookies)
    return Answer(status=status, body=as_html(), media_type="text/html; charset=utf-8", set_cookies=cookies)


def _wants_json(ask: Ask[Any]) -> bool:
    return "json" in ask.headers.get("accept", "")


def _said(ask: Ask[Any], *fields: str) -> Mapping[str, Any]:
    """What a form, or a JSON object, says in these fields. Anything else in it is refused, as on every door."""
    if not ask.raw:
        return {}
    if "json" not in ask.headers.get("content-type", ""):
        said: Any = ask.form()
    else:
        try:
            said = strict_json.loads(ask.raw)
        except strict_json.MalformedJson as error:
            raise Refused(str(error), code="malformed-json") from None
    if not isinstance(said, dict):
        raise Invalid([Fault("", "not-an-object", "Send an object.")])
    if not said.keys() <= set(fields):
        raise Invalid([Fault("", "unknown-field", "Leave out what the description does not name.")])
    return said


def _documents_confirmed(named: object, visit: Visit) -> tuple[tuple[str, int], ...]:
    """The versions that were shown: named by the form, else the present ones. None without a code."""
    if not visit.identified:
        return ()
    if named is None:
        return tuple((one.document.id, one.document.version) for one in visit.progress.documents)
    if isinstance(named, str):
        pairs = [part.rpartition(":") for part in named.split()]
        return tuple(
            (id, int(version)) for id, _, version in pairs if version.isascii() and version.isdigit()
        )
    if isinstance(named, list) and all(isinstance(one, dict) for one in named):
        return tuple((str(one.get("id")), one["version"]) for one in named if type(one.get("version")) is int)
    raise Invalid([Fault("/documents", "wrong-form", "Send a list of objects with id and version.")])


def _reference(where: ContentReference) -> ContentRef:
    return ContentRef(
        owner=where.owner, kind=where.kind, id=where.id, version=where.version, sha256=where.sha256
    )


def origin_of(url: str) -> str:
    """Scheme and authority of a URL, as browsers write an origin."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


_TITLES: Final = {
    "not-found": "There is nothing here",
    "rate-limited": "Please wait a little",
    "unauthenticated": "A code is needed first",
    "busy": "Please try again",
}
"""What people read above the reason."""

_EXTENSIONS: Final = {"application/pdf": ".pdf", "text/plain": ".txt", "application/xml": ".xml"}
_STYLE: Final = (files("baton_notification") / "templates" / "office.css").read_bytes()
