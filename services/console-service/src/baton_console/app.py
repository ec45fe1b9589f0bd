"""Console, put together."""

from __future__ import annotations

from collections.abc import Sequence

from baton_chassis.service import Environment, Service, ServiceDefinition
from baton_chassis.work import WriteSet
from baton_console import rest, store, stream
from baton_console.queries import Queries


def build(environment: Environment) -> Service:
    """The service on ``environment``, not started."""
    listeners = rest.Listeners()
    definition = ServiceDefinition(
        name=stream.CONSOLE,
        package="baton_console",
        schema="console",
        metadata=store.METADATA,
        tables=store.TABLES,
        repositories=store.REPOSITORIES,
        commands={},
        subscriptions=(stream.SUBSCRIPTION,),
        routes=lambda service: [rest.routes(Queries(service.reader), listeners)],
    )
    service = Service(definition, environment)

    def heard(sets: Sequence[WriteSet]) -> None:
        listeners.knock()

    service.writer.on_commit.append(heard)
    return service
