"""The embedded process is killed at its fail points: what was promised is there, and there once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

STORIES = 4


@pytest.mark.parametrize(
    ("name", "passes"),
    [
        ("writer.before_commit", (4, 11)),
        ("writer.after_commit", (3, 12)),
        ("relay.after_send", (2, 5)),
        ("consumer.after_commit", (3, 9)),
        ("delivery.after_send", (1, 6)),
    ],
)
def test_a_process_killed_at(
    name: str, passes: tuple[int, ...], installation: Callable[..., Any], workload: Any, receiver: Any
) -> None:
    baton, work = installation(), workload(name.replace(".", "-"), STORIES)
    baton.start()
    hook = baton.http.post("/v1/webhooks", json={"office_id": None, "url": receiver.url})
    assert hook.status_code == 201, hook.text
    baton.stop()

    for count in passes:
        _run_until_killed(baton, work, f"{name}:{count}")
    baton.start()
    assert work.go_on(baton)
    work.repeat_everything(baton)
    baton.sent_everything()

    report = baton.verified()
    assert report.evidence.quiet
    assert report.violations == []
    assert work.broken_promises(report) == []
    assert {"referral.received.v1", "note.signed.v1"} <= {one.makes for one in work.log if one.promised}
    _one_webhook_id_an_event(receiver)
    if name == "delivery.after_send":
        assert _repeated(receiver) >= 1, "nobody was called twice: the fail point lies elsewhere"


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
