"""A fail point ends the process at the chosen pass, and only where one is armed."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from baton_chassis import failpoints

_LOOP = """
from baton_chassis import failpoints
failpoints.arm({setting!r})
for number in range(1, 6):
    failpoints.failpoint("writer.after_commit")
    failpoints.failpoint("relay.after_send")
    print(number, flush=True)
"""


def run(setting: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _LOOP.format(setting=setting)], capture_output=True, text=True
    )


def test_the_process_is_killed_at_the_named_pass() -> None:
    ended = run("relay.after_send:3")

    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout.split() == ["1", "2"]


def test_a_pass_that_never_comes_kills_nobody() -> None:
    assert run("relay.after_send:6").returncode == 0


@pytest.mark.parametrize(
    "setting", ["nowhere:1", "relay.after_send", "relay.after_send:0", "relay.after_send:x", ""]
)
def test_only_known_places_and_counts_can_be_armed(setting: str) -> None:
    with pytest.raises(ValueError, match="name:n"):
        failpoints.arm(setting)


def test_every_place_says_where_it_is() -> None:
    failpoints.declare("sending.after_post", "the receiver has answered, the attempt is not written")

    assert failpoints.declared()["sending.after_post"].startswith("the receiver")
    assert all(failpoints.declared().values())
    failpoints.failpoint("sending.after_post")
