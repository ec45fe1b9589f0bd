"""The rules of a referral, by themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_contracts.codes import DeclineReason
from baton_contracts.lifecycle import Fact, Verb, fold, reasons
from baton_intake.domain.completeness import completeness
from baton_intake.domain.events import Act, ReferralAccepted, ReferralDeclined, ReferralReceived
from baton_intake.domain.identity import is_strong, office_key, record_keys
from baton_intake.domain.lookup import lookup_entries
from baton_intake.domain.npi import is_npi
from baton_intake.domain.referral import Card, NotNow, ReasonRefused, Referral
from baton_intake.domain.request import (
    NPI_SYSTEM,
    ContactPoint,
    ExternalKey,
    HumanName,
    Office,
    Patient,
    ReferralRequest,
    Referrer,
)

AT = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
ACT = Act(by="staff", actor="user:1", assertion="human", at=AT)
EMAIL = ContactPoint(system="email", value="desk@office.example")
OFFICE = Office(name="Example Practice", telecom=(EMAIL,))
PATIENT = Patient(
    name=HumanName(family="Testperson", given=("Ada",)),
    identifiers=(ExternalKey(system="urn:example:mrn", value="42"),),
    birth_date="1970-01-01",
)


def received(*, office: Office = OFFICE, patient: Patient = PATIENT, conflict: bool = False) -> Referral:
    return Referral.received(
        id="r-1",
        patient_id="p-1",
        office_id="o-1",
        source=ExternalKey(system="urn:example:pms", value="R-1"),
        names=(),
        request=ReferralRequest(patient=patient, referrer=Referrer(office=office)),
        card=Card(version=1, salt="salt"),
        act=ACT,
        at=AT,
        number_conflict=conflict,
    )


def fact(type_: str, **attributes: Any) -> Fact:
    return Fact(type=type_, occurred_at=AT, attributes=attributes)


BOOKED = fact("appointment.booked.v1", appointment_id="a-1", kind="visit", start="2026-12-01T09:00:00Z")
COMPLETED = fact("visit.completed.v1", visit_id="v-1", appointment_id="a-1", kind="visit")
SIGNED = fact("note.signed.v1", document={"id": "d-1", "version": 1}, kind="final")
DELIVERED = fact("note.delivered.v1", document={"id": "d-1", "version": 1}, kind="final")
RETURNED = fact("care.returned.v1", ack="explicit")


def test_a_new_referral_stands_at_received_and_says_so_once() -> None:
    referral = received()

    assert (referral.position.state, referral.position.stage) == ("received", "received")
    assert [type(event) for event in referral.events] == [ReferralReceived]


def test_accepting_moves_it_and_records_who_did_it() -> None:
    referral = received()

    referral.accept(ACT, at=AT + timedelta(hours=1))

    assert referral.position.state == "accepted"
    assert referral.events[-1] == ReferralAccepted(act=ACT)
    assert referral.updated_at == AT + timedelta(hours=1)


def test_a_second_acceptance_is_refused_and_changes_nothing() -> None:
    referral = received()
    referral.accept(ACT, at=AT)
    before = (referral.lines, len(referral.events))

    with pytest.raises(NotNow) as refused:
        referral.accept(ACT, at=AT)

    assert refused.value.code == "illegal-transition"
    assert (referral.lines, len(referral.events)) == before


@pytest.mark.parametrize("reason", [None, "tired", "forgot"])
def test_a_decline_needs_one_of_its_own_reasons(reason: str | None) -> None:
    referral = received()

    with pytest.raises(ReasonRefused) as refused:
        referral.decline(replace(ACT, reason=reason), redirected_to=None, at=AT)

    assert (refused.value.code, refused.value.pointer) == ("validation-failed", "/reason")
    assert referral.position.state == "received"


@pytest.mark.parametrize("reason", [reason.value for reason in DeclineReason])
def test_every_published_reason_declines(reason: str) -> None:
    referral = received()

    referral.decline(replace(ACT, reason=reason), redirected_to=None, at=AT)

    assert (referral.position.state, referral.position.reason) == ("declined", reason)


def test_a_decline_remembers_where_the_patient_was_sent() -> None:
    referral, to = received(), ExternalKey(system=NPI_SYSTEM, value="1234567893")

    referral.decline(replace(ACT, reason="wrong_service"), redirected_to=to, at=AT)

    assert referral.events[-1] == ReferralDeclined(act=replace(ACT, reason="wrong_service"), redirected_to=to)
    assert referral.position.redirected_to == "1234567893"


def test_an_acceptance_takes_no_reason() -> None:
    with pytest.raises(ReasonRefused):
        received().accept(replace(ACT, reason="other"), at=AT)


def test_words_for_people_are_kept_as_remarks() -> None:
    referral = received()

    referral.decline(replace(ACT, reason="other", text="Please call us"), redirected_to=None, at=AT)

    assert [(remark.event, remark.text) for remark in referral.remarks] == [
        ("referral.declined.v1", "Please call us")
    ]


def test_what_others_tell_moves_the_referral_to_the_end() -> None:
    referral = received()
    referral.accept(ACT, at=AT)
    states = []

    for told in (BOOKED, COMPLETED, SIGNED, DELIVERED, RETURNED):
        referral.hear(told, at=AT)
        states.append(referral.position.state)

    assert states == ["scheduled", "seen", "seen", "notes_sent", "care_returned"]
    assert referral.position.ack == "explicit"


@given(st.lists(st.sampled_from(["a", "d"]), max_size=12))
def test_however_the_lines_interleave_the_state_is_that_of_the_pure_function(
    order: list[str],
) -> None:
    lines = {"a": [BOOKED, COMPLETED], "d": [SIGNED, DELIVERED, RETURNED]}
    told = [lines[name].pop(0) for name in (*order, *"aaddd") if lines[name]]
    referral = received()
    referral.accept(ACT, at=AT)

    for each in told:
        referral.hear(each, at=AT)

    own = [event.fact() for event in referral.events]
    assert referral.lines == fold([*own, BOOKED, COMPLETED, SIGNED, DELIVERED, RETURNED])
    assert referral.position.state == "care_returned"


def test_a_declined_referral_with_a_live_booking_asks_for_the_slot_back() -> None:
    referral = received()
    referral.hear(BOOKED, at=AT)

    referral.decline(replace(ACT, reason="no_capacity"), redirected_to=None, at=AT)

    assert "release_slot" in referral.flags


def test_the_actions_are_what_the_lifecycle_allows_now() -> None:
    referral = received()
    assert {Verb.ACCEPT, Verb.DECLINE} <= set(referral.actions)

    referral.accept(ACT, at=AT)

    assert Verb.ACCEPT not in referral.actions
    assert "no_capacity" in reasons(Verb.DECLINE)


def test_an_office_without_a_written_route_is_flagged() -> None:
    silent = Office(name="Example Practice", telecom=(ContactPoint(system="phone", value="404-555-0100"),))

    assert received(office=silent).flags == ("office_unreachable",)
    assert received().flags == ()


def test_a_record_number_of_somebody_else_is_flagged() -> None:
    assert received(conflict=True).flags == ("record_number_conflict",)


@pytest.mark.parametrize("number", ["1234567893", "1063494177"])
def test_a_number_whose_check_digit_holds_is_an_npi(number: str) -> None:
    assert is_npi(number)


@pytest.mark.parametrize(
    "number",
    ["9941339108", "1111111111", "2222222222", "1801234567", "5555555555", "123456789", "", "123456789３"],
)
def test_a_number_whose_check_digit_fails_is_none(number: str) -> None:
    assert not is_npi(number)


@given(st.integers(0, 10**9 - 1).map("{:09d}".format))
def test_exactly_one_check_digit_fits_nine_digits(nine: str) -> None:
    assert sum(is_npi(f"{nine}{last}") for last in range(10)) == 1


def test_placeholders_identify_nobody() -> None:
    assert not is_strong(ExternalKey(system="urn:example:ssn", value="000-00-0000"))
    assert not is_strong(ExternalKey(system="", value="42"))
    assert not is_strong(ExternalKey(system=NPI_SYSTEM, value="1111111111"))


def test_an_office_is_known_by_its_number_and_first_route_however_it_is_written() -> None:
    npi = (ExternalKey(system=NPI_SYSTEM, value="1234567893"),)
    fax = ContactPoint(system="fax", value="(404) 555-0100")
    one = Office(name="Example Practice", identifiers=npi, telecom=(fax, EMAIL))
    same = Office(
        name="EXAMPLE practice, Inc.",
        identifiers=npi,
        telecom=(ContactPoint(system="email", value="Desk@Office.example"),),
    )

    assert office_key(one) == office_key(same)


def test_another_route_or_number_is_another_office() -> None:
    npi = (ExternalKey(system=NPI_SYSTEM, value="1234567893"),)
    other = ContactPoint(system="email", value="other@office.example")
    keys = {
        office_key(Office(name="A", identifiers=npi, telecom=(EMAIL,))),
        office_key(Office(name="A", identifiers=npi, telecom=(other,))),
        office_key(Office(name="A", telecom=(EMAIL,))),
        office_key(Office(name="B", telecom=(EMAIL,))),
    }

    assert len(keys) == 4


def test_a_bad_npi_does_not_name_an_office() -> None:
    bad = (ExternalKey(system=NPI_SYSTEM, value="1111111111"),)

    assert office_key(Office(name="A", identifiers=bad, telecom=(EMAIL,))).system == "name"


def test_a_record_number_names_a_person_only_with_name_and_full_birth_date() -> None:
    (full,) = record_keys(PATIENT)
    (partial,) = record_keys(replace(PATIENT, birth_date="1970"))

    assert full.person is not None
    assert partial.person is None
    assert full.number == partial.number


def test_accents_and_case_do_not_make_another_person() -> None:
    plain = replace(PATIENT, name=HumanName(family="Musterperson"))
    accented = replace(PATIENT, name=HumanName(family="MÜSTERPERSON".replace("Ü", "U\u0301")))

    assert record_keys(plain) == record_keys(accented)


def test_a_patient_is_looked_up_by_every_name_and_number() -> None:
    patient = replace(
        PATIENT,
        other_names=(HumanName(family="Formerly"),),
        telecom=(ContactPoint(system="phone", value="+1 404-555-0142"), EMAIL),
    )

    entries = lookup_entries("r-1", patient)

    assert [(entry.family, entry.phone, entry.record_number) for entry in entries] == [
        ("testperson", "4045550142", "urn:example:mrn|42"),
        ("formerly", None, None),
    ]
    assert entries[1].family_birth == "formerly 1970-01-01"


def test_completeness_names_what_is_missing() -> None:
    bare = completeness(received(patient=Patient(name=HumanName(family="Testperson"))).request)

    assert 0 <= bare.score < 40
    assert {"patient.birth_date", "patient.telecom", "reasons", "coverage"} <= set(bare.missing)
    assert "referrer.office.telecom" not in bare.missing


def test_the_card_hash_tells_nothing_without_the_salt() -> None:
    assert Card(version=1, salt="one").sha256(PATIENT) != Card(version=1, salt="two").sha256(PATIENT)
    assert Card(version=1, salt="one").sha256(PATIENT) == Card(version=1, salt="one").sha256(PATIENT)
