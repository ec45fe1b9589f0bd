"""A FHIR message comes in, is kept as it came, and becomes a referral."""

from __future__ import annotations

import asyncio
import hashlib
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from baton_chassis.testing.harness import Harness

Json = dict[str, Any]
DOOR = "/fhir/R4/$process-message"
FHIR = {"content-type": "application/fhir+json"}
ON_SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
BSER = (
    Path(__file__).parents[3] / ".." / "shared" / "data" / "fhir-bser" / "json-compiled"
    / "Bundle-bundle-bser-referral-message-bundle-eve-everywoman.json"
)  # fmt: skip

HEADER: Json = {
    "resourceType": "MessageHeader",
    "id": "message-1",
    "eventCoding": {"system": "http://terminology.hl7.org/CodeSystem/v2-0003", "code": "I12"},
    "source": {"name": "Example EHR", "endpoint": "http://ehr.example/fhir"},
    "focus": [{"reference": "ServiceRequest/sr1"}],
}
REQUEST: Json = {
    "resourceType": "ServiceRequest",
    "id": "sr1",
    "identifier": [
        {
            "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "PLAC"}]},
            "system": "urn:example:orders",
            "value": "ORDER-1",
        }
    ],
    "status": "active",
    "intent": "order",
    "priority": "urgent",
    "subject": {"reference": "Patient/p1"},
    "requester": {"reference": "PractitionerRole/role1"},
    "authoredOn": "2026-11-19T10:00:00-05:00",
    "reasonCode": [
        {"coding": [{"system": "http://snomed.info/sct", "code": "29857009", "display": "Chest pain"}]}
    ],
    "note": [{"text": "Is it the heart?"}],
}
PATIENT: Json = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": "urn:example:mrn", "value": "MRN-9"}],
    "name": [{"family": "Testperson", "given": ["Ada"]}],
    "gender": "female",
    "birthDate": "1970-01-01",
}
ROLE: Json = {
    "resourceType": "PractitionerRole",
    "id": "role1",
    "practitioner": {"reference": "Practitioner/doctor1"},
    "organization": {"reference": "Organization/office1"},
    "telecom": [{"system": "email", "value": "desk@office.example"}],
}
DOCTOR: Json = {
    "resourceType": "Practitioner",
    "id": "doctor1",
    "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}],
    "name": [{"family": "Referrer", "given": ["Rita"]}],
}
OFFICE: Json = {
    "resourceType": "Organization",
    "id": "office1",
    "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1063494177"}],
    "name": "Example Family Practice",
}


@pytest.fixture
def resources() -> dict[str, Json]:
    """The resources of a message by type; change them at will."""
    whole = (HEADER, REQUEST, PATIENT, ROLE, DOCTOR, OFFICE)
    return {resource["resourceType"]: deepcopy(resource) for resource in whole}


def bundle(resources: dict[str, Json]) -> bytes:
    entries = [
        {
            "fullUrl": f"http://ehr.example/fhir/{resource['resourceType']}/{resource['id']}",
            "resource": resource,
        }
        for resource in resources.values()
    ]
    return json.dumps({"resourceType": "Bundle", "id": "b1", "type": "message", "entry": entries}).encode()


def answered(answer: Any) -> tuple[Json, Json, list[Json]]:
    """The header, the Task and the issues of an answer."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/fhir+json"
    by_type = {entry["resource"]["resourceType"]: entry["resource"] for entry in answer.json()["entry"]}
    return (
        by_type["MessageHeader"],
        by_type.get("Task", {}),
        by_type.get("OperationOutcome", {}).get("issue", []),
    )


def codes(issues: list[Json]) -> set[str]:
    return {issue["details"]["coding"][0]["code"] for issue in issues}


async def test_a_message_is_answered_with_the_referral_it_became(
    intake: Harness, resources: dict[str, Json]
) -> None:
    async with intake.client() as client:
        answer = await client.post(DOOR, content=bundle(resources), headers=FHIR)
        header, task, _ = answered(answer)
        referral = (await client.get(f"/v1/referrals/{task['id']}")).json()

    assert header["response"]["identifier"] == "message-1"
    assert header["response"]["code"] == "ok"
    assert header["focus"] == [{"reference": f"Task/{task['id']}"}]
    assert task["focus"]["reference"] == f"ServiceRequest/{task['id']}"
    assert {"system": "urn:example:orders", "value": "ORDER-1"} in task["identifier"]
    assert task["status"] == "received"
    assert referral["source"] == {"system": "urn:example:orders", "id": "ORDER-1"}
    assert referral["priority"] == "urgent"
    assert referral["question"] == "Is it the heart?"
    assert referral["patient"]["birth_date"] == "1970-01-01"
    assert referral["referrer"]["office"]["name"] == "Example Family Practice"
    assert referral["referrer"]["office"]["telecom"][0]["value"] == "desk@office.example"
    assert referral["referrer"]["clinician"]["npi"] == "1234567893"
    assert referral["referrer"]["reference"] == "ORDER-1"
    assert referral["flags"] == []
    (event,) = await intake.published()
    assert (event.type, event.data["assertion"]) == ("referral.received.v1", "partner_system")


async def test_the_bytes_are_kept_exactly_beside_the_referral(
    intake: Harness, resources: dict[str, Json]
) -> None:
    sent = bundle(resources)
    async with intake.client() as client:
        _, task, _ = answered(await client.post(DOOR, content=sent, headers=FHIR))
        (listed,) = (await client.get("/v1/artifacts", params={"referral_id": task["id"]})).json()["items"]
        shown = (await client.get(f"/v1/artifacts/{listed['id']}")).json()
        content = await client.get(f"/v1/artifacts/{listed['id']}/content")
        intake.practice = "p2"
        stranger = await client.get(f"/v1/artifacts/{listed['id']}/content")

    assert shown == listed
    assert (shown["format"], shown["trigger"], shown["status"]) == ("fhir", "I12", "attached")
    assert shown["sha256"] == hashlib.sha256(sent).hexdigest()
    assert content.content == sent
    assert content.headers["content-disposition"].startswith("attachment")
    assert stranger.status_code == 404


async def test_the_same_message_again_is_the_same_referral_and_no_second_event(
    intake: Harness, resources: dict[str, Json]
) -> None:
    sent = bundle(resources)
    async with intake.client() as client:
        first = await client.post(DOOR, content=sent, headers=FHIR)
        again = await asyncio.gather(*(client.post(DOOR, content=sent, headers=FHIR) for _ in range(4)))
        kept = (await client.get("/v1/artifacts")).json()["items"]

    assert [answer.json() for answer in again] == [first.json()] * 4
    assert len(await intake.published()) == 1
    assert len(kept) == 1


async def test_another_body_under_the_same_message_id_is_kept_as_a_conflict(
    intake: Harness, resources: dict[str, Json]
) -> None:
    async with intake.client() as client:
        _, first, _ = answered(await client.post(DOOR, content=bundle(resources), headers=FHIR))
        resources["ServiceRequest"]["note"] = [{"text": "Another question"}]
        sent = bundle(resources)
        _, same, issues = answered(await client.post(DOOR, content=sent, headers=FHIR))
        resources["ServiceRequest"]["identifier"][0]["value"] = "ORDER-2"
        _, other, further = answered(await client.post(DOOR, content=bundle(resources), headers=FHIR))
        kept = (await client.get("/v1/artifacts")).json()["items"]

    assert same["id"] == first["id"]
    assert {"message-id-reused", "referral-known"} <= codes(issues)
    assert other["id"] != first["id"]
    assert "message-id-reused" in codes(further)
    assert len(kept) == 3
    assert len(await intake.published()) == 2


@ON_SQLITE
async def test_unknown_fields_are_doubts_and_no_obstacle(intake: Harness, resources: dict[str, Json]) -> None:
    resources["ServiceRequest"] |= {"Testperson": "blue", "occurrenceDateTime": "2026-12-01"}
    resources["Patient"]["gender"] = "Testperson"
    resources["Patient"]["name"] = [{"family": "Testperson", "given": "Ada"}]
    async with intake.client() as client:
        header, task, issues = answered(await client.post(DOOR, content=bundle(resources), headers=FHIR))

    assert task["id"]
    assert issues
    assert header["response"]["details"]["reference"].startswith("OperationOutcome/")
    assert all(issue["severity"] == "warning" for issue in issues)
    assert {"unknown-element", "unknown-code"} <= codes(issues)
    assert not any(word in json.dumps(issues) for word in ("blue", "Testperson"))


@ON_SQLITE
@pytest.mark.parametrize(
    ("break_it", "expression"),
    [
        (lambda r: r.pop("Patient"), "Bundle.entry.resource.ofType(ServiceRequest).subject"),
        (lambda r: [r.pop(each) for each in ("PractitionerRole", "Practitioner", "Organization")]
            and r["ServiceRequest"].pop("requester") and r["MessageHeader"]["source"].pop("name"),
         "Bundle.entry.resource.ofType(ServiceRequest).requester"),
        (lambda r: r.pop("MessageHeader") and r["ServiceRequest"], None),
        (lambda r: r["ServiceRequest"].update(status="perhaps"), None),
        (lambda r: r["ServiceRequest"].update(priority="whenever"), None),
        (lambda r: r["Patient"].pop("name") and r["Patient"].pop("identifier"),
         "Bundle.entry.resource.ofType(ServiceRequest).subject"),
    ],
    ids=["no-patient", "no-referrer", "no-header", "unknown-status", "unknown-priority", "nameless-patient"],
)  # fmt: skip
async def test_what_cannot_be_taken_is_refused_with_the_place_and_kept(
    intake: Harness, resources: dict[str, Json], break_it: Any, expression: str | None
) -> None:
    break_it(resources)
    sent = bundle(resources)
    if "MessageHeader" not in resources:
        sent = sent.replace(b'"message"', b'"collection"')
    async with intake.client() as client:
        answer = await client.post(DOOR, content=sent, headers=FHIR)
        await client.post(DOOR, content=sent, headers=FHIR)
        (kept,) = (await client.get("/v1/artifacts", params={"status": "refused"})).json()["items"]
        content = await client.get(f"/v1/artifacts/{kept['id']}/content")

    outcome = answer.json()
    assert (answer.status_code, outcome["resourceType"]) == (422, "OperationOutcome")
    expressions = [place for issue in outcome["issue"] for place in issue.get("expression", [])]
    assert expressions if expression is None else expression in expressions
    assert "Testperson" not in answer.text
    assert kept["referral_id"] is None
    assert content.content == sent
    assert await intake.published() == []


@ON_SQLITE
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"resourceType": "Bundle", "type": NaN}',
        b"<Bundle",
        b"\xff\xfe{",
        b"MSH|^~\\&|",
    ],
)
async def test_what_is_no_fhir_is_refused_in_fhir(intake: Harness, sent: bytes) -> None:
    async with intake.client() as client:
        answer = await client.post(DOOR, content=sent, headers=FHIR)

    assert answer.status_code in (400, 422)
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert answer.headers["content-type"] == "application/fhir+json"


@ON_SQLITE
async def test_bad_json_is_told_by_line_and_column(intake: Harness) -> None:
    async with intake.client() as client:
        answer = await client.post(DOOR, content=b'{"resourceType": "Bundle",\n "type": }', headers=FHIR)

    (issue,) = answer.json()["issue"]
    assert (answer.status_code, issue["code"]) == (400, "structure")
    assert issue["location"][0].startswith("line 2 column")


@ON_SQLITE
@pytest.mark.parametrize(
    ("identifier", "system"),
    [
        ({"value": "77"}, "test"),
        ({"value": "77", "assigner": {"identifier": {"system": "urn:example:assigner", "value": "A1"}}},
         "urn:example:assigner|A1"),
        ({"value": "77", "system": "urn:example:own"}, "urn:example:own"),
    ],
)  # fmt: skip
async def test_a_number_without_a_system_takes_its_assigner_else_the_client(
    intake: Harness, resources: dict[str, Json], identifier: Json, system: str
) -> None:
    resources["ServiceRequest"]["identifier"] = [identifier]
    async with intake.client() as client:
        _, task, _ = answered(await client.post(DOOR, content=bundle(resources), headers=FHIR))
        referral = (await client.get(f"/v1/referrals/{task['id']}")).json()

    assert referral["source"] == {"system": system, "id": "77"}


@ON_SQLITE
async def test_two_requests_without_a_number_are_never_taken_for_one(
    intake: Harness, resources: dict[str, Json]
) -> None:
    del resources["ServiceRequest"]["identifier"]
    async with intake.client() as client:
        _, first, issues = answered(await client.post(DOOR, content=bundle(resources), headers=FHIR))
        resources["MessageHeader"]["id"] = "message-2"
        resources["Patient"]["name"][0]["family"] = "Otherperson"
        _, second, _ = answered(await client.post(DOOR, content=bundle(resources), headers=FHIR))

    assert first["id"] != second["id"]
    assert "no-identifier" in codes(issues)


@ON_SQLITE
async def test_a_revoked_request_is_kept_beside_its_referral_and_ends_nothing(
    intake: Harness, resources: dict[str, Json]
) -> None:
    async with intake.client() as client:
        _, task, _ = answered(await client.post(DOOR, content=bundle(resources), headers=FHIR))
        resources["ServiceRequest"]["status"] = "revoked"
        resources["MessageHeader"]["id"] = "message-2"
        _, told, issues = answered(await client.post(DOOR, content=bundle(resources), headers=FHIR))
        resources["ServiceRequest"]["identifier"][0]["value"] = "ORDER-OF-NOBODY"
        resources["MessageHeader"]["id"] = "message-3"
        _, nobody, _ = answered(await client.post(DOOR, content=bundle(resources), headers=FHIR))
        attached = (await client.get("/v1/artifacts", params={"referral_id": task["id"]})).json()["items"]
        unmatched = (await client.get("/v1/artifacts", params={"status": "unmatched"})).json()["items"]

    assert (told["id"], told["status"]) == (task["id"], "received")
    assert "no-new-referral" in codes(issues)
    assert nobody == {}
    assert (len(attached), len(unmatched)) == (2, 1)
    assert len(await intake.published()) == 1


@ON_SQLITE
async def test_an_office_that_left_no_address_is_taken_and_flagged(
    intake: Harness, resources: dict[str, Json]
) -> None:
    del resources["PractitionerRole"]["telecom"]
    async with intake.client() as client:
        _, task, _ = answered(await client.post(DOOR, content=bundle(resources), headers=FHIR))
        referral = (await client.get(f"/v1/referrals/{task['id']}")).json()

    assert referral["flags"] == ["office_unreachable"]


@ON_SQLITE
async def test_an_address_that_is_two_is_not_used(intake: Harness, resources: dict[str, Json]) -> None:
    resources["PractitionerRole"]["telecom"] = [{"system": "email", "value": "a@b.example,c@d.example"}]
    async with intake.client() as client:
        _, task, issues = answered(await client.post(DOOR, content=bundle(resources), headers=FHIR))
        referral = (await client.get(f"/v1/referrals/{task['id']}")).json()

    assert "unusable-address" in codes(issues)
    assert referral["referrer"]["office"]["telecom"] == []


@ON_SQLITE
async def test_words_that_deceive_are_cleaned_and_noted(intake: Harness, resources: dict[str, Json]) -> None:
    resources["Patient"]["name"] = [{"family": "Test\u202eperson\u0007", "given": ["Ada"]}]
    resources["Organization"]["name"] = "x" * 400
    async with intake.client() as client:
        _, task, issues = answered(await client.post(DOOR, content=bundle(resources), headers=FHIR))
        referral = (await client.get(f"/v1/referrals/{task['id']}")).json()

    assert referral["patient"]["name"]["family"] == "Testperson"
    assert len(referral["referrer"]["office"]["name"]) == 256
    assert {"text-cleaned", "text-cut"} <= codes(issues)


@ON_SQLITE
async def test_request_and_task_are_told_from_our_own_record(
    intake: Harness, resources: dict[str, Json]
) -> None:
    async with intake.client() as client:
        _, task, _ = answered(await client.post(DOOR, content=bundle(resources), headers=FHIR))
        id = task["id"]
        request = (await client.get(f"/fhir/R4/ServiceRequest/{id}")).json()
        await client.post(f"/v1/referrals/{id}/accept", json={})
        accepted = await client.get(f"/fhir/R4/Task/{id}")
        await client.post(f"/v1/referrals/{id}/decline", json={"reason": "no_capacity"})
        declined = (await client.get(f"/fhir/R4/Task/{id}")).json()
        intake.practice = "p2"
        stranger = await client.get(f"/fhir/R4/Task/{id}")

    patient = request["contained"][0]
    assert (request["status"], request["intent"], request["priority"]) == ("active", "order", "urgent")
    assert (patient["name"][0]["family"], patient["birthDate"]) == ("Testperson", "1970-01-01")
    assert request["subject"] == {"reference": "#patient"}
    assert accepted.headers["etag"] == 'W/"2"'
    assert accepted.json()["status"] == "accepted"
    assert accepted.json()["businessStatus"]["coding"][0]["code"] == "accepted"
    assert (declined["status"], declined["statusReason"]["text"]) == ("rejected", "no_capacity")
    assert (stranger.status_code, stranger.json()["resourceType"]) == (404, "OperationOutcome")


@ON_SQLITE
async def test_the_capability_statement_promises_what_is_mounted(intake: Harness) -> None:
    async with intake.client() as client:
        answer = await client.get("/fhir/R4/metadata")

    statement = answer.json()
    (rest,) = statement["rest"]
    assert statement["fhirVersion"] == "4.0.1"
    assert [resource["type"] for resource in rest["resource"]] == ["ServiceRequest", "Task"]
    assert [operation["name"] for operation in rest["operation"]] == ["process-message"]
    mounted = {declared.path for routes in intake.service.routes for declared in routes.declarations}
    assert {f"/fhir/R4/{resource['type']}/{{id}}" for resource in rest["resource"]} <= mounted


@ON_SQLITE
async def test_a_token_without_the_scope_is_refused_in_fhir(
    intake: Harness, resources: dict[str, Json]
) -> None:
    intake.scopes = frozenset({"system/Patient.r", "referrals:read"})
    async with intake.client() as client:
        refused = await client.post(DOOR, content=bundle(resources), headers=FHIR)
        intake.scopes = frozenset({"system/*.cruds"})
        taken = await client.post(DOOR, content=bundle(resources), headers=FHIR)

    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (403, "forbidden")
    assert taken.status_code == 200


@ON_SQLITE
async def test_a_wrong_content_type_is_refused_in_fhir(intake: Harness) -> None:
    async with intake.client() as client:
        answer = await client.post(DOOR, content=b"{}", headers={"content-type": "text/plain"})

    assert (answer.status_code, answer.json()["resourceType"]) == (415, "OperationOutcome")


@pytest.fixture
def bser() -> bytes:
    """The published message Bundle, read in place."""
    if not BSER.exists():
        pytest.skip("the BSeR example is not here: ../shared/data/fhir-bser")
    return BSER.read_bytes()


async def test_the_published_bser_message_becomes_a_referral(intake: Harness, bser: bytes) -> None:
    async with intake.client() as client:
        header, task, issues = answered(await client.post(DOOR, content=bser, headers=FHIR))
        referral = (await client.get(f"/v1/referrals/{task['id']}")).json()

    assigner = "http://hl7.org/fhir/sid/us-npi|1063494177"
    assert header["response"]["identifier"] == "messageheader-bser-referral-messageheader"
    assert header["eventCoding"]["code"] == "I12"
    assert referral["source"] == {"system": assigner, "id": "88888888"}
    assert {"system": assigner, "value": "99999999"} in referral["external_ids"]
    assert referral["patient"]["name"] == {"family": "Everywoman", "given": ["Eve", "L"]}
    assert referral["patient"]["birth_date"] == "1974-11-24"
    assert referral["patient"]["identifiers"] == [
        {"system": "http://hospital.smarthealthit.org", "value": "1032702"}
    ]
    assert referral["referrer"]["office"]["identifiers"][0]["value"] == "1063494177"
    assert referral["referrer"]["office"]["telecom"][0] == {
        "system": "phone",
        "value": "(816)932-2000",
        "use": "work",
    }
    assert "henry.seven@example.com" in [
        point["value"] for point in referral["referrer"]["office"]["telecom"]
    ]
    clinician = referral["referrer"]["clinician"]["name"]
    assert {clinician["family"], *clinician["given"]} == {"Henry", "Seven"}
    assert referral["referrer"]["clinician"]["npi"] == ""
    assert referral["reasons"][0]["display"] == "Arthritis (disorder)"
    assert referral["authored_at"] == "2020-02-14"
    assert referral["flags"] == []
    assert {"npi-check-digit", "dangling-reference", "subject-is-lone-patient"} <= codes(issues)
    (event,) = await intake.published()
    raw = event.to_bytes()
    assert not any(word in raw for word in (b"Everywoman", b"1974-11-24", b"1032702", b"Peachtree"))
