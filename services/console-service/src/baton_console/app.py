"""Console, put together."""

from __future__ import annotations

from baton_chassis.doors import Routes
from baton_chassis.service import Environment, Service, ServiceDefinition
from baton_console import rest, store, stream
from baton_console.queries import Queries


def _routes(service: Service) -> list[Routes]:
    """The doors; whoever listens to the live stream is woken by every commit of this process."""
    listeners = rest.Listeners()
    service.writer.on_commit.append(lambda sets: listeners.knock())
    return [rest.routes(Queries(service.reader), listeners)]


DEFINITION = ServiceDefinition(
    name=stream.CONSOLE,
    package="baton_console",
    schema="console",
    metadata=store.METADATA,
    tables=store.TABLES,
    repositories=store.REPOSITORIES,
    commands={},
    subscriptions=(stream.SUBSCRIPTION,),
    routes=_routes,
)


def build(environment: Environment) -> Service:
    """The service on ``environment``, not started."""
    return Service(DEFINITION, environment)
