"""What may turn the meaning of a resource round is never passed over: prohibitions, modifiers, rules."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import pytest

from baton_formats import fhir
from baton_formats.facts import Document, Fact, Referral
from baton_formats.findings import Finding, ReadResult

F = TypeVar("F", bound=Fact)
Json = dict[str, Any]

REQUEST: Json = {
    "resourceType": "ServiceRequest",
    "status": "active",
    "intent": "order",
    "subject": {"display": "Ada Testperson"},
}
TASK: Json = {"resourceType": "Task", "status": "requested", "intent": "order"}
BOOKING: Json = {
    "resourceType": "Appointment",
    "status": "booked",
    "participant": [{"actor": {"display": "Ada Testperson"}, "status": "accepted"}],
}
ADA: Json = {"resourceType": "Patient", "id": "ada", "name": [{"family": "Testperson"}]}
NEGATED: list[Json] = [{"url": "urn:example:negated", "valueBoolean": True}]


def read(value: Json) -> ReadResult:
    return fhir.read(json.dumps(value).encode())


def collection(*resources: Json) -> Json:
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": resource} for resource in resources],
    }


def fact(result: ReadResult, kind: type[F]) -> F:
    return next(one for one in result.facts if isinstance(one, kind))


def found(result: ReadResult, code: str) -> list[Finding]:
    return [one for one in result.all_findings if one.code == code]


# ---- prohibitions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", [REQUEST, {"resourceType": "CommunicationRequest", "status": "active"}])
@pytest.mark.parametrize("value", [True, "true", "yes", 1])
def test_what_must_not_be_done_is_refused_and_never_taken_for_a_request(resource: Json, value: Any) -> None:
    result = read({**resource, "doNotPerform": value})
    (said,) = found(result, "do-not-perform")
    assert (said.where, said.refusing) == (f"{resource['resourceType']}.doNotPerform", True)


@pytest.mark.parametrize("value", [False, "false"])
def test_a_request_that_is_no_prohibition_is_taken(value: Any) -> None:
    result = read({**REQUEST, "doNotPerform": value})
    assert not result.refusing
    assert fact(result, Referral).status == "active"


def test_a_medication_not_to_be_given_is_a_finding_that_refuses_nothing() -> None:
    medicine = {"resourceType": "MedicationRequest", "status": "active", "intent": "order"}
    result = read({**medicine, "doNotPerform": True})
    assert found(result, "do-not-perform")
    assert not result.refusing


# ---- modifier extensions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", [REQUEST, TASK, BOOKING])
def test_a_modifier_nobody_knows_refuses_what_would_be_acted_on(resource: Json) -> None:
    result = read({**resource, "modifierExtension": NEGATED})
    (said,) = found(result, "modifier-extension")
    assert (said.where, said.refusing) == (f"{resource['resourceType']}.modifierExtension", True)


def test_a_modifier_is_kept_and_told_from_an_extension_that_modifies_nothing() -> None:
    plain = [{"url": "urn:example:plain", "valueString": "x"}]
    result = read({**REQUEST, "extension": plain, "modifierExtension": NEGATED})
    kept = fact(result, Referral).extensions
    assert [(one.url, one.modifier) for one in kept] == [
        ("urn:example:plain", False),
        ("urn:example:negated", True),
    ]


@pytest.mark.parametrize(
    ("resource", "place"),
    [
        ({**BOOKING, "participant": [{"modifierExtension": NEGATED}]}, "Appointment.participant[0]"),
        ({**TASK, "output": [{}, {"modifierExtension": NEGATED}]}, "Task.output[1]"),
        ({**TASK, "restriction": {"modifierExtension": NEGATED}}, "Task.restriction"),
    ],
)
def test_a_modifier_on_an_element_is_found_at_its_place(resource: Json, place: str) -> None:
    result = read(resource)
    assert [one.where for one in found(result, "modifier-extension")] == [f"{place}.modifierExtension"]
    assert found(result, "modifier-extension")[0] in result.refusing


def test_a_modifier_on_what_is_only_spoken_about_refuses_nothing() -> None:
    result = read(collection({**ADA, "modifierExtension": NEGATED}, REQUEST))
    assert [one.where for one in found(result, "modifier-extension")] == [
        "Bundle.entry[0].resource.modifierExtension"
    ]
    assert not result.refusing


def test_a_modifier_on_the_entry_of_a_bundle_refuses() -> None:
    wrapped = collection(REQUEST)
    wrapped["entry"][0]["modifierExtension"] = NEGATED
    assert [one.where for one in read(wrapped).refusing] == ["Bundle.entry[0].modifierExtension"]


def test_a_modifier_in_a_contained_resource_is_said_once_and_there() -> None:
    result = read({**REQUEST, "contained": [{**ADA, "modifierExtension": NEGATED}]})
    assert [one.where for one in found(result, "modifier-extension")] == [
        "ServiceRequest.contained[0].modifierExtension"
    ]


def test_a_modifier_is_found_however_its_name_is_spelt_and_in_xml() -> None:
    text = json.dumps({**REQUEST, "modifierExtension": NEGATED}).replace("modifier", "modi\\u0066ier")
    assert fhir.read(text.encode()).refusing
    xml = (
        '<ServiceRequest xmlns="http://hl7.org/fhir"><modifierExtension url="urn:example:negated">'
        '<valueBoolean value="true"/></modifierExtension><status value="active"/><intent value="order"/>'
        '<subject><display value="Ada"/></subject></ServiceRequest>'
    )
    assert [one.code for one in fhir.read(xml.encode()).refusing] == ["modifier-extension"]


@pytest.mark.parametrize("nothing", [None, []])
def test_an_empty_modifier_modifies_nothing(nothing: Any) -> None:
    assert not found(read({**REQUEST, "modifierExtension": nothing}), "modifier-extension")


# ---- rules, records out of use, what is not so -------------------------------------------------------------


@pytest.mark.parametrize(("resource", "refuses"), [(REQUEST, True), (BOOKING, True), (ADA, False)])
def test_rules_that_are_not_known_are_a_finding(resource: Json, refuses: bool) -> None:
    result = read({**resource, "implicitRules": "urn:example:rules"})
    assert [one.refusing for one in found(result, "implicit-rules")] == [refuses]


@pytest.mark.parametrize(
    ("resource", "place"),
    [
        ({**ADA, "active": False}, "Patient.active"),
        ({"resourceType": "Organization", "active": False}, "Organization.active"),
        ({"resourceType": "Practitioner", "active": False}, "Practitioner.active"),
        ({"resourceType": "Location", "status": "inactive"}, "Location.status"),
        ({**ADA, "link": [{"type": "replaced-by", "other": {"reference": "Patient/2"}}]}, "Patient.link"),
    ],
)
def test_a_record_out_of_use_is_a_finding(resource: Json, place: str) -> None:
    assert [one.where for one in found(read(resource), "not-in-use")] == [place]


@pytest.mark.parametrize("word", ["refuted", "entered-in-error"])
@pytest.mark.parametrize("shape", ["concept", "code"])
def test_a_reason_that_is_not_so_is_no_reason(word: str, shape: str) -> None:
    said: Any = {"coding": [{"code": word}]} if shape == "concept" else word
    condition = {
        "resourceType": "Condition",
        "id": "c",
        "code": {"coding": [{"code": "I25.10"}]},
        "verificationStatus": said,
    }
    result = read(collection(condition, {**REQUEST, "reasonReference": [{"reference": "Condition/c"}]}))
    assert fact(result, Referral).reasons == ()
    assert [one.where for one in found(result, "not-so")] == ["Bundle.entry[1].resource.reasonReference[0]"]


def test_an_allergy_that_was_refuted_says_so_in_its_line() -> None:
    allergy = {
        "resourceType": "AllergyIntolerance",
        "id": "a",
        "code": {"text": "penicillin"},
        "verificationStatus": {"coding": [{"code": "refuted"}]},
    }
    note = {
        "resourceType": "Composition",
        "status": "final",
        "section": [{"entry": [{"reference": "AllergyIntolerance/a"}]}],
    }
    result = read(collection(note, allergy))
    assert [line.status for line in fact(result, Document).observations] == ["refuted"]
    assert found(result, "not-so")


def test_a_value_below_a_limit_is_not_the_limit() -> None:
    weight = {"resourceType": "Observation", "status": "final", "code": {"text": "troponin"}}
    quantity = {"value": 5, "comparator": "<", "unit": "ng/l"}
    (line,) = fact(read({**weight, "valueQuantity": quantity}), Document).observations
    assert (line.value, line.unit) == ("<5", "ng/l")
    odd = read({**weight, "valueQuantity": {**quantity, "comparator": "about"}})
    assert found(odd, "unknown-code")[0].where == "Observation.valueQuantity.comparator"


@pytest.mark.parametrize("order", [("transforms", "replaces"), ("replaces", "transforms")])
def test_of_several_relations_the_one_that_weighs_most_is_told(order: tuple[str, str]) -> None:
    document = {"resourceType": "DocumentReference", "status": "current", "content": [{"attachment": {}}]}
    relations = [{"code": code, "target": {"identifier": {"value": code}}} for code in order]
    told = fact(read({**document, "relatesTo": relations}), Document)
    assert (told.relation, told.action, len(told.parents)) == ("replaces", "replace", 2)


def test_a_relation_nobody_knows_is_a_finding() -> None:
    document = {"resourceType": "DocumentReference", "status": "current", "content": [{"attachment": {}}]}
    result = read({**document, "relatesTo": [{"code": "supersedes", "target": {"display": "x"}}]})
    assert found(result, "unknown-code")[0].where == "DocumentReference.relatesTo[0].code"
