"""A consumer on Kafka: a member of a group whose partitions come and go by our callbacks, not behind our back."""

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from typing import TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from baton_chassis.log.kafka_reader import close_consumer, record_of
from baton_chassis.log.kafka_settings import CLIENT_ERRORS, KafkaSettings, milliseconds, unavailable
from baton_chassis.log.port import (
    ConsumerCounters,
    LogError,
    OffsetOutOfRange,
    OnAssigned,
    OnRevoked,
    Partition,
    RebalanceFailed,
    Record,
)

_FETCH_WAIT_MS = 50
_PARTITION_FETCH_BYTES = 1_048_576
_FETCH_BYTES = 8 * 1_048_576
_POLL_AT_LEAST_SECONDS = 300.0
_logger = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Passes aiokafka's calls on; aiokafka insists on its own class."""

    def __init__(self, owner: "KafkaConsumer") -> None:
        self._owner = owner

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        await self._owner.give_back()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        await self._owner.take(frozenset(Partition(*place) for place in assigned))


class KafkaConsumer:
    """Implements `LogConsumer`; the promises stand there."""

    def __init__(self, settings: KafkaSettings, *, group: str, topics: Sequence[str], member: str) -> None:
        self.counters = ConsumerCounters()
        self._settings = settings
        self._group = group
        self._topics = tuple(topics)
        self._member = member
        self._client: AIOKafkaConsumer | None = None
        self._on_assigned: OnAssigned | None = None
        self._on_revoked: OnRevoked | None = None
        self._share: frozenset[Partition] = frozenset()
        self._positions: dict[Partition, int] = {}
        self._flowing = asyncio.Event()
        self._generation = 0
        self._failure: BaseException | None = None

    async def start(self, on_assigned: OnAssigned, on_revoked: OnRevoked) -> None:
        """See `LogConsumer.start`."""
        if self._client is not None:
            raise LogError("a consumer is started once")
        self._on_assigned, self._on_revoked = on_assigned, on_revoked
        self._client = self._new_client()
        self._client.subscribe(topics=self._topics, listener=_Listener(self))
        times = self._settings.times
        try:
            async with asyncio.timeout(times.rebalance + times.append):
                await self._client.start()
        except CLIENT_ERRORS as error:
            raise unavailable(f"joining group {self._group}", error) from error

    def _new_client(self) -> AIOKafkaConsumer:
        times = self._settings.times
        return AIOKafkaConsumer(
            group_id=self._group,
            enable_auto_commit=False,
            # Where to start is decided in `take`; an offset that is not there must raise, not jump.
            auto_offset_reset="none",
            session_timeout_ms=milliseconds(times.session),
            heartbeat_interval_ms=milliseconds(times.heartbeat),
            rebalance_timeout_ms=milliseconds(times.rebalance),
            max_poll_interval_ms=milliseconds(_POLL_AT_LEAST_SECONDS),
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            max_partition_fetch_bytes=_PARTITION_FETCH_BYTES,
            fetch_max_bytes=_FETCH_BYTES,
            # The request to join is answered when all members have given back: it must outlast the slowest.
            **self._settings.connection(
                client=f"{self._group}-{self._member}", request_seconds=times.rebalance + 5.0
            ),
        )

    async def stop(self) -> None:
        """See `LogConsumer.stop`."""
        await self.give_back()
        client, self._client = self._client, None
        if client is not None:
            await close_consumer(client, self._settings.times.close)

    async def poll(self, *, max_records: int, timeout: float) -> Mapping[Partition, Sequence[Record]]:
        """See `LogConsumer.poll`."""
        deadline = asyncio.get_running_loop().time() + timeout
        try:
            async with asyncio.timeout_at(deadline):
                await self._flowing.wait()
        except TimeoutError:
            return {}
        if self._failure is not None:
            raise RebalanceFailed(f"group {self._group}, member {self._member}") from self._failure
        return await self._fetched(max_records, max(0.0, deadline - asyncio.get_running_loop().time()))

    async def _fetched(self, max_records: int, timeout: float) -> Mapping[Partition, Sequence[Record]]:
        client, generation = self._running(), self._generation
        try:
            found = await client.getmany(timeout_ms=milliseconds(timeout), max_records=max_records)
        except OffsetOutOfRangeError as error:
            place, offset = next(iter(error.args[0].items()))
            raise OffsetOutOfRange(Partition(*place), offset) from error
        except KafkaError as error:
            raise unavailable(f"reading in group {self._group}", error) from error
        if generation != self._generation:
            return {}  # fetched for a share that is gone; `take` has set or will set the positions anew
        return self._hand_out({Partition(*place): raws for place, raws in found.items()})
