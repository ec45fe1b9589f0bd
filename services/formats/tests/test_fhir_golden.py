"""What a person reads in published FHIR files, and the floors every file has to reach."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from baton_formats import fhir
from baton_formats.facts import (
    Appointment,
    Document,
    Fact,
    Organization,
    Party,
    Patient,
    Practitioner,
    Referral,
    Task,
)
from baton_formats.findings import Outcome, ReadResult
from baton_formats.sniff import read as read_any

F = TypeVar("F", bound=Fact)

BSER = "fhir-bser/json-compiled/"
ERS = "fhir-nhs-ers/stu3/"


def read(samples: Path, name: str) -> ReadResult:
    return fhir.read((samples / name).read_bytes())


def of_kind(result: ReadResult, kind: type[F]) -> list[F]:
    return [fact for fact in result.facts if isinstance(fact, kind)]


def only(result: ReadResult, kind: type[F]) -> F:
    (fact,) = of_kind(result, kind)
    return fact


def codes(result: ReadResult) -> set[str]:
    return {finding.code for finding in result.all_findings}


def called(party: Party | None) -> str | None:
    return party.display if party is not None else None


def person(patient: Patient | None) -> tuple[str | None, tuple[str, ...], str | None]:
    assert patient is not None
    assert patient.name is not None
    assert patient.birth_date is not None
    return patient.name.family, patient.name.given, patient.birth_date.iso


# ---- BSeR --------------------------------------------------------------------------------------------------


def test_the_bser_message_is_a_new_referral_with_both_numbers(samples: Path) -> None:
    result = read(samples, BSER + "Bundle-bundle-bser-referral-message-bundle-eve-everywoman.json")
    referral = only(result, Referral)
    envelope = result.messages[0].envelope
    assert envelope is not None
    assert (envelope.event, envelope.profile, referral.action) == ("I12", "bser", "new")
    assert person(referral.patient) == ("Everywoman", ("Eve", "L"), "1974-11-24")
    assert referral.patient is not None
    assert [number.value for number in referral.patient.identifiers] == ["1032702"]
    assert referral.placer is not None
    assert referral.filler is not None
    assert (referral.placer.value, referral.filler.value) == ("88888888", "99999999")
    assert referral.placer.assigner == "http://hl7.org/fhir/sid/us-npi|1063494177"
    assert [reason.label for reason in referral.reasons] == ["Arthritis (disorder)"]
    assert referral.authored_at is not None
    assert referral.authored_at.iso == "2020-02-14"


def test_the_bser_message_names_referrer_and_performer_whose_npi_fails(samples: Path) -> None:
    result = read(samples, BSER + "Bundle-bundle-bser-referral-message-bundle-eve-everywoman.json")
    referral = only(result, Referral)
    assert called(referral.referrer) == "Henry Seven, MD"
    assert [called(party) for party in referral.performers] == ["Hailey Eight, MD"]
    assert referral.referrer is not None
    assert referral.referrer.practitioner is not None
    assert referral.referrer.practitioner.npi is None
    assert "1111111111" in {number.value for number in referral.referrer.identifiers}
    assert {"npi-check-digit", "dangling-reference", "subject-is-lone-patient"} <= codes(result)


def test_the_bser_task_says_requested_and_completed_at_once(samples: Path) -> None:
    result = read(samples, BSER + "Bundle-bundle-bser-referral-message-bundle-eve-everywoman.json")
    task = only(result, Task)
    assert task.status == "requested"
    assert task.business_status is not None
    assert task.business_status.code == "7.0"


def test_the_bser_referral_note_carries_its_results(samples: Path) -> None:
    name = "Bundle-bundle-bser-referral-request-document-bundle-eve-everywoman.json"
    document = only(read(samples, BSER + name), Document)
    assert document.type is not None
    assert document.type.code == "57133-1"
    assert document.written_at is not None
    assert document.written_at.iso == "2020-01-02T22:13:23Z"
    assert [called(party) for party in document.authors] == ["Henry Seven, MD"]
    values = {(line.value, line.unit) for line in document.observations}
    assert any(value == "29" and unit for value, unit in values)
    assert any(value == "65" and unit for value, unit in values)
    assert any(value == "68" and unit for value, unit in values)
    allergies = [
        line.code.label for line in document.observations if line.category == "allergy" and line.code
    ]
    assert any("sulfonamide" in str(label).lower() for label in allergies)


def test_the_bser_feedback_has_a_section_with_nothing_in_it(samples: Path) -> None:
    result = read(samples, BSER + "Composition-composition-bser-referral-feedback-arthritis-everywoman.json")
    document = only(result, Document)
    assert document.type is not None
    assert (document.type.code, document.status) == ("11488-4", "final")
    assert document.written_at is not None
    assert document.written_at.date == "2020-01-03"
    assert [called(party) for party in document.authors] == ["Hailey Eight, MD"]
    assert "empty-section" in codes(result)


def test_the_older_bser_xml_counts_appointments_without_any_patient(samples: Path) -> None:
    name = "fhir-bser/xml-2019/bundle/bundle-bser-diabetes-referral-feedback-eve-everywoman.xml"
    result = read(samples, name)
    assert (result.messages[0].type, of_kind(result, Patient)) == ("Bundle/collection", [])
    counts = {line.code.label: line.value for line in only(result, Document).observations if line.code}
    assert counts["Number of appointments attended (observable entity)"] == "6"
    assert counts["Number of appointments missed (observable entity)"] == "1"


# ---- BaRS --------------------------------------------------------------------------------------------------


def test_the_bars_booking_believes_the_appointment_over_its_slot(samples: Path) -> None:
    result = read(samples, "fhir-nhs-bars/process_message/POST-body.json")
    booking = only(result, Appointment)
    envelope = result.messages[0].envelope
    assert envelope is not None
    assert (envelope.event, booking.action, booking.status) == ("booking-request", "booked", "booked")
    assert person(booking.patient) == ("Chalmers", ("Peter",), "1974-12-25")
    assert booking.patient is not None
    assert "9476719931" in {number.value for number in booking.patient.identifiers}
    assert booking.start is not None
    assert booking.end is not None
    assert booking.start.iso == "2021-10-12T12:30:30+00:00"
    assert booking.end.iso == "2021-10-12T12:40:30+00:00"
    (clinician,) = booking.clinicians
    assert clinician.practitioner is not None
    assert clinician.practitioner.names[0].family == "Bloggs"
    assert "slot-time-differs" in codes(result)


def test_a_received_endpoint_stays_an_identifier(samples: Path) -> None:
    envelope = read(samples, "fhir-nhs-bars/process_message/POST-body.json").messages[0].envelope
    assert envelope is not None
    assert [receiver.address for receiver in envelope.receivers] == [
        "http://fhir.nhs.uk/Id/dos-service-id|111111111"
    ]


def test_the_bars_validation_request_finds_the_office_through_the_role(samples: Path) -> None:
    result = read(samples, "fhir-nhs-bars/process_message/request/ValidationRequest_(POST)_.json")
    referral = only(result, Referral)
    assert person(referral.patient)[::2] == ("Jones", "1959-05-04")
    assert referral.patient is not None
    assert "3478526985" in {number.value for number in referral.patient.identifiers}
    assert referral.referrer is not None
    assert referral.referrer.practitioner is not None
    assert referral.referrer.practitioner.names[0].family == "BLAKE"
    assert referral.referrer.organization == next(
        office for office in of_kind(result, Organization) if office.name == "Practitioner Org"
    )
    assert referral.wanted is not None
    assert referral.wanted.start is not None
    assert referral.wanted.end is not None
    assert referral.wanted.start.iso == "2021-11-26T15:00:00+00:00"
    assert referral.wanted.end.iso == "2021-11-26T15:20:00+00:00"
    assert [category.code for category in referral.categories] == ["validation"]


def test_the_bars_service_request_names_its_patient_by_urn_only(samples: Path) -> None:
    result = read(samples, "fhir-nhs-bars/service_request/id/GET-success.json")
    referral = only(result, Referral)
    assert referral.id == "71d2b38e-b81c-4894-a522-6a65265b1d58"
    assert (referral.status, referral.categories[0].code) == ("active", "referral")
    assert referral.authored_at is not None
    assert referral.authored_at.date == "2021-11-26"
    assert referral.patient is None
    assert referral.patient_link is not None
    assert str(referral.patient_link.reference).startswith("urn:uuid:")
    assert {"not-a-list", "unknown-element"} <= codes(result)


# ---- e-RS --------------------------------------------------------------------------------------------------


def numbers_of(referral: Referral) -> set[str | None]:
    assert referral.patient is not None
    return {number.value for number in referral.patient.identifiers}


def test_an_ers_request_names_nobody_but_a_number(samples: Path) -> None:
    referral = only(read(samples, ERS + "createReferral/requests/MinimalRequest.json"), Referral)
    assert numbers_of(referral) == {"9912003888"}
    assert referral.patient is not None
    assert referral.patient.names == ()
    assert (referral.action, referral.priority, referral.referrer) == ("new", "urgent", None)
    assert referral.specialty is not None
    assert referral.service is not None
    assert (referral.specialty.code, referral.service.code) == ("CARDIOLOGY", "HEART_FAILURE")
    assert [party.identifiers[0].value for party in referral.performers] == ["11002"]


def test_an_ers_referral_keeps_its_leading_zeros(samples: Path) -> None:
    result = read(samples, ERS + "createReferral/responses/ReferralRequest.json")
    referral = only(result, Referral)
    envelope = result.messages[0].envelope
    assert envelope is not None
    assert (referral.id, referral.version, envelope.version) == ("000000070000", "3", "3.0")
    assert referral.status_code is not None
    assert (referral.status_code.code, referral.priority) == ("NOT_BOOKED", "urgent")
    assert [called(party) for party in referral.performers] == ["Good Cardiology Business Service"]
    assert "fhir-stu3" in codes(result)


def test_an_accepted_ers_referral_carries_its_booking_and_attachment(samples: Path) -> None:
    result = read(samples, ERS + "acceptReferral/responses/ExampleResponse.json")
    referral, booking = only(result, Referral), only(result, Appointment)
    assert (referral.id, referral.version, referral.priority) == ("000000070000", "9", "routine")
    assert referral.status_code is not None
    assert referral.status_code.code == "BOOKED"
    assert numbers_of(referral) == {"1000000001"}
    assert booking.start is not None
    assert booking.end is not None
    assert booking.start.iso == "2021-10-15T12:51:12.625Z"
    begins, ends = booking.start.instant(), booking.end.instant()
    assert begins is not None
    assert ends is not None
    assert (ends - begins).total_seconds() == 3600
    assert [attachment.title for attachment in referral.attachments] == ["upload.png"]


def test_an_ers_booking_points_at_its_referral_by_number(samples: Path) -> None:
    booking = only(read(samples, ERS + "bookOrDeferAppointment/responses/MinimalBooking.json"), Appointment)
    assert (booking.id, booking.status) == ("70000", "booked")
    assert booking.start is not None
    assert booking.start.iso == "2021-07-11T12:00:00+00:00"
    assert [link.reference for link in booking.slots] == ["Slot/11000021"]
    assert [number.value for number in booking.referrals] == ["000000070000"]
    assert booking.patient is not None
    assert [number.value for number in booking.patient.identifiers] == ["9912003888"]


def test_a_cancelled_ers_booking_says_why_and_leaves_the_referral_alone(samples: Path) -> None:
    result = read(samples, ERS + "retrieveAppointment/responses/Cancelled.json")
    booking = only(result, Appointment)
    assert (booking.id, booking.action, booking.status) == ("70006", "cancelled", "cancelled")
    assert booking.cancellation_reason is not None
    assert booking.cancellation_reason.code == "PATIENT_HOLIDAY"
    assert [note.text for note in booking.notes] == ["Patient away"]
    assert [number.value for number in booking.referrals] == ["000000070007"]
    assert (booking.start, booking.end) == (None, None)
    assert not of_kind(result, Referral)


def test_an_ers_referral_raised_in_error_says_so(samples: Path) -> None:
    referral = only(
        read(samples, ERS + "cancelReferral/responses/CancelledReferralRaisedInError.json"), Referral
    )
    assert (referral.id, referral.status) == ("000000070000", "revoked")
    assert referral.status_reason is not None
    assert referral.status_reason.code == "RAISED_IN_ERROR"


def test_a_booked_ers_referral_has_its_appointment_inside(samples: Path) -> None:
    result = read(samples, ERS + "retrieveReferralRequest/responses/BookedDBS.json")
    referral, booking = only(result, Referral), only(result, Appointment)
    assert (referral.id, referral.priority) == ("000000070001", "routine")
    assert referral.status_code is not None
    assert referral.status_code.code == "BOOKED"
    assert booking.start is not None
    assert booking.end is not None
    assert (booking.start.iso, booking.end.iso) == ("2021-06-13T12:30:00.000Z", "2021-06-13T12:45:00.000Z")
    assert [attachment.title for attachment in referral.attachments] == ["referralletter.pdf"]
    assert numbers_of(referral) == {"9912003888"}
    assert booking.id == "appointment"
    assert any("Appointment/70009" in str(one.value) for one in referral.extensions)


def test_an_ers_r4_search_finds_the_referral_behind_a_placeholder_url(samples: Path) -> None:
    result = read(samples, "fhir-nhs-ers/r4/searchServiceRequest/responses/ResponseExampleReferral.json")
    referral = only(result, Referral)
    assert [number.value for number in referral.identifiers] == ["000000070000"]
    assert referral.id == "r.832db7fa-ebdd-44b6-ab3b-8329c2d43149"
    assert referral.status == "active"
    assert numbers_of(referral) == {"9912003888"}


# ---- SDOHCC, 360X ------------------------------------------------------------------------------------------


def test_the_sdoh_tasks_are_accepted_then_completed_with_a_procedure(samples: Path) -> None:
    folder = "fhir-sdoh-cc/Task-SDOHCC-TaskReferralManagementOrderFulfillment"
    accepted = only(read(samples, folder + "AcceptedExample.json"), Task)
    completed = only(read(samples, folder + "CompletedExample.json"), Task)
    assert (accepted.status, completed.status) == ("accepted", "completed")
    assert any(value.link and value.link.kind == "Procedure" for value in completed.outputs)
    for task in (accepted, completed):
        assert str(called(task.requester)).startswith("Dr Jan Water")
        assert called(task.owner) == "ABC Coordination Platform"
        assert task.authored_at is not None
        assert task.authored_at.date == "2020-09-11"


def test_the_sdoh_patient_is_found_under_both_family_names(samples: Path) -> None:
    patient = only(read(samples, "fhir-sdoh-cc/Patient-pat-53234.json"), Patient)
    assert {name.family for name in patient.names} == {"ABBAS", "BAXTER"}
    assert patient.name is not None
    assert patient.name.family == "BAXTER"
    assert patient.birth_date is not None
    assert patient.birth_date.iso == "1987-02-20"


def test_the_360x_gateway_body_is_an_order_with_its_referral_note(samples: Path) -> None:
    result = read_any((samples / "fhir-360x/inbound_pcc55.json").read_bytes())
    order, note = of_kind(result, Referral)
    assert order.placer is not None
    assert (order.action, order.placer.value) == ("new", "REF-1001")
    assert person(note.patient) == ("Stonewright", ("Wilma",), "1958-03-12")
    assert note.patient is not None
    assert [number.value for number in note.patient.identifiers] == ["MRN-558211"]
    assert note.referrer is not None
    assert note.referrer.practitioner is not None
    assert note.referrer.practitioner.names[0].family == "Reyes"
    assert note.referrer.organization is not None
    assert note.referrer.organization.name == "Riverbend Oncology Associates"
    assert note.referrer.practitioner.npi is None


# ---- other rows of the table of surprises ------------------------------------------------------------------


def test_synthea_referrals_are_found_inside_explanations_of_benefit(samples: Path) -> None:
    found = [
        referral
        for path in sorted((samples / "fhir-synthea").glob("*.json"))
        for referral in of_kind(fhir.read(path.read_bytes()), Referral)
    ]
    assert len(found) == 54
    assert all(referral.patient is not None for referral in found)


def test_synthea_numbers_are_no_npi(samples: Path) -> None:
    for path in sorted((samples / "fhir-synthea").glob("*.json")):
        for practitioner in of_kind(fhir.read(path.read_bytes()), Practitioner):
            assert practitioner.npi is None or len(practitioner.npi) == 10


def test_extensions_beside_a_primitive_are_kept(samples: Path) -> None:
    patient = only(read(samples, "fhir-r4-spec/Patient-pat2.json"), Patient)
    assert patient.gender == "other"
    assert [one.url for one in patient.extensions if one.element == "gender"] == [
        "http://example.org/Profile/administrative-status"
    ]


def test_white_space_in_base64_is_no_damage(samples: Path) -> None:
    result = read(samples, "fhir-r4-spec/Binary-example.json")
    document = only(result, Document)
    assert document.attachments[0].content
    assert "broken-base64" not in codes(result)


def test_an_impossible_time_and_a_bare_object_are_accepted_with_findings(samples: Path) -> None:
    result = read(samples, "fhir-davinci-crd/appointment_book_hook_request.json")
    assert result.outcome is Outcome.ACCEPTED_WITH_FINDINGS
    first = of_kind(result, Appointment)[0]
    assert first.end is not None
    assert first.end.iso is None
    assert {"unreadable-time", "not-a-list"} <= codes(result)


def test_a_document_without_identifier_and_author_is_accepted(samples: Path) -> None:
    result = read(samples, "fhir-uk-virtually/FHIRDocument-DischargeReport.json")
    assert result.outcome is not Outcome.REFUSED
    document = of_kind(result, Document)[0]
    assert (document.identifiers, document.authors) == ((), ())


def test_a_missing_comma_and_a_key_twice_are_refused_by_line_and_column(samples: Path) -> None:
    comma = read(samples, "fhir-validator-cases/json-comma-bad-1.json")
    twice = read(samples, "fhir-validator-cases/patient-duplicate.json")
    assert "line 7 column 7" in str(comma.reason)
    assert "line 9 column 3" in str(twice.reason)
    assert codes(twice) == {"duplicate-key"}


def test_entities_in_narrative_are_refused(samples: Path) -> None:
    assert read(samples, "fhir-validator-cases/list-xhtml-xxe1.xml").outcome is Outcome.REFUSED


# ---- floors ------------------------------------------------------------------------------------------------


def fhir_files(samples: Path) -> Iterator[Path]:
    for folder in sorted(samples.glob("fhir-*")):
        yield from (path for path in sorted(folder.rglob("*")) if path.suffix in (".json", ".xml"))


def test_every_fhir_file_ends_in_one_of_three_ways_within_a_second(samples: Path) -> None:
    for path in fhir_files(samples):
        started = time.thread_time()
        result = fhir.read(path.read_bytes())
        elapsed = time.thread_time() - started
        assert elapsed < 1, path.name
        assert (result.outcome is Outcome.REFUSED) == (result.reason is not None)


@pytest.mark.parametrize("folder", ["fhir-r4-spec", "fhir-bser", "fhir-us-core", "fhir-sdoh-cc"])
def test_the_published_examples_are_all_accepted(samples: Path, folder: str) -> None:
    results = [fhir.read(path.read_bytes()) for path in fhir_files(samples) if folder in str(path)]
    assert results
    assert all(result.outcome is not Outcome.REFUSED for result in results)
    clean = sum(result.outcome is Outcome.ACCEPTED for result in results)
    assert clean >= len(results) * 0.7


def test_bars_and_ers_resources_are_accepted_whatever_is_wrong_with_them(samples: Path) -> None:
    for path in fhir_files(samples):
        if ("nhs-bars" in str(path) or "nhs-ers" in str(path)) and path.name != "_status.json":
            assert fhir.read(path.read_bytes()).outcome is not Outcome.REFUSED, path.name


def test_every_stu3_body_is_recognised_by_its_version(samples: Path) -> None:
    for path in (samples / "fhir-nhs-ers/stu3").rglob("*.json"):
        body = path.read_bytes()
        if b'"ReferralRequest"' in body or b"/STU3/StructureDefinition" in body.split(b'"contained"')[0]:
            envelope = fhir.read(body).messages[0].envelope
            assert envelope is not None
            assert envelope.version == "3.0", path.name
