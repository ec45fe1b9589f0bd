"""One running service: everything is built here from a definition and an environment, started by role,
stopped in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from fastapi import FastAPI
from sqlalchemy import MetaData, bindparam, select

from baton_chassis import logs
from baton_chassis.clock import Clock, MovableClock
from baton_chassis.codec import CommandCodec
from baton_chassis.commands import Command
from baton_chassis.consumer import Consumer, Subscription
from baton_chassis.content import ContentClient, ContentSource
from baton_chassis.database import Database, Statement
from baton_chassis.dispatcher import Dispatcher
from baton_chassis.doors import Admit, Doorway, Routes
from baton_chassis.ids import Ids
from baton_chassis.keys import StoredKeys
from baton_chassis.log.port import EventLog
from baton_chassis.mounting import mount, new_app
from baton_chassis.practices import Practices
from baton_chassis.reads import Reader, UnitSnapshot
from baton_chassis.relay import Relay
from baton_chassis.repository import Repository
from baton_chassis.sealing import Keyring, RootKeys
from baton_chassis.settings import ChassisSettings
from baton_chassis.signals import Signal
from baton_chassis.sweeping import Sweeper
from baton_chassis.tables import ChassisTables
from baton_chassis.timers import Timers
from baton_chassis.work import HandlerOf, WriteSet
from baton_chassis.writer import Writer
from baton_chassis.writing import Renderer, WriteStatements
from baton_contracts.topics import REFERRAL_EVENTS, TOPICS, partition_for

log = logs.get("service")

ROLES = ("web", "relay", "consumer", "delivery", "timers")


class Worker(Protocol):
    """A loop of a service's own (sending, sweeping). ``run`` serves until cancelled and survives its
    failures.
    """

    name: str

    async def run(self) -> None:
        """Serve for ever."""
        ...

    def knock(self) -> None:
        """There may be work: called after every commit of this process and after every move of the clock."""
        ...


@dataclass(frozen=True, kw_only=True)
class ServiceDefinition:
    """What makes one service different from another. ``name`` is its consumer group, ``schema`` its
    database.
    """

    name: str
    package: str
    schema: str
    metadata: MetaData
    tables: ChassisTables
    repositories: Mapping[type, Repository[Any]]
    commands: Mapping[type[Command], HandlerOf]
    subscriptions: Sequence[Subscription] = ()
    routes: Callable[[Service], Sequence[Routes]] = lambda service: ()
    workers: Callable[[Service], Sequence[Worker]] = lambda service: ()
    contents: Callable[[Service], Mapping[str, ContentSource]] = lambda service: {}


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What a service stands on; several services of one process share one."""

    settings: ChassisSettings
    clock: Clock
    ids: Ids
    log: EventLog
    open_database: Callable[[str], Database]
    root_keys: RootKeys
    admit: Admit
    contents: ContentClient
    practices: Practices
    process: str = field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}")


class Service:
    """A service in this process. ``submit`` decides commands, ``reader`` answers queries, ``app`` is its
    front door.
    """

    def __init__(self, definition: ServiceDefinition, environment: Environment) -> None:
        self.definition = definition
        self.environment = environment
        self.database = environment.open_database(definition.schema)
        self._outbox_filled = Signal()
        self._timer_set = Signal()
        self._read_on = Signal()
        self._build_core()
        self.workers = tuple(definition.workers(self))
        self.contents = definition.contents(self)
        self.routes = tuple(definition.routes(self))
        self._tasks: list[asyncio.Task[None]] = []
        self.consumers: list[Consumer] = []
        self.relay: Relay | None = None
        self.timers: Timers | None = None
        self.failures: dict[str, int] = {}
        self.started_at = time.monotonic()

    def _build_core(self) -> None:
        definition, environment = self.definition, self.environment
        self.codec = CommandCodec(definition.commands)
        stored = StoredKeys(database=self.database, tables=definition.tables)
        self.keyring = Keyring(environment.root_keys, stored)
        self.snapshot = UnitSnapshot(
            database=self.database, tables=definition.tables, keyring=self.keyring, codec=self.codec
        )
        self.reader = Reader(
            database=self.database,
            snapshot=self.snapshot,
            repositories=definition.repositories,
            keyring=self.keyring,
        )
        self.writer = Writer(
            database=self.database,
            statements=WriteStatements(definition.tables),
            renderer=Renderer(keyring=self.keyring, codec=self.codec),
            keyring=self.keyring,
            clock=environment.clock,
            ids=environment.ids,
        )
        self.submit = Dispatcher(
            repositories=definition.repositories,
            handlers=definition.commands,
            snapshot=self.snapshot,
            writer=self.writer,
            clock=environment.clock,
            ids=environment.ids,
        )
        self.writer.on_commit.append(self._committed)
        if isinstance(environment.clock, MovableClock):
            environment.clock.on_move(self._clock_moved)

    @property
    def doorway(self) -> Doorway:
        """What this service's doors stand on."""
        environment = self.environment
        return Doorway(
            admit=environment.admit, submit=self.submit, clock=environment.clock, new_id=environment.ids
        )

    def app(self) -> FastAPI:
        """The service's own application with its own doors (the ones every service has are added by
        ``serving``).
        """
        app = new_app(title=self.definition.name, version="1")
        self.mount(app)
        return app

    def mount(self, app: FastAPI) -> None:
        """Put this service's doors on ``app``; several services may share one."""
        for routes in self.routes:
            mount(app, routes, self.doorway)

    async def start(self, roles: frozenset[str] = frozenset(ROLES)) -> None:
        """Open the database and start the loops of ``roles``. Raises ``Unavailable`` with the remedy."""
        await self.database.start()
        await self.writer.start()
        if "relay" in roles:
            self._start_relay()
        if "consumer" in roles:
            self._start_consumers()
        if "timers" in roles:
            self._start_timers()
        if "delivery" in roles:
            for worker in self.workers:
                self._spawn(worker.run(), worker.name)

    async def stop(self) -> None:
        """Stop reading, finish what was begun, publish what is committed if that goes quickly, close."""
        consumers = [task for task in self._tasks if task.get_name() == "consumer"]
        await _cancel(consumers)
        await self.submit.drain()
        await self._flush_outbox()
        await _cancel([task for task in self._tasks if task not in consumers])
        self._tasks.clear()
        await self.writer.stop()
        await self.database.stop()

    def knock(self) -> None:
        """Wake every loop: something may have changed that they go by."""
        for signal in (self._outbox_filled, self._timer_set, self._read_on):
            signal.knock()
        for worker in self.workers:
            worker.knock()

    async def caught_up(self, key: str, topic: str = REFERRAL_EVENTS) -> bool:
        """Whether this service (in whatever process) has read the key's partition up to its end as of now."""
        number = partition_for(key.encode())
        end = (await self.environment.log.end_offsets(topic)).get(number, 0)
        read = await self.offset(topic, number)
        return read >= end

    async def offset(self, topic: str, partition: int) -> int:
        """The offset that this service reads next in a partition, as committed in its database."""
        places = await self.offsets()
        return places.get((topic, partition), 0)

    async def offsets(self) -> dict[tuple[str, int], int]:
        """The offsets that this service reads next, by topic and partition."""
        table = self.definition.tables.consumer_offset
        statement = _offsets_of(table)
        async with self.database.reading(None) as session:
            rows = await session.fetch(
                statement, consumer=self.definition.name, log_id=self.environment.log.log_id
            )
        return {(row["topic"], row["partition"]): int(row["next"]) for row in rows}

    def _start_relay(self) -> None:
        self.relay = Relay(
            database=self.database,
            tables=self.definition.tables,
            log=self.environment.log,
            holder=f"{self.environment.process}-{self.environment.ids()}",
            wake=self._outbox_filled,
            on_failure=self._failed,
        )
        self._spawn(self.relay.run(), "relay")

    def _start_consumers(self) -> None:
        for subscription in self.definition.subscriptions:
            consumer = Consumer(
                subscription=subscription,
                log=self.environment.log,
                database=self.database,
                tables=self.definition.tables,
                dispatcher=self.submit,
                writer=self.writer,
                clock=self.environment.clock,
                member=self.environment.process,
                on_failure=self._failed,
                progress=self._read_on,
            )
            self.consumers.append(consumer)
            self._spawn(consumer.run(), "consumer")

    def _start_timers(self) -> None:
        self.timers = Timers(
            database=self.database,
            tables=self.definition.tables,
            dispatcher=self.submit,
            writer=self.writer,
            keyring=self.keyring,
            codec=self.codec,
            clock=self.environment.clock,
            wake=self._timer_set,
            caught_up=self.caught_up,
            on_failure=self._failed,
        )
        self._spawn(self.timers.run(), "timers")
        sweeper = Sweeper(
            database=self.database,
            tables=self.definition.tables,
            clock=self.environment.clock,
            on_failure=self._failed,
        )
        self._spawn(sweeper.run(), "sweeper")

    def _spawn(self, loop: Any, name: str) -> None:
        self._tasks.append(asyncio.create_task(loop, name=name))

    def _committed(self, sets: Sequence[WriteSet]) -> None:
        if any(writes.publications for writes in sets):
            self._outbox_filled.knock()
        if any(writes.timers_set for writes in sets):
            self._timer_set.knock()
        for worker in self.workers:
            worker.knock()

    def _clock_moved(self) -> None:
        self._timer_set.knock_from_anywhere()
        for worker in self.workers:
            worker.knock()

    def _failed(self, where: str, error: BaseException) -> None:
        self.failures[where] = self.failures.get(where, 0) + 1
        log.warning("loop.failed", where=where, error_type=type(error).__name__)

    async def _flush_outbox(self) -> None:
        """Give the relay a moment to publish what was committed last; the rest waits for the next start."""
        if self.relay is None:
            return
        count = _count_of(self.definition.tables.outbox)
        self._outbox_filled.knock()
        with contextlib.suppress(Exception, TimeoutError):  # stopping must not depend on log or database
            async with asyncio.timeout(5):
                while True:
                    async with self.database.reading(None) as session:
                        if not await session.fetch(count):
                            return
                    await asyncio.sleep(0.05)


def _offsets_of(table: Any) -> Statement:
    return Statement(
        select(table.c.topic, table.c.partition, table.c.next).where(
            table.c.consumer == bindparam("consumer"), table.c.log_id == bindparam("log_id")
        )
    )


def _count_of(outbox: Any) -> Statement:
    return Statement(select(outbox.c.number).limit(1))


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def prepare_topics(event_log: EventLog) -> None:
    """Start the log and create its topics where they do not exist."""
    await event_log.start()
    await event_log.ensure_topics(TOPICS)
