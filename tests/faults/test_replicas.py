"""Two replicas of every service on PostgreSQL and Kafka: one is killed mid-way, the other takes over."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from baton_chassis.testing.servers import create_database, drop_database
from baton_chassis.testing.waiting import until

LAG = re.compile(r'^baton_consumer_lag\w*\{(?=[^}]*partition="([^"]+)")[^}]*\}', re.MULTILINE)
KILLED = ("intake-service", "notification-service")
STORIES = 12


@pytest.mark.postgres
@pytest.mark.kafka
def test_a_replica_killed_midway_loses_and_doubles_nothing_and_the_other_takes_its_partitions(
    installation: Callable[..., Any], workload: Any, receiver: Any, postgres_server: str, kafka_of_its_own: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    database = create_database(postgres_server)
    baton = installation(mode="cluster", BATON_DATABASE_URL=database, BATON_KAFKA=kafka_of_its_own.bootstrap)
    baton.start()
    hook = baton.http.post("/v1/webhooks", json={"office_id": None, "url": receiver.url})
    assert hook.status_code == 201, hook.text
    work = workload("cluster", STORIES)
    before = until(
        lambda: _shared_out(baton), seconds=60, what="both replicas of every service hold partitions"
    )

    victims = [next(one for one in baton.state["processes"] if one["service"] == name) for name in KILLED]
    killing = threading.Timer(0.7, _kill, (victims,))
    killing.start()
    _until_done(work, baton)
    killing.join()
    dead = {one["pid"] for one in victims}
    after = until(lambda: _taken_over(baton, dead, before), seconds=90, what="the others hold all partitions")
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
    baton.stop()
    drop_database(postgres_server, database)


def _kill(victims: list[dict[str, Any]]) -> None:
    for victim in victims:
        os.kill(victim["pid"], signal.SIGKILL)


def _until_done(work: Any, baton: Any) -> None:
    """A client that goes on after every broken connection."""
    for _ in range(20):
        if work.go_on(baton):
            return
    raise AssertionError("the workload does not get through")


def _shares(baton: Any, *, without: frozenset[int] = frozenset()) -> dict[tuple[str, int], frozenset[str]]:
    """Which partitions each replica reads, by its own metrics."""
    found = {}
    for one in baton.state["processes"]:
        if one["pid"] not in without:
            said = httpx.get(f"http://127.0.0.1:{one['port']}/metrics", trust_env=False, timeout=10).text
            found[one["service"], one["pid"]] = frozenset(LAG.findall(said))
    return found


def _shared_out(baton: Any) -> Mapping[tuple[str, int], frozenset[str]] | None:
    shares = _shares(baton)
    return shares if all(shares.values()) else None


def _taken_over(
    baton: Any, dead: set[int], before: Mapping[tuple[str, int], frozenset[str]]
) -> Mapping[tuple[str, int], frozenset[str]] | None:
    """The shares once every service as a whole reads again what it read before."""
    shares = _shares(baton, without=frozenset(dead))
    for service in KILLED:
        had = frozenset().union(*(held for (name, _), held in before.items() if name == service))
        has = frozenset().union(*(held for (name, _), held in shares.items() if name == service))
        if had != has:
            return None
    return shares


def _listed(partitions: frozenset[str]) -> str:
    return " ".join(sorted(partitions, key=lambda name: int(re.sub(r"\D", "", name) or 0)))
