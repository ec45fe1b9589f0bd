"""Processes are killed at their fail points, embedded and in the cluster: what was promised is there, and
there once.
"""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from baton_chassis.testing.waiting import until

STORIES = 5
PLACES = (
    ("writer.before_commit", 5),
    ("writer.after_commit", 6),
    ("relay.after_send", 2),
    ("consumer.after_commit", 3),
    ("delivery.after_send", 2),
)


def test_a_process_killed_at_every_place_in_turn_loses_and_doubles_nothing(
    installation: Callable[..., Any], workload: Any, receiver: Any
) -> None:
    baton, work = _listening(installation, receiver), workload("turn", STORIES)
    for name, count in PLACES:
        _run_until_killed(baton, work, f"{name}:{count}")
    _nothing_is_lost_or_doubled(baton, work, receiver)
    assert work.unanswered() >= 1


def test_a_process_killed_between_a_call_and_its_note_calls_again_with_the_same_id(
    installation: Callable[..., Any], workload: Any, receiver: Any
) -> None:
    baton, work = _listening(installation, receiver), workload("webhooks-only", STORIES, mail=False)
    _run_until_killed(baton, work, "delivery.after_send:2")
    _nothing_is_lost_or_doubled(baton, work, receiver)
    assert _repeated(receiver) >= 1, "nobody was called twice: delivery.after_send lies elsewhere"


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name, _ in PLACES])
def test_a_process_killed_again_and_again_at_one_place_loses_and_doubles_nothing(
    name: str, installation: Callable[..., Any], workload: Any, receiver: Any
) -> None:
    baton, work = _listening(installation, receiver), workload(name.replace(".", "-"), 4 * STORIES)
    for count in (1, 2, 1, 2):
        _run_until_killed(baton, work, f"{name}:{count}")
    _nothing_is_lost_or_doubled(baton, work, receiver)


SCALED = (
    {
        "intake-service": "writer.after_commit:9",
        "scheduling-service": "consumer.after_commit:2",
        "notes-service": "relay.after_send:2",
        "notification-service": "delivery.after_send:3",
        "console-service": "consumer.after_commit:2",
    },
    {
        "intake-service": "relay.after_send:3",
        "scheduling-service": "writer.before_commit:3",
        "notes-service": "writer.after_commit:3",
        "notification-service": "consumer.after_commit:3",
        "console-service": "consumer.after_commit:1",
    },
    {
        "intake-service": "consumer.after_commit:2",
        "scheduling-service": "relay.after_send:2",
        "notes-service": "writer.before_commit:3",
        "notification-service": "writer.before_commit:3",
    },
)
"""For each round, where the first of the two processes of a service is killed."""


@pytest.mark.postgres
@pytest.mark.kafka
@pytest.mark.parametrize(
    "places", [SCALED[0], *(pytest.param(one, marks=pytest.mark.long) for one in SCALED[1:])]
)
def test_the_other_process_of_each_service_goes_on_where_the_first_was_killed(
    places: dict[str, str], scaled: Any, workload: Any, receiver: Any
) -> None:
    baton = scaled
    baton.start(BATON_CLUSTER_FAILPOINTS=",".join(f"{name}={point}" for name, point in places.items()))
    hook = baton.http.post("/v1/webhooks", json={"office_id": None, "url": receiver.url})
    assert hook.status_code == 201, hook.text
    work = workload("scaled", 4 * STORIES)

    for _ in range(20):  # a client that goes on after every broken connection
        if work.go_on(baton) and not work.left():
            break
    until(lambda: not _alive(baton, places), seconds=60, what=f"every one of {places} is reached")
    _is_whole(baton, work, receiver, patience=60)
    _leaves_nothing_running(baton)


def _leaves_nothing_running(baton: Any) -> None:
    """Kill what started the cluster: its processes end with it."""
    ports = [one["port"] for one in baton.state["processes"]]
    baton.process.kill()
    assert baton.died()
    until(lambda: not any(map(_answers, ports)), what="no process of the cluster runs on")


def _alive(baton: Any, places: dict[str, str]) -> list[str]:
    """Whose first process still answers at its own port."""
    first: dict[str, int] = {}
    for one in baton.state["processes"]:
        first.setdefault(one["service"], one["port"])
    return [name for name in places if _answers(first[name])]


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def _listening(installation: Callable[..., Any], receiver: Any) -> Any:
    """An installation that was killed once already, just after it was told of a webhook."""
    baton = installation()
    baton.start()
    hook = baton.http.post("/v1/webhooks", json={"office_id": None, "url": receiver.url})
    assert hook.status_code == 201, hook.text
    baton.process.kill()
    assert baton.died()
    return baton


def _nothing_is_lost_or_doubled(baton: Any, work: Any, receiver: Any) -> None:
    baton.start()
    assert work.go_on(baton)
    _is_whole(baton, work, receiver)


def _is_whole(baton: Any, work: Any, receiver: Any, *, patience: float = 20.0) -> None:
    work.repeat_everything(baton)
    baton.sent_everything()
    report = baton.verified(patience=patience)
    assert report.evidence.quiet
    assert report.violations == []
    assert work.broken_promises(report) == []
    assert all(story.step == 5 for story in work.stories)
    _one_webhook_id_an_event(receiver)


def _run_until_killed(baton: Any, work: Any, failpoint: str) -> None:
    try:
        baton.start(BATON_FAILPOINT=failpoint)
    except Exception as early:  # the point was passed before the ready line: it has done its work
        assert type(early).__name__ == "Died", early
        return
    work.go_on(baton)
    assert baton.died(), f"{failpoint} was not reached"


def _one_webhook_id_an_event(receiver: Any) -> None:
    ids = defaultdict(set)
    for one in receiver.received:
        ids[one.json["data"]["event_id"]].add(one.headers["webhook-id"])
    assert ids
    assert {event: len(found) for event, found in ids.items() if len(found) != 1} == {}


def _repeated(receiver: Any) -> int:
    calls = [one.headers["webhook-id"] for one in receiver.received]
    return len(calls) - len(set(calls))
