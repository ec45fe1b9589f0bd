"""One process in which a relay empties an outbox and consumers apply a log; says on its output, a JSON line
each, when a part begins and what it took.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from referrals import referral
from sqlalchemy import delete, func, select

import baton_chassis.consumer
from baton_chassis import logs
from baton_chassis.commands import Caller
from baton_chassis.database import Statement
from baton_chassis.database.statements import insert_row
from baton_chassis.foundation import Foundation, lay, open_log
from baton_chassis.ids import new_id
from baton_chassis.log.port import Draft, EventLog, Partition
from baton_chassis.service import Service, prepare_topics
from baton_chassis.serving import Build, migrate, uvicorn_loop
from baton_contracts.envelope import Envelope, headers
from baton_contracts.topics import REFERRAL_EVENTS
from baton_intake import app as intake
from baton_intake.commands import ReceiveReferral
from baton_intake.domain.request import ExternalKey
from baton_intake.rest.bodies import NewReferral
from baton_notification import app as notification
from baton_notification.settings import Settings
from baton_scheduling import app as scheduling

AT_ONCE = 500
ALONE = "bench.alone"


def say(**what: Any) -> None:
    """One line for who started this."""
    print(json.dumps(what), flush=True)


@asynccontextmanager
async def measured(what: str, count: int) -> AsyncIterator[None]:
    """Wall time and CPU (all threads) of a block."""
    say(now="begins", what=what)
    cpu, started = time.process_time(), time.perf_counter()
    yield
    say(
        now="ends",
        what=what,
        count=count,
        seconds=time.perf_counter() - started,
        cpu=time.process_time() - cpu,
    )


async def until(reached: Callable[[], bool]) -> None:
    """Look every few milliseconds."""
    while not reached():
        await asyncio.sleep(0.005)


async def service(foundation: Foundation, build: Build) -> Service:
    """A service with its tables, writer running, no loops yet."""
    made = build(foundation.environment)
    await migrate(made, foundation.settings)
    await made.start(frozenset())
    return made


async def events(made: Service, practice_id: str, count: int) -> list[Envelope]:
    """One real event of a new referral, copied for ``count`` referrals; the outbox is left empty."""
    body = NewReferral.model_validate_json(json.dumps(referral("streams", 1)))
    source = ExternalKey(system=body.source.system, value=body.source.id)
    caller = Caller(practice_id=practice_id, actor="bench", client_id="bench")
    await made.submit(ReceiveReferral(id=new_id(), source=source, request=body.request()), caller)
    outbox = made.definition.tables.outbox
    async with made.database.transaction() as session:
        rows = await session.fetch(Statement(select(outbox)))
        await session.run(Statement(delete(outbox)))
    return [_of_another(Envelope.from_bytes(rows[0]["body"]), number) for number in range(count)]


def _of_another(event: Envelope, number: int) -> Envelope:
    id = new_id()
    said = dict(event.data) | {
        "referral_id": id,
        "patient_id": new_id(),
        "source": {**event.data["source"], "id": f"streams-{number}"},
    }
    return replace(
        event, id=new_id(), source=f"/referrals/{id}/request", subject=id, partitionkey=id, data=said
    )


async def fill(made: Service, envelopes: list[Envelope]) -> None:
    """Put the events into the outbox."""
    statement = insert_row(made.definition.tables.outbox)
    rows = [
        {
            "event_id": one.id,
            "practice_id": one.practiceid,
            "topic": REFERRAL_EVENTS,
            "key": one.partitionkey,
            "body": one.to_bytes(),
            "recorded_at": one.recordedtime,
        }
        for one in envelopes
    ]
    async with made.database.transaction() as session:
        await session.run_many(statement, rows)


async def append_alone(log: EventLog, envelopes: list[Envelope]) -> None:
    """What the log takes when nobody keeps an outbox."""
    await log.ensure_topics([ALONE])
    drafts = [
        Draft(topic=ALONE, key=one.partitionkey.encode(), value=one.to_bytes(), headers=tuple(headers(one)))
        for one in envelopes
    ]
    async with measured(f"log alone, appending {AT_ONCE} at once", len(drafts)):
        for place in range(0, len(drafts), AT_ONCE):
            await log.append(drafts[place : place + AT_ONCE])


async def read_alone(log: EventLog, count: int) -> None:
    """What the log gives when nobody applies anything."""
    member = log.consumer("bench-reader", [ALONE], member="bench")

    async def assigned(partitions: frozenset[Partition]) -> dict[Partition, int | None]:
        return dict.fromkeys(partitions)

    async def revoked(_partitions: frozenset[Partition]) -> None:
        return

    await member.start(assigned, revoked)
    left = count
    async with measured("log alone, reading", count):
        while left > 0:
            left -= sum(len(r) for r in (await member.poll(max_records=200, timeout=1.0)).values())
    await member.stop()


async def relay(made: Service, count: int) -> None:
    """The outbox into the log."""
    outbox = made.definition.tables.outbox
    left = Statement(select(func.count().label("left")).select_from(outbox))
    async with measured("relay", count):
        made._start_relay()
        running = made.relay
        assert running is not None
        await until(lambda: running.published >= count)
    async with made.database.reading(None) as session:
        assert (await session.fetch(left))[0]["left"] == 0


async def consume(foundation: Foundation, build: Build, what: str, count: int) -> None:
    """The log into a service, from when it has its partitions until ``count`` events were applied."""
    made = await service(foundation, build)
    made._start_consumers()
    await until(lambda: all(one.partitions for one in made.consumers))
    before = sum(one.applied for one in made.consumers)
    async with measured(what, count):
        await until(lambda: sum(one.applied for one in made.consumers) - before >= count)
    await made.stop()


async def main(count: int) -> None:
    """Everything, one after the other."""
    settings = Settings.read(public_url="http://127.0.0.1:1")
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    logs.configure(write=lambda line: None)
    foundation = lay(settings, log=open_log(settings), service="bench")
    log = foundation.environment.log
    await prepare_topics(log)
    made = await service(foundation, intake.build)
    envelopes = await events(made, foundation.environment.practices.ids[0], count)
    await append_alone(log, envelopes)
    await read_alone(log, count)
    await fill(made, envelopes)
    await relay(made, count)
    backlog = min(count, 5_000)
    await consume(foundation, scheduling.build, "scheduling consumer", backlog)
    await consume(foundation, notification.build, "notification consumer", backlog)
    await one_by_one(foundation, backlog // 10)
    await made.stop()
    await log.stop()


async def one_by_one(foundation: Foundation, count: int) -> None:
    """The same consumer in a database of its own when every event is a transaction: what batches save."""
    heard = replace(scheduling.DEFINITION.subscriptions[0], consumer="bench-one")
    alone = replace(scheduling.DEFINITION, name="bench-one", schema="benchone", subscriptions=(heard,))
    largest, baton_chassis.consumer.MAX_RECORDS = baton_chassis.consumer.MAX_RECORDS, 1
    what = "scheduling consumer, one event a transaction"
    await consume(foundation, lambda environment: Service(alone, environment), what, count)
    baton_chassis.consumer.MAX_RECORDS = largest


if __name__ == "__main__":
    uvicorn_loop().run(main(int(sys.argv[1])))
