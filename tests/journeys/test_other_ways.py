"""The other ways a referral can go: declined, early facts, mail that nobody opens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from baton_chassis.testing.waiting import until


def test_a_declined_referral_tells_the_office_at_once(baton: Any, write: Any) -> None:
    body = write.referral()
    desk = body["referrer"]["office"]["telecom"][0]["value"]
    referral = baton.post("/v1/referrals", body)

    declined = baton.post(f"/v1/referrals/{referral['id']}/decline", {"reason": "no_capacity"})

    assert declined["state"] == "declined"
    until(lambda: len(baton.mails(desk)) >= 2, what="received and declined")
    refused = baton.client.post(f"/v1/referrals/{referral['id']}/accept", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "illegal-transition")


def test_a_visit_and_a_note_that_come_before_their_referral_wait_for_it(baton: Any, write: Any) -> None:
    body = write.referral()
    name = {"system": body["source"]["system"], "id": body["source"]["id"]}

    appointment = baton.post("/v1/appointments", write.appointment(name), status=202)
    assert appointment["status"] == "waiting"
    baton.post(f"/v1/appointments/{appointment['id']}/complete", {}, status=202)
    unsigned = write.note(name)
    del unsigned["signed"]
    note = baton.post("/v1/notes", unsigned, status=202)
    baton.post(f"/v1/notes/{note['id']}/sign", {"by": "Grace Example, MD"}, status=202)
    assert baton.get(f"/v1/notes/{note['id']}")["status"] == "waiting"

    referral = baton.post("/v1/referrals", body)
    seen = baton.state_of(referral["id"], "seen")

    assert seen["last_appointment"]["status"] == "completed"
    until(lambda: baton.get(f"/v1/notes/{note['id']}")["status"] == "signed", what="the note is signed")
    assert baton.get(f"/v1/appointments/{appointment['id']}")["status"] == "completed"


def test_mail_that_was_only_accepted_never_makes_the_note_sent(baton: Any, write: Any) -> None:
    body = write.referral()
    desk = body["referrer"]["office"]["telecom"][0]["value"]
    referral = baton.post("/v1/referrals", body)
    name = {"id": referral["id"]}
    appointment = baton.post("/v1/appointments", write.appointment(name), status=(201, 202))
    baton.post(f"/v1/appointments/{appointment['id']}/complete", {}, status=(200, 202))
    baton.state_of(referral["id"], "seen")
    baton.post("/v1/notes", write.note(name), status=(201, 202))
    until(lambda: len(baton.mails(desk)) >= 4, what=f"all mail went out: {len(baton.mails(desk))}")

    baton.advance(timedelta(days=20))

    deliveries = baton.get("/v1/deliveries", referral_id=referral["id"])["items"]
    assert deliveries
    proven = {"delivered", "opened", "acknowledged"}
    assert not proven & {one["status"] for one in deliveries if one["kind"] == "document"}
    assert baton.get(f"/v1/referrals/{referral['id']}")["state"] == "seen"


def test_silence_after_a_proven_delivery_returns_care_after_fourteen_days(
    baton: Any, write: Any, office_page: Any
) -> None:
    body = write.referral()
    desk = body["referrer"]["office"]["telecom"][0]["value"]
    referral = baton.post("/v1/referrals", body)
    name = {"id": referral["id"]}
    appointment = baton.post("/v1/appointments", write.appointment(name), status=(201, 202))
    baton.post(f"/v1/appointments/{appointment['id']}/complete", {}, status=(200, 202))
    baton.state_of(referral["id"], "seen")
    note = baton.post("/v1/notes", write.note(name), status=(201, 202))
    page = office_page(baton, until(lambda: baton.mails(desk), what="any mail")[0])
    page.sign_in()
    page.fetch(note["id"])
    baton.state_of(referral["id"], "notes_sent")

    baton.advance(timedelta(days=13))
    assert baton.get(f"/v1/referrals/{referral['id']}")["state"] == "notes_sent"
    baton.advance(timedelta(days=2))
    returned = baton.state_of(referral["id"], "care_returned")

    assert returned["ack"] == "implied"


def test_another_practices_referral_is_not_there(baton: Any, write: Any) -> None:
    other = baton.client.get("/v1/referrals/01920000-0000-7000-8000-0000000000ff")

    assert (other.status_code, other.json()["code"]) == (404, "not-found")
