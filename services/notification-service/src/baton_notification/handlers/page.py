"""The office on its page: it looks, proves who it is, fetches, confirms."""

from __future__ import annotations

from baton_chassis.commands import Reply
from baton_chassis.errors import NotFound
from baton_chassis.work import Work
from baton_notification.commands import (
    AcknowledgeReceipt,
    ContinueSession,
    NoteCardShown,
    NoteOpened,
    ProveFetched,
    SendCode,
    VerifyCode,
)
from baton_notification.domain.access import OfficeAccess, OfficeSession, TrackingLink
from baton_notification.domain.acknowledgement import Acknowledgement
from baton_notification.domain.delivery import Delivery, Destination, DocumentVersion, Kind, News, Role
from baton_notification.domain.ladder import INFORMED, Status
from baton_notification.domain.office import Office
from baton_notification.domain.progress import ReferralProgress
from baton_notification.handlers.following import MAIL_LANE
from baton_notification.handlers.views import acknowledgement_shown

FETCHED = "fetched_identified"
CONFIRMED = "confirmed_by_person"
_SHOWN_BY_LINK = frozenset({Status.SENT, Status.DELIVERED})


async def note_opened(command: NoteOpened, work: Work) -> Reply:
    """The mailed notices of this referral were looked at; the link lasts longer."""
    link = await work.load(TrackingLink, command.id)
    if link.wears(command.at):
        link.slide(command.at)
        work.save(link)
    for delivery in await _mailed_notices(link.referral_id, link.office_id, work):
        if delivery.status in _SHOWN_BY_LINK:
            delivery.open(at=work.now)
            work.save(delivery)
    return Reply()


async def send_code(command: SendCode, work: Work) -> Reply:
    """A code to the address on file, never to one that was typed in."""
    office = await work.load(Office, command.id)
    route = office.code_route
    if route is None:
        return Reply(body={"sent": False})
    access = await work.find(OfficeAccess, office.id) or OfficeAccess(id=office.id)
    challenge = access.issue(
        link_id=command.link_id,
        browser=command.browser,
        code=command.code,
        route_id=route.id,
        at=command.at,
    )
    work.save(access)
    work.save(
        Delivery(
            id=command.delivery_id,
            referral_id="",
            office_id=office.id,
            kind=Kind.CODE,
            role=Role.REFERRER,
            to=Destination(route.id, route.channel, route.address, MAIL_LANE),
            news=News(command.delivery_id, "", "code", work.now),
            created_at=work.now,
            body=command.code.encode(),
            due_at=work.now,
            expires_at=challenge.expires_at,
            correlation=work.caller.correlation_id,
        )
    )
    return Reply(body={"sent": True})


async def verify_code(command: VerifyCode, work: Work) -> Reply:
    """The right code opens a session and proves its route; a wrong one is counted. Both are written down."""
    office = await work.load(Office, command.id)
    access = await work.find(OfficeAccess, office.id)
    if access is None:
        return Reply(body={"verified": False})
    before = access.challenges
    route_id = access.verify(
        link_id=command.link_id, browser=command.browser, code=command.code, at=command.at
    )
    if access.challenges != before:
        work.save(access)
    if route_id is None:
        work.audit("VerifyCode.refused", office.id)
        return Reply(body={"verified": False})
    if office.route(route_id) is not None:
        office.verify(route_id, at=work.now)
        work.save(office)
    work.save(
        OfficeSession(
            id=command.session,
            office_id=office.id,
            route_id=route_id,
            started_at=command.at,
            seen_at=command.at,
        )
    )
    return Reply(body={"verified": True})


async def continue_session(command: ContinueSession, work: Work) -> Reply:
    """The session was used."""
    session = await work.load(OfficeSession, command.id)
    if session.wears(command.at):
        session.seen(command.at)
        work.save(session)
    return Reply()


async def note_card_shown(command: NoteCardShown, work: Work) -> Reply:
    """Nothing changes; the chassis writes who saw it into the audit."""
    await work.load(ReferralProgress, command.id)
    return Reply()


async def prove_fetched(command: ProveFetched, work: Work) -> Reply:
    """An identified person has the document: that delivery is proven."""
    progress = await work.load(ReferralProgress, command.id)
    document = _current(progress, command.document_id, command.document_version)
    if document is None:
        raise NotFound("This document was replaced or taken back. Read the page again.")
    delivery = await _delivery_of(document, progress, command.office_id, command.delivery_id, work)
    delivery.prove(FETCHED, at=work.now)
    delivery.open(at=work.now)
    work.save(delivery)
    return Reply(body={"delivery_id": delivery.id, "status": delivery.status.value})


async def acknowledge_receipt(command: AcknowledgeReceipt, work: Work) -> Reply:
    """We have it. Said once for the same things; said again it is answered with the first."""
    progress = await work.load(ReferralProgress, command.referral_id)
    shown = (
        (_current(progress, id, version) for id, version in command.documents) if command.identified else ()
    )
    documents = tuple(document for document in shown if document is not None)
    earlier = await _said_before(command, documents, work)
    if earlier is not None:
        return Reply(kind="existing", body=acknowledgement_shown(earlier), version=earlier.version)
    covered = await _mailed_notices(command.referral_id, command.office_id, work)
    for place, document in enumerate(documents):
        fresh = command.delivery_id if place == 0 else work.new_id()
        delivery = await _delivery_of(document, progress, command.office_id, fresh, work)
        if delivery.status not in INFORMED:
            delivery.prove(CONFIRMED, at=work.now)
        covered.append(delivery)
    for delivery in covered:
        delivery.acknowledge(at=work.now)
        work.save(delivery)
    said = Acknowledgement(
        id=command.id,
        referral_id=command.referral_id,
        office_id=command.office_id,
        at=work.now,
        identified=command.identified,
        documents=documents,
        delivery_ids=tuple(one.id for one in covered),
    )
    work.save(said)
    return Reply(kind="created", body=acknowledgement_shown(said), version=said.version)


async def _said_before(
    command: AcknowledgeReceipt, documents: tuple[DocumentVersion, ...], work: Work
) -> Acknowledgement | None:
    """The same confirmation, if there is nothing new to confirm."""
    said = await work.select(Acknowledgement, referral_id=command.referral_id)
    same = [one for one in said if one.office_id == command.office_id and one.documents == documents]
    notices = await _mailed_notices(command.referral_id, command.office_id, work)
    fresh = any(one.status is not Status.ACKNOWLEDGED for one in notices)
    return same[-1] if same and not (fresh and not documents) else None


async def _mailed_notices(referral_id: str, office_id: str, work: Work) -> list[Delivery]:
    """The notices that led to the page: mailed, and not ended on the way."""
    told = await work.select(Delivery, referral_id=referral_id)
    reached = INFORMED | {Status.SENT}
    return [
        one
        for one in told
        if (one.kind, one.office_id, one.to.channel) == (Kind.NOTICE, office_id, "email")
        and one.status in reached
    ]


async def _delivery_of(
    document: DocumentVersion, progress: ReferralProgress, office_id: str, new_id: str, work: Work
) -> Delivery:
    """The delivery that a proof of this version belongs to: the one that got furthest, else a new one."""
    sent = await work.select(Delivery, referral_id=progress.id)
    reached = INFORMED | {Status.SENT}
    mine = [
        one
        for one in sent
        if one.document == document
        and one.office_id == office_id
        and one.role is Role.REFERRER
        and (one.status in reached or one.unsent)
    ]
    if mine:
        return max(mine, key=lambda one: (one.status in INFORMED, one.status is Status.SENT, one.id))
    event_id = next((one.event_id for one in progress.documents if one.document == document), new_id)
    return Delivery(
        id=new_id,
        referral_id=progress.id,
        office_id=office_id,
        kind=Kind.DOCUMENT,
        role=Role.REFERRER,
        to=Destination("page:fetched", "page", "", "page"),
        news=News(event_id, "", "document", work.now),
        created_at=work.now,
        document=document,
        correlation=work.caller.correlation_id,
    )


def _current(progress: ReferralProgress, document_id: str, version: int) -> DocumentVersion | None:
    known = progress.document(document_id)
    return known.document if known is not None and known.document.version == version else None
