"""The chassis's own tables as migrations made them, step by step: frozen, whatever ``tables`` declares today.

A service's migration calls the step of its time, so that these tables are written down once and not in every
service. A change of ``tables`` adds a step here (``alter_second``) and a migration that calls it in every
service; ``drift`` tells whom it is missing from.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from baton_chassis.database import Instant


def create_first() -> None:
    """Make all tables as they were first. For use inside a migration."""
    _first().create_all(op.get_bind(), checkfirst=False)


def drop_first() -> None:
    """Undo ``create_first``; for development."""
    _first().drop_all(op.get_bind(), checkfirst=False)


def _first() -> MetaData:
    metadata = MetaData()
    _facts(metadata)
    _commands(metadata)
    _consuming(metadata)
    _housekeeping(metadata)
    return metadata


def _facts(metadata: MetaData) -> None:
    Table(
        "line",
        metadata,
        *_keys("practice_id"),
        Column("source", Text, primary_key=True, comment="the line of facts, as in the event's source"),
        _count("sequence", "number of the last event of this line"),
    )
    Table(
        "journal",
        metadata,
        *_keys("event_id"),
        *_texts("practice_id", "source"),
        _count("sequence"),
        *_texts("type", "key"),
        _bytes("body", "the CloudEvent, byte for byte as published"),
        _instant("recorded_at"),
        UniqueConstraint("practice_id", "source", "sequence"),
        Index("journal_key", "practice_id", "key"),
    )
    Table(
        "outbox",
        metadata,
        _row_number(),
        *_texts("event_id", "practice_id", "topic", "key"),
        _bytes("body"),
        _instant("recorded_at"),
    )


def _commands(metadata: MetaData) -> None:
    Table(
        "idempotency",
        metadata,
        *_keys("practice_id", "client_id", "key"),
        _bytes("fingerprint"),
        Column("reply", LargeBinary, comment="sealed; empty where no answer is ever repeated"),
        _instant("recorded_at"),
        Index("idempotency_age", "recorded_at"),
    )
    Table(
        "identifier",
        metadata,
        *_keys("practice_id", "space", "system", "value"),
        Column("target", Text, comment="what answers to this key; empty while commands wait for it"),
        Column("version", Integer, nullable=False),
    )
    Table(
        "waiting",
        metadata,
        _row_number(),
        Column("id", Text, nullable=False, unique=True),
        *_texts("practice_id", "space", "system", "value"),
        Column("target", Text, nullable=False, comment="the id of the thing the command makes or addresses"),
        *_texts("command"),
        _bytes("body", "sealed: the command and who asked"),
        _instant("asked_at"),
        Column("refused", Text, comment="code of the refusal when its time came; empty while it waits"),
        Index("waiting_key", "practice_id", "space", "system", "value"),
        Index("waiting_target", "practice_id", "target"),
    )
    Table(
        "timer",
        metadata,
        *_keys("practice_id", "id"),
        *_texts("kind"),
        _instant("due_at"),
        Column("key", Text, nullable=False, comment="the event key whose partition must be read first"),
        Column("infers_absence", Boolean, nullable=False),
        *_texts("command"),
        _bytes("body", "sealed: the command"),
        Index("timer_due", "due_at"),
    )


def _consuming(metadata: MetaData) -> None:
    Table(
        "consumer_offset",
        metadata,
        *_keys("consumer", "log_id", "topic"),
        Column("partition", Integer, primary_key=True),
        _count("next"),
        _instant("moved_at"),
    )
    Table(
        "consumer_seen",
        metadata,
        *_keys("consumer", "practice_id", "source"),
        _count("sequence"),
        *_texts("event_id"),
    )
    Table(
        "parked",
        metadata,
        _row_number(),
        *_texts("consumer", "topic"),
        Column("partition", Integer, nullable=False),
        _count("offset"),
        *_texts("practice_id", "key", "event_id", "source"),
        _count("sequence"),
        *_texts("reason"),
        _bytes("body"),
        _instant("parked_at"),
        UniqueConstraint("consumer", "topic", "partition", "offset"),
        Index("parked_key", "consumer", "key", "number"),
    )
    Table(
        "unknown_event",
        metadata,
        *_keys("consumer", "type", "topic"),
        Column("partition", Integer, primary_key=True),
        _count("first_offset"),
        _instant("first_seen_at"),
    )


def _housekeeping(metadata: MetaData) -> None:
    Table(
        "audit",
        metadata,
        _row_number(),
        *_texts("practice_id"),
        _instant("at"),
        *_texts("actor", "action", "target", "correlation_id"),
        Index("audit_target", "practice_id", "target"),
    )
    Table("lease", metadata, *_keys("name"), *_texts("holder"), _count("epoch"), _instant("expires_at"))
    Table(
        "practice_key",
        metadata,
        *_keys("practice_id"),
        Column("number", Integer, primary_key=True, comment="1 is the first key; a rotation takes the next"),
        _bytes("kid"),
        _bytes("wrapped"),
        _instant("active_from"),
    )


def _keys(*names: str) -> list[Column[str]]:
    return [Column(name, Text, primary_key=True) for name in names]


def _texts(*names: str) -> list[Column[str]]:
    return [Column(name, Text, nullable=False) for name in names]


def _count(name: str, comment: str | None = None) -> Column[int]:
    return Column(name, BigInteger, nullable=False, comment=comment)


def _bytes(name: str, comment: str | None = None) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False, comment=comment)


def _instant(name: str) -> Column[object]:
    return Column(name, Instant, nullable=False)


def _row_number() -> Column[int]:
    """SQLite numbers rows only in an INTEGER primary key."""
    number = BigInteger().with_variant(Integer(), "sqlite")
    return Column("number", number, Identity(), primary_key=True, autoincrement=True)
