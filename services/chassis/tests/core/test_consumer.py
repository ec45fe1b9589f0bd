"""Events are applied exactly once and in order per line; what cannot be applied is parked with what follows
of its key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baton_chassis.clock import FixedClock
from baton_chassis.commands import Outgoing
from baton_chassis.consumer import Consumer, Subscription
from baton_chassis.errors import Poison, Unavailable
from baton_chassis.ids import new_id
from baton_chassis.log.port import Draft, Partition, Record
from baton_chassis.testing.harness import Harness, harness
from baton_chassis.work import Work
from baton_chassis.writer import Fenced
from baton_contracts.envelope import Envelope, headers
from baton_contracts.topics import partition_for

AWAY: set[str] = set()
"""Keys whose handler meets something that does not answer now."""


@pytest.fixture
async def listening(database_url: str, clock: FixedClock, words: dict[str, Any]) -> AsyncIterator[Harness]:
    """A toy that opens a tally on the first event of a key and counts on every other; type `poison.*` is
    refused.
    """

    async def count(event: Envelope, work: Work) -> None:
        if event.data.get("bad"):
            raise Poison("bad")
        if event.data.get("bug"):
            raise ZeroDivisionError
        if event.partitionkey in AWAY:
            raise Unavailable("what this key needs does not answer")
        if await work.find(words["Tally"], event.subject) is None:
            await work.run(words["Open"](id=event.subject))
        else:
            await work.run(words["Count"](id=event.subject))

    subscription = Subscription(
        consumer="toy-service", topics=("referral.events",), handlers={"toy.happened.v1": count}
    )
    async with harness(
        words["definition"](subscriptions=(subscription,)), url=database_url, clock=clock
    ) as running:
        yield running


class Lines:
    """Makes events of lines and feeds them as one partition of the log."""

    def __init__(self, toy: Harness, at: Any) -> None:
        self.toy = toy
        self.at = at
        self.offsets: dict[Partition, int] = {}

    def event(self, key: str, number: int, *, line: str = "things", **data: Any) -> Envelope:
        outgoing = Outgoing(
            type="toy.happened.v1", topic="referral.events", source=f"/toys/{key}/{line}", subject=key,
            key=key, data=data, occurred_at=self.at,
        )  # fmt: skip
        return self.toy.envelope(outgoing, number=number)

    def record(self, envelope: Envelope) -> Record:
        place = Partition("referral.events", partition_for(envelope.partitionkey.encode()))
        offset = self.offsets.get(place, 0)
        self.offsets[place] = offset + 1
        return Record(
            topic=place.topic, partition=place.number, offset=offset, key=envelope.partitionkey.encode(),
            value=envelope.to_bytes(), headers=tuple(headers(envelope)), timestamp=envelope.time,
        )  # fmt: skip

    async def feed(self, *envelopes: Envelope) -> None:
        await self.feed_records(*(self.record(envelope) for envelope in envelopes))

    async def feed_records(self, *records: Record) -> None:
        consumer = self.toy.consumers["toy-service"]
        by_place: dict[Partition, list[Record]] = {}
        for record in records:
            by_place.setdefault(record.place, []).append(record)
        for place, batch in by_place.items():
            await consumer.apply(place, batch)


@pytest.fixture
def lines(listening: Harness, words: dict[str, Any]) -> Lines:
    """The feeder."""
    return Lines(listening, words["NOON"])


async def _total(toy: Harness, words: dict[str, Any], key: str) -> int:
    tally = await toy.service.reader.get(words["Tally"], "p1", key)
    return tally.total if tally is not None else 0


async def _parked(toy: Harness) -> list[str]:
    rows = await toy.rows(toy.service.definition.tables.parked)
    return [row["reason"] for row in sorted(rows, key=lambda row: row["number"])]


async def test_a_batch_is_applied_in_order_in_one_transaction(
    listening: Harness, lines: Lines, words: dict[str, Any]
) -> None:
    key = new_id()
    before = listening.service.writer.batches

    await lines.feed(*(lines.event(key, number) for number in range(1, 8)))

    assert await _total(listening, words, key) == 7
    assert listening.service.writer.batches == before + 1


async def test_an_event_read_twice_counts_once(
    listening: Harness, lines: Lines, words: dict[str, Any]
) -> None:
    key = new_id()
    one, two = lines.event(key, 1), lines.event(key, 2)

    await lines.feed(one, two, two, one, two)

    assert await _total(listening, words, key) == 2
    assert listening.consumers["toy-service"].duplicates == 3


async def test_another_event_under_a_number_already_seen_is_a_fork_and_parked(
    listening: Harness, lines: Lines, words: dict[str, Any]
) -> None:
    key = new_id()

    await lines.feed(lines.event(key, 1), lines.event(key, 1))

    assert await _total(listening, words, key) == 1
    assert await _parked(listening) == ["fork"]
    assert listening.consumers["toy-service"].forks == 1


async def test_a_gap_is_parked_and_healed_by_the_arrival_that_fills_it(
    listening: Harness, lines: Lines, words: dict[str, Any]
) -> None:
    key = new_id()
    first, second, third = (lines.event(key, number) for number in (1, 2, 3))

    await lines.feed(first, third)
    assert await _parked(listening) == ["gap"]
    await lines.feed(second)

    assert await _total(listening, words, key) == 3
    assert await _parked(listening) == []


async def test_a_gap_and_its_filler_in_one_batch_leave_nothing_parked(
    listening: Harness, lines: Lines, words: dict[str, Any]
) -> None:
    key = new_id()

    await lines.feed(*(lines.event(key, number) for number in (3, 1, 4, 2)))

    assert await _total(listening, words, key) == 4
    assert await _parked(listening) == []


async def test_another_line_of_the_key_goes_on_over_a_gap(
    listening: Harness, lines: Lines, words: dict[str, Any]
) -> None:
    key = new_id()

    await lines.feed(lines.event(key, 1), lines.event(key, 3), lines.event(key, 1, line="other"))

    assert await _total(listening, words, key) == 2


def _faulty(fault: str) -> Any:
    return {fault: True}


@pytest.mark.parametrize("fault", ["bad", "bug"])
async def test_what_cannot_be_applied_is_parked_with_everything_later_of_its_key(
    listening: Harness, lines: Lines, words: dict[str, Any], fault: str
) -> None:
    key, other = new_id(), new_id()

    await lines.feed(
        lines.event(key, 1), lines.event(key, 2, **_faulty(fault)), lines.event(key, 3), lines.event(other, 1)
    )

    assert await _total(listening, words, key) == 1
    assert await _total(listening, words, other) == 1
    assert await _parked(listening) == ["bad" if fault == "bad" else "ZeroDivisionError", "behind"]


async def test_bytes_that_are_no_event_are_parked(listening: Harness, lines: Lines) -> None:
    record = replace(lines.record(lines.event(new_id(), 1)), value=b"{")

    await lines.feed_records(record)

    assert await _parked(listening) == ["malformed"]


async def test_a_known_type_from_a_line_that_is_not_its_own_is_parked(
    listening: Harness, lines: Lines
) -> None:
    envelope = replace(lines.event(new_id(), 1), type="referral.received.v1")

    await lines.feed(envelope)

    assert await _parked(listening) == ["undeclared-line"]


async def test_an_unknown_type_is_noted_and_passed(
    listening: Harness, lines: Lines, words: dict[str, Any]
) -> None:
    key = new_id()

    await lines.feed(replace(lines.event(key, 1), type="toy.unheard.v1"), lines.event(key, 2))

    noted = await listening.rows(listening.service.definition.tables.unknown_event)
    assert [row["type"] for row in noted] == ["toy.unheard.v1"]
    assert await _total(listening, words, key) == 1


async def test_a_second_owner_is_fenced_and_changes_nothing(
    listening: Harness, lines: Lines, words: dict[str, Any]
) -> None:
    key = new_id()
    first = lines.event(key, 1)
    record = lines.record(first)
    owner = listening.consumers["toy-service"]
    zombie: Consumer = listening._consumer(listening.service.definition.subscriptions[0])
    await owner.apply(record.place, [record])
    later = lines.record(lines.event(key, 2))
    zombie._places[record.place] = 0

    with pytest.raises(Fenced):
        await zombie.apply(record.place, [later])

    assert await _total(listening, words, key) == 1


async def test_the_offset_is_kept_with_the_effect(listening: Harness, lines: Lines) -> None:
    key = new_id()
    await lines.feed(lines.event(key, 1), lines.event(key, 2))

    rows = await listening.rows(listening.service.definition.tables.consumer_offset)
    assert [row["next"] for row in rows] == [2]


async def test_a_partition_rests_while_something_does_not_answer_and_the_others_go_on(
    listening: Harness, lines: Lines, words: dict[str, Any]
) -> None:
    log, consumer = listening.service.environment.log, listening.consumers["toy-service"]
    waits, goes_on = _keys_of_two_partitions()
    AWAY.add(waits)
    await log.ensure_topics(["referral.events"])
    serving = asyncio.create_task(consumer.run())
    await log.append([_draft(lines.event(key, 1)) for key in (waits, goes_on)])
    await _until_total(listening, words, goes_on, 1)

    await log.append([_draft(lines.event(key, 2)) for key in (waits, goes_on)])
    await _until_total(listening, words, goes_on, 2)
    rested = await _total(listening, words, waits)
    AWAY.clear()
    await _until_total(listening, words, waits, 2)
    serving.cancel()
    await asyncio.wait([serving])

    assert rested == 0
    assert await _parked(listening) == []


def _keys_of_two_partitions() -> tuple[str, str]:
    first, second = new_id(), new_id()
    while partition_for(first.encode()) == partition_for(second.encode()):
        second = new_id()
    return first, second


def _draft(envelope: Envelope) -> Draft:
    return Draft(
        topic="referral.events",
        key=envelope.partitionkey.encode(),
        value=envelope.to_bytes(),
        headers=tuple(headers(envelope)),
    )


async def _until_total(toy: Harness, words: dict[str, Any], key: str, total: int) -> None:
    async with asyncio.timeout(20):
        while await _total(toy, words, key) != total:
            await asyncio.sleep(0)


@settings(
    max_examples=25,
    deadline=timedelta(seconds=20),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    shuffled=st.permutations(range(1, 7)),
    repeats=st.lists(st.integers(1, 6), max_size=4),
    cut=st.integers(0, 10),
)
async def test_whatever_the_order_and_the_repeats_every_event_counts_once(
    listening: Harness, words: dict[str, Any], shuffled: list[int], repeats: list[int], cut: int
) -> None:
    lines, key = Lines(listening, words["NOON"]), new_id()
    lines.offsets = dict(_read_so_far(listening))
    events = {number: lines.event(key, number) for number in range(1, 7)}
    order = [events[number] for number in [*shuffled, *repeats]]

    await lines.feed(*order[:cut])
    await lines.feed(*order[cut:])

    assert await _total(listening, words, key) == 6
    assert await _parked(listening) == []


def _read_so_far(toy: Harness) -> dict[Partition, int]:
    return {place: at or 0 for place, at in toy.consumers["toy-service"]._places.items()}
