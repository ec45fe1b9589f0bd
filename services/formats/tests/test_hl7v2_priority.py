"""How urgent a referral is and when it is wanted is read wherever the versions of the standard put it."""

import pytest

from baton_formats.facts import Referral
from baton_formats.hl7v2 import read

PID = "PID|1||42^^^CLINIC^MR||Testperson^Ada||19700101|F"
TIMED = "1^^^20260105^20260110"


def order(orc: str, obr: str = "", *more: str, version: str = "2.3") -> tuple[Referral, list[str]]:
    """The order, and the codes and places of what was noted about its priority."""
    head = f"MSH|^~\\&|APP|CLINIC|US|HERE|20260102030405||ORM^O01|C1|P|{version}"
    body = "\r".join((head, PID, f"ORC|NW|R-1|||||{orc}", *more, f"OBR|1|R-1||X^Exam{obr}"))
    (message,) = read(body.encode()).messages
    (fact,) = message.facts
    assert isinstance(fact, Referral)
    return fact, [f"{one.code} {one.where}" for one in message.findings if "priority" in one.code]


def wanted(fact: Referral) -> tuple[str | None, str | None]:
    assert fact.wanted is not None
    assert fact.wanted.start is not None
    assert fact.wanted.end is not None
    return fact.wanted.start.iso, fact.wanted.end.iso


@pytest.mark.parametrize(
    ("code", "priority"), [("S", "stat"), ("A", "asap"), ("R", "routine"), ("U", "urgent"), ("STAT", "stat")]
)
@pytest.mark.parametrize("place", ["ORC-7", "OBR-27"])
def test_the_timing_of_older_versions_says_how_urgent_it_is(place: str, code: str, priority: str) -> None:
    timing = f"{TIMED}^{code}"
    fact, noted = order(timing) if place == "ORC-7" else order("", "|" * 23 + timing)
    assert (fact.priority, fact.priority_code and fact.priority_code.code, noted) == (priority, code, [])
    assert wanted(fact) == ("2026-01-05", "2026-01-10")


@pytest.mark.parametrize("code", ["T", "P", "PRN", "TS10"])
def test_a_timing_that_is_no_urgency_is_kept_as_a_code_with_a_finding(code: str) -> None:
    fact, noted = order(f"^^^^^{code}")
    assert (fact.priority, fact.priority_code and fact.priority_code.code) == (None, code)
    assert noted == ["priority-unknown ORC-7"]


def test_the_newer_places_are_asked_first() -> None:
    timing = "TQ1|1||||||20260201|20260202|A"
    fact, _ = order(f"{TIMED}^S", "|" * 23 + f"{TIMED}^R", timing, version="2.5.1")
    assert (fact.priority, wanted(fact)) == ("asap", ("2026-02-01", "2026-02-02"))
    fact, _ = order(f"{TIMED}^S", "|R" + "|" * 22 + f"{TIMED}^A")
    assert fact.priority == "routine"


def test_a_timing_without_priority_or_times_says_nothing() -> None:
    fact, noted = order("1^ONCE^D1")
    assert (fact.priority, fact.priority_code, fact.wanted, noted) == (None, None, None, [])
