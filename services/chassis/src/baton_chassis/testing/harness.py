"""A service for tests: real database, real writer, real handlers; events are handed in and read back by
hand.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from baton_chassis.access import Principal
from baton_chassis.clock import Clock
from baton_chassis.commands import Caller, Command, IdempotencyKey, Outgoing, Reply
from baton_chassis.consumer import Consumer
from baton_chassis.content import Content, ContentRef
from baton_chassis.database import Database, Row, Statement, open_database
from baton_chassis.database.sqlite import SQLiteDatabase
from baton_chassis.ids import new_id
from baton_chassis.log.port import Partition, Record
from baton_chassis.log.sqlite import SqliteEventLog
from baton_chassis.practices import Practice, Practices
from baton_chassis.sealing import RootKeys
from baton_chassis.service import Environment, Service, ServiceDefinition
from baton_chassis.settings import ChassisSettings
from baton_chassis.testing.schema import create_tables
from baton_contracts.envelope import Envelope, headers, sequence_text
from baton_contracts.topics import partition_for

EVERY_SCOPE = frozenset(
    [
        "referrals:read",
        "referrals:write",
        "schedule:read",
        "schedule:write",
        "visit:write",
        "notes:read",
        "notes:write",
        "notes:release",
        "notify:read",
        "notify:resend",
        "offices:read",
        "offices:write",
        "webhooks:manage",
        "questions:read",
        "questions:write",
        "events:read",
        "ops:read",
        "ops:write",
        "content:read",
        "system/*.cruds",
    ]
)


class Contents:
    """Content of other services, for a service alone: what the test puts in."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Content] = {}

    async def fetch(self, practice_id: str, ref: ContentRef) -> Content:
        """What was put in under (kind, id); ``KeyError`` where nothing was."""
        return self.kept[(ref.kind, ref.id)]


class Harness:
    """One service under test. ``practice`` and ``scopes`` say who knocks at its doors."""

    def __init__(self, service: Service, contents: Contents) -> None:
        self.service = service
        self.contents = contents
        self.practice = "p1"
        self.scopes: frozenset[str] = EVERY_SCOPE
        self._numbers: dict[tuple[str, str], int] = {}
        self._offsets: dict[Partition, int] = {}
        self.consumers = {
            subscription.consumer: self._consumer(subscription)
            for subscription in service.definition.subscriptions
        }

    @property
    def caller(self) -> Caller:
        """Who asks when a test submits a command itself."""
        return Caller(practice_id=self.practice, actor="client:test", client_id="test", scopes=self.scopes)

    async def submit(
        self,
        command: Command,
        *,
        caller: Caller | None = None,
        key: IdempotencyKey | None = None,
        if_match: int | None = None,
    ) -> Reply:
        """Decide a command; raises its refusal."""
        decided = await self.service.submit(command, caller or self.caller, key=key, if_match=if_match)
        return decided.reply

    async def deliver(self, *events: Envelope | Outgoing, practice_id: str | None = None) -> None:
        """Hand events to every subscription, as the log would. An ``Outgoing`` gets the next number of its
        line.
        """
        for event in events:
            envelope = event if isinstance(event, Envelope) else self.envelope(event, practice_id=practice_id)
            record = self._record(envelope)
            for consumer in self.consumers.values():
                await consumer.apply(record.place, [record])

    def envelope(
        self, outgoing: Outgoing, *, practice_id: str | None = None, number: int | None = None
    ) -> Envelope:
        """An event as its producer would publish it."""
        practice = practice_id or self.practice
        line = (practice, outgoing.source)
        self._numbers[line] = number or self._numbers.get(line, 0) + 1
        id = new_id()
        return Envelope(
            id=id,
            source=outgoing.source,
            type=outgoing.type,
            subject=outgoing.subject,
            time=outgoing.occurred_at,
            practiceid=practice,
            partitionkey=outgoing.key,
            sequence=sequence_text(self._numbers[line]),
            recordedtime=outgoing.occurred_at,
            correlationid=id,
            data=outgoing.data,
        )

    async def published(self, type: str | None = None) -> list[Envelope]:
        """Every event this service has recorded, oldest first."""
        rows = await self.rows(self.service.definition.tables.outbox)
        found = [Envelope.from_bytes(row["body"]) for row in sorted(rows, key=lambda row: row["number"])]
        return [envelope for envelope in found if type is None or envelope.type == type]

    async def rows(self, table: Any) -> list[Row]:
        """All rows of a table, as stored."""
        async with self.service.database.reading(None) as session:
            return await session.fetch(Statement(select(table)))

    def client(self) -> httpx.AsyncClient:
        """A client at the service's doors, admitted as ``practice`` with ``scopes``."""
        transport = httpx.ASGITransport(app=self.service.app())
        return httpx.AsyncClient(transport=transport, base_url="http://service.test")

    async def admit(self, headers: Mapping[str, str]) -> Principal:
        """Lets everybody in as the test's practice."""
        return Principal(
            subject="client:test",
            client_id="test",
            practice_id=self.practice,
            scopes=self.scopes,
            assertion="human",
        )

    def _consumer(self, subscription: Any) -> Consumer:
        service = self.service
        return Consumer(
            subscription=subscription,
            log=service.environment.log,
            database=service.database,
            tables=service.definition.tables,
            dispatcher=service.submit,
            writer=service.writer,
            clock=service.environment.clock,
            member="test",
            on_failure=_reraise_nothing,
        )

    def _record(self, envelope: Envelope) -> Record:
        topic = "partner.events" if envelope.source.startswith("/offices/") else "referral.events"
        place = Partition(topic, partition_for(envelope.partitionkey.encode()))
        offset = self._offsets.get(place, 0)
        self._offsets[place] = offset + 1
        return Record(
            topic=topic,
            partition=place.number,
            offset=offset,
            key=envelope.partitionkey.encode(),
            value=envelope.to_bytes(),
            headers=tuple(headers(envelope)),
            timestamp=datetime.now(UTC),
        )


def _reraise_nothing(where: str, error: BaseException) -> None:
    """Failures show in what the test asserts (parked rows, refusals)."""


@asynccontextmanager
async def harness(
    definition: ServiceDefinition, *, url: str, clock: Clock, settings: ChassisSettings | None = None
) -> AsyncIterator[Harness]:
    """Run ``definition`` on a fresh database at ``url``: tables made, writer running, no loops."""
    await create_tables(definition.metadata, url=url, schema=definition.schema)
    log = SqliteEventLog(None)
    await log.start()
    contents = Contents()
    holder: list[Harness] = []

    async def admit(headers: Mapping[str, str]) -> Principal:
        return await holder[0].admit(headers)

    environment = Environment(
        settings=settings or ChassisSettings(),
        clock=clock,
        ids=new_id,
        log=log,
        open_database=lambda schema: _database(url, schema),
        root_keys=RootKeys([b"k" * 32]),
        admit=admit,
        contents=contents,
        practices=Practices(
            {"p1": Practice(id="p1", name="Harness Specialty Practice", phone="+1 555 0199")}
        ),
        process="test",
    )
    service = Service(definition, environment)
    holder.append(Harness(service, contents))
    await service.start(frozenset())
    try:
        yield holder[0]
    finally:
        await service.stop()
        await log.stop()


def _database(url: str, schema: str) -> Database:
    if url.startswith("sqlite:///"):
        return SQLiteDatabase(Path(url.removeprefix("sqlite:///")))
    return open_database(url, data_dir=Path(), schema=schema)
