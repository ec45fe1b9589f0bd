"""What comes before the thing it is about waits, in order, and runs with its own time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from baton_chassis.clock import FixedClock
from baton_chassis.errors import NotFound
from baton_chassis.ids import new_id
from baton_chassis.testing.harness import Harness


async def _arrive(toy: Harness, words: dict[str, Any], value: str) -> None:
    work = toy.service.submit.work(toy.caller, toy.service.environment.clock.now())
    await work.arrived("toy", [("names", value)], new_id())
    await toy.service.writer.write(work.writes)


async def test_an_early_command_is_kept_and_has_its_final_id(toy: Harness, words: dict[str, Any]) -> None:
    id = new_id()

    reply = await toy.submit(words["Open"](id=id, after="ada"))

    assert (reply.kind, reply.body, reply.location) == (
        "waiting",
        {"id": id, "status": "waiting"},
        f"/tallies/{id}",
    )
    waiting = await toy.service.reader.waiting("p1", id)
    assert waiting is not None
    assert waiting.command == words["Open"](id=id, after="ada")


async def test_commands_to_a_waiting_thing_queue_behind_it_and_run_in_order(
    toy: Harness, words: dict[str, Any], clock: FixedClock
) -> None:
    id = new_id()
    await toy.submit(words["Open"](id=id, after="ada"))
    clock.advance(timedelta(minutes=1))
    assert (await toy.submit(words["Count"](id=id))).kind == "waiting"
    clock.advance(timedelta(hours=1))

    await _arrive(toy, words, "ada")

    tally = await toy.service.reader.get(words["Tally"], "p1", id)
    assert tally is not None
    assert tally.total == 2
    assert [event.time - words["NOON"] for event in await toy.published()] == [
        timedelta(0),
        timedelta(minutes=1),
    ]
    assert await toy.rows(toy.service.definition.tables.waiting) == []


async def test_after_the_arrival_commands_run_at_once(toy: Harness, words: dict[str, Any]) -> None:
    await _arrive(toy, words, "ada")

    reply = await toy.submit(words["Open"](id=new_id(), after="ada"))

    assert reply.kind == "created"


async def test_a_command_refused_when_its_time_comes_keeps_the_reason(
    toy: Harness, words: dict[str, Any]
) -> None:
    id = new_id()
    await toy.submit(words["Open"](id=id, after="ada"))
    work = toy.service.submit.work(toy.caller, words["NOON"])
    for _ in range(501):
        work.wait(words["Count"](id=id), space="toy", system="names", value="ada", version=1)
    await toy.service.writer.write(work.writes)

    await _arrive(toy, words, "ada")

    left = await toy.rows(toy.service.definition.tables.waiting)
    assert [row["refused"] for row in left] == ["illegal-transition"] * 2
    assert await toy.service.reader.refusal("p1", id) == "illegal-transition"


async def test_another_practices_arrival_wakes_nobody(toy: Harness, words: dict[str, Any]) -> None:
    id = new_id()
    await toy.submit(words["Open"](id=id, after="ada"))
    toy.practice = "p2"

    await _arrive(toy, words, "ada")

    assert await toy.service.reader.waiting("p1", id) is not None
    with pytest.raises(NotFound):
        await toy.submit(words["Count"](id=id))


async def test_what_leaves_the_waiting_room_between_two_looks_is_found(
    toy: Harness, words: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = toy.service.snapshot
    look = snapshot.waiting_about

    async def look_after_the_arrival(*arguments: Any, **named: Any) -> Any:
        await _arrive(toy, words, names.pop())
        return await look(*arguments, **named)

    names, ids = ["ada", "grace"], [new_id(), new_id()]
    for name, id in zip(names, ids, strict=True):
        await toy.submit(words["Open"](id=id, after=name))
    monkeypatch.setattr(snapshot, "waiting_about", look_after_the_arrival)

    assert (await toy.submit(words["Count"](id=ids[1]))).kind != "waiting"
    found = await toy.service.reader.arriving(words["Tally"], "p1", ids[0])
    assert isinstance(found, words["Tally"])


async def test_what_waits_is_sealed(toy: Harness, words: dict[str, Any]) -> None:
    await toy.submit(words["Open"](id=new_id(), after="ada", secret="CANARY"))

    rows = await toy.rows(toy.service.definition.tables.waiting)
    assert all(b"CANARY" not in row["body"] for row in rows)


async def test_an_arrival_and_a_command_at_the_same_moment_never_miss_each_other(
    toy: Harness, words: dict[str, Any]
) -> None:
    import asyncio

    for round in range(10):
        name = f"name-{round}"
        ids = [new_id() for _ in range(3)]
        await asyncio.gather(
            *(toy.submit(words["Open"](id=id, after=name)) for id in ids), _arrive_patiently(toy, words, name)
        )
        for id in ids:
            assert await toy.service.reader.get(words["Tally"], "p1", id) is not None


async def _arrive_patiently(toy: Harness, words: dict[str, Any], name: str) -> None:
    from baton_chassis.writer import Stale

    while True:
        try:
            await _arrive(toy, words, name)
        except Stale:
            continue
        return
