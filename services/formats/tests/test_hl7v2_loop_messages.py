"""Referrals, appointments, arrivals and documents as practice systems really send them."""

import base64
import hashlib

import pytest

from baton_formats.facts import Appointment, Arrival, Document, Identifier, PatientChange, Referral
from baton_formats.findings import Message
from baton_formats.hl7v2 import read

PID = "PID|1||42^^^CLINIC^MR||Testperson^Ada||19700101|F"
SCH = "SCH|P1^OFF|F1^CLI||||ROUTINE|CHECK|VISIT|30|min|^^30^20260301090000^20260301093000||||||||||||||Booked"
PDF = b"%PDF-1.4 sample"


def only(kind: str, *segments: str) -> Message:
    head = f"MSH|^~\\&|APP|CLINIC|US|HERE|20260102030405||{kind}|C1|P|2.5.1"
    (message,) = read("\r".join((head, *segments)).encode()).messages
    return message


def where(message: Message, code: str) -> list[str]:
    return [finding.where for finding in message.findings if finding.code == code]


def referral(kind: str, *segments: str) -> Referral:
    fact = only(kind, *segments).facts[0]
    assert isinstance(fact, Referral)
    return fact


def appointment(kind: str, *segments: str) -> Appointment:
    fact = only(kind, *segments).facts[0]
    assert isinstance(fact, Appointment)
    return fact


def document(kind: str, *segments: str) -> Document:
    fact = only(kind, *segments).facts[0]
    assert isinstance(fact, Document)
    return fact


RF1 = "RF1|P^Pending|R^Routine|||O|R-1^OFFICE|20260101|20260301|20260102|S|X-9^PORTAL~X-10^PAYER"
PRD_RP = (
    "PRD|RP^Referring|Muster^Max^^^Dr|1 Road^^Town|^^^Facility|^WPN^PH^^^^^^^^^555-0100||N1^LN~1234567893^NPI"
)
PRD_RT = "PRD|RT|Sample^Sue"


def test_a_referral_keeps_all_its_numbers_with_their_namespaces() -> None:
    fact = referral("REF^I12", RF1, PRD_RP, PRD_RT, PID)
    assert fact.placer == Identifier("R-1", authority="OFFICE", type="PLAC")
    assert [(n.value, n.authority) for n in fact.identifiers] == [
        ("R-1", "OFFICE"),
        ("X-9", "PORTAL"),
        ("X-10", "PAYER"),
    ]
    assert fact.filler is None


def test_a_referral_names_referrer_and_specialist_from_prd() -> None:
    fact = referral("REF^I12", RF1, PRD_RP, PRD_RT, PID)
    assert fact.referrer is not None
    assert fact.referrer.practitioner is not None
    assert fact.referrer.organization is not None
    assert fact.referrer.practitioner.npi == "1234567893"
    assert fact.referrer.practitioner.telecom[0].value == "555-0100"
    assert fact.referrer.organization.name == "Facility"
    assert [p.practitioner.names[0].family for p in fact.performers if p.practitioner] == ["Sample"]


def test_the_provider_segment_wins_over_the_visits_referring_doctor() -> None:
    message = only("REF^I12", RF1, PRD_RP, PID, "PV1|1|O||||||9^Other^Doctor")
    assert where(message, "referrer-disagrees") == ["PV1-8"]
    alone = only("REF^I12", RF1, PID, "PV1|1|O||||||9^Other^Doctor")
    assert where(alone, "referrer-from-visit") == ["PV1-8"]
    assert where(only("REF^I12", RF1, PID), "referrer-missing") == ["PRD-1"]


@pytest.mark.parametrize(
    ("kind", "state", "action", "status"),
    [
        ("REF^I12", "P", "new", "active"),
        ("REF^I13", "P", "update", "active"),
        ("REF^I13", "A", "accept", "active"),
        ("REF^I13", "R", "decline", None),
        ("REF^I14", "P", "cancel", "revoked"),
        ("REF^I15", "", "query", None),
        ("RRI^I12", "A", "accept", "active"),
        ("RRI^I12", "Rejected", "decline", None),
        ("RRI^I12", "P", "status", "active"),
        ("RRI^I14", "P", "cancel", "revoked"),
    ],
)
def test_the_event_says_what_happened_to_a_referral(
    kind: str, state: str, action: str, status: str | None
) -> None:
    fact = referral(kind, f"RF1|{state}|R||||R-1^OFFICE", PID)
    assert (fact.action, fact.status) == (action, status)


def test_a_cancellation_that_still_says_pending_is_a_finding() -> None:
    assert where(only("REF^I14", RF1, PRD_RP, PID), "status-contradicts-event") == ["RF1-1"]


def test_dates_priority_and_wishes_of_a_referral() -> None:
    fact = referral("REF^I12", "RF1|P|S||AM~WR||R-1^O|20260101|20260301", PRD_RP, PID)
    assert (fact.priority, fact.dispositions) == ("stat", ("assume_management", "written_report"))
    assert fact.effective_at is not None
    assert fact.expires_at is not None
    assert (fact.effective_at.iso, fact.expires_at.iso) == ("2026-01-01", "2026-03-01")


def test_an_unknown_priority_is_a_finding_and_not_a_guess() -> None:
    message = only("REF^I12", "RF1|P|soonish||||R-1^O", PRD_RP, PID)
    assert where(message, "priority-unknown") == ["RF1-2"]
    assert getattr(message.facts[0], "priority", "") is None


def test_an_answer_is_matched_with_and_without_its_acknowledgement() -> None:
    plain = referral("RRI^I12", "RF1|A|||||R-1^OFFICE|||||F-7^CLINIC", PID)
    assert plain.filler == Identifier("F-7", authority="CLINIC", type="FILL")
    message = only("RRI^I12", "MSA|AA|OUR-1", "RF1|A|||||R-1^OFFICE", PID)
    assert [fact.kind for fact in message.facts] == ["acknowledgement", "referral"]


def test_a_referral_without_a_number_is_read_and_says_so() -> None:
    assert where(only("REF^I12", "RF1|P|R", PRD_RP, PID), "referral-id-missing") == ["RF1-6"]


def test_misordered_and_missing_segments_change_nothing_but_findings() -> None:
    usual = referral("REF^I12", RF1, PRD_RP, PID, "DG1|1||I25.10^Heart disease^I10", "IN1|1|PLAN|7|Payer")
    mixed = referral("REF^I12", "IN1|1|PLAN|7|Payer", PID, "DG1|1||I25.10^Heart disease^I10", PRD_RP, RF1)
    assert usual == mixed
    assert where(only("REF^I12", PRD_RP, PID), "referral-segment-missing") == ["RF1"]


@pytest.mark.parametrize(
    ("kind", "orc", "action", "status"),
    [
        ("OMG^O19", "NW", "new", "active"),
        ("OMG^O19", "CA", "cancel", "revoked"),
        ("OSU^O51", "SR|R-1|||IP", "accept", "active"),
        ("OSU^O51", "SC|R-1|||CA", "decline", None),
        ("OSU^O51", "SC|R-1|||IP", "accept", "active"),
        ("OSU^O51", "CA|R-1", "cancel", "revoked"),
        ("ORM^O01", "XO|R-1", "update", None),
        ("ORM^O01", "DC|R-1", "cancel", "revoked"),
    ],
)
def test_an_order_says_by_control_and_status_what_happened(
    kind: str, orc: str, action: str, status: str | None
) -> None:
    fact = referral(kind, f"ORC|{orc}", PID)
    assert (fact.action, fact.status) == (action, status)


def test_an_order_without_a_patient_is_the_360x_case() -> None:
    message = only("OMG^O19", "ORC|NW|REF-1001|||")
    assert [fact.kind for fact in message.facts] == ["referral"]
    assert not where(message, "patient-missing")


def test_each_order_is_a_referral_with_its_own_details() -> None:
    message = only(
        "ORM^O01",
        PID,
        "OBR|1|A1||X^One",
        "ORC|NW|B1",
        "OBR|2|B1||Y^Two",
        "NTE|1||only two",
        "OBR|3|C1||Z^Three",
    )
    facts = [fact for fact in message.facts if isinstance(fact, Referral)]
    assert [f.service.label for f in facts if f.service] == ["One", "Two", "Three"]
    assert [len(f.notes) for f in facts] == [0, 1, 0]
    assert all(f.patient for f in facts)


@pytest.mark.parametrize(
    ("event", "action", "status"),
    [
        ("S12", "booked", "booked"),
        ("S13", "rescheduled", "booked"),
        ("S14", "modified", "booked"),
        ("S15", "cancelled", "cancelled"),
        ("S16", "discontinued", "cancelled"),
        ("S17", "deleted", "entered-in-error"),
        ("S26", "no_show", "noshow"),
    ],
)
def test_the_event_stands_over_the_status_text(event: str, action: str, status: str) -> None:
    fact = appointment(f"SIU^{event}", SCH, PID)
    assert (fact.action, fact.status) == (action, status)
    contradicted = where(only(f"SIU^{event}", SCH, PID), "status-contradicts-event")
    assert contradicted == ([] if status == "booked" else ["SCH-25"])


@pytest.mark.parametrize(
    ("word", "action", "status"),
    [
        ("Started", "arrived", "arrived"),
        ("Complete", "completed", "fulfilled"),
        ("Cancelled", "modified", "booked"),
        ("At desk 3", "modified", "booked"),
    ],
)
def test_only_a_modification_takes_progress_from_the_status(word: str, action: str, status: str) -> None:
    fact = appointment("SIU^S14", SCH.replace("Booked", word), PID)
    assert (fact.action, fact.status) == (action, status)


TIMES = {
    "AIS": "AIS|1|A|X^Exam|20260301110000",
    "AIP": "AIP|1|A|7^Muster^Max|||20260301100000",
    "AIL": "AIL|1|A|^Room 1|||20260301103000",
    "TQ1": "TQ1|1||||||20260301120000|20260301123000",
}


@pytest.mark.parametrize(
    ("present", "start"),
    [
        (("AIS", "AIP", "AIL", "TQ1"), "11:00"),
        (("AIP", "AIL", "TQ1"), "10:00"),
        (("AIL", "TQ1"), "10:30"),
        (("TQ1",), "12:00"),
        ((), "09:00"),
    ],
)
def test_the_best_source_of_the_start_is_believed_and_the_others_are_findings(
    present: tuple[str, ...], start: str
) -> None:
    segments = (SCH, PID, "RGS|1", *(TIMES[name] for name in present))
    fact = appointment("SIU^S12", *segments)
    assert fact.start is not None
    assert fact.start.iso == f"2026-03-01T{start}:00"
    disagreeing = where(only("SIU^S12", *segments), "times-disagree")
    assert ("SCH-11" in disagreeing) == bool(present)


def test_start_and_end_are_believed_before_durations() -> None:
    fact = appointment(
        "SIU^S12", SCH.replace("|30|min|", "|60|s|"), "TQ1|1||||||20260301090000|20260301095000", PID
    )
    assert fact.duration_minutes == 50
    assert fact.end is not None
    assert fact.end.iso == "2026-03-01T09:50:00"


@pytest.mark.parametrize(
    ("value", "unit", "minutes"),
    [
        ("15", "MIN", 15),
        ("1", "h", 60),
        ("900", "s", 15),
        ("45", "m^Minutes", 45),
        ("30", "min^Minutes^ISO", 30),
        ("15", "fortnights", None),
        ("x", "min", None),
        ("99999", "min", None),
    ],
)
def test_durations_need_a_unit_that_makes_sense(value: str, unit: str, minutes: int | None) -> None:
    assert (
        appointment("SIU^S12", f"SCH||F1|||||||{value}|{unit}|^^^20260301090000", PID).duration_minutes
        == minutes
    )


def test_equal_moments_with_other_offsets_do_not_disagree() -> None:
    message = only(
        "SIU^S12",
        SCH.replace("20260301090000^", "20260301090000+0100^"),
        PID,
        "RGS|1",
        "AIS|1||X|20260301080000+0000",
    )
    assert not where(message, "times-disagree")


def test_a_patient_before_the_schedule_and_no_placer_number_are_fine() -> None:
    fact = appointment("SIU^S12", PID, "SCH||F1|||||||15|MIN|^^^202603011300")
    assert fact.placer is None
    assert fact.filler == Identifier("F1", type="FILL")
    assert fact.start is not None
    assert fact.start.iso == "2026-03-01T13:00"


def test_a_clinician_in_the_equipment_segment_is_found_by_its_shape() -> None:
    fact = appointment("SIU^S12", SCH, PID, "AIG|1||7^Muster^Max^A^^^MD|P")
    assert [p.practitioner.names[0].family for p in fact.clinicians if p.practitioner] == ["Muster"]
    camera = appointment("SIU^S12", SCH, PID, "RGS|1", "AIG|1||5001^Video colonoscope^L|EQ")
    assert camera.clinicians == ()


def test_resource_groups_with_other_times_are_other_appointments() -> None:
    segments = (
        SCH,
        "NTE|1||for both",
        PID,
        "RGS|1",
        "AIS|1||X^One|20260301090000",
        "AIP|1||7^Muster",
        "RGS|2",
        "AIS|1||Y^Two|20260302090000",
        "AIL|1||^Room 2",
    )
    message = only("SIU^S12", *segments)
    facts = [fact for fact in message.facts if isinstance(fact, Appointment)]
    assert [(f.id, f.start.iso if f.start else None, f.services[0].label) for f in facts] == [
        ("1", "2026-03-01T09:00:00", "One"),
        ("2", "2026-03-02T09:00:00", "Two"),
    ]
    assert [len(f.clinicians) for f in facts] == [1, 0]
    assert [[note.text for note in f.notes] for f in facts] == [["for both"], ["for both"]]
    assert where(message, "several-appointments") == ["RGS"]


def test_resource_groups_that_start_together_are_one_appointment() -> None:
    message = only(
        "SIU^S12",
        SCH,
        PID,
        "RGS|1",
        "AIP|1||7^Muster|||20260301090000",
        "RGS|2",
        "AIL|1||^Room 2|||20260301090000",
    )
    (fact,) = message.facts
    assert isinstance(fact, Appointment)
    assert fact.id is None
    assert fact.location is not None
    assert len(fact.clinicians) == 1


def test_the_text_of_a_note_is_found_in_both_fields() -> None:
    fact = appointment("SIU^S13", SCH, "NTE||Moved by the clinic.", "NTE|1|L|Bring films", "NTE|2|L", PID)
    assert [note.text for note in fact.notes] == ["Moved by the clinic.", "Bring films"]


def test_the_referral_numbers_of_a_booking_are_kept() -> None:
    fact = appointment("SIU^S12", SCH + "|R-1^OFFICE|X-9^PORTAL", PID)
    assert fact.referrals == (
        Identifier("R-1", authority="OFFICE", type="PLAC"),
        Identifier("X-9", authority="PORTAL", type="FILL"),
    )


def test_a_left_over_event_reason_is_no_cancellation_reason() -> None:
    kept = appointment("SIU^S15", SCH.replace("ROUTINE", "PATIENT^Patient is ill"), PID)
    assert kept.cancellation_reason is not None
    assert appointment("SIU^S15", SCH.replace("ROUTINE", "Add"), PID).cancellation_reason is None


def test_a_booking_without_schedule_and_patient_is_for_a_person() -> None:
    message = only("SIU^S12", "OBX|1|TX|||note")
    assert {finding.code for finding in message.findings if finding.refusing} == {
        "appointment-missing",
        "patient-missing",
    }


def test_several_patients_of_one_booking_are_all_kept() -> None:
    fact = appointment("SIU^S12", SCH, PID, "PID|2||43^^^CLINIC||Other^Bob")
    assert [p.patient.names[0].family for p in fact.participants if p.patient] == ["Other"]


@pytest.mark.parametrize(
    ("event", "action"), [("A01", "admitted"), ("A04", "arrived"), ("A03", "finished"), ("A11", "cancelled")]
)
def test_an_arrival_names_the_visit_and_its_doctors(event: str, action: str) -> None:
    (fact,) = only(
        f"ADT^{event}",
        f"EVN|{event}|20260102",
        PID,
        "PV1|1|O|^Room 1||||1^Att^A|2^Ref^B|3^Con^C||||||||||V9^^^CLINIC^VN",
    ).facts
    assert isinstance(fact, Arrival)
    assert fact.action == action
    assert fact.visit[0].value == "V9"
    assert [p.practitioner.names[0].family for p in fact.referring if p.practitioner] == ["Ref"]


@pytest.mark.parametrize(("event", "action"), [("A08", "update"), ("A31", "update"), ("A28", "add")])
def test_a_change_of_identity_is_no_arrival(event: str, action: str) -> None:
    (fact,) = only(f"ADT^{event}", PID).facts
    assert isinstance(fact, PatientChange)
    assert fact.action == action


def test_a_merge_names_what_is_replaced_pair_by_pair() -> None:
    message = only("ADT^A40", PID, "MRG|41^^^CLINIC", "PID|2||50^^^CLINIC||Other", "MRG|51^^^CLINIC")
    pairs = [
        (f.patient.identifiers[0].value if f.patient else None, [r.value for r in f.replaced])
        for f in message.facts
        if isinstance(f, PatientChange)
    ]
    assert pairs == [("42", ["41"]), ("50", ["51"])]


def test_a_merge_that_names_no_source_is_marked_for_doors() -> None:
    assert "merge-without-source" in {f.code for f in only("ADT^A40", PID).findings if f.refusing}


def test_another_event_in_evn_is_a_finding_and_not_believed() -> None:
    message = only("ADT^A04", "EVN|A01|20260102", PID, "PV1|1|O")
    assert where(message, "event-conflict") == ["EVN-1"]
    assert getattr(message.facts[0], "action", None) == "arrived"


TXA = "TXA|1|CN|TX|20260102||20260102|||7^Muster^Max|||D1^CLINIC|D0^CLINIC|R-1^OFFICE|||{}||AV"


@pytest.mark.parametrize(
    ("code", "signed", "status"),
    [
        ("AU", "signed", "final"),
        ("LA", "signed", "final"),
        ("DI", "unsigned", "interim"),
        ("DO", "unsigned", "interim"),
        ("IN", "unsigned", "interim"),
        ("IP", "unsigned", "interim"),
        ("PA", "unsigned", "interim"),
        ("", "unknown", "unknown"),
        ("OK", "unknown", "unknown"),
    ],
)
def test_a_document_is_signed_only_if_it_says_so(code: str, signed: str, status: str) -> None:
    fact = document("MDM^T02", PID, TXA.format(code), "OBX|1|TX|||text")
    assert fact.signature is not None
    assert (fact.signature.status, fact.status) == (signed, status)


@pytest.mark.parametrize(
    ("event", "action", "status", "relation"),
    [
        ("T01", "notice", "final", None),
        ("T02", "new", "final", None),
        ("T06", "addendum", "addendum", "appends"),
        ("T08", "edit", "corrected", "replaces"),
        ("T10", "replace", "corrected", "replaces"),
        ("T11", "cancel", "retracted", None),
    ],
)
def test_the_event_says_what_happened_to_a_document(
    event: str, action: str, status: str, relation: str | None
) -> None:
    fact = document(f"MDM^{event}", PID, TXA.format("AU"), "OBX|1|TX|||text")
    assert (fact.action, fact.status, fact.relation) == (action, status, relation)
    assert [parent.value for parent in fact.parents] == ["D0"]
    assert fact.referrals[0] == Identifier("R-1", authority="OFFICE", type="PLAC")


def test_text_spread_over_segments_is_joined_in_set_id_order() -> None:
    fact = document(
        "MDM^T02",
        PID,
        TXA.format("AU"),
        "OBX|2|TX|||second",
        "OBX|1|FT|||first\\.br\\line~again",
        "OBX|10|TX|||last",
    )
    assert str(fact.text) == "first\nline\nagain\nsecond\nlast"


def test_an_embedded_file_is_decoded_and_hashed() -> None:
    data = base64.b64encode(PDF).decode()
    (file,) = document(
        "MDM^T02", PID, TXA.format("AU"), f"OBX|1|ED|L^Letter||^application^pdf^Base64^{data}"
    ).attachments
    assert (file.content, file.media_type, file.title) == (PDF, "application/pdf", "Letter")
    assert (file.size, file.sha256) == (len(PDF), hashlib.sha256(PDF).hexdigest())


@pytest.mark.parametrize("cut", ["segments", "repetitions", "lines"])
def test_a_file_in_parts_is_joined(cut: str) -> None:
    whole = PDF + bytes(range(200))
    data = base64.b64encode(whole).decode()
    a, b, c = data[:80], data[80:160], data[160:]
    ed = "^application^pdf^Base64^"
    segments = {
        "segments": [f"OBX|1|ED|L||{ed}{a}", f"OBX|3|ED|L||{ed}{c}", f"OBX|2|ED|L||{ed}{b}"],
        "repetitions": [f"OBX|1|ED|L||{ed}{a}~{b}~{c}"],
        "lines": [f"OBX|1|ED|L||{ed}{a}", b, c],
    }[cut]
    (file,) = document("MDM^T02", PID, TXA.format("AU"), *segments).attachments
    assert file.content == whole


def test_two_whole_files_stay_two_files() -> None:
    data = base64.b64encode(PDF).decode()
    ed = f"^application^pdf^Base64^{data}"
    assert (
        len(document("MDM^T02", PID, TXA.format("AU"), f"OBX|1|ED|L||{ed}", f"OBX|2|ED|L||{ed}").attachments)
        == 2
    )


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("^application^pdf^Base64^", "content-missing"),
        ("^AP^^Base64^[base64 encoded document]", "base64-broken"),
        ("^application^pdf^Base64^QUJ", "base64-broken"),
        ("^application^pdf^Hex^zz", "hex-broken"),
        ("^application^pdf^Base64^QUJD", "media-type-disagrees"),
    ],
)
def test_a_broken_or_empty_file_is_a_finding_and_the_document_is_kept(value: str, code: str) -> None:
    message = only("MDM^T02", PID, TXA.format("AU"), f"OBX|1|ED|L||{value}")
    assert where(message, code) == ["OBX-5"]
    assert len(getattr(message.facts[0], "attachments", ())) == 1


def test_an_image_is_known_by_its_first_bytes() -> None:
    data = base64.b64encode(b"\xff\xd8\xff\xe0 image").decode()
    (file,) = document("MDM^T02", PID, TXA.format("AU"), f"OBX|1|ED|L||^IM^JPEG^Base64^{data}").attachments
    assert file.media_type == "image/jpeg"


def test_a_file_elsewhere_is_named_and_never_fetched() -> None:
    (file,) = document(
        "MDM^T02", PID, TXA.format("AU"), "OBX|1|RP|L||https://example.org/x.pdf^^application^pdf"
    ).attachments
    assert (file.url, file.content) == ("https://example.org/x.pdf", None)


def test_a_document_without_number_or_author_says_so() -> None:
    message = only("MDM^T02", PID, "TXA|1|CN|TX|20260102|||||||8^Typist^T||||||AU", "OBX|1|TX|||text")
    assert where(message, "document-id-missing") == ["TXA-12"]
    assert where(message, "author-in-transcriptionist") == ["TXA-11"]


def test_a_document_inside_an_admission_is_a_fact_of_its_own() -> None:
    message = only("ADT^A01", "EVN|A01", PID, "PV1|1|I", TXA.format("AU"), "OBX|1|TX|||text")
    assert [fact.kind for fact in message.facts] == ["arrival", "document"]


@pytest.mark.parametrize(
    ("code", "status", "signed"),
    [
        ("F", "final", "signed"),
        ("C", "corrected", "signed"),
        ("P", "interim", "unsigned"),
        ("X", "retracted", "unsigned"),
    ],
)
def test_a_report_is_final_by_its_result_status(code: str, status: str, signed: str) -> None:
    fact = document(
        "ORU^R01",
        PID,
        f"OBR|1|P1|F1|X^Report|||20260102||||||||||||||||||{code}",
        "OBX|1|NM|HB^Hemoglobin||14.2|g/dL|||||F",
    )
    assert fact.signature is not None
    assert (fact.status, fact.signature.status) == (status, signed)
    assert (fact.observations[0].value, fact.observations[0].unit) == ("14.2", "g/dL")


def test_each_report_of_a_message_has_its_own_results() -> None:
    message = only(
        "ORU^R01",
        PID,
        "ORC|RE|P0",
        "OBR|1|P1|F1|X",
        "OBX|1|TX|||one",
        "OBR|2|P2|F2|Y",
        "OBX|1|TX|||two",
        "OBX|2|NM|||3",
    )
    facts = [fact for fact in message.facts if isinstance(fact, Document)]
    assert [(f.identifiers[0].value, str(f.text), len(f.observations)) for f in facts] == [
        ("F1", "one", 0),
        ("F2", "two", 1),
    ]


def test_the_ordering_office_comes_with_number_address_and_phone() -> None:
    xon = "Sample Office^L^^^^NPI&2.16.840.1.113883.4.6&ISO^NPI^^^1234567893"
    office = f"{xon}|1 Road^^Town|555-0100^WPN^PH"
    fact = referral("OMG^O19", PID, f"ORC|NW|R-1||||||||||7^Muster^Max||555-0101^WPN^PH|||||||{office}")
    assert fact.referrer is not None
    assert fact.referrer.practitioner is not None
    assert fact.referrer.organization is not None
    assert (fact.referrer.organization.name, fact.referrer.organization.npi) == (
        "Sample Office",
        "1234567893",
    )
    assert fact.referrer.organization.addresses[0].city == "Town"
    assert fact.referrer.organization.telecom[0].value == "555-0100"
    assert fact.referrer.practitioner.telecom[0].value == "555-0101"


def test_a_number_called_npi_must_pass_its_check_digit() -> None:
    message = only("OMG^O19", PID, "ORC|NW|R-1||||||||||1111111111^Muster^Max^^^^^^NPI")
    assert where(message, "npi-check-digit") == ["ORC-12"]
    fact = message.facts[0]
    assert isinstance(fact, Referral)
    assert fact.referrer is not None
    assert fact.referrer.practitioner is not None
    assert fact.referrer.practitioner.npi is None
    assert fact.referrer.practitioner.identifiers[0].value == "1111111111"


def test_an_order_without_any_order_is_for_a_person() -> None:
    message = only("ORM^O01", PID)
    assert where(message, "order-missing") == ["ORC"]
    assert [fact.kind for fact in message.facts] == ["patient"]


def test_the_real_kind_of_a_file_is_told_over_the_declared_one() -> None:
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n pixels").decode()
    message = only("MDM^T02", PID, TXA.format("AU"), f"OBX|1|ED|L||^application^msword^Base64^{data}")
    assert where(message, "media-type-disagrees") == ["OBX-5"]
    fact = message.facts[0]
    assert isinstance(fact, Document)
    assert fact.attachments[0].media_type == "image/png"


def test_a_file_as_hexadecimal_or_plain_text_is_decoded() -> None:
    hexed = document("MDM^T02", PID, TXA.format("AU"), f"OBX|1|ED|L||^application^pdf^Hex^{PDF.hex()}")
    plain = document("MDM^T02", PID, TXA.format("AU"), "OBX|1|ED|L||^TEXT^plain^A^Dear \\T\\ all")
    assert hexed.attachments[0].content == PDF
    assert (plain.attachments[0].content, plain.attachments[0].media_type) == (b"Dear & all", "text/plain")


def test_coded_values_of_a_document_are_results_in_words() -> None:
    fact = document("MDM^T02", PID, TXA.format("AU"), "OBX|1|CWE|X^Smoker^L||Y^Yes^L~N^No^L||||||F")
    assert [(o.code.label if o.code else None, o.value) for o in fact.observations] == [("Smoker", "Yes; No")]


def test_an_event_that_changes_nothing_is_said() -> None:
    assert where(only("SIU^S23", SCH, PID), "event-not-used") == ["MSH-9"]
    assert where(only("ADT^A62", PID), "event-not-used") == ["MSH-9"]
    assert where(only("MDM^T99", PID, TXA.format("AU"), "OBX|1|TX|||x"), "event-not-used") == ["MSH-9"]
