"""Appending to Kafka: idempotent, pipelined, with an end to every wait, and a new producer when one is broken."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaProducer

from baton_chassis.log.port import AppendCounters, Draft
from baton_chassis.log.kafka_settings import CLIENT_ERRORS, KafkaSettings, unavailable
from baton_contracts.topics import partition_for

_LINGER_MS = 1
_BATCH_BYTES = 128 * 1024
_REQUEST_BYTES = 1_048_576
_logger = logging.getLogger(__name__)


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
        """Returns when all are acknowledged. Raises one of CLIENT_ERRORS, TimeoutError when another call broke it."""
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
            headers=draft.headers,
        )
        return acknowledged

    def interrupt(self) -> None:
        """Let every call that waits fail now: after one lost record nothing later may be acknowledged."""
        self.broken = True
        now = asyncio.get_running_loop().time()
        for limit in self._waiting:
            limit.reschedule(now)

    async def close(self, *, flush: bool) -> None:
        """Close in order while the cluster answers, else by force. Never raises."""
        try:
            async with asyncio.timeout(self._settings.times.close):
                if flush:
                    await self._client.stop()
                    return
        except CLIENT_ERRORS as error:
            _logger.warning("Kafka producer did not close in order: %s", type(error).__name__)
        await self._abandon()

    async def _abandon(self) -> None:
        # `stop` waits for every batch to be delivered, which an idempotent producer tries for ever. So: connections
        # first (what waits for an answer fails), then the task that would send again, then what is left.
        client, sender = self._client.client, self._client._sender
        self._client._closed = True
        with contextlib.suppress(*CLIENT_ERRORS):
            async with asyncio.timeout(self._settings.times.close):
                await client.close()
        task = sender.sender_task
        if task is not None:
            for _ in range(2):  # the first cancellation makes it wait for its requests, the second ends those
                task.cancel()
                await asyncio.wait([task], timeout=0.2)
        with contextlib.suppress(*CLIENT_ERRORS):
            async with asyncio.timeout(self._settings.times.close):
                await client.close()


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
            await producer.close(flush=False)
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
        await producer.close(flush=False)

    async def close(self) -> None:
        """Wait for what is on its way, within limits, and close."""
        async with self._starting:
            producer, self._producer = self._producer, None
        if producer is not None:
            await producer.close(flush=True)
