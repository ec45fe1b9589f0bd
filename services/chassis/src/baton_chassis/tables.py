"""The tables that every service has beside its own: lines, journal, outbox, keys, offsets, timers, waiting
room.
"""

from __future__ import annotations

from dataclasses import dataclass

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

_NUMBER = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers rows only in an INTEGER primary key


@dataclass(frozen=True, slots=True)
class ChassisTables:
    """The chassis's tables inside one service's metadata."""

    line: Table
    journal: Table
    outbox: Table
    idempotency: Table
    identifier: Table
    waiting: Table
    timer: Table
    audit: Table
    consumer_offset: Table
    consumer_seen: Table
    parked: Table
    unknown_event: Table
    lease: Table
    practice_key: Table


def chassis_tables(metadata: MetaData) -> ChassisTables:
    """Declare the chassis's tables in ``metadata`` (once a service; every row names its practice)."""
    return ChassisTables(
        line=_line(metadata),
        journal=_journal(metadata),
        outbox=_outbox(metadata),
        idempotency=_idempotency(metadata),
        identifier=_identifier(metadata),
        waiting=_waiting(metadata),
        timer=_timer(metadata),
        audit=_audit(metadata),
        consumer_offset=_consumer_offset(metadata),
        consumer_seen=_consumer_seen(metadata),
        parked=_parked(metadata),
        unknown_event=_unknown_event(metadata),
        lease=_lease(metadata),
        practice_key=_practice_key(metadata),
    )


def _line(metadata: MetaData) -> Table:
    return Table(
        "line",
        metadata,
        Column("practice_id", Text, primary_key=True),
        Column("source", Text, primary_key=True, comment="the line of facts, as in the event's source"),
        Column("sequence", BigInteger, nullable=False, comment="number of the last event of this line"),
    )


def _journal(metadata: MetaData) -> Table:
    return Table(
        "journal",
        metadata,
        Column("event_id", Text, primary_key=True),
        Column("practice_id", Text, nullable=False),
        Column("source", Text, nullable=False),
        Column("sequence", BigInteger, nullable=False),
        Column("type", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("body", LargeBinary, nullable=False, comment="the CloudEvent, byte for byte as published"),
        Column("recorded_at", Instant, nullable=False),
        UniqueConstraint("practice_id", "source", "sequence"),
        Index("journal_key", "practice_id", "key"),
    )


def _outbox(metadata: MetaData) -> Table:
    return Table(
        "outbox",
        metadata,
        Column("number", _NUMBER, Identity(), primary_key=True, autoincrement=True),
        Column("event_id", Text, nullable=False),
        Column("practice_id", Text, nullable=False),
        Column("topic", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("recorded_at", Instant, nullable=False),
    )


def _idempotency(metadata: MetaData) -> Table:
    return Table(
        "idempotency",
        metadata,
        Column("practice_id", Text, primary_key=True),
        Column("client_id", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("fingerprint", LargeBinary, nullable=False),
        Column("reply", LargeBinary, comment="sealed; empty where no answer is ever repeated"),
        Column("recorded_at", Instant, nullable=False),
        Index("idempotency_age", "recorded_at"),
    )


def _identifier(metadata: MetaData) -> Table:
    return Table(
        "identifier",
        metadata,
        Column("practice_id", Text, primary_key=True),
        Column("space", Text, primary_key=True),
        Column("system", Text, primary_key=True),
        Column("value", Text, primary_key=True),
        Column("target", Text, comment="what answers to this key; empty while commands wait for it"),
        Column("version", Integer, nullable=False),
    )


def _waiting(metadata: MetaData) -> Table:
    return Table(
        "waiting",
        metadata,
        Column("number", _NUMBER, Identity(), primary_key=True, autoincrement=True),
        Column("id", Text, nullable=False, unique=True),
        Column("practice_id", Text, nullable=False),
        Column("space", Text, nullable=False),
        Column("system", Text, nullable=False),
        Column("value", Text, nullable=False),
        Column("target", Text, nullable=False, comment="the id of the thing the command makes or addresses"),
        Column("command", Text, nullable=False),
        Column("body", LargeBinary, nullable=False, comment="sealed: the command and who asked"),
        Column("asked_at", Instant, nullable=False),
        Column("refused", Text, comment="code of the refusal when its time came; empty while it waits"),
        Index("waiting_key", "practice_id", "space", "system", "value"),
        Index("waiting_target", "practice_id", "target"),
    )


def _timer(metadata: MetaData) -> Table:
    return Table(
        "timer",
        metadata,
        Column("practice_id", Text, primary_key=True),
        Column("id", Text, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("due_at", Instant, nullable=False),
        Column("key", Text, nullable=False, comment="the event key whose partition must be read first"),
        Column("infers_absence", Boolean, nullable=False),
        Column("command", Text, nullable=False),
        Column("body", LargeBinary, nullable=False, comment="sealed: the command"),
        Index("timer_due", "due_at"),
    )


def _audit(metadata: MetaData) -> Table:
    return Table(
        "audit",
        metadata,
        Column("number", _NUMBER, Identity(), primary_key=True, autoincrement=True),
        Column("practice_id", Text, nullable=False),
        Column("at", Instant, nullable=False),
        Column("actor", Text, nullable=False),
        Column("action", Text, nullable=False),
        Column("target", Text, nullable=False),
        Column("correlation_id", Text, nullable=False),
        Index("audit_target", "practice_id", "target"),
    )


def _consumer_offset(metadata: MetaData) -> Table:
    return Table(
        "consumer_offset",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("log_id", Text, primary_key=True),
        Column("topic", Text, primary_key=True),
        Column("partition", Integer, primary_key=True),
        Column("next", BigInteger, nullable=False),
        Column("moved_at", Instant, nullable=False),
    )


def _consumer_seen(metadata: MetaData) -> Table:
    return Table(
        "consumer_seen",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("practice_id", Text, primary_key=True),
        Column("source", Text, primary_key=True),
        Column("sequence", BigInteger, nullable=False),
        Column("event_id", Text, nullable=False),
    )


def _parked(metadata: MetaData) -> Table:
    return Table(
        "parked",
        metadata,
        Column("number", _NUMBER, Identity(), primary_key=True, autoincrement=True),
        Column("consumer", Text, nullable=False),
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("offset", BigInteger, nullable=False),
        Column("practice_id", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("event_id", Text, nullable=False),
        Column("source", Text, nullable=False),
        Column("sequence", BigInteger, nullable=False),
        Column("reason", Text, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("parked_at", Instant, nullable=False),
        UniqueConstraint("consumer", "topic", "partition", "offset"),
        Index("parked_key", "consumer", "key", "number"),
    )


def _unknown_event(metadata: MetaData) -> Table:
    return Table(
        "unknown_event",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("type", Text, primary_key=True),
        Column("topic", Text, primary_key=True),
        Column("partition", Integer, primary_key=True),
        Column("first_offset", BigInteger, nullable=False),
        Column("first_seen_at", Instant, nullable=False),
    )


def _lease(metadata: MetaData) -> Table:
    return Table(
        "lease",
        metadata,
        Column("name", Text, primary_key=True),
        Column("holder", Text, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("expires_at", Instant, nullable=False),
    )


def _practice_key(metadata: MetaData) -> Table:
    return Table(
        "practice_key",
        metadata,
        Column("practice_id", Text, primary_key=True),
        Column("number", Integer, primary_key=True, comment="1 is the first key; a rotation takes the next"),
        Column("kid", LargeBinary, nullable=False),
        Column("wrapped", LargeBinary, nullable=False),
        Column("active_from", Instant, nullable=False),
    )
