"""The owner of a consumer, for tests of the log: offsets in a store of its own, a batch in hand that is
waited for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from baton_chassis.log.port import EventLog, LogConsumer, Partition, Record

Handler = Callable[[Record], Awaitable[None]]


class LogOwner:
    """Does what a service does with its consumer, and writes down what happened.

    `offsets` plays the part of the service's database; members of one group share it.
    """

    def __init__(
        self,
        log: EventLog,
        group: str,
        topic: str,
        *,
        member: str = "a",
        offsets: dict[Partition, int] | None = None,
    ) -> None:
        self.consumer: LogConsumer = log.consumer(group, [topic], member=member)
        self.offsets: dict[Partition, int] = {} if offsets is None else offsets
        self.handled: list[Record] = []
        self.events: list[str] = []
        self.in_hand = asyncio.Event()
        """Set while records are being handled."""
        self.revoking = asyncio.Event()
        """Set once the partitions were asked back."""
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        """Join the group."""
        await self.consumer.start(self.on_assigned, self.on_revoked)

    async def on_assigned(self, share: frozenset[Partition]) -> Mapping[Partition, int | None]:
        """Answers from the store."""
        self.events.append(f"assigned {len(share)}")
        return {place: self.offsets.get(place) for place in share}

    async def on_revoked(self, share: frozenset[Partition]) -> None:
        """Waits for the batch in hand."""
        self.events.append(f"revoking {len(share)}")
        self.revoking.set()
        await self._idle.wait()
        self.events.append("revoked")

    async def step(
        self, handler: Handler | None = None, *, max_records: int = 500, timeout: float = 0.2
    ) -> list[Record]:
        """One poll, its records handled in order, then their offsets stored."""
        batches = await self.consumer.poll(max_records=max_records, timeout=timeout)
        self._idle.clear()
        try:
            return [record for records in batches.values() for record in await self._handle(records, handler)]
        finally:
            self.in_hand.clear()
            self._idle.set()

    async def _handle(self, records: Sequence[Record], handler: Handler | None) -> list[Record]:
        for record in records:
            self.in_hand.set()
            if handler is not None:
                await handler(record)
            self.handled.append(record)
            self.offsets[record.place] = record.next_offset
        return list(records)

    async def drain(self, wanted: int, *, seconds: float = 30.0) -> list[Record]:
        """Steps until `wanted` records were handled in all. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while len(self.handled) < wanted:
                await self.step()
        return self.handled
