"""Offices: made known, changed, vouched for, paused."""

from __future__ import annotations

from itertools import groupby

from baton_chassis.commands import Reply
from baton_chassis.work import Work
from baton_notification.commands import (
    ChangeOffice,
    PauseOffice,
    RegisterOffice,
    ResumeOffice,
    StatedRoute,
    VerifyRoute,
)
from baton_notification.domain.delivery import Delivery
from baton_notification.domain.ladder import Status
from baton_notification.domain.office import Office, Route
from baton_notification.handlers.views import office_shown


async def register_office(command: RegisterOffice, work: Work) -> Reply:
    """A new office, unverified."""
    office = Office.register(
        id=command.id,
        name=command.name,
        identifiers=command.identifiers,
        routes=_routes(command.routes),
        time_zone=command.time_zone,
        preferences=command.preferences,
        at=work.now,
    )
    work.save(office)
    return _shown(office, kind="created")


async def change_office(command: ChangeOffice, work: Work) -> Reply:
    """Something else is said about it."""
    office = await work.load(Office, command.id)
    office.change(
        at=work.now,
        name=command.name,
        identifiers=command.identifiers,
        routes=_routes(command.routes) if command.routes is not None else None,
        time_zone=command.time_zone,
        preferences=command.preferences,
    )
    work.save(office)
    return _shown(office)


async def verify_route(command: VerifyRoute, work: Work) -> Reply:
    """Our staff vouches for the address."""
    office = await work.load(Office, command.id)
    office.verify(command.route_id, at=work.now)
    work.save(office)
    return _shown(office)


async def pause_office(command: PauseOffice, work: Work) -> Reply:
    """Hold what waits; what a worker has in its hands goes on."""
    office = await work.load(Office, command.id)
    office.pause(at=work.now)
    work.save(office)
    for delivery in await work.select(Delivery, office_id=office.id, status=Status.QUEUED.value):
        delivery.hold(at=work.now)
        work.save(delivery)
    return _shown(office)


async def resume_office(command: ResumeOffice, work: Work) -> Reply:
    """Release the newest of each chain; what it supersedes is not sent any more."""
    office = await work.load(Office, command.id)
    office.resume(at=work.now)
    work.save(office)
    held = await work.select(Delivery, office_id=office.id, status=Status.QUEUED.value)
    for chain, deliveries in groupby(sorted(held, key=_by_chain), key=lambda one: one.chain):
        waiting = list(deliveries)
        newest = waiting[-1]
        for delivery in waiting:
            if chain and delivery is not newest:
                delivery.supersede(at=work.now)
            else:
                delivery.release(at=work.now)
            work.save(delivery)
    return _shown(office)


def _by_chain(delivery: Delivery) -> tuple[str, str]:
    return delivery.chain, delivery.id


def _routes(stated: tuple[StatedRoute, ...]) -> tuple[Route, ...]:
    return tuple(Route(id=one.id, channel=one.channel, address=one.address) for one in stated)


def _shown(office: Office, *, kind: str = "done") -> Reply:
    location = RegisterOffice.location.format(id=office.id) if kind == "created" else None
    return Reply(
        kind="created" if kind == "created" else "done",
        body=office_shown(office),
        version=office.version,
        location=location,
    )
