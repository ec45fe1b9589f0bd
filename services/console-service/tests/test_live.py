"""The live stream at its door: server-sent events, from now on or behind the last id."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from baton_chassis.commands import Outgoing
from baton_chassis.testing.harness import Harness

Tell = Callable[..., Outgoing]
ID = "01a20000-0000-7000-8000-000000000000"
pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


class Following:
    """One reader of the stream over raw ASGI: it hangs up once it has read ``until``."""

    def __init__(self, console: Harness, *, until: bytes, last_event_id: str | None = None) -> None:
        self.until = until
        self.status = 0
        self.content_type = b""
        self.read = b""
        self.listening = asyncio.Event()
        self._enough = asyncio.Event()
        self._asked = False
        headers = [(b"host", b"service.test")]
        if last_event_id is not None:
            headers.append((b"last-event-id", last_event_id.encode()))
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
            "method": "GET", "path": "/v1/events/stream", "raw_path": b"/v1/events/stream",
            "query_string": b"", "root_path": "", "scheme": "http", "headers": headers,
            "server": ("test", 80), "client": ("test", 1),
        }  # fmt: skip
        self.done = asyncio.ensure_future(console.service.app()(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._enough.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.content_type = dict(message["headers"])[b"content-type"]
            return
        self.read += message.get("body", b"")
        self.listening.set()
        if self.until in self.read:
            self._enough.set()


async def test_the_stream_begins_now_and_tells_what_happens(console: Harness, tell: Tell) -> None:
    await console.deliver(tell(ID, "referral.received.v1"))
    following = Following(console, until=b"referral.accepted.v1")
    await asyncio.wait_for(following.listening.wait(), 10)
    await console.deliver(tell(ID, "referral.accepted.v1"))
    await asyncio.wait_for(following.done, 10)

    assert (following.status, following.content_type.partition(b";")[0]) == (200, b"text/event-stream")
    assert b"referral.accepted.v1" in following.read
    assert b"referral.received.v1" not in following.read


async def test_a_reader_goes_on_behind_the_last_id_it_saw(console: Harness, tell: Tell) -> None:
    await console.deliver(tell(ID, "referral.received.v1"))
    async with console.client() as client:
        seen = (await client.get("/v1/events")).json()["next"]
    await console.deliver(tell(ID, "referral.accepted.v1"))

    following = Following(console, until=b"referral.accepted.v1", last_event_id=seen)
    await asyncio.wait_for(following.done, 10)

    assert b"referral.received.v1" not in following.read
    assert following.read.count(b"\nid: ") + following.read.startswith(b"id: ") == 1
