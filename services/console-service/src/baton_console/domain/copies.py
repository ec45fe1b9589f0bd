"""A copy of the stream: every event of a practice with its place in its partition."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class EventCopy:
    """One event, byte for byte. ``position`` counts from 1 within (practice, topic, partition), in the
    order in which this service took the events; it never has holes and never changes.
    """

    id: str
    topic: str
    partition: int
    position: int
    type: str
    subject: str
    recorded_at: datetime
    body: bytes
    version: int = 0
    events: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class PartitionEnd:
    """How many events of one partition a practice has. ``id`` is the topic and the partition's number."""

    id: str
    position: int = 0
    version: int = 0
    events: list[Any] = field(default_factory=list)

    def next(self) -> int:
        """Take the next position."""
        self.position += 1
        return self.position


def partition_id(topic: str, partition: int) -> str:
    """The id of a partition's end."""
    return f"{topic}/{partition}"
