"""A reference means one thing: the server, the version, the type and the number it names are all heeded."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import pytest

from baton_formats import fhir
from baton_formats.facts import Appointment, Document, Fact, Link, Patient, Referral
from baton_formats.findings import ReadResult

F = TypeVar("F", bound=Fact)
Json = dict[str, Any]
Entry = tuple[str | None, Json]

A, B = "http://a.example/fhir/", "http://b.example/fhir/"


def patient(name: str, **members: Any) -> Json:
    return {"resourceType": "Patient", "id": "1", "name": [{"family": name}], **members}


def request(subject: Json | str, **members: Any) -> Json:
    about = {"reference": subject} if isinstance(subject, str) else subject
    plain = {"resourceType": "ServiceRequest", "id": "1", "status": "active", "intent": "order"}
    return {**plain, "subject": about, **members}


def bundle(*entries: Entry, kind: str = "collection") -> Json:
    held = [
        {"fullUrl": address, "resource": one} if address else {"resource": one} for address, one in entries
    ]
    return {"resourceType": "Bundle", "type": kind, "entry": held}


def read(value: Json) -> ReadResult:
    return fhir.read(json.dumps(value).encode())


def of_kind(result: ReadResult, kind: type[F]) -> F:
    return next(one for one in result.facts if isinstance(one, kind))


def codes(result: ReadResult) -> set[str]:
    return {finding.code for finding in result.all_findings}


def place(result: ReadResult, code: str) -> str:
    return next(one.where for one in result.all_findings if one.code == code)


def named(result: ReadResult) -> str | None:
    """The family name of the patient of the first referral."""
    who = of_kind(result, Referral).patient
    return who.names[0].family if who is not None and who.names else None


def pointed_at(result: ReadResult) -> Link:
    link = of_kind(result, Referral).patient_link
    assert link is not None
    return link


# ---- servers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", [A + "Patient/1", "Patient/1"])
@pytest.mark.parametrize("kind", ["collection", "message", "searchset"])
def test_a_patient_of_another_server_is_never_taken(subject: str, kind: str) -> None:
    result = read(
        bundle((B + "Patient/1", patient("Beta")), (A + "ServiceRequest/1", request(subject)), kind=kind)
    )
    assert named(result) is None
    assert pointed_at(result).resolved is not True
    assert place(result, "other-server") == "Bundle.entry[1].resource.subject.reference"
    assert "subject-is-lone-patient" not in codes(result)


@pytest.mark.parametrize("subject", [A + "Patient/1", "Patient/1"])
def test_of_two_servers_the_one_of_the_entry_is_meant(subject: str) -> None:
    entries: list[Entry] = [(B + "Patient/1", patient("Beta")), (A + "Patient/1", patient("Alpha"))]
    result = read(bundle(*entries, (A + "ServiceRequest/1", request(subject))))
    assert named(result) == "Alpha"
    assert not result.all_findings


def test_requests_that_look_alike_on_two_servers_are_two() -> None:
    people: list[Entry] = [(A + "Patient/1", patient("Alpha")), (B + "Patient/1", patient("Beta"))]
    asked: list[Entry] = [(server + "ServiceRequest/1", request("Patient/1")) for server in (A, B)]
    result = read(bundle(*people, *asked))
    found = [one.patient.names[0].family for one in result.facts if isinstance(one, Referral) and one.patient]
    assert found == ["Alpha", "Beta"]


def test_what_names_no_server_is_found_by_type_and_id_and_that_is_a_doubt() -> None:
    result = read(bundle(("urn:uuid:1", patient("Beta")), (A + "ServiceRequest/1", request("Patient/1"))))
    assert (named(result), codes(result)) == ("Beta", {"reference-by-id"})


def test_from_nowhere_two_servers_are_never_chosen_between() -> None:
    people: list[Entry] = [(A + "Patient/1", patient("Alpha")), (B + "Patient/1", patient("Beta"))]
    result = read(bundle(*people, ("urn:uuid:1", request("Patient/1"))))
    assert named(result) is None
    assert "ambiguous-reference" in codes(result)


def test_a_relative_reference_out_of_a_contained_resource_is_seen_from_its_entry() -> None:
    role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "Practitioner/7"}}
    asked = request("Patient/1", contained=[role], requester={"reference": "#r"})
    doctors: list[Entry] = [
        (
            server + "Practitioner/7",
            {"resourceType": "Practitioner", "id": "7", "name": [{"family": name}]},
        )
        for server, name in ((B, "Beta"), (A, "Alpha"))
    ]
    result = read(bundle(*doctors, (A + "ServiceRequest/1", asked), kind="searchset"))
    referrer = of_kind(result, Referral).referrer
    assert referrer is not None
    assert referrer.practitioner is not None
    assert referrer.practitioner.names[0].family == "Alpha"


def test_an_attachment_of_another_server_is_not_filled_from_here() -> None:
    letter = {"resourceType": "Binary", "id": "1", "contentType": "text/plain", "data": "QQ=="}
    for url, content in ((A + "Binary/1", None), (B + "Binary/1", b"A")):
        document: Json = {"resourceType": "DocumentReference", "status": "current"}
        document["content"] = [{"attachment": {"url": url}}]
        result = read(bundle((B + "Binary/1", letter), (A + "DocumentReference/1", document)))
        assert of_kind(result, Document).attachments[0].content == content


def test_an_attachment_is_not_chosen_between_two_servers() -> None:
    letters: list[Entry] = [
        (
            server + "Binary/1",
            {"resourceType": "Binary", "id": "1", "contentType": "text/plain", "data": data},
        )
        for server, data in ((A, "QQ=="), (B, "Qg=="))
    ]
    document: Json = {"resourceType": "DocumentReference", "status": "current"}
    document["content"] = [{"attachment": {"url": "Binary/1"}}]
    for entry, content in (((None, document), None), ((B + "DocumentReference/1", document), b"B")):
        assert of_kind(read(bundle(*letters, entry)), Document).attachments[0].content == content


def test_the_same_resource_under_two_addresses_is_found_under_both() -> None:
    asked = request("urn:uuid:b")
    result = read(
        bundle(("urn:uuid:a", patient("Ada")), ("urn:uuid:b", patient("Ada")), ("urn:uuid:c", asked))
    )
    assert named(result) == "Ada"
    assert not result.all_findings
    assert sum(isinstance(one, Patient) for one in result.facts) == 1


# ---- versions ----------------------------------------------------------------------------------------------

FIRST, SECOND = patient("First", meta={"versionId": "1"}), patient("Second", meta={"versionId": "2"})


@pytest.mark.parametrize("kind", ["history", "collection"])
@pytest.mark.parametrize(
    ("subject", "family"),
    [
        ("Patient/1/_history/1", "First"),
        (A + "Patient/1/_history/1", "First"),
        (A + "Patient/1/_history/2", "Second"),
        ("Patient/1", "Second"),
        (A + "Patient/1", "Second"),
    ],
)
def test_a_reference_means_its_version_and_without_one_the_newest(
    subject: str, family: str, kind: str
) -> None:
    for versions in ((SECOND, FIRST), (FIRST, SECOND)):
        entries: list[Entry] = [(A + "Patient/1", one) for one in versions]
        result = read(bundle(*entries, (A + "ServiceRequest/1", request(subject)), kind=kind))
        assert named(result) == family
        assert not result.all_findings


def test_a_version_that_is_not_here_is_a_finding() -> None:
    for held in (SECOND, patient("Second")):
        result = read(
            bundle((A + "Patient/1", held), (A + "ServiceRequest/1", request("Patient/1/_history/1")))
        )
        assert named(result) == "Second"
        assert place(result, "other-version") == "Bundle.entry[1].resource.subject.reference"


def test_the_time_of_the_last_change_tells_the_newest() -> None:
    old = patient("Old", meta={"lastUpdated": "2026-01-01T00:00:00Z"})
    new = patient("New", meta={"lastUpdated": "2026-01-01T00:30:00-01:00"})
    for versions in ((old, new), (new, old)):
        entries: list[Entry] = [(A + "Patient/1", one) for one in versions]
        assert named(read(bundle(*entries, (A + "ServiceRequest/1", request("Patient/1"))))) == "New"


def test_a_history_begins_with_the_newest_and_anything_else_is_a_doubt() -> None:
    entries: list[Entry] = [(A + "Patient/1", patient(name)) for name in ("New", "Old")]
    asked: Entry = (A + "ServiceRequest/1", request("Patient/1"))
    history = read(bundle(*entries, asked, kind="history"))
    assert (named(history), codes(history)) == ("New", set())
    collection = read(bundle(*entries, asked))
    assert (named(collection), "ambiguous-reference" in codes(collection)) == ("New", True)


def test_each_of_many_versions_is_found() -> None:
    entries: list[Entry] = [
        (A + "Patient/1", patient(f"P{n}", meta={"versionId": str(n)})) for n in range(60)
    ]
    asked: list[Entry] = [
        (A + f"ServiceRequest/{n}", request(f"Patient/1/_history/{n}", id=str(n))) for n in range(60)
    ]
    result = read(bundle(*entries, *asked, kind="history"))
    referrals = [one for one in result.facts if isinstance(one, Referral)]
    assert [one.patient.names[0].family for one in referrals if one.patient] == [f"P{n}" for n in range(60)]


# ---- the lone patient --------------------------------------------------------------------------------------

LONE = patient("Lone", id="9", identifier=[{"system": "urn:example:mrn", "value": "1"}])


def lone(subject: Json) -> ReadResult:
    return read(bundle((None, LONE), (None, request(subject))))


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "Patient/77"},
        {"reference": "urn:uuid:77"},
        {"display": "somebody"},
        {"reference": "Patient/77", "identifier": {"system": "urn:example:other", "value": "2"}},
    ],
)
def test_a_subject_that_leads_nowhere_is_the_only_patient(subject: Json) -> None:
    result = lone(subject)
    assert named(result) == "Lone"
    assert "subject-is-lone-patient" in codes(result)


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "Group/1"},
        {"type": "Device", "display": "a pump"},
        {"identifier": {"system": "urn:example:mrn", "value": "2"}, "display": "Bea Otherperson"},
        {"reference": "Patient/77", "identifier": {"system": "urn:example:mrn", "value": "2"}},
    ],
)
def test_a_subject_that_says_otherwise_is_not_the_only_patient(subject: Json) -> None:
    result = lone(subject)
    assert named(result) != "Lone"
    assert "subject-is-lone-patient" not in codes(result)


# ---- numbers -----------------------------------------------------------------------------------------------

NUMBER = {"system": "urn:example:mrn", "value": "1"}
COVER = {"resourceType": "Coverage", "id": "c", "status": "active", "identifier": [NUMBER]}


def test_a_subject_by_number_is_a_patient_even_if_a_coverage_has_the_number_too() -> None:
    other = patient("Other", id="8")
    result = read(bundle((None, COVER), (None, LONE), (None, other), (None, request({"identifier": NUMBER}))))
    assert (named(result), pointed_at(result).kind, pointed_at(result).resolved) == ("Lone", "Patient", True)
    assert not result.all_findings


def test_an_insurance_by_number_is_a_coverage_even_if_a_patient_has_the_number_too() -> None:
    asked = request({"display": "x"}, insurance=[{"identifier": NUMBER}])
    result = read(bundle((None, LONE), (None, COVER), (None, asked), kind="searchset"))
    assert [one.id for one in of_kind(result, Referral).coverage] == ["c"]


def test_of_two_patients_with_one_number_neither_is_guessed() -> None:
    twin = {**LONE, "id": "10", "name": [{"family": "Twin"}]}
    result = read(bundle((None, LONE), (None, twin), (None, request({"identifier": NUMBER}))))
    assert named(result) is None
    assert place(result, "ambiguous-reference") == "Bundle.entry[2].resource.subject.identifier"


def test_the_patient_inside_comes_before_others_with_the_same_number() -> None:
    inside = {**LONE, "id": "p", "name": [{"family": "Inside"}]}
    result = read(bundle((None, LONE), (None, request({"identifier": NUMBER}, contained=[inside]))))
    assert named(result) == "Inside"


# ---- the resource itself -----------------------------------------------------------------------------------


def test_a_reference_to_itself_is_the_entry_and_not_the_bundle() -> None:
    body = b"""{"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {
        "resourceType": "Patient", "id": "1", "name": [{"text": 1.50}],
        "generalPractitioner": [{"reference": "#"}]}}]}"""
    who = of_kind(fhir.read(body), Patient)
    assert (who.names[0].text, who.general_practitioners[0].display) == ("1.50", "1.50")


def test_results_of_several_patients_are_given_to_none() -> None:
    weight = {"resourceType": "Observation", "status": "final", "code": {"text": "weight"}}
    result = read(
        bundle(
            ("urn:uuid:1", patient("Alpha", id="a")),
            ("urn:uuid:2", patient("Beta", id="b")),
            (None, {**weight, "subject": {"reference": "urn:uuid:1"}}),
            (None, {**weight, "subject": {"reference": "urn:uuid:2"}}),
        )
    )
    assert of_kind(result, Document).patient is None
    assert place(result, "several-subjects") == "Bundle.entry[2].resource.subject"


def test_a_booking_names_its_patient_under_the_same_rules() -> None:
    booking: Json = {"resourceType": "Appointment", "status": "booked"}
    booking["participant"] = [{"actor": {"reference": "Patient/1"}, "status": "accepted"}]
    result = read(bundle((B + "Patient/1", patient("Beta")), (A + "Appointment/1", booking)))
    assert of_kind(result, Appointment).patient is None
    assert "other-server" in codes(result)
