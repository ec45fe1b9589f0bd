"""Notification on a real database, with events handed in as the log would, and receivers on loopback."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from standardwebhooks import Webhook

from baton_chassis.clock import FixedClock
from baton_chassis.commands import Outgoing
from baton_chassis.content import Content
from baton_chassis.ids import new_id
from baton_chassis.testing.harness import Harness, harness
from baton_contracts import events as contract
from baton_notification.app import Chances, definition
from baton_notification.delivering import DeliveryWorker
from baton_notification.domain.delivery import Delivery
from baton_notification.queries import Queries
from baton_notification.settings import Settings

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
"""The hour of every test."""

NOTE = b"Invented note: nothing to worry about."
CARD = b'{"name":{"family":"Testperson","given":["Ada"]},"birth_date":"1970-01-01"}'
OFFICE_MAIL = "front.desk@family-practice.example"


@dataclass
class Seen:
    """One request that a receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes

    def verified(self, secret: str, *, at: datetime) -> Any:
        """The body, once the signature holds for a receiver whose clock says ``at`` (tolerance five minutes).

        Raises ``WebhookVerificationError``.
        """
        with time_machine.travel(at, tick=False):
            return Webhook(secret).verify(self.body, self.headers)


@dataclass
class Receiver:
    """An office's own server on loopback; ``answers`` are used up in turn, the last one stays."""

    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    answers: list[str] = field(default_factory=lambda: ["204 No Content"])
    hold: asyncio.Event | None = None
    got_one: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = head.split("\r\n")
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in lines[1:] if line)
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.seen.append(Seen(lines[0].split(" ")[1], headers, body))
                self.got_one.set()
                if self.hold is not None:
                    await self.hold.wait()
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                status, _, extra = answer.partition("\n")
                writer.write(f"HTTP/1.1 {status}\r\n{extra}Content-Length: 0\r\n\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver that listens."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


@pytest.fixture
async def other_receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


@pytest.fixture
def clock() -> FixedClock:
    """The clock of rules and schedules."""
    return FixedClock(NOW)


@pytest.fixture
def security_clock() -> FixedClock:
    """The clock of codes, cookies and signatures."""
    return FixedClock(NOW)


class Desk:
    """The service under test, with the words of a test: refer, happen, send, mails."""

    def __init__(self, running: Harness, clock: FixedClock, security_clock: FixedClock) -> None:
        self.running = running
        self.clock = clock
        self.security_clock = security_clock
        self.queries = Queries(running.service.reader)
        worker = running.service.workers[0]
        assert isinstance(worker, DeliveryWorker)
        self.worker = worker

    async def refer(self, *, mail: str | None = OFFICE_MAIL, **said: Any) -> contract.ReferralReceived:
        """A referral arrives."""
        telecom = (contract.ContactRoute(system="email", value=mail),) if mail else ()
        card = Content.of("application/json", CARD)
        referral_id = said.pop("referral_id", None) or new_id()
        self.running.contents.kept[("patient-card", referral_id)] = card
        event = contract.ReferralReceived(
            referral_id=referral_id,
            patient_id=new_id(),
            office_id=said.pop("office_id", None) or new_id(),
            actor=contract.Actor(kind="client", id="client:pms"),
            assertion="pms",
            occurred_at=said.pop("at", self.clock.now()),
            source=contract.ExternalId(system="urn:example:pms", value=referral_id),
            office=contract.OfficeIdentity(name="Invented Family Practice", telecom=telecom),
            office_reference=said.pop("reference", "FP-2041"),
            priority="routine",
            dataref=contract.Dataref(
                owner="intake-service", kind="patient-card", id=referral_id, version=1, sha256=card.sha256
            ),
            **said,
        )
        await self.happen(event)
        return event

    async def happen(self, *events: contract.Event, practice_id: str | None = None) -> None:
        """Events are read from the log."""
        await self.running.deliver(*(outgoing(event) for event in events), practice_id=practice_id)

    async def sign(
        self,
        referral: contract.ReferralReceived,
        *,
        text: bytes = NOTE,
        version: int = 1,
        id: str | None = None,
        **said: Any,
    ) -> contract.NoteSigned:
        """A final note is signed; its bytes can be fetched."""
        content = Content.of("text/plain", text)
        document_id = id or new_id()
        self.running.contents.kept[("note", document_id)] = content
        event = contract.NoteSigned(
            **self.about(referral),
            document=contract.DocumentVersion(id=document_id, version=version, sha256=content.sha256),
            kind=said.pop("kind", "final"),
            media_type="text/plain",
            dataref=contract.Dataref(
                owner="notes-service", kind="note", id=document_id, version=version, sha256=content.sha256
            ),
            disposition="care_returned",
            **said,
        )
        await self.happen(event)
        return event

    def about(self, referral: contract.ReferralReceived) -> dict[str, Any]:
        """What every event of a referral says."""
        return {
            "referral_id": referral.referral_id,
            "patient_id": referral.patient_id,
            "office_id": referral.office_id,
            "actor": contract.Actor(kind="staff", id="staff:1"),
            "assertion": "human",
            "occurred_at": self.clock.now(),
        }

    def accepted(self, referral: contract.ReferralReceived) -> contract.ReferralAccepted:
        return contract.ReferralAccepted(**self.about(referral))

    def booked(
        self, referral: contract.ReferralReceived, *, start: datetime | None = None
    ) -> contract.AppointmentBooked:
        return contract.AppointmentBooked(
            **self.about(referral),
            appointment_id=new_id(),
            kind="visit",
            start=start or self.clock.now() + timedelta(days=10),
        )

    def visited(self, referral: contract.ReferralReceived) -> contract.VisitCompleted:
        return contract.VisitCompleted(**self.about(referral), visit_id=new_id(), kind="visit")

    async def send(self) -> None:
        """The workers send everything that is due, until nothing is."""
        for _ in range(50):
            if not await self.worker.send_due():
                return
            await self.worker.idle()
        raise AssertionError("there is always more to send")

    async def deliveries(self, **filters: Any) -> list[Delivery]:
        listed = await self.queries.deliveries(self.running.practice, limit=200, after=None, **filters)
        return listed.items

    async def mails(self) -> list[dict[str, Any]]:
        """Captured mail, oldest first."""
        async with self.running.client() as client:
            items: list[dict[str, Any]] = (await client.get("/dev/mailbox/messages")).json()["items"]
        return items[::-1]

    async def handle(self, referral: contract.ReferralReceived) -> str:
        link = await self.queries.link_of_referral(self.running.practice, referral.referral_id)
        assert link is not None
        return link.handle

    async def webhook(self, url: str, **said: Any) -> dict[str, Any]:
        """Registers an endpoint; gives what the answer shows."""
        async with self.running.client() as client:
            answer = await client.post("/v1/webhooks", json={"url": url, **said})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    @staticmethod
    def outgoing(event: contract.Event) -> Outgoing:
        """An event as its producer hands it to its chassis."""
        return outgoing(event)

    async def types(self) -> list[str]:
        """The types of what was published, oldest first."""
        return [event.type for event in await self.running.published()]


def outgoing(event: contract.Event) -> Outgoing:
    """An event as its producer hands it to its chassis."""
    return Outgoing(
        type=event.type.value,
        topic="referral.events",
        source=event.stream,
        subject=event.entity_id,
        key=event.entity_id,
        data=event.body(),
        occurred_at=event.occurred_at,
    )


@asynccontextmanager
async def desk_on(
    url: str, clock: FixedClock, security_clock: FixedClock, **settings: Any
) -> AsyncIterator[Desk]:
    """The service on a database, its randomness replaced by what a test can foresee."""
    codes = itertools.count(10_000_001)
    chances = Chances(
        code=lambda: f"{next(codes)}",
        spread=lambda: 0.5,
        security_clock=security_clock,
    )
    given: dict[str, Any] = {"public_url": "http://service.test", "outbound_allow": ("127.0.0.0/8",)}
    told = Settings(**given | settings)
    async with harness(definition(chances), url=url, clock=clock, settings=told) as running:
        desk = Desk(running, clock, security_clock)
        try:
            yield desk
        finally:
            await desk.worker.wind_down()


@pytest.fixture
async def desk(database_url: str, clock: FixedClock, security_clock: FixedClock) -> AsyncIterator[Desk]:
    """The service on SQLite and on PostgreSQL; mail is captured."""
    async with desk_on(database_url, clock, security_clock) as running:
        yield running


@pytest.fixture
async def quick_desk(tmp_path: Any, clock: FixedClock, security_clock: FixedClock) -> AsyncIterator[Desk]:
    """The service on SQLite only, for what no database decides."""
    async with desk_on(f"sqlite:///{tmp_path / 'quick.sqlite'}", clock, security_clock) as running:
        yield running


@pytest.fixture
def desk_with(tmp_path: Any, clock: FixedClock, security_clock: FixedClock) -> Callable[..., Any]:
    """Starts the service on SQLite with other settings."""

    def start(**settings: Any) -> Any:
        return desk_on(f"sqlite:///{tmp_path / 'other.sqlite'}", clock, security_clock, **settings)

    return start
