"""What the log keeps when its broker or its process is stopped, killed or never there."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from baton_chassis.log.kafka import KafkaEventLog
from baton_chassis.log.kafka_settings import KafkaSettings, KafkaTimes
from baton_chassis.log.port import Draft, EventLog, LogError, LogUnavailable, Record
from baton_chassis.log.sqlite import SqliteEventLog
from baton_chassis.testing.log_owner import LogOwner
from baton_chassis.testing.servers import KafkaServer, free_port

_HASTY = KafkaTimes(
    append=3.0, request=2.0, session=6.0, heartbeat=0.2, rebalance=10.0, commit=1.0, close=1.0
)
_KEYS = 20
Hurt = Callable[[], Coroutine[Any, Any, None]]


@pytest.fixture
def broker(kafka_of_its_own: KafkaServer) -> Iterator[KafkaServer]:
    """A running broker that may be hurt; whole again afterwards."""
    yield kafka_of_its_own
    if kafka_of_its_own.running:
        kafka_of_its_own.thaw()
    else:
        kafka_of_its_own.start()


@pytest.fixture
async def patient(broker: KafkaServer) -> AsyncIterator[KafkaEventLog]:
    """A log with the usual limits, for preparing and checking."""
    log = KafkaEventLog(KafkaSettings(bootstrap=broker.bootstrap))
    await started(log)
    yield log
    await log.stop()


@pytest.fixture
async def topic(patient: KafkaEventLog) -> str:
    """A topic that nobody else uses, warmed up."""
    name = f"t.{uuid4()}"
    await patient.ensure_topics([name])
    return name


@pytest.fixture
async def log(broker: KafkaServer, topic: str) -> AsyncIterator[KafkaEventLog]:
    """A log with short limits, connected, with the first 100 drafts in it."""
    log = KafkaEventLog(KafkaSettings(bootstrap=broker.bootstrap, times=_HASTY))
    await started(log)
    await relayed(log, [drafts(topic, 100)])
    yield log
    await log.stop()


def drafts(topic: str, count: int, *, first: int = 0) -> list[Draft]:
    """`count` drafts over a few keys; the value is the number, so that order shows."""
    return [Draft(topic, b"key-%d" % (n % _KEYS), b"%d" % n) for n in range(first, first + count)]


async def started(log: EventLog) -> None:
    """Connects, as often as it takes: a broker that was just hurt may still say no."""
    await _until_available(log.start)


async def relayed(
    log: EventLog, batches: Sequence[Sequence[Draft]], hurt: dict[int, Hurt] | None = None
) -> None:
    """Appends the batches in order, each until it is acknowledged, as a relay does.

    `hurt[n]` starts with batch n.
    """
    running = []
    for number, batch in enumerate(batches):
        if hurt and number in hurt:
            running.append(asyncio.create_task(hurt[number]()))
        await _until_available(partial(log.append, batch))
    await asyncio.gather(*running)


async def _until_available(call: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                return await call()
            except LogUnavailable:
                await asyncio.sleep(0.05)  # a relay backs off


async def everything(log: EventLog, topic: str) -> list[Record]:
    """All records of a topic, partition by partition."""
    return [
        record
        for number, end in (await log.end_offsets(topic)).items()
        for record in (await log.read(topic, number, 0, 100_000) if end else [])
    ]


def first_occurrences(records: Sequence[Record]) -> dict[bytes, list[int]]:
    """For each key the values, without repeats, in the order of the log."""
    found: dict[bytes, list[int]] = {}
    for record in records:
        numbers = found.setdefault(record.key, [])
        if int(record.value) not in numbers:
            numbers.append(int(record.value))
    return found


def in_order(count: int) -> dict[bytes, list[int]]:
    """What `first_occurrences` gives when nothing was lost or swapped."""
    return {b"key-%d" % k: list(range(k, count, _KEYS)) for k in range(_KEYS)}


async def timed(call: Callable[[], Coroutine[Any, Any, object]]) -> float:
    """How many seconds it took."""
    begun = asyncio.get_running_loop().time()
    await call()
    return asyncio.get_running_loop().time() - begun


# Kafka


async def test_a_broker_that_is_killed_loses_nothing_acknowledged_and_keeps_the_order(
    log: KafkaEventLog, patient: KafkaEventLog, topic: str, broker: KafkaServer
) -> None:
    async def kill_and_restart() -> None:
        await asyncio.to_thread(broker.kill)
        await asyncio.to_thread(broker.start)

    batches = [drafts(topic, 100, first=first) for first in range(100, 4000, 100)]
    await relayed(log, batches, {10: kill_and_restart, 30: kill_and_restart})

    assert first_occurrences(await everything(patient, topic)) == in_order(4000)


async def test_a_broker_that_stops_makes_append_raise_and_a_new_producer_keeps_the_order(
    log: KafkaEventLog, patient: KafkaEventLog, topic: str, broker: KafkaServer
) -> None:
    before = replace(log.counters)
    broker.freeze()
    begun = asyncio.get_running_loop().time()
    with pytest.raises(LogUnavailable):
        await log.append(drafts(topic, 100, first=100))
    waited, after = asyncio.get_running_loop().time() - begun, replace(log.counters)
    broker.thaw()

    await relayed(log, [drafts(topic, 100, first=first) for first in range(100, 1000, 100)])

    assert _HASTY.append - 0.1 < waited < _HASTY.append + 8.0
    assert (after.recreated, after.failures) == (before.recreated + 1, before.failures + 1)
    assert first_occurrences(await everything(patient, topic)) == in_order(1000)


async def test_a_short_stop_is_waited_out(
    log: KafkaEventLog, patient: KafkaEventLog, topic: str, broker: KafkaServer
) -> None:
    recreated = log.counters.recreated
    broker.freeze()
    appending = asyncio.create_task(log.append(drafts(topic, 100, first=100)))
    done, _ = await asyncio.wait([appending], timeout=0.5)
    broker.thaw()
    await appending

    assert not done
    assert log.counters.recreated == recreated
    assert first_occurrences(await everything(patient, topic)) == in_order(200)


async def test_when_one_append_gives_up_all_that_were_in_flight_fail_with_it(
    log: KafkaEventLog, topic: str, broker: KafkaServer
) -> None:
    recreated = log.counters.recreated
    broker.freeze()
    calls = [asyncio.create_task(log.append([draft])) for draft in drafts(topic, 50)]
    results = await asyncio.gather(*calls, return_exceptions=True)

    assert {type(result) for result in results} == {LogUnavailable}
    assert log.counters.recreated == recreated + 1


@pytest.fixture
async def owner(log: KafkaEventLog, topic: str) -> AsyncIterator[LogOwner]:
    """A consumer that has handled the first 100 drafts."""
    owner = LogOwner(log, f"g.{uuid4()}", topic)
    await owner.start()
    await owner.drain(100)
    yield owner
    await owner.consumer.stop()


async def test_a_consumer_goes_on_where_it_was_when_its_broker_is_killed(
    owner: LogOwner, log: KafkaEventLog, topic: str, broker: KafkaServer
) -> None:
    await asyncio.to_thread(broker.kill)
    assert await owner.step() == []
    await asyncio.to_thread(broker.start)

    await relayed(log, [drafts(topic, 100, first=100)])
    await owner.drain(200, seconds=60)

    assert first_occurrences(owner.handled) == in_order(200)
    assert len({(record.place, record.offset) for record in owner.handled}) == len(owner.handled)


async def test_a_consumer_survives_a_stop_shorter_than_its_session(
    owner: LogOwner, log: KafkaEventLog, topic: str, broker: KafkaServer
) -> None:
    broker.freeze()
    assert await owner.step(timeout=2.0) == []
    broker.thaw()

    await relayed(log, [drafts(topic, 100, first=100)])
    await owner.drain(200, seconds=60)

    assert first_occurrences(owner.handled) == in_order(200)


async def test_a_stopped_broker_blocks_no_caller_for_long(
    owner: LogOwner, log: KafkaEventLog, topic: str, broker: KafkaServer
) -> None:
    lost = owner.consumer.counters.commits_lost
    broker.freeze()

    assert await timed(lambda: owner.step(timeout=0.5)) < 2.0
    assert await timed(lambda: owner.consumer.commit(owner.offsets)) < 4.0
    with pytest.raises(LogUnavailable):
        await owner.consumer.lag()
    with pytest.raises(LogUnavailable):
        await log.end_offsets(topic)
    assert await timed(owner.consumer.stop) < 10.0
    assert await timed(log.stop) < 10.0
    assert owner.consumer.counters.commits_lost == lost + 1


async def test_without_a_broker_everything_says_so_in_time() -> None:
    log = KafkaEventLog(KafkaSettings(bootstrap=f"127.0.0.1:{free_port()}", times=_HASTY))
    consumer = log.consumer("g", ["t"], member="a")

    for call in (
        log.start,
        lambda: log.append([Draft("t", b"k", b"v")]),
        lambda: log.ensure_topics(["t"]),
        lambda: log.end_offsets("t"),
        lambda: log.read("t", 0, 0, 1),
        lambda: LogOwner(log, "g", "t").start(),
    ):
        with pytest.raises(LogUnavailable):
            await call()
    await consumer.stop()
    await log.stop()

    assert log.counters.failures == 1


async def test_a_log_whose_broker_was_away_at_the_start_works_once_it_is_there(
    patient: KafkaEventLog, topic: str, broker: KafkaServer
) -> None:
    await asyncio.to_thread(broker.kill)
    log = KafkaEventLog(KafkaSettings(bootstrap=broker.bootstrap, times=_HASTY))
    with pytest.raises(LogUnavailable):
        await log.start()
    await asyncio.to_thread(broker.start)

    await started(log)
    await relayed(log, [drafts(topic, 20)])
    await log.stop()

    assert first_occurrences(await everything(patient, topic)) == {b"key-%d" % n: [n] for n in range(20)}


def test_a_password_does_not_show_in_the_settings() -> None:
    settings = KafkaSettings("127.0.0.1:1", sasl_mechanism="PLAIN", sasl_username="u", sasl_password="hush")

    assert "hush" not in repr(settings)
    assert settings.connection(client="c", request_seconds=1)["security_protocol"] == "SASL_PLAINTEXT"


# SQLite


@pytest.fixture
async def two_logs(sqlite_file: Path) -> AsyncIterator[tuple[SqliteEventLog, SqliteEventLog]]:
    """One file, opened twice: as two processes would."""
    one, other = SqliteEventLog(sqlite_file), SqliteEventLog(sqlite_file)
    await one.start()
    await other.start()
    await one.ensure_topics(["t"])
    yield one, other
    await one.stop()
    await other.stop()


async def test_records_of_another_process_are_seen_within_a_second_or_two(
    two_logs: tuple[SqliteEventLog, SqliteEventLog],
) -> None:
    one, other = two_logs
    owner = LogOwner(one, "g", "t")
    await owner.start()

    await other.append(drafts("t", 10))
    await owner.drain(10, seconds=5)
    await owner.consumer.stop()

    assert one.log_id == other.log_id


async def test_two_processes_that_append_leave_neither_holes_nor_doubles(
    two_logs: tuple[SqliteEventLog, SqliteEventLog],
) -> None:
    one, other = two_logs
    await asyncio.gather(
        *(log.append(drafts("t", 10, first=first)) for first in range(0, 500, 10) for log in (one, other))
    )

    records = await everything(one, "t")

    places: dict[int, list[int]] = {}
    for record in records:
        places.setdefault(record.partition, []).append(record.offset)
    assert len(records) == 1000
    assert all(offsets == list(range(len(offsets))) for offsets in places.values())


async def test_a_group_runs_in_one_process_only(two_logs: tuple[SqliteEventLog, SqliteEventLog]) -> None:
    one, other = two_logs
    owner = LogOwner(one, "g", "t")
    await owner.start()
    with pytest.raises(LogUnavailable, match="another process"):
        await LogOwner(other, "g", "t").start()
    await LogOwner(other, "another-group", "t").start()
    await owner.consumer.stop()

    successor = LogOwner(other, "g", "t")
    await successor.start()

    assert len(successor.consumer.assignment()) == 12


_WRITER = """
import asyncio, sys
from pathlib import Path
from baton_chassis.log.port import Draft
from baton_chassis.log.sqlite import SqliteEventLog

async def main() -> None:
    log = SqliteEventLog(Path(sys.argv[1]))
    await log.start()
    await log.ensure_topics(["t"])
    for first in range(0, 1_000_000, 20):
        await log.append([Draft("t", b"key-%d" % (n % 20), b"%d" % n) for n in range(first, first + 20)])
        print(first + 20, flush=True)

asyncio.run(main())
"""


async def test_what_was_acknowledged_survives_the_kill_of_the_process(sqlite_file: Path) -> None:
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _WRITER, str(sqlite_file), stdout=asyncio.subprocess.PIPE
    )
    assert writer.stdout is not None
    acknowledged = 0
    while acknowledged < 2000:
        acknowledged = int(await writer.stdout.readline())
    writer.kill()
    rest, _ = await writer.communicate()
    acknowledged = max([acknowledged, *map(int, rest.split())])

    log = SqliteEventLog(sqlite_file)
    await log.start()
    found = first_occurrences(await everything(log, "t"))
    written = sum(len(numbers) for numbers in found.values())
    await log.stop()

    assert written >= acknowledged
    assert found == in_order(written)


async def test_a_file_of_a_later_format_is_refused(sqlite_file: Path) -> None:
    with sqlite3.connect(sqlite_file) as later:
        later.execute("PRAGMA user_version = 99")
    later.close()
    log = SqliteEventLog(sqlite_file)

    with pytest.raises(LogError, match="format 99"):
        await log.start()
    await log.stop()


async def test_a_log_in_memory_keeps_the_same_promises() -> None:
    log = SqliteEventLog(None)
    await log.start()
    await log.ensure_topics(["t"])
    await log.append(drafts("t", 100))
    owner = LogOwner(log, "g", "t")
    await owner.start()

    assert first_occurrences(await owner.drain(100)) == in_order(100)
    await owner.consumer.stop()
    await log.stop()
