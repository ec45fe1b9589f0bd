"""A message that was read and is written again is a message of the same kind, and says the same."""

import time
from dataclasses import replace

import pytest

from baton_formats.facts import (
    Acknowledgement,
    Appointment,
    Arrival,
    Coding,
    Concept,
    Document,
    Fact,
    HumanName,
    Identifier,
    Issue,
    Note,
    Party,
    Patient,
    PatientChange,
    Practitioner,
    Referral,
    Section,
    Signature,
    Text,
)
from baton_formats.findings import Envelope
from baton_formats.hl7v2 import read, write

PID = "PID|1||42^^^CLINIC^MR||Testperson^Ada||19700101|F"
PLACER = Identifier("R-1", authority="OFFICE", type="PLAC")
FULL = Concept((Coding("FULL", "L", "No free slot"),))
KINDS = {
    "REF": write.referral,
    "RRI": write.referral_response,
    "OMG": write.order,
    "ORM": write.general_order,
}
KINDS["OSU"] = write.order_status


def text(kind: str, *segments: str, version: str = "2.5.1") -> bytes:
    head = f"MSH|^~\\&|APP|CLINIC|US|HERE|20260102030405||{kind}|C1|P|{version}"
    return "\r".join((head, *segments)).encode()


def envelope(event: str | None = None, version: str = "2.5.1") -> Envelope:
    return Envelope(control_id="C1", version=version, event=event)


def kind_of(body: bytes) -> str:
    return body.split(b"|")[8].decode()


def read_referral(body: bytes) -> Referral:
    (fact,) = [fact for fact in read(body).facts if isinstance(fact, Referral)]
    return fact


# ---- code and event ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fact", "code", "event", "kind"),
    [
        (Referral(action="new"), "REF", "O19", "REF^I12^REF_I12"),
        (Referral(action="cancel"), "REF", "I12", "REF^I14^REF_I12"),
        (Referral(action="accept"), "RRI", "O51", "RRI^I12^RRI_I12"),
        (Referral(action="accept"), "RRI", "I14", "RRI^I12^RRI_I12"),
        (Referral(action="new"), "OMG", "O01", "OMG^O19^OMG_O19"),
        (Referral(action="new"), "ORM", "I12", "ORM^O01^ORM_O01"),
        (Referral(action="decline"), "OSU", "I12", "OSU^O51^OSU_O51"),
        (Appointment(action="modified"), None, "S18", "SIU^S18^SIU_S12"),
        (Appointment(action="cancelled"), None, "S12", "SIU^S15^SIU_S12"),
        (Appointment(status="noshow"), None, None, "SIU^S26^SIU_S12"),
        (Document(action="new"), None, "R01", "MDM^T02^MDM_T02"),
        (Document(action="status"), None, "T04", "MDM^T04^MDM_T02"),
        (Document(action="replace"), None, "T02", "MDM^T10^MDM_T02"),
        (PatientChange(action="update"), None, "A08", "ADT^A08^ADT_A01"),
        (PatientChange(action="update"), None, "A04", "ADT^A31^ADT_A05"),
        (PatientChange(action="delete"), None, None, "ADT^A29^ADT_A21"),
        (Arrival(action="cancelled"), None, "A04", "ADT^A11^ADT_A09"),
        (Arrival(action="status"), None, "A02", "ADT^A02^ADT_A02"),
        (Acknowledgement(code="AA"), None, "I12", "ACK^I12^ACK"),
        (Acknowledgement(code="AA"), None, "http://example.org/event", "ACK"),
    ],
)
def test_an_event_is_written_only_where_it_says_what_the_fact_says(
    fact: Fact, code: str | None, event: str | None, kind: str
) -> None:
    assert kind_of(write.message(fact, envelope=envelope(event), code=code)) == kind


def test_general_orders_are_written_as_clinical_ones_where_the_version_has_none() -> None:
    body = write.message(Referral(action="new"), envelope=envelope(version="2.8"), code="ORM")
    assert kind_of(body) == "OMG^O19^OMG_O19"


@pytest.mark.parametrize(
    ("fact", "code"),
    [
        (Referral(action="new"), "SIU"),
        (Referral(action="sing"), "REF"),
        (Appointment(action="sing"), None),
        (Document(action="sing"), None),
        (Arrival(action="status"), None),
        (PatientChange(action="arrived"), None),
    ],
)
def test_what_no_message_says_is_refused(fact: Fact, code: str | None) -> None:
    with pytest.raises(ValueError, match=r"HL7 v2 says it|no message of this code"):
        write.message(fact, envelope=envelope(), code=code)


def test_an_acknowledgement_goes_out_as_it_came_in() -> None:
    body = text(
        "ACK^I12", "MSA|AE|X1|not today", "ERR||PID^1^5|101^Required field missing^HL70357|E||||no name"
    )
    (message,) = read(body).messages
    (fact,) = message.facts
    assert message.envelope is not None
    (again,) = read(write.message(fact, envelope=message.envelope)).messages
    assert again.type == "ACK^I12"
    assert again.facts == (fact,)
    assert again.envelope is not None
    assert (again.envelope.sender, again.envelope.control_id) == (message.envelope.sender, "C1")


def test_an_answer_keeps_its_acknowledgement() -> None:
    answer = Acknowledgement(
        code="AE", acknowledges="X1", text="no", issues=(Issue("E", "101", "PID-5", "name"),)
    )
    fact = Referral(action="decline", identifiers=(PLACER,), placer=PLACER)
    body = write.message(fact, envelope=envelope(), code="RRI", answers=answer)
    assert read(body).facts[0] == answer


@pytest.mark.parametrize(
    "segments",
    [
        ("OMG^O19", PID, "ORC|NW|R-1^A", "OBR|1|R-1^A||57133-1^Referral^LN"),
        ("ORM^O01", PID, "ORC|XO|R-1^A||||^^^20260105^20260110^S", "OBR|1|R-1^A||57133-1^Referral^LN"),
        ("OSU^O51", PID, "ORC|SC|R-1^A|F-1^B||HD||||||||||FULL^No free slot^L"),
        ("OSU^O51", PID, "ORC|CA|R-1^A|F-1^B"),
        ("REF^I13", "RF1|P|R||||R-1^A", "ORC|XO|||||||||||||||FULL^No free slot^L", PID),
        ("REF^I15", "RF1|P|R||||R-1^A", PID),
        ("RRI^I13", "MSA|AA|X", "RF1|A|R||||R-1^A|||||F-1^B~77^C", PID),
        ("RRI^I14", "RF1|P|R||||R-1^A|||||F-1^B", PID),
        ("SIU^S20", "SCH|1^A|2^B|||||||||^^^202601010900", PID),
        ("ADT^A08", "EVN|A08|20260102", PID),
        ("ADT^A06", "EVN|A06|20260102", PID, "PV1|1|I|||||||||||||||||V1^^^CLINIC"),
        ("MDM^T05", "EVN|T05", PID, "TXA|1|CN|TX|20260101||||||||D-1|D-0||||AU||AV"),
    ],
    ids=lambda segments: segments[0],
)
def test_a_message_is_written_again_as_the_same_kind_with_the_same_facts(segments: tuple[str, ...]) -> None:
    (message,) = read(text(*segments)).messages
    fact = message.facts[-1]
    assert message.envelope is not None
    code = message.type[:3] if isinstance(fact, Referral) else None
    (again,) = read(write.message(fact, envelope=message.envelope, code=code)).messages
    assert (again.type, again.facts[-1]) == (message.type, fact)


# ---- what is deleted, signed, asked for --------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "birth_date",
        "gender",
        "telecom",
        "addresses",
        "language",
        "marital_status",
        "deceased",
        "deceased_at",
        "general_practitioners",
    ],
)
def test_what_a_patient_was_cleared_of_stays_cleared(name: str) -> None:
    patient = Patient(
        identifiers=(Identifier("42", authority="CLINIC"),), names=(HumanName("Testperson"),), cleared=(name,)
    )
    body = write.patient_change(PatientChange("update", patient), envelope=envelope())
    (fact,) = read(body).facts
    assert isinstance(fact, PatientChange)
    assert fact.patient == patient


def test_a_field_with_a_value_is_never_written_as_deleted() -> None:
    patient = Patient(names=(HumanName("Testperson"),), gender="female", cleared=("gender",))
    assert b'""' not in write.patient_change(PatientChange("update", patient), envelope=envelope())


@pytest.mark.parametrize(
    ("code", "signed", "status"),
    [("F", "signed", "final"), ("C", "signed", "corrected"), ("P", "unsigned", "interim")],
)
def test_a_report_written_as_a_document_is_as_final_as_it_was(code: str, signed: str, status: str) -> None:
    report = text(
        "ORU^R01", PID, f"OBR|1|P1|F1|X^Report|||20260102||||||||||||||||||{code}", "OBX|1|TX|||text"
    )
    (message,) = read(report).messages
    assert message.envelope is not None
    (fact,) = read(write.message(message.facts[0], envelope=message.envelope)).facts
    assert isinstance(fact, Document)
    assert fact.signature is not None
    assert (fact.signature.status, fact.status) == (signed, status)


def test_a_documents_content_is_written_under_an_event_that_has_some() -> None:
    fact = Document(action="addendum", signature=Signature("signed"), attachments=())
    assert kind_of(write.document(fact, envelope=envelope("T05"))).startswith("MDM^T05")
    told = read(text("MDM^T05", PID, "TXA|1|CN|TX", "OBX|1|TX|||words")).facts[0]
    assert isinstance(told, Document)
    assert kind_of(write.document(told, envelope=envelope("T05"))).startswith("MDM^T06")


# ---- why, who, what ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", list(KINDS))
@pytest.mark.parametrize(
    ("action", "status"),
    [("cancel", "revoked"), ("accept", "active"), ("update", "active"), ("decline", None), ("status", None)],
)
def test_why_the_state_changed_never_becomes_a_clinical_reason(
    code: str, action: str, status: str | None
) -> None:
    clinical = Concept((Coding("I25.10", "I10", "Heart disease"),))
    fact = Referral(action, (PLACER,), PLACER, status=status, status_reason=FULL, reasons=(clinical,))
    back = read_referral(KINDS[code](fact, envelope=envelope()))
    assert (back.status_reason, back.reasons) == (FULL, (clinical,))


@pytest.mark.parametrize(("kind", "state"), [("REF^I14", "P"), ("RRI^I14", "P"), ("REF^I13", "E")])
def test_a_code_for_why_it_was_referred_is_no_reason_for_the_end(kind: str, state: str) -> None:
    fact = read_referral(
        text(kind, f"RF1|{state}|||||R-1||||O^Provider Ordered^HL70336~FULL^No free slot^L", PID)
    )
    assert fact.status_reason == FULL
    assert [reason.code for reason in fact.reasons] == ["O"]


def test_further_reasons_of_a_refusal_are_a_finding() -> None:
    result = read(text("RRI^I12", "RF1|R|||||R-1||||FULL^No free slot^L~FAR^Too far^L", PID))
    assert [one.where for one in result.all_findings if one.code == "several-status-reasons"] == ["RF1-10"]


def test_an_order_keeps_who_is_asked_and_what() -> None:
    asked = Party(
        practitioner=Practitioner(names=(HumanName("Muster"),)), role=Concept((Coding("RT", "HL70286"),))
    )
    numbers = (PLACER, Identifier("X-9", authority="PORTAL"))
    fact = Referral(
        "new",
        numbers,
        PLACER,
        status="active",
        intent="order",
        categories=(Concept((Coding("Med", "L"),)),),
        question="Which knee?",
        dispositions=("written_report",),
        disposition_codes=(Concept((Coding("WR", "HL70282"),)),),
        performers=(asked,),
        authorizations=(Identifier("AUTH-1"),),
        notes=(Note("Bring films", "Sample Clerk"),),
        patient_instructions=("Nothing to eat before",),
    )
    assert read(write.order(fact, envelope=envelope())).facts == (fact,)


@pytest.mark.parametrize(("action", "status", "code"), [("decline", None, "CA"), ("status", "on-hold", "HD")])
def test_a_status_keeps_comments_service_and_reasons(action: str, status: str | None, code: str) -> None:
    fact = Referral(
        action,
        (PLACER,),
        PLACER,
        status=status,
        status_code=Concept((Coding(code),)),
        status_reason=FULL,
        intent="order",
        service=Concept((Coding("57133-1", "LN", "Referral"),)),
        reasons=(Concept((Coding("I25.10", "I10"),)),),
        reason_text="since March",
        question="Elsewhere?",
        notes=(Note("Please ask the other office"),),
    )
    assert read(write.order_status(fact, envelope=envelope())).facts == (fact,)


def test_the_answer_is_written_whatever_code_the_referral_came_with() -> None:
    pending = Referral(
        "accept", (PLACER,), PLACER, status="active", status_code=Concept((Coding("P", "HL70283"),))
    )
    for code in KINDS:
        assert read_referral(KINDS[code](pending, envelope=envelope())).action == "accept"
        declined = replace(pending, action="decline", status=None)
        assert read_referral(KINDS[code](declined, envelope=envelope())).action == "decline"


def test_only_the_first_external_number_of_an_answer_is_the_answering_one() -> None:
    fact = read_referral(text("RRI^I12", "RF1|A|||||R-1|||||F-1^B~X-1^C", PID))
    assert [(number.value, number.type) for number in fact.identifiers] == [
        ("R-1", "PLAC"),
        ("F-1", "FILL"),
        ("X-1", None),
    ]


def test_comments_before_the_first_order_belong_to_every_order() -> None:
    body = text(
        "OSU^O51", "NTE|1||to all", PID, "IN1|1|P", "NTE|2||also", "ORC|SC|1", "ORC|SC|2", "NTE|1||own"
    )
    facts = [fact for fact in read(body).facts if isinstance(fact, Referral)]
    assert [[note.text for note in fact.notes] for fact in facts] == [
        ["to all", "also"],
        ["to all", "also", "own"],
    ]


def test_what_all_orders_share_is_read_once() -> None:
    many = "~".join(map(str, range(1000)))
    shared = (PID, f"RF1|||{many}|{many}||1|||||{many}", *(f"DG1|{at}||C{at}" for at in range(200)))
    body = text("OMG^O19", *shared, *(f"AUT||||||A{at}" for at in range(200)), *["ORC|NW"] * 200)
    started = time.process_time()
    result = read(body)
    assert time.process_time() - started < 2.5
    assert len(result.facts) == 200


def test_sections_of_a_document_become_lines_of_its_text() -> None:
    inner = Section(title="Medication", text=Text.of("Drug A\t5 mg"))
    document = Document(
        text=Text.of("Dear colleague"),
        sections=(Section(title="Findings", text=Text.of("all well"), sections=(inner, Section())),),
    )
    (message,) = read(write.document(document, envelope=Envelope())).messages
    (found,) = [fact for fact in message.facts if isinstance(fact, Document)]
    assert str(found.text) == "Dear colleague\n\nFindings\nall well\n\nMedication\nDrug A\t5 mg"
