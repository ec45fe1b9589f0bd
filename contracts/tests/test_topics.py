"""Topics: every type has one place and one producer, and keys fall where Kafka puts them."""

import pytest

from baton_contracts.event_types import EventType
from baton_contracts.topics import (
    ADDRESSES,
    PARTITIONS,
    TOPICS,
    Line,
    address_of,
    murmur2,
    partition_for,
    source_of,
)


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        # The values of Apache Kafka's own UtilsTest.testMurmur2.
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_gives_the_values_that_kafka_tests_for(key: bytes, hashed: int) -> None:
    assert murmur2(key) == hashed


def test_partitions_agree_with_another_implementation_of_the_default_partitioner() -> None:
    partitioner = pytest.importorskip("aiokafka.partitioner", reason="aiokafka is not installed")
    default = partitioner.DefaultPartitioner()
    partitions = list(range(PARTITIONS))
    keys = [f"01936f2a-7c00-7000-8000-{number:012x}".encode() for number in range(500)] + [b"", b"\xff" * 7]
    assert [partition_for(key) for key in keys] == [default(key, partitions, partitions) for key in keys]


def test_a_key_without_bytes_and_a_negative_hash_still_fall_into_a_partition() -> None:
    assert murmur2(b"21") < 0
    assert all(0 <= partition_for(key, 7) < 7 for key in (b"", b"21", b"foobar"))


def test_every_event_type_has_one_topic_one_line_and_one_producer() -> None:
    assert set(ADDRESSES) == set(EventType)
    assert {address.topic for address in ADDRESSES.values()} == set(TOPICS)
    producers = {line: {a.producer for a in ADDRESSES.values() if a.line is line} for line in Line}
    assert all(len(names) <= 1 for names in producers.values())


def test_a_type_that_is_not_known_yet_has_no_address() -> None:
    assert address_of("referral.teleported.v1") is None
    assert address_of(EventType.CARE_RETURNED.value) is ADDRESSES[EventType.CARE_RETURNED]


def test_a_source_names_the_line_and_never_the_service() -> None:
    assert source_of(Line.REQUEST, "r1") == "/referrals/r1/request"
    assert source_of(Line.OFFICE, "o1") == "/offices/o1"
    services = {address.producer for address in ADDRESSES.values()}
    assert not any(service in source_of(line, "x") for line in Line for service in services)
