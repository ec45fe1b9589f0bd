"""Lists, searches by patient, and pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from baton_chassis.clock import FixedClock
from baton_chassis.testing.harness import Harness

Json = dict[str, Any]


async def sent(client: Any, body: Json, number: int, **patient: Any) -> str:
    body["source"]["id"] = f"R-{number}"
    body["patient"] = {**body["patient"], **patient}
    answer = await client.post("/v1/referrals", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_pages_hold_every_referral_once_newest_first(intake: Harness, referral_body: Json) -> None:
    async with intake.client() as client:
        ids = [await sent(client, referral_body, number) for number in range(5)]
        found: list[str] = []
        after: str | None = None
        while True:
            page = (
                await client.get("/v1/referrals", params={"limit": 2} | ({"after": after} if after else {}))
            ).json()
            found += [item["id"] for item in page["items"]]
            after = page["next"]
            if after is None:
                break

    assert found == sorted(ids, reverse=True)


async def test_the_list_narrows_by_state_stage_and_office(intake: Harness, referral_body: Json) -> None:
    async with intake.client() as client:
        ids = [await sent(client, referral_body, number) for number in range(2)]
        await client.post(f"/v1/referrals/{ids[0]}/accept", json={})
        referral_body["referrer"]["office"] = {"name": "Another Practice"}
        other = await sent(client, referral_body, 3)

        async def listed(**filters: str) -> list[str]:
            answer = await client.get("/v1/referrals", params=filters)
            return [item["id"] for item in answer.json()["items"]]

        office = (await client.get(f"/v1/referrals/{other}")).json()["office_id"]
        assert await listed(state="accepted") == [ids[0]]
        assert await listed(state="received", stage="received") == [other, ids[1]]
        assert await listed(office_id=office) == [other]
        assert await listed(office_id=office, state="accepted") == []


async def test_changes_are_listed_in_their_order(
    intake: Harness, referral_body: Json, clock: FixedClock
) -> None:
    async with intake.client() as client:
        ids = [await sent(client, referral_body, number) for number in range(3)]
        clock.advance(timedelta(minutes=10))
        since = clock.now().isoformat()
        for id in (ids[2], ids[0]):
            clock.advance(timedelta(minutes=1))
            await client.post(f"/v1/referrals/{id}/accept", json={})
        first = (await client.get("/v1/referrals", params={"updated_since": since, "limit": 1})).json()
        rest = (
            await client.get(
                "/v1/referrals", params={"updated_since": since, "limit": 5, "after": first["next"]}
            )
        ).json()

    assert [item["id"] for item in first["items"] + rest["items"]] == [ids[2], ids[0]]
    assert rest["next"] is None


ON_SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@ON_SQLITE
@pytest.mark.parametrize(
    "query",
    ["after=forged", "limit=0", "limit=201", "limit=1_0", "limit=5&limit=6", "state=lost", "office_id=x",
     "updated_since=yesterday", "family=Testperson", "after=W10"],
)  # fmt: skip
async def test_an_odd_parameter_is_refused(intake: Harness, query: str) -> None:
    async with intake.client() as client:
        answer = await client.get(f"/v1/referrals?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed")


async def test_a_patient_is_found_by_name_birth_date_phone_and_number(
    intake: Harness, referral_body: Json
) -> None:
    async with intake.client() as client:
        ada = await sent(client, referral_body, 1)
        bob = await sent(
            client, referral_body, 2,
            name={"family": "Testperson", "given": ["Bob"]}, birth_date="1980-02-02",
            identifiers=[{"system": "urn:example:mrn", "value": "B-2"}],
            telecom=[{"system": "phone", "value": "404 555 0199"}],
        )  # fmt: skip

        async def found(**terms: Any) -> list[str]:
            answer = await client.post("/v1/referrals/search", json=terms)
            assert answer.status_code == 200, answer.text
            return [item["id"] for item in answer.json()["items"]]

        assert await found(family="TESTPERSON") == [bob, ada]
        assert await found(family_prefix="tes") == [bob, ada]
        assert await found(family="Testperson", birth_date="1970-01-01") == [ada]
        assert await found(phone="1-404-555-0142") == [ada]
        assert await found(identifier={"system": "urn:example:mrn", "value": "B-2"}) == [bob]
        assert await found(family="Testperson", phone="4045550199") == [bob]
        assert await found(family="Otherperson", phone="4045550199") == []
        assert await found(family="Nobody") == []
        intake.practice = "p2"
        assert await found(family="Testperson") == []


@ON_SQLITE
@pytest.mark.parametrize(
    "terms", [{}, {"birth_date": "1970-01-01"}, {"phone": "x"}, {"family_prefix": "te"}, {"mrn": "1"}]
)
async def test_a_search_needs_a_whole_term(intake: Harness, terms: Json) -> None:
    async with intake.client() as client:
        answer = await client.post("/v1/referrals/search", json=terms)

    assert answer.status_code == 422
