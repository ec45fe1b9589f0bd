"""What is written is what partners expect: both kinds of acknowledgement, and messages that read back."""

import hashlib
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baton_formats.facts import (
    Acknowledgement,
    Address,
    Appointment,
    Arrival,
    Attachment,
    Coding,
    Concept,
    ContactPoint,
    Coverage,
    Document,
    Fact,
    HumanName,
    Identifier,
    Issue,
    Location,
    Note,
    Observation,
    Organization,
    PartialTime,
    Party,
    Patient,
    PatientChange,
    Period,
    Practitioner,
    Referral,
    Signature,
    Slot,
    Text,
)
from baton_formats.findings import Endpoint, Envelope, Outcome
from baton_formats.hl7v2 import read, write
from baton_formats.rendering import to_plain

JUDGE = Path(__file__).resolve().parents[3].parent / "shared" / "judges" / "run"
NOW = PartialTime(iso="2026-11-22T10:00:00+00:00")


def envelope(version: str = "2.5.1", event: str | None = None) -> Envelope:
    return Envelope(
        control_id="C-1",
        event=event,
        version=version,
        sender=Endpoint(application=Identifier("BOOK"), facility=Identifier("CLINIC", "urn:oid:1.2.3")),
        receivers=(Endpoint(application=Identifier("PMS"), facility=Identifier("OFFICE")),),
        sent_at=NOW,
        processing_mode="P",
    )


def inbound(accept: str | None = None, application: str | None = None, version: str = "2.5.1") -> Envelope:
    asked = envelope(version, "I12")
    return Envelope(
        control_id="IN-7",
        event="I12",
        version=version,
        sender=asked.sender,
        receivers=asked.receivers,
        processing_mode="T",
        accept_ack=accept,
        application_ack=application,
    )


def segments(body: bytes) -> dict[str, list[str]]:
    rows = [line.split("|") for line in body.decode().split("\r") if line]
    return {row[0]: row for row in rows}


def test_an_acknowledgement_goes_back_where_the_message_came_from() -> None:
    rows = segments(write.acknowledgement(inbound(), code="AA", control_id="K-1", sent_at=NOW))
    assert rows["MSH"][2:6] == ["PMS", "OFFICE", "BOOK", "CLINIC^1.2.3^ISO"]
    assert (rows["MSH"][8], rows["MSH"][9], rows["MSH"][10]) == ("ACK^I12^ACK", "K-1", "T")
    assert rows["MSA"][1:3] == ["AA", "IN-7"]


def test_a_message_without_control_id_is_acknowledged_with_none() -> None:
    rows = segments(write.acknowledgement(Envelope(), code="AA", control_id="K-1", sent_at=NOW))
    assert rows["MSA"] == ["MSA", "AA"]
    unreadable = segments(
        write.acknowledgement(None, code="AR", control_id="K-1", sent_at=NOW, text="no MSH")
    )
    assert unreadable["MSA"] == ["MSA", "AR", "", "no MSH"]


@pytest.mark.parametrize(
    ("accept", "application", "verdict", "due"),
    [
        (None, None, write.Verdict.ACCEPT, ("AA",)),
        (None, None, write.Verdict.ERROR, ("AE",)),
        (None, None, write.Verdict.REJECT, ("AR",)),
        ("AL", "NE", write.Verdict.ACCEPT, ("CA",)),
        ("AL", "AL", write.Verdict.REJECT, ("CR", "AR")),
        ("NE", "AL", write.Verdict.ACCEPT, ("AA",)),
        ("NE", "NE", write.Verdict.ERROR, ()),
        ("ER", "SU", write.Verdict.ACCEPT, ("AA",)),
        ("ER", "SU", write.Verdict.ERROR, ("CE",)),
        (None, "AL", write.Verdict.ACCEPT, ("AA",)),
        ("??", "AL", write.Verdict.ACCEPT, ("AA",)),
    ],
)
def test_the_sender_gets_the_acknowledgements_it_waits_for(
    accept: str | None, application: str | None, verdict: write.Verdict, due: tuple[str, ...]
) -> None:
    assert write.due_codes(inbound(accept, application), verdict) == due


@pytest.mark.parametrize("version", ["2.2", "2.3.1", "2.5.1", "2.8"])
def test_complaints_name_the_place_in_the_form_of_the_version(version: str) -> None:
    issue = Issue(severity="E", code="101", where="PID[2]-5", detail="The name is missing | really")
    body = write.acknowledgement(
        inbound(version=version), code="AE", control_id="K", sent_at=NOW, issues=(issue,)
    )
    (fact,) = read(body).facts
    assert isinstance(fact, Acknowledgement)
    assert [(i.code, i.where, i.detail) for i in fact.issues] == [("101", "PID[2]-5", issue.detail)]


@pytest.mark.parametrize(
    ("version", "characters"),
    [
        ("2.3", "^~\\&"),
        ("2.5.1", "^~\\&"),
        ("2.6", "^~\\&"),
        ("2.7", "^~\\&#"),
        ("2.8.2", "^~\\&#"),
        ("banana", "^~\\&"),
    ],
)
def test_old_versions_get_four_encoding_characters(version: str, characters: str) -> None:
    body = write.order_status(Referral(action="accept"), envelope=envelope(version))
    assert segments(body)["MSH"][1] == characters


def test_text_cannot_break_out_of_its_field_segment_or_frame() -> None:
    evil = "x\rMSH|^~\\&|EVIL\x0b\x1c|y~z^a&b\n"
    fact = Referral(
        action="accept", placer=Identifier(evil.strip(), authority="A|B"), notes=(Note(evil.strip()),)
    )
    body = write.referral_response(fact, envelope=envelope())
    assert body.count(b"MSH|") == 1
    assert not {0x0B, 0x1C, 0x0A} & set(body)
    back = read(body).facts[0]
    assert isinstance(back, Referral)
    assert back.placer == Identifier(evil.strip(), authority="A|B", type="PLAC")
    assert back.notes == fact.notes


def test_the_charset_is_declared_only_where_it_is_needed() -> None:
    plain = write.order_status(Referral(action="accept", placer=Identifier("R")), envelope=envelope())
    foreign = write.order_status(Referral(action="accept", placer=Identifier("Ü")), envelope=envelope())
    assert b"UNICODE UTF-8" not in plain
    assert b"UNICODE UTF-8" in foreign


def test_a_fact_without_a_message_is_refused_by_its_kind() -> None:
    with pytest.raises(ValueError, match="slot"):
        write.message(Slot(), envelope=envelope())


def test_the_office_of_an_order_reads_back_with_its_number() -> None:
    office = Organization(
        identifiers=(Identifier("1234567893", "urn:oid:2.16.840.1.113883.4.6", "NPI", "NPI"),),
        npi="1234567893",
        name="Sample Office",
        telecom=(ContactPoint("fax", "555-0100", "work"),),
        addresses=(Address(("1 Road",), city="Town"),),
    )
    fact = Referral(
        action="new",
        identifiers=(Identifier("R-1", type="PLAC"),),
        placer=Identifier("R-1", type="PLAC"),
        status="active",
        intent="order",
        referrer=Party(organization=office),
    )
    for version in ("2.5.1", "2.8"):
        assert read(write.order(fact, envelope=envelope(version))).facts == (fact,)


@pytest.mark.parametrize(
    ("fact", "code", "kind"),
    [
        (Referral(action="new"), None, "REF^I12"),
        (Referral(action="cancel"), "REF", "REF^I14"),
        (Referral(action="accept"), "RRI", "RRI^I12"),
        (Referral(action="new"), "OMG", "OMG^O19"),
        (Referral(action="decline"), "OSU", "OSU^O51"),
        (Appointment(action="no_show"), None, "SIU^S26"),
        (Document(action="replace"), None, "MDM^T10"),
        (PatientChange(action="add"), None, "ADT^A28"),
        (Arrival(action="cancelled"), None, "ADT^A11"),
    ],
)
def test_every_fact_finds_its_message(fact: Fact, code: str | None, kind: str) -> None:
    assert read(write.message(fact, envelope=envelope(), code=code)).messages[0].type == kind


def test_an_event_in_the_envelope_is_the_one_that_is_written() -> None:
    body = write.message(Referral(action="accept"), envelope=envelope(event="I13"), code="RRI")
    assert read(body).messages[0].type == "RRI^I13"


def test_a_file_elsewhere_goes_out_as_a_pointer() -> None:
    file = Attachment("application/pdf", url="https://example.org/x.pdf", title="Letter")
    body = write.document(Document(action="new", attachments=(file,)), envelope=envelope())
    (fact,) = read(body).facts
    assert getattr(fact, "attachments", ()) == (file,)


# Facts as they can be written, so that reading them gives the same facts again.
letters = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=12).map(str.strip)
plain = letters.filter(bool)
words = st.text(
    st.characters(categories=["L", "N", "P", "S", "Zs"], include_characters="\n\r\t"), max_size=40
)
lines = words.map(lambda t: t.strip()).filter(bool)
digits = st.integers(1, 99999).map(lambda n: f"N{n}")
days = st.dates().map(lambda d: PartialTime(iso=d.isoformat()))
moments = st.datetimes(timezones=st.sampled_from([None])).map(
    lambda d: PartialTime(iso=d.replace(microsecond=0).isoformat() + "+02:15")
)
numbers = st.builds(Identifier, value=digits, authority=plain, system=st.none() | st.just("urn:oid:1.2.3.4"))
# Numbers that are never those of a patient or of an order.
further = numbers.map(lambda number: replace(number, value=f"X-{number.value}"))


def typed(kind: str) -> st.SearchStrategy[Identifier]:
    return st.builds(Identifier, value=digits, authority=plain, type=st.just(kind))


codings = st.builds(Coding, code=plain, system=st.none() | plain, display=st.none() | plain)
concepts = st.builds(
    Concept, codings=st.lists(codings, min_size=1, max_size=2).map(tuple), text=st.none() | plain
)
names = st.builds(
    HumanName,
    family=plain,
    given=st.lists(plain, max_size=2).map(tuple),
    prefixes=st.lists(plain, max_size=1).map(tuple),
    suffixes=st.lists(plain, max_size=2).map(tuple),
    use=st.sampled_from([None, "official", "usual", "maiden", "old", "temp"]),
    partner_family=st.none() | plain,
)
doctors = st.builds(
    Practitioner,
    identifiers=st.builds(
        Identifier,
        value=digits,
        authority=st.none() | plain,
        type=st.none() | plain.filter(lambda t: "NPI" not in t.upper()),
    ).map(lambda i: (i,)),
    names=names.map(lambda n: (n,)),
).filter(lambda p: (p.identifiers[0].authority or "").upper() != "NPI")
parties = st.builds(Party, practitioner=doctors)
addresses = st.builds(
    Address,
    lines=st.lists(plain, min_size=1, max_size=2).map(tuple),
    city=st.none() | plain,
    postal_code=st.none() | plain,
    use=st.sampled_from([None, "home", "work", "temp"]),
)
phones = st.builds(ContactPoint, system=st.sampled_from(["phone", "fax"]), value=digits, use=st.just("home"))
patients = st.builds(
    Patient,
    identifiers=st.lists(
        st.builds(Identifier, value=digits, authority=plain, type=st.none() | plain),
        min_size=1,
        max_size=3,
        unique=True,
    ).map(tuple),
    names=st.lists(names, min_size=1, max_size=2).map(tuple),
    birth_date=st.none() | days | moments,
    gender=st.sampled_from([None, "male", "female", "other", "unknown"]),
    telecom=st.lists(phones, max_size=2, unique=True).map(tuple),
    addresses=st.lists(addresses, max_size=2, unique=True).map(tuple),
    deceased=st.sampled_from([None, True, False]),
    language=st.none() | plain,
    marital_status=st.none() | concepts,
    general_practitioners=st.lists(parties, max_size=1).map(tuple),
)
offices = st.builds(
    Organization,
    name=plain,
    identifiers=numbers.map(lambda n: (n,)),
    telecom=st.lists(phones, max_size=1).map(tuple),
    addresses=st.lists(addresses, max_size=1).map(tuple),
)


def providers(code: str) -> st.SearchStrategy[Party]:
    """Those a segment of their own names, in one role."""
    return st.builds(
        lambda person, names, telecom, places, office, room: Party(
            practitioner=replace(person, names=names, telecom=telecom, addresses=places),
            organization=office,
            role=Concept((Coding(code, "HL70286"),)),
            location=room,
        ),
        doctors,
        st.lists(names, min_size=1, max_size=2).map(tuple),
        st.lists(phones, max_size=1).map(tuple),
        st.lists(addresses, max_size=1).map(tuple),
        st.none() | offices,
        st.none() | st.builds(Location, name=plain),
    )


asked = st.tuples(
    st.lists(providers("RT"), max_size=2, unique=True),
    st.lists(providers("IR"), max_size=1),
    st.lists(providers("CP"), max_size=1),
).map(lambda by_role: tuple(one for several in by_role for one in several))
files = st.builds(
    lambda content, title: Attachment(
        "application/pdf", content, title, sha256=hashlib.sha256(content).hexdigest(), size=len(content)
    ),
    st.binary(max_size=200).map(lambda b: b"%PDF-1.4" + b),
    plain,
)
notes = st.lists(
    st.builds(Note, text=lines, author=st.none() | plain, at=st.none() | days | moments), max_size=2
).map(tuple)
instructions = st.lists(lines, max_size=1).map(tuple)
some_concepts = st.lists(concepts, max_size=2, unique=True).map(tuple)
urgencies = st.sampled_from(
    [
        (None, None),
        ("urgent", Concept((Coding("U", "HL70485", "Urgent"),))),
        ("stat", Concept((Coding("S"),))),
        (None, Concept((Coding("T", "HL70485"),))),
    ]
)
wishes = st.sampled_from(
    [
        ((), ()),
        (("written_report",), (Concept((Coding("WR", "HL70282"),)),)),
        ((), (Concept((Coding("own", "L", "our word"),)),)),
    ]
)
coverages = st.builds(
    Coverage,
    plan=plain,
    plan_name=st.none() | plain,
    group=st.none() | plain,
    member_id=plain,
    subscriber_id=st.none() | plain,
    type=st.none() | concepts,
    payer=st.none() | st.builds(Organization, name=plain, identifiers=numbers.map(lambda n: (n,))),
    period=st.none() | st.builds(Period, start=days, end=days),
    relationship=st.none() | concepts,
)


@st.composite
def referrals(
    draw: st.DrawFn, told: tuple[tuple[str, str | None, str | None], ...], *, answer: bool
) -> Referral:
    """A referral as RF1 tells it: ``told`` are action, status and RF1-1 that belong together."""
    action, status, code = draw(st.sampled_from(told))
    placer, filler = draw(typed("PLAC")), draw(typed("FILL"))
    urgency, urgency_code = draw(urgencies)
    wanted_back, wanted_codes = draw(wishes)
    patient = replace(
        draw(patients), general_practitioners=tuple(draw(st.lists(providers("PP"), max_size=1)))
    )
    return Referral(
        action=action,
        identifiers=(placer, filler, *draw(st.lists(further, max_size=1)))
        if answer
        else (placer, draw(further)),
        placer=placer,
        filler=filler if answer else None,
        status=status,
        status_code=Concept((Coding(code, "HL70283"),)) if code else None,
        status_reason=draw(st.none() | concepts),
        intent="order",
        priority=urgency,
        priority_code=urgency_code,
        categories=draw(some_concepts),
        service=draw(st.none() | concepts),
        reasons=draw(some_concepts),
        reason_text=draw(st.none() | lines),
        question=draw(st.none() | lines),
        dispositions=wanted_back,
        disposition_codes=wanted_codes,
        patient=patient,
        referrer=draw(providers("RP")),
        performers=draw(asked),
        coverage=draw(st.lists(coverages, max_size=2, unique=True).map(tuple)),
        authorizations=draw(st.lists(numbers, max_size=2, unique=True).map(tuple)),
        authored_at=draw(st.none() | moments),
        effective_at=draw(st.none() | days),
        expires_at=draw(st.none() | days),
        notes=draw(notes),
        patient_instructions=draw(instructions),
        attachments=draw(st.lists(files, max_size=2).map(tuple)),
    )


def answers() -> st.SearchStrategy[Referral]:
    told = (
        ("accept", "active", "A"),
        ("decline", None, "R"),
        ("status", "active", "P"),
        ("status", None, "E"),
    )
    return referrals(told, answer=True)


def requests() -> st.SearchStrategy[Referral]:
    told = (
        ("new", "active", "P"),
        ("new", None, None),
        ("update", "active", "P"),
        ("update", None, "E"),
        ("accept", "active", "A"),
        ("decline", None, "R"),
        ("cancel", "revoked", None),
        ("query", None, None),
    )
    return referrals(told, answer=False)


@st.composite
def bookings(draw: st.DrawFn) -> Appointment:
    action, status, word = draw(
        st.sampled_from(
            [
                ("booked", "booked", "Booked"),
                ("rescheduled", "booked", "Booked"),
                ("modified", "booked", "Booked"),
                ("arrived", "arrived", "Started"),
                ("completed", "fulfilled", "Complete"),
                ("cancelled", "cancelled", "Cancelled"),
                ("discontinued", "cancelled", "Dc"),
                ("deleted", "entered-in-error", "Deleted"),
                ("no_show", "noshow", "Noshow"),
            ]
        )
    )
    placer, filler = draw(typed("PLAC")), draw(typed("FILL"))
    ended = action in ("cancelled", "discontinued", "deleted", "no_show")
    return Appointment(
        action=action,
        identifiers=(filler, placer),
        placer=placer,
        filler=filler,
        status=status,
        status_code=Concept((Coding(word, "HL70278"),)),
        cancellation_reason=Concept((Coding("PAT-ILL", "L", "ill"),))
        if ended and draw(st.booleans())
        else None,
        start=PartialTime(iso="2026-12-01T09:30:00-05:00"),
        end=PartialTime(iso="2026-12-01T10:15:00-05:00"),
        duration_minutes=45,
        services=draw(some_concepts),
        reason=draw(st.none() | concepts),
        type=draw(st.none() | concepts),
        priority=draw(st.sampled_from([None, "routine", "stat"])),
        patient=draw(patients),
        clinicians=draw(st.lists(parties, max_size=2, unique=True).map(tuple)),
        location=draw(
            st.builds(
                Location,
                name=plain,
                description=st.none() | plain,
                organization=st.none() | st.builds(Organization, name=plain),
            )
        ),
        referrer=draw(st.none() | parties),
        referrals=(*draw(st.lists(typed("PLAC"), max_size=2)), *draw(st.lists(typed("FILL"), max_size=1))),
        notes=draw(notes),
    )


@st.composite
def orders(draw: st.DrawFn) -> Referral:
    placer, others = draw(typed("PLAC")), draw(st.lists(further, max_size=2, unique=True))
    action, status, code = draw(
        st.sampled_from(
            [
                ("new", "active", None),
                ("update", "on-hold", "HD"),
                ("cancel", "revoked", None),
                ("accept", "active", "IP"),
                ("decline", None, "CA"),
                ("status", "active", "SC"),
                ("status", "completed", "CM"),
            ]
        )
    )
    urgency, urgency_code = draw(urgencies)
    wanted_back, wanted_codes = draw(wishes)
    return Referral(
        action=action,
        identifiers=(placer, *others),
        placer=placer,
        status=status,
        status_code=Concept((Coding(code),)) if code else None,
        status_reason=draw(st.none() | concepts),
        intent="order",
        priority=urgency,
        priority_code=urgency_code,
        categories=draw(some_concepts),
        service=draw(concepts),
        reasons=draw(some_concepts),
        reason_text=draw(st.none() | lines),
        question=draw(st.none() | lines),
        dispositions=wanted_back,
        disposition_codes=wanted_codes,
        patient=draw(st.none() | patients),
        referrer=draw(parties | st.builds(Party, practitioner=doctors, organization=offices)),
        performers=draw(asked),
        coverage=draw(st.lists(coverages, max_size=1).map(tuple)),
        authorizations=draw(st.lists(numbers, max_size=1).map(tuple)),
        authored_at=draw(st.none() | moments),
        effective_at=draw(st.none() | days),
        expires_at=draw(st.none() | days),
        wanted=draw(st.none() | st.builds(Period, start=days, end=days)),
        notes=draw(notes),
        patient_instructions=draw(instructions),
        attachments=draw(st.lists(files, max_size=2).map(tuple)),
    )


@st.composite
def statuses(draw: st.DrawFn) -> Referral:
    action, status, code = draw(
        st.sampled_from(
            [
                ("accept", "active", "IP"),
                ("decline", None, "CA"),
                ("status", "completed", "CM"),
                ("status", "on-hold", "HD"),
                ("cancel", "revoked", None),
            ]
        )
    )
    placer, filler = draw(typed("PLAC")), draw(typed("FILL"))
    return Referral(
        action=action,
        identifiers=(placer, filler),
        placer=placer,
        filler=filler,
        status=status,
        status_code=Concept((Coding(code),)) if code else None,
        status_reason=draw(st.none() | concepts),
        intent="order",
        service=draw(st.none() | concepts),
        reasons=draw(some_concepts),
        reason_text=draw(st.none() | lines),
        question=draw(st.none() | lines),
        patient=draw(st.none() | patients),
        referrer=draw(st.none() | parties),
        authored_at=draw(st.none() | moments),
        notes=draw(notes),
        patient_instructions=draw(instructions),
    )


@st.composite
def documents(draw: st.DrawFn) -> Document:
    action, relation, final = draw(
        st.sampled_from(
            [
                ("new", None, "final"),
                ("addendum", "appends", "addendum"),
                ("replace", "replaces", "corrected"),
            ]
        )
    )
    code = draw(st.sampled_from(["AU", "LA", "PA", "DI"]))
    signed = code in ("AU", "LA")
    return Document(
        action=action,
        identifiers=(draw(numbers),),
        parents=(draw(numbers),) if relation else (),
        relation=relation,
        type=draw(concepts),
        title=draw(st.none() | plain),
        status=final if signed else "interim",
        status_code=Concept((Coding(code),)),
        signature=Signature("signed" if signed else "unsigned", draw(st.none() | doctors), None, code),
        availability="AV",
        written_at=draw(moments),
        authors=draw(st.lists(parties, min_size=1, max_size=2, unique=True).map(tuple)),
        patient=draw(patients),
        referrals=draw(st.lists(typed("PLAC"), max_size=2, unique=True).map(tuple)),
        visit=draw(st.lists(typed("VN"), max_size=1).map(tuple)),
        recipients=draw(st.lists(parties, max_size=2, unique=True).map(tuple)),
        referrer=draw(st.none() | parties),
        confidentiality=draw(st.none() | plain),
        text=Text.of(draw(words.map(str.rstrip).filter(bool))),
        attachments=draw(st.lists(files, max_size=2).map(tuple)),
        observations=draw(
            st.lists(
                st.builds(
                    Observation, code=concepts, value=plain, unit=st.none() | plain, status=st.just("F")
                ),
                max_size=2,
            ).map(tuple)
        ),
    )


merges = st.builds(
    PatientChange,
    action=st.just("merge"),
    patient=patients,
    replaced=st.lists(further, min_size=1, max_size=2, unique=True).map(tuple),
    replaced_names=st.lists(names, max_size=1).map(tuple),
    at=st.just(NOW),
)


@st.composite
def changes(draw: st.DrawFn) -> PatientChange:
    """An update that empties some of the fields it has no value for."""
    patient = draw(patients)
    fields = ("birth_date", "gender", "telecom", "addresses", "language", "deceased", "general_practitioners")
    empty = [name for name in fields if getattr(patient, name) in (None, ())]
    cleared = tuple(name for name in empty if draw(st.booleans()))
    return PatientChange("update", replace(patient, cleared=cleared), at=NOW)


visits = st.builds(
    Arrival,
    action=st.sampled_from(["arrived", "admitted", "finished", "cancelled"]),
    patient=patients,
    visit=st.lists(typed("VN"), max_size=1).map(tuple),
    visit_class=concepts,
    attending=st.lists(parties, max_size=1).map(tuple),
    referring=st.lists(parties, max_size=1).map(tuple),
    consulting=st.lists(parties, max_size=1).map(tuple),
    reasons=some_concepts,
    referrals=st.tuples(typed("PLAC"), numbers) | st.just(()),
    at=st.just(NOW),
)
versions = st.sampled_from(["2.3.1", "2.5.1", "2.8"])
slow = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def reads_back(body: bytes, fact: Fact, kind: str) -> None:
    result = read(body)
    (message,) = result.messages
    assert message.type == kind
    assert message.facts == (fact,)


@given(answers(), versions)
@slow
def test_an_answer_reads_back_as_it_was_written(fact: Referral, version: str) -> None:
    reads_back(write.referral_response(fact, envelope=envelope(version)), fact, "RRI^I12")


@given(requests(), versions)
@slow
def test_a_referral_reads_back_as_it_was_written(fact: Referral, version: str) -> None:
    events = {"new": "I12", "cancel": "I14", "query": "I15"}
    body = write.referral(fact, envelope=envelope(version))
    reads_back(body, fact, f"REF^{events.get(fact.action or '', 'I13')}")


@given(bookings(), versions)
@slow
def test_an_appointment_reads_back_as_it_was_written(fact: Appointment, version: str) -> None:
    body = write.appointment(fact, envelope=envelope(version))
    assert read(body).messages[0].facts == (fact,)


@given(orders(), versions)
@slow
def test_an_order_reads_back_as_it_was_written(fact: Referral, version: str) -> None:
    reads_back(write.order(fact, envelope=envelope(version)), fact, "OMG^O19")


@given(orders(), st.sampled_from(["2.3.1", "2.5.1"]))
@slow
def test_a_general_order_reads_back_as_it_was_written(fact: Referral, version: str) -> None:
    code = fact.priority_code.code if fact.priority_code else None
    told = replace(fact, priority_code=Concept((Coding(code),)) if code else None)
    reads_back(write.general_order(told, envelope=envelope(version)), told, "ORM^O01")


@given(statuses(), versions)
@slow
def test_an_order_status_reads_back_as_it_was_written(fact: Referral, version: str) -> None:
    reads_back(write.order_status(fact, envelope=envelope(version)), fact, "OSU^O51")


@given(documents(), versions)
@slow
def test_a_document_reads_back_as_it_was_written(fact: Document, version: str) -> None:
    assert read(write.document(fact, envelope=envelope(version))).messages[0].facts == (fact,)


@given(merges, versions)
@slow
def test_a_merge_reads_back_as_it_was_written(fact: PatientChange, version: str) -> None:
    reads_back(write.patient_change(fact, envelope=envelope(version)), fact, "ADT^A40")


@given(changes(), versions)
@slow
def test_a_change_reads_back_with_what_it_deletes(fact: PatientChange, version: str) -> None:
    reads_back(write.patient_change(fact, envelope=envelope(version)), fact, "ADT^A31")


@given(visits, versions)
@slow
def test_an_arrival_reads_back_as_it_was_written(fact: Arrival, version: str) -> None:
    assert read(write.arrival(fact, envelope=envelope(version))).messages[0].facts == (fact,)


@given(answers(), st.sampled_from(["\r", "\n", "\r\n"]), st.sampled_from(["utf-8", "utf-16"]))
@slow
def test_line_ends_and_charsets_change_no_fact(fact: Referral, end: str, codec: str) -> None:
    text = write.referral_response(fact, envelope=envelope()).decode()
    assert read(text.replace("\r", end).encode(codec)).facts == (fact,)


SWAPPED = str.maketrans("|^~\\&#!@%*", "#!@%*|^~\\&")


def swapped(value: object) -> object:
    """A plain value with the standard separators and five other characters changed for each other."""
    if isinstance(value, str):
        return value.translate(SWAPPED)
    if isinstance(value, list):
        return [swapped(item) for item in value]
    return {key: swapped(item) for key, item in value.items()} if isinstance(value, dict) else value


@given(answers())
@slow
def test_other_separators_change_no_fact(fact: Referral) -> None:
    body = write.referral_response(fact, envelope=envelope()).decode().translate(SWAPPED)
    (message,) = read(body.encode()).messages
    assert message.envelope is not None
    assert message.envelope.separators == "#!@%*"
    assert [to_plain(found) for found in message.facts] == [swapped(to_plain(fact))]


@given(answers(), st.randoms(use_true_random=False))
@slow
def test_the_order_of_segments_changes_no_fact(fact: Referral, random: object) -> None:
    bare = Referral(
        **{
            name: getattr(fact, name)
            for name in (
                "action",
                "identifiers",
                "placer",
                "filler",
                "status",
                "status_code",
                "status_reason",
                "intent",
                "priority",
                "priority_code",
                "patient",
                "referrer",
                "expires_at",
            )
        }
    )
    header, *rest = write.referral_response(bare, envelope=envelope()).decode().split("\r")[:-1]
    random.shuffle(rest)  # type: ignore[attr-defined]
    assert read("\r".join((header, *rest)).encode()).facts == (bare,)


@given(
    st.one_of(
        answers().map(lambda f: write.referral_response(f, envelope=envelope())),
        documents().map(lambda f: write.document(f, envelope=envelope())),
    ),
    st.data(),
)
@slow
def test_damage_never_raises_and_is_never_silent_about_the_body(body: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(body)))
    length = data.draw(st.integers(0, 30))
    noise = data.draw(
        st.binary(max_size=10) | st.sampled_from([b"\r", b"|", b"^~", b"MSH|", b"\x1c\r\x0b", b'""', b"\\X"])
    )
    result = read(body[:at] + noise + body[at + length :])
    assert result.outcome is not Outcome.REFUSED or result.reason


def _judged(paths: list[Path]) -> list[str]:
    """What HAPI says of the files; skipped where it is absent, a failure where tools are required."""
    required = os.environ.get("BATON_REQUIRE_TOOLS") == "1"
    if not JUDGE.is_file():
        if required:
            pytest.fail(f"the HL7 v2 judge is absent: {JUDGE}")
        pytest.skip(f"the HL7 v2 judge is absent: {JUDGE}")
    done = subprocess.run(
        [str(JUDGE), "hl7v2", "parse", *map(str, paths)], capture_output=True, text=True, timeout=170
    )
    if done.returncode != 0 and not required:
        pytest.skip(f"the HL7 v2 judge does not run here: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout.splitlines()


PATIENT = Patient(
    identifiers=(Identifier("42", authority="CLINIC", type="MR"),),
    names=(HumanName("Testperson", ("Ada", "Ü"), use="official"),),
    birth_date=PartialTime(iso="1970-01-01"),
    gender="female",
    telecom=(ContactPoint("phone", "+1 555 0100", "home"),),
    addresses=(Address(("1 Main | St",), city="Exampleton"),),
)
DOCTOR = Party(
    practitioner=Practitioner(
        identifiers=(Identifier("1234567893", type="NPI"),), names=(HumanName("Muster", ("Max",)),)
    )
)
NUMBER = Identifier("R-1", authority="OFFICE", type="PLAC")
PDF = Attachment("application/pdf", b"%PDF-1.4 sample", "Letter")
REFERRAL = Referral(
    action="accept",
    identifiers=(NUMBER,),
    placer=NUMBER,
    patient=PATIENT,
    referrer=DOCTOR,
    performers=(DOCTOR,),
    reasons=(Concept((Coding("I25.10", "I10", "Heart disease"),)),),
    notes=(Note("one\ntwo"),),
    attachments=(PDF,),
    coverage=(Coverage(plan="P", member_id="M"),),
    authorizations=(Identifier("AUTH-1"),),
)
URGENT = replace(
    REFERRAL,
    action="new",
    identifiers=(NUMBER, Identifier("X-9", authority="PORTAL")),
    status_reason=Concept((Coding("WAIT", "L", "Waiting list"),)),
    priority="urgent",
    dispositions=("written_report",),
    question="Which knee?",
    patient=replace(PATIENT, general_practitioners=(DOCTOR,)),
    expires_at=PartialTime(iso="2026-12-31"),
    wanted=Period(start=PartialTime(iso="2026-12-01")),
    patient_instructions=("Nothing to eat before",),
)
BOOKING = Appointment(
    action="booked",
    placer=NUMBER,
    patient=PATIENT,
    start=NOW,
    duration_minutes=30,
    clinicians=(DOCTOR,),
    location=Location(name="Room 1"),
    services=(Concept((Coding("X", "L", "Exam"),)),),
    notes=(Note("Bring films"),),
    referrer=DOCTOR,
)
NOTE = Document(
    action="new",
    identifiers=(NUMBER,),
    type=Concept((Coding("CN", "HL70270"),)),
    written_at=NOW,
    authors=(DOCTOR,),
    signature=Signature("signed", DOCTOR.practitioner, NOW, "AU"),
    patient=PATIENT,
    text=Text.of("Dear colleague,\n\nall is well."),
    attachments=(PDF,),
)
ISSUE = Issue("E", "101", "PID-5", "The name is missing")


def samples() -> dict[str, bytes]:
    """One message of every kind and version we write, about an invented person."""
    made: dict[str, bytes] = {}
    for version in ("2.3.1", "2.4", "2.5.1", "2.6", "2.8"):
        made |= {
            f"ref-{version}": write.referral(REFERRAL, envelope=envelope(version)),
            f"rri-{version}": write.referral_response(
                REFERRAL, envelope=envelope(version), answers=Acknowledgement(code="AA", acknowledges="X")
            ),
            f"siu-{version}": write.appointment(BOOKING, envelope=envelope(version)),
            f"omg-{version}": write.order(REFERRAL, envelope=envelope(version)),
            f"osu-{version}": write.order_status(REFERRAL, envelope=envelope(version)),
            f"orm-{version}": write.general_order(URGENT, envelope=envelope(version)),
            f"upd-{version}": write.referral(replace(URGENT, action="update"), envelope=envelope(version)),
            f"ask-{version}": write.order(URGENT, envelope=envelope(version)),
            f"mdm-{version}": write.document(NOTE, envelope=envelope(version)),
            f"adt-{version}": write.patient_change(
                PatientChange("merge", PATIENT, (NUMBER,), at=NOW), envelope=envelope(version)
            ),
            f"arr-{version}": write.arrival(Arrival("arrived", PATIENT, at=NOW), envelope=envelope(version)),
            f"ack-{version}": write.acknowledgement(
                inbound(version=version), code="AE", control_id="K", sent_at=NOW, text="no", issues=(ISSUE,)
            ),
        }
    return made


def test_hapi_reads_every_segment_of_every_message_we_write(tmp_path: Path) -> None:
    made = samples()
    for name, body in made.items():
        (tmp_path / f"{name}.hl7").write_bytes(body)
    verdicts = [json.loads(line) for line in _judged(sorted(tmp_path.iterdir()))]
    assert len(verdicts) == len(made)
    for verdict in verdicts:
        written = made[Path(verdict["file"]).stem].count(b"\r")
        assert verdict["generic"]["ok"], verdict
        assert verdict["typed"]["ok"], verdict
        assert verdict["generic"]["segments"] == written, verdict
        assert verdict["typed"]["segments"] == written, verdict


def test_everything_written_for_the_judge_reads_back_without_findings() -> None:
    for name, body in samples().items():
        result = read(body)
        assert {finding.code for finding in result.all_findings} <= {
            "referral-id-missing",
            "appointment-id-missing",
        }, name
