"""`baton up`: every service in this process, a ready line, a state file, a clean end."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx

from baton_chassis import logs
from baton_chassis.errors import Unavailable
from baton_chassis.foundation import complain
from baton_chassis.serving import (
    EXIT_PORT_TAKEN,
    EXIT_UNAVAILABLE,
    Node,
    PortTaken,
    arm_failpoint,
    run_node,
    take_port,
    uvicorn_loop,
)
from baton_chassis.settings import Misconfigured
from baton_embedded.assembly import assemble
from baton_embedded.demo import Demo
from baton_embedded.front_page import front_page
from baton_embedded.run_state import RunState
from baton_notification.settings import Settings

EVERY_SCOPE = [
    "referrals:read",
    "referrals:write",
    "schedule:read",
    "schedule:write",
    "visit:write",
    "notes:read",
    "notes:write",
    "notes:release",
    "notify:read",
    "notify:resend",
    "offices:read",
    "offices:write",
    "webhooks:manage",
    "questions:read",
    "questions:write",
    "events:read",
    "ops:read",
    "ops:write",
    "system/ServiceRequest.crus",
    "system/Task.crus",
]


def up() -> int:
    """Run until stopped; gives the exit code."""
    try:
        settings = Settings.read()
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        logs.configure(write=_log_file(settings.data_dir))
        arm_failpoint(settings)
        state = RunState(settings.data_dir)
        already = state.running()
        if already is not None:
            raise Misconfigured(
                f"{settings.data_dir} is in use by process {already['pid']} at {already['base_url']}. "
                "Stop it, or set BATON_DATA_DIR to another folder."
            )
        listener = take_port(settings.host, settings.port)
        node = assemble(_addressed(settings, listener.getsockname()[1]))
    except Misconfigured as reasons:
        return complain(reasons)
    except PortTaken as taken:
        print(
            f"{taken} is taken. Stop what listens there, or choose another: BATON_PORT=8401 make run",
            file=sys.stderr,
        )
        return EXIT_PORT_TAKEN
    return _run(node, listener, state)


def _addressed(settings: Settings, port: int) -> Settings:
    """The settings with the address that links in mails lead to: this port, unless another was set."""
    if settings.public_url is not None:
        return settings
    return settings.model_copy(update={"public_url": f"http://{settings.host}:{port}"})


def _run(node: Node, listener: socket.socket, state: RunState) -> int:
    node.extra_routes.append(front_page())
    try:
        uvicorn_loop().run(_serve(node, listener, state))
    except Unavailable as error:
        print(f"Baton cannot start: {error}", file=sys.stderr)
        return EXIT_UNAVAILABLE
    finally:
        state.remove()
    return 0


async def _serve(node: Node, listener: socket.socket, state: RunState) -> None:
    await node.migrate()

    async def ready(node: Node, port: int) -> None:
        await _say_ready(node, port, state)

    await run_node(node, listener, on_ready=ready)


async def _say_ready(node: Node, port: int, state: RunState) -> None:
    settings = node.settings
    base_url = settings.public_url or f"http://{settings.host}:{port}"
    practice_id = node.foundation.environment.practices.ids[0]
    token = _token(node, practice_id)
    demo_referral_id = None
    if settings.wants_demo and token is not None:
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            base_url=f"http://{settings.host}:{port}", timeout=30, trust_env=False
        ) as client:
            demo = Demo(client, node.foundation.environment.clock.now(), headers)
            demo_referral_id = await demo.play()
    state.write(
        {
            "version": version("baton-embedded"),
            "pid": os.getpid(),
            "profile": settings.profile,
            "base_url": base_url,
            "data_dir": str(settings.data_dir),
            "token": token,
            "practice_id": practice_id,
            "demo_referral_id": demo_referral_id,
            "mailbox_url": f"{base_url}/dev/mailbox" if settings.smtp_url is None else None,
            "events_url": f"{base_url}/v1/events/stream",
            "mllp_port": None,
        }
    )
    _introduce(state.read() or {}, state.path)


def _token(node: Node, practice_id: str) -> str | None:
    issuer = node.foundation.issuer
    if issuer is None:
        return None
    return issuer.issue(
        scopes=EVERY_SCOPE,
        practice=practice_id,
        ttl=timedelta(hours=12),
        subject="demo-operator",
        client_id="demo",
    )


def _introduce(state: dict[str, Any], path: Path) -> None:
    """What a newcomer needs: where things are, and one command to paste. The ready line is for programs."""
    base_url = state["base_url"]
    print(f"Baton {state['version']}  {state['profile']}  data: {state['data_dir']}")
    print(f"  here            {base_url}/")
    if state["mailbox_url"]:
        print(f"  mail to offices {state['mailbox_url']}")
    print(f"  event stream    {state['events_url']}   (or: {_command()} events tail --follow)")
    print(f"  API             {base_url}/openapi.json")
    if state["token"]:
        print(f"  try             TOKEN=$({_command()} token --scope referrals:read) && \\")
        print(f'                  curl -H "Authorization: Bearer $TOKEN" {base_url}/v1/referrals')
    print("  Ctrl-C stops it; the data stays.")
    print(f"BATON READY {base_url} state={path}", flush=True)


def _command() -> str:
    """How `baton` is called from here: by its name where the shell finds it, else by its path."""
    if shutil.which("baton"):
        return "baton"
    program = Path(sys.executable).with_name("baton")
    return str(program.relative_to(Path.cwd())) if program.is_relative_to(Path.cwd()) else str(program)


def _log_file(data_dir: Path) -> Any:
    """Appends log lines to a file beside the data, so that the terminal stays readable."""
    file = (data_dir / "baton.log").open("a", buffering=1)
    os.chmod(file.name, 0o600)

    def write(line: str) -> None:
        file.write(line + "\n")

    return write
