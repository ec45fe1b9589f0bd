"""The bench's own instruments measure what they say, on a handful of requests."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from load import Answered, burst, paced, post
from measuring import Stopwatch, family, memory, percentile
from standing import DidNotStart, Stand, python, start
from table import Table


def _requests(body: bytes = b'{"a":1}') -> itertools.repeat[bytes]:
    return itertools.repeat(post("/x", body, {"X-Any": "1"}))


@pytest.fixture
def stand() -> Iterator[Stand]:
    with Stand.up(quick=True, tiny=True) as made:
        yield made


async def test_a_burst_counts_only_what_was_answered_as_wanted(stand: Stand) -> None:
    echo = stand.keep(python("echo_service.py", stand.folder / "echo.txt"))
    done = await burst(echo.port, _requests(), wanted=201, connections=3, seconds=0.1)
    assert done.done > 3
    assert not done.refused
    assert done.rate == pytest.approx(done.done / done.seconds)
    refused = await burst(echo.port, _requests(), wanted=200, connections=2, seconds=0.05)
    assert refused.done == 0
    assert refused.refused.keys() == {201}


async def test_paced_requests_keep_their_pace_and_get_their_own_answers(stand: Stand) -> None:
    echo = stand.keep(python("echo_service.py", stand.folder / "echo.txt"))
    bodies = (post("/x", str(number).encode(), {}) for number in itertools.count())
    answers: dict[int, Answered] = {}
    began = asyncio.get_running_loop().time()
    await paced(
        echo.port, bodies, rate=100, count=10, on_answer=lambda number, a, at: answers.update({number: a})
    )
    assert asyncio.get_running_loop().time() - began >= 0.09
    assert {number: answer.body for number, answer in answers.items()} == {
        number: str(number).encode() for number in range(10)
    }


def test_a_process_that_never_gets_ready_is_reported_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(DidNotStart, match="no such luck"):
        start([sys.executable, "-c", "print('no such luck')"], tmp_path / "output.txt")


def test_cpu_and_memory_are_those_of_the_process_and_its_children() -> None:
    nested = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", nested], stdin=subprocess.PIPE) as parent:
        while len(family(parent.pid)) < 2:
            assert parent.poll() is None
        pss, rss = memory(family(parent.pid))
        assert 0 < pss <= rss
    watch = Stopwatch({"me": [os.getpid()]})
    sum(number * number for number in range(2_000_000))
    span = watch.stop()
    assert 0 < span.cpu["me"] <= 2 * span.seconds + 0.1
    assert span.per_operation("me", 10) == pytest.approx(1e5 * span.cpu["me"])


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(number) for number in range(100)]
    assert percentile(values, 0.5) == 50.0
    assert percentile(values, 0.99) == 99.0
    assert percentile([7.0], 0.99) == 7.0


def test_a_table_lines_up_and_refuses_a_row_of_another_width() -> None:
    table = Table("heading", ("what", "figure"))
    table.add("a", "1")
    table.add("longer", "100")
    table.note("below")
    assert str(table).splitlines() == [
        "heading", "what    figure", "------  ------", "a            1", "longer     100", "  below",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="2 cells"):
        table.add("one")
