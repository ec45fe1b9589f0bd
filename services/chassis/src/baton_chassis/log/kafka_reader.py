"""Asking Kafka without a group: which cluster, which topics, which offsets, what a partition holds."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from baton_chassis.log.kafka_closing import close_consumer
from baton_chassis.log.kafka_settings import CLIENT_ERRORS, KafkaSettings, unavailable
from baton_chassis.log.port import LogError, OffsetOutOfRange, Partition, Record, UnknownTopic

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEPT_FOR_EVER = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
_POLL_MS = 200
_NO_ERROR = 0
_STEP_SECONDS = 0.05
_Answer = TypeVar("_Answer")


def record_of(raw: ConsumerRecord) -> Record:
    """A record as the port has it; a missing key or value becomes empty."""
    at = _EPOCH + timedelta(milliseconds=raw.timestamp)
    return Record(raw.topic, raw.partition, raw.offset, raw.key or b"", raw.value or b"", raw.headers, at)


class Reader:
    """One connection for questions, made when first needed and again when it broke. Questions take turns."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None
        self._turn = asyncio.Lock()
        self._partitions: dict[str, int] = {}

    async def cluster_id(self) -> str:
        """The id that the cluster got when it was made. Raises LogUnavailable."""
        async with self._admin("asking for the cluster") as admin:
            cluster = await admin.describe_cluster()
        cluster_id: str = cluster["cluster_id"]
        return cluster_id

    async def create_topics(self, names: Sequence[str], partitions: int) -> None:
        """See `EventLog.ensure_topics`."""
        topics = [NewTopic(name, partitions, 1, topic_configs=_KEPT_FOR_EVER) for name in names]
        for topic in topics:
            # Set afterwards: the constructor refuses -1, which Kafka takes as "the cluster's own default".
            topic.replication_factor = self._settings.replication_factor
        async with self._admin("creating topics") as admin:
            await _controller_known(admin)
            answer = await admin.create_topics(topics)
            for name, code, *_ in answer.topic_errors:
                if code not in (_NO_ERROR, TopicAlreadyExistsError.errno):
                    raise unavailable(f"creating topic {name}", for_code(code)())
            for name in names:
                found = await self._appeared(admin, name)
                if found != partitions:
                    raise LogError(f"topic {name} has {found} partitions, not {partitions}")

    async def _appeared(self, admin: AIOKafkaAdminClient, name: str) -> int:
        while True:  # until the limit that `_admin` sets: a new topic takes a moment to reach every broker
            found = await self._described(admin, name)
            if found:
                return found
            await asyncio.sleep(_STEP_SECONDS)

    async def _described(self, admin: AIOKafkaAdminClient, name: str) -> int:
        """How many partitions it has and may be used; 0 where it does not exist or is not ready."""
        for topic in await admin.describe_topics([name]):
            leaders = [part["leader"] for part in topic["partitions"]]
            if topic["error_code"] == _NO_ERROR and leaders and min(leaders) >= 0:
                self._partitions[name] = len(leaders)
                return len(leaders)
        return 0

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has. Raises UnknownTopic, LogUnavailable."""
        if topic not in self._partitions:
            async with self._admin("asking for a topic") as admin:
                await self._described(admin, topic)
        if topic not in self._partitions:
            raise UnknownTopic(f"there is no topic {topic}")
        return self._partitions[topic]

    async def beginning_offsets(self, topic: str) -> Mapping[int, int]:
        """See `EventLog.beginning_offsets`."""
        places = await self._places(topic)
        return await self._ask(topic, lambda consumer: _numbers(consumer.beginning_offsets(places)))

    async def end_offsets(self, topic: str) -> Mapping[int, int]:
        """See `EventLog.end_offsets`."""
        places = await self._places(topic)
        return await self._ask(topic, lambda consumer: _numbers(consumer.end_offsets(places)))

    async def _places(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(await self.partitions(topic))]

    async def read(self, place: Partition, from_offset: int, limit: int) -> list[Record]:
        """See `EventLog.read`."""
        await self.partitions(place.topic)
        return await self._ask(place.topic, lambda consumer: _read(consumer, place, from_offset, limit))

    async def close(self) -> None:
        """Close the connection; the next question opens a new one."""
        async with self._turn:
            await self._drop()

    async def _ask(self, topic: str, question: Callable[[AIOKafkaConsumer], Awaitable[_Answer]]) -> _Answer:
        async with self._turn:
            try:
                async with asyncio.timeout(self._settings.times.append):
                    return await question(await self._connected())
            except UnknownTopicOrPartitionError as error:
                self._partitions.pop(topic, None)
                raise UnknownTopic(f"there is no topic {topic}") from error
            except CLIENT_ERRORS as error:
                await self._drop()
                raise unavailable(f"reading {topic}", error) from error

    async def _connected(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            times = self._settings.times
            self._consumer = AIOKafkaConsumer(
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="none",
                fetch_max_wait_ms=20,
                max_partition_fetch_bytes=1_048_576,
                **self._settings.connection(
                    client=f"{self._settings.client}-reader", request_seconds=times.request
                ),
            )
            await self._consumer.start()
        return self._consumer

    async def _drop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await close_consumer(consumer, patience_seconds=self._settings.times.close)

    @asynccontextmanager
    async def _admin(self, doing: str) -> AsyncIterator[AIOKafkaAdminClient]:
        times = self._settings.times
        options = self._settings.connection(
            client=f"{self._settings.client}-admin", request_seconds=times.request
        )
        admin = AIOKafkaAdminClient(**options)
        try:
            async with asyncio.timeout(times.append):
                await admin.start()
                yield admin
        except CLIENT_ERRORS as error:
            raise unavailable(doing, error) from error
        finally:
            await admin.close()


async def _controller_known(admin: AIOKafkaAdminClient) -> None:
    # While a cluster is coming back its answers name no controller, and aiokafka 0.14 then trips over None.
    while admin._client.cluster.controller is None:
        await admin._client.force_metadata_update()
        await asyncio.sleep(_STEP_SECONDS)


async def _numbers(asked: Awaitable[Mapping[TopicPartition, int]]) -> Mapping[int, int]:
    return {place.partition: offset for place, offset in (await asked).items()}


async def _read(consumer: AIOKafkaConsumer, place: Partition, from_offset: int, limit: int) -> list[Record]:
    raw_place = TopicPartition(*place)
    end = (await consumer.end_offsets([raw_place]))[raw_place]
    beginning = (await consumer.beginning_offsets([raw_place]))[raw_place]
    if from_offset > end:
        raise OffsetOutOfRange(place, from_offset)
    position = max(from_offset, beginning)
    consumer.assign([raw_place])
    consumer.seek(raw_place, position)
    records: list[Record] = []
    while position < end and not records:
        found = await consumer.getmany(raw_place, timeout_ms=_POLL_MS, max_records=limit)
        records = [record_of(raw) for raw in found.get(raw_place, ())]
        position = await consumer.position(raw_place)
    return records
