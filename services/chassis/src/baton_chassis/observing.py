"""How a running service shows itself: health checks that ask for progress, and metrics from what its loops
count.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select

from baton_chassis import metrics
from baton_chassis.database import Statement
from baton_chassis.health import Checks, Health
from baton_chassis.service import Service

STUCK_SECONDS = 60.0
EVERY_SECONDS = 2.0
LAG_EVERY_ROUNDS = 5


@dataclass
class Observer:
    """Looks at one service every two seconds; counters of loops become metrics, their differences are
    added.
    """

    service: Service
    before: dict[tuple[str, str], int] = field(default_factory=dict)
    last_read: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        outbox, parked = self.service.definition.tables.outbox, self.service.definition.tables.parked
        oldest = func.min(outbox.c.recorded_at, type_=outbox.c.recorded_at.type).label("oldest")
        self._outbox = Statement(select(func.count().label("rows"), oldest).select_from(outbox))
        self._parked = Statement(
            select(parked.c.consumer, parked.c.reason, func.count().label("rows")).group_by(
                parked.c.consumer, parked.c.reason
            )
        )
        self._reasons: set[tuple[str, str]] = set()

    def register(self, checks: Checks) -> None:
        """Add this service's checks: its database answers, what is committed gets out, what comes in is
        read.
        """
        name = self.service.definition.schema
        checks.add(f"{name}.database", self._database)
        if self.service.relay is not None:
            checks.add(f"{name}.relay", self._relay)
        if self.service.consumers:
            checks.add(f"{name}.consumer", self._consumer)

    async def run(self) -> None:
        """Observe for ever; a database that is away only ages what is shown."""
        for round_number in itertools.count():
            self._count()
            try:
                await self._look()
                self.last_read = time.monotonic()
                if round_number % LAG_EVERY_ROUNDS == 0:
                    await self._measure_lag()
            except Exception as error:  # observing must not end; the failure itself is what is observed
                metrics.LOOP_FAILURES.add(
                    service=self.service.definition.name, where=f"observe.{type(error).__name__}"
                )
            await asyncio.sleep(EVERY_SECONDS)

    async def _look(self) -> None:
        name, clock = self.service.definition.name, self.service.environment.clock
        async with self.service.database.reading(None) as session:
            (outbox,) = await session.fetch(self._outbox)
            parked = await session.fetch(self._parked)
        age = (clock.now() - outbox["oldest"]).total_seconds() if outbox["oldest"] else 0.0
        metrics.OUTBOX_ROWS.set(outbox["rows"], service=name)
        metrics.OUTBOX_OLDEST.set(max(age, 0.0), service=name)
        self._show_parked({(row["consumer"], row["reason"]): row["rows"] for row in parked})

    async def _measure_lag(self) -> None:
        """How many events of each partition this service has not applied: the log's end less the database's
        place.
        """
        log = self.service.environment.log
        read = await self.service.offsets()
        for subscription in self.service.definition.subscriptions:
            for topic in subscription.topics:
                for number, end in (await log.end_offsets(topic)).items():
                    behind = max(0, end - read.get((topic, number), 0))
                    metrics.CONSUMER_LAG.set(
                        behind, consumer=subscription.consumer, partition=f"{topic}/{number}"
                    )

    def _show_parked(self, found: dict[tuple[str, str], int]) -> None:
        self._reasons |= set(found)
        for consumer, reason in self._reasons:
            metrics.PARKED.set(found.get((consumer, reason), 0), consumer=consumer, reason=reason)

    def _count(self) -> None:
        name = self.service.definition.name
        relay = self.service.relay
        if relay is not None:
            metrics.RELAY_LEADER.set(1.0 if relay.leading else 0.0, service=name)
            self._add(metrics.RELAY_PUBLISHED, "published", relay.published, service=name)
            self._add(metrics.RELAY_FAILURES, "failures", relay.failures, service=name, error="any")
        for consumer in self.service.consumers:
            labels = {"consumer": consumer.name}
            self._add(metrics.CONSUMER_DUPLICATES, "duplicates", consumer.duplicates, **labels)
            self._add(metrics.CONSUMER_GAPS, "gaps", consumer.gaps, **labels)
            self._add(metrics.CONSUMER_FORKS, "forks", consumer.forks, **labels)
            self._add(metrics.CONSUMER_ZOMBIES, "fenced", consumer.fenced, **labels)
            metrics.CONSUMER_PROGRESS.set(time.time() - (time.monotonic() - consumer.last_progress), **labels)
        for where, times in self.service.failures.items():
            self._add(metrics.LOOP_FAILURES, f"failed {where}", times, service=name, where=where)

    def _add(self, metric: Any, what: str, total: int, **labels: str) -> None:
        key = (what, str(sorted(labels.items())))
        grown = total - self.before.get(key, 0)
        self.before[key] = total
        if grown:
            metric.add(float(grown), **labels)

    async def _database(self) -> Health:
        age = time.monotonic() - self.last_read
        return Health(ok=age < STUCK_SECONDS, age_s=round(age, 1))

    async def _relay(self) -> Health:
        relay = self.service.relay
        assert relay is not None
        age = time.monotonic() - relay.last_success
        return Health(
            ok=age < STUCK_SECONDS, age_s=round(age, 1), detail="leads" if relay.leading else "follows"
        )

    async def _consumer(self) -> Health:
        age = max(time.monotonic() - consumer.last_progress for consumer in self.service.consumers)
        shares = sum(len(consumer.partitions) for consumer in self.service.consumers)
        return Health(ok=age < STUCK_SECONDS, age_s=round(age, 1), detail=f"{shares} partitions")
