"""The least a server can do: a bare ASGI application that gives a POST back, under our server settings."""

from __future__ import annotations

import asyncio
from typing import Any

from baton_chassis.serving import serve, stop_on_signals, take_port, uvicorn_loop


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """201 with the body that came."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def run(app: Any) -> None:
    """Serve ``app`` on a free port until told to stop; says the port once it listens."""
    stop = asyncio.Event()
    stop_on_signals(stop)
    listener = take_port("127.0.0.1", 0)
    print(f"READY http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    await serve(app, listener, stop=stop)


if __name__ == "__main__":
    uvicorn_loop().run(run(echo))
