"""A real referral goes round the whole loop, and the office hears of each step."""

from __future__ import annotations

import re
from typing import Any

from standardwebhooks import Webhook

from baton_chassis.testing.waiting import until

STEPS = [
    "referral.received.v1", "referral.accepted.v1", "appointment.booked.v1", "visit.completed.v1",
    "note.signed.v1", "delivery.delivered.v1", "note.delivered.v1", "delivery.acknowledged.v1",
    "care.returned.v1",
]  # fmt: skip


def _received(baton: Any, bundle: bytes, write: Any) -> dict[str, Any]:
    """Send the Bundle as another hospital would; every installation sees it as its own."""
    answer = baton.client.post(
        "/fhir/R4/$process-message", content=bundle, headers={"Content-Type": "application/fhir+json"}
    )
    assert answer.status_code == 200, answer.text
    ids = [
        entry["resource"]["id"]
        for entry in answer.json()["entry"]
        if entry["resource"]["resourceType"] in ("ServiceRequest", "Task")
    ]
    referral: dict[str, Any] = baton.get(f"/v1/referrals/{ids[0]}")
    return referral


def test_the_bser_bundle_is_accepted_booked_seen_reported_and_care_goes_back(
    baton: Any, bser_bundle: bytes, write: Any, receiver: Any, office_page: Any
) -> None:
    referral = _received(baton, bser_bundle, write)
    id, office_id = referral["id"], referral["office_id"]
    assert referral["patient"]["name"]["family"] == "Everywoman"
    desk = "henry.seven@example.com"
    until(lambda: baton.client.get(f"/v1/offices/{office_id}").status_code == 200, what="the office is known")
    hook = baton.post("/v1/webhooks", {"office_id": office_id, "url": receiver.url})

    baton.post(f"/v1/referrals/{id}/accept", {})
    appointment = baton.post("/v1/appointments", write.appointment({"id": id}), status=(201, 202))
    baton.state_of(id, "scheduled")
    baton.post(f"/v1/appointments/{appointment['id']}/complete", {})
    baton.state_of(id, "seen")
    note = baton.post("/v1/notes", write.note({"id": id}), status=(201, 202))
    until(lambda: len(baton.mails(desk)) >= 5, what="mail for every step")

    mail = baton.mails(desk)[0]
    page = office_page(baton, mail)
    assert page.look()["stage"] == "seen"
    page.sign_in()
    shown = page.look()
    assert [document["id"] for document in shown["documents"]] == [note["id"]]
    assert page.fetch(note["id"]) == b"No further testing is needed."
    baton.state_of(id, "notes_sent")
    page.acknowledge()
    returned = baton.state_of(id, "care_returned")

    assert (returned["stage"], returned["ack"]) == ("care_returned", "explicit")
    types = until(lambda: _types(baton, id, STEPS[-1]), what="care.returned in the event feed")
    assert [type for type in types if type in STEPS] == STEPS or set(STEPS) <= set(types)
    _hears_by_signed_webhook(receiver, hook["secret"], id)
    _mails_hold_no_patient(baton, desk)


def _types(baton: Any, id: str, last: str) -> list[str]:
    types = [event.type for event in baton.events(id)]
    return types if last in types else []


HEARD = {"referral.accepted.v1", "appointment.booked.v1", "visit.completed.v1", "care.returned.v1"}


def _hears_by_signed_webhook(receiver: Any, secret: str, id: str) -> None:
    def heard() -> set[str]:
        return {one.json["data"]["event_type"] for one in receiver.received}

    until(lambda: heard() >= HEARD, seconds=60, what=f"a webhook for each of {sorted(HEARD)}")
    last = receiver.received[-1].json["data"]
    assert (last["referral_id"], last["state"]) == (id, "care_returned")
    for one in receiver.received:
        Webhook(secret).verify(one.body, dict(one.headers))
        assert not re.search(rb"Everywoman|Eve|1974|1032702", one.body)


def _mails_hold_no_patient(baton: Any, desk: str) -> None:
    for mail in baton.mails(desk):
        said = mail["subject"] + mail["text"] + mail["html"] + str(mail["headers"])
        assert not re.search(r"Everywoman|\bEve\b|1974|1032702|rthritis", said)
