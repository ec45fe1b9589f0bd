"""What a resource or a Bundle must have is demanded at its place, and refused where a door must refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest

from baton_formats import fhir
from baton_formats.facts import Appointment, Referral
from baton_formats.findings import Finding, ReadResult

Json = dict[str, Any]

REQUEST: Json = {
    "resourceType": "ServiceRequest",
    "status": "active",
    "intent": "order",
    "subject": {"display": "Ada Testperson"},
}
ADA: Json = {"resourceType": "Patient", "id": "ada", "name": [{"family": "Testperson"}]}
DOCUMENT: Json = {"resourceType": "Composition", "status": "final", "author": [{"display": "Grace"}]}


def read(value: Json) -> ReadResult:
    return fhir.read(json.dumps(value).encode())


def bundle(kind: str, *resources: Json, **members: Any) -> Json:
    entries = [{"resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": kind, "entry": entries, **members}


def found(result: ReadResult) -> list[tuple[str, str, bool]]:
    return [(one.code, one.where, one.refusing) for one in result.all_findings]


def finding(result: ReadResult, code: str) -> Finding:
    return next(one for one in result.all_findings if one.code == code)


# ---- status and priority -----------------------------------------------------------------------------------

_WITH_STATUS = [
    "ServiceRequest",
    "ReferralRequest",
    "Task",
    "Appointment",
    "Slot",
    "Encounter",
    "Communication",
    "CommunicationRequest",
    "Coverage",
    "DocumentReference",
    "DiagnosticReport",
    "Composition",
]


@pytest.mark.parametrize("kind", _WITH_STATUS)
@pytest.mark.parametrize("beside", [{}, {"_status": None}, {"_status": {"extension": [{"url": "u"}]}}])
def test_a_missing_status_is_refused_whatever_stands_beside_it(kind: str, beside: Json) -> None:
    result = read({"resourceType": kind, "intent": "order", **beside})
    assert ("missing-required", f"{kind}.status", True) in found(result)


@pytest.mark.parametrize("kind", _WITH_STATUS)
def test_a_status_that_does_not_exist_is_refused(kind: str) -> None:
    assert ("unknown-code", f"{kind}.status", True) in found(read({"resourceType": kind, "status": "soon"}))


@pytest.mark.parametrize(
    ("kind", "status"), [("Communication", "active"), ("CommunicationRequest", "in-progress")]
)
def test_the_status_of_a_request_is_none_of_an_event_and_the_other_way_round(kind: str, status: str) -> None:
    assert ("unknown-code", f"{kind}.status", True) in found(read({"resourceType": kind, "status": status}))


def test_an_absence_that_is_explained_is_a_doubt_only_where_nothing_is_protected() -> None:
    reason = {"extension": [{"url": "urn:example:why", "valueCode": "unknown"}]}
    plain = {"resourceType": "Task", "status": "requested"}
    assert found(read({**plain, "_intent": reason})) == []
    assert found(read({**plain, "_intent": None})) == [("missing-required", "Task.intent", False)]


# ---- subjects and participants -----------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", [None, {}, []])
@pytest.mark.parametrize("kind", ["ServiceRequest", "ReferralRequest"])
def test_a_request_for_nobody_is_refused(kind: str, nothing: Any) -> None:
    result = read({**REQUEST, "resourceType": kind, "subject": nothing})
    assert ("missing-required", f"{kind}.subject", True) in found(result)


def test_an_appointment_with_nobody_is_refused() -> None:
    result = read({"resourceType": "Appointment", "status": "booked"})
    assert found(result) == [("missing-required", "Appointment.participant", True)]
    assert result.facts == (Appointment(action="booked", status="booked"),)


@pytest.mark.parametrize("performer", ["bare", ["bare"]])
def test_a_performer_that_is_only_an_id_is_a_finding(performer: Any) -> None:
    assert found(read({**REQUEST, "performer": performer})) == [
        ("wrong-type", "ServiceRequest.performer", False)
    ]


# ---- Bundles -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (bundle("message", ADA, {"resourceType": "MessageHeader"}), "Bundle.entry[0]"),
        (bundle("message"), "Bundle.entry"),
        ({"resourceType": "Bundle", "type": "message"}, "Bundle.entry"),
        (bundle("collection", bundle("message", ADA)), "Bundle.entry[0].resource.entry[0]"),
    ],
)
def test_a_message_begins_with_its_header(value: Json, place: str) -> None:
    assert finding(read(value), "message-without-header").where == place


def test_a_document_begins_with_its_composition_and_has_identifier_and_author() -> None:
    good = bundle("document", DOCUMENT, ADA, identifier={"system": "urn:example:d", "value": "1"})
    assert found(read(good)) == []
    other = read(bundle("document", ADA, {"resourceType": "Composition", "status": "final"}))
    assert found(other) == [
        ("document-without-composition", "Bundle.entry[0]", False),
        ("missing-required", "Bundle.identifier", False),
        ("missing-required", "Bundle.entry[1].resource.author", False),
    ]


@pytest.mark.parametrize("kind", ["Foo", "servicerequest"])
def test_a_resource_of_no_known_type_is_a_finding_where_it_stands(kind: str) -> None:
    stranger = {"resourceType": kind}
    assert found(read(bundle("collection", stranger))) == [
        ("unknown-resource-type", "Bundle.entry[0].resource", False)
    ]
    assert found(read({**REQUEST, "contained": [stranger]})) == [
        ("unknown-resource-type", "ServiceRequest.contained[0]", False)
    ]


@pytest.mark.parametrize("method", ["DELETE", "PATCH"])
@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_a_transaction_that_asks_for_what_is_not_done_here_is_refused(kind: str, method: str) -> None:
    entry = {"request": {"method": method, "url": "ServiceRequest/1"}}
    result = read({"resourceType": "Bundle", "type": kind, "entry": [entry]})
    assert found(result) == [("entry-not-carried-out", "Bundle.entry[0].request", True)]


def test_what_is_new_in_a_transaction_is_read() -> None:
    entry = {"resource": REQUEST, "request": {"method": "POST", "url": "ServiceRequest"}}
    result = read({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert found(result) == []
    assert [type(one) for one in result.facts] == [Referral]


def test_the_findings_that_refuse_are_not_crowded_out_by_others() -> None:
    crowd = [{**ADA, "id": str(n), "gender": "F"} for n in range(600)]
    result = read(bundle("collection", *crowd, {**REQUEST, "status": "perhaps"}))
    assert [one.where for one in result.refusing] == ["Bundle.entry[600].resource.status"]
