"""The native door: offices, webhooks, deliveries, acknowledgements; whose they are, what is never shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from baton_chassis.doors import inventory
from baton_chassis.ids import new_id


async def test_a_secret_is_shown_once(quick_desk: Any, receiver: Any) -> None:
    desk = quick_desk
    made = await desk.webhook(receiver.url)
    async with desk.running.client() as client:
        listed = await client.get("/v1/webhooks")
        shown = await client.get(f"/v1/webhooks/{made['id']}")

    assert made["secret"].startswith("whsec_")
    assert "secret" not in shown.json() or shown.json()["secret"] is None
    assert made["secret"] not in listed.text + shown.text
    rows = await desk.running.rows(_table(desk, "webhook"))
    assert made["secret"].encode() not in rows[0]["secrets"]


def _table(desk: Any, name: str) -> Any:
    return desk.running.service.definition.metadata.tables[name]


async def test_a_repeated_key_makes_one_endpoint_and_answers_with_the_same_secret(
    quick_desk: Any, receiver: Any
) -> None:
    async with quick_desk.running.client() as client:
        answers = [
            await client.post("/v1/webhooks", json={"url": receiver.url}, headers={"Idempotency-Key": "k1"})
            for _ in range(2)
        ]
        listed = (await client.get("/v1/webhooks")).json()["items"]

    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["idempotent-replayed"] == "true"
    assert len(listed) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1/", "https://169.254.169.254/", "https://[::1]/", "https://2130706433/", "https://0x7f.1/",
        "http://example.org/", "https://user:pw@example.org/", "https://example.org:22/", "ftp://example.org/",
        "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "nonsense", "https://１２７.0.0.1/",
    ],
)  # fmt: skip
async def test_an_address_that_leads_inside_is_refused_when_it_is_saved_or_changed(
    quick_desk: Any, receiver: Any, url: str
) -> None:
    made = await quick_desk.webhook(receiver.url)
    async with quick_desk.running.client() as client:
        saved = await client.post("/v1/webhooks", json={"url": url})
        changed = await client.patch(f"/v1/webhooks/{made['id']}", json={"url": url})

    for answer in (saved, changed):
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/url"
        assert url not in answer.text


async def test_documents_are_sent_only_under_an_agreement_with_one_office(
    quick_desk: Any, receiver: Any
) -> None:
    referral = await quick_desk.refer()
    said = {"url": receiver.url, "payload": "full"}
    async with quick_desk.running.client() as client:
        nobodys = await client.post("/v1/webhooks", json=said | {"agreement": "A-1"})
        without = await client.post("/v1/webhooks", json=said | {"office_id": referral.office_id})
        right = await client.post(
            "/v1/webhooks", json=said | {"office_id": referral.office_id, "agreement": "A-1"}
        )

    assert (nobodys.status_code, without.status_code, right.status_code) == (422, 422, 201)


async def test_a_test_event_is_delivered_signed(quick_desk: Any, receiver: Any) -> None:
    desk = quick_desk
    made = await desk.webhook(receiver.url)
    async with desk.running.client() as client:
        asked = await client.post(f"/v1/webhooks/{made['id']}/test")
        await desk.send()
        delivery = (await client.get(f"/v1/deliveries/{asked.json()['id']}")).json()

    assert asked.status_code == 201
    assert (delivery["status"], delivery["destination"]) == ("delivered", "http://127.0.0.1/***")
    assert json.loads(receiver.seen[0].body)["type"] == "webhook.test"
    assert await desk.types() == []


async def test_a_deleted_endpoint_is_gone_and_hears_no_more(quick_desk: Any, receiver: Any) -> None:
    desk = quick_desk
    made = await desk.webhook(receiver.url)
    async with desk.running.client() as client:
        assert (await client.delete(f"/v1/webhooks/{made['id']}")).status_code == 200
        gone = [
            await client.get(f"/v1/webhooks/{made['id']}"),
            await client.delete(f"/v1/webhooks/{made['id']}"),
            await client.post(f"/v1/webhooks/{made['id']}/rotate", json={}),
        ]
        listed = (await client.get("/v1/webhooks")).json()["items"]
    await desk.refer(mail=None)
    await desk.send()

    assert [one.status_code for one in gone] == [404, 404, 404]
    assert (listed, receiver.seen) == ([], [])


async def test_deliveries_are_listed_by_referral_event_status_and_channel(desk: Any) -> None:
    first, second = await desk.refer(), await desk.refer()
    await desk.happen(desk.accepted(first))
    await desk.send()
    async with desk.running.client() as client:
        by_referral = (await client.get("/v1/deliveries", params={"referral_id": first.referral_id})).json()
        sent = (await client.get("/v1/deliveries", params={"status": "sent", "channel": "email"})).json()
        queued = (await client.get("/v1/deliveries", params={"status": "queued"})).json()
        event_id = by_referral["items"][0]["event_id"]
        by_event = (await client.get("/v1/deliveries", params={"event_id": event_id})).json()
        paged = (await client.get("/v1/deliveries", params={"limit": 2})).json()
        rest = (await client.get("/v1/deliveries", params={"limit": 2, "after": paged["next"]})).json()
        wrong = await client.get("/v1/deliveries", params={"status": "lost"})

    assert len(by_referral["items"]) == 2
    assert (len(sent["items"]), len(queued["items"]), len(by_event["items"])) == (3, 0, 1)
    assert [len(paged["items"]), len(rest["items"]), rest["next"]] == [2, 1, None]
    assert wrong.status_code == 422
    shown = by_event["items"][0]
    assert shown["destination"] == "f***@family-practice.example"
    assert shown["attempts"][0] | {"at": "", "duration_ms": 0} == {
        "at": "", "trigger": "event", "outcome": "captured", "code": "250", "duration_ms": 0,
    }  # fmt: skip
    assert second.referral_id not in json.dumps(by_referral)


async def test_codes_are_not_listed_and_not_sent_again(quick_desk: Any) -> None:
    desk = quick_desk
    handle = await desk.handle(await desk.refer())
    async with desk.running.client() as client:
        await client.post(f"/o/{handle}/code", headers={"Accept": "application/json"})
        await desk.send()
        listed = (await client.get("/v1/deliveries")).json()["items"]

    assert {one["kind"] for one in listed} == {"notice"}
    rows = await desk.running.rows(_table(desk, "delivery"))
    (code,) = [row for row in rows if row["kind"] == "code"]
    assert code["body"] is None


async def test_a_failed_delivery_can_be_sent_again_and_a_waiting_one_cannot(
    quick_desk: Any, receiver: Any
) -> None:
    desk = quick_desk
    receiver.answers = ["410 Gone", "204 No Content"]
    made = await desk.webhook(receiver.url)
    await desk.refer(mail=None)
    (delivery,) = await desk.deliveries()
    async with desk.running.client() as client:
        too_early = await client.post(f"/v1/deliveries/{delivery.id}/resend")
        await desk.send()
        await client.patch(f"/v1/webhooks/{made['id']}", json={"enabled": True})
        again = await client.post(f"/v1/deliveries/{delivery.id}/resend")
        await desk.send()
        shown = (await client.get(f"/v1/deliveries/{delivery.id}")).json()

    assert (too_early.status_code, again.status_code) == (409, 200)
    assert (shown["status"], [one["trigger"] for one in shown["attempts"]]) == (
        "delivered",
        ["event", "manual"],
    )
    assert len({seen.headers["webhook-id"] for seen in receiver.seen}) == 1


async def test_an_office_can_be_made_known_changed_and_vouched_for(desk: Any) -> None:
    body = {
        "name": "Invented Family Practice",
        "identifiers": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}],
        "routes": [{"channel": "email", "address": "desk@office.example"}],
        "time_zone": "America/Chicago",
    }
    async with desk.running.client() as client:
        made = await client.post("/v1/offices", json=body)
        path = made.headers["location"]
        route = made.json()["routes"][0]
        verified = await client.post(f"{path}/verify", json={"route_id": route["id"]})
        kept = await client.patch(
            path, json={"routes": [{"channel": "email", "address": "desk@office.example"}]}
        )
        moved = await client.patch(
            path, json={"routes": [{"channel": "email", "address": "new@office.example"}]}
        )
        stale = await client.patch(path, json={"name": "Other"}, headers={"If-Match": 'W/"1"'})

    assert made.status_code == 201
    assert verified.json()["routes"][0]["verified_at"] is not None
    assert kept.json()["routes"][0]["verified_at"] is not None
    assert moved.json()["routes"][0]["verified_at"] is None
    assert stale.status_code == 412
    events = await desk.running.published()
    assert [event.type for event in events] == [
        "office.registered.v1", "office.changed.v1", "office.changed.v1",
    ]  # fmt: skip
    assert {event.source for event in events} == {f"/offices/{made.json()['id']}"}
    assert "office.example" not in json.dumps([dict(event.data) for event in events])


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": "a\r\nb"}, "/name"),
        ({"routes": [{"channel": "email", "address": "a@b,c@d"}]}, "/routes/0"),
        ({"routes": [{"channel": "email", "address": '"x"@office.example'}]}, "/routes/0"),
        ({"routes": [{"channel": "webhook", "address": "https://office.example"}]}, "/routes/0"),
        ({"routes": [{"channel": "pigeon", "address": "x"}]}, "/routes/0/channel"),
        ({"time_zone": "Mars/Olympus"}, "/time_zone"),
        ({"unheard_of": 1}, ""),
    ],
)
async def test_what_cannot_be_right_is_refused_with_its_place(
    quick_desk: Any, change: dict[str, Any], pointer: str
) -> None:
    async with quick_desk.running.client() as client:
        answer = await client.post("/v1/offices", json={"name": "Invented", **change})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith(pointer)


async def test_another_practices_things_are_not_there(desk: Any, receiver: Any) -> None:
    referral = await desk.refer()
    made = await desk.webhook(receiver.url)
    (delivery,) = await desk.deliveries(channel="email")
    desk.running.practice = "p2"
    async with desk.running.client() as client:
        answers = [
            await client.get(f"/v1/offices/{referral.office_id}"),
            await client.post(f"/v1/offices/{referral.office_id}/pause"),
            await client.get(f"/v1/webhooks/{made['id']}"),
            await client.delete(f"/v1/webhooks/{made['id']}"),
            await client.get(f"/v1/deliveries/{delivery.id}"),
            await client.post(f"/v1/deliveries/{delivery.id}/resend"),
            await client.post("/v1/webhooks", json={"url": receiver.url, "office_id": referral.office_id}),
            await client.get(f"/v1/acknowledgements/{new_id()}"),
        ]
        lists = [
            (await client.get(path)).json()["items"]
            for path in ("/v1/offices", "/v1/webhooks", "/v1/deliveries")
        ]

    assert {answer.status_code for answer in answers} == {404}
    assert lists == [[], [], []]


async def test_a_paused_office_hears_the_newest_news_when_it_resumes(desk: Any) -> None:
    referral = await desk.refer()
    await desk.send()
    async with desk.running.client() as client:
        path = f"/v1/offices/{referral.office_id}"
        assert (await client.post(f"{path}/pause")).json()["paused_at"] is not None
        twice = await client.post(f"{path}/pause")
        await desk.happen(desk.accepted(referral))
        await desk.happen(desk.booked(referral))
        await desk.send()
        silent = len(await desk.mails())
        await client.post(f"{path}/resume")
    await desk.send()

    assert (twice.status_code, silent) == (409, 1)
    assert "scheduled" in (await desk.mails())[-1]["text"].lower()
    assert len(await desk.mails()) == 2


async def test_every_route_says_its_scope_and_is_shut_without_it(quick_desk: Any) -> None:
    desk = quick_desk
    desk.running.scopes = frozenset()
    guarded = [one for one in inventory(*desk.running.service.routes) if not one.public]
    async with desk.running.client() as client:
        for door in guarded:
            path = door.path.replace("{id}", new_id())
            assert (await client.request(door.method, path)).status_code == 403, door.path

    assert len(guarded) == 19
    public = {one.path for one in inventory(*desk.running.service.routes) if one.public}
    assert public == {
        "/o/assets/office.css", "/o/{handle}", "/o/{handle}/code", "/o/{handle}/verify",
        "/o/{handle}/acknowledge", "/o/{handle}/documents/{id}", "/dev/mailbox", "/dev/mailbox/messages",
    }  # fmt: skip
