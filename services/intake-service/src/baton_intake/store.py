"""Where referrals and artifacts are kept: tables, and the way between a row and what it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import combinations
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Column, Index, bindparam, select, tuple_
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from baton_chassis.database import Instant, Json, Row, Statement, sealed, token
from baton_chassis.repository import Repository
from baton_chassis.tables import chassis_tables
from baton_contracts.lifecycle import Lines
from baton_intake import published
from baton_intake.domain.artifact import Artifact, ArtifactBytes, ArtifactStatus, Finding, Received
from baton_intake.domain.lookup import LookupEntry
from baton_intake.domain.referral import Card, Referral, Remark
from baton_intake.domain.request import ExternalKey, ReferralRequest


class Base(SQLModel, registry=registry()):
    """Intake's own metadata."""


METADATA = Base.metadata


class ReferralRow(Base, table=True):
    """A referral. Whatever identifies the patient or is free text stands in ``content``, sealed."""

    __tablename__ = "referral"
    __table_args__ = (
        Index("referral_by_update", "practice_id", "updated_at", "id"),
        Index("referral_by_office", "practice_id", "office_id", "id"),
    )

    practice_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    doc_version: int
    patient_id: str = Field(index=True)
    office_id: str
    source_system: str
    source_value: str
    names: list[dict[str, str]] = Field(sa_column=Column("names", Json, nullable=False))
    state: str
    stage: str
    received_at: datetime = Field(sa_type=Instant)
    updated_at: datetime = Field(sa_type=Instant)
    lines: dict[str, Any] = Field(sa_column=Column("lines", Json, nullable=False))
    flags: list[str] = Field(sa_column=Column("flags", Json, nullable=False))
    content: bytes = Field(sa_column=sealed("content", nullable=False))


LOOKUP_TOKENS = {
    "family": "name",
    "prefix": "prefix",
    "family_birth": "name-date",
    "phone": "phone",
    "record_number": "record-number",
}
"""The columns of ``lookup`` that hold search tokens, each with the kind of its token."""


def _searched(name: str) -> Column[bytes]:
    return token(name, kind=LOOKUP_TOKENS[name])


class LookupRow(Base, table=True):
    """Search tokens of a referral's patient; ``prefix`` is of the first three letters of the family name."""

    __tablename__ = "lookup"

    practice_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    doc_version: int
    referral_id: str
    family: bytes | None = Field(default=None, sa_column=_searched("family"))
    prefix: bytes | None = Field(default=None, sa_column=_searched("prefix"))
    family_birth: bytes | None = Field(default=None, sa_column=_searched("family_birth"))
    phone: bytes | None = Field(default=None, sa_column=_searched("phone"))
    record_number: bytes | None = Field(default=None, sa_column=_searched("record_number"))


class ArtifactRow(Base, table=True):
    """One thing that was received. A message id may hold anything and a finding points into the text:
    sealed.
    """

    __tablename__ = "artifact"

    practice_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    doc_version: int
    format: str
    trigger: str
    sender: str
    received_at: datetime = Field(sa_type=Instant)
    status: str
    referral_id: str | None = Field(default=None, index=True)
    about: bytes = Field(sa_column=sealed("about", nullable=False))


class ArtifactBytesRow(Base, table=True):
    """The bytes of an artifact, sealed; apart from it, so that lists need not open them."""

    __tablename__ = "artifact_bytes"

    practice_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    doc_version: int
    content: bytes = Field(sa_column=sealed("content", nullable=False))


TABLES = chassis_tables(METADATA)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReferralContent:
    """The sealed part of a referral."""

    request: ReferralRequest
    card: Card
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _ArtifactAbout:
    """The sealed part of an artifact."""

    received: Received
    findings: tuple[Finding, ...] = ()


_REFERRAL_CONTENT = TypeAdapter(_ReferralContent)
_ARTIFACT_ABOUT = TypeAdapter(_ArtifactAbout)


def _referral_to_row(referral: Referral) -> Mapping[str, Any]:
    position = referral.position
    content = _ReferralContent(request=referral.request, card=referral.card, remarks=referral.remarks)
    return {
        "patient_id": referral.patient_id,
        "office_id": referral.office_id,
        "source_system": referral.source.system,
        "source_value": referral.source.value,
        "names": [asdict(name) for name in referral.names],
        "state": position.state.value if position.state else "",
        "stage": position.stage.value if position.stage else "",
        "received_at": referral.received_at,
        "updated_at": referral.updated_at,
        "lines": referral.lines.dump(),
        "flags": list(referral.own_flags),
        "content": _REFERRAL_CONTENT.dump_json(content),
    }


def _referral_from_row(row: Row) -> Referral:
    content = _REFERRAL_CONTENT.validate_json(row["content"])
    return Referral(
        id=row["id"],
        patient_id=row["patient_id"],
        office_id=row["office_id"],
        source=ExternalKey(system=row["source_system"], value=row["source_value"]),
        names=tuple(ExternalKey(**name) for name in row["names"]),
        request=content.request,
        card=content.card,
        received_at=row["received_at"],
        updated_at=row["updated_at"],
        lines=Lines.load(row["lines"]),
        own_flags=tuple(row["flags"]),
        remarks=content.remarks,
    )


def _lookup_to_row(entry: LookupEntry) -> Mapping[str, Any]:
    return {"referral_id": entry.referral_id, **{name: getattr(entry, name) for name in LOOKUP_TOKENS}}


def _lookup_from_row(row: Row) -> LookupEntry:
    # Tokens cannot be turned back into their text; an entry is replaced as a whole, never edited.
    return LookupEntry(id=row["id"], referral_id=row["referral_id"])


def _artifact_to_row(artifact: Artifact) -> Mapping[str, Any]:
    received = artifact.received
    return {
        "format": received.format,
        "trigger": received.trigger,
        "sender": received.sender,
        "received_at": artifact.received_at,
        "status": artifact.status.value,
        "referral_id": artifact.referral_id,
        "about": _ARTIFACT_ABOUT.dump_json(_ArtifactAbout(received=received, findings=artifact.findings)),
    }


def _artifact_from_row(row: Row) -> Artifact:
    about = _ARTIFACT_ABOUT.validate_json(row["about"])
    return Artifact(
        id=row["id"],
        received=about.received,
        received_at=row["received_at"],
        status=ArtifactStatus(row["status"]),
        referral_id=row["referral_id"],
        findings=about.findings,
    )


def _bytes_to_row(bytes_: ArtifactBytes) -> Mapping[str, Any]:
    return {"content": bytes_.content}


def _bytes_from_row(row: Row) -> ArtifactBytes:
    return ArtifactBytes(id=row["id"], content=row["content"])


REFERRALS = Repository(
    aggregate=Referral,
    model=ReferralRow,
    to_row=_referral_to_row,
    from_row=_referral_from_row,
    publish=published.outgoing,
)
LOOKUPS = Repository(aggregate=LookupEntry, model=LookupRow, to_row=_lookup_to_row, from_row=_lookup_from_row)
ARTIFACTS = Repository(
    aggregate=Artifact, model=ArtifactRow, to_row=_artifact_to_row, from_row=_artifact_from_row
)
ARTIFACT_BYTES = Repository(
    aggregate=ArtifactBytes, model=ArtifactBytesRow, to_row=_bytes_to_row, from_row=_bytes_from_row
)
REPOSITORIES: Mapping[type, Repository[Any]] = {
    Referral: REFERRALS,
    LookupEntry: LOOKUPS,
    Artifact: ARTIFACTS,
    ArtifactBytes: ARTIFACT_BYTES,
}

_referral, _lookup, _artifact = REFERRALS.table, LOOKUPS.table, ARTIFACTS.table

FILTERS = ("stage", "state", "office_id")
"""Columns by which the list of referrals may be narrowed."""


def _newest_first(filters: tuple[str, ...]) -> Statement:
    """Referrals below the id ``before``, newest first; every filter must equal its parameter."""
    conditions = [_referral.c[name] == bindparam(name) for name in filters]
    return Statement(
        select(_referral)
        .where(
            _referral.c.practice_id == bindparam("practice_id"),
            *conditions,
            _referral.c.id < bindparam("before"),
        )
        .order_by(_referral.c.id.desc())
        .limit(bindparam("limit"))
    )


def _by_update(filters: tuple[str, ...]) -> Statement:
    """Referrals that changed at (``since``, ``after``) or later, in the order of their changes."""
    conditions = [_referral.c[name] == bindparam(name) for name in filters]
    place = tuple_(_referral.c.updated_at, _referral.c.id)
    return Statement(
        select(_referral)
        .where(
            _referral.c.practice_id == bindparam("practice_id"),
            *conditions,
            place > tuple_(bindparam("since", type_=Instant), bindparam("after")),
        )
        .order_by(_referral.c.updated_at, _referral.c.id)
        .limit(bindparam("limit"))
    )


_COMBINATIONS = [names for count in range(len(FILTERS) + 1) for names in combinations(FILTERS, count)]
NEWEST_REFERRALS = {names: _newest_first(names) for names in _COMBINATIONS}
REFERRALS_BY_UPDATE = {names: _by_update(names) for names in _COMBINATIONS}


def _found_by(name: str) -> Statement:
    """Referrals whose patient has the search token ``term`` in this column, newest first."""
    same = (_lookup.c.practice_id == _referral.c.practice_id) & (_lookup.c.referral_id == _referral.c.id)
    term = bindparam("term", type_=_lookup.c[name].type)
    return Statement(
        select(_referral)
        .where(
            _referral.c.practice_id == bindparam("practice_id"),
            select(_lookup.c.id).where(same, _lookup.c[name] == term).exists(),
            _referral.c.id < bindparam("before"),
        )
        .order_by(_referral.c.id.desc())
        .limit(bindparam("limit"))
    )


FOUND_BY = {name: _found_by(name) for name in LOOKUP_TOKENS}

NEWEST_ARTIFACTS = Statement(
    select(_artifact)
    .where(_artifact.c.practice_id == bindparam("practice_id"), _artifact.c.id < bindparam("before"))
    .order_by(_artifact.c.id.desc())
    .limit(bindparam("limit"))
)
NEWEST_ARTIFACTS_BY_STATUS = Statement(
    select(_artifact)
    .where(
        _artifact.c.practice_id == bindparam("practice_id"),
        _artifact.c.status == bindparam("status"),
        _artifact.c.id < bindparam("before"),
    )
    .order_by(_artifact.c.id.desc())
    .limit(bindparam("limit"))
)
ARTIFACTS_OF_REFERRAL = Statement(
    select(_artifact)
    .where(
        _artifact.c.practice_id == bindparam("practice_id"),
        _artifact.c.referral_id == bindparam("referral_id"),
        _artifact.c.id < bindparam("before"),
    )
    .order_by(_artifact.c.id.desc())
    .limit(bindparam("limit"))
)
