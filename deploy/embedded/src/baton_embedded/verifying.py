"""`baton verify`: the invariants over this installation, from its log and databases alone."""

from __future__ import annotations

import contextlib
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import SecretStr
from sqlalchemy import select

from baton_chassis import migrations
from baton_chassis.database import Row, Statement, open_database
from baton_chassis.errors import Unavailable
from baton_chassis.evidence import Evidence, Subject, gather
from baton_chassis.foundation import database_url, open_log
from baton_chassis.log.port import EventLog
from baton_chassis.service import ServiceDefinition
from baton_chassis.settings import ChassisSettings
from baton_chassis.verification import (
    CHASSIS_INVARIANTS,
    Invariant,
    Report,
    Violation,
    examine,
)
from baton_console import app as console
from baton_contracts.envelope import Envelope
from baton_contracts.event_types import EventType
from baton_contracts.lifecycle import Lines, Stage, State, fact_of, fold
from baton_contracts.topics import REFERRAL_EVENTS, Line, address_of
from baton_embedded.run_state import RunState
from baton_intake import app as intake
from baton_intake.store import ReferralRow
from baton_notes import app as notes
from baton_notes.store import CareRow
from baton_notification import app as notification
from baton_notification.store import DeliveryRow, ProgressRow
from baton_scheduling import app as scheduling
from baton_scheduling.store import StandingRow

DEFINITIONS: Final[Sequence[ServiceDefinition]] = (
    intake.DEFINITION,
    scheduling.DEFINITION,
    notes.DEFINITION,
    notification.DEFINITION,
    console.DEFINITION,
)
"""Every service that can be in an installation."""

ReferralKey = tuple[str, str]
"""(practice id, referral id)."""

_PROJECTIONS: Final[Mapping[str, Any]] = {
    "intake-service": ReferralRow.__table__,  # type: ignore[attr-defined]
    "scheduling-service": StandingRow.__table__,  # type: ignore[attr-defined]
    "notes-service": CareRow.__table__,  # type: ignore[attr-defined]
    "notification-service": ProgressRow.__table__,  # type: ignore[attr-defined]
}
"""Where each service keeps the folded lines of a referral."""

_DELIVERIES: Final[Any] = DeliveryRow.__table__  # type: ignore[attr-defined]
_LINES: Final = (Line.REQUEST, Line.APPOINTMENTS, Line.DOCUMENTS)
MOST_SHOWN: Final = 20


@dataclass
class Replay:
    """The facts of every referral as the log has them, in the order of their numbers."""

    facts: dict[ReferralKey, dict[tuple[str, int], Envelope]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def begin(self) -> None:
        """Forget everything: the log is read anew."""
        self.facts.clear()

    def take(self, envelope: Envelope) -> None:
        """One record of the log; repeats change nothing."""
        address = address_of(envelope.type)
        if address is not None and address.topic == REFERRAL_EVENTS and address.line in _LINES:
            line = self.facts[envelope.practiceid, envelope.subject]
            line.setdefault((envelope.source, envelope.number), envelope)

    def folded(self) -> dict[ReferralKey, Lines]:
        """Every referral's lines by the pure fold."""
        return {
            key: fold(
                fact_of(envelope.type, envelope.data) for _, envelope in sorted(facts.items(), key=_place)
            )
            for key, facts in self.facts.items()
        }


def _place(entry: tuple[tuple[str, int], Envelope]) -> tuple[str, int]:
    return entry[0]


@dataclass(frozen=True, slots=True)
class Projections:
    """What the services keep: folded lines by service and referral, and notification's deliveries."""

    lines: Mapping[str, Mapping[ReferralKey, Row]]
    deliveries: Sequence[Row]


def serial_replay(projections: Projections, folded: Mapping[ReferralKey, Lines]) -> Iterator[Violation]:
    """I7: whatever a service keeps of a referral is what one reader would have folded from the log."""
    for service, rows in projections.lines.items():
        for key in sorted(folded.keys() - rows.keys()):
            yield Violation("I7", service, f"referral {key[1]} is in the log and not here")
        for key in sorted(rows.keys() - folded.keys()):
            yield Violation("I7", service, f"referral {key[1]} is here and not in the log")
        for key in sorted(rows.keys() & folded.keys()):
            kept = Lines.load(rows[key]["lines"])
            differing = [
                part for part in Lines.__slots__ if getattr(kept, part) != getattr(folded[key], part)
            ]
            if differing:
                yield Violation(
                    "I7", service, f"referral {key[1]} differs from its fold in {', '.join(differing)}"
                )


def delivery_once(projections: Projections, evidence: Evidence) -> Iterator[Violation]:
    """I9: one delivery for an event, a route and a kind, and none for an event that is not in the log."""
    told = Counter(
        (row["practice_id"], row["event_id"], row["route_id"], row["kind"]) for row in projections.deliveries
    )
    for (_, event_id, route_id, kind), count in sorted(told.items()):
        if count > 1:
            yield Violation(
                "I9", "notification-service", f"{count} deliveries {kind} of {event_id} to {route_id}"
            )
    known = {one.event.id for one in evidence.log.occurrences}
    for row in projections.deliveries:
        if row["kind"] in ("notice", "document") and row["event_id"] not in known and row["referral_id"]:
            yield Violation("I9", "notification-service", f"delivery {row['id']} is of no event in the log")


def legal_state(projections: Projections, replay: Replay) -> Iterator[Violation]:
    """I14: a referral opens once, first, and what intake shows is the join of what it keeps."""
    for (_, id), facts in sorted(replay.facts.items()):
        opened = [
            number for (_, number), one in facts.items() if one.type == EventType.REFERRAL_RECEIVED.value
        ]
        if opened != [1]:
            yield Violation("I14", "log", f"referral {id} was received at numbers {opened}")
    for (_, id), row in sorted(projections.lines.get("intake-service", {}).items()):
        position = Lines.load(row["lines"]).position
        if (row["state"], row["stage"]) != (position.state, position.stage):
            yield Violation("I14", "intake-service", f"referral {id} shows another state than its lines have")
        if row["state"] not in set(State) or row["stage"] not in set(Stage):
            yield Violation("I14", "intake-service", f"referral {id} shows no state of the lifecycle")


async def verify(log: EventLog, subjects: Sequence[Subject], *, patience: float = 10.0) -> Report:
    """Examine started ``log`` and databases. Raises ``Unavailable``."""
    replay = Replay()
    evidence = await gather(log, subjects, patience=patience, on_event=replay.take, begin=replay.begin)
    projections = await _projections(subjects)
    report = examine(evidence, (*CHASSIS_INVARIANTS, *_own_invariants(projections, replay)))
    counts = {"referrals": len(replay.facts), "deliveries": len(projections.deliveries)}
    return Report(report.evidence, report.findings, {**report.counts, **counts})


def _own_invariants(projections: Projections, replay: Replay) -> Sequence[Invariant]:
    return (
        Invariant(
            id="I7", name="serial-replay", check=lambda _: serial_replay(projections, replay.folded()),
            sentence="Every service keeps of a referral what the pure fold of the log gives.",
        ),
        Invariant(
            id="I9", name="delivery-once", check=lambda evidence: delivery_once(projections, evidence),
            sentence="There is one delivery for an event, a route and a kind.",
        ),
        Invariant(
            id="I14", name="legal-state", check=lambda _: legal_state(projections, replay),
            sentence="A referral opens once, and its state is the join of its lines.",
        ),
    )  # fmt: skip


async def _projections(subjects: Sequence[Subject]) -> Projections:
    lines: dict[str, dict[ReferralKey, Row]] = {}
    deliveries: list[Row] = []
    for subject in subjects:
        table = _PROJECTIONS.get(subject.definition.name)
        if table is None:
            continue
        names = [name for name in ("practice_id", "id", "lines", "state", "stage") if name in table.c]
        rows = await _rows(subject, select(*(table.c[name] for name in names)))
        lines[subject.definition.name] = {(row["practice_id"], row["id"]): row for row in rows}
        if subject.definition.name == notification.DEFINITION.name:
            wanted = ("practice_id", "id", "event_id", "route_id", "kind", "referral_id")
            deliveries = await _rows(subject, select(*(_DELIVERIES.c[name] for name in wanted)))
    return Projections(lines, deliveries)


async def _rows(subject: Subject, clause: Any) -> list[Row]:
    async with subject.database.reading(None) as session:
        return await session.fetch(Statement(clause))


def running_settings(settings: ChassisSettings) -> ChassisSettings:
    """The settings of the installation in the data folder; a running cluster says where its servers are."""
    state = RunState(settings.data_dir).running() or {}
    if settings.database_url is not None or settings.kafka or not state.get("database_url"):
        return settings
    where = {
        "database_url": SecretStr(state["database_url"]),
        "kafka": tuple(part.strip() for part in str(state["kafka"]).split(",")),
    }
    return settings.model_copy(update=where)


@asynccontextmanager
async def opened(
    settings: ChassisSettings, definitions: Sequence[ServiceDefinition] = DEFINITIONS
) -> AsyncIterator[tuple[EventLog, list[Subject]]]:
    """Log and databases of an installation, open for reading; nothing is made where there is none.

    Raises ``Unavailable`` with what cannot be reached.
    """
    url = database_url(settings)
    if not settings.kafka and not (settings.data_dir / "log.sqlite").exists():
        raise Unavailable(f"there is no installation in {settings.data_dir}: log.sqlite is missing")
    async with contextlib.AsyncExitStack() as stack:
        log = open_log(settings)
        await log.start()
        stack.push_async_callback(log.stop)
        subjects = []
        for definition in definitions:
            place = url if url is not None else settings.data_dir / f"{definition.schema}.sqlite"
            if await migrations.current(place, schema=definition.schema) is None:
                raise Unavailable(f"the database of {definition.name} has no tables")
            database = open_database(url, data_dir=settings.data_dir, schema=definition.schema)
            await database.start()
            stack.push_async_callback(database.stop)
            subjects.append(Subject(definition, database))
        yield log, subjects


async def verify_installation(settings: ChassisSettings, *, patience: float = 10.0) -> Report:
    """Open what ``settings`` name and examine it. Raises ``Unavailable``."""
    async with opened(running_settings(settings)) as (log, subjects):
        return await verify(log, subjects, patience=patience)


def show(report: Report, *, as_json: bool, say: Callable[[str], None] = print) -> None:
    """Say what was found, one line an invariant and one a violation."""
    if as_json:
        say(json.dumps(report.plain()))
        return
    if not report.evidence.quiet:
        say("The installation was at work all the time: what is on its way counts as missing.")
    for finding in report.findings:
        found = len(finding.violations)
        mark = "ok " if not found else f"{found} "
        say(f"{finding.invariant.id:4} {finding.invariant.name:14} {mark:>6} {finding.invariant.sentence}")
        for violation in finding.violations[:MOST_SHOWN]:
            say(f"       {violation.where}: {violation.detail}")
        if found > MOST_SHOWN:
            say(f"       and {found - MOST_SHOWN} more")
    say("  ".join(f"{name}={count}" for name, count in report.counts.items()))
