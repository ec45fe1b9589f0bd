"""Where each event lives: its topic, its line of facts, its one producer, and the partition of a key."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from baton_contracts.event_types import EventType

REFERRAL_EVENTS: Final = "referral.events"
"""Everything about referrals, keyed by referral id, kept for ever."""

PARTNER_EVENTS: Final = "partner.events"
"""Everything about offices, keyed by office id, kept for ever."""

TOPICS: Final = (REFERRAL_EVENTS, PARTNER_EVENTS)

PARTITIONS: Final = 12
"""Partitions of every topic. Never changed in place: a change moves keys."""

INTAKE: Final = "intake-service"
SCHEDULING: Final = "scheduling-service"
NOTES: Final = "notes-service"
NOTIFICATION: Final = "notification-service"


class Line(StrEnum):
    """An ordered sequence of facts about one entity, with a contiguous `sequence` and one producer."""

    REQUEST = "request"
    REPORTS = "reports"
    APPOINTMENTS = "appointments"
    DOCUMENTS = "documents"
    NOTICES = "notices"
    OFFICE = "office"


@dataclass(frozen=True, slots=True)
class Address:
    """Where one event type is published and by whom."""

    topic: str
    line: Line
    producer: str


_LINES: Final[Mapping[Line, Address]] = MappingProxyType(
    {
        Line.REQUEST: Address(REFERRAL_EVENTS, Line.REQUEST, INTAKE),
        Line.REPORTS: Address(REFERRAL_EVENTS, Line.REPORTS, INTAKE),
        Line.APPOINTMENTS: Address(REFERRAL_EVENTS, Line.APPOINTMENTS, SCHEDULING),
        Line.DOCUMENTS: Address(REFERRAL_EVENTS, Line.DOCUMENTS, NOTES),
        Line.NOTICES: Address(REFERRAL_EVENTS, Line.NOTICES, NOTIFICATION),
        Line.OFFICE: Address(PARTNER_EVENTS, Line.OFFICE, NOTIFICATION),
    }
)

_LINE_OF_SUBJECT: Final[Mapping[str, Line]] = MappingProxyType(
    {
        "referral": Line.REQUEST,
        "appointment": Line.APPOINTMENTS,
        "patient": Line.APPOINTMENTS,
        "visit": Line.APPOINTMENTS,
        "note": Line.DOCUMENTS,
        "care": Line.DOCUMENTS,
        "comanagement": Line.DOCUMENTS,
        "delivery": Line.NOTICES,
        "office": Line.OFFICE,
    }
)

ADDRESSES: Final[Mapping[EventType, Address]] = MappingProxyType(
    {type_: _LINES[_LINE_OF_SUBJECT[type_.value.partition(".")[0]]] for type_ in EventType}
)
"""The address of every event type."""


def address_of(event_type: str) -> Address | None:
    """The address of a type, or None for a type that this version does not know."""
    return ADDRESSES.get(event_type)  # type: ignore[call-overload, no-any-return]


def source_of(line: Line, entity_id: str) -> str:
    """The CloudEvents `source`: a line of a referral or an office, never a service: ownership may move."""
    if line is Line.OFFICE:
        return f"/offices/{entity_id}"
    return f"/referrals/{entity_id}/{line.value}"


def murmur2(key: bytes) -> int:
    """Murmur2 as Apache Kafka's default partitioner computes it: seed 0x9747b28c, signed 32 bits."""
    multiplier, length = 0x5BD1E995, len(key)
    hashed = 0x9747B28C ^ length
    whole = length & ~3
    for start in range(0, whole, 4):
        word = int.from_bytes(key[start : start + 4], "little") * multiplier & 0xFFFFFFFF
        word = (word ^ word >> 24) * multiplier & 0xFFFFFFFF
        hashed = (hashed * multiplier & 0xFFFFFFFF) ^ word
    if length & 3:
        hashed = (hashed ^ int.from_bytes(key[whole:], "little")) * multiplier & 0xFFFFFFFF
    hashed = (hashed ^ hashed >> 13) * multiplier & 0xFFFFFFFF
    hashed ^= hashed >> 15
    return hashed - (1 << 32) if hashed >= 1 << 31 else hashed


def partition_for(key: bytes, partitions: int = PARTITIONS) -> int:
    """The partition of a key, equal to Kafka's default partitioner and librdkafka's `murmur2_random`."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
