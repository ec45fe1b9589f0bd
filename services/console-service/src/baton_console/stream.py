"""What console hears: everything, and keeps a copy."""

from __future__ import annotations

from baton_chassis.consumer import Subscription
from baton_chassis.log.port import Partition
from baton_chassis.work import Work
from baton_console.domain.copies import EventCopy, PartitionEnd, partition_id
from baton_contracts.envelope import Envelope
from baton_contracts.topics import TOPICS

CONSOLE = "console-service"


async def copy(event: Envelope, work: Work, place: Partition) -> None:
    """Keep one event, behind all others of its partition."""
    id = partition_id(place.topic, place.number)
    end = await work.find(PartitionEnd, id) or PartitionEnd(id)
    work.save(
        EventCopy(
            id=event.id,
            topic=place.topic,
            partition=place.number,
            position=end.next(),
            type=event.type,
            subject=event.subject,
            recorded_at=event.recordedtime,
            body=event.to_bytes(),
        )
    )
    work.save(end)


SUBSCRIPTION = Subscription(consumer=CONSOLE, topics=TOPICS, every=copy)
