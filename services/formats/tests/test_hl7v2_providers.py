"""Nobody whom a referral names as a provider (PRD) vanishes without a word."""

import pytest

from baton_formats.facts import Party, Referral
from baton_formats.findings import Message
from baton_formats.hl7v2 import read

PID = "PID|1||42^^^CLINIC^MR||Testperson^Ada||19700101|F"


def only(*segments: str, kind: str = "REF^I12") -> Message:
    head = f"MSH|^~\\&|APP|CLINIC|US|HERE|20260102030405||{kind}|C1|P|2.5.1"
    start = ("RF1|P|R||||R-1^OFFICE",) if kind.startswith("REF") else ("ORC|NW|R-1^OFFICE",)
    (message,) = read("\r".join((head, *start, *segments)).encode()).messages
    return message


def referral(message: Message) -> Referral:
    (fact,) = message.facts
    assert isinstance(fact, Referral)
    return fact


def families(*parties: Party | None) -> list[str | None]:
    return [party.practitioner.names[0].family for party in parties if party and party.practitioner]


def noted(message: Message) -> list[str]:
    ours = ("provider", "referrers")
    return [f"{one.code} {one.where}" for one in message.findings if any(word in one.code for word in ours)]


@pytest.mark.parametrize("kind", ["REF^I12", "OMG^O19"])
def test_a_second_referring_provider_is_a_finding(kind: str) -> None:
    message = only("PRD|RP|Alpha^A", "PRD|RP|Beta^B", PID, kind=kind)
    assert families(referral(message).referrer) == ["Alpha"]
    assert noted(message) == ["several-referrers PRD-1"]
    assert noted(only("PRD|RP|Alpha^A", "PRD|RP|Alpha^A", PID, kind=kind)) == []


@pytest.mark.parametrize("kind", ["REF^I12", "OMG^O19"])
def test_a_primary_care_provider_is_a_general_practitioner_of_the_patient(kind: str) -> None:
    message = only("PRD|RP|Alpha^A", "PRD|PP^Primary|Gamma^G", PID, "PD1||||7^Delta^D", kind=kind)
    patient = referral(message).patient
    assert patient is not None
    assert families(*patient.general_practitioners) == ["Delta", "Gamma"]
    assert noted(message) == []


def test_a_primary_care_provider_of_nobody_is_a_finding() -> None:
    message = only("PRD|PP|Gamma^G", kind="OMG^O19")
    assert noted(message) == ["provider-not-used PRD-1"]


def test_who_is_asked_is_referred_to_then_intended_then_consulting() -> None:
    message = only("PRD|CP|Eins^E", "PRD|IR|Zwei^Z", "PRD|RT|Drei^D", PID)
    assert families(*referral(message).performers) == ["Drei", "Zwei", "Eins"]
    assert noted(message) == ["provider-role-doubtful PRD-1"]


@pytest.mark.parametrize("role", ["", "ZZ^Their own word", "^Somebody"])
def test_a_provider_without_a_known_role_is_a_finding(role: str) -> None:
    message = only("PRD|RP|Alpha^A", f"PRD|{role}|Beta^B", PID)
    assert noted(message) == ["provider-role-unknown PRD[2]-1"]


def test_one_provider_may_play_several_parts() -> None:
    message = only("PRD|RP~PP|Alpha^A", "PRD|RT~CP|Beta^B", PID)
    fact = referral(message)
    assert families(fact.referrer, *fact.performers) == ["Alpha", "Beta"]
    assert fact.patient is not None
    assert families(*fact.patient.general_practitioners) == ["Alpha"]
    roles = [
        party.role.code
        for party in (fact.referrer, *fact.patient.general_practitioners)
        if party and party.role
    ]
    assert roles == ["RP", "PP"]
    assert noted(message) == []


def test_a_role_in_words_is_understood() -> None:
    message = only("PRD|^Referring Provider|Alpha^A", "PRD|X^referred to provider^L|Beta^B", PID)
    fact = referral(message)
    assert (families(fact.referrer), families(*fact.performers), noted(message)) == (["Alpha"], ["Beta"], [])


def test_all_names_of_a_provider_are_kept() -> None:
    fact = referral(only("PRD|RP|Alpha^A^^^^^L~Omega^A^^^^^M", PID))
    assert fact.referrer is not None
    assert fact.referrer.practitioner is not None
    assert [(name.family, name.use) for name in fact.referrer.practitioner.names] == [
        ("Alpha", "official"),
        ("Omega", "maiden"),
    ]


def test_more_providers_than_are_read_are_told() -> None:
    message = only(*(f"PRD|RT|Family{at}" for at in range(60)), PID)
    assert len(referral(message).performers) == 50
    assert noted(message) == ["too-many-providers PRD[51]-1"]
