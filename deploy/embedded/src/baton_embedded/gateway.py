"""One address for services that run as processes: forwards by path, takes the next replica when one is
gone.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from starlette.types import Receive, Scope, Send
from yarl import URL

OWNERS: Mapping[str, str] = {
    "/v1/referrals": "intake-service",
    "/v1/worklist": "intake-service",
    "/v1/payers": "intake-service",
    "/v1/artifacts": "intake-service",
    "/fhir": "intake-service",
    "/hl7v2": "intake-service",
    "/problems": "intake-service",
    "/v1/appointments": "scheduling-service",
    "/v1/contact-attempts": "scheduling-service",
    "/v1/openings": "scheduling-service",
    "/v1/notes": "notes-service",
    "/v1/care-plans": "notes-service",
    "/v1/co-management": "notes-service",
    "/v1/offices": "notification-service",
    "/v1/deliveries": "notification-service",
    "/v1/webhooks": "notification-service",
    "/v1/questions": "notification-service",
    "/v1/acknowledgements": "notification-service",
    "/v1/receipt-rate": "notification-service",
    "/v1/templates": "notification-service",
    "/v1/sending": "notification-service",
    "/v1/do-not-notify": "notification-service",
    "/o": "notification-service",
    "/dev/mailbox": "notification-service",
    "/v1/events": "console-service",
    "/v1/timelines": "console-service",
    "/ops": "console-service",
}
"""Which service answers below which path; `/internal` is in no ingress and so not here."""

_HOP = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "proxy-authorization"}
)
_DEAD = (aiohttp.ClientConnectionError, TimeoutError)


@dataclass
class Upstreams:
    """The replicas of each service, in turn."""

    addresses: dict[str, list[str]] = field(default_factory=dict)
    turns: dict[str, Iterator[int]] = field(default_factory=dict)

    def add(self, service: str, address: str) -> None:
        """One more replica."""
        self.addresses.setdefault(service, []).append(address)
        self.turns.setdefault(service, itertools.count())

    def of(self, service: str) -> list[str]:
        """All replicas, the one whose turn it is first."""
        known = self.addresses.get(service, [])
        if not known:
            return []
        start = next(self.turns[service]) % len(known)
        return known[start:] + known[:start]

    @property
    def everyone(self) -> list[str]:
        """Every replica of every service."""
        return [address for replicas in self.addresses.values() for address in replicas]


class Gateway:
    """A plain ASGI application. ``internal`` also forwards ``/_to/{service}/internal/...``: for services
    only, on an address of its own. ``pages`` are answers of its own: path to media type and body.
    """

    def __init__(self, upstreams: Upstreams, *, internal: bool = False) -> None:
        self.pages: dict[str, tuple[str, bytes]] = {}
        self._upstreams = upstreams
        self._internal = internal
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections to the services."""
        if self._session is not None:
            await self._session.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward one request."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        body = await _body(receive)
        if path in ("/livez", "/readyz"):
            await self._health(path, scope, send)
        elif path == "/dev/clock/advance":
            await self._advance(scope, body, send)
        elif path in self.pages and scope["method"] in ("GET", "HEAD"):
            media_type, page = self.pages[path]
            await _answer(send, 200, [(b"content-type", media_type.encode())], page)
        else:
            service, target = self._route(path)
            await self._forward(service, target, scope, body, send)

    def _route(self, path: str) -> tuple[str | None, str]:
        if self._internal and path.startswith("/_to/"):
            service, _, rest = path.removeprefix("/_to/").partition("/")
            return service, f"/{rest}"
        for prefix, service in OWNERS.items():
            if path == prefix or path.startswith((f"{prefix}/", f"{prefix}?")):
                return service, path
        return None, path

    async def _forward(self, service: str | None, path: str, scope: Scope, body: bytes, send: Send) -> None:
        replicas = self._upstreams.of(service) if service else []
        if not replicas:
            await _problem(send, 404, "not-found", "There is nothing at this address.")
            return
        for replica in replicas:
            try:
                async with self._ask(replica, path, scope, body) as answer:
                    await _pass_on(answer, send)
                    return
            except aiohttp.ClientConnectorError:
                continue  # nothing was sent: the next replica can have it
            except _DEAD:
                break  # it may have been decided: whoever asked repeats, with the same key
        await _problem(send, 503, "busy", "The service does not answer. Try again shortly.", retry=True)

    def _ask(self, replica: str, path: str, scope: Scope, body: bytes) -> Any:
        query = scope["query_string"].decode("latin-1")
        url = f"{replica}{path}{'?' + query if query else ''}"
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in scope["headers"]
            if name.decode("latin-1") not in _HOP | {"host", "content-length"}
        ]
        return self._open().request(
            scope["method"], URL(url, encoded=True), headers=headers, data=body or None, allow_redirects=False
        )

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=2, sock_read=90),
                connector=aiohttp.TCPConnector(limit=0),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Content-Type", "Accept-Encoding"),
            )
        return self._session

    async def _health(self, path: str, scope: Scope, send: Send) -> None:
        """Alive is this process; ready is every service by at least one replica."""
        if path == "/livez":
            await _json(send, 200, {"status": "ok"})
            return
        found = await asyncio.gather(*(self._ready(service) for service in self._upstreams.addresses))
        checks = [check for one in found for check in one]
        ready = all(any(check["ok"] for check in one) for one in found)
        body: dict[str, Any] = {"status": "ok" if ready else "not-ready"}
        if scope["query_string"].startswith(b"verbose"):
            body["checks"] = checks
        await _json(send, 200 if ready else 503, body)

    async def _ready(self, service: str) -> list[dict[str, Any]]:
        return [
            await self._replica_ready(service, number) for number in range(len(self._upstreams.of(service)))
        ]

    async def _replica_ready(self, service: str, number: int) -> dict[str, Any]:
        address = self._upstreams.addresses[service][number]
        ok, detail = False, "no answer"
        try:
            async with self._open().get(
                f"{address}/readyz", timeout=aiohttp.ClientTimeout(total=3)
            ) as answer:
                ok, detail = answer.status == 200, str(answer.status)
        except _DEAD:
            pass
        return {"name": f"{service}.{number + 1}", "ok": ok, "age_s": None, "detail": detail}

    async def _advance(self, scope: Scope, body: bytes, send: Send) -> None:
        """Move the test clock of every process that lives; answers once all have moved."""

        async def move(address: str) -> tuple[int, bytes] | None:
            try:
                async with self._ask(address, "/dev/clock/advance", scope, body) as answer:
                    return answer.status, await answer.read()
            except _DEAD:
                return None

        answers = [a for a in await asyncio.gather(*(move(a) for a in self._upstreams.everyone)) if a]
        worst = max(answers, default=(503, b"{}"))
        await _answer(send, worst[0], [(b"content-type", b"application/json")], worst[1])


async def _body(receive: Receive) -> bytes:
    chunks = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


async def _pass_on(answer: aiohttp.ClientResponse, send: Send) -> None:
    headers = [
        (name.lower(), value)
        for name, value in answer.raw_headers
        if name.decode("latin-1").lower() not in _HOP
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    async for chunk in _chunks(answer):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _chunks(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async for chunk in answer.content.iter_any():
        yield chunk


async def _problem(send: Send, status: int, code: str, title: str, *, retry: bool = False) -> None:
    headers = [(b"content-type", b"application/problem+json")]
    if retry:
        headers.append((b"retry-after", b"1"))
    body = {
        "type": f"/problems/{code}",
        "title": title,
        "status": status,
        "code": code,
        "errors": [],
        "trace_id": "",
    }
    await _answer(send, status, headers, json.dumps(body).encode())


async def _json(send: Send, status: int, body: Mapping[str, Any]) -> None:
    await _answer(send, status, [(b"content-type", b"application/json")], json.dumps(body).encode())


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
