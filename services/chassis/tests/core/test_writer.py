"""Grouped commits: every caller gets the answer of its own commit, neighbours are never hurt."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

import pytest

from baton_chassis.clock import FixedClock
from baton_chassis.commands import Caller, IdempotencyKey
from baton_chassis.database.port import OutcomeUnknown
from baton_chassis.errors import KeyReused, NotFound, Unavailable, VersionMismatch
from baton_chassis.ids import new_id
from baton_chassis.sweeping import Sweeper
from baton_chassis.testing.harness import Harness


def _key(name: str, fingerprint: bytes = b"f") -> IdempotencyKey:
    return IdempotencyKey(key=name, fingerprint=fingerprint)


async def test_a_command_leaves_row_journal_outbox_and_audit_in_one_commit(
    toy: Harness, words: dict[str, Any]
) -> None:
    id = new_id()

    reply = await toy.submit(words["Open"](id=id, secret="of the patient"))

    tables = toy.service.definition.tables
    assert (reply.kind, reply.version) == ("created", 1)
    assert [row["sequence"] for row in await toy.rows(tables.journal)] == [1]
    assert [event.number for event in await toy.published()] == [1]
    assert [(row["actor"], row["action"], row["target"]) for row in await toy.rows(tables.audit)] == [
        ("client:test", "Open", id)
    ]


async def test_journal_and_outbox_hold_the_same_bytes(toy: Harness, words: dict[str, Any]) -> None:
    await toy.submit(words["Open"](id=new_id()))

    tables = toy.service.definition.tables
    journal, outbox = await toy.rows(tables.journal), await toy.rows(tables.outbox)
    assert journal[0]["body"] == outbox[0]["body"]


async def test_sealed_columns_are_unreadable_at_rest_and_open_again(
    toy: Harness, words: dict[str, Any]
) -> None:
    id = new_id()
    await toy.submit(words["Open"](id=id, secret="CANARY"))

    stored = await toy.rows(toy.service.definition.repositories[words["Tally"]].table)
    opened = await toy.service.reader.get(words["Tally"], "p1", id)
    assert b"CANARY" not in stored[0]["secret"]
    assert opened is not None
    assert opened.secret == "CANARY"


async def test_commands_on_one_aggregate_at_the_same_moment_all_count(
    toy: Harness, words: dict[str, Any]
) -> None:
    id = new_id()
    await toy.submit(words["Open"](id=id))

    replies = await asyncio.gather(*(toy.submit(words["Count"](id=id)) for _ in range(8)))

    assert sorted(reply.body["total"] for reply in replies) == list(range(2, 10))
    assert [event.number for event in await toy.published()] == list(range(1, 10))


async def test_many_aggregates_share_few_transactions(toy: Harness, words: dict[str, Any]) -> None:
    await asyncio.gather(*(toy.submit(words["Open"](id=new_id())) for _ in range(60)))

    assert toy.service.writer.sets == 60
    assert toy.service.writer.batches < 30


async def test_a_replayed_key_gets_the_first_answer(
    toy: Harness, words: dict[str, Any], caller: Caller
) -> None:
    first = await toy.service.submit(words["Open"](id=new_id(), secret="x"), caller, key=_key("k"))
    again = await toy.service.submit(words["Open"](id=new_id(), secret="x"), caller, key=_key("k"))

    assert (first.replayed, again.replayed) == (False, True)
    assert again.reply == first.reply
    assert len(await toy.published()) == 1


async def test_a_replay_inside_one_batch_gets_the_first_answer(
    toy: Harness, words: dict[str, Any], caller: Caller
) -> None:
    decided = await asyncio.gather(
        *(toy.service.submit(words["Open"](id=new_id()), caller, key=_key("k")) for _ in range(5))
    )

    assert len({entry.reply.body["id"] for entry in decided}) == 1
    assert [entry.replayed for entry in decided].count(False) == 1
    assert len(await toy.published()) == 1


async def test_a_key_with_another_request_is_refused(
    toy: Harness, words: dict[str, Any], caller: Caller
) -> None:
    await toy.service.submit(words["Open"](id=new_id()), caller, key=_key("k", b"one"))

    with pytest.raises(KeyReused):
        await toy.service.submit(words["Open"](id=new_id()), caller, key=_key("k", b"two"))


async def test_the_same_key_of_another_client_is_another_key(
    toy: Harness, words: dict[str, Any], caller: Caller
) -> None:
    other = Caller(practice_id="p1", actor="client:b", client_id="b")
    await toy.service.submit(words["Open"](id=new_id()), caller, key=_key("k"))

    decided = await toy.service.submit(words["Open"](id=new_id()), other, key=_key("k"))

    assert not decided.replayed


async def test_a_stored_answer_is_sealed(toy: Harness, words: dict[str, Any], caller: Caller) -> None:
    await toy.service.submit(words["Open"](id=new_id(), secret="CANARY"), caller, key=_key("k"))

    kept = await toy.rows(toy.service.definition.tables.idempotency)
    assert all(b"CANARY" not in (row["reply"] or b"") for row in kept)


async def test_a_natural_key_is_taken_once(toy: Harness, words: dict[str, Any]) -> None:
    replies = await asyncio.gather(*(toy.submit(words["Open"](id=new_id(), name="ada")) for _ in range(4)))

    assert sorted(reply.kind for reply in replies) == ["created", "existing", "existing", "existing"]
    assert len({reply.body["id"] for reply in replies}) == 1


async def test_a_natural_key_of_another_practice_is_free(toy: Harness, words: dict[str, Any]) -> None:
    await toy.submit(words["Open"](id=new_id(), name="ada"))
    toy.practice = "p2"

    reply = await toy.submit(words["Open"](id=new_id(), name="ada"))

    assert reply.kind == "created"


async def test_another_practices_thing_is_not_there(toy: Harness, words: dict[str, Any]) -> None:
    id = new_id()
    await toy.submit(words["Open"](id=id))
    toy.practice = "p2"

    with pytest.raises(NotFound):
        await toy.submit(words["Count"](id=id))
    assert await toy.service.reader.get(words["Tally"], "p2", id) is None


async def test_if_match_refuses_a_stale_version_and_takes_the_current(
    toy: Harness, words: dict[str, Any]
) -> None:
    id = new_id()
    await toy.submit(words["Open"](id=id))
    await toy.submit(words["Count"](id=id), if_match=1)

    with pytest.raises(VersionMismatch):
        await toy.submit(words["Count"](id=id), if_match=1)


async def test_a_refused_command_leaves_nothing(toy: Harness, words: dict[str, Any], caller: Caller) -> None:
    id = new_id()
    await toy.submit(words["Open"](id=id))
    tally = await toy.service.reader.get(words["Tally"], "p1", id)
    assert tally is not None
    tally.total = 500
    work = toy.service.submit.work(toy.caller, words["NOON"])
    work.save(tally)
    await toy.service.writer.write(work.writes)
    before = len(await toy.rows(toy.service.definition.tables.audit))

    with pytest.raises(words["LimitReached"]):
        await toy.service.submit(words["Count"](id=id), caller, key=_key("k"))

    assert len(await toy.rows(toy.service.definition.tables.audit)) == before
    assert "k" not in {row["key"] for row in await toy.rows(toy.service.definition.tables.idempotency)}


async def test_a_bad_row_fails_alone(toy: Harness, words: dict[str, Any]) -> None:
    ids = [new_id() for _ in range(4)]
    for id in ids:
        await toy.submit(words["Open"](id=id))

    answers = await asyncio.gather(
        toy.submit(words["Count"](id=ids[0])),
        toy.submit(words["Spoil"](id=ids[1])),
        toy.submit(words["Count"](id=ids[2])),
        toy.submit(words["Count"](id=ids[3])),
        return_exceptions=True,
    )

    assert [isinstance(answer, Exception) for answer in answers] == [False, True, False, False]
    assert len(await toy.published()) == 7


async def test_a_cancelled_caller_does_not_cancel_its_write(toy: Harness, words: dict[str, Any]) -> None:
    id = new_id()
    task = asyncio.create_task(toy.submit(words["Open"](id=id)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await toy.service.submit.drain()

    assert await toy.service.reader.get(words["Tally"], "p1", id) is not None


class _LosesTheCommit:
    """A database whose next commit happens (or not) and is not heard of."""

    def __init__(self, database: Any, *, commit_happens: bool) -> None:
        self._database = database
        self._happens = commit_happens
        self._armed = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def transaction(self) -> Any:
        if not self._armed:
            return self._database.transaction()
        self._armed = False
        return self._lost()

    def _lost(self) -> Any:
        outer = self

        class Lost:
            async def __aenter__(self) -> Any:
                self._inner = outer._database.transaction()
                return await self._inner.__aenter__()

            async def __aexit__(self, kind: Any, error: Any, trace: Any) -> bool:
                if kind is not None:
                    return bool(await self._inner.__aexit__(kind, error, trace))
                if outer._happens:
                    await self._inner.__aexit__(None, None, None)
                else:
                    lost = OutcomeUnknown("cut")
                    with contextlib.suppress(OutcomeUnknown):
                        await self._inner.__aexit__(type(lost), lost, None)
                raise OutcomeUnknown("cut")

        return Lost()


@pytest.mark.parametrize("commit_happens", [True, False])
async def test_after_a_commit_whose_answer_was_lost_the_key_tells_what_happened(
    toy: Harness, words: dict[str, Any], commit_happens: bool
) -> None:
    writer = toy.service.writer
    writer._database = _LosesTheCommit(writer._database, commit_happens=commit_happens)

    reply = await toy.submit(words["Open"](id=new_id()))

    assert reply.kind == "created"
    assert len(await toy.published()) == 1


async def test_a_stopped_service_says_busy(toy: Harness, words: dict[str, Any]) -> None:
    await toy.service.writer.stop()

    with pytest.raises(Unavailable):
        await toy.submit(words["Open"](id=new_id()))


async def test_a_key_is_forgotten_after_a_week_and_not_before(
    toy: Harness, words: dict[str, Any], caller: Caller, clock: FixedClock
) -> None:
    sweeper = Sweeper(
        database=toy.service.database,
        tables=toy.service.definition.tables,
        clock=clock,
        on_failure=lambda where, error: None,
    )
    await toy.service.submit(words["Open"](id=new_id()), caller, key=_key("k"))

    clock.advance(timedelta(days=6, hours=23))
    assert await sweeper.sweep() == 0
    clock.advance(timedelta(hours=2))

    assert await sweeper.sweep() == 1
    again = await toy.service.submit(words["Open"](id=new_id()), caller, key=_key("k"))
    assert not again.replayed
