"""The FHIR reader takes resources as they come: each trap met in the field, in a small sample of our own."""

from __future__ import annotations

import base64
import dataclasses
import gc
import json
import time
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baton_formats import fhir
from baton_formats.facts import (
    FACT_TYPES,
    Acknowledgement,
    Appointment,
    Arrival,
    Communication,
    Coverage,
    Document,
    Fact,
    Patient,
    PatientChange,
    Practitioner,
    Referral,
    Slot,
    Task,
)
from baton_formats.findings import Finding, Outcome, ReadResult

F = TypeVar("F", bound=Fact)
Json = dict[str, Any]


def read(value: Json) -> ReadResult:
    return fhir.read(json.dumps(value).encode())


def fact(result: ReadResult, kind: type[F]) -> F:
    return next(one for one in result.facts if isinstance(one, kind))


def codes(result: ReadResult) -> list[str]:
    return [finding.code for finding in result.all_findings]


def finding(result: ReadResult, code: str) -> Finding:
    return next(one for one in result.all_findings if one.code == code)


def request(**members: Any) -> Json:
    plain = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/ada"},
    }
    return {**plain, **members}


def bundle(*resources: Json, kind: str = "collection") -> Json:
    entries = [{"fullUrl": f"urn:uuid:{n}", "resource": resource} for n, resource in enumerate(resources)]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


ADA: Json = {
    "resourceType": "Patient",
    "id": "ada",
    "identifier": [{"system": "urn:example:mrn", "value": "0042"}],
    "name": [{"family": "Testperson", "given": ["Ada"]}],
    "birthDate": "1970-01-02",
}


# ---- what is no FHIR ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"[]", "object"),
        (b"17", "object"),
        (b"{}", "resourceType is missing"),
        (b'{"resourceType": 5}', "resourceType is missing"),
        (b'{"resourceType": "Potato"}', "not one of theirs"),
        (b"<a/>", "namespace"),
        (b'{"resourceType": "Patient"', "no acceptable JSON"),
    ],
)
def test_what_is_no_fhir_is_refused_in_plain_words(body: bytes, words: str) -> None:
    result = fhir.read(body)
    assert result.outcome is Outcome.REFUSED
    assert words in str(result.reason)


def test_a_resource_that_says_nothing_about_referrals_is_accepted() -> None:
    result = read({"resourceType": "CapabilityStatement", "status": "active"})
    assert (result.outcome, result.facts) == (Outcome.ACCEPTED, ())


# ---- required bindings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "place"),
    [
        (request(status="activated"), "ServiceRequest.status"),
        (request(priority="soon"), "ServiceRequest.priority"),
        ({"resourceType": "Task", "intent": "order", "status": "done"}, "Task.status"),
        ({"resourceType": "Appointment", "status": "gebucht"}, "Appointment.status"),
        ({"resourceType": "DocumentReference", "status": "old"}, "DocumentReference.status"),
    ],
)
def test_a_code_outside_a_protecting_binding_is_a_refusing_finding(resource: Json, place: str) -> None:
    result = read(resource)
    found = finding(result, "unknown-code")
    assert (found.where, found.refusing) == (place, True)
    assert found in result.refusing
    assert result.outcome is Outcome.ACCEPTED_WITH_FINDINGS


def test_a_missing_status_is_a_refusing_finding() -> None:
    result = read({"resourceType": "Appointment"})
    assert finding(result, "missing-required") in result.refusing


def test_an_unknown_gender_is_a_finding_that_refuses_nothing() -> None:
    result = read({**ADA, "gender": "F"})
    assert not result.refusing
    assert fact(result, Patient).gender is None


def test_what_stands_in_place_of_a_code_or_a_key_is_not_repeated() -> None:
    result = read(request(status="Testperson", **{"Ada Testperson": 1}))
    assert "Testperson" not in str(result.all_findings)
    assert finding(result, "unknown-element").where == "ServiceRequest.(unnamed)"


def test_a_code_in_other_spelling_is_hinted_at() -> None:
    detail = finding(
        read({"resourceType": "Task", "intent": "order", "status": "In_Progress"}), "unknown-code"
    ).detail
    assert detail.endswith("perhaps in-progress was meant")


# ---- shapes that do not fit --------------------------------------------------------------------------------


def test_a_bare_object_counts_as_a_list_of_one() -> None:
    result = read(request(basedOn={"reference": "ServiceRequest/1"}))
    assert [link.reference for link in fact(result, Referral).based_on] == ["ServiceRequest/1"]
    assert finding(result, "not-a-list").where == "ServiceRequest.basedOn"


def test_a_list_of_one_counts_as_the_one() -> None:
    result = read(request(subject=[{"reference": "Patient/ada"}]))
    assert finding(result, "unexpected-list").where == "ServiceRequest.subject"
    link = fact(result, Referral).patient_link
    assert link is not None
    assert link.reference == "Patient/ada"


@pytest.mark.parametrize("wrong", [17, "text", [], [17], True, {"a": {"b": [None]}}])
@pytest.mark.parametrize(
    "element",
    ["subject", "identifier", "code", "reasonCode", "authoredOn", "occurrencePeriod", "note", "meta"],
)
def test_no_element_of_another_type_stops_the_reader(element: str, wrong: object) -> None:
    assert read(request(**{element: wrong})).outcome is not Outcome.REFUSED


def test_an_element_that_does_not_exist_is_named() -> None:
    result = read(request(PatientInstruction="rest"))
    assert finding(result, "unknown-element").where == "ServiceRequest.PatientInstruction"


def test_an_empty_text_is_nothing() -> None:
    result = read({**ADA, "name": [{"family": " ", "given": ["Ada"]}]})
    assert fact(result, Patient).names[0].family is None
    assert finding(result, "empty-value").where == "Patient.name[0].family"


def test_an_entry_without_the_key_resource_is_read() -> None:
    result = read(
        {"resourceType": "Bundle", "type": "collection", "entry": [{**ADA, "search": {"mode": "match"}}]}
    )
    assert fact(result, Patient).id == "ada"
    assert finding(result, "entry-without-resource-key").where == "Bundle.entry[0]"


def test_an_entry_of_a_history_may_be_only_an_id() -> None:
    entry = {"fullUrl": "https://example.org/Patient/1", "request": {"method": "DELETE", "url": "Patient/1"}}
    result = read({"resourceType": "Bundle", "type": "history", "entry": [entry]})
    assert (result.outcome, result.messages[0].entries) == (Outcome.ACCEPTED, 1)


# ---- references --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", ["urn:uuid:0", "Patient/ada", "Patient/ada/_history/3", ":uuid:0"])
def test_a_patient_is_found_however_it_is_referred_to(reference: str) -> None:
    result = read(bundle(ADA, request(subject={"reference": reference})))
    patient = fact(result, Referral).patient
    assert patient is not None
    assert patient.birth_date is not None
    assert patient.birth_date.iso == "1970-01-02"


def test_a_reference_that_begins_with_a_colon_is_a_finding() -> None:
    result = read(bundle(ADA, request(subject={"reference": ":uuid:0"})))
    assert finding(result, "malformed-reference").where == "Bundle.entry[1].resource.subject.reference"


def test_a_patient_is_found_by_number_alone() -> None:
    pointer = {"type": "Patient", "identifier": {"system": "urn:example:mrn", "value": "0042"}}
    patient = fact(read(bundle(ADA, request(subject=pointer))), Referral).patient
    assert patient is not None
    assert patient.id == "ada"


def test_a_number_that_leads_nowhere_still_says_who() -> None:
    pointer = {"identifier": {"system": "urn:example:mrn", "value": "0043"}}
    patient = fact(read(request(subject=pointer)), Referral).patient
    assert patient is not None
    assert [number.value for number in patient.identifiers] == ["0043"]


def test_contained_resources_are_found_and_only_by_their_container() -> None:
    inside = request(contained=[ADA], subject={"reference": "#ada"})
    outside = request(subject={"reference": "#ada"})
    assert fact(read(inside), Referral).patient is not None
    result = read(bundle(inside, outside))
    assert finding(result, "dangling-reference").where == "Bundle.entry[1].resource.subject.reference"


def test_a_dangling_subject_falls_back_to_the_only_patient_and_says_so() -> None:
    result = read(bundle(ADA, request(subject={"reference": "Patient/eve"})))
    patient = fact(result, Referral).patient
    assert patient is not None
    assert patient.id == "ada"
    assert {"dangling-reference", "subject-is-lone-patient"} <= set(codes(result))


def test_of_two_patients_neither_is_guessed() -> None:
    other = {**ADA, "id": "bea", "birthDate": "1980-02-03"}
    result = read(bundle(ADA, other, request(subject={"reference": "Patient/eve"})))
    assert fact(result, Referral).patient is None


def test_references_out_of_a_lone_resource_are_no_finding() -> None:
    assert read(request(requester={"reference": "Practitioner/7"})).outcome is Outcome.ACCEPTED


def test_two_resources_under_one_name_are_a_finding_and_the_first_is_taken() -> None:
    other = {**ADA, "birthDate": "1980-02-03"}
    result = read(bundle(ADA, other, request()))
    patient = fact(result, Referral).patient
    assert patient is not None
    assert patient.birth_date is not None
    assert patient.birth_date.iso == "1970-01-02"
    assert {"duplicate-id", "ambiguous-reference"} <= set(codes(result))


def test_the_same_resource_twice_is_one_fact() -> None:
    result = read(bundle(ADA, ADA, request()))
    assert sum(isinstance(one, Patient) for one in result.facts) == 1
    assert "duplicate-id" not in codes(result)


def test_circles_of_references_end() -> None:
    first = {
        "resourceType": "Organization",
        "id": "a",
        "name": "A",
        "partOf": {"reference": "Organization/b"},
    }
    second = {
        "resourceType": "Organization",
        "id": "b",
        "name": "B",
        "partOf": {"reference": "Organization/a"},
    }
    role: Json = {
        "resourceType": "PractitionerRole",
        "id": "r",
        "practitioner": {"reference": "PractitionerRole/r"},
        "organization": {"reference": "Organization/a"},
        "location": [{"reference": "PractitionerRole/r"}],
    }
    patient = {
        **ADA,
        "generalPractitioner": [{"reference": "Patient/ada"}, {"reference": "PractitionerRole/r"}],
    }
    task: Json = {"resourceType": "Task", "id": "t", "status": "requested", "intent": "order"}
    task |= {"partOf": [{"reference": "Task/t"}], "focus": {"reference": "Task/t"}}
    assert read(bundle(first, second, role, patient, task)).outcome is not Outcome.REFUSED


def test_thousands_of_references_by_number_cost_no_square() -> None:
    people = [
        {**ADA, "id": str(n), "identifier": [{"system": "urn:x", "value": str(n)}]} for n in range(3_000)
    ]
    asked = [
        request(id=str(n), subject={"identifier": {"system": "urn:x", "value": str(n)}}) for n in range(3_000)
    ]
    body = json.dumps(bundle(*people, *asked)).encode()
    started = time.thread_time()
    referrals = [one for one in fhir.read(body).facts if isinstance(one, Referral)]
    assert time.thread_time() - started < 8
    assert all(one.patient is not None and one.patient.id == one.id for one in referrals)


def test_a_list_without_end_is_cut_with_a_finding() -> None:
    result = read({**ADA, "identifier": [{"value": str(n)} for n in range(5_000)]})
    assert len(fact(result, Patient).identifiers) == 1_000
    assert finding(result, "list-too-long").where == "Patient.identifier"


def test_what_thousands_point_at_is_read_once() -> None:
    letter = {"contentType": "text/plain", "data": base64.b64encode(b"x" * 500_000).decode()}
    document = {
        "resourceType": "DocumentReference",
        "id": "d",
        "status": "current",
        "content": [{"attachment": letter}],
    }
    weight = {
        "resourceType": "Observation",
        "id": "w",
        "code": {"text": "x"},
        "component": [{"code": {}}] * 2_000,
    }
    report = {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "result": [{"reference": "Observation/w"}] * 1_000,
    }
    condition = {
        "resourceType": "Condition",
        "id": "c",
        "code": {"coding": [{"code": str(n)} for n in range(2_000)]},
    }
    asked = [
        request(
            id=str(n),
            supportingInfo=[{"reference": "DocumentReference/d"}],
            reasonReference=[{"reference": "Condition/c"}],
        )
        for n in range(1_000)
    ]
    body = json.dumps(bundle(document, weight, report, condition, *asked)).encode()
    started = time.thread_time()
    result = fhir.read(body)
    assert time.thread_time() - started < 5
    assert sum(isinstance(one, Referral) and one.attachments != () for one in result.facts) == 1_000


def test_nested_bundles_and_parameters_are_looked_into() -> None:
    inner = bundle(ADA, kind="document")
    wrapped = {
        "resourceType": "Parameters",
        "parameter": [{"name": "x", "part": [{"name": "y", "resource": inner}]}],
    }
    assert fact(read(wrapped), Patient).id == "ada"


# ---- the referral ------------------------------------------------------------------------------------------


def test_a_whole_referral_is_read_whole() -> None:
    office: Json = {"resourceType": "Organization", "id": "o", "name": "Sample Office"}
    office["identifier"] = [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1063494177"}]
    doctor: Json = {
        "resourceType": "Practitioner",
        "id": "d",
        "name": [{"family": "Sampledoctor", "given": ["Grace"]}],
    }
    doctor["identifier"] = [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}]
    role: Json = {
        "resourceType": "PractitionerRole",
        "id": "r",
        "practitioner": {"reference": "Practitioner/d"},
    }
    role["organization"] = {"reference": "Organization/o"}
    payer: Json = {
        "resourceType": "Coverage",
        "id": "c",
        "status": "active",
        "payor": [{"display": "Sample Payer"}],
    }
    payer["subscriberId"] = "M-1"
    asked = request(
        identifier=[{"type": {"coding": [{"code": "PLAC"}]}, "system": "urn:example:pms", "value": "R-1"}],
        priority="urgent",
        code={"text": "Cardiology consultation"},
        orderDetail=[{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0282", "code": "WR"}]}],
        performerType={"coding": [{"system": "http://nucc.org/provider-taxonomy", "code": "207RC0000X"}]},
        reasonCode=[{"coding": [{"code": "I25.10"}]}, {"text": "pain on stairs"}],
        note=[{"text": "Is stress testing needed?"}, {"text": "Prefers mornings."}],
        requester={"reference": "PractitionerRole/r"},
        insurance=[{"reference": "Coverage/c"}],
        authoredOn="2026-11-20T09:00:00-05:00",
        occurrencePeriod={"start": "2026-12-01", "end": "2026-12-31"},
    )
    task: Json = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "focus": {"reference": "urn:uuid:0"},
    }
    task["restriction"] = {"period": {"end": "2027-05-20"}}
    result = read(bundle(asked, ADA, office, doctor, role, payer, task))
    referral = fact(result, Referral)
    assert result.outcome is Outcome.ACCEPTED
    assert referral.priority == "urgent"
    assert referral.dispositions == ("written_report",)
    assert referral.question == "Is stress testing needed?"
    assert [note.text for note in referral.notes] == ["Prefers mornings."]
    assert ([r.code for r in referral.reasons], referral.reason_text) == (["I25.10"], "pain on stairs")
    assert referral.referrer is not None
    assert referral.referrer.organization is not None
    assert referral.referrer.practitioner is not None
    assert referral.referrer.reference is not None
    assert referral.referrer.organization.npi == "1063494177"
    assert referral.referrer.practitioner.npi == "1234567893"
    assert referral.referrer.reference.value == "R-1"
    assert referral.coverage[0].payer is not None
    assert (referral.coverage[0].payer.name, referral.coverage[0].member_id) == ("Sample Payer", "M-1")
    assert referral.expires_at is not None
    assert referral.expires_at.iso == "2027-05-20"


def test_a_task_fills_in_who_asks_and_who_is_asked() -> None:
    task: Json = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "focus": {"reference": "urn:uuid:0"},
    }
    task |= {"requester": {"display": "Sample Office"}, "owner": {"display": "Example Practice"}}
    referral = fact(read(bundle(request(), ADA, task)), Referral)
    assert referral.referrer is not None
    assert referral.referrer.display == "Sample Office"
    assert [party.display for party in referral.performers] == ["Example Practice"]


@pytest.mark.parametrize(
    ("event", "action"), [("I12", "new"), ("I13", "update"), ("I14", "cancel"), ("I15", "query")]
)
def test_the_event_says_what_the_message_does(event: str, action: str) -> None:
    header: Json = {
        "resourceType": "MessageHeader",
        "eventCoding": {"code": event},
        "source": {"endpoint": "urn:x:y"},
    }
    assert fact(read(bundle(header, request(), ADA, kind="message")), Referral).action == action


def test_a_revoked_request_is_a_cancellation() -> None:
    assert fact(read(request(status="revoked")), Referral).action == "cancel"


@pytest.mark.parametrize("npi", ["1111111111", "0", "123456789", "12345678931", "abcdefghij"])
def test_a_number_that_fails_its_check_digit_is_no_npi(npi: str) -> None:
    doctor: Json = {
        "resourceType": "Practitioner",
        "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": npi}],
    }
    result = read(doctor)
    assert fact(result, Practitioner).npi is None
    assert fact(result, Practitioner).identifiers[0].value == npi
    assert finding(result, "npi-check-digit").where == "Practitioner.identifier[0].value"


def test_stu3_referrals_are_converted_and_the_version_is_said() -> None:
    old = {
        "resourceType": "ReferralRequest",
        "id": "000070",
        "status": "cancelled",
        "intent": "plan",
        "subject": {"display": "Ada Testperson"},
        "requester": {"agent": {"display": "Grace Sampledoctor"}, "onBehalfOf": {"display": "Sample Office"}},
        "recipient": [{"display": "Example Practice"}],
        "description": "Please see her.",
    }
    result = read(old)
    referral = fact(result, Referral)
    envelope = result.messages[0].envelope
    assert envelope is not None
    assert (envelope.version, referral.id, referral.status) == ("3.0", "000070", "revoked")
    assert (referral.question, referral.performers[0].display) == ("Please see her.", "Example Practice")
    assert "fhir-stu3" in codes(result)


# ---- the other kinds ---------------------------------------------------------------------------------------


def test_a_task_keeps_outputs_of_any_type() -> None:
    outputs = [
        {"type": {"text": "note"}, "valueReference": {"reference": "DocumentReference/1"}},
        {"type": {"text": "advice"}, "valueMarkdown": "Rest."},
        {"type": {"text": "code"}, "valueCodeableConcept": {"text": "done"}},
        {"type": {"text": "when"}, "valueDateTime": "2026-01"},
        {"type": {}, "valueQuantity": {"value": 1}},
    ]
    task: Json = {"resourceType": "Task", "status": "completed", "intent": "order", "output": outputs}
    task["statusReason"] = {"text": "done"}
    found = fact(read(task), Task)
    link, words, concept, when, other = found.outputs
    assert link.link is not None
    assert concept.concept is not None
    assert when.at is not None
    assert (link.link.kind, words.text, concept.concept.text, when.at.iso) == (
        "DocumentReference",
        "Rest.",
        "done",
        "2026-01",
    )
    assert other.text is None


def appointment(**members: Any) -> Json:
    plain = {
        "resourceType": "Appointment",
        "status": "booked",
        "start": "2026-12-01T09:00:00-05:00",
        "end": "2026-12-01T09:30:00-05:00",
        "participant": [{"actor": {"reference": "Patient/ada"}, "status": "accepted"}],
    }
    return {**plain, **members}


def test_an_appointment_finds_its_patient_among_the_participants() -> None:
    found = fact(read(bundle(ADA, appointment())), Appointment)
    assert found.patient is not None
    assert (found.patient.id, found.action) == ("ada", "booked")


@pytest.mark.parametrize(
    ("status", "action"),
    [("cancelled", "cancelled"), ("noshow", "no_show"), ("fulfilled", "completed"), ("arrived", "arrived")],
)
def test_the_status_of_an_appointment_says_what_happened(status: str, action: str) -> None:
    assert fact(read(appointment(status=status)), Appointment).action == action


def test_an_appointment_that_ends_before_it_starts_is_a_finding() -> None:
    result = read(appointment(end="2026-12-01T08:00:00-05:00"))
    assert finding(result, "period-backwards").where == "Appointment.end"


def test_the_appointment_wins_over_its_slot() -> None:
    slot = {"resourceType": "Slot", "id": "s", "status": "busy", "start": "2026-12-02T09:00:00-05:00"}
    result = read(bundle(ADA, slot, appointment(slot=[{"reference": "Slot/s"}])))
    booking = fact(result, Appointment)
    assert booking.start is not None
    assert booking.start.date == "2026-12-01"
    assert fact(result, Slot).start is not None
    assert finding(result, "slot-time-differs").where == "Bundle.entry[2].resource.slot[0]"


def test_a_document_brings_its_bytes_and_what_is_wrong_with_them() -> None:
    data = base64.b64encode(b"Dear colleague").decode()
    good = {"contentType": "text/plain", "data": data[:4] + "\n " + data[4:]}
    bad = {"contentType": "text/plain", "data": "%%%"}
    claimed = {"contentType": "text/plain", "data": data, "size": 3, "hash": "AAAA"}
    document: Json = {"resourceType": "DocumentReference", "status": "current", "docStatus": "final"}
    document["content"] = [{"attachment": good}, {"attachment": bad}, {"attachment": claimed}, {}]
    result = read(document)
    found = fact(result, Document)
    assert [one.content for one in found.attachments] == [b"Dear colleague", None, b"Dear colleague"]
    assert found.status == "final"
    assert {"broken-base64", "attachment-hash", "attachment-size", "missing-required"} <= set(codes(result))
    assert finding(result, "broken-base64").where == "DocumentReference.content[1].attachment.data"


@pytest.mark.parametrize("blank", ["", "\n", "\r\n", " ", "\t", "\x0b", "\u2003", "\x1f \n"])
def test_white_space_in_base64_is_no_damage(blank: str) -> None:
    data = blank + f"{blank}".join(base64.b64encode(b"Dear colleague").decode()) + blank
    result = read({"resourceType": "Binary", "contentType": "text/plain", "data": data})
    assert fact(result, Document).attachments[0].content == b"Dear colleague"
    assert not result.all_findings


def test_an_id_that_no_reference_can_name_is_not_found_by_chance() -> None:
    odd = {**ADA, "id": "ada|1"}
    for reference in ("Patient/ada|1", "patient/ada", "Patient/ada/", "ada"):
        result = read(bundle({**odd}, request(subject={"reference": reference})))
        assert finding(result, "dangling-reference").where == "Bundle.entry[1].resource.subject.reference"


def test_an_attachment_is_found_beside_it_and_never_elsewhere() -> None:
    inside = {"resourceType": "Binary", "id": "b", "contentType": "application/pdf", "data": "JVBERg=="}
    document: Json = {"resourceType": "DocumentReference", "status": "current", "content": []}
    document["content"] = [
        {"attachment": {"url": "Binary/b"}},
        {"attachment": {"url": "https://example.org/x"}},
    ]
    here, there = fact(read(bundle(document, inside)), Document).attachments
    assert (here.content, here.media_type) == (b"%PDF", "application/pdf")
    assert (there.content, there.url) == (None, "https://example.org/x")


def test_an_addendum_says_what_it_is_added_to() -> None:
    document: Json = {
        "resourceType": "DocumentReference",
        "status": "current",
        "docStatus": "final",
        "content": [],
    }
    document["relatesTo"] = [{"code": "appends", "target": {"identifier": {"value": "D-1"}}}]
    found = fact(read(document), Document)
    assert (found.status, found.relation, found.parents[0].value) == ("addendum", "appends", "D-1")


@pytest.mark.parametrize(("status", "signed"), [("preliminary", "unsigned"), ("final", "signed")])
def test_a_preliminary_document_is_not_signed_whoever_is_named(status: str, signed: str) -> None:
    document: Json = {"resourceType": "DocumentReference", "status": "current", "docStatus": status}
    document["authenticator"] = {"reference": "Practitioner/1", "display": "Grace Sampledoctor"}
    signature = fact(read(document), Document).signature
    assert signature is not None
    assert signature.status == signed


@pytest.mark.parametrize(
    ("members", "action"),
    [
        ({"relatesTo": [{"code": "replaces", "target": {"identifier": {"value": "D-1"}}}]}, "replace"),
        ({"relatesTo": [{"code": "appends", "target": {"identifier": {"value": "D-1"}}}]}, "addendum"),
        ({"status": "entered-in-error"}, "cancel"),
        ({}, None),
    ],
)
def test_a_document_says_what_it_does(members: Json, action: str | None) -> None:
    document = {"resourceType": "DocumentReference", "status": "current", **members}
    assert fact(read(document), Document).action == action


def test_a_replaced_patient_is_a_merge_of_two_charts() -> None:
    old = {**ADA, "id": "old", "identifier": [{"system": "urn:example:mrn", "value": "0001"}]}
    old["link"] = [{"other": {"reference": "Patient/ada"}, "type": "replaced-by"}]
    change = fact(read(bundle(ADA, old)), PatientChange)
    assert change.patient is not None
    assert (change.action, change.patient.id, change.replaced[0].value) == ("merge", "ada", "0001")
    new = {**ADA, "link": [{"other": {"identifier": {"value": "0001"}}, "type": "replaces"}]}
    other = fact(read(new), PatientChange)
    assert other.patient is not None
    assert (other.patient.id, other.replaced[0].value) == ("ada", "0001")


def test_narrative_is_shown_as_words_only() -> None:
    div = (
        '<div xmlns="http://www.w3.org/1999/xhtml"><p>Dear&nbsp;colleague,</p><script>alert(1)</script>'
        "<p onclick='x'>see &lt;you&gt;<br/>soon</p><style>p {}</style></div>"
    )
    note = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"text": "Consult"},
        "date": "2026-01",
        "section": [
            {"title": "Plan", "text": {"status": "generated", "div": div}},
            {"focus": {"reference": "x"}},
        ],
    }
    result = read(bundle(note, ADA, kind="document"))
    section = fact(result, Document).sections[0]
    assert str(section.text) == "Dear colleague,\nsee <you>\nsoon"
    assert finding(result, "empty-section").where == "Bundle.entry[0].resource.section[1]"


def test_a_result_keeps_the_digits_of_its_value() -> None:
    body = b"""{"resourceType": "Observation", "status": "final", "code": {"text": "weight"},
               "valueQuantity": {"value": 65.20, "unit": "kg"}}"""
    (line,) = fact(fhir.read(body), Document).observations
    assert (line.value, line.unit) == ("65.20", "kg")


@pytest.mark.parametrize("full_url", ['"fullUrl": "urn:uuid:1", ', '"fullUrl": "urn:\\u0075uid:1", ', ""])
def test_a_result_in_a_bundle_keeps_its_digits_wherever_it_stands(full_url: str) -> None:
    weight = '{"resourceType": "Observation", "id": "%s", "code": {}, "valueQuantity": {"value": %s}}'
    first, second = weight % ("w", "1.10"), weight % ("v", "2.20")
    entries = f'{{{full_url}"resource": {first}}}, {{"resource": {second}}}'
    body = f'{{"resourceType": "Bundle", "type": "collection", "entry": [{entries}]}}'
    lines = fact(fhir.read(body.encode()), Document).observations
    assert [line.value for line in lines] == ["1.10", "2.20"]


def test_two_entries_under_one_url_keep_their_own_digits() -> None:
    weight = (
        '{"resourceType": "Observation", "id": "%s", "code": {"text": "x"}, "valueQuantity": {"value": %s}}'
    )
    entry = '{"fullUrl": "urn:uuid:1", "resource": %s}'
    entries = ", ".join(entry % (weight % pair) for pair in (("a", "1.10"), ("b", "2.20")))
    body = f'{{"resourceType": "Bundle", "type": "collection", "entry": [{entries}]}}'
    lines = fact(fhir.read(body.encode()), Document).observations
    assert [line.value for line in lines] == ["1.10", "2.20"]


def test_a_visit_is_evidence_of_arrival() -> None:
    visit: Json = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}}
    visit["period"] = {"start": "2026-12-01T09:05:00-05:00"}
    found = fact(read(visit), Arrival)
    assert found.at is not None
    assert (found.action, found.at.precision) == ("finished", "second")


def test_a_question_between_offices_is_a_communication() -> None:
    message = {
        "resourceType": "Communication",
        "status": "completed",
        "payload": [{"contentString": "Which stent?"}, {"contentAttachment": {"title": "x"}}],
        "about": [{"reference": "ServiceRequest/1"}],
    }
    found = fact(read(message), Communication)
    assert (found.text, found.request, len(found.attachments)) == (("Which stent?",), False, 1)


def test_an_operation_outcome_is_what_a_peer_complains_about() -> None:
    answer = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "required", "expression": ["ServiceRequest.subject"]}],
    }
    (issue,) = fact(read(answer), Acknowledgement).issues
    assert (issue.severity, issue.code, issue.where) == ("error", "required", "ServiceRequest.subject")


def test_a_response_message_says_what_it_answers() -> None:
    header: Json = {
        "resourceType": "MessageHeader",
        "eventCoding": {"code": "I12"},
        "source": {"endpoint": "urn:x:y"},
    }
    header["response"] = {"identifier": "MSG-1", "code": "fatal-error"}
    result = read(bundle(header, kind="message"))
    assert fact(result, Acknowledgement).acknowledges == "MSG-1"
    envelope = result.messages[0].envelope
    assert envelope is not None
    assert (envelope.responds_to, envelope.response_code) == ("MSG-1", "fatal-error")


def test_coverage_says_who_pays() -> None:
    cover = {
        "resourceType": "Coverage",
        "status": "active",
        "identifier": [{"type": {"coding": [{"code": "MB"}]}, "value": "M-1"}],
        "class": [{"type": {"coding": [{"code": "plan"}]}, "value": "P7", "name": "Plan Seven"}],
        "payor": [{"display": "Sample Payer"}],
    }
    found = fact(read(cover), Coverage)
    assert found.payer is not None
    assert (found.payer.name, found.member_id, found.plan, found.plan_name) == (
        "Sample Payer",
        "M-1",
        "P7",
        "Plan Seven",
    )


def test_a_partial_date_keeps_its_precision_and_an_impossible_one_its_text() -> None:
    assert [fact(read({**ADA, "birthDate": text}), Patient).birth_date for text in ("1963", "1963-06")] != [
        None,
        None,
    ]
    whole = fact(read({**ADA, "birthDate": "1963"}), Patient).birth_date
    assert whole is not None
    assert (whole.iso, whole.precision, whole.offset_minutes) == ("1963", "year", None)
    result = read({**ADA, "birthDate": "1963-02-31"})
    broken = fact(result, Patient).birth_date
    assert broken is not None
    assert (broken.iso, broken.text) == (None, "1963-02-31")
    assert finding(result, "unreadable-time").where == "Patient.birthDate"


# ---- XML ---------------------------------------------------------------------------------------------------

XML = """<?xml version="1.0" encoding="UTF-8"?>
<Bundle xmlns="http://hl7.org/fhir"><type value="collection"/>
 <entry><fullUrl value="urn:uuid:1"/><resource><Patient><id value="ada"/><active value="true"/>
  <identifier><system value="urn:example:mrn"/><value value="0042"/></identifier>
  <name><family value="Testperson"/><given value="Ada"/></name>
  <birthDate value="1970"><extension url="urn:x:t"><valueString value="dawn"/></extension></birthDate>
 </Patient></resource></entry>
 <entry><resource><ServiceRequest><text><status value="generated"/>
  <div xmlns="http://www.w3.org/1999/xhtml">x</div></text><status value="active"/><intent value="order"/>
  <code><coding><code value="3457005"/></coding></code><subject><reference value="urn:uuid:1"/></subject>
 </ServiceRequest></resource></entry></Bundle>"""


def test_xml_says_the_same_as_json() -> None:
    result = fhir.read(XML.encode())
    referral = fact(result, Referral)
    assert result.outcome is Outcome.ACCEPTED
    assert referral.patient is not None
    assert referral.patient.name is not None
    assert (referral.patient.name.family, referral.patient.active) == ("Testperson", True)
    assert referral.service is not None
    assert referral.service.code == "3457005"
    assert [(one.element, one.value) for one in referral.patient.extensions] == [("birthDate", "dawn")]


@pytest.mark.parametrize(
    "prolog", ['<!DOCTYPE x [<!ENTITY e "v">]>', '<!DOCTYPE x SYSTEM "file:///etc/hostname">', "<!DOCTYPE x>"]
)
def test_xml_with_a_document_type_is_refused(prolog: str) -> None:
    result = fhir.read(XML.replace("?>", "?>" + prolog).encode())
    assert result.outcome is Outcome.REFUSED
    assert "document type" in str(result.reason)


def test_xml_nested_without_end_is_refused() -> None:
    body = '<Patient xmlns="http://hl7.org/fhir">' + "<extension>" * 200 + "</extension>" * 200 + "</Patient>"
    assert fhir.read(body.encode()).outcome is Outcome.REFUSED
    assert fhir.read(b"<Patient xmlns='http://hl7.org/fhir'>" + b"<a>" * 100_000).outcome is Outcome.REFUSED


# ---- profiles ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mark", "profile"),
    [
        ("http://hl7.org/fhir/us/bser/StructureDefinition/BSeR-ReferralTask", "bser"),
        ("https://fhir.nhs.uk/StructureDefinition/BARSServiceRequest-request-referral", "bars"),
        ("https://fhir.nhs.uk/STU3/StructureDefinition/eRS-ReferralRequest-1", "ers"),
        (
            "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-TaskForReferralManagement",
            "sdohcc",
        ),
        ("http://hl7.org/fhir/uv/cow/StructureDefinition/coordination-task", "cow"),
        ("http://fhir.infoway-inforoute.ca/io/ca-erec/StructureDefinition/task", "ca-erec"),
        ("http://example.org/StructureDefinition/own", "plain"),
    ],
)
def test_a_profile_is_known_by_what_it_names(mark: str, profile: str) -> None:
    envelope = read(request(meta={"profile": [mark]})).messages[0].envelope
    assert envelope is not None
    assert envelope.profile == profile


# ---- anything ----------------------------------------------------------------------------------------------

_KEYS = st.sampled_from(
    tuple(
        [
            "resourceType",
            "id",
            "meta",
            "type",
            "entry",
            "resource",
            "fullUrl",
            "contained",
            "status",
            "intent",
            "subject",
            "reference",
            "identifier",
            "system",
            "value",
            "name",
            "family",
            "given",
            "participant",
            "actor",
            "start",
            "end",
            "period",
            "extension",
            "url",
            "valueString",
            "code",
            "coding",
            "text",
            "div",
            "section",
            "content",
            "attachment",
            "data",
            "focus",
            "requester",
            "practitioner",
            "organization",
            "note",
            "parameter",
            "part",
        ]
    )
)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(
        ["Patient/ada", "#ada", "urn:uuid:0", "Bundle", "Patient", "ServiceRequest", "Task", "#"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=6),
    max_leaves=25,
)
_TYPES = st.sampled_from(
    [
        "Bundle",
        "ServiceRequest",
        "ReferralRequest",
        "Task",
        "Appointment",
        "Patient",
        "DocumentReference",
        "Composition",
        "Communication",
        "MessageHeader",
        "Parameters",
        "PractitionerRole",
        "Encounter",
        "Coverage",
        "DiagnosticReport",
        "OperationOutcome",
        "Observation",
        "Binary",
        "Slot",
    ]
)


@given(
    _TYPES, st.dictionaries(_KEYS, _VALUES, max_size=8), _TYPES, st.dictionaries(_KEYS, _VALUES, max_size=6)
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_shape_of_resource_stops_the_reader(kind: str, members: Json, other: str, more: Json) -> None:
    inner = {**more, "resourceType": other}
    value = {**members, "resourceType": kind}
    for body in (value, bundle(value, inner, kind="message"), {**value, "contained": [inner]}):
        try:
            text = json.dumps(body).encode()
        except (UnicodeEncodeError, ValueError):
            continue
        result = fhir.read(text)
        assert result.outcome is not Outcome.REFUSED or result.reason


# ---- the answer of a door ----------------------------------------------------------------------------------


def outcome(result: ReadResult) -> list[Json]:
    issues: list[Json] = json.loads(fhir.outcome_of(result))["issue"]
    return issues


def test_a_refusing_finding_is_an_error_at_its_path_before_all_warnings() -> None:
    first, second = outcome(read(request(PatientInstruction="rest", status="activated")))
    assert (first["severity"], first["code"], first["expression"]) == (
        "error",
        "code-invalid",
        ["ServiceRequest.status"],
    )
    assert (second["severity"], second["code"]) == ("warning", "structure")


def test_a_refusal_is_an_error_with_line_and_column() -> None:
    (issue,) = outcome(fhir.read(b'{"resourceType": "Patient",,}'))
    assert (issue["severity"], issue["code"]) == ("error", "structure")
    assert "line 1 column" in issue["diagnostics"]
    (other,) = outcome(fhir.read(b"17"))
    assert other["severity"] == "error"


def test_what_is_well_is_said_to_be_well() -> None:
    assert [issue["severity"] for issue in outcome(read(ADA))] == ["information"]


# ---- the declarations --------------------------------------------------------------------------------------


def test_every_declared_finding_is_explained() -> None:
    declared = {code for table in fhir.MAPPINGS for row in table.fields for code in row.findings}
    assert declared <= set(fhir.DETAILS)


def test_every_declared_field_is_one_of_its_fact_and_has_a_reader() -> None:
    kinds = {kind.kind: {f.name for f in dataclasses.fields(kind)} for kind in FACT_TYPES}
    for table in fhir.MAPPINGS:
        targets = [row.target for row in table.fields]
        assert len(targets) == len(set(targets)), table.message
        assert set(targets) <= kinds[table.fact], table.message
        assert all(row.read is not None and row.meaning and row.path for row in table.fields)


def test_every_finding_of_the_published_files_is_explained(samples: Path) -> None:
    for path in sorted(samples.glob("fhir-*/**/*.json")):
        result = fhir.read(path.read_bytes())
        if result.outcome is not Outcome.REFUSED:
            assert {one.code for one in result.all_findings} <= set(fhir.DETAILS), path.name


def test_a_read_body_is_freed_at_once_without_the_cycle_collector() -> None:
    body = json.dumps(bundle(ADA, appointment())).encode()
    gc.collect()
    gc.disable()
    try:
        result = fhir.read(body)
        assert gc.collect() == 0
    finally:
        gc.enable()
    assert len(result.facts) == 2
