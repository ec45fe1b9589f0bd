"""The embedded process is killed at its fail points: what was promised is there, and there once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

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
    work.repeat_everything(baton)
    baton.sent_everything()
    report = baton.verified()
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
