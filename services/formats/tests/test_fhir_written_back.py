"""Whatever a fact says is written as FHIR and read back, or there is a finding that names the field."""

from __future__ import annotations

import json
import typing
from dataclasses import fields, is_dataclass, replace
from types import UnionType
from typing import Any

import pytest

from baton_formats import facts as facts_module
from baton_formats import fhir
from baton_formats.facts import (
    FACT_TYPES,
    Acknowledgement,
    Address,
    Appointment,
    Arrival,
    Attachment,
    Coding,
    Communication,
    Concept,
    ContactPoint,
    Coverage,
    Document,
    Extension,
    Fact,
    HumanName,
    Identifier,
    Issue,
    Link,
    Note,
    Observation,
    Organization,
    PartialTime,
    Participant,
    Party,
    Patient,
    PatientChange,
    Period,
    Practitioner,
    Referral,
    Section,
    Signature,
    Slot,
    Task,
    TaskValue,
    Text,
)
from baton_formats.findings import Endpoint, Envelope
from baton_formats.rendering import to_plain

Json = dict[str, Any]

_ADA = Patient(
    identifiers=(Identifier(value="0042", system="http://example.org/mrn"),),
    names=(HumanName(family="Testperson", given=("Ada",)),),
)
_NOW = PartialTime(iso="2026-03-04T05:06:07+01:00")
_DISPOSITION = "http://terminology.hl7.org/CodeSystem/v2-0282"

_SAMPLES: dict[Any, Any] = {
    str: "Sampleword",
    int: 30,
    bool: True,
    bytes: b"Dear colleague",
    Text: Text.of("Sample words"),
    PartialTime: _NOW,
    Link: Link(reference="https://example.org/fhir/Basic/7", kind="Basic"),
    Patient: _ADA,
}
"""A value of each plain type; those of other classes are made of them."""
_FITTING: dict[tuple[type, str], Any] = {
    (Referral, "status"): "active",
    (Referral, "intent"): "plan",
    (Referral, "priority"): "urgent",
    (Referral, "dispositions"): ("second_opinion",),
    (Referral, "disposition_codes"): (Concept(codings=(Coding(code="SO", system=_DISPOSITION),)),),
    (Referral, "placer"): Identifier(value="P-1", type="PLAC"),
    (Referral, "filler"): Identifier(value="F-1", type="FILL"),
    (Task, "status"): "accepted",
    (Task, "intent"): "plan",
    (Task, "priority"): "urgent",
    (Task, "placer"): Identifier(value="P-1", type="PLAC"),
    (Task, "filler"): Identifier(value="F-1", type="FILL"),
    (TaskValue, "value_type"): "Integer",
    (TaskValue, "value"): "4",
    (Appointment, "status"): "booked",
    (Appointment, "placer"): Identifier(value="P-1", type="PLAC"),
    (Appointment, "filler"): Identifier(value="F-1", type="FILL"),
    (Arrival, "status"): "arrived",
    (Slot, "status"): "free",
    (Communication, "status"): "on-hold",
    (Communication, "priority"): "urgent",
    (Coverage, "status"): "active",
    (Document, "status"): "final",
    (Document, "availability"): "superseded",
    (Document, "relation"): "appends",
    (Patient, "gender"): "other",
    (Patient, "birth_date"): PartialTime(iso="1970-01"),
    (Practitioner, "gender"): "other",
    (Practitioner, "birth_date"): PartialTime(iso="1970-01"),
    (Practitioner, "npi"): "1234567893",
    (Organization, "npi"): "1063494177",
    (HumanName, "use"): "maiden",
    (ContactPoint, "system"): "fax",
    (ContactPoint, "use"): "work",
    (Address, "use"): "work",
    (Identifier, "use"): "secondary",
    (Identifier, "system"): "http://example.org/ids",
    (Identifier, "assigner"): "http://example.org/offices|7",
    (Coding, "system"): "http://example.org/codes",
    (Participant, "status"): "declined",
    (Participant, "required"): "optional",
    (Signature, "status"): "signed",
    (Observation, "status"): "final",
    (Observation, "category"): "result",
    (Observation, "value"): "4.50",
    (Issue, "severity"): "error",
    (Issue, "code"): "required",
    (Extension, "url"): "http://example.org/own",
    (Extension, "element"): "",
    (Extension, "type"): "String",
    (Extension, "extensions"): (),
    (Extension, "modifier"): False,
    (Attachment, "media_type"): "text/plain",
    (Attachment, "url"): "https://example.org/letter",
    (Attachment, "declared_hash"): "c2FtcGxl",
    (Section, "sections"): (),
    **{
        (cls, "patient_link"): Link(reference="https://example.org/fhir/Patient/7", kind="Patient")
        for cls in (Referral, Task, Appointment, Arrival, Document, Communication)
    },
    (Organization, "part_of"): Link(reference="https://example.org/fhir/Organization/7", kind="Organization"),
    (Period, "end"): PartialTime(iso="2026-03-05T05:06:07+01:00"),
}
_BESIDE: dict[type, dict[str, Any]] = {
    PatientChange: {"action": "merge", "replaced": (Identifier(value="0001"),)},
    Organization: {"name": "Sample Office"},
    Patient: {"names": _ADA.names},
}
"""What a fact needs besides the one field, to be that fact when it is read."""
_IN_BODY = {
    "referral.notes": "the first note is the question",
    "document.set_id": "DocumentReference.identifier",
    "document.sections": "a plain attachment",
    "document.text": "a plain attachment",
    "practitioner.roles": "PractitionerRole.code",
    "practitioner.specialties": "PractitionerRole.specialty",
    "acknowledgement.text": "OperationOutcome.issue",
    "patient.names.partner_family": "HumanName.family.extension",
}
"""Fields that stand in another place of the body than the one they are read from."""
_OF_THE_WIRE = {"id", "link", "resolved", "sha256", "size", "declared_hash"}
"""What follows from being written."""


def sample(owner: type, name: str, hint: Any, depth: int = 0) -> Any:
    """A value for one field, made of its type."""
    if (owner, name) in _FITTING:
        return _FITTING[owner, name]
    if typing.get_origin(hint) is tuple:
        return (made(typing.get_args(hint)[0], depth),)
    if isinstance(hint, UnionType):
        hint = next(one for one in typing.get_args(hint) if one is not type(None))
    return made(hint, depth)


def made(cls: Any, depth: int) -> Any:
    if cls in _SAMPLES:
        return _SAMPLES[cls]
    hints = typing.get_type_hints(cls, globalns=vars(facts_module))
    plain = {one.name: hints[one.name] for one in fields(cls) if one.name in _TOLD.get(cls, ())}
    return cls(**{name: sample(cls, name, hint, depth + 1) for name, hint in plain.items()})


_TOLD: dict[Any, tuple[str, ...]] = {
    Address: ("lines", "city"),
    Attachment: ("media_type", "content", "title"),
    Coding: ("code", "system", "display"),
    Concept: ("codings", "text"),
    ContactPoint: ("system", "value"),
    Coverage: ("status", "payer"),
    Extension: ("url", "type", "value"),
    HumanName: ("family", "given"),
    Identifier: ("value", "system"),
    Issue: ("severity", "code", "detail"),
    facts_module.Location: ("name",),
    Note: ("text",),
    Observation: ("code", "value", "unit", "status", "category"),
    Organization: ("name",),
    Participant: ("status",),
    Party: ("practitioner", "organization"),
    Period: ("start", "end"),
    Practitioner: ("identifiers", "names"),
    Section: ("title", "text"),
    Signature: ("status", "by"),
    TaskValue: ("type",),
}
"""What values inside of a fact say."""


def _of(cls: Any, **said: Any) -> Fact:
    fact: Fact = cls(**said)
    return fact


def every_field() -> list[tuple[Fact, str]]:
    """A fact of every kind for each of its fields, with only this one and what it cannot be without."""
    found: list[tuple[Fact, str]] = []
    for cls in FACT_TYPES:
        hints = typing.get_type_hints(cls, globalns=vars(facts_module))
        for one in fields(cls):
            value: dict[str, Any] = {one.name: sample(cls, one.name, hints[one.name])}
            found.append((_of(cls, **(_BESIDE.get(cls, {}) | value)), one.name))
    return found


_HOSTS: dict[type, tuple[type[Fact], str]] = {
    Address: (Patient, "addresses"),
    Attachment: (Document, "attachments"),
    Coding: (Referral, "service"),
    Concept: (Referral, "service"),
    ContactPoint: (Patient, "telecom"),
    HumanName: (Patient, "names"),
    Identifier: (Patient, "identifiers"),
    Issue: (Acknowledgement, "issues"),
    Note: (Task, "notes"),
    Observation: (Document, "observations"),
    Participant: (Appointment, "participants"),
    Party: (Referral, "referrer"),
    Period: (Task, "due"),
    Section: (Document, "sections"),
    Signature: (Document, "signature"),
    TaskValue: (Task, "outputs"),
}
"""A field that holds values of each class."""


def every_inner_field() -> list[tuple[Fact, str, str]]:
    found: list[tuple[Fact, str, str]] = []
    for cls, (host, field) in _HOSTS.items():
        hints = typing.get_type_hints(cls, globalns=vars(facts_module))
        for one in fields(cls):
            if one.name in _OF_THE_WIRE:
                continue
            both = ("value_type", "value") if one.name in ("value_type", "value") and cls is TaskValue else ()
            said = {name: sample(cls, name, hints[name]) for name in (one.name, *both)}
            whole = replace(made(cls, 0), **said)
            held: Any = Concept(codings=(whole,)) if cls is Coding else whole
            many = typing.get_origin(typing.get_type_hints(host, globalns=vars(facts_module))[field]) is tuple
            found.append((_of(host, **{field: (held,) if many else held}), field, one.name))
    return found


def holds(expected: Any, got: Any) -> bool:
    """Whether all that was said is said again; more may be known by then."""
    if isinstance(expected, dict):
        kept = {name: value for name, value in expected.items() if name not in _OF_THE_WIRE}
        return isinstance(got, dict) and all(holds(value, got.get(name)) for name, value in kept.items())
    if isinstance(expected, list):
        return (
            isinstance(got, list)
            and len(expected) == len(got)
            and all(holds(one, other) for one, other in zip(expected, got, strict=True))
        )
    return bool(expected == got)


def leaves(plain: Any) -> set[str]:
    if isinstance(plain, dict):
        return {leaf for name, value in plain.items() if name != "kind" for leaf in leaves(value)}
    if isinstance(plain, list):
        return {leaf for value in plain for leaf in leaves(value)}
    return {str(plain)}


def words_of(body: bytes) -> str:
    """A body with its attached texts readable."""
    value = json.loads(body)
    shown = json.dumps(value, ensure_ascii=False)
    for fact in fhir.read(body).facts:
        if isinstance(fact, Document):
            shown += "".join((one.content or b"").decode() for one in fact.attachments)
    return shown


def is_kept(fact: Fact, name: str, form: fhir.writer.Form, path: str, part: Any) -> bool:
    written = fhir.compose([fact], form=form)
    if any(f"{finding.where}.".startswith(f"{path}.") for finding in written.findings):
        return True
    expected = to_plain(part)
    if path in _IN_BODY:
        return all(leaf in words_of(written.body) for leaf in leaves(expected))
    read = [one for one in fhir.read(written.body).facts if type(one) is type(fact)]
    return any(holds(to_plain(getattr(fact, name)), to_plain(getattr(one, name))) for one in read)


@pytest.mark.parametrize("form", ["resource", "message", "collection"])
@pytest.mark.parametrize(
    ("fact", "name"), every_field(), ids=[f"{fact.kind}.{name}" for fact, name in every_field()]
)
def test_every_field_of_every_fact_is_read_back_or_named_by_a_finding(
    fact: Fact, name: str, form: fhir.writer.Form
) -> None:
    if name == "id" and form == "resource":
        assert json.loads(fhir.write([fact], form=form))["id"] == "Sampleword"
        return
    assert is_kept(fact, name, form, f"{fact.kind}.{name}", getattr(fact, name))


@pytest.mark.parametrize(
    ("fact", "name", "inner"),
    every_inner_field(),
    ids=[f"{fact.kind}.{name}.{inner}" for fact, name, inner in every_inner_field()],
)
def test_every_field_inside_of_a_fact_is_too(fact: Fact, name: str, inner: str) -> None:
    path = f"{fact.kind}.{name}.{inner}"
    assert is_kept(fact, name, "resource", path, getattr(fact, name)) or is_kept(
        fact, name, "resource", f"{fact.kind}.{name}", getattr(fact, name)
    )


def test_every_value_inside_of_facts_has_a_host_or_is_one_of_few() -> None:
    inside = {
        cls
        for cls in vars(facts_module).values()
        if isinstance(cls, type) and is_dataclass(cls) and cls not in FACT_TYPES
    }
    assert inside - _HOSTS.keys() == {PartialTime, Text, Link, Extension}


# ---- real messages -----------------------------------------------------------------------------------------


def test_a_report_of_results_keeps_every_line() -> None:
    lines = (
        Observation(code=Concept(text="Sodium"), value="140.0", unit="mmol/L", status="final"),
        Observation(code=Concept(text="Potassium"), value="4.50", unit="mmol/L", status="corrected"),
        Observation(code=Concept(text="Remark"), value="> 5 of them", status="preliminary"),
    )
    report = Document(type=Concept(text="Electrolytes"), status="final", patient=_ADA, observations=lines)
    body = fhir.write([report], form="collection")
    read = next(fact for fact in fhir.read(body).facts if isinstance(fact, Document))
    shown = [(one.code, one.value, one.unit, one.status) for one in read.observations]
    assert shown == [(one.code, one.value, one.unit, one.status) for one in lines]
    assert read.type == report.type


def test_a_filed_document_points_at_its_results() -> None:
    line = Observation(code=Concept(text="Sodium"), value="140", unit="mmol/L", status="final")
    filed = Document(title="Letter", custodian=Organization(name="Sample Office"), observations=(line,))
    written = json.loads(fhir.write([filed], form="resource"))
    assert written["resourceType"] == "DocumentReference"
    reference = written["context"]["related"][0]["reference"]
    held = next(one for one in written["contained"] if f"#{one['id']}" == reference)
    assert held["valueQuantity"] == {"value": 140, "unit": "mmol/L"}


def test_what_is_no_result_is_never_written_as_one() -> None:
    allergy = Observation(code=Concept(text="Penicillin"), category="allergy")
    written = fhir.compose([Document(title="Letter", observations=(allergy,))], form="resource")
    assert b"Penicillin" not in written.body
    assert [one.where for one in written.findings] == ["document.observations.category"]


def test_the_results_of_a_published_laboratory_message_are_written(samples: Any) -> None:
    from baton_formats.sniff import read

    facts = read((samples / "hl7v2-ms-converter/LAB-ORU-1.hl7").read_bytes()).facts
    again = fhir.read(fhir.write(facts)).facts
    held = [
        [(one.value, one.unit) for one in fact.observations]
        for source in (facts, again)
        for fact in source
        if isinstance(fact, Document)
    ]
    assert len(held) == 4
    assert held[:2] == held[2:]


def test_the_authorisations_of_a_published_referral_are_written(samples: Any) -> None:
    from baton_formats.sniff import read

    facts = read((samples / "hl7v2-ms-converter/REF-I12-01.hl7").read_bytes()).facts
    referral = next(fact for fact in facts if isinstance(fact, Referral))
    written = fhir.write([referral], form="resource").decode()
    assert referral.authorizations
    assert all(f'"value":"{one.value}"' in written for one in referral.authorizations)
    assert "2022-02-10" in written


def test_a_clinician_with_a_part_to_play_keeps_it_in_every_party() -> None:
    grace = Practitioner(names=(HumanName(family="Sampledoctor"),), roles=(Concept(text="surgeon"),))
    party = Party(practitioner=grace, specialties=(Concept(text="hand surgery"),))
    read = fhir.read(fhir.write([Task(owner=party)], form="resource")).facts
    owner = next(fact for fact in read if isinstance(fact, Task)).owner
    assert owner is not None
    assert owner.role == Concept(text="surgeon")
    assert owner.specialties == (Concept(text="hand surgery"),)


def test_a_patient_who_asks_is_no_clinician() -> None:
    asking = Party(display="Ada Testperson", link=Link(reference="Patient/1", kind="Patient"))
    written = json.loads(fhir.write([Task(requester=asking)], form="resource"))
    assert written["requester"] == {"reference": "Patient/1", "display": "Ada Testperson"}


def test_the_patient_of_a_booking_stays_beside_further_places() -> None:
    place = Participant(location=facts_module.Location(name="Room 2"))
    body = fhir.write([Appointment(status="booked", patient=_ADA, participants=(place,))], form="resource")
    read = next(fact for fact in fhir.read(body).facts if isinstance(fact, Appointment))
    assert read.patient is not None
    assert read.patient.names == _ADA.names
    assert read.location is not None


def test_a_booking_of_which_only_the_event_is_known_has_its_state() -> None:
    assert json.loads(fhir.write([Appointment(action="cancelled")], form="resource"))["status"] == "cancelled"


def test_an_extension_that_may_turn_the_meaning_is_never_a_plain_one() -> None:
    turning = Extension(url="http://example.org/negated", type="Boolean", value="true", modifier=True)
    around = Extension(url="http://example.org/around", extensions=(turning,))
    written = fhir.compose([Task(extensions=(turning, around))], form="resource")
    value = json.loads(written.body)
    assert [one["url"] for one in value["modifierExtension"]] == [turning.url]
    assert "extension" not in value
    assert [one.where for one in written.findings] == ["task.extensions"]


# ---- pointers inside of a message --------------------------------------------------------------------------

_UUIDS = [f"urn:uuid:00000000-0000-4000-8000-00000000000{number}" for number in range(1, 7)]


def _message(*resources: Json) -> bytes:
    header = {
        "resourceType": "MessageHeader",
        "eventCoding": {
            "system": "https://fhir.nhs.uk/CodeSystem/message-events-bars",
            "code": "servicerequest-request",
        },
        "source": {"endpoint": "https://office.example.org"},
    }
    entries = [
        {"fullUrl": address, "resource": one}
        for address, one in zip(_UUIDS, (header, *resources), strict=False)
    ]
    return json.dumps({"resourceType": "Bundle", "type": "message", "entry": entries}).encode()


_ASKED = {
    "resourceType": "ServiceRequest",
    "status": "active",
    "intent": "order",
    "identifier": [{"system": "http://example.org/ids", "value": "R-1"}],
    "subject": {"reference": _UUIDS[2]},
}
_PERSON = {"resourceType": "Patient", "name": [{"family": "Testperson"}]}
_TRACKED = {
    "resourceType": "Task",
    "status": "accepted",
    "intent": "order",
    "focus": {"reference": _UUIDS[1]},
    "for": {"reference": _UUIDS[2]},
}
_BOOKED = {
    "resourceType": "Appointment",
    "status": "proposed",
    "basedOn": [{"reference": _UUIDS[1]}],
    "participant": [{"status": "accepted", "actor": {"reference": _UUIDS[2]}}],
}


@pytest.mark.parametrize("form", ["message", "transaction"])
def test_pointers_between_entries_without_ids_still_point_when_written(form: fhir.writer.Form) -> None:
    first = fhir.read(_message(_ASKED, _PERSON, _TRACKED, _BOOKED))
    written = fhir.compose(first.facts, form=form, envelope=first.messages[0].envelope)
    again = json.loads(written.body)
    held = {entry["resource"]["resourceType"]: entry for entry in again["entry"]}
    request = held["ServiceRequest"]["fullUrl"]
    assert held["Task"]["resource"]["focus"]["reference"] == request
    assert held["Appointment"]["resource"]["basedOn"][0]["reference"] == request
    assert not [one for one in written.findings if one.code == "link-not-written"]


def test_of_two_requests_none_is_taken_for_the_one_meant() -> None:
    other = {**_ASKED, "identifier": [{"system": "http://example.org/ids", "value": "R-2"}]}
    first = fhir.read(_message(_ASKED, _PERSON, _TRACKED, other))
    facts = tuple(replace(fact, id=None) if isinstance(fact, Referral) else fact for fact in first.facts)
    written = fhir.compose(facts, form="message")
    task = next(
        entry["resource"]
        for entry in json.loads(written.body)["entry"]
        if entry["resource"]["resourceType"] == "Task"
    )
    assert "reference" not in task["focus"]
    assert "link-not-written" in {one.code for one in written.findings}


def test_a_pointer_that_means_nothing_any_more_invents_no_words() -> None:
    first = fhir.read(_message(_ASKED, _PERSON, _TRACKED))
    task = next(fact for fact in first.facts if isinstance(fact, Task))
    written = fhir.compose([task], form="message")
    assert b"not part of" not in written.body
    assert "link-not-written" in {one.code for one in written.findings}


def test_what_is_the_same_once_its_pointers_are_set_stands_once() -> None:
    policy = {
        "resourceType": "Coverage",
        "id": "c",
        "status": "active",
        "beneficiary": {"reference": _UUIDS[2]},
        "payor": [{"display": "Sample Payer"}],
    }
    first = fhir.read(_message({**_ASKED, "insurance": [{"reference": _UUIDS[3]}]}, _PERSON, policy))
    again = json.loads(fhir.write(first.facts))
    policies = [entry for entry in again["entry"] if entry["resource"]["resourceType"] == "Coverage"]
    request = next(e["resource"] for e in again["entry"] if e["resource"]["resourceType"] == "ServiceRequest")
    assert [entry["fullUrl"] for entry in policies] == [request["insurance"][0]["reference"]]


def test_the_event_of_a_partner_keeps_its_code_system() -> None:
    first = fhir.read(_message(_ASKED, _PERSON))
    written = fhir.compose(first.facts, envelope=first.messages[0].envelope, profile="bars")
    header = json.loads(written.body)["entry"][0]["resource"]
    assert header["eventCoding"] == {
        "system": "https://fhir.nhs.uk/CodeSystem/message-events-bars",
        "code": "servicerequest-request",
    }


def test_an_event_of_no_known_code_system_is_told() -> None:
    written = fhir.compose([], envelope=Envelope(event="sample-event", sender=Endpoint(name="Sample Office")))
    assert ("not-written", "envelope.event") in {(one.code, one.where) for one in written.findings}


def test_an_acknowledgement_is_the_answer_of_its_message() -> None:
    answer = Acknowledgement(
        code="AE", acknowledges="msg-1", issues=(Issue(severity="error", code="required"),)
    )
    written = fhir.compose([answer])
    header = json.loads(written.body)["entry"][0]["resource"]
    assert header["response"]["identifier"] == "msg-1"
    assert header["response"]["code"] == "fatal-error"
    assert header["response"]["details"] == header["focus"][0]


def test_an_answer_nobody_understands_is_no_success() -> None:
    written = fhir.compose([], envelope=Envelope(responds_to="msg-1", response_code="who knows"))
    header = json.loads(written.body)["entry"][0]["resource"]
    assert header["response"]["code"] == "fatal-error"
    assert ("code-not-written", "envelope.response_code") in {(f.code, f.where) for f in written.findings}


# ---- times -------------------------------------------------------------------------------------------------

_HERE = PartialTime(iso="2022-01-01T10:00")
_LATER = PartialTime(iso="2022-01-01T11:00")


@pytest.mark.parametrize(
    ("fact", "where"),
    [
        (Referral(wanted=Period(_HERE, _LATER)), "referral.wanted.start"),
        (Referral(wanted=Period(_HERE)), "referral.wanted.start"),
        (Task(period=Period(_HERE, _LATER)), "task.period.end"),
        (Task(due=Period(None, _LATER)), "task.due.end"),
        (Task(notes=(Note(text="words", at=_HERE),)), "task.notes.at"),
        (Task(outputs=(TaskValue(type=Concept(text="seen"), at=_HERE),)), "task.outputs.at"),
        (Arrival(at=_HERE, ended_at=_LATER), "arrival.at"),
        (Slot(start=_HERE), "slot.start"),
        (Slot(start=PartialTime(iso="2022-01-01")), "slot.start"),
        (
            Patient(identifiers=(Identifier(value="1", period=Period(_HERE)),)),
            "patient.identifiers.period.start",
        ),
        (Patient(birth_date=PartialTime(iso="2021-13-45")), "patient.birth_date"),
        (Patient(birth_date=PartialTime(text="in spring")), "patient.birth_date"),
        (Patient(birth_date=_HERE), "patient.birth_date"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_time_that_fhir_cannot_say_whole_is_a_finding(fact: Fact, where: str) -> None:
    written = fhir.compose([fact], form="resource")
    assert ("time-not-written", where) in {(one.code, one.where) for one in written.findings}
    assert b"2021-13" not in written.body


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [
        ("2021-01-02T10:00:00", "2021-01-02T11:00:00Z", {"start": "2021-01-02", "end": "2021-01-02"}),
        ("2021-01-02T10:00:00Z", "2021-01-02T11:00:00", {"start": "2021-01-02", "end": "2021-01-02"}),
        ("2021", "2021-05", {"start": "2021", "end": "2021"}),
        ("2021-01-02T23:00:00-05:00", "2021-01-03", {"start": "2021-01-02", "end": "2021-01-03"}),
        ("2021-01-02T10:00:00Z", "2021-01-02T09:00:00Z", None),
        ("2021-05", "2021-04-30", None),
    ],
)
def test_a_period_has_ends_that_can_be_compared_or_is_left_out(
    start: str, end: str, shown: Json | None
) -> None:
    due = Period(PartialTime(iso=start), PartialTime(iso=end))
    written = fhir.compose([Task(due=due)], form="resource")
    assert json.loads(written.body).get("restriction", {}).get("period") == shown
    assert "time-not-written" in {one.code for one in written.findings}


def test_a_period_of_a_date_and_a_later_moment_stays_as_it_is() -> None:
    due = Period(PartialTime(iso="2021-01-01"), PartialTime(iso="2021-01-03T11:00:00Z"))
    written = fhir.compose([Task(due=due)], form="resource")
    assert json.loads(written.body)["restriction"]["period"]["end"] == "2021-01-03T11:00:00Z"
    assert not written.findings


@pytest.mark.parametrize("zone", ["foo", "5 hours", "+25:00", "+14:30", ""])
def test_a_default_zone_that_is_no_offset_is_an_error(zone: str) -> None:
    with pytest.raises(ValueError, match="offset from UTC"):
        fhir.write([Task(authored_at=_HERE)], default_zone=zone)
    with pytest.raises(ValueError, match="offset from UTC"):
        fhir.provenance(targets=["Task/1"], recorded=_HERE, agent="Office", default_zone=zone)


@pytest.mark.parametrize(
    ("minutes", "start"),
    [(10**12, "2026-01-01T10:00:00Z"), (10**15, "2026-01-01T10:00:00Z"), (60, "9999-12-31T23:30:00Z")],
)
def test_a_booking_that_never_ends_has_no_end(minutes: int, start: str) -> None:
    booking = Appointment(status="booked", start=PartialTime(iso=start), duration_minutes=minutes)
    value = json.loads(fhir.write([booking], form="resource"))
    assert "end" not in value
    assert value["_end"]["extension"][0]["valueCode"] == "unknown"


def test_a_duration_no_number_of_fhir_can_hold_is_a_finding() -> None:
    written = fhir.compose([Appointment(duration_minutes=2**31)], form="resource")
    assert b"minutesDuration" not in written.body
    assert [one.where for one in written.findings] == ["appointment.duration_minutes"]


# ---- provenance --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("targets", "agent", "reason"),
    [(["bad ref"], "Office", "address"), (["foo"], "Office", "address"), (["Task/1"], "", "agent")],
)
def test_a_provenance_of_nothing_or_by_nobody_is_an_error(
    targets: list[str], agent: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        fhir.provenance(targets=targets, recorded=_NOW, agent=agent)
