"""Notification, put together."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from baton_chassis import logs
from baton_chassis.clock import Clock, SystemClock
from baton_chassis.doors import Routes
from baton_chassis.outbound import AllowList, OutboundClient
from baton_chassis.service import Environment, Service, ServiceDefinition
from baton_chassis.settings import ChassisSettings
from baton_contracts.topics import NOTIFICATION
from baton_notification import handlers, mailbox, portal, rest, store, stream
from baton_notification.channels.capture import CapturedMailChannel
from baton_notification.channels.mail import SmtpServer
from baton_notification.channels.rendering import Letters
from baton_notification.channels.webhook import WebhookChannel
from baton_notification.delivering import DeliveryWorker, Outlets
from baton_notification.domain.access import CODE_LASTS
from baton_notification.portal.guarding import Guard, origin_of
from baton_notification.portal.showing import Pages
from baton_notification.portal.visits import Visits
from baton_notification.ports import MailChannel
from baton_notification.queries import Queries
from baton_notification.settings import Settings

logs.allow(delivery_id=logs.identity, referral_id=logs.identity, office_id=logs.identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """Where randomness comes from, and the clock that security goes by. Tests bring their own."""

    handle: Callable[[], str] = lambda: secrets.token_urlsafe(16)
    cookie: Callable[[], str] = lambda: secrets.token_urlsafe(32)
    code: Callable[[], str] = lambda: f"{secrets.randbelow(10**8):08d}"
    octets: Callable[[int], bytes] = secrets.token_bytes
    spread: Callable[[], float] = random.random
    security_clock: Clock = field(default_factory=SystemClock)


def definition(chances: Chances | None = None) -> ServiceDefinition:
    """What makes this service."""
    given = chances or Chances()
    return ServiceDefinition(
        name=NOTIFICATION,
        package="baton_notification",
        schema="notification",
        metadata=store.METADATA,
        tables=store.TABLES,
        repositories=store.REPOSITORIES,
        commands=handlers.COMMANDS,
        subscriptions=(stream.subscription(given.handle),),
        routes=lambda service: _routes(service, given),
        workers=lambda service: (_worker(service, given),),
    )


DEFINITION = definition()


def build(environment: Environment) -> Service:
    """The service on ``environment``, not started."""
    return Service(DEFINITION, environment)


def settings_of(service: Service) -> Settings:
    """The settings as this service reads them: one process may have been configured for several services."""
    given = service.environment.settings
    if isinstance(given, Settings):
        return given
    return Settings.model_construct(**_stated(given))


def _stated(given: ChassisSettings) -> dict[str, Any]:
    return {name: getattr(given, name) for name in type(given).model_fields}


def outbound_of(settings: Settings) -> OutboundClient:
    """The guarded client, open to what the settings list."""
    return OutboundClient(allow=AllowList.parse(settings.outbound_allow))


def _routes(service: Service, chances: Chances) -> list[Routes]:
    settings, queries = settings_of(service), Queries(service.reader)
    doors = rest.routes(queries, outbound=outbound_of(settings), randomness=chances.octets)
    doors.append(portal.routes(_portal(service, settings, queries, chances)))
    if settings.captures_mail:
        doors.append(mailbox.routes(store.MailboxRows(service.database)))
    return doors


def _portal(service: Service, settings: Settings, queries: Queries, chances: Chances) -> portal.Portal:
    origin, pages = origin_of(settings.base_url), Pages(service.environment.practices)
    return portal.Portal(
        visits=Visits(
            handles=store.HandleRows(service.database),
            queries=queries,
            clock=chances.security_clock,
            secret=chances.cookie,
            secure=origin.startswith("https:"),
        ),
        queries=queries,
        pages=pages,
        contents=service.environment.contents,
        clock=chances.security_clock,
        new_code=chances.code,
        guard=Guard(pages=pages, origin=origin),
    )


def _worker(service: Service, chances: Chances) -> DeliveryWorker:
    settings, environment = settings_of(service), service.environment
    outlets = Outlets(
        mail=_mail(service, settings, chances),
        webhook=WebhookChannel(outbound_of(settings), clock=chances.security_clock),
        letters=Letters(code_minutes=int(CODE_LASTS.total_seconds() // 60)),
        practices=environment.practices,
        contents=environment.contents,
        public_url=settings.base_url,
        mail_domain=settings.sender.rpartition("@")[2],
    )
    return DeliveryWorker(
        due=store.DueRows(database=service.database, keyring=service.keyring, new_id=environment.ids),
        queries=Queries(service.reader),
        submit=service.submit,
        outlets=outlets,
        clock=environment.clock,
        security_clock=chances.security_clock,
        chance=chances.spread,
    )


def _mail(service: Service, settings: Settings, chances: Chances) -> MailChannel:
    if settings.smtp_url is None:
        return CapturedMailChannel(
            service.submit,
            sender=settings.sender,
            clock=chances.security_clock,
            new_id=service.environment.ids,
        )
    return SmtpServer(
        settings.smtp_url.get_secret_value(), sender=settings.sender, clock=chances.security_clock
    )
