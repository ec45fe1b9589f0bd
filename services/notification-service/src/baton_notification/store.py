"""Where offices, deliveries and access to the page are kept: tables, rows, the claiming of what is due."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Column, Index, UniqueConstraint, bindparam, case, not_, or_, select, tuple_, update
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from baton_chassis.database import Database, Instant, Json, Row, Statement, among, sealed
from baton_chassis.ids import Ids
from baton_chassis.repository import Repository
from baton_chassis.sealing import Keyring
from baton_chassis.tables import chassis_tables
from baton_contracts.lifecycle import Lines
from baton_notification import published
from baton_notification.domain.access import Challenge, OfficeAccess, OfficeSession, TrackingLink, digest
from baton_notification.domain.acknowledgement import Acknowledgement
from baton_notification.domain.delivery import (
    Attempt,
    Delivery,
    Destination,
    DocumentVersion,
    Kind,
    News,
    Role,
)
from baton_notification.domain.endpoint import Format, Payload, Secret, WebhookEndpoint
from baton_notification.domain.ladder import UNSENT, Status
from baton_notification.domain.mailbox import CapturedMail
from baton_notification.domain.office import Office, Route
from baton_notification.domain.progress import ContentReference, ReferralProgress, SignedDocument
from baton_notification.ports import Claimed


class Base(SQLModel, registry=registry()):
    """Notification's own metadata."""


METADATA = Base.metadata


class OfficeRow(Base, table=True):
    """An office: business contact, nothing about a patient."""

    __tablename__ = "office"

    practice_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    doc_version: int
    name: str
    about: dict[str, Any] = Field(sa_column=Column("about", Json, nullable=False))


class ProgressRow(Base, table=True):
    """How far a referral is: ids, codes and times only."""

    __tablename__ = "referral_progress"

    practice_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    doc_version: int
    office_id: str | None = Field(default=None, index=True)
    lines: dict[str, Any] = Field(sa_column=Column("lines", Json, nullable=False))
    about: dict[str, Any] = Field(sa_column=Column("about", Json, nullable=False))


class DeliveryRow(Base, table=True):
    """A delivery. ``due_at`` is when a worker may take it, also while another has it. One per event, route,
    kind.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("practice_id", "event_id", "route_id", "kind"),
        Index("delivery_due", "due_at"),
        Index("delivery_chain", "practice_id", "chain", "status"),
        Index("delivery_referral", "practice_id", "referral_id", "id"),
        Index("delivery_office", "practice_id", "office_id", "status"),
    )

    practice_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    doc_version: int
    referral_id: str
    office_id: str
    event_id: str
    kind: str
    role: str
    channel: str
    route_id: str
    lane: str
    chain: str
    status: str
    lease: str | None = None
    due_at: datetime | None = Field(default=None, sa_type=Instant)
    created_at: datetime = Field(sa_type=Instant)
    about: dict[str, Any] = Field(sa_column=Column("about", Json, nullable=False))
    body: bytes | None = Field(default=None, sa_column=sealed("body"))


class WebhookRow(Base, table=True):
    """A webhook endpoint; its secrets are sealed."""

    __tablename__ = "webhook"

    practice_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    doc_version: int
    office_id: str | None
    active: bool
    deleted: bool
    about: dict[str, Any] = Field(sa_column=Column("about", Json, nullable=False))
    secrets: bytes = Field(sa_column=sealed("secrets", nullable=False))


class LinkRow(Base, table=True):
    """A page's address: found by the digest of its handle, which itself is sealed."""

    __tablename__ = "tracking_link"

    practice_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    doc_version: int
    referral_id: str = Field(index=True)
    office_id: str
    handle_digest: str = Field(index=True, unique=True)
    handle: bytes = Field(sa_column=sealed("handle", nullable=False))
    expires_at: datetime = Field(sa_type=Instant)
    revoked_at: datetime | None = Field(default=None, sa_type=Instant)


class AccessRow(Base, table=True):
    """The codes of an office, sealed."""

    __tablename__ = "office_access"

    practice_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    doc_version: int
    codes: bytes = Field(sa_column=sealed("codes", nullable=False))


class SessionRow(Base, table=True):
    """A browser of an office that gave a code; the id is the digest of its cookie."""

    __tablename__ = "office_session"

    practice_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    doc_version: int
    office_id: str
    route_id: str
    started_at: datetime = Field(sa_type=Instant)
    seen_at: datetime = Field(sa_type=Instant)
    ended_at: datetime | None = Field(default=None, sa_type=Instant)


class AcknowledgementRow(Base, table=True):
    """What an office confirmed."""

    __tablename__ = "acknowledgement"

    practice_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    doc_version: int
    referral_id: str = Field(index=True)
    office_id: str
    at: datetime = Field(sa_type=Instant)
    about: dict[str, Any] = Field(sa_column=Column("about", Json, nullable=False))


class MailRow(Base, table=True):
    """A mail that was captured instead of sent, in development. No mail holds anything about a patient."""

    __tablename__ = "captured_mail"

    practice_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    doc_version: int
    received_at: datetime = Field(sa_type=Instant)
    mail: dict[str, Any] = Field(sa_column=Column("mail", Json, nullable=False))


TABLES = chassis_tables(METADATA)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfficeAbout:
    identifiers: tuple[tuple[str, str], ...]
    routes: tuple[Route, ...]
    time_zone: str | None
    preferences: dict[str, Any]
    paused_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _ProgressAbout:
    patient_id: str | None
    office_reference: str | None
    patient_card: ContentReference | None
    reached: dict[str, datetime]
    told: tuple[str, ...]
    documents: tuple[SignedDocument, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _DeliveryAbout:
    address: str
    carries: bool
    news: News
    document: DocumentVersion | None
    trigger: str
    tries: int
    attempts: tuple[Attempt, ...]
    code: str | None
    correlation: str
    expires_at: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _WebhookAbout:
    url: str
    created_at: datetime
    patterns: tuple[str, ...] | None
    format: Format
    payload: Payload
    agreement: str | None
    disabled_at: datetime | None
    disabled_reason: str | None
    deleted_at: datetime | None
    failing_since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _AccessCodes:
    challenges: tuple[Challenge, ...]
    issued: tuple[datetime, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _AcknowledgementAbout:
    identified: bool
    documents: tuple[DocumentVersion, ...]
    delivery_ids: tuple[str, ...]


_OFFICE = TypeAdapter(_OfficeAbout)
_PROGRESS = TypeAdapter(_ProgressAbout)
_DELIVERY = TypeAdapter(_DeliveryAbout)
_WEBHOOK = TypeAdapter(_WebhookAbout)
_SECRETS = TypeAdapter(tuple[Secret, ...])
_ACCESS = TypeAdapter(_AccessCodes)
_ACKNOWLEDGEMENT = TypeAdapter(_AcknowledgementAbout)


def _plain(adapter: TypeAdapter[Any], aggregate: object, kind: type[Any]) -> Any:
    """The fields of ``kind``, taken from an aggregate, as JSON types."""
    values = {name: getattr(aggregate, name) for name in kind.__dataclass_fields__}
    return adapter.dump_python(kind(**values), mode="json")


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _office_to_row(office: Office) -> Mapping[str, Any]:
    about = _OfficeAbout(
        identifiers=office.identifiers,
        routes=office.routes,
        time_zone=office.time_zone,
        preferences=dict(office.preferences),
        paused_at=office.paused_at,
    )
    return {"name": office.name, "about": _OFFICE.dump_python(about, mode="json")}


def _office_from_row(row: Row) -> Office:
    return Office(id=row["id"], name=row["name"], **_fields(_OFFICE.validate_python(row["about"])))


def _progress_to_row(progress: ReferralProgress) -> Mapping[str, Any]:
    return {
        "office_id": progress.office_id,
        "lines": progress.lines.dump(),
        "about": _plain(_PROGRESS, progress, _ProgressAbout),
    }


def _progress_from_row(row: Row) -> ReferralProgress:
    return ReferralProgress(
        id=row["id"],
        office_id=row["office_id"],
        lines=Lines.load(row["lines"]),
        **_fields(_PROGRESS.validate_python(row["about"])),
    )


def _delivery_to_row(delivery: Delivery) -> Mapping[str, Any]:
    about = _DeliveryAbout(
        address=delivery.to.address,
        carries=delivery.to.carries,
        news=delivery.news,
        document=delivery.document,
        trigger=delivery.trigger,
        tries=delivery.tries,
        attempts=delivery.attempts,
        code=delivery.code,
        correlation=delivery.correlation,
        expires_at=delivery.expires_at,
        updated_at=delivery.updated_at,
    )
    return {
        "referral_id": delivery.referral_id,
        "office_id": delivery.office_id,
        "event_id": delivery.news.event_id,
        "kind": delivery.kind.value,
        "role": delivery.role.value,
        "channel": delivery.to.channel,
        "route_id": delivery.to.route_id,
        "lane": delivery.to.lane,
        "chain": delivery.chain,
        "status": delivery.status.value,
        "lease": delivery.lease,
        "due_at": delivery.due_at,
        "created_at": delivery.created_at,
        "about": _DELIVERY.dump_python(about, mode="json"),
        "body": delivery.body,
    }


def _delivery_from_row(row: Row) -> Delivery:
    about = _fields(_DELIVERY.validate_python(row["about"]))
    to = Destination(row["route_id"], row["channel"], about.pop("address"), row["lane"], about.pop("carries"))
    return Delivery(
        id=row["id"],
        referral_id=row["referral_id"],
        office_id=row["office_id"],
        kind=Kind(row["kind"]),
        role=Role(row["role"]),
        to=to,
        created_at=row["created_at"],
        body=row["body"],
        chain=row["chain"],
        status=Status(row["status"]),
        lease=row["lease"],
        due_at=row["due_at"],
        **about,
    )


def _webhook_to_row(endpoint: WebhookEndpoint) -> Mapping[str, Any]:
    return {
        "office_id": endpoint.office_id,
        "active": endpoint.active,
        "deleted": endpoint.deleted_at is not None,
        "about": _plain(_WEBHOOK, endpoint, _WebhookAbout),
        "secrets": _SECRETS.dump_json(endpoint.secrets),
    }


def _webhook_from_row(row: Row) -> WebhookEndpoint:
    return WebhookEndpoint(
        id=row["id"],
        office_id=row["office_id"],
        secrets=_SECRETS.validate_json(row["secrets"]),
        **_fields(_WEBHOOK.validate_python(row["about"])),
    )


def _link_to_row(link: TrackingLink) -> Mapping[str, Any]:
    return {
        "referral_id": link.referral_id,
        "office_id": link.office_id,
        "handle_digest": digest(link.handle),
        "handle": link.handle.encode(),
        "expires_at": link.expires_at,
        "revoked_at": link.revoked_at,
    }


def _link_from_row(row: Row) -> TrackingLink:
    return TrackingLink(
        id=row["id"],
        referral_id=row["referral_id"],
        office_id=row["office_id"],
        handle=row["handle"].decode(),
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )


def _access_to_row(access: OfficeAccess) -> Mapping[str, Any]:
    codes = _AccessCodes(challenges=access.challenges, issued=access.issued)
    return {"codes": _ACCESS.dump_json(codes)}


def _access_from_row(row: Row) -> OfficeAccess:
    return OfficeAccess(id=row["id"], **_fields(_ACCESS.validate_json(row["codes"])))


_MAIL_FIELDS = ("to", "subject", "headers", "text", "html")


def _mail_to_row(mail: CapturedMail) -> Mapping[str, Any]:
    content = {name: getattr(mail, name) for name in _MAIL_FIELDS}
    return {"received_at": mail.received_at, "mail": {**content, "headers": dict(mail.headers)}}


def _mail_from_row(row: Row) -> CapturedMail:
    return CapturedMail(id=row["id"], received_at=row["received_at"], **row["mail"])


_SESSION_COLUMNS = ("office_id", "route_id", "started_at", "seen_at", "ended_at")


def _session_to_row(session: OfficeSession) -> Mapping[str, Any]:
    return {name: getattr(session, name) for name in _SESSION_COLUMNS}


def _session_from_row(row: Row) -> OfficeSession:
    return OfficeSession(id=row["id"], **{name: row[name] for name in _SESSION_COLUMNS})


def _acknowledgement_to_row(said: Acknowledgement) -> Mapping[str, Any]:
    return {
        "referral_id": said.referral_id,
        "office_id": said.office_id,
        "at": said.at,
        "about": _plain(_ACKNOWLEDGEMENT, said, _AcknowledgementAbout),
    }


def _acknowledgement_from_row(row: Row) -> Acknowledgement:
    return Acknowledgement(
        id=row["id"],
        referral_id=row["referral_id"],
        office_id=row["office_id"],
        at=row["at"],
        **_fields(_ACKNOWLEDGEMENT.validate_python(row["about"])),
    )


REPOSITORIES: dict[type, Repository[Any]] = {
    Office: Repository(
        aggregate=Office,
        model=OfficeRow,
        to_row=_office_to_row,
        from_row=_office_from_row,
        publish=published.office_outgoing,
    ),
    ReferralProgress: Repository(
        aggregate=ReferralProgress, model=ProgressRow, to_row=_progress_to_row, from_row=_progress_from_row
    ),
    Delivery: Repository(
        aggregate=Delivery,
        model=DeliveryRow,
        to_row=_delivery_to_row,
        from_row=_delivery_from_row,
        publish=published.delivery_outgoing,
    ),
    WebhookEndpoint: Repository(
        aggregate=WebhookEndpoint, model=WebhookRow, to_row=_webhook_to_row, from_row=_webhook_from_row
    ),
    TrackingLink: Repository(
        aggregate=TrackingLink, model=LinkRow, to_row=_link_to_row, from_row=_link_from_row
    ),
    OfficeAccess: Repository(
        aggregate=OfficeAccess, model=AccessRow, to_row=_access_to_row, from_row=_access_from_row
    ),
    OfficeSession: Repository(
        aggregate=OfficeSession, model=SessionRow, to_row=_session_to_row, from_row=_session_from_row
    ),
    Acknowledgement: Repository(
        aggregate=Acknowledgement,
        model=AcknowledgementRow,
        to_row=_acknowledgement_to_row,
        from_row=_acknowledgement_from_row,
    ),
    CapturedMail: Repository(
        aggregate=CapturedMail, model=MailRow, to_row=_mail_to_row, from_row=_mail_from_row
    ),
}


def _listing(table: Any, *conditions: Any) -> Statement:
    """A page of a table in the order of ids, behind the id ``last``."""
    return Statement(
        select(table)
        .where(
            table.c.practice_id == bindparam("practice_id"),
            table.c.id > bindparam("last"),
            *conditions,
        )
        .order_by(table.c.id)
        .limit(bindparam("most"))
    )


@cache
def _filtered(model: type[SQLModel], names: tuple[str, ...]) -> Statement:
    table = model.__table__  # type: ignore[attr-defined]
    equal = [table.c[name] == bindparam(name) for name in names]
    shown = [table.c.kind != Kind.CODE.value] if model is DeliveryRow else []
    return _listing(table, *equal, *shown)


def deliveries_where(names: tuple[str, ...]) -> Statement:
    """Deliveries filtered by these columns; codes are left out."""
    return _filtered(DeliveryRow, names)


def acknowledgements_where(names: tuple[str, ...]) -> Statement:
    """Acknowledgements filtered by these columns."""
    return _filtered(AcknowledgementRow, names)


OFFICES = _listing(OfficeRow.__table__)  # type: ignore[attr-defined]
_W = WebhookRow.__table__  # type: ignore[attr-defined]
WEBHOOKS = _listing(_W, _W.c.deleted.is_(False))
_L = LinkRow.__table__  # type: ignore[attr-defined]
LINK_OF_REFERRAL = Statement(
    select(_L)
    .where(_L.c.practice_id == bindparam("practice_id"), _L.c.referral_id == bindparam("referral_id"))
    .order_by(_L.c.id)
)

_D = DeliveryRow.__table__  # type: ignore[attr-defined]


def _is(column: Any, *statuses: Status) -> Any:
    """The column is one of these: spelt out, for a list would be a parameter of its own."""
    return or_(*(column == status.value for status in sorted(statuses)))


UNOPENED = Statement(
    select(_D.c.id)
    .where(
        _D.c.practice_id == bindparam("practice_id"),
        _D.c.referral_id == bindparam("referral_id"),
        _D.c.office_id == bindparam("office_id"),
        _D.c.kind == Kind.NOTICE.value,
        _D.c.channel == "email",
        _is(_D.c.status, Status.SENT, Status.DELIVERED),
    )
    .limit(1)
)


def _due_now() -> Any:
    """Rows that may be claimed: due, their lane open, nothing older of their chain still on its way."""
    mine, older = _D.alias("mine"), _D.alias("older")
    waits = (
        select(older.c.id)
        .where(
            older.c.practice_id == mine.c.practice_id,
            older.c.chain == mine.c.chain,
            older.c.chain != "",
            older.c.id < mine.c.id,
            _is(older.c.status, *UNSENT),
            older.c.due_at.is_not(None),
        )
        .exists()
    )
    return mine, not_(waits)


def _claim(*, locking: bool) -> Any:
    mine, first = _due_now()
    due = (
        select(mine.c.practice_id, mine.c.id)
        .where(
            mine.c.due_at <= bindparam("now", type_=_D.c.due_at.type),
            not_(among(mine.c.lane, "shut")),
            first,
        )
        .order_by(mine.c.due_at, mine.c.id)
        .limit(bindparam("most"))
    )
    if locking:
        due = due.with_for_update(skip_locked=True, of=mine)
    taken = due.cte("taken")
    wanted = select(taken.c.practice_id, taken.c.id)
    queued = _D.c.status == Status.QUEUED.value
    return (
        update(_D)
        .where(tuple_(_D.c.practice_id, _D.c.id).in_(wanted))
        .values(
            status=case((queued, Status.SENDING.value), else_=_D.c.status),
            lease=bindparam("lease", type_=_D.c.lease.type),
            due_at=bindparam("until", type_=_D.c.due_at.type),
            version=_D.c.version + 1,
        )
        .returning(*_D.columns)
    )


_CLAIM = Statement(_claim(locking=True), on_sqlite=_claim(locking=False))
_NEXT_DUE = Statement(
    select(_D.c.due_at)
    .where(_D.c.due_at.is_not(None), not_(among(_D.c.lane, "shut")))
    .order_by(_D.c.due_at)
    .limit(1)
)


class DueRows:
    """What is due, over the table of deliveries. A claim raises the row's version, so that nobody who read it
    before can write over it; on PostgreSQL rows that another worker is claiming are passed over.
    """

    def __init__(self, *, database: Database, keyring: Keyring, new_id: Ids) -> None:
        self._database = database
        self._keyring = keyring
        self._new_id = new_id

    async def next_due(self, *, shut: frozenset[str]) -> datetime | None:
        """When the next delivery outside ``shut`` lanes is due."""
        async with self._database.reading(None) as session:
            rows = await session.fetch(_NEXT_DUE, shut=sorted(shut))
        due: datetime | None = rows[0]["due_at"] if rows else None
        return due

    async def claim(
        self, *, now: datetime, until: datetime, shut: frozenset[str], limit: int
    ) -> list[Claimed]:
        """Take what is due, oldest first."""
        async with self._database.transaction() as session:
            rows = await session.fetch(
                _CLAIM, now=now, until=until, shut=sorted(shut), most=limit, lease=self._new_id()
            )
        repository = REPOSITORIES[Delivery]
        return [
            Claimed(
                practice_id=row["practice_id"],
                delivery=repository.aggregate_of(
                    row, key=await self._keyring.for_practice(row["practice_id"])
                ),
            )
            for row in sorted(rows, key=lambda row: (row["due_at"], row["id"]))
        ]


_PRACTICE_OF_HANDLE = Statement(
    select(_L.c.practice_id, _L.c.id).where(_L.c.handle_digest == bindparam("handle_digest"))
)


class HandleRows:
    """Finds whose page a handle opens: the one question that is asked before a practice is known."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, handle: str) -> tuple[str, str] | None:
        """(practice, link) of a handle."""
        async with self._database.reading(None) as session:
            rows = await session.fetch(_PRACTICE_OF_HANDLE, handle_digest=digest(handle))
        return (rows[0]["practice_id"], rows[0]["id"]) if rows else None


_M = MailRow.__table__  # type: ignore[attr-defined]
_NEWEST_MAIL = Statement(
    select(_M).order_by(_M.c.received_at.desc(), _M.c.id.desc()).limit(bindparam("most"))
)


class MailboxRows:
    """The captured mail of all practices of a development installation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self, most: int) -> list[CapturedMail]:
        """The newest first."""
        async with self._database.reading(None) as session:
            return [_mail_from_row(row) for row in await session.fetch(_NEWEST_MAIL, most=most)]
