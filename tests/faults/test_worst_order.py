"""A log that tells everything twice and in the worst order: what is kept and sent does not change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import pytest

from baton_chassis.log.kafka import KafkaEventLog
from baton_chassis.log.kafka_settings import KafkaSettings
from baton_chassis.log.port import Draft, EventLog
from baton_chassis.log.sqlite import SqliteEventLog
from baton_chassis.testing.waiting import until
from baton_contracts.envelope import Envelope, headers, sequence_text
from baton_contracts.event_types import EventType
from baton_contracts.events import EVENTS
from baton_contracts.examples import example
from baton_contracts.lifecycle import fact_of, fold
from baton_contracts.topics import REFERRAL_EVENTS, TOPICS

APPOINTMENTS = (EventType.APPOINTMENT_BOOKED, EventType.VISIT_COMPLETED)
DOCUMENTS = (EventType.NOTE_SIGNED, EventType.NOTE_DELIVERED, EventType.CARE_RETURNED)


@pytest.fixture
def embedded(installation: Callable[..., Any]) -> Any:
    """A fresh installation in one process."""
    made = installation()
    made.start()
    return made


@pytest.fixture
def cluster(scaled: Any) -> Any:
    """A fresh installation of two processes a service on PostgreSQL and Kafka."""
    scaled.start()
    return scaled


@pytest.fixture(
    params=[
        "embedded",
        pytest.param("cluster", marks=[pytest.mark.postgres, pytest.mark.kafka]),
    ]
)
def baton(request: pytest.FixtureRequest) -> Any:
    """A fresh installation, in both ways of running."""
    return request.getfixturevalue(request.param)


def _log_of(baton: Any) -> EventLog:
    if baton.mode == "cluster":
        return KafkaEventLog(KafkaSettings(bootstrap=baton.state["kafka"]))
    return SqliteEventLog(baton.folder / "log.sqlite")


def test_every_event_told_twice_changes_nothing(baton: Any, workload: Any, receiver: Any) -> None:
    hook = baton.http.post("/v1/webhooks", json={"office_id": None, "url": receiver.url})
    assert hook.status_code == 201
    work = workload("double", 4)
    assert work.go_on(baton)
    baton.sent_everything()
    before = baton.verified()
    kept = _kept(baton, work, receiver)

    asyncio.run(_append_everything_again(baton))
    after = baton.verified()
    baton.sent_everything()

    assert (before.violations, after.violations) == ([], [])
    assert after.counts["records"] == 2 * before.counts["records"] > 40
    assert after.counts["events"] == before.counts["events"]
    assert _kept(baton, work, receiver) == kept


def _kept(baton: Any, work: Any, receiver: Any) -> Mapping[str, Any]:
    """Whatever a repeat must leave alone."""
    referrals = [baton.http.get(f"/v1/referrals/{story.ids['receive']}").json() for story in work.stories]
    return {
        "referrals": referrals,
        "deliveries": sorted((one["id"], one["status"], len(one["attempts"])) for one in baton.deliveries()),
        "mails": len(baton.http.get("/dev/mailbox/messages").json()["items"]),
        "calls": len(receiver.received),
    }


async def _append_everything_again(baton: Any) -> None:
    log = _log_of(baton)
    await log.start()
    for topic in TOPICS:
        for number in await log.end_offsets(topic):
            records = await log.read(topic, number, 0, 10_000)
            await log.append([Draft(one.topic, one.key, one.value, one.headers) for one in records])
    await log.stop()


def test_two_lines_in_every_order_and_twice_end_in_the_pure_fold(baton: Any) -> None:
    orders = list(_interleavings(APPOINTMENTS, DOCUMENTS))
    assert len(orders) == 10
    referrals = [_received(baton, f"order-{number}") for number in range(len(orders))]
    told = [_envelopes(baton, one, order) for one, order in zip(referrals, orders, strict=True)]

    asyncio.run(_append(baton, [twice for one in told for event in one for twice in (event, event)]))
    report = baton.verified()

    for referral, envelopes in zip(referrals, told, strict=True):
        shown = baton.http.get(f"/v1/referrals/{referral['id']}").json()
        position = fold(
            fact_of(one.type, one.data) for one in (_opening(baton, referral), *envelopes)
        ).position
        assert (shown["state"], shown["stage"]) == (position.state, position.stage)
        assert shown["state"] == "care_returned"
    _only_the_hand_is_to_blame(report, by_hand={event.id for one in told for event in one})
    assert not [one for one in report.violations if one.invariant == "I3"]


def test_a_pair_in_the_wrong_order_is_set_aside_and_healed(baton: Any) -> None:
    referral = _received(baton, "pair")
    signed, delivered = _envelopes(baton, referral, DOCUMENTS[:2])
    visited = _envelopes(baton, referral, APPOINTMENTS)

    asyncio.run(_append(baton, [delivered]))
    parked = baton.verified()
    asyncio.run(_append(baton, [signed, *visited]))
    healed = baton.verified()

    gaps = {one.where for one in parked.violations if one.invariant == "I5" and one.detail.endswith("gap")}
    assert {"intake-service", "scheduling-service", "notification-service"} <= gaps
    assert not [one for one in healed.violations if one.invariant == "I5"]
    assert {one.detail for one in healed.violations if one.invariant == "I3"}
    _only_the_hand_is_to_blame(healed, by_hand={one.id for one in (signed, delivered, *visited)})
    assert baton.http.get(f"/v1/referrals/{referral['id']}").json()["state"] == "notes_sent"


def _only_the_hand_is_to_blame(report: Any, *, by_hand: set[str]) -> None:
    """Events without a journal are found out; notes takes its own line in as it writes it, never back."""
    for one in report.violations:
        match one.invariant:
            case "I2":
                assert any(id in one.detail for id in by_hand), one
            case "I3" | "I4":
                assert "/documents" in one.detail or "/appointments" in one.detail, one
            case "I7":
                assert one.where == "notes-service", one
                assert one.detail.endswith("in documents"), one
            case _:
                raise AssertionError(one)
    found = {id for id in by_hand for one in report.violations if one.invariant == "I2" and id in one.detail}
    assert found == by_hand


def _interleavings(left: Sequence[Any], right: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Every order of both that keeps each in its own order."""
    count = len(left) + len(right)
    for places in combinations(range(count), len(left)):
        lefts, rights = iter(left), iter(right)
        yield tuple(next(lefts) if place in places else next(rights) for place in range(count))


def _received(baton: Any, name: str) -> dict[str, Any]:
    body = {
        "source": {"system": "urn:example:faults", "id": name},
        "patient": {"name": {"family": "Testperson"}},
        "referrer": {
            "office": {
                "name": f"Invented Practice {name}",
                "telecom": [{"system": "email", "value": f"{name}@office.example"}],
            }
        },
    }
    answer = baton.http.post("/v1/referrals", json=body)
    assert answer.status_code == 201, answer.text
    referral: dict[str, Any] = answer.json()
    until(lambda: _feed(baton, referral), what="the referral is in the log")
    return referral


def _feed(baton: Any, referral: Mapping[str, Any]) -> Any:
    return baton.http.get("/v1/events", params={"referral_id": referral["id"]}).json()["items"]


def _opening(baton: Any, referral: Mapping[str, Any]) -> Envelope:
    opened = (one for one in _feed(baton, referral) if one["type"] == EventType.REFERRAL_RECEIVED.value)
    return Envelope.from_bytes(json.dumps(next(opened)).encode())


def _envelopes(baton: Any, referral: Mapping[str, Any], types: Iterable[EventType]) -> list[Envelope]:
    """Events about this referral as their owners would publish them, numbered within their lines."""
    numbers: dict[str, int] = {}
    made = []
    for type_ in types:
        given = example(EVENTS[type_], full=False)
        line = given.source.rpartition("/")[2]
        numbers[line] = numbers.get(line, 0) + 1
        made.append(_about(referral, given, line, numbers[line], practice_id=baton.state["practice_id"]))
    return made


def _about(
    referral: Mapping[str, Any], given: Envelope, line: str, number: int, *, practice_id: str
) -> Envelope:
    id: str = referral["id"]
    tail = f"{number}{1 if line == 'documents' else 2}"
    data = dict(given.data) | {
        "referral_id": id,
        "patient_id": referral["patient_id"],
        "office_id": referral["office_id"],
    }
    if "document" in data:
        data["kind"] = "final"
    if given.type == EventType.VISIT_COMPLETED:
        data["appointment_id"] = "01936f2a-7c00-7000-8000-000000000004"
    return Envelope(
        id=f"{id[:-2]}{tail}",
        source=f"/referrals/{id}/{line}",
        type=given.type,
        subject=id,
        time=given.time,
        practiceid=practice_id,
        partitionkey=id,
        sequence=sequence_text(number),
        recordedtime=given.recordedtime,
        correlationid=id,
        data=data,
    )


async def _append(baton: Any, envelopes: Sequence[Envelope]) -> None:
    log = _log_of(baton)
    await log.start()
    await log.append(
        [
            Draft(REFERRAL_EVENTS, one.partitionkey.encode(), one.to_bytes(), tuple(headers(one)))
            for one in envelopes
        ]
    )
    await log.stop()
