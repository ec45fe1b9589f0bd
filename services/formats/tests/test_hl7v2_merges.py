"""Merges of patients: only what merges their numbers calls one replaced, and never a living one."""

import pytest

from baton_formats.facts import PatientChange
from baton_formats.findings import Message
from baton_formats.hl7v2 import read

PID = "PID|1||42^^^CLINIC^MR||Testperson^Ada||19700101|F"
OTHER = "PID|2||50^^^CLINIC^MR||Sample^Ben||19800101|M"


def only(event: str, *segments: str) -> Message:
    msh = f"MSH|^~\\&|APP|CLINIC|US|HERE|20260102030405||ADT^{event}|C1|P|2.5.1"
    (message,) = read("\r".join((msh, f"EVN|{event}", *segments)).encode()).messages
    return message


def merges(message: Message) -> list[tuple[str | None, list[str | None]]]:
    """Of every merge: who remains, which numbers are replaced."""
    return [
        (
            fact.patient.identifiers[0].value if fact.patient and fact.patient.identifiers else None,
            [number.value for number in fact.replaced],
        )
        for fact in message.facts
        if isinstance(fact, PatientChange) and fact.action == "merge"
    ]


def refusing(message: Message) -> list[tuple[str, str]]:
    return [(finding.code, finding.where) for finding in message.findings if finding.refusing]


def codes(message: Message) -> list[str]:
    return [finding.code for finding in message.findings]


@pytest.mark.parametrize("event", ["A18", "A30", "A34", "A36", "A40", "A47"])
def test_events_of_the_identifier_list_replace_the_number_of_mrg_1(event: str) -> None:
    message = only(event, PID, "MRG|41^^^CLINIC^MR||A9|7^^^OLD|V9")
    assert merges(message) == [("42", ["41"])]
    assert codes(message) == []


@pytest.mark.parametrize("event", ["A39", "A46"])
def test_events_of_the_external_number_replace_that_of_mrg_4(event: str) -> None:
    message = only(event, "PID|1|8^^^MPI|42^^^CLINIC^MR||Testperson^Ada", "MRG|42^^^CLINIC^MR|||7^^^MPI")
    assert merges(message) == [("42", ["7"])]


def test_the_event_of_the_alternate_number_replaces_that_of_mrg_2() -> None:
    message = only("A48", "PID|1||42^^^CLINIC^MR|8^^^ALT|Testperson^Ada", "MRG|42^^^CLINIC^MR|7^^^ALT")
    assert merges(message) == [("42", ["7"])]


@pytest.mark.parametrize("event", ["A35", "A41", "A42", "A44", "A45", "A49", "A50", "A51"])
def test_events_of_accounts_and_visits_replace_no_patient_number(event: str) -> None:
    message = only(event, PID, "MRG|42^^^CLINIC^MR||A9||V9", "PV1|1|O")
    assert [fact.kind for fact in message.facts] == ["patient"]
    assert codes(message) == ["account-or-visit-changed"]


def test_a_number_moved_to_another_person_is_a_finding_and_no_merge() -> None:
    message = only("A43", PID, "MRG|42^^^CLINIC^MR|||7^^^MPI")
    assert [fact.kind for fact in message.facts] == ["patient"]
    assert codes(message) == ["patient-number-moved"]


def test_an_update_replaces_nothing_even_with_a_stray_mrg() -> None:
    (fact,) = only("A08", PID, "MRG|41^^^CLINIC^MR||||||Old^Name").facts
    assert isinstance(fact, PatientChange)
    assert (fact.action, fact.replaced, fact.replaced_names) == ("update", (), ())


def test_mrg_before_its_pid_belongs_to_it_and_the_order_is_noted() -> None:
    message = only("A40", "MRG|41^^^CLINIC^MR||||||Old^Ada", PID)
    assert merges(message) == [("42", ["41"])]
    assert codes(message) == ["merge-order-unusual"]


def test_every_mrg_before_its_pid_finds_the_next_one() -> None:
    message = only("A40", "MRG|41^^^CLINIC^MR", PID, "MRG|51^^^CLINIC^MR", OTHER)
    assert merges(message) == [("42", ["41"]), ("50", ["51"])]
    assert set(codes(message)) == {"merge-order-unusual"}


def test_pairs_in_the_usual_order_stay_apart() -> None:
    message = only("A40", PID, "PD1||||7^Muster", "MRG|41^^^CLINIC^MR", OTHER, "MRG|51^^^CLINIC^MR")
    assert merges(message) == [("42", ["41"]), ("50", ["51"])]
    assert codes(message) == []


@pytest.mark.parametrize("mrg", ["MRG|", 'MRG|""', "MRG|^^^CLINIC^MR", "MRG|000-00-0000"])
def test_a_merge_whose_source_says_nothing_is_refused(mrg: str) -> None:
    message = only("A40", PID, mrg)
    assert merges(message) == [("42", [])]
    assert refusing(message) == [("merge-without-source", "MRG-1")]


def test_the_second_patient_without_a_source_is_refused_by_name() -> None:
    message = only("A40", PID, "MRG|41^^^CLINIC^MR", OTHER)
    assert merges(message) == [("42", ["41"]), ("50", [])]
    assert refusing(message) == [("merge-without-source", "PID[2]-3")]


def test_a_merge_into_itself_replaces_nothing_and_is_refused() -> None:
    message = only("A40", PID, "MRG|42^^^CLINIC^MR")
    assert merges(message) == [("42", [])]
    assert refusing(message) == [("merge-into-itself", "MRG-1")]


def test_a_bare_number_equal_to_the_survivors_is_taken_for_it() -> None:
    message = only("A40", PID.replace("CLINIC", "HOSP"), "MRG|42")
    assert merges(message) == [("42", [])]
    assert ("merge-into-itself", "MRG-1") in refusing(message)


def test_the_same_number_of_another_authority_is_another_number() -> None:
    message = only("A40", PID, "MRG|42^^^OTHER^MR")
    assert merges(message) == [("42", ["42"])]
    assert codes(message) == []


def test_numbers_both_sides_share_are_not_replaced_beside_one_that_is() -> None:
    message = only("A40", f"{PID}".replace("MR||", "MR~9^^^MPI^PI||"), "MRG|41^^^CLINIC^MR~9^^^MPI^PI")
    assert merges(message) == [("42", ["41"])]
    assert (codes(message), refusing(message)) == (["merge-into-itself"], [])


def test_a_source_without_a_patient_is_refused() -> None:
    message = only("A40", "MRG|41^^^CLINIC^MR")
    assert merges(message) == [(None, ["41"])]
    assert refusing(message) == [("patient-missing", "PID-3")]


def test_a_second_pair_that_names_nobody_is_refused() -> None:
    message = only("A40", PID, "MRG|41^^^CLINIC^MR", "PID|2", "MRG|51^^^CLINIC^MR")
    assert refusing(message) == [("patient-missing", "PID[2]-3")]


def test_merges_beyond_the_bound_are_announced() -> None:
    pair = [part for _ in range(1001) for part in (PID, "MRG|41^^^CLINIC^MR")]
    message = only("A40", *pair)
    assert len(merges(message)) == 1000
    assert "too-many-groups" in codes(message)
