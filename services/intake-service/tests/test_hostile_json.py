"""JSON that was made to break readers, at both doors."""

from __future__ import annotations

from pathlib import Path

import pytest

from baton_chassis.testing.harness import Harness

CASES = Path(__file__).parents[3] / ".." / "shared" / "data" / "adversarial-json"
DOORS = [
    ("/v1/referrals", "application/json", "application/problem+json"),
    ("/fhir/R4/$process-message", "application/fhir+json", "application/fhir+json"),
]
ON_SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
BOMBS = {
    "100,000 levels": b"[" * 100_000,
    "100,000 balanced levels": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 50_000,
    "a number of 5,000 digits": b'{"a": ' + b"9" * 5_000 + b"}",
    "a huge exponent": b'{"a": 1e999999}',
    "the character zero": b'{"resourceType": "Bundle", "id": "\\u0000"}',
    "one name twice": b'{"resourceType": "Bundle", "resourceType": "Patient"}',
}


@ON_SQLITE
@pytest.mark.parametrize(("path", "sends", "answers"), DOORS, ids=["native", "fhir"])
async def test_no_published_case_breaks_a_door(intake: Harness, path: str, sends: str, answers: str) -> None:
    cases = sorted(CASES.glob("*.json"))
    if not cases:
        pytest.skip("the JSON cases are not here: ../shared/data/adversarial-json")
    async with intake.client() as client:
        for case in cases:
            answer = await client.post(path, content=case.read_bytes(), headers={"content-type": sends})

            assert 400 <= answer.status_code < 500, case.name
            assert answer.headers["content-type"] == answers, case.name
            if case.name.startswith("n_"):
                assert answer.status_code in (400, 422), case.name
    assert await intake.published() == []


@ON_SQLITE
@pytest.mark.parametrize("sent", BOMBS.values(), ids=BOMBS.keys())
@pytest.mark.parametrize(("path", "sends", "answers"), DOORS, ids=["native", "fhir"])
async def test_no_bomb_breaks_a_door(
    intake: Harness, sent: bytes, path: str, sends: str, answers: str
) -> None:
    async with intake.client() as client:
        answer = await client.post(path, content=sent, headers={"content-type": sends})

    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == answers


@ON_SQLITE
@pytest.mark.parametrize(("path", "sends", "answers"), DOORS, ids=["native", "fhir"])
async def test_eleven_megabytes_are_too_many(intake: Harness, path: str, sends: str, answers: str) -> None:
    async with intake.client() as client:
        answer = await client.post(path, content=b" " * 11_000_000, headers={"content-type": sends})

    assert answer.status_code == 413
    assert answer.headers["content-type"] == answers
