"""The page of the referring office: status without a code, names and documents after one. GET only ever
"opens".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final

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
from baton_notification.domain.access import CODE_LASTS, digest
from baton_notification.domain.progress import ContentReference, SignedDocument
from baton_notification.portal.guarding import Guard, Page, Strangers, either, said, wants_json
from baton_notification.portal.showing import Pages, Shown, page_as_json, patient_of
from baton_notification.portal.visits import Visit, Visits
from baton_notification.queries import Queries

WRONG_CODE: Final = "This code is wrong, used, or too old. Ask for another one."
NO_PAGE: Final = "This link does not open anything (any more). Ask the practice for a new one."


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """What the page stands on. ``new_code`` gives eight random digits; ``clock`` is the security clock."""

    visits: Visits
    queries: Queries
    pages: Pages
    contents: ContentClient
    clock: Clock
    new_code: Callable[[], str]
    guard: Guard
    strangers: Strangers = field(default_factory=Strangers)


PortalPage = Callable[[Portal, Ask[Any]], Awaitable[Answer]]


def routes(portal: Portal) -> Routes:
    """The office page under ``/o/``."""
    routes = Routes(tag="office page")

    @routes.raw("GET", "/o/assets/office.css", public=True, produces=("text/css",), documented=False)
    async def style(ask: Ask[Any]) -> Answer:
        """How the page looks."""
        headers = {"Cache-Control": "public, max-age=3600"}
        return Answer(body=_STYLE, media_type="text/css; charset=utf-8", headers=headers)

    for method, path, handler, summary, level in _PAGES:
        guarded = portal.guard.around(_bound(portal, handler), level=level)
        routes.page(method, path, public=True, summary=summary)(guarded)
    return routes


def _bound(portal: Portal, handler: PortalPage) -> Page:
    async def page(ask: Ask[Any]) -> Answer:
        return await handler(portal, ask)

    page.__name__ = handler.__name__.strip("_")
    return page


async def _show_page(portal: Portal, ask: Ask[Any]) -> Answer:
    visit = await _known(portal, ask)
    await _note_visit(portal, ask, visit)
    shown = Shown(
        visit=visit,
        office=await portal.queries.office(visit.practice_id, visit.link.office_id),
        patient=await _patient(portal, ask, visit),
        acknowledgements=await _confirmations(portal, visit),
    )
    return either(ask, lambda: page_as_json(shown), lambda: portal.pages.page(shown))


async def _send_code_page(portal: Portal, ask: Ask[Any]) -> Answer:
    said(ask)
    visit = await portal.visits.find(ask)
    browser = portal.visits.browser(ask) or portal.visits.new_secret()
    await _send_code(portal, ask, visit, browser)
    handle = ask.path["handle"]
    return either(
        ask,
        lambda: {"sent": True, "expires_in": int(CODE_LASTS.total_seconds())},
        lambda: portal.pages.code(None, handle),
        status=202 if wants_json(ask) else 200,
        cookies=(portal.visits.browser_cookie(browser),),
    )


async def _verify_page(portal: Portal, ask: Ask[Any]) -> Answer:
    code = said(ask, "code").get("code")
    visit = await portal.visits.find(ask)
    secret = portal.visits.new_secret()
    if visit is None or not await _verified(portal, ask, visit, code, secret):
        return _wrong_code(portal, ask)
    cookies = portal.visits.session_cookies(secret)
    if wants_json(ask):
        return Answer(body={"verified": True}, set_cookies=cookies)
    return Answer(status=303, headers={"Location": f"/o/{visit.link.handle}"}, set_cookies=cookies)


async def _acknowledge_page(portal: Portal, ask: Ask[Any]) -> Answer:
    named = said(ask, "documents").get("documents")
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
    if wants_json(ask):
        return Answer(status=201 if reply.kind == "created" else 200, body=reply.body)
    return Answer(status=303, headers={"Location": f"/o/{visit.link.handle}"})


async def _document_page(portal: Portal, ask: Ask[Any]) -> Answer:
    visit = await _known(portal, ask)
    if not visit.identified:
        return _code_first(portal, ask, visit)
    signed = visit.progress.document(ask.path["id"])
    if signed is None:
        raise NotFound("This document was replaced or taken back. Read the page again.")
    return await _document(portal, ask, visit, signed)


_PAGES: Final[tuple[tuple[str, str, PortalPage, str, bool], ...]] = (
    ("GET", "/o/{handle}", _show_page, "Where the referral is, and what comes next.", False),
    ("POST", "/o/{handle}/code", _send_code_page, "Send a code to the address on file.", True),
    ("POST", "/o/{handle}/verify", _verify_page, "Prove with the code that you are of the office.", True),
    ("POST", "/o/{handle}/acknowledge", _acknowledge_page, "Confirm that you have it.", False),
    ("GET", "/o/{handle}/documents/{id}", _document_page, "Read a document, after the code.", False),
)
"""Method, path, what answers, what it is for, and whether its pace is kept even."""


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


async def _confirmations(portal: Portal, visit: Visit) -> list[Any]:
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


def _wrong_code(portal: Portal, ask: Ask[Any]) -> Answer:
    if wants_json(ask):
        raise Refused(WRONG_CODE, code="unauthenticated")
    html = portal.pages.code(None, ask.path["handle"], wrong=True)
    return Answer(status=401, body=html, media_type="text/html; charset=utf-8")


def _code_first(portal: Portal, ask: Ask[Any], visit: Visit) -> Answer:
    if "text/html" not in ask.headers.get("accept", ""):
        raise Refused("Use a code first: documents are shown to the office only.", code="unauthenticated")
    return Answer(status=303, headers={"Location": f"/o/{visit.link.handle}#identify"})


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


_EXTENSIONS: Final = {"application/pdf": ".pdf", "text/plain": ".txt", "application/xml": ".xml"}
_STYLE: Final = (files("baton_notification") / "templates" / "office.css").read_bytes()
