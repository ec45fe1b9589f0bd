"""A light HTTP/1.1 client over raw sockets: it must cost far less than what it measures."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)

LOST = 0
"""The status of a request whose connection was closed without an answer."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer: status, body, and how long it took."""

    status: int
    body: bytes
    seconds: float


class Connection(asyncio.Protocol):
    """One kept-alive connection with one request at a time. Answers must carry Content-Length."""

    def __init__(self) -> None:
        self._received = b""
        self._waiting: asyncio.Future[Answered] | None = None
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None
        self.closed = False

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Connect to 127.0.0.1."""
        _, made = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not derive from asyncio's

    def ask(self, request: bytes) -> asyncio.Future[Answered]:
        """Send a whole request; the future holds its answer."""
        assert self._transport is not None
        if self.closed:
            raise ConnectionError("the server closed the connection")
        self._waiting = asyncio.get_running_loop().create_future()
        self._sent = time.perf_counter()
        self._transport.write(request)
        return self._waiting

    def data_received(self, data: bytes) -> None:
        """Collect until head and body are complete."""
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _LENGTH.search(self._received, 0, head)
        end = head + 4 + (int(length[1]) if length else 0)
        if len(self._received) < end or self._waiting is None:
            return
        answered = Answered(
            int(self._received[9:12]), self._received[head + 4 : end], time.perf_counter() - self._sent
        )
        self._received = self._received[end:]
        waiting, self._waiting = self._waiting, None
        if not waiting.done():
            waiting.set_result(answered)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail whoever waits."""
        self.closed = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionError("the server closed the connection"))

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()


def post(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """The bytes of a POST of JSON."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@dataclass
class Burst:
    """What a closed loop of connections got done."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Requests answered as wanted."""
        return len(self.latencies)

    @property
    def rate(self) -> float:
        """Requests answered as wanted, by second."""
        return self.done / self.seconds if self.seconds else 0.0


async def burst(
    port: int, requests: Iterator[bytes], *, wanted: int, connections: int, seconds: float
) -> Burst:
    """Keep ``connections`` busy for ``seconds``: each sends its next request when the last was answered."""
    opened = [await Connection.open(port) for _ in range(connections)]
    result = Burst()
    started = time.perf_counter()
    deadline = started + seconds

    async def keep_busy(connection: Connection) -> None:
        while time.perf_counter() < deadline:
            try:
                answered = await connection.ask(next(requests))
            except ConnectionError:
                answered = Answered(LOST, b"", 0.0)
                connection = await Connection.open(port)
                opened.append(connection)
            if answered.status == wanted:
                result.latencies.append(answered.seconds)
            else:
                result.refused[answered.status] = result.refused.get(answered.status, 0) + 1

    try:
        await asyncio.gather(*(keep_busy(one) for one in list(opened)))
    finally:
        result.seconds = time.perf_counter() - started
        for one in opened:
            one.close()
    return result


async def paced(
    port: int,
    requests: Iterator[bytes],
    *,
    rate: float,
    count: int,
    on_answer: Callable[[int, Answered, float], None],
) -> None:
    """Send ``count`` requests at ``rate`` a second whatever the answers do; ``on_answer`` gets number, answer
    and the moment (``time.time``) it was here.
    """
    free: list[Connection] = []
    under_way: set[asyncio.Task[None]] = set()

    async def one(number: int, request: bytes) -> None:
        while free and free[-1].closed:  # left idle, the server hung up
            free.pop()
        connection = free.pop() if free else await Connection.open(port)
        try:
            answered = await connection.ask(request)
        except ConnectionError:  # the server hung up just now; the request carries its own key
            connection = await Connection.open(port)
            answered = await connection.ask(request)
        on_answer(number, answered, time.time())
        free.append(connection)

    started = time.perf_counter()
    for number in range(count):
        await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
        task = asyncio.create_task(one(number, next(requests)))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)
    for connection in free:
        connection.close()
