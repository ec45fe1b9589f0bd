"""A referral comes in at the native door."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from baton_chassis.testing.harness import Harness

Json = dict[str, Any]
EMAIL = "referrer.office.telecom.0.value"
ON_SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
KEY = {"idempotency-key": "k-1"}


async def test_a_received_referral_is_shown_as_it_was_sent(intake: Harness, referral_body: Json) -> None:
    async with intake.client() as client:
        answer = await client.post("/v1/referrals", json=referral_body)

        assert answer.status_code == 201, answer.text
        shown = answer.json()
        assert answer.headers["location"] == f"/v1/referrals/{shown['id']}"
        assert answer.headers["etag"] == 'W/"1"'
        assert (shown["state"], shown["stage"], shown["hold"], shown["ack"]) == (
            "received",
            "received",
            None,
            None,
        )
        for field in ("source", "priority", "specialty", "reasons", "reason_text", "question", "authored_at"):
            assert shown[field] == referral_body[field]
        assert shown["patient"]["name"] == {"family": "Testperson", "given": ["Ada"]}
        assert shown["referrer"]["reference"] == "THEIR-77"
        assert shown["completeness"] == {"score": 100, "missing": []}
        assert shown["links"]["actions"] == f"/v1/referrals/{shown['id']}/actions"
        assert (await client.get(answer.headers["location"])).json() == shown


@ON_SQLITE
async def test_the_least_there_must_be_is_a_source_a_family_name_and_an_office(intake: Harness) -> None:
    least = {
        "source": {"system": "urn:example:pms", "id": "R-2"},
        "patient": {"name": {"family": "Testperson"}},
        "referrer": {"office": {"name": "Example Practice"}},
    }
    async with intake.client() as client:
        answer = await client.post("/v1/referrals", json=least)

        assert answer.status_code == 201
        shown = answer.json()
        assert shown["flags"] == ["office_unreachable"]
        assert "patient.birth_date" in shown["completeness"]["missing"]
        assert (shown["priority"], shown["specialty"], shown["expires_at"]) == ("routine", None, None)


async def test_the_same_source_again_shows_what_is_here(intake: Harness, referral_body: Json) -> None:
    async with intake.client() as client:
        first = await client.post("/v1/referrals", json=referral_body)
        referral_body["question"] = "Something else?"
        again = await client.post("/v1/referrals", json=referral_body)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert len(await intake.published("referral.received.v1")) == 1


async def test_one_source_sent_many_times_at_once_is_one_referral(
    intake: Harness, referral_body: Json
) -> None:
    async with intake.client() as client:
        answers = await asyncio.gather(*(client.post("/v1/referrals", json=referral_body) for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(await intake.published("referral.received.v1")) == 1


async def test_a_replayed_key_gets_the_first_answer(intake: Harness, referral_body: Json) -> None:
    async with intake.client() as client:
        first = await client.post("/v1/referrals", json=referral_body, headers=KEY)
        again = await client.post("/v1/referrals", json=referral_body, headers=KEY)
        referral_body["question"] = "Something else?"
        other = await client.post("/v1/referrals", json=referral_body, headers=KEY)

    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "key-reused")


async def test_another_practice_may_use_the_same_source_and_sees_nothing(
    intake: Harness, referral_body: Json
) -> None:
    async with intake.client() as client:
        ours = (await client.post("/v1/referrals", json=referral_body)).json()
        intake.practice = "p2"
        theirs = await client.post("/v1/referrals", json=referral_body)
        stranger = await client.get(f"/v1/referrals/{ours['id']}")
        listed = (await client.get("/v1/referrals")).json()["items"]

    assert theirs.status_code == 201
    assert theirs.json()["patient_id"] != ours["patient_id"]
    assert stranger.status_code == 404
    assert [item["id"] for item in listed] == [theirs.json()["id"]]


async def test_the_same_person_and_office_are_known_again(intake: Harness, referral_body: Json) -> None:
    async with intake.client() as client:
        first = (await client.post("/v1/referrals", json=referral_body)).json()
        referral_body["source"]["id"] = "R-1002"
        second = (await client.post("/v1/referrals", json=referral_body)).json()

    assert second["id"] != first["id"]
    assert (second["patient_id"], second["office_id"]) == (first["patient_id"], first["office_id"])


async def test_one_number_with_another_name_is_another_person_and_a_doubt(
    intake: Harness, referral_body: Json
) -> None:
    async with intake.client() as client:
        first = (await client.post("/v1/referrals", json=referral_body)).json()
        referral_body["source"]["id"] = "R-1002"
        referral_body["patient"]["name"]["family"] = "Otherperson"
        second = (await client.post("/v1/referrals", json=referral_body)).json()
        referral_body["source"]["id"] = "R-1003"
        third = (await client.post("/v1/referrals", json=referral_body)).json()

    assert second["patient_id"] != first["patient_id"]
    assert "record_number_conflict" in second["flags"]
    assert "record_number_conflict" not in first["flags"]
    assert third["patient_id"] == second["patient_id"]


def changed(body: Json, path: str, value: Any) -> Json:
    *parents, last = path.split(".")
    place: Any = body
    for step in parents:
        place = place[int(step) if step.isdigit() else step]
    place[last] = value
    return body


@ON_SQLITE
@pytest.mark.parametrize(
    ("path", "value", "pointer", "code"),
    [
        ("unknown", 1, "", "unknown-field"),
        ("source", None, "/source", "wrong-type"),
        ("source.id", "", "/source/id", "not-a-key"),
        ("source.id", "R\u00e9", "/source/id", "not-a-key"),
        ("source.system", "two words", "/source/system", "not-a-system"),
        ("priority", "whenever", "/priority", "not-in-list"),
        ("patient.name.family", "", "/patient/name/family", "too-short"),
        ("patient.name.family", "   ", "/patient/name/family", "only-spaces"),
        ("patient.name.family", "Test\u202eperson", "/patient/name/family", "unfit-character"),
        ("patient.name.family", 7, "/patient/name/family", "wrong-type"),
        ("patient.birth_date", "1970-02-30", "/patient/birth_date", "not-a-date"),
        ("patient.birth_date", "70-01-01", "/patient/birth_date", "not-a-date"),
        ("patient.gender", "f", "/patient/gender", "not-in-list"),
        ("patient.telecom.0.value", "call me", "/patient/telecom/0", "not-an-address"),
        ("patient.telecom.0.system", "fax", "/patient/telecom/0/system", "not-in-list"),
        ("referrer.office.name", "", "/referrer/office/name", "too-short"),
        ("referrer.office.identifiers.0.value", "1111111111", "/referrer/office/identifiers/0", "not-an-npi"),
        (EMAIL, "a@b.example,c@d.example", "/referrer/office/telecom/0", "not-an-address"),
        (EMAIL, "a@b.example\r\nBcc: x@y.example", "/referrer/office/telecom/0/value", "unfit-character"),
        ("referrer.clinician.npi", "2222222222", "/referrer/clinician/npi", "not-an-npi"),
        ("authored_at", "2026-11-20T09:00:00", "/authored_at", "not-a-timestamp"),
        ("expires_at", "tomorrow", "/expires_at", "not-a-timestamp"),
        ("reasons", [{"code": "x"}] * 51, "/reasons", "too-many"),
    ],
)  # fmt: skip
async def test_a_wrong_field_is_named_and_never_repeated(
    intake: Harness, referral_body: Json, path: str, value: Any, pointer: str, code: str
) -> None:
    async with intake.client() as client:
        answer = await client.post("/v1/referrals", json=changed(referral_body, path, value))

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "validation-failed")
    assert (pointer, code) in [(fault["pointer"], fault["code"]) for fault in problem["errors"]]
    assert not (isinstance(value, str) and len(value.strip()) > 4 and value in answer.text)
    assert await intake.published() == []


@ON_SQLITE
@pytest.mark.parametrize("date", ["1970", "1970-01", "1970-01-01", ""])
async def test_a_date_may_be_as_precise_as_it_is_known(
    intake: Harness, referral_body: Json, date: str
) -> None:
    referral_body["patient"]["birth_date"] = date
    referral_body["authored_at"] = "2026-11"
    async with intake.client() as client:
        answer = await client.post("/v1/referrals", json=referral_body)

    assert answer.status_code == 201
    assert (answer.json()["patient"]["birth_date"], answer.json()["authored_at"]) == (date, "2026-11")
    (event,) = await intake.published()
    assert "authored_at" not in event.data


@ON_SQLITE
async def test_without_the_scope_nothing_is_taken(intake: Harness, referral_body: Json) -> None:
    intake.scopes = frozenset({"referrals:read"})
    async with intake.client() as client:
        answer = await client.post("/v1/referrals", json=referral_body)

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert await intake.published() == []
