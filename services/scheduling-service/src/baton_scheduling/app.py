"""Scheduling, put together."""

from __future__ import annotations

from baton_chassis.service import Environment, Service, ServiceDefinition
from baton_contracts.topics import SCHEDULING
from baton_scheduling import handlers, rest, store, stream
from baton_scheduling.queries import Queries

DEFINITION = ServiceDefinition(
    name=SCHEDULING,
    package="baton_scheduling",
    schema="scheduling",
    metadata=store.METADATA,
    tables=store.TABLES,
    repositories=store.REPOSITORIES,
    commands=handlers.COMMANDS,
    subscriptions=(stream.SUBSCRIPTION,),
    routes=lambda service: [rest.routes(Queries(service.reader))],
)


def build(environment: Environment) -> Service:
    """The service on ``environment``, not started."""
    return Service(DEFINITION, environment)
