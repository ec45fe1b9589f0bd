"""The office on its page: status at once, names and documents after a code, and what each click proves."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from baton_chassis.content import Content
from baton_chassis.ids import new_id
from baton_chassis.testing.harness import harness
from baton_notification.app import Chances, definition
from baton_notification.domain.ladder import Status
from baton_notification.portal.guarding import LEVEL_SECONDS
from baton_notification.settings import Settings

JSON = {"Accept": "application/json"}
HTML = {"Accept": "text/html"}


@asynccontextmanager
async def browser(desk: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with desk.running.client() as client:
        yield client


async def code_of(desk: Any) -> str:
    """The code in the newest mail that has one; codes of a test count up."""
    await desk.send()
    found = [re.search(r"Your code: ([0-9]{8})", mail["text"]) for mail in await desk.mails()]
    return max(one[1] for one in found if one is not None)


async def identify(desk: Any, client: httpx.AsyncClient, handle: str) -> None:
    """Ask for a code, read the mail, type it in."""
    assert (await client.post(f"/o/{handle}/code", headers=JSON)).status_code == 202
    answer = await client.post(f"/o/{handle}/verify", data={"code": await code_of(desk)}, headers=JSON)
    assert answer.json() == {"verified": True}


async def test_the_page_shows_status_without_a_code_and_no_names(quick_desk: Any) -> None:
    desk = quick_desk
    referral = await desk.refer()
    await desk.happen(desk.accepted(referral), desk.booked(referral))
    await desk.sign(referral)
    await desk.send()
    handle = await desk.handle(referral)

    async with browser(desk) as client:
        shown = (await client.get(f"/o/{handle}", headers=JSON)).json()
        page = (await client.get(f"/o/{handle}", headers=HTML)).text

    assert (shown["reference"], shown["stage"], shown["state"]) == ("FP-2041", "scheduled", "scheduled")
    assert [step["stage"] for step in shown["steps"]] == [
        "received", "scheduled", "seen", "notes_sent", "care_returned",
    ]  # fmt: skip
    assert [step["at"] is not None for step in shown["steps"]] == [True, True, False, False, False]
    assert shown["next"]["code"] == "visit"
    assert shown["documents"] == []
    assert "patient" not in shown
    assert "Testperson" not in page
    assert "FP-2041" in page


async def test_looking_opens_the_notices_and_asking_for_the_head_does_not(desk: Any) -> None:
    referral = await desk.refer()
    await desk.send()
    handle = await desk.handle(referral)

    async with browser(desk) as client:
        assert (await client.head(f"/o/{handle}")).status_code == 200
        assert (await desk.deliveries())[0].status is Status.SENT
        for _ in range(20):
            await client.get(f"/o/{handle}")

    assert (await desk.deliveries())[0].status is Status.OPENED
    assert (await desk.types()).count("delivery.opened.v1") == 1
    assert len(await desk.mails()) == 1


async def test_a_code_to_the_address_on_file_shows_names_and_proves_the_route(desk: Any) -> None:
    referral = await desk.refer()
    handle = await desk.handle(referral)

    async with browser(desk) as client:
        await identify(desk, client, handle)
        shown = (await client.get(f"/o/{handle}", headers=JSON)).json()

    assert shown["identified"] is True
    assert shown["patient"]["name"]["family"] == "Testperson"
    office = await desk.queries.office("p1", referral.office_id)
    assert office.routes[0].verified_at is not None
    assert "office.changed.v1" in await desk.types()
    actions = [row["action"] for row in await desk.running.rows(desk.running.service.definition.tables.audit)]
    assert {"SendCode", "VerifyCode", "NoteCardShown"} <= set(actions)


async def test_fetching_the_note_while_identified_proves_its_delivery(desk: Any) -> None:
    referral = await desk.refer()
    signed = await desk.sign(referral)
    await desk.send()
    handle = await desk.handle(referral)

    async with browser(desk) as client:
        await identify(desk, client, handle)
        note = await client.get(f"/o/{handle}/documents/{signed.document.id}")

    assert note.content == b"Invented note: nothing to worry about."
    assert note.headers["content-type"].startswith("text/plain")
    proofs = await desk.running.published("delivery.delivered.v1")
    (proof,) = (event.data for event in proofs)
    assert proof["document"] == {"id": signed.document.id, "version": 1, "sha256": signed.document.sha256}
    assert (proof["role"], proof["proof"], proof["kind"]) == ("referrer", "fetched_identified", "document")


async def test_an_accepted_mail_never_proves_a_document(quick_desk: Any) -> None:
    desk = quick_desk
    referral = await desk.refer()
    await desk.sign(referral)
    await desk.send()

    documents = [one for one in await desk.deliveries() if one.document is not None]
    assert [one.status for one in documents] == [Status.SENT]
    assert await desk.running.published("delivery.delivered.v1") == []


async def test_documents_stay_shut_without_a_code(quick_desk: Any) -> None:
    desk = quick_desk
    referral = await desk.refer()
    signed = await desk.sign(referral)
    path = f"/o/{await desk.handle(referral)}/documents/{signed.document.id}"

    async with browser(desk) as client:
        refused = await client.get(path, headers=JSON)
        shown_to_people = await client.get(path, headers=HTML)

    assert refused.status_code == 401
    assert shown_to_people.status_code == 303
    assert await desk.running.published("delivery.delivered.v1") == []


async def test_confirming_without_a_code_covers_the_notice_only(quick_desk: Any) -> None:
    desk = quick_desk
    referral = await desk.refer()
    await desk.sign(referral)
    await desk.send()
    handle = await desk.handle(referral)

    async with browser(desk) as client:
        said = await client.post(f"/o/{handle}/acknowledge", headers=JSON)

    assert said.status_code == 201
    assert said.json()["covers"] == "notice"
    acknowledged = await desk.running.published("delivery.acknowledged.v1")
    assert [event.data["kind"] for event in acknowledged] == ["notice"]


async def test_news_may_be_confirmed_again_once_the_referral_moved_on(quick_desk: Any) -> None:
    desk = quick_desk
    referral = await desk.refer()
    handle = await desk.handle(referral)

    async with browser(desk) as client:
        await client.post(f"/o/{handle}/acknowledge", headers=JSON)
        confirmed = (await client.get(f"/o/{handle}", headers=HTML)).text
        desk.clock.advance(timedelta(hours=1))
        await desk.happen(desk.booked(referral))
        moved_on = (await client.get(f"/o/{handle}", headers=HTML)).text

    assert "You confirmed" in confirmed
    assert "We have seen this" in moved_on


async def test_confirming_while_identified_covers_the_versions_that_were_shown(desk: Any) -> None:
    referral = await desk.refer()
    signed = await desk.sign(referral)
    await desk.send()
    handle = await desk.handle(referral)

    async with browser(desk) as client:
        await identify(desk, client, handle)
        await client.get(f"/o/{handle}/documents/{signed.document.id}")
        said = await client.post(f"/o/{handle}/acknowledge", headers=JSON)
        again = await client.post(f"/o/{handle}/acknowledge", headers=JSON)

    assert said.json()["documents"] == [{"id": signed.document.id, "version": 1}]
    assert (again.status_code, again.json()["id"]) == (200, said.json()["id"])
    acknowledged = [event.data for event in await desk.running.published("delivery.acknowledged.v1")]
    assert sorted(event["kind"] for event in acknowledged) == ["document", "notice"]
    document = next(event for event in acknowledged if event["kind"] == "document")
    assert document["document"]["sha256"] == signed.document.sha256
    assert (document["role"], document["actor"]["kind"], document["assertion"]) == (
        "referrer",
        "office",
        "human",
    )
    listed = await desk.queries.acknowledgements("p1", limit=10, after=None, referral_id=referral.referral_id)
    assert [one.identified for one in listed.items] == [True]


async def test_a_version_that_was_replaced_meanwhile_is_not_confirmed(quick_desk: Any) -> None:
    desk = quick_desk
    referral = await desk.refer()
    first = await desk.sign(referral)
    handle = await desk.handle(referral)

    async with browser(desk) as client:
        await identify(desk, client, handle)
        await desk.sign(referral, id=first.document.id, version=2, text=b"Invented note, second version.")
        said = await client.post(
            f"/o/{handle}/acknowledge", data={"documents": f"{first.document.id}:1"}, headers=JSON
        )

    assert said.json()["documents"] == []
    kinds = [event.data["kind"] for event in await desk.running.published("delivery.acknowledged.v1")]
    assert "document" not in kinds


async def test_a_code_works_once_in_its_browser_for_its_page_and_for_ten_minutes(quick_desk: Any) -> None:
    desk = quick_desk
    referral, other = await desk.refer(), await desk.refer()
    handle, other_handle = await desk.handle(referral), await desk.handle(other)

    async with browser(desk) as client, browser(desk) as stranger:
        await client.post(f"/o/{handle}/code", headers=JSON)
        await stranger.post(f"/o/{other_handle}/code", headers=JSON)
        await desk.send()
        texts = [mail["text"] for mail in await desk.mails()]
        code = min(code for text in texts for code in re.findall(r"Your code: ([0-9]{8})", text))
        elsewhere = await stranger.post(f"/o/{handle}/verify", data={"code": code}, headers=JSON)
        other_page = await client.post(f"/o/{other_handle}/verify", data={"code": code}, headers=JSON)
        right = await client.post(f"/o/{handle}/verify", data={"code": code}, headers=JSON)
        reused = await client.post(f"/o/{handle}/verify", data={"code": code}, headers=JSON)

    assert [one.status_code for one in (elsewhere, other_page, right, reused)] == [401, 401, 200, 401]
    assert elsewhere.json()["detail"] == reused.json()["detail"] == other_page.json()["detail"]


async def test_a_code_is_dead_after_ten_minutes(quick_desk: Any) -> None:
    desk = quick_desk
    handle = await desk.handle(await desk.refer())

    async with browser(desk) as client:
        await client.post(f"/o/{handle}/code", headers=JSON)
        code = await code_of(desk)
        desk.security_clock.advance(timedelta(minutes=10, seconds=1))
        late = await client.post(f"/o/{handle}/verify", data={"code": code}, headers=JSON)

    assert late.status_code == 401


async def test_five_wrong_tries_kill_a_code(desk: Any) -> None:
    handle = await desk.handle(await desk.refer())

    async with browser(desk) as client:
        await client.post(f"/o/{handle}/code", headers=JSON)
        code = await code_of(desk)
        for guess in ("00000000", "1", "", "99999999", "12345678"):
            await client.post(f"/o/{handle}/verify", data={"code": guess}, headers=JSON)
        right = await client.post(f"/o/{handle}/verify", data={"code": code}, headers=JSON)

    assert right.status_code == 401


async def test_a_fourth_code_within_a_quarter_of_an_hour_is_refused(quick_desk: Any) -> None:
    desk = quick_desk
    handle = await desk.handle(await desk.refer())

    async with browser(desk) as client:
        answers = [await client.post(f"/o/{handle}/code", headers=JSON) for _ in range(4)]
        unknown = [await client.post(f"/o/{'A' * 22}/code", headers=JSON) for _ in range(4)]
        desk.security_clock.advance(timedelta(minutes=15))
        later = await client.post(f"/o/{handle}/code", headers=JSON)

    assert [one.status_code for one in answers] == [202, 202, 202, 429]
    assert [one.status_code for one in unknown] == [202, 202, 202, 429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert later.status_code == 202


async def test_a_handle_nobody_has_answers_like_a_real_one(quick_desk: Any) -> None:
    desk = quick_desk
    handle, unknown = await desk.handle(await desk.refer()), "B" * 22
    took: dict[str, list[float]] = {handle: [], unknown: []}

    async with browser(desk) as client:
        for _ in range(3):
            for one in (handle, unknown):
                started = time.perf_counter()
                answer = await client.post(f"/o/{one}/verify", data={"code": "00000000"}, headers=HTML)
                took[one].append(time.perf_counter() - started)
                assert answer.status_code == 401
        known_page = await client.post(f"/o/{handle}/code", headers=HTML)
        unknown_page = await client.post(f"/o/{unknown}/code", headers=HTML)

    assert known_page.text.replace(handle, "") == unknown_page.text.replace(unknown, "")
    assert min(took[unknown]) >= LEVEL_SECONDS
    assert min(took[handle]) >= LEVEL_SECONDS


async def test_a_session_ends_when_idle_and_after_eight_hours(quick_desk: Any) -> None:
    desk = quick_desk
    handle = await desk.handle(await desk.refer())

    async with browser(desk) as client:
        await identify(desk, client, handle)
        for _ in range(17):
            desk.security_clock.advance(timedelta(minutes=29))
            shown = (await client.get(f"/o/{handle}", headers=JSON)).json()
        after_eight_hours = shown["identified"]
        await identify(desk, client, handle)
        desk.security_clock.advance(timedelta(minutes=31))
        after_idling = (await client.get(f"/o/{handle}", headers=JSON)).json()["identified"]

    assert (after_eight_hours, after_idling) == (False, False)


async def test_a_link_lasts_thirty_days_from_its_last_use(quick_desk: Any) -> None:
    desk = quick_desk
    desk.clock.at = desk.security_clock.now()
    handle = await desk.handle(await desk.refer())

    async with browser(desk) as client:
        for _ in range(3):
            desk.security_clock.advance(timedelta(days=29))
            assert (await client.get(f"/o/{handle}", headers=JSON)).status_code == 200
        desk.security_clock.advance(timedelta(days=31))
        gone = await client.get(f"/o/{handle}", headers=JSON)

    assert gone.status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=["origin", "cross site", "same site"],
)
async def test_a_form_of_another_site_is_refused(quick_desk: Any, headers: dict[str, str]) -> None:
    desk = quick_desk
    handle = await desk.handle(await desk.refer())

    async with browser(desk) as client:
        answer = await client.post(f"/o/{handle}/acknowledge", headers=JSON | headers)

    assert answer.status_code == 403
    assert await desk.running.published("delivery.acknowledged.v1") == []


async def test_our_own_form_passes_although_browsers_send_a_null_origin_with_it(quick_desk: Any) -> None:
    desk = quick_desk
    handle = await desk.handle(await desk.refer())
    said = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}

    async with browser(desk) as client:
        answer = await client.post(f"/o/{handle}/acknowledge", headers=JSON | said)

    assert answer.status_code == 201


async def test_every_answer_carries_the_headers_that_keep_it_private(quick_desk: Any) -> None:
    desk = quick_desk
    handle = await desk.handle(await desk.refer())

    async with browser(desk) as client:
        answers = [
            await client.get(f"/o/{handle}"),
            await client.get(f"/o/{handle}", headers=HTML),
            await client.get("/o/unknown", headers=HTML),
            await client.post(f"/o/{handle}/code", headers=HTML),
            await client.post(f"/o/{handle}/verify", headers=HTML),
        ]

    for answer in answers:
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe-inline" not in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "<script" not in answer.text
        assert " style=" not in answer.text


async def test_over_https_cookies_never_leave_their_host(
    database_url: str, clock: Any, security_clock: Any
) -> None:
    settings = Settings(public_url="https://referrals.practice.example")
    made = definition(Chances(security_clock=security_clock))
    async with (
        harness(made, url=database_url, clock=clock, settings=settings) as running,
        running.client() as client,
    ):
        answer = await client.post(f"/o/{'C' * 22}/code", headers=JSON)

    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-office-browser=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")


async def test_what_an_office_sends_is_shown_as_text(quick_desk: Any) -> None:
    desk = quick_desk
    referral = await desk.refer(reference="<script>{{7*7}}</script>")
    signed = await desk.sign(referral, text=b"<script>alert(1)</script> {{ 7*7 }}")
    handle = await desk.handle(referral)

    async with browser(desk) as client:
        await identify(desk, client, handle)
        page = (await client.get(f"/o/{handle}", headers=HTML)).text
        note = (await client.get(f"/o/{handle}/documents/{signed.document.id}", headers=HTML)).text

    assert "<script" not in page + note
    assert "{{7*7}}" in page
    assert "{{ 7*7 }}" in note


@pytest.mark.parametrize("verb", ["code", "verify", "acknowledge"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"code": NaN}', 400),
        (b'{"code": "\\ud800"}', 400),
        (b"[]", 422),
        (b'{"other": 1}', 422),
    ],
)
async def test_a_body_that_cannot_be_right_is_refused_also_for_a_handle_nobody_has(
    quick_desk: Any, verb: str, body: bytes, status: int
) -> None:
    desk = quick_desk
    headers = JSON | {"Content-Type": "application/json"}
    async with browser(desk) as client:
        answers = [
            await client.post(f"/o/{handle}/{verb}", content=body, headers=headers)
            for handle in (await desk.handle(await desk.refer()), "D" * 22)
        ]

    assert [answer.status_code for answer in answers] == [status, status]
    assert answers[0].headers["content-type"] == "application/problem+json"


async def test_a_document_that_is_no_plain_text_is_a_download(quick_desk: Any) -> None:
    desk = quick_desk
    referral = await desk.refer()
    signed = await desk.sign(referral)
    page = Content.of("text/html", b"<script>alert(1)</script>")
    desk.running.contents.kept[("note", signed.document.id)] = page
    handle = await desk.handle(referral)

    async with browser(desk) as client:
        await identify(desk, client, handle)
        answer = await client.get(f"/o/{handle}/documents/{signed.document.id}", headers=HTML)
        unknown = await client.get(f"/o/{handle}/documents/{new_id()}", headers=HTML)

    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert unknown.status_code == 404


async def test_another_office_cannot_use_its_session_here(quick_desk: Any) -> None:
    desk = quick_desk
    mine, theirs = await desk.handle(await desk.refer()), await desk.handle(await desk.refer())

    async with browser(desk) as client:
        await identify(desk, client, mine)
        shown = (await client.get(f"/o/{theirs}", headers=JSON)).json()

    assert shown["identified"] is False
