"""Notes, put together."""

from __future__ import annotations

from baton_chassis.service import Environment, Service, ServiceDefinition
from baton_contracts.topics import NOTES
from baton_notes import handlers, rest, store, stream
from baton_notes.published import DOCUMENT
from baton_notes.queries import Documents, Queries

DEFINITION = ServiceDefinition(
    name=NOTES,
    package="baton_notes",
    schema="notes",
    metadata=store.METADATA,
    tables=store.TABLES,
    repositories=store.REPOSITORIES,
    commands=handlers.COMMANDS,
    subscriptions=(stream.SUBSCRIPTION,),
    routes=lambda service: [rest.routes(Queries(service.reader))],
    contents=lambda service: {DOCUMENT: Documents(service.reader)},
)


def build(environment: Environment) -> Service:
    """The service on ``environment``, not started."""
    return Service(DEFINITION, environment)
