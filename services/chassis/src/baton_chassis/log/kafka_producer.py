"""Appending to Kafka: idempotent, pipelined, with an end to every wait, and a new producer when one is
broken.
"""

import asyncio
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaProducer

from baton_chassis.log.kafka_closing import abandon_producer, close_producer
from baton_chassis.log.kafka_settings import CLIENT_ERRORS, KafkaSettings, unavailable
from baton_chassis.log.port import AppendCounters, Draft
from baton_contracts.topics import partition_for

_LINGER_MS = 0  # a call hands its drafts over in one go, so batches fill anyway; waiting only costs time
_BATCH_BYTES = 128 * 1024
_REQUEST_BYTES = 1_048_576


class _Producer:
    """One aiokafka producer and the calls that wait for it."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._waiting: set[asyncio.Timeout] = set()
        self.broken = False
        self._client = AIOKafkaProducer(
            acks="all",
            enable_idempotence=True,
            linger_ms=_LINGER_MS,
            max_batch_size=_BATCH_BYTES,
            max_request_size=_REQUEST_BYTES,
            **settings.connection(client=settings.client, request_seconds=settings.times.request),
        )

    async def start(self) -> None:
        await self._client.start()

    async def send(self, drafts: Sequence[Draft], partitions: Mapping[str, int]) -> None:
        """Returns when all are acknowledged. Raises one of CLIENT_ERRORS, TimeoutError when another call
        broke it.
        """
        async with asyncio.timeout(self._settings.times.append) as limit:
            self._waiting.add(limit)
            try:
                await asyncio.gather(*[await self._send(draft, partitions[draft.topic]) for draft in drafts])
            finally:
                self._waiting.discard(limit)

    async def _send(self, draft: Draft, partitions: int) -> asyncio.Future[object]:
        acknowledged: asyncio.Future[object] = await self._client.send(
            draft.topic,
            value=draft.value,
            key=draft.key,
            partition=partition_for(draft.key, partitions),
            headers=list(draft.headers),
        )
        return acknowledged

    def interrupt(self) -> None:
        """Let every call that waits fail now: after one lost record nothing later may be acknowledged."""
        self.broken = True
        now = asyncio.get_running_loop().time()
        for limit in self._waiting:
            if not limit.expired():
                limit.reschedule(now)

    async def close(self) -> None:
        """Deliver what is on its way, within limits, and close."""
        await close_producer(self._client, patience_seconds=self._settings.times.close)

    async def abandon(self) -> None:
        """Close now."""
        await abandon_producer(self._client)


class Appender:
    """Keeps one working producer."""

    def __init__(self, settings: KafkaSettings, counters: AppendCounters) -> None:
        self._settings = settings
        self._counters = counters
        self._producer: _Producer | None = None
        self._starting = asyncio.Lock()

    async def append(self, drafts: Sequence[Draft], partitions: Mapping[str, int]) -> None:
        """See `EventLog.append`; `partitions` gives the number of partitions of each topic."""
        producer = await self._ready()
        try:
            await producer.send(drafts, partitions)
        except CLIENT_ERRORS as error:
            await self._replace(producer)
            raise unavailable("appending", error) from error

    async def _ready(self) -> _Producer:
        async with self._starting:
            if self._producer is None:
                self._producer = await self._started()
            return self._producer

    async def _started(self) -> _Producer:
        producer = _Producer(self._settings)
        try:
            async with asyncio.timeout(self._settings.times.append):
                await producer.start()
        except BaseException as error:
            await producer.abandon()
            if isinstance(error, CLIENT_ERRORS):
                raise unavailable("connecting to append", error) from error
            raise
        return producer

    async def _replace(self, producer: _Producer) -> None:
        if producer.broken:
            return  # another call that failed with it is already at it
        producer.interrupt()
        if self._producer is producer:
            self._producer = None
        self._counters.recreated += 1
        await producer.abandon()

    async def close(self) -> None:
        """Wait for what is on its way, within limits, and close."""
        async with self._starting:
            producer, self._producer = self._producer, None
        if producer is not None:
            await producer.close()
