"""Every service in one process: the only place that knows them all."""

from __future__ import annotations

from collections.abc import Sequence

from baton_chassis.foundation import Foundation, lay, open_log
from baton_chassis.service import Service
from baton_chassis.serving import AuditedSource, Build, Node
from baton_console import app as console
from baton_intake import app as intake
from baton_notes import app as notes
from baton_notification import app as notification
from baton_notification.settings import Settings
from baton_scheduling import app as scheduling

BUILDS: Sequence[Build] = (intake.build, scheduling.build, notes.build, notification.build, console.build)


def assemble(settings: Settings) -> Node:
    """All services on one foundation, not started. Raises ``Misconfigured``."""
    foundation = lay(settings, log=open_log(settings), service="embedded")
    return Node(foundation, build_all(foundation))


def build_all(foundation: Foundation) -> list[Service]:
    """Every service; each can fetch the content of the others without leaving the process."""
    services = [build(foundation.environment) for build in BUILDS]
    for service in services:
        foundation.owners[service.definition.name] = {
            kind: AuditedSource(source, service) for kind, source in service.contents.items()
        }
    return services
