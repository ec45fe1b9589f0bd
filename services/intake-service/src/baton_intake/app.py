"""Puts intake together: the one place where its parts are built."""

from __future__ import annotations

from collections.abc import Mapping

from baton_chassis.content import ContentSource
from baton_chassis.doors import Routes
from baton_chassis.service import Environment, Service, ServiceDefinition
from baton_contracts.topics import INTAKE
from baton_intake import handlers, store, stream
from baton_intake.fhir import routes as fhir_routes
from baton_intake.published import PATIENT_CARD
from baton_intake.queries import PatientCards, Queries
from baton_intake.rest import routes as native_routes

DEFINITION = ServiceDefinition(
    name=INTAKE,
    package="baton_intake",
    schema="intake",
    metadata=store.METADATA,
    tables=store.TABLES,
    repositories=store.REPOSITORIES,
    commands=handlers.COMMANDS,
    subscriptions=(stream.SUBSCRIPTION,),
    routes=lambda service: _routes(service),
    contents=lambda service: _contents(service),
)


def build(environment: Environment) -> Service:
    """Intake in this process, not yet started."""
    return Service(DEFINITION, environment)


def _routes(service: Service) -> list[Routes]:
    queries = Queries(service.reader)
    return [native_routes(queries), fhir_routes(queries)]


def _contents(service: Service) -> Mapping[str, ContentSource]:
    return {PATIENT_CARD: PatientCards(Queries(service.reader))}
