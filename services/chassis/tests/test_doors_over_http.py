"""The doors behind a real server, over real sockets: limits that only the wire can show."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
import uvicorn

from baton_chassis import mounting
from baton_chassis.access import Principal
from baton_chassis.clock import SystemClock
from baton_chassis.commands import Caller, Command, Decided, IdempotencyKey, Reply
from baton_chassis.doors import Ask, Body, Doorway, Routes, View
from baton_chassis.front import Front
from baton_chassis.ids import new_id


class NewParcel(Body):
    name: str


class ParcelView(View):
    name: str


class Receive(Command):
    name: str = ""


async def admit(headers: Mapping[str, str]) -> Principal:
    return Principal(subject="ada", client_id="c", practice_id="p1", scopes=frozenset({"parcels:write"}))


async def submit(
    command: Command, caller: Caller, *, key: IdempotencyKey | None = None, if_match: int | None = None
) -> Decided:
    return Decided(
        reply=Reply(kind="created", body={"name": "box"}, location="/v1/parcels/1"), replayed=False
    )


def application() -> Front:
    routes = Routes(tag="parcels")

    @routes.command(
        "POST",
        "/v1/parcels",
        scope="parcels:write",
        body=NewParcel,
        reply=ParcelView,
        idempotent=True,
        success=201,
    )
    async def receive(ask: Ask[NewParcel]) -> Reply:
        """Take a parcel in."""
        return await ask.submit(Receive(id=ask.new_id()))

    app = mounting.new_app(title="parcels", version="1")
    doorway = Doorway(admit=admit, submit=submit, clock=SystemClock(), new_id=new_id, body_seconds=0.3)
    mounting.mount(app, routes, doorway)
    return Front(app)


@pytest.fixture
async def address() -> AsyncIterator[tuple[str, int]]:
    """Host and port of the doors, served by uvicorn as in production (uvloop aside)."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application(), http="httptools", lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    yield "127.0.0.1", listening.getsockname()[1]
    server.should_exit = True
    await serving
    listening.close()


async def spoken(address: tuple[str, int], *parts: bytes) -> bytes:
    """What the server says to raw bytes, until it closes or falls silent."""
    reader, writer = await asyncio.open_connection(*address)
    for part in parts:
        writer.write(part)
        await writer.drain()
    try:
        async with asyncio.timeout(5):
            heard = await reader.readuntil(b"}")
    finally:
        writer.close()
    return heard


def head(*lines: str) -> bytes:
    said = [
        "POST /v1/parcels HTTP/1.1",
        "Host: h",
        "Authorization: Bearer x",
        "Content-Type: application/json",
        *lines,
    ]
    return ("\r\n".join(said) + "\r\n\r\n").encode()


async def test_eleven_megabytes_get_an_answer_and_no_broken_connection(address: tuple[str, int]) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b" " * 1_000_000

    async with httpx.AsyncClient(base_url="http://{}:{}".format(*address), trust_env=False) as client:
        headers = {"Authorization": "Bearer x", "Content-Type": "application/json"}
        for content in (b" " * 11_000_000, chunks()):
            refused = await client.post("/v1/parcels", content=content, headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (413, "too-large")
        after = await client.post("/v1/parcels", content=b'{"name":"a"}', headers=headers)

    assert after.status_code == 201
    assert after.headers["location"] == "/v1/parcels/1"


async def test_a_body_that_stops_in_the_middle_is_given_up(address: tuple[str, int]) -> None:
    heard = await spoken(address, head("Content-Length: 100"), b'{"name"')

    assert heard.startswith(b"HTTP/1.1 408")
    assert json.loads(heard[heard.index(b"{") :])["code"] == "request-timeout"


@pytest.mark.parametrize(
    "lines", [("Content-Length: -5",), ("Content-Length: 5", "Content-Length: 6"), ("Content-Length: x",)]
)
async def test_a_broken_length_is_refused(address: tuple[str, int], lines: tuple[str, ...]) -> None:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(head(*lines) + b"{}")
    heard = await reader.readline()
    writer.close()

    assert heard.startswith(b"HTTP/1.1 400")


async def test_the_host_header_builds_nothing(address: tuple[str, int]) -> None:
    request = b"GET /v1/parcels/ HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer x\r\n\r\n"

    heard = await spoken(address, request)

    assert heard.startswith(b"HTTP/1.1 404")
    assert b"evil" not in heard


def shown(raw: bytes) -> Any:
    return json.loads(raw[raw.index(b"{") :])


async def test_a_trace_id_of_the_caller_is_in_the_problem(address: tuple[str, int]) -> None:
    trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    heard = await spoken(address, head("Content-Length: 1", trace), b"x")

    assert b"400" in heard[:20]
    assert shown(heard)["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
