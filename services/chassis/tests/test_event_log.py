"""The promises of the EventLog port, one suite for the embedded log and for Apache Kafka."""

import asyncio
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from baton_chassis.log.kafka import KafkaEventLog
from baton_chassis.log.kafka_settings import KafkaSettings, KafkaTimes
from baton_chassis.log.port import (
    MAX_RECORD_BYTES,
    Draft,
    DraftRefused,
    EventLog,
    LogError,
    LogUnavailable,
    OffsetOutOfRange,
    Partition,
    RebalanceFailed,
    Record,
    UnknownTopic,
)
from baton_chassis.log.sqlite import SqliteEventLog
from baton_chassis.testing.log_owner import LogOwner
from baton_contracts.topics import PARTITIONS

MakeLog = Callable[..., Awaitable[EventLog]]
StartOwner = Callable[..., Coroutine[Any, Any, LogOwner]]

# Written by `kcat -X partitioner=murmur2_random` (librdkafka 2) to a topic of 12 partitions.
LIBRDKAFKA = {
    "0": 8, "a": 4, "ab": 2, "abc": 3, "abcd": 8, "abcde": 1, "referral-0001": 10, "ünïcode": 1, "x" * 100: 4,
    "0198f3a2-7c44-7a10-8d2e-5b1f0c9a7e31": 2, "0198f3a2-7c44-7a10-8d2e-5b1f0c9a7e32": 7,
    "1": 3, "2": 8, "3": 11, "4": 1, "5": 6, "6": 10, "7": 3, "8": 3, "9": 11, "10": 10, "11": 0, "12": 10,
    "16": 5, "25": 9,
}  # fmt: skip


@pytest.fixture(params=["sqlite", "kafka"])
def backend(request: pytest.FixtureRequest) -> str:
    """The adapters; each test runs on both."""
    name: str = request.param
    return name


@pytest.fixture
async def make_log(backend: str, request: pytest.FixtureRequest) -> AsyncIterator[MakeLog]:
    """Opens the same log again and again, as several processes would."""
    opened: list[EventLog] = []
    address = request.getfixturevalue("sqlite_file" if backend == "sqlite" else "kafka_server")

    async def make(*, rebalance_seconds: float = 60.0) -> EventLog:
        log: EventLog
        if backend == "sqlite":
            log = SqliteEventLog(address, rebalance_seconds=rebalance_seconds)
        else:
            times = KafkaTimes(rebalance=rebalance_seconds, heartbeat=0.2)
            log = KafkaEventLog(KafkaSettings(bootstrap=address, times=times))
        opened.append(log)
        await log.start()
        return log

    yield make
    for log in opened:
        await log.stop()


@pytest.fixture
async def log(make_log: MakeLog) -> EventLog:
    """A log that is connected."""
    return await make_log()


@pytest.fixture
async def topic(log: EventLog) -> str:
    """A topic that nobody else uses."""
    name = f"t.{uuid4()}"
    await log.ensure_topics([name])
    return name


@pytest.fixture
def group() -> str:
    """A group that nobody else uses."""
    return f"g.{uuid4()}"


@pytest.fixture
async def owner(log: EventLog, topic: str, group: str) -> AsyncIterator[StartOwner]:
    """Starts members of the group, and stops them at the end."""
    started: list[LogOwner] = []

    async def start(*, on: EventLog | None = None, group: str = group, **options: object) -> LogOwner:
        new = LogOwner(on or log, group, topic, **options)  # type: ignore[arg-type]
        started.append(new)
        await new.start()
        return new

    yield start
    for member in started:
        await member.consumer.stop()


def drafts(topic: str, count: int, *, keys: int = 20, first: int = 0) -> list[Draft]:
    """`count` drafts over `keys` keys; the value is the number, so that order shows."""
    return [Draft(topic, b"key-%d" % (n % keys), b"%d" % n) for n in range(first, first + count)]


async def everything(log: EventLog, topic: str) -> list[Record]:
    """All records of a topic, partition by partition."""
    return [
        record
        for number, end in (await log.end_offsets(topic)).items()
        for record in (await log.read(topic, number, 0, 100_000) if end else [])
    ]


def numbers_by_key(records: list[Record]) -> Mapping[bytes, list[int]]:
    """The values in the order of the records, for each key."""
    found: dict[bytes, list[int]] = defaultdict(list)
    for record in records:
        found[record.key].append(int(record.value))
    return found


def one_key_for_each_partition(topic: str) -> list[Draft]:
    """A draft for every partition."""
    keys = {partition: key for key, partition in LIBRDKAFKA.items()}
    return [Draft(topic, keys[number].encode(), b"%d" % number) for number in range(PARTITIONS)]


async def until_handled(owner: LogOwner, handler: Callable[[Record], Awaitable[None]]) -> None:
    """Polls until there was something."""
    while not await owner.step(handler):
        pass


async def waiting_for(event: asyncio.Event) -> None:
    """A handler that takes as long as the test wants."""
    await event.wait()


# Appending and reading


async def test_what_was_appended_is_read_byte_for_byte(log: EventLog, topic: str) -> None:
    headers = (("ce_id", b"1"), ("binary", bytes(range(256))), ("ce_id", b"again"), ("empty", b""))
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    await log.append([Draft(topic, b"\x00key\xff", bytes(range(256)), headers), Draft(topic, b"k", b"")])

    by_key = {record.key: record for record in await everything(log, topic)}

    full, empty = by_key[b"\x00key\xff"], by_key[b"k"]
    assert (full.value, full.headers, full.topic) == (bytes(range(256)), headers, topic)
    assert (empty.value, empty.headers) == (b"", ())
    assert before <= full.timestamp <= datetime.now(UTC)
    assert full.timestamp.utcoffset() == timedelta(0)


async def test_a_key_keeps_its_order_and_its_partition_over_many_appends(log: EventLog, topic: str) -> None:
    for first in range(0, 600, 60):
        await log.append(drafts(topic, 60, first=first))

    records = await everything(log, topic)

    assert numbers_by_key(records) == {b"key-%d" % k: list(range(k, 600, 20)) for k in range(20)}
    assert len({(record.key, record.partition) for record in records}) == 20


async def test_offsets_count_up_without_holes_from_zero(log: EventLog, topic: str) -> None:
    await log.append(drafts(topic, 100, keys=1))
    (number,) = (n for n, end in (await log.end_offsets(topic)).items() if end)

    records = await log.read(topic, number, 0, 1000)

    assert [record.offset for record in records] == list(range(100))
    assert records[0].place == Partition(topic, number)
    assert records[-1].next_offset == (await log.end_offsets(topic))[number] == 100


async def test_concurrent_appends_all_arrive_once(log: EventLog, topic: str) -> None:
    await asyncio.gather(*(log.append([draft]) for draft in drafts(topic, 300)))

    assert sorted(int(record.value) for record in await everything(log, topic)) == list(range(300))
    assert log.counters.appended == 300


async def test_an_empty_append_does_nothing(log: EventLog, topic: str) -> None:
    await log.append([])

    assert not any((await log.end_offsets(topic)).values())


async def test_a_draft_that_is_too_large_is_refused_and_its_neighbours_are_not_written(
    log: EventLog, topic: str
) -> None:
    with pytest.raises(DraftRefused):
        await log.append([Draft(topic, b"k", b"fits"), Draft(topic, b"k", b"x" * MAX_RECORD_BYTES)])

    assert await everything(log, topic) == []
    assert log.counters.failures == 1


async def test_the_largest_draft_is_taken_and_handed_out(
    owner: StartOwner, log: EventLog, topic: str
) -> None:
    await log.append([Draft(topic, b"k", b"x" * (MAX_RECORD_BYTES - 1)), Draft(topic, b"k", b"after")])
    member = await owner()

    handled = await member.drain(2)

    assert [len(record.value) for record in handled] == [MAX_RECORD_BYTES - 1, 5]


async def test_a_topic_has_twelve_partitions_and_asking_again_changes_nothing(
    log: EventLog, topic: str
) -> None:
    await log.append(drafts(topic, 5))
    await log.ensure_topics([topic])

    assert sorted(await log.end_offsets(topic)) == list(range(PARTITIONS))
    assert len(await everything(log, topic)) == 5


async def test_other_partitions_for_a_topic_that_exists_are_refused(log: EventLog, topic: str) -> None:
    with pytest.raises(LogError, match="12 partitions"):
        await log.ensure_topics([topic], partitions=6)


async def test_a_topic_that_nobody_made_is_unknown(log: EventLog, owner: StartOwner) -> None:
    with pytest.raises(UnknownTopic):
        await log.append([Draft("nobody.made", b"k", b"v")])
    with pytest.raises(UnknownTopic):
        await log.end_offsets("nobody.made")
    with pytest.raises(UnknownTopic):
        await log.read("nobody.made", 0, 0, 1)
    with pytest.raises(UnknownTopic):
        await LogOwner(log, "g", "nobody.made").start()


async def test_keys_lie_where_librdkafka_puts_them(log: EventLog, topic: str) -> None:
    await log.append([Draft(topic, key.encode(), b"v") for key in LIBRDKAFKA])

    found = {record.key.decode(): record.partition for record in await everything(log, topic)}

    assert found == LIBRDKAFKA


async def test_reading_takes_an_offset_and_a_limit_and_ends_empty(log: EventLog, topic: str) -> None:
    await log.append(drafts(topic, 50, keys=1))
    (number,) = (n for n, end in (await log.end_offsets(topic)).items() if end)

    assert [record.offset for record in await log.read(topic, number, 10, 5)] == [10, 11, 12, 13, 14]
    assert await log.read(topic, number, 50, 5) == []
    with pytest.raises(OffsetOutOfRange):
        await log.read(topic, number, 51, 5)
    assert set((await log.beginning_offsets(topic)).values()) == {0}


async def test_the_log_keeps_its_identity_over_restarts(make_log: MakeLog, log: EventLog, topic: str) -> None:
    await log.append(drafts(topic, 3))
    before = log.log_id
    await log.stop()

    again = await make_log()

    assert again.log_id == before != ""
    assert len(await everything(again, topic)) == 3


async def test_an_unstarted_log_has_no_identity(log: EventLog, backend: str) -> None:
    unstarted = SqliteEventLog(None) if backend == "sqlite" else KafkaEventLog(KafkaSettings("127.0.0.1:1"))

    with pytest.raises(LogUnavailable):
        _ = unstarted.log_id


# Consumers


async def test_a_new_group_starts_at_the_earliest_record(
    owner: StartOwner, log: EventLog, topic: str
) -> None:
    await log.append(drafts(topic, 100))
    member = await owner()

    handled = await member.drain(100)

    assert numbers_by_key(handled) == {b"key-%d" % k: list(range(k, 100, 20)) for k in range(20)}
    assert member.consumer.assignment() == {Partition(topic, n) for n in range(PARTITIONS)}
    assert member.events == ["assigned 12"]
    assert member.consumer.counters.records == 100


async def test_reading_starts_at_the_offsets_that_the_owner_stored(
    owner: StartOwner, log: EventLog, topic: str
) -> None:
    await log.append(one_key_for_each_partition(topic) * 3)
    stored = {Partition(topic, n): 2 for n in range(PARTITIONS) if n != 7} | {Partition(topic, 7): 0}

    member = await owner(offsets=stored)
    handled = await member.drain(11 + 3)

    assert {record.offset for record in handled if record.partition != 7} == {2}
    assert [record.offset for record in handled if record.partition == 7] == [0, 1, 2]


async def test_without_stored_offsets_reading_goes_on_where_the_group_committed(
    owner: StartOwner, log: EventLog, topic: str
) -> None:
    await log.append(one_key_for_each_partition(topic) * 2)
    first = await owner()
    await first.drain(24)
    await first.consumer.commit({Partition(topic, n): 1 for n in range(6)})
    await first.consumer.stop()

    second = await owner(member="b")
    handled = await second.drain(6 * 1 + 6 * 2)

    assert first.consumer.counters.commits == 1
    assert {record.partition: record.offset for record in reversed(handled)} == {
        n: 1 if n < 6 else 0 for n in range(PARTITIONS)
    }


async def test_a_stored_offset_beats_a_committed_one(owner: StartOwner, log: EventLog, topic: str) -> None:
    await log.append(one_key_for_each_partition(topic) * 2)
    first = await owner()
    await first.drain(24)
    await first.consumer.commit({Partition(topic, 3): 2})
    await first.consumer.stop()

    second = await owner(member="b", offsets={Partition(topic, n): 0 if n == 3 else 2 for n in range(12)})
    handled = await second.drain(2)

    assert [(record.partition, record.offset) for record in handled] == [(3, 0), (3, 1)]


async def test_a_stored_offset_beyond_the_end_raises_and_does_not_jump(
    owner: StartOwner, log: EventLog, topic: str
) -> None:
    await log.append(one_key_for_each_partition(topic))
    member = await owner(
        offsets={Partition(topic, n): 1 for n in range(PARTITIONS)} | {Partition(topic, 4): 9}
    )

    with pytest.raises(OffsetOutOfRange) as raised:
        await member.drain(1)

    assert (raised.value.partition, raised.value.offset) == (Partition(topic, 4), 9)


async def test_poll_gives_no_more_records_than_asked_and_loses_none(
    owner: StartOwner, log: EventLog, topic: str
) -> None:
    await log.append(drafts(topic, 200))
    member = await owner()

    async with asyncio.timeout(30):
        while len(member.handled) < 200:
            assert len(await member.step(max_records=7)) <= 7

    assert numbers_by_key(member.handled) == {b"key-%d" % k: list(range(k, 200, 20)) for k in range(20)}


async def test_poll_comes_back_empty_when_its_time_is_up(owner: StartOwner) -> None:
    member = await owner()
    begun = asyncio.get_running_loop().time()

    assert await member.consumer.poll(max_records=10, timeout=0.3) == {}

    assert 0.25 <= asyncio.get_running_loop().time() - begun < 2.0


async def test_a_waiting_poll_hears_of_new_records_at_once(
    owner: StartOwner, log: EventLog, topic: str
) -> None:
    member = await owner()
    waiting = asyncio.create_task(member.step(timeout=30.0))
    await asyncio.sleep(0)
    begun = asyncio.get_running_loop().time()

    await log.append([Draft(topic, b"k", b"1")])

    assert [record.value for record in await waiting] == [b"1"]
    assert asyncio.get_running_loop().time() - begun < 0.9


async def test_every_group_gets_every_record(owner: StartOwner, log: EventLog, topic: str) -> None:
    await log.append(drafts(topic, 40))
    one, other = await owner(), await owner(group=f"g.{uuid4()}")

    assert len(await one.drain(40)) == len(await other.drain(40)) == 40


async def test_members_share_the_partitions_and_handle_every_record_once(
    owner: StartOwner, log: EventLog, topic: str
) -> None:
    offsets: dict[Partition, int] = {}
    one = await owner(offsets=offsets)
    joining = asyncio.create_task(owner(member="b", offsets=offsets))
    while not joining.done():
        await one.step(timeout=0.05)
    other = await joining
    async with asyncio.timeout(30):
        while not (one.consumer.assignment() and other.consumer.assignment()):
            await asyncio.gather(one.step(), other.step())

    await log.append(drafts(topic, 200, keys=100))
    async with asyncio.timeout(30):
        while len(one.handled) + len(other.handled) < 200:
            await asyncio.gather(one.step(), other.step())

    assert one.consumer.assignment().isdisjoint(other.consumer.assignment())
    assert len(one.consumer.assignment()) == len(other.consumer.assignment()) == PARTITIONS / 2
    assert sorted(int(record.value) for record in one.handled + other.handled) == list(range(200))


async def test_no_record_is_handled_by_two_members_when_one_joins_during_a_slow_handler(
    owner: StartOwner, log: EventLog, topic: str
) -> None:
    offsets: dict[Partition, int] = {}
    go_on = asyncio.Event()
    await log.append(drafts(topic, 100, keys=50))

    one = await owner(offsets=offsets)
    handling = asyncio.create_task(until_handled(one, lambda _: waiting_for(go_on)))
    await one.in_hand.wait()
    joining = asyncio.create_task(owner(member="b", offsets=offsets))
    async with asyncio.timeout(30):
        await one.revoking.wait()
    given_out_meanwhile = joining.done()
    go_on.set()
    await handling
    # The one that waits in poll, as the one that joins, needs the other to go on polling.
    while not joining.done():
        await one.step(timeout=0.05)
    other = await joining
    async with asyncio.timeout(30):
        while len(one.handled) + len(other.handled) < 100:
            await asyncio.gather(one.step(), other.step())

    handled = one.handled + other.handled
    assert not given_out_meanwhile
    assert one.events[:3] == ["assigned 12", "revoking 12", "revoked"]
    assert len({(record.place, record.offset) for record in handled}) == len(handled) == 100


async def test_a_member_that_leaves_hands_its_partitions_to_the_others(
    owner: StartOwner, log: EventLog, topic: str
) -> None:
    offsets: dict[Partition, int] = {}
    one = await owner(offsets=offsets)
    joining = asyncio.create_task(owner(member="b", offsets=offsets))
    while not joining.done():
        await one.step(timeout=0.05)
    leaving = await joining
    await log.append(drafts(topic, 60))

    await leaving.consumer.stop()
    async with asyncio.timeout(30):
        while len(one.consumer.assignment()) < PARTITIONS or len(one.handled) + len(leaving.handled) < 60:
            await one.step()

    assert leaving.consumer.assignment() == frozenset()
    assert leaving.events[-1] == "revoked"
    assert sorted(int(record.value) for record in one.handled) == list(range(60))


async def test_stopping_twice_and_stopping_what_never_started_is_harmless(
    owner: StartOwner, log: EventLog, topic: str, group: str
) -> None:
    member = await owner()
    await member.consumer.stop()
    await member.consumer.stop()
    await log.consumer(group, [topic], member="never").stop()

    assert member.events == ["assigned 12", "revoking 12", "revoked"]


async def test_what_on_assigned_raises_comes_out_of_poll(
    owner: StartOwner, log: EventLog, topic: str
) -> None:
    await log.append(drafts(topic, 10))
    member = LogOwner(log, f"g.{uuid4()}", topic)

    async def fails(share: frozenset[Partition]) -> Mapping[Partition, int | None]:
        raise ValueError("the database is away")

    member.on_assigned = fails  # type: ignore[method-assign]
    await member.start()
    with pytest.raises(RebalanceFailed) as raised:
        await member.drain(1)
    await member.consumer.stop()

    assert isinstance(raised.value.__cause__, ValueError)


async def test_what_on_revoked_raises_comes_out_of_poll_and_the_others_go_on(
    owner: StartOwner, log: EventLog, topic: str, group: str
) -> None:
    await log.append(drafts(topic, 10))
    failing = LogOwner(log, group, topic)

    async def fails(share: frozenset[Partition]) -> None:
        raise ValueError("cannot give back")

    failing.on_revoked = fails  # type: ignore[method-assign]
    await failing.start()
    joining = asyncio.create_task(owner(member="b"))
    with pytest.raises(RebalanceFailed) as raised:
        await failing.drain(11)
    await failing.consumer.stop()
    other = await joining
    await other.drain(10)

    assert isinstance(raised.value.__cause__, ValueError)


async def test_who_does_not_give_back_in_time_is_out_and_its_commit_is_lost_quietly(
    make_log: MakeLog, owner: StartOwner, topic: str
) -> None:
    hasty = await make_log(rebalance_seconds=1.0)
    await hasty.append(drafts(topic, 50))
    stuck, never = await owner(on=hasty), asyncio.Event()
    handling = asyncio.create_task(until_handled(stuck, lambda _: waiting_for(never)))
    async with asyncio.timeout(30):
        await stuck.in_hand.wait()

    other = await owner(on=hasty, member="b")
    await other.drain(50)
    await stuck.consumer.commit({Partition(topic, n): 1 for n in range(PARTITIONS)})

    assert stuck.consumer.counters.commits_lost == 1
    assert stuck.handled == []
    assert other.consumer.assignment() == {Partition(topic, n) for n in range(PARTITIONS)}
    with pytest.raises(RebalanceFailed):
        await stuck.consumer.poll(max_records=1, timeout=5.0)
    handling.cancel()
    await asyncio.wait([handling])


async def test_a_commit_for_partitions_of_somebody_else_is_counted_and_ignored(
    owner: StartOwner, topic: str
) -> None:
    member = await owner()

    await member.consumer.commit({Partition("another", 0): 5})

    assert (member.consumer.counters.commits, member.consumer.counters.commits_lost) == (0, 1)


async def test_a_commit_after_stopping_is_counted_and_ignored(owner: StartOwner, topic: str) -> None:
    member = await owner()
    await member.consumer.stop()

    await member.consumer.commit({Partition(topic, 0): 5})

    assert member.consumer.counters.commits_lost == 1


async def test_lag_counts_what_poll_has_not_handed_out(owner: StartOwner, log: EventLog, topic: str) -> None:
    member = await owner()
    await log.append(one_key_for_each_partition(topic) * 5)

    before = await member.consumer.lag()
    await member.drain(60)
    after = await member.consumer.lag()

    assert before == {Partition(topic, n): 5 for n in range(PARTITIONS)}
    assert after == {Partition(topic, n): 0 for n in range(PARTITIONS)}


async def test_a_paused_partition_is_left_out_and_goes_on_where_it_stood(
    owner: StartOwner, log: EventLog, topic: str
) -> None:
    member, paused = await owner(), Partition(topic, 5)
    await log.append(one_key_for_each_partition(topic))
    await member.drain(12)
    member.consumer.pause(frozenset([paused]))
    await log.append(one_key_for_each_partition(topic) * 4)
    await member.drain(12 + 44)
    held_back = await member.step(timeout=0.3)

    member.consumer.resume(frozenset([paused]))
    await member.drain(12 + 48)

    assert held_back == []
    assert [record.partition for record in member.handled[12 + 44 :]] == [5] * 4
    assert [record.offset for record in member.handled[12 + 44 :]] == [1, 2, 3, 4]


async def test_a_seek_is_followed_by_the_records_from_there(
    owner: StartOwner, log: EventLog, topic: str
) -> None:
    member, place = await owner(), Partition(topic, 2)
    await log.append(one_key_for_each_partition(topic) * 3)
    await member.drain(36)

    member.consumer.seek(place, 1)
    await member.drain(38)

    assert [(record.place, record.offset) for record in member.handled[36:]] == [(place, 1), (place, 2)]


async def test_calls_about_partitions_of_somebody_else_change_nothing(
    owner: StartOwner, log: EventLog, topic: str
) -> None:
    member, foreign = await owner(), Partition("another", 0)
    await log.append(drafts(topic, 10))

    member.consumer.seek(foreign, 1)
    member.consumer.pause(frozenset([foreign]))
    member.consumer.resume(frozenset([foreign]))

    assert len(await member.drain(10)) == 10


async def test_kcat_puts_the_same_keys_into_the_same_partitions(
    log: EventLog, topic: str, backend: str, request: pytest.FixtureRequest
) -> None:
    if backend != "kafka":
        pytest.skip("kcat speaks to Kafka only")
    if shutil.which("kcat") is None:
        pytest.skip("kcat is not installed")
    keys = [str(uuid4()) for _ in range(100)]
    command = ["kcat", "-P", "-b", request.getfixturevalue("kafka_server"), "-t", topic, "-K", "|"]
    lines = "".join(f"{key}|theirs\n" for key in keys).encode()
    kcat = await asyncio.create_subprocess_exec(
        *command, "-X", "partitioner=murmur2_random", stdin=asyncio.subprocess.PIPE
    )
    await kcat.communicate(lines)
    await log.append([Draft(topic, key.encode(), b"ours") for key in keys])

    records = await everything(log, topic)

    theirs = {record.key: record.partition for record in records if record.value == b"theirs"}
    ours = {record.key: record.partition for record in records if record.value == b"ours"}
    assert theirs == ours
    assert len(ours) == 100
