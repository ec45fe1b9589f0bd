"""The doors of console: the event feed, the live stream, the story of one referral."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from baton_chassis.commands import Caller
from baton_chassis.doors import Answer, Ask, Id, PageQuery, Query, Routes, View
from baton_chassis.errors import Refused
from baton_chassis.signals import Signal
from baton_console.domain.timeline import Moment
from baton_console.queries import Filter, Position, Queries

READ = "events:read"
BEAT_SECONDS = 15.0
POLL_SECONDS = 1.0
LONGEST_SECONDS = 900.0
STREAM_PAGE = 100

Type = Annotated[str, StringConstraints(pattern=r"^[a-z_]+\.[a-z_]+(\.v[0-9]+)?$", max_length=64)]


class FeedQuery(PageQuery):
    """Which events: behind a cursor, of a type, of a referral."""

    type: Type | None = None
    referral_id: Id | None = None


class StreamQuery(Query):
    """Which events to hear: from a cursor on (the end of the stream without one), of a type, of a
    referral.
    """

    after: Annotated[str | None, Field(max_length=1024)] = None
    type: Type | None = None
    referral_id: Id | None = None


class FeedPage(View):
    """One page of CloudEvents, as they stand in the topic."""

    items: list[dict[str, Any]]
    next: str | None


class TimelineItem(View):
    """One moment of a referral's story."""

    at: str
    recorded_at: str
    kind: str
    type: str
    actor: dict[str, Any] | None
    assertion: str | None
    state: str | None
    ref: dict[str, Any]


class Timeline(View):
    """The whole story."""

    items: list[TimelineItem]
    next: None = None


class TooManyStreams(Refused):
    """This client, or all together, hear too many streams at once."""

    code = "rate-limited"

    def __init__(self) -> None:
        super().__init__("Close a stream that nobody reads, or use the feed /v1/events instead.")


class Listeners:
    """Who waits for news in this process, and how many of them a client may have."""

    def __init__(self, *, most: int = 500, most_per_client: int = 20) -> None:
        self._signals: dict[Signal, str] = {}
        self._most = most
        self._most_per_client = most_per_client

    def check(self, client: str) -> None:
        """Raise ``TooManyStreams`` where one more would be too many."""
        mine = sum(1 for other in self._signals.values() if other == client)
        if len(self._signals) >= self._most or mine >= self._most_per_client:
            raise TooManyStreams

    def add(self, client: str) -> Signal:
        """One more who waits; only once their answer has begun, so that whoever hung up before counts
        nowhere.
        """
        signal = Signal()
        self._signals[signal] = client
        return signal

    def remove(self, signal: Signal) -> None:
        """One less."""
        self._signals.pop(signal, None)

    def knock(self) -> None:
        """There is news."""
        for signal in self._signals:
            signal.knock()


def routes(queries: Queries, listeners: Listeners) -> Routes:
    """Every route of console."""
    routes = Routes(tag="events")

    @routes.query(
        "GET", "/v1/events", scope=READ, reply=FeedPage, query=FeedQuery,
        summary="List events as they stand in the topic; keep `next` and ask again for what comes.",
    )  # fmt: skip
    async def feed(ask: Ask[None]) -> Answer:
        query: FeedQuery = ask.query
        wanted = Filter(type=query.type, referral_id=query.referral_id)
        entries, position = await queries.page(
            ask.caller.practice_id, wanted, after=Position.read(query.after), limit=query.limit
        )
        events = b",".join(entry.body for entry in entries)  # byte for byte as in the topic
        return Answer(body=b'{"items":[' + events + b'],"next":"' + position.write().encode() + b'"}')

    @routes.raw(
        "GET", "/v1/events/stream", scope=READ, query=StreamQuery, produces=("text/event-stream",),
        refusals=("rate-limited",),
        summary="Hear events as they come (SSE); Last-Event-ID goes on where a lost connection stood.",
    )  # fmt: skip
    async def stream(ask: Ask[None]) -> Answer:
        query: StreamQuery = ask.query
        wanted = Filter(type=query.type, referral_id=query.referral_id)
        said = ask.headers.get("last-event-id") or query.after
        position = Position.read(said) if said else await queries.end(ask.caller.practice_id)
        listeners.check(ask.caller.client_id)
        body = _live(queries, listeners, ask.caller, wanted, position)
        return Answer(body=body, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    @routes.query(
        "GET",
        "/v1/timelines/{referral_id}",
        scope=READ,
        reply=Timeline,
        summary="Tell the story of one referral.",
    )
    async def story(ask: Ask[None]) -> Answer:
        moments = await queries.timeline(ask.caller.practice_id, ask.path["referral_id"])
        return Answer(body={"items": [_shown(moment) for moment in moments], "next": None})

    return routes


async def _live(
    queries: Queries,
    listeners: Listeners,
    caller: Caller,
    wanted: Filter,
    position: Position,
) -> AsyncIterator[bytes]:
    """Events as they come, one page in memory at a time; a comment now and then so that nobody hangs up.

    It ends after a quarter of an hour: whoever listens comes back with a token that still counts.
    """
    signal = listeners.add(caller.client_id)
    loop = asyncio.get_running_loop()
    ends = loop.time() + LONGEST_SECONDS
    beat = loop.time() + BEAT_SECONDS
    try:
        yield b"retry: 2000\n: listening\n\n"
        while loop.time() < ends:
            entries, position = await queries.page(
                caller.practice_id, wanted, after=position, limit=STREAM_PAGE
            )
            for entry in entries:
                yield b"id: " + entry.position.write().encode() + b"\ndata: " + entry.body + b"\n\n"
            if entries:
                beat = loop.time() + BEAT_SECONDS
                continue
            await signal.wait(POLL_SECONDS)
            if loop.time() >= beat:
                yield b": still here\n\n"
                beat = loop.time() + BEAT_SECONDS
    finally:
        listeners.remove(signal)


def _shown(moment: Moment) -> dict[str, Any]:
    return {
        "at": moment.at.isoformat(),
        "recorded_at": moment.recorded_at.isoformat(),
        "kind": moment.kind,
        "type": moment.type,
        "actor": moment.actor,
        "assertion": moment.assertion,
        "state": moment.state,
        "ref": dict(moment.ref),
    }
