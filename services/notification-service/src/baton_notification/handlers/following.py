"""What is read of a referral: its progress is followed, and what the office is to hear becomes deliveries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from baton_chassis.work import Work
from baton_contracts.events import NoteCorrected, NoteRetracted, NoteSigned, ReferralReceived, ReferralUpdated
from baton_contracts.events.common import Dataref
from baton_contracts.lifecycle import Fact, Urgency
from baton_notification.domain.access import LINK_LASTS, TrackingLink
from baton_notification.domain.delivery import Delivery, Destination, DocumentVersion, Kind, News, Role
from baton_notification.domain.endpoint import Format, WebhookEndpoint
from baton_notification.domain.ladder import Status
from baton_notification.domain.office import Office, Route
from baton_notification.domain.progress import ContentReference, ReferralProgress, SignedDocument
from baton_notification.handlers.webhooks import webhook_destination

MAIL_LANE = "mail"
"""All mail leaves through one server: it fails together."""

NO_ROUTE = "no-usable-route"
_CHANNEL_OF_CONTACT = {"email": "email", "fax": "fax", "sms": "sms"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One event as it was read: its id, its fact, and its exact bytes for whoever wants those."""

    event_id: str
    fact: Fact
    envelope: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    """What is to be said. ``heard`` is false for what only the practice's own endpoints asked for."""

    news: News
    envelope: bytes
    heard: bool
    document: DocumentVersion | None = None


async def receive(event: ReferralReceived, read: Read, new_handle: str, work: Work) -> None:
    """The referral itself: its office is met, its page opened, and documents that were read before go out."""
    office = await _meet(event, work)
    await _open_page(event, new_handle, work)
    progress = await _progress_of(event.referral_id, work)
    progress.introduce(
        office_id=event.office_id,
        patient_id=event.patient_id,
        office_reference=event.office_reference,
        patient_card=_reference(event.dataref),
    )
    await _follow(progress, read, work)
    for signed in progress.documents:
        news = News(signed.event_id, signed.event_type, "document", signed.signed_at)
        message = _Message(news=news, envelope=b"", heard=True, document=signed.document)
        await _tell(progress, office, message, work)
    work.save(progress)


async def update(event: ReferralUpdated, read: Read, work: Work) -> None:
    """The request changed."""
    progress = await _progress_of(event.referral_id, work)
    progress.restate(
        office_reference=event.office_reference,
        patient_card=_reference(event.dataref),
    )
    await _follow(progress, read, work)
    work.save(progress)


async def sign(event: NoteSigned | NoteCorrected, read: Read, work: Work) -> None:
    """A version of a note may go out."""
    progress = await _progress_of(event.referral_id, work)
    signed = SignedDocument(
        document=DocumentVersion(event.document.id, event.document.version, event.document.sha256),
        kind=event.kind,
        media_type=event.media_type,
        content=_present(event.dataref),
        signed_at=event.signed_at or event.occurred_at,
        event_id=read.event_id,
        event_type=read.fact.type,
    )
    replaces = event.replaces if event.kind != "addendum" else None
    progress.keep(signed, replaces=replaces)
    await _drop(event.document.id, work, referral_id=event.referral_id, below=event.document.version)
    await _follow(progress, read, work, document=signed.document)
    work.save(progress)


async def retract(event: NoteRetracted, read: Read, work: Work) -> None:
    """A note should not have gone out: what has not left yet does not leave."""
    progress = await _progress_of(event.referral_id, work)
    progress.take_back(event.document.id)
    await _drop(event.document.id, work, referral_id=event.referral_id)
    await _follow(progress, read, work)
    work.save(progress)


async def hear(referral_id: str, read: Read, work: Work) -> None:
    """Any other fact."""
    progress = await _progress_of(referral_id, work)
    await _follow(progress, read, work)
    work.save(progress)


async def _drop(document_id: str, work: Work, *, referral_id: str, below: int | None = None) -> None:
    """Deliveries of a note, or of versions below one, that have not left yet do not leave."""
    for delivery in await work.select(Delivery, referral_id=referral_id):
        document = delivery.document
        if document is None or document.id != document_id or not delivery.unsent:
            continue
        if below is None:
            delivery.cancel("retracted", at=work.now)
        elif document.version < below:
            delivery.supersede(at=work.now)
        else:
            continue
        work.save(delivery)


async def _progress_of(referral_id: str, work: Work) -> ReferralProgress:
    return await work.find(ReferralProgress, referral_id) or ReferralProgress(id=referral_id)


async def _follow(
    progress: ReferralProgress, read: Read, work: Work, *, document: DocumentVersion | None = None
) -> None:
    """Take one fact in, and make the deliveries it asks for."""
    change = progress.follow(read.fact)
    office = await work.find(Office, progress.office_id) if progress.office_id else None
    if office is None:
        return
    state = change.before.state
    notice = change.notice
    news = News(
        event_id=read.event_id,
        event_type=read.fact.type,
        template=notice.template.value if notice else "",
        occurred_at=read.fact.occurred_at,
        previous_state=state.value if state else None,
    )
    carries = notice is not None and notice.urgency is Urgency.DOCUMENT
    message = _Message(
        news=news, envelope=read.envelope, heard=notice is not None, document=document if carries else None
    )
    await _tell(progress, office, message, work)


async def _tell(progress: ReferralProgress, office: Office, message: _Message, work: Work) -> None:
    """One delivery by every route, each once however often this runs."""
    there = await work.select(Delivery, event_id=message.news.event_id)
    known = {(one.to.route_id, one.kind) for one in there}
    wanted = [
        *_mails(progress, office, message, work),
        *await _calls(progress, office, message, work),
    ]
    if message.document is not None and all(one.role is Role.COPY for one in wanted):
        wanted.append(_nowhere(progress, office, message, work))
    made = [one for one in wanted if (one.to.route_id, one.kind) not in known]
    for delivery in made:
        await _supersede_older(delivery, work)
        work.save(delivery)
    if message.heard and any(one.role is Role.REFERRER and one.unsent for one in made):
        progress.tell(message.news.template)


def _mails(progress: ReferralProgress, office: Office, message: _Message, work: Work) -> Iterable[Delivery]:
    if not message.heard:
        return
    for route in office.notice_routes:
        to = Destination(route.id, route.channel, route.address, MAIL_LANE)
        delivery = _delivery(progress, office, message, to, Role.REFERRER, work)
        if delivery.kind is Kind.NOTICE and not office.wants(message.news.event_type):
            delivery.suppress("preference", at=work.now)
        yield delivery


async def _calls(progress: ReferralProgress, office: Office, message: _Message, work: Work) -> list[Delivery]:
    made = []
    for endpoint in await work.select(WebhookEndpoint, active=True):
        if endpoint.office_id not in (None, office.id):
            continue
        if not endpoint.hears(message.news.event_type, heard=message.heard):
            continue
        role = Role.REFERRER if endpoint.office_id else Role.COPY
        delivery = _delivery(progress, office, message, webhook_destination(endpoint), role, work)
        raw = endpoint.format is Format.CLOUDEVENTS and not (
            delivery.kind is Kind.DOCUMENT and delivery.to.carries
        )
        if raw and message.envelope:
            delivery.body, delivery.chain = message.envelope, ""
        made.append(delivery)
    return made


def _delivery(
    progress: ReferralProgress, office: Office, message: _Message, to: Destination, role: Role, work: Work
) -> Delivery:
    document = message.document if role is Role.REFERRER else None
    chain = "/".join(filter(None, (progress.id, to.route_id, document.id if document else "")))
    return Delivery(
        id=work.new_id(),
        referral_id=progress.id,
        office_id=office.id,
        kind=Kind.DOCUMENT if document else Kind.NOTICE,
        role=role,
        to=to,
        news=message.news,
        created_at=work.now,
        document=document,
        chain=chain,
        correlation=work.caller.correlation_id,
        due_at=None if office.paused_at is not None else work.now,
    )


def _nowhere(progress: ReferralProgress, office: Office, message: _Message, work: Work) -> Delivery:
    """A document for an office that we cannot reach: our own side hears of it, and it stays on the page."""
    to = Destination("page", "page", "", "page")
    delivery = _delivery(progress, office, message, to, Role.REFERRER, work)
    delivery.fail(NO_ROUTE, at=work.now)
    return delivery


async def _supersede_older(delivery: Delivery, work: Work) -> None:
    """What waits for a retry or a resumption says less than this one will, for that is rendered when it
    leaves.
    """
    if not delivery.chain:
        return
    for older in await work.select(Delivery, chain=delivery.chain, status=Status.QUEUED.value):
        if older.held_back:
            older.supersede(at=work.now)
            work.save(older)


async def _meet(event: ReferralReceived, work: Work) -> Office:
    """The office of a referral, registered where it is unknown. Later referrals do not change what is on
    file: a route that anybody may state must not become an address for codes.
    """
    known = await work.find(Office, event.office_id)
    if known is not None:
        return known
    office = Office.register(
        id=event.office_id,
        name=event.office.name,
        identifiers=tuple((one.system, one.value) for one in event.office.identifiers),
        routes=tuple(
            Route(work.new_id(), _CHANNEL_OF_CONTACT[stated.system], stated.value)
            for stated in event.office.telecom
            if stated.system in _CHANNEL_OF_CONTACT
        ),
        at=work.now,
        referral_id=event.referral_id,
    )
    work.save(office)
    return office


async def _open_page(event: ReferralReceived, new_handle: str, work: Work) -> None:
    if await work.select(TrackingLink, referral_id=event.referral_id):
        return
    link = TrackingLink(
        id=work.new_id(),
        referral_id=event.referral_id,
        office_id=event.office_id,
        handle=new_handle,
        expires_at=work.now + LINK_LASTS,
    )
    work.save(link)


def _reference(dataref: Dataref | None) -> ContentReference | None:
    return _present(dataref) if dataref is not None else None


def _present(dataref: Dataref) -> ContentReference:
    return ContentReference(dataref.owner, dataref.kind, dataref.id, dataref.version, dataref.sha256)
