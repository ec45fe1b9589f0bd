"""Answers from the copy of the stream: pages of the feed, and the story of one referral."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select, union_all

from baton_chassis import cursor
from baton_chassis.database import Row, Statement
from baton_chassis.errors import NotFound
from baton_chassis.reads import Reader
from baton_console.domain.timeline import Moment, Told, timeline
from baton_console.store import COPIES, ENDS
from baton_contracts.envelope import Envelope
from baton_contracts.topics import PARTITIONS, REFERRAL_EVENTS, TOPICS, partition_for

PLACES = tuple((topic, number) for topic in TOPICS for number in range(PARTITIONS))
"""Every partition, in the order of the cursor's numbers."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a reader stands: how many events of each partition it has had. Opaque outside."""

    seen: tuple[int, ...] = (0,) * len(PLACES)

    @classmethod
    def read(cls, text: str | None) -> Position:
        """From a cursor; from the beginning without one. Raises ``Invalid`` for a cursor that is not ours."""
        if text is None:
            return cls()
        return cls(tuple(int(number) for number in cursor.read(text, *[int] * len(PLACES))))

    def write(self) -> str:
        """As a cursor."""
        return cursor.write(self.seen)

    def after(self, place: int, position: int) -> Position:
        """The same reader after one more event."""
        return Position((*self.seen[:place], position, *self.seen[place + 1 :]))


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of a page, with where the reader stands after it."""

    body: bytes
    position: Position


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events to show: by type (without or with its version), by referral."""

    type: str | None = None
    referral_id: str | None = None


def _page(*, by_type: bool, by_subject: bool) -> Statement:
    """The next events of every partition, at most ``limit`` of each, each partition in its own order."""
    table = COPIES.table
    parts = []
    for number, (topic, partition) in enumerate(PLACES):
        conditions: list[Any] = [
            table.c.practice_id == bindparam("practice_id"),
            table.c.topic == topic,
            table.c.partition == partition,
            table.c.position > bindparam(f"after_{number}", type_=table.c.position.type),
        ]
        if by_type:
            conditions.append(table.c.type.in_([bindparam("type"), bindparam("versioned")]))
        if by_subject:
            conditions.append(table.c.subject == bindparam("subject"))
        columns = (
            table.c.topic,
            table.c.partition,
            table.c.position,
            table.c.recorded_at,
            table.c.id,
            table.c.body,
        )
        inner = select(*columns).where(*conditions).order_by(table.c.position).limit(bindparam("limit"))
        parts.append(select(inner.subquery()))
    return Statement(union_all(*parts))


_PAGES = {
    (by_type, by_subject): _page(by_type=by_type, by_subject=by_subject)
    for by_type in (False, True)
    for by_subject in (False, True)
}
_STORY = Statement(
    select(COPIES.table.c.body)
    .where(
        COPIES.table.c.practice_id == bindparam("practice_id"),
        COPIES.table.c.topic == REFERRAL_EVENTS,
        COPIES.table.c.partition == bindparam("partition", type_=COPIES.table.c.partition.type),
        COPIES.table.c.subject == bindparam("subject"),
    )
    .order_by(COPIES.table.c.position)
)


_ENDS = Statement(
    select(ENDS.table.c.id, ENDS.table.c.position).where(ENDS.table.c.practice_id == bindparam("practice_id"))
)


class Queries:
    """Reads of one practice's copy of the stream."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def page(
        self, practice_id: str, wanted: Filter, *, after: Position, limit: int
    ) -> tuple[list[Entry], Position]:
        """The next events, and where the reader stands after them.

        The order is that of recording as far as partitions allow; within a partition it is exact, so that a
        reader who keeps the cursor misses nothing, whichever replica answers.
        """
        statement = _PAGES[(wanted.type is not None, wanted.referral_id is not None)]
        rows = await self._reader.rows(statement, practice_id, **_parameters(wanted, after, limit))
        entries, position = [], after
        for row in _merged(rows)[:limit]:
            position = position.after(PLACES.index((row["topic"], row["partition"])), row["position"])
            entries.append(Entry(row["body"], position))
        return entries, position

    async def end(self, practice_id: str) -> Position:
        """Where the stream ends now."""
        position = Position()
        for row in await self._reader.rows(_ENDS, practice_id):
            topic, _, number = row["id"].rpartition("/")
            position = position.after(PLACES.index((topic, int(number))), row["position"])
        return position

    async def timeline(self, practice_id: str, referral_id: str) -> list[Moment]:
        """The story of one referral. Raises ``NotFound`` when nothing was heard of it."""
        rows = await self._reader.rows(
            _STORY, practice_id, subject=referral_id, partition=partition_for(referral_id.encode())
        )
        if not rows:
            raise NotFound("Nothing was heard of a referral of that id.")
        return timeline([_told(Envelope.from_bytes(row["body"])) for row in rows])


def _parameters(wanted: Filter, after: Position, limit: int) -> dict[str, Any]:
    said: dict[str, Any] = {f"after_{number}": seen for number, seen in enumerate(after.seen)}
    said["limit"] = limit
    if wanted.type is not None:
        said |= {"type": wanted.type, "versioned": f"{wanted.type}.v1"}
    if wanted.referral_id is not None:
        said["subject"] = wanted.referral_id
    return said


def _merged(rows: Sequence[Row]) -> list[Row]:
    """Rows of all partitions in the order of recording, never past an earlier one of the same partition."""
    queues: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        queues.setdefault((row["topic"], row["partition"]), []).append(row)
    for queue in queues.values():
        queue.sort(key=lambda row: row["position"], reverse=True)
    heads = [(queue[-1]["recorded_at"], queue[-1]["id"], place) for place, queue in queues.items()]
    heapq.heapify(heads)
    merged = []
    while heads:
        _, _, place = heapq.heappop(heads)
        queue = queues[place]
        merged.append(queue.pop())
        if queue:
            heapq.heappush(heads, (queue[-1]["recorded_at"], queue[-1]["id"], place))
    return merged


def _told(envelope: Envelope) -> Told:
    return Told(
        id=envelope.id,
        type=envelope.type,
        line=envelope.source.rpartition("/")[2],
        at=envelope.time,
        recorded_at=envelope.recordedtime,
        attributes=envelope.data,
    )
