"""What is made of the events of a referral: to whom, as what, in any order, and nothing of the patient."""

from __future__ import annotations

import base64
import json
import random
from types import SimpleNamespace
from typing import Any

import pytest

from baton_chassis import migrations
from baton_chassis.ids import new_id
from baton_contracts import events as contract
from baton_contracts.lifecycle import Template
from baton_notification import store
from baton_notification.channels import wording
from baton_notification.domain.ladder import Status


async def test_documents_signed_before_their_referral_was_read_go_out_when_it_is(desk: Any) -> None:
    office_id, referral_id = new_id(), new_id()
    early = SimpleNamespace(referral_id=referral_id, patient_id=new_id(), office_id=office_id)
    await desk.happen(desk.booked(early), desk.visited(early))
    signed = await desk.sign(early)
    assert await desk.deliveries() == []

    await desk.refer(referral_id=referral_id, office_id=office_id)
    await desk.send()

    kinds = {one.kind.value: one for one in await desk.deliveries()}
    assert kinds["document"].document.id == signed.document.id
    assert len(await desk.mails()) == 2
    progress = await desk.queries.progress("p1", referral_id)
    assert progress.position.stage == "seen"


async def test_the_state_is_the_same_in_whatever_order_the_lines_are_read(quick_desk: Any) -> None:
    desk = quick_desk
    states = set()
    for seed in range(6):
        referral = await desk.refer()
        lines = [[desk.accepted(referral)], [desk.booked(referral), desk.visited(referral)]]
        chooser = random.Random(seed)
        while any(lines):
            line = chooser.choice([one for one in lines if one])
            await desk.happen(line.pop(0))
        progress = await desk.queries.progress("p1", referral.referral_id)
        states.add((progress.position.state, progress.position.stage))
    assert len(states) == 1


async def test_an_office_that_muted_something_is_not_told_and_that_is_kept(quick_desk: Any) -> None:
    desk = quick_desk
    referral = await desk.refer()
    async with desk.running.client() as client:
        await client.patch(
            f"/v1/offices/{referral.office_id}", json={"preferences": {"mute": ["referral.accepted.*"]}}
        )
    await desk.happen(desk.accepted(referral), desk.booked(referral))
    await desk.send()

    statuses = {one.news.event_type: (one.status, one.code) for one in await desk.deliveries()}
    assert statuses["referral.accepted.v1"] == (Status.SUPPRESSED, "preference")
    assert statuses["appointment.booked.v1"][0] is Status.SENT


async def test_the_practices_own_endpoint_gets_a_copy_and_no_document(quick_desk: Any, receiver: Any) -> None:
    desk = quick_desk
    await desk.webhook(receiver.url)
    referral = await desk.refer()
    await desk.sign(referral)
    await desk.send()

    assert [json.loads(seen.body)["data"]["event_type"] for seen in receiver.seen] == [
        "referral.received.v1", "note.signed.v1",
    ]  # fmt: skip
    copies = await desk.deliveries(channel="webhook")
    assert {(one.role.value, one.kind.value) for one in copies} == {("copy", "notice")}
    assert json.loads(receiver.seen[0].body)["data"]["links"] == {
        "referral": f"http://service.test/v1/referrals/{referral.referral_id}"
    }


async def test_an_endpoint_hears_only_of_the_events_it_asked_for(
    quick_desk: Any, receiver: Any, other_receiver: Any
) -> None:
    desk = quick_desk
    await desk.webhook(receiver.url, events=["appointment.*"])
    await desk.webhook(other_receiver.url, events=["*"])
    referral = await desk.refer()
    held = contract.PatientArrived(**desk.about(referral), appointment_id=new_id(), kind="visit")
    await desk.happen(desk.accepted(referral), desk.booked(referral), held)
    await desk.send()

    def types(one: Any) -> list[str]:
        return [json.loads(seen.body)["data"]["event_type"] for seen in one.seen]

    assert types(receiver) == ["appointment.booked.v1"]
    assert types(other_receiver) == [
        "referral.received.v1", "referral.accepted.v1", "appointment.booked.v1", "patient.arrived.v1",
    ]  # fmt: skip


async def test_an_endpoint_may_ask_for_the_events_as_they_stand_in_the_log(desk: Any, receiver: Any) -> None:
    await desk.webhook(receiver.url, format="cloudevents")
    referral = await desk.refer()
    receiver.answers = ["503 Busy", "204 No Content"]
    envelopes = [
        desk.running.envelope(desk.outgoing(event))
        for event in (desk.accepted(referral), desk.booked(referral))
    ]
    await desk.running.deliver(*envelopes)
    await desk.send()
    desk.clock.at = desk.clock.now().replace(year=desk.clock.now().year + 1)
    await desk.send()

    bodies = {seen.body for seen in receiver.seen}
    assert {envelope.to_bytes() for envelope in envelopes} <= bodies
    assert receiver.seen[0].headers["content-type"] == "application/cloudevents+json"
    assert {one.status for one in await desk.deliveries(channel="webhook")} == {Status.DELIVERED}


async def test_a_full_endpoint_gets_the_note_and_its_answer_proves_it(quick_desk: Any, receiver: Any) -> None:
    desk = quick_desk
    referral = await desk.refer()
    await desk.webhook(receiver.url, office_id=referral.office_id, payload="full", agreement="A-1")
    signed = await desk.sign(referral)
    await desk.send()

    (body,) = (json.loads(seen.body) for seen in receiver.seen)
    assert body["type"] == "referral.document"
    assert base64.b64decode(body["data"]["content"]["base64"]) == b"Invented note: nothing to worry about."
    assert body["data"]["document"]["sha256"] == signed.document.sha256
    (proof,) = (event.data for event in await desk.running.published("delivery.delivered.v1"))
    assert (proof["proof"], proof["channel"], proof["document"]["version"]) == (
        "full_payload_accepted",
        "webhook",
        1,
    )


async def test_a_thin_endpoint_proves_the_notice_and_not_the_note(quick_desk: Any, receiver: Any) -> None:
    desk = quick_desk
    referral = await desk.refer(mail=None)
    await desk.webhook(receiver.url, office_id=referral.office_id)
    await desk.sign(referral)
    await desk.send()

    (delivery,) = [one for one in await desk.deliveries(channel="webhook") if one.document]
    assert delivery.status is Status.SENT
    assert await desk.running.published("delivery.delivered.v1") == []


async def test_a_note_for_an_office_nobody_can_reach_is_news_for_our_own_side(quick_desk: Any) -> None:
    desk = quick_desk
    referral = await desk.refer(mail=None)
    await desk.sign(referral)

    (failed,) = await desk.running.published("delivery.failed.v1")
    assert (failed.data["code"], failed.data["channel"], failed.data["kind"]) == (
        "no-usable-route",
        "page",
        "document",
    )


async def test_a_note_that_was_taken_back_does_not_leave_any_more(quick_desk: Any) -> None:
    desk = quick_desk
    referral = await desk.refer()
    signed = await desk.sign(referral)
    retracted = contract.NoteRetracted(
        **desk.about(referral) | {"reason": "wrong_patient"}, document=signed.document, kind="final"
    )
    await desk.happen(retracted)
    await desk.send()

    (document,) = [one for one in await desk.deliveries() if one.document]
    assert (document.status, document.code) == (Status.CANCELLED, "retracted")
    assert not any("Note ready" in mail["text"] for mail in await desk.mails())


async def test_a_later_referral_does_not_add_an_address_for_codes(quick_desk: Any) -> None:
    desk = quick_desk
    first = await desk.refer()
    await desk.refer(office_id=first.office_id, mail="somebody.else@evil.example")

    office = await desk.queries.office("p1", first.office_id)
    assert [route.address for route in office.routes] == ["front.desk@family-practice.example"]


async def test_a_reference_that_changed_is_used_from_then_on(quick_desk: Any) -> None:
    desk = quick_desk
    referral = await desk.refer()
    await desk.happen(
        contract.ReferralUpdated(
            **desk.about(referral), changed=("office_reference",), office_reference="FP-9999"
        )
    )
    await desk.happen(desk.accepted(referral))
    await desk.send()

    assert "FP-9999" in [mail["subject"] for mail in await desk.mails()][-1]


async def test_an_event_that_cannot_be_read_is_parked(quick_desk: Any) -> None:
    desk = quick_desk
    referral = await desk.refer()
    outgoing = desk.outgoing(desk.accepted(referral))
    broken = desk.running.envelope(
        type(outgoing)(**{name: getattr(outgoing, name) for name in outgoing.__slots__} | {"data": {"x": 1}})
    )
    await desk.running.deliver(broken)

    parked = await desk.running.rows(desk.running.service.definition.tables.parked)
    assert [row["reason"] for row in parked] == ["malformed-event"]


async def test_the_patient_is_in_no_row_mail_webhook_event_or_address(desk: Any, receiver: Any) -> None:
    referral = await desk.refer()
    await desk.webhook(receiver.url)
    await desk.happen(desk.accepted(referral), desk.booked(referral), desk.visited(referral))
    signed = await desk.sign(referral)
    await desk.send()
    handle = await desk.handle(referral)
    async with desk.running.client() as client:
        await client.post(f"/o/{handle}/code", headers={"Accept": "application/json"})
        await desk.send()
        code = max(mail["text"].split()[2] for mail in await desk.mails() if "Your code" in mail["text"])
        await client.post(f"/o/{handle}/verify", data={"code": code})
        page = await client.get(f"/o/{handle}")
        await client.get(f"/o/{handle}/documents/{signed.document.id}")
        await client.post(f"/o/{handle}/acknowledge")

    assert "Testperson" in page.text
    everywhere = [str(seen) for seen in receiver.seen] + [str(mail) for mail in await desk.mails()]
    for table in desk.running.service.definition.metadata.sorted_tables:
        everywhere += [str(row) for row in await desk.running.rows(table)]
    for canary in ("Testperson", "1970-01-01", "nothing to worry about"):
        assert not any(canary in text for text in everywhere)


@pytest.mark.parametrize("template", list(Template))
def test_there_are_words_for_everything_an_office_may_be_told(template: Template) -> None:
    assert wording.TOLD[template].headline
    assert wording.TOLD[template].sentence.endswith(".")


def test_the_migrations_make_the_tables_that_are_declared() -> None:
    assert migrations.drift(store.METADATA, package="baton_notification") == []
