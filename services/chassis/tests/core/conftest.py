"""A toy service (a tally that may not pass a limit) to try the core on, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from baton_chassis.clock import FixedClock
from baton_chassis.commands import Caller, Command, Outgoing, Reply
from baton_chassis.database import sealed
from baton_chassis.errors import NotYetKnown
from baton_chassis.repository import Repository
from baton_chassis.service import ServiceDefinition
from baton_chassis.tables import chassis_tables
from baton_chassis.testing.harness import Harness, harness
from baton_chassis.work import Work

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class LimitReached(Exception):
    """The tally is full."""

    code = "illegal-transition"
    detail = "The tally is full."


@dataclass(frozen=True, slots=True)
class Counted:
    """The tally grew."""

    total: int
    at: datetime


@dataclass(slots=True)
class Tally:
    """A number with an owner and a secret."""

    id: str
    version: int = 0
    events: list[Any] = field(default_factory=list)
    total: int = 0
    secret: str = ""

    def count(self, *, at: datetime) -> None:
        """Add one; refuses beyond five hundred."""
        if self.total >= 500:
            raise LimitReached
        self.total += 1
        self.events.append(Counted(self.total, at))


class Base(SQLModel, registry=registry()):
    """The toy's own metadata."""


class TallyRow(Base, table=True):
    """A tally at rest."""

    __tablename__ = "tally"

    practice_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    doc_version: int
    total: int
    secret: bytes | None = Field(default=None, sa_column=sealed("secret"))


TABLES = chassis_tables(Base.metadata)


def _published(event: Counted, tally: Tally) -> Outgoing:
    return Outgoing(
        type="tally.counted.v1",
        topic="referral.events",
        source=f"/tallies/{tally.id}/counts",
        subject=tally.id,
        key=tally.id,
        data={"total": event.total},
        occurred_at=event.at,
    )


TALLIES = Repository(
    aggregate=Tally,
    model=TallyRow,
    to_row=lambda tally: {"total": tally.total, "secret": tally.secret.encode()},
    from_row=lambda row: Tally(id=row["id"], total=row["total"], secret=(row["secret"] or b"").decode()),
    publish=_published,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Open(Command):
    """Begin a tally under a name."""

    location: ClassVar[str] = "/tallies/{id}"
    name: str = ""
    secret: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count(Command):
    """Add one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoil(Command):
    """Write what no column takes."""


async def open_tally(command: Open, work: Work) -> Reply:
    """A named tally exists once."""
    if command.after and await work.lookup("toy", "names", command.after) is None:
        raise NotYetKnown(space="toy", system="names", value=command.after)
    if command.name:
        bound = await work.claim("toy", "names", command.name, command.id)
        if bound != command.id:
            return Reply(kind="existing", body={"id": bound})
    tally = Tally(id=command.id, secret=command.secret)
    tally.count(at=work.now)
    work.save(tally)
    return Reply(
        kind="created", body={"id": tally.id, "total": 1, "secret": command.secret}, version=tally.version
    )


async def count(command: Count, work: Work) -> Reply:
    """One more."""
    tally = await work.load(Tally, command.id)
    tally.count(at=work.now)
    work.save(tally)
    return Reply(body={"id": tally.id, "total": tally.total}, version=tally.version)


async def spoil(command: Spoil, work: Work) -> Reply:
    """A row that the database refuses."""
    tally = await work.load(Tally, command.id)
    tally.total = 2**70
    work.save(tally)
    return Reply()


def definition(**changes: Any) -> ServiceDefinition:
    """The toy service."""
    said: dict[str, Any] = {
        "name": "toy-service",
        "package": "toy",
        "schema": "toy",
        "metadata": Base.metadata,
        "tables": TABLES,
        "repositories": {Tally: TALLIES},
        "commands": {Open: open_tally, Count: count, Spoil: spoil},
    }
    return ServiceDefinition(**(said | changes))


@pytest.fixture
def clock() -> FixedClock:
    """Noon on a Monday."""
    return FixedClock(NOON)


@pytest.fixture
async def toy(database_url: str, clock: FixedClock) -> AsyncIterator[Harness]:
    """The toy service, writer running, no loops."""
    async with harness(definition(), url=database_url, clock=clock) as running:
        yield running


@pytest.fixture
def caller() -> Caller:
    """A client of the practice."""
    return Caller(practice_id="p1", actor="client:a", client_id="a", correlation_id="")


@pytest.fixture
def words() -> dict[str, Any]:
    """The toy's commands and aggregate by name (test modules cannot import this file)."""
    return {"Open": Open, "Count": Count, "Spoil": Spoil, "Tally": Tally, "LimitReached": LimitReached,
            "definition": definition, "NOON": NOON}  # fmt: skip


Make = Callable[..., Awaitable[Any]]
