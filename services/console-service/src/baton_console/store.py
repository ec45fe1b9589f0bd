"""How console keeps its copy of the stream."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from baton_chassis.database import Instant
from baton_chassis.repository import Repository
from baton_chassis.tables import chassis_tables
from baton_console.domain.copies import EventCopy, PartitionEnd


class Base(SQLModel, registry=registry()):
    """This service's own tables."""


METADATA = Base.metadata
TABLES = chassis_tables(METADATA)


class EventCopyRow(Base, table=True):
    """One event. There is nothing of a patient in it, so its bytes stand open."""

    __tablename__ = "event_copy"
    __table_args__ = (
        Index("event_copy_place", "practice_id", "topic", "partition", "position", unique=True),
        Index("event_copy_subject", "practice_id", "subject", "position"),
    )

    practice_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    doc_version: int
    topic: str
    partition: int
    position: int
    type: str
    subject: str
    recorded_at: datetime = Field(sa_type=Instant)
    body: bytes


class PartitionEndRow(Base, table=True):
    """How far a practice's copy of one partition goes."""

    __tablename__ = "partition_end"

    practice_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    doc_version: int
    position: int


_PLAIN = ("topic", "partition", "position", "type", "subject", "recorded_at", "body")

COPIES = Repository(
    aggregate=EventCopy,
    model=EventCopyRow,
    to_row=lambda copy: {name: getattr(copy, name) for name in _PLAIN},
    from_row=lambda row: EventCopy(id=row["id"], **{name: row[name] for name in _PLAIN}),
)
ENDS = Repository(
    aggregate=PartitionEnd,
    model=PartitionEndRow,
    to_row=lambda end: {"position": end.position},
    from_row=lambda row: PartitionEnd(id=row["id"], position=row["position"]),
)
REPOSITORIES: dict[type, Repository[Any]] = {EventCopy: COPIES, PartitionEnd: ENDS}
