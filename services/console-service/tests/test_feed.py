"""The feed: every event once, as it was published, in the order of its partition."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from baton_chassis.commands import Outgoing
from baton_chassis.testing.harness import Harness
from baton_contracts.envelope import Envelope

Tell = Callable[..., Outgoing]
RECEIVED, ACCEPTED = "referral.received.v1", "referral.accepted.v1"
ON_SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


def ids(count: int) -> list[str]:
    return [f"01a2000{number}-0000-7000-8000-000000000000" for number in range(count)]


async def sent(console: Harness, tell: Tell, *, referrals: int = 3, each: int = 4) -> list[Envelope]:
    envelopes = [
        console.envelope(tell(id, RECEIVED if step == 0 else ACCEPTED, minutes=step))
        for step in range(each)
        for id in ids(referrals)
    ]
    await console.deliver(*envelopes)
    return envelopes


async def pages(client: Any, **query: Any) -> list[dict[str, Any]]:
    """Every event from the beginning to the present end."""
    found: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        answer = await client.get("/v1/events", params=query | ({"after": after} if after else {}))
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["items"]
        after = page["next"]
        if after is None or not page["items"]:
            return found


async def test_every_event_is_shown_once_and_every_line_in_its_order(console: Harness, tell: Tell) -> None:
    envelopes = await sent(console, tell)
    async with console.client() as client:
        found = await pages(client, limit=5)

    assert sorted(item["id"] for item in found) == sorted(envelope.id for envelope in envelopes)
    for id in ids(3):
        of_line = [int(item["sequence"]) for item in found if item["subject"] == id]
        assert of_line == [1, 2, 3, 4]


async def test_an_event_is_shown_as_in_the_topic(console: Harness, tell: Tell) -> None:
    (envelope,) = await sent(console, tell, referrals=1, each=1)
    async with console.client() as client:
        answer = await client.get("/v1/events")

    assert answer.json()["items"] == [json.loads(envelope.to_bytes())]


async def test_the_cursor_misses_nothing_that_is_recorded_late(console: Harness, tell: Tell) -> None:
    await sent(console, tell, each=1)
    async with console.client() as client:
        first = (await client.get("/v1/events")).json()
        late = console.envelope(tell(ids(1)[0], ACCEPTED, minutes=-600))
        await console.deliver(late)
        then = (await client.get("/v1/events", params={"after": first["next"]})).json()

    assert len(first["items"]) == 3
    assert [item["id"] for item in then["items"]] == [late.id]


async def test_the_feed_narrows_by_type_and_referral(console: Harness, tell: Tell) -> None:
    await sent(console, tell)
    one = ids(3)[1]
    async with console.client() as client:
        accepted = await pages(client, type=ACCEPTED, limit=4)
        of_one = await pages(client, referral_id=one)
        both = await pages(client, referral_id=one, type=RECEIVED)

    assert (len(accepted), {item["type"] for item in accepted}) == (9, {ACCEPTED})
    assert (len(of_one), {item["subject"] for item in of_one}) == (4, {one})
    assert len(both) == 1


async def test_an_event_delivered_twice_is_copied_once(console: Harness, tell: Tell) -> None:
    envelopes = await sent(console, tell, referrals=1)
    await console.deliver(*envelopes)
    async with console.client() as client:
        assert len(await pages(client)) == 4


async def test_a_type_that_nobody_knows_is_copied_too(console: Harness, tell: Tell) -> None:
    await console.deliver(tell(ids(1)[0], "referral.sung_about.v1"))
    async with console.client() as client:
        assert [item["type"] for item in await pages(client)] == ["referral.sung_about.v1"]


async def test_another_practice_sees_nothing_of_it(console: Harness, tell: Tell) -> None:
    await sent(console, tell)
    console.practice = "p2"
    async with console.client() as client:
        assert await pages(client) == []
        assert (await client.get(f"/v1/timelines/{ids(1)[0]}")).status_code == 404


async def test_nothing_is_published(console: Harness, tell: Tell) -> None:
    await sent(console, tell)

    assert await console.published() == []


@ON_SQLITE
@pytest.mark.parametrize("query", ["after=forged", "after=WzFd", "type=%27%3B--", "referral_id=x", "name=x"])
@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/stream"])
async def test_an_odd_parameter_is_refused(console: Harness, path: str, query: str) -> None:
    async with console.client() as client:
        answer = await client.get(f"{path}?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed")


@ON_SQLITE
async def test_every_door_needs_the_scope(console: Harness) -> None:
    console.scopes = frozenset({"referrals:read"})
    async with console.client() as client:
        for path in ("/v1/events", "/v1/events/stream", f"/v1/timelines/{ids(1)[0]}"):
            assert (await client.get(path)).status_code == 403
