"""The `baton` command: start it, get a token, migrate, watch events, verify."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from datetime import timedelta
from typing import Annotated, Any

import typer

from baton_chassis import failpoints
from baton_chassis.errors import Unavailable
from baton_chassis.foundation import complain
from baton_chassis.practices import read_practices
from baton_chassis.settings import Misconfigured
from baton_chassis.tokens import Issuer
from baton_notification.settings import Settings

app = typer.Typer(
    help="Baton: referrals that do not get lost.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
events = typer.Typer(help="Watch the event stream.", no_args_is_help=True)
app.add_typer(events, name="events")

EXIT_FOUND = 1
EXIT_USAGE = 2
EXIT_UNAVAILABLE = 69


def main() -> None:
    """The console command."""
    app()


@app.command()
def up() -> None:
    """Start every service in this process (SQLite and the embedded log unless the settings say otherwise)."""
    from baton_embedded.starting import up as start  # the services are loaded only to be run

    raise typer.Exit(start())


@app.command()
def token(
    scope: Annotated[list[str], typer.Option(help="A scope; repeat for more.")],
    practice: Annotated[str | None, typer.Option(help="The practice; the first one by default.")] = None,
    ttl: Annotated[str, typer.Option(help="How long it lives: 90s, 15m, 1h.")] = "1h",
    subject: Annotated[str, typer.Option(help="Whom it names.")] = "operator",
) -> None:
    """Print an access token of the sandbox's own issuer (not in profile prod)."""
    settings = _settings()
    try:
        issuer = Issuer.embedded(settings.data_dir / "issuer.pem", profile=settings.profile)
        practice_id = practice or read_practices(settings.practices).ids[0]
    except Misconfigured as reasons:
        raise typer.Exit(complain(reasons)) from None
    except ValueError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(78) from None
    print(
        issuer.issue(
            scopes=scope,
            practice=practice_id,
            ttl=_duration(ttl),
            subject=subject,
            client_id=f"cli-{subject}",
        )
    )


@app.command()
def migrate(json_output: Annotated[bool, typer.Option("--json", help="One JSON line.")] = False) -> None:
    """Bring every service's database to its newest schema."""
    from baton_chassis.serving import migrate as bring_up
    from baton_embedded.assembly import assemble

    settings = _settings()

    async def run() -> dict[str, str]:
        node = assemble(settings)
        return {service.definition.name: await bring_up(service, settings) for service in node.services}

    try:
        revisions = asyncio.run(run())
    except Misconfigured as reasons:
        raise typer.Exit(complain(reasons)) from None
    except Unavailable as error:
        print(error, file=sys.stderr)
        raise typer.Exit(EXIT_UNAVAILABLE) from None
    if json_output:
        print(json.dumps(revisions))
        return
    for name, revision in revisions.items():
        print(f"{name:24} {revision}")


@app.command()
def verify(
    patience: Annotated[str, typer.Option(help="How long to wait for a quiet moment: 5s, 1m.")] = "10s",
    json_output: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Check the invariants of this installation: journals, log, consumers, deliveries. Writes nothing."""
    from baton_embedded.verifying import show, verify_installation  # the services are loaded only to be read

    seconds = _duration(patience).total_seconds()
    try:
        report = asyncio.run(verify_installation(_settings(), patience=seconds))
    except Unavailable as error:
        print(error, file=sys.stderr)
        raise typer.Exit(EXIT_UNAVAILABLE) from None
    show(report, as_json=json_output)
    raise typer.Exit(EXIT_FOUND if report.violations else 0)


@events.command()
def tail(
    type: Annotated[str | None, typer.Option(help="Only this event type.")] = None,
    referral: Annotated[str | None, typer.Option(help="Only this referral.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only what was recorded in the last 90s, 15m, 2h.")
    ] = None,
    follow: Annotated[bool, typer.Option(help="Go on with what comes.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Whole events, one JSON line each.")] = False,
) -> None:
    """Show events from the log, oldest first."""
    from baton_embedded.tailing import Wanted
    from baton_embedded.tailing import tail as show

    wanted = Wanted(type=type, referral=referral, since=_duration(since) if since else None)
    try:
        asyncio.run(show(_settings(), wanted, follow=follow, whole=json_output))
    except Unavailable as error:
        print(error, file=sys.stderr)
        raise typer.Exit(EXIT_UNAVAILABLE) from None
    except KeyboardInterrupt:
        return


@app.command("failpoints")
def list_failpoints(
    json_output: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """List the places where BATON_FAILPOINT=name:n can end a process (development only)."""
    importlib.import_module("baton_embedded.assembly")
    declared = dict(failpoints.declared())
    if json_output:
        print(json.dumps(declared))
        return
    for name, sentence in declared.items():
        print(f"{name:28} {sentence}")


def _settings() -> Settings:
    try:
        return Settings.read()
    except Misconfigured as reasons:
        raise typer.Exit(complain(reasons)) from None


def _duration(text: str) -> timedelta:
    units: dict[str, str] = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    number, unit = text[:-1], units.get(text[-1:])
    if unit is None or not number.isdigit():
        raise typer.BadParameter("write a number and s, m, h or d: 15m")
    arguments: dict[str, Any] = {unit: int(number)}
    return timedelta(**arguments)
