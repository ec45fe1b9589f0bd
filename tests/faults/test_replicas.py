"""Two replicas of every service on PostgreSQL and Kafka: one is killed mid-way, the other takes over."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

from baton_chassis.testing.waiting import until
from baton_contracts.topics import PARTITIONS, REFERRAL_EVENTS

KILLED = ("intake-service", "notification-service")
STORIES = 12


@pytest.mark.postgres
@pytest.mark.kafka
def test_a_replica_killed_midway_loses_and_doubles_nothing_and_the_other_takes_over(
    scaled: Any, workload: Any, receiver: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    baton = scaled
    baton.start()
    hook = baton.http.post("/v1/webhooks", json={"office_id": None, "url": receiver.url})
    assert hook.status_code == 201, hook.text
    work = workload("cluster", STORIES)
    before = until(
        lambda: _shared_out(baton), seconds=60, what="both replicas of every service hold partitions"
    )

    victims = [next(one for one in baton.state["processes"] if one["service"] == name) for name in KILLED]
    assert work.go_on(baton, most=2 * STORIES)
    killing = threading.Thread(target=_kill, args=(victims,))
    killing.start()
    _until_done(work, baton)
    killing.join()
    dead = {one["pid"] for one in victims}
    after = until(lambda: _taken_over(baton, dead), seconds=90, what="the others hold all partitions")
    work.repeat_everything(baton)
    baton.sent_everything()
    report = baton.verified(patience=30)

    with capsys.disabled():
        print()
        for name, shares in (("before", before), ("after", after)):
            for (service, pid), partitions in sorted(shares.items()):
                print(f"  {name:6} {service:20} pid {pid}: {_listed(partitions)}")
        print(f"  {report.counts}, exchanges {len(work.log)}, unanswered {work.unanswered()}")
    assert report.evidence.quiet
    assert report.violations == []
    assert work.broken_promises(report) == []
    ids: dict[str, set[str]] = {}
    for one in receiver.received:
        ids.setdefault(one.json["data"]["event_id"], set()).add(one.headers["webhook-id"])
    assert len(ids) >= STORIES
    assert {event for event, found in ids.items() if len(found) > 1} == set()


def _kill(victims: list[dict[str, Any]]) -> None:
    for victim in victims:
        os.kill(victim["pid"], signal.SIGKILL)


def _until_done(work: Any, baton: Any) -> None:
    """A client that goes on after every broken connection."""
    for _ in range(20):
        if work.go_on(baton) and not work.left():
            return
    raise AssertionError("the workload does not get through")


Shares = Mapping[tuple[str, int], frozenset[int]]
"""By service and process, the partitions of `referral.events` that it reads."""


async def _shares(baton: Any) -> Shares:
    """Who reads what, as the broker has it; a member's name ends with the id of its process."""
    admin = AIOKafkaAdminClient(bootstrap_servers=baton.state["kafka"])
    await admin.start()
    try:
        groups = sorted({one["service"] for one in baton.state["processes"]})
        answers = [(await admin.describe_consumer_groups([group]))[0] for group in groups]
    finally:
        await admin.close()
    return {
        (group, int(client.rpartition("-")[2])): _partitions(assignment)
        for group, answer in zip(groups, answers, strict=True)
        for _, client, _, _, assignment, *_ in answer.groups[0][_MEMBERS]
    }


_MEMBERS = 5
"""Where a described group lists its members: after error, name, state, and two names of the protocol."""


def _partitions(assignment: bytes) -> frozenset[int]:
    """What a member was given; a group that is still sharing out gives its members nothing yet."""
    if not assignment:
        return frozenset()
    taken = ConsumerProtocolMemberAssignment.decode(assignment)
    return frozenset(one.partition for one in taken.partitions() if one.topic == REFERRAL_EVENTS)


def _shared_out(baton: Any) -> Shares:
    """The shares once two processes of every service have some."""
    shares = asyncio.run(_shares(baton))
    services = sorted(service for service, _ in shares)
    wanted = sorted(one["service"] for one in baton.state["processes"])
    return shares if services == wanted and all(shares.values()) else {}


def _taken_over(baton: Any, dead: set[int]) -> Shares:
    """The shares once every service as a whole reads everything without the dead."""
    shares = asyncio.run(_shares(baton))
    for service in KILLED:
        held = frozenset().union(*(taken for (name, _), taken in shares.items() if name == service))
        if len(held) != PARTITIONS:
            return {}
    return {} if dead & {pid for _, pid in shares} else shares


def _listed(partitions: frozenset[int]) -> str:
    return " ".join(map(str, sorted(partitions)))
