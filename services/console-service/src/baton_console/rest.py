"""The doors of console: the event feed, the live stream, the story of one referral."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from baton_chassis.doors import Answer, Ask, Id, PageQuery, Query, Routes, View
from baton_chassis.signals import Signal
from baton_console.domain.timeline import Moment
from baton_console.queries import Filter, Position, Queries

READ = "events:read"
BEAT_SECONDS = 15.0
POLL_SECONDS = 1.0
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


class Listeners:
    """Who waits for news in this process."""

    def __init__(self) -> None:
        self._signals: set[Signal] = set()

    def add(self) -> Signal:
        """One more who waits."""
        signal = Signal()
        self._signals.add(signal)
        return signal

    def remove(self, signal: Signal) -> None:
        """One less."""
        self._signals.discard(signal)

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
        items = [json.loads(entry.body) for entry in entries]
        return Answer(body={"items": items, "next": position.write()})

    @routes.raw(
        "GET", "/v1/events/stream", scope=READ, query=StreamQuery, produces=("text/event-stream",),
        summary="Hear events as they come (SSE); Last-Event-ID goes on where a lost connection stood.",
    )  # fmt: skip
    async def stream(ask: Ask[None]) -> Answer:
        query: StreamQuery = ask.query
        wanted = Filter(type=query.type, referral_id=query.referral_id)
        said = ask.headers.get("last-event-id") or query.after
        position = Position.read(said) if said else await queries.end(ask.caller.practice_id)
        body = _live(queries, listeners, ask.caller.practice_id, wanted, position)
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
    queries: Queries, listeners: Listeners, practice_id: str, wanted: Filter, position: Position
) -> AsyncIterator[bytes]:
    """Events as they come, one page in memory at a time; a comment now and then so that nobody hangs up."""
    signal = listeners.add()
    loop = asyncio.get_running_loop()
    try:
        yield b"retry: 2000\n: listening\n\n"
        beat = loop.time() + BEAT_SECONDS
        while True:
            entries, position = await queries.page(practice_id, wanted, after=position, limit=STREAM_PAGE)
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
