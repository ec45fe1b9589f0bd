"""Letting go of aiokafka clients: in order while the cluster answers, by force when it does not.

An orderly stop waits for the cluster: a producer until every batch is delivered (an idempotent one tries
for ever), a consumer until the group's coordinator has answered. By force means: cancel the tasks that
would go on sending, close the sockets. That takes a look behind aiokafka's public face (0.14), here and
nowhere else.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient

from baton_chassis.log.kafka_settings import CLIENT_ERRORS

_FORCE_SECONDS = 1.0
_logger = logging.getLogger(__name__)


async def close_producer(producer: AIOKafkaProducer, *, patience_seconds: float) -> None:
    """Deliver what is on its way and close. Never raises; may take seconds longer than the patience."""
    try:
        async with asyncio.timeout(patience_seconds):
            await producer.stop()
    except CLIENT_ERRORS as error:
        _logger.warning("a Kafka producer did not close in order: %s", type(error).__name__)
        await abandon_producer(producer)


async def abandon_producer(producer: AIOKafkaProducer) -> None:
    """Close now; what is on its way may or may not arrive. Never raises."""
    producer._closed = True  # or its finaliser complains
    await _close_sockets(producer.client)
    # Twice: the first cancellation makes the sender wait for its requests, the second ends those as well.
    for _ in range(2):
        await _end([producer._sender.sender_task])
    await _close_sockets(producer.client)


async def close_consumer(consumer: AIOKafkaConsumer, *, patience_seconds: float) -> None:
    """Leave the group and close. Never raises; at worst it takes a few seconds more than the patience."""
    try:
        async with asyncio.timeout(patience_seconds):
            await consumer.stop()
    except CLIENT_ERRORS as error:
        _logger.warning("a Kafka consumer did not close in order: %s", type(error).__name__)
        await _abandon_consumer(consumer)


async def _abandon_consumer(consumer: AIOKafkaConsumer) -> None:
    consumer._closed = True
    names = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task")
    await _end(getattr(consumer._coordinator, name, None) for name in names)
    if consumer._fetcher is not None:
        await _end([consumer._fetcher._fetch_task, *consumer._fetcher._pending_tasks])
    await _close_sockets(consumer._client)


async def _end(tasks: Iterable[asyncio.Task[object] | None]) -> None:
    alive = [task for task in tasks if task is not None and not task.done()]
    for task in alive:
        task.cancel()
    if alive:
        await asyncio.wait(alive, timeout=_FORCE_SECONDS)


async def _close_sockets(client: AIOKafkaClient) -> None:
    with contextlib.suppress(*CLIENT_ERRORS):
        async with asyncio.timeout(_FORCE_SECONDS):
            await client.close()
