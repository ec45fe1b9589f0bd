"""How notes keeps documents, their content, and what it has heard of referrals."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from baton_chassis.database import Instant, Json, Row, sealed
from baton_chassis.repository import Repository
from baton_chassis.tables import chassis_tables
from baton_contracts.lifecycle import Lines
from baton_notes import published
from baton_notes.domain.care import Care
from baton_notes.domain.note import ExternalKey, Note, NoteContent, Said


class Base(SQLModel, registry=registry()):
    """This service's own tables."""


METADATA = Base.metadata
TABLES = chassis_tables(METADATA)


class NoteRow(Base, table=True):
    """A note at rest; its words are sealed."""

    __tablename__ = "note"

    practice_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    doc_version: int
    referral_id: str = Field(index=True)
    patient_id: str
    office_id: str
    source_system: str | None
    source_value: str | None
    kind: str
    media_type: str
    sha256: str
    replaces: str | None
    disposition: str | None
    edition: int
    signed_at: datetime | None = Field(sa_type=Instant)
    delivered: int
    delivered_at: datetime | None = Field(sa_type=Instant)
    said: bytes | None = Field(default=None, sa_column=sealed("said"))


class ContentRow(Base, table=True):
    """The bytes of one edition, sealed."""

    __tablename__ = "note_content"

    practice_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    doc_version: int
    media_type: str
    sha256: str
    body: bytes | None = Field(default=None, sa_column=sealed("body"))


class CareRow(Base, table=True):
    """What notes has heard of a referral."""

    __tablename__ = "care"

    practice_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    doc_version: int
    patient_id: str
    office_id: str
    lines: Any = Field(sa_type=Json)


_SAID = TypeAdapter(Said)
_PLAIN = (
    "referral_id", "patient_id", "office_id", "kind", "media_type", "sha256", "replaces", "disposition",
    "edition", "signed_at", "delivered", "delivered_at",
)  # fmt: skip


def _note_row(note: Note) -> Row:
    source = note.source
    return {name: getattr(note, name) for name in _PLAIN} | {
        "source_system": source.system if source else None,
        "source_value": source.value if source else None,
        "said": _SAID.dump_json(note.said),
    }


def _note(row: Row) -> Note:
    source = None
    if row["source_system"] is not None:
        source = ExternalKey(system=row["source_system"], value=row["source_value"])
    plain = {name: row[name] for name in _PLAIN}
    return Note(id=row["id"], source=source, said=_SAID.validate_json(row["said"]), **plain)


NOTES = Repository(
    aggregate=Note, model=NoteRow, to_row=_note_row, from_row=_note, publish=published.outgoing
)
CONTENTS = Repository(
    aggregate=NoteContent,
    model=ContentRow,
    to_row=lambda content: {
        "media_type": content.media_type,
        "sha256": content.sha256,
        "body": content.body,
    },
    from_row=lambda row: NoteContent(row["id"], row["media_type"], row["sha256"], row["body"]),
)
CARE = Repository(
    aggregate=Care,
    model=CareRow,
    to_row=lambda care: {
        "patient_id": care.patient_id,
        "office_id": care.office_id,
        "lines": care.lines.dump(),
    },
    from_row=lambda row: Care(
        id=row["id"], patient_id=row["patient_id"], office_id=row["office_id"], lines=Lines.load(row["lines"])
    ),
    publish=published.care_outgoing,
)
REPOSITORIES: dict[type, Repository[Any]] = {Note: NOTES, NoteContent: CONTENTS, Care: CARE}
