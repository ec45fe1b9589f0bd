"""What all services of one process stand on, made from settings: clock, log, keys, tokens, content of
others.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from baton_chassis import jwks
from baton_chassis.clock import Clock, MovableClock, SystemClock
from baton_chassis.content import ContentClient, ContentSource, HttpContent, InProcessContent
from baton_chassis.database import open_database
from baton_chassis.ids import new_id
from baton_chassis.keyfile import KeyFileRefused
from baton_chassis.log.port import EventLog
from baton_chassis.practices import read_practices
from baton_chassis.sealing import RootKeys
from baton_chassis.service import Environment
from baton_chassis.settings import ChassisSettings, Misconfigured
from baton_chassis.tokens import Issuer, ServiceCredential, Trust, Verifier


@dataclass(frozen=True, kw_only=True)
class Foundation:
    """The shared parts, and the environment that services are built on.

    ``issuer`` is the sandbox's own, None where tokens come from elsewhere; ``owners`` is to be filled with
    the content sources of the services of this process.
    """

    settings: ChassisSettings
    environment: Environment
    issuer: Issuer | None
    owners: dict[str, Mapping[str, ContentSource]]


def lay(settings: ChassisSettings, *, log: EventLog, service: str) -> Foundation:
    """Build everything that ``settings`` decide. Raises ``Misconfigured`` with the reason, never half done.

    ``service`` names the process towards other services (whose content it fetches).
    """
    try:
        issuer = _issuer(settings)
        credential = _credential(settings, service)
        roots = RootKeys.from_file(
            settings.key_file or settings.data_dir / "root.key", create=settings.key_file is None
        )
    except (KeyFileRefused, ValueError) as error:
        raise Misconfigured(str(error)) from None
    clock: Clock = MovableClock() if settings.test_clock else SystemClock()
    owners: dict[str, Mapping[str, ContentSource]] = {}
    environment = Environment(
        settings=settings,
        clock=clock,
        ids=new_id,
        log=log,
        open_database=lambda schema: open_database(
            database_url(settings), data_dir=settings.data_dir, schema=schema
        ),
        root_keys=roots,
        admit=Verifier(*_trusts(settings, issuer, credential)),
        contents=_contents(settings, owners, credential),
        practices=read_practices(settings.practices),
    )
    return Foundation(settings=settings, environment=environment, issuer=issuer, owners=owners)


def database_url(settings: ChassisSettings) -> str | None:
    """The PostgreSQL address, None for SQLite."""
    return settings.database_url.get_secret_value() if settings.database_url is not None else None


def open_log(settings: ChassisSettings, *, clock: Clock | None = None) -> EventLog:
    """The log that ``settings`` name: Apache Kafka, or one SQLite file in the data folder."""
    if settings.kafka:
        # aiokafka is loaded only where Kafka is used
        from baton_chassis.log.kafka import KafkaEventLog
        from baton_chassis.log.kafka_settings import KafkaSettings

        return KafkaEventLog(KafkaSettings(bootstrap=",".join(settings.kafka)))
    from baton_chassis.log.sqlite import SqliteEventLog

    return SqliteEventLog(settings.data_dir / "log.sqlite", clock=clock)


def _issuer(settings: ChassisSettings) -> Issuer | None:
    if settings.jwks_url is not None:
        return None
    return Issuer.embedded(settings.data_dir / "issuer.pem", profile=settings.profile)


def _credential(settings: ChassisSettings, service: str) -> ServiceCredential:
    path = settings.service_credential or settings.data_dir / "service.pem"
    return ServiceCredential.from_file(path, service=service, create=settings.service_credential is None)


def _trusts(
    settings: ChassisSettings, issuer: Issuer | None, credential: ServiceCredential
) -> tuple[Trust, ...]:
    if issuer is not None:
        return (issuer.trust(), credential.trust)
    assert settings.jwks_url is not None
    assert settings.issuer is not None
    load = (
        jwks.from_file(Path(urlsplit(settings.jwks_url).path))
        if settings.jwks_url.startswith("file:")
        else jwks.from_url(settings.jwks_url)
    )
    return (Trust(issuer=settings.issuer, keys=jwks.LoadedKeys(load)), credential.trust)


def _contents(
    settings: ChassisSettings,
    owners: Mapping[str, Mapping[str, ContentSource]],
    credential: ServiceCredential,
) -> ContentClient:
    if settings.peers:
        return HttpContent(settings.peers, token=credential.token)
    return InProcessContent(owners)


def complain(reasons: Misconfigured) -> int:
    """Say every reason on standard error; gives the exit code."""
    for reason in reasons.reasons:
        print(reason, file=sys.stderr)  # noqa: T201 - for whoever starts the process, before there is a log
    return reasons.exit_code
