"""Services as a process: take the port, start, say ready, serve until told to stop, stop in order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import Field

from baton_chassis import failpoints, logs, migrations
from baton_chassis.clock import MovableClock
from baton_chassis.commands import Caller
from baton_chassis.content import Content, ContentSource, content_routes
from baton_chassis.doors import Answer, Ask, Body, Routes
from baton_chassis.errors import Unavailable
from baton_chassis.foundation import Foundation, complain, database_url, lay, open_log
from baton_chassis.front import Front
from baton_chassis.health import Checks, operations_routes
from baton_chassis.mounting import mount, new_app
from baton_chassis.observing import Observer
from baton_chassis.service import ROLES, Environment, Service, prepare_topics
from baton_chassis.settings import ChassisSettings, Misconfigured
from baton_chassis.validation import read_body
from baton_chassis.work import AuditEntry, WriteSet

Build = Callable[[Environment], Service]

EXIT_UNAVAILABLE = 69
EXIT_PORT_TAKEN = 98


class PortTaken(Exception):
    """Somebody else listens there."""


@dataclass
class Node:
    """Services in this process behind one port."""

    foundation: Foundation
    services: list[Service]
    extra_routes: list[Routes] = field(default_factory=list)
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    @property
    def settings(self) -> ChassisSettings:
        """What the process was told."""
        return self.foundation.settings

    async def migrate(self) -> None:
        """Bring every database to its newest schema."""
        for service in self.services:
            await migrate(service, self.settings)

    async def start(self) -> None:
        """Start log, services and observers. Raises ``Unavailable`` with the remedy."""
        await prepare_topics(self.foundation.environment.log)
        roles = frozenset(ROLES) if "all" in self.settings.role else frozenset(self.settings.role)
        for service in self.services:
            await service.start(roles)

    async def stop(self) -> None:
        """Stop in reverse order; what was committed is published or waits for the next start."""
        for task in self.tasks:
            task.cancel()
        for service in reversed(self.services):
            await service.stop()
        await self.foundation.environment.log.stop()

    def app(self) -> FastAPI:
        """One application with the doors of all services and those that every process has."""
        title = self.services[0].definition.name if len(self.services) == 1 else "baton"
        app = new_app(title=title, version="1")
        checks = Checks()
        for service in self.services:
            observer = Observer(service)
            observer.register(checks)
            self.tasks.append(asyncio.create_task(observer.run(), name="observer"))
            service.mount(app)
            if service.contents and len(self.services) == 1:
                mount(app, content_routes(service.contents, audit=_audit(service)), service.doorway)
        doorway = self.services[0].doorway
        for routes in (*self.extra_routes, operations_routes(app, checks), *self._development_routes()):
            mount(app, routes, doorway)
        return app

    def _development_routes(self) -> Sequence[Routes]:
        clock = self.foundation.environment.clock
        if self.settings.is_prod or not isinstance(clock, MovableClock):
            return ()
        return (clock_routes(clock, self.services),)


class Advance(Body):
    """How far to move the test clock."""

    seconds: int = Field(ge=0, le=10 * 366 * 86_400)


def clock_routes(clock: MovableClock, services: Sequence[Service]) -> Routes:
    """The door that moves the test clock; it answers once every loop of the process has been woken."""
    routes = Routes(tag="development")

    @routes.raw(
        "POST", "/dev/clock/advance", public=True, accepts=("application/json",),
        produces=("application/json",), documented=False, summary="Move the test clock forward.",
    )  # fmt: skip
    async def advance(ask: Ask[Any]) -> Answer:
        asked = read_body(Advance, ask.raw)
        clock.advance(timedelta(seconds=asked.seconds))
        for service in services:
            service.knock()
        return Answer(body={"now": clock.now().isoformat(), "seconds": asked.seconds})

    return routes


async def migrate(service: Service, settings: ChassisSettings) -> str:
    """Bring one service's database to its newest schema; gives the revision."""
    definition = service.definition
    url = database_url(settings)
    database = url if url is not None else settings.data_dir / f"{definition.schema}.sqlite"
    return await migrations.upgrade(
        database, package=definition.package, schema=definition.schema, metadata=definition.metadata
    )


def take_port(host: str, port: int) -> socket.socket:
    """A listening socket; raises ``PortTaken``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise PortTaken(f"{host}:{port}") from None
        raise
    listener.listen(512)
    listener.setblocking(False)
    return listener


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handling: the process is stopped in one place."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(app: Any, listener: socket.socket, *, stop: asyncio.Event) -> None:
    """Serve ``app`` on ``listener`` until ``stop`` is set; open requests get five seconds."""
    config = uvicorn.Config(
        app,
        loop="none",
        http="httptools",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await asyncio.wait([serving, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await serving


def stop_on_signals(stop: asyncio.Event) -> None:
    """SIGINT and SIGTERM ask for an orderly end; a second one ends at once."""
    loop = asyncio.get_running_loop()

    def asked() -> None:
        if stop.is_set():
            raise SystemExit(130)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked)


async def run_node(
    node: Node, listener: socket.socket, *, on_ready: Callable[[Node, int], Awaitable[None]] | None = None
) -> None:
    """Start ``node``, serve it, stop it; ``on_ready`` is told the port once everything answers."""
    stop = asyncio.Event()
    stop_on_signals(stop)
    await node.start()
    try:
        serving = asyncio.create_task(serve(Front(node.app()), listener, stop=stop))
        if on_ready is not None:
            await on_ready(node, listener.getsockname()[1])
        await serving
    finally:
        await node.stop()


def arm_failpoint(settings: ChassisSettings) -> None:
    """Arm what BATON_FAILPOINT names. Raises ``Misconfigured``."""
    if settings.failpoint is None:
        return
    try:
        failpoints.arm(settings.failpoint)
    except ValueError as error:
        raise Misconfigured(f"BATON_FAILPOINT: {error}") from None


def main(build: Build, settings_type: type[ChassisSettings], *, name: str) -> None:
    """``python -m baton_x``: one service as a process of its own, in the roles of BATON_ROLE."""
    sys.exit(_main(build, settings_type, name))


def _main(build: Build, settings_type: type[ChassisSettings], name: str) -> int:
    try:
        settings = settings_type.read()
        logs.configure(service=name)
        arm_failpoint(settings)
        listener = take_port(settings.host, settings.port)
        foundation = lay(settings, log=open_log(settings), service=name)
    except Misconfigured as reasons:
        return complain(reasons)
    except PortTaken as taken:
        print(f"{taken} is taken. Set BATON_PORT to another port.", file=sys.stderr)  # noqa: T201
        return EXIT_PORT_TAKEN
    service = build(foundation.environment)
    try:
        uvicorn_loop().run(run_node(Node(foundation, [service]), listener, on_ready=_say_ready))
    except Unavailable as error:
        print(f"{name} cannot start: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_UNAVAILABLE
    return 0


def uvicorn_loop() -> asyncio.Runner:
    """A runner on uvloop; asyncio's own loop with h11 is three to five times slower."""
    import uvloop  # loaded where a process is made of us, not by who imports this module

    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


async def _say_ready(node: Node, port: int) -> None:
    name = node.services[0].definition.name
    print(f"READY {name} http://{node.settings.host}:{port}", flush=True)  # noqa: T201


def _audit(service: Service) -> Callable[[Caller, str, str, int], Awaitable[None]]:
    """An audit row before any byte of content leaves."""

    async def read(caller: Caller, kind: str, id: str, version: int) -> None:
        now = service.environment.clock.now()
        entry = AuditEntry(
            caller.practice_id,
            now,
            caller.actor,
            f"content.read.{kind}",
            f"{id}.{version}",
            caller.correlation_id,
        )
        await service.writer.write(WriteSet(audit=[entry]))

    return read


class AuditedSource:
    """A service's content for others in the same process: as through its internal door, audit row first."""

    def __init__(self, source: ContentSource, service: Service) -> None:
        self._source = source
        self._audit = _audit(service)

    async def read(self, practice_id: str, kind: str, id: str, version: int) -> Content | None:
        """The content, once it stands in the audit that it was asked for."""
        found = await self._source.read(practice_id, kind, id, version)
        if found is not None:
            caller = Caller(practice_id=practice_id, actor="service:in-process", assertion="system_inferred")
            await self._audit(caller, kind, id, version)
        return found
