"""`python -m baton_embedded.forwarding`: the one address as a process of its own, for services that run
elsewhere.
"""

from __future__ import annotations

import asyncio
import socket
import sys

from baton_chassis import logs
from baton_chassis.foundation import complain
from baton_chassis.serving import EXIT_PORT_TAKEN, PortTaken, serve, stop_on_signals, take_port, uvicorn_loop
from baton_chassis.settings import ChassisSettings, Misconfigured
from baton_embedded.gateway import Gateway, Upstreams


def main() -> int:
    """Forward to BATON_PEERS from BATON_HOST and BATON_PORT until stopped; gives the exit code."""
    try:
        settings = ChassisSettings.read()
        if not settings.peers:
            raise Misconfigured("BATON_PEERS: name the services, as intake-service=http://host:port, ...")
        logs.configure(service="gateway")
        listener = take_port(settings.host, settings.port)
    except Misconfigured as reasons:
        return complain(reasons)
    except PortTaken as taken:
        print(f"{taken} is taken. Set BATON_PORT to another port.", file=sys.stderr)
        return EXIT_PORT_TAKEN
    upstreams = Upstreams()
    for service, address in settings.peers.items():
        upstreams.add(service, address)
    uvicorn_loop().run(_forward(Gateway(upstreams), listener, settings))
    return 0


async def _forward(gateway: Gateway, listener: socket.socket, settings: ChassisSettings) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    port = listener.getsockname()[1]
    print(f"READY gateway http://{settings.host}:{port}", flush=True)
    try:
        await serve(gateway, listener, stop=stop)
    finally:
        await gateway.close()


if __name__ == "__main__":
    sys.exit(main())
