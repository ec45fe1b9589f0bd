"""A referral comes in at the native door."""

from __future__ import annotations

from typing import Any

from baton_chassis.testing.harness import Harness

Json = dict[str, Any]


async def test_a_received_referral_is_shown_as_it_was_sent(intake: Harness, referral_body: Json) -> None:
    async with intake.client() as client:
        answer = await client.post("/v1/referrals", json=referral_body)

        assert answer.status_code == 201, answer.text
        shown = answer.json()
        assert answer.headers["location"] == f"/v1/referrals/{shown['id']}"
        assert answer.headers["etag"] == 'W/"1"'
        assert (shown["state"], shown["stage"]) == ("received", "received")
        for field in ("source", "priority", "specialty", "reasons", "question", "authored_at"):
            assert shown[field] == referral_body[field]
        assert shown["patient"]["name"] == {"family": "Testperson", "given": ["Ada"]}
        assert shown["completeness"] == {"score": 100, "missing": []}
        assert (await client.get(answer.headers["location"])).json() == shown
