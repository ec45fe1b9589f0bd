"""Codes, links and sessions as rules, by a clock that a test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_notification.domain.access import CODE_TRIES, OfficeAccess, OfficeSession
from baton_notification.domain.refusals import TooOften

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def issued(at: datetime = START) -> OfficeAccess:
    access = OfficeAccess(id="o1")
    access.issue(link_id="l1", browser="b1", code="12345678", route_id="r1", at=at)
    return access


def test_the_right_code_gives_its_route_once() -> None:
    access = issued()
    assert access.verify(link_id="l1", browser="b1", code="12345678", at=START) == "r1"
    assert access.verify(link_id="l1", browser="b1", code="12345678", at=START) is None


@given(st.lists(st.text(max_size=10), min_size=CODE_TRIES, max_size=20))
def test_no_series_of_wrong_codes_leaves_the_right_one_alive(guesses: list[str]) -> None:
    access = issued()
    wrong = [guess for guess in guesses if guess != "12345678"]
    results = [access.verify(link_id="l1", browser="b1", code=guess, at=START) for guess in wrong]
    assert set(results) <= {None}
    if len(wrong) >= CODE_TRIES:
        assert access.verify(link_id="l1", browser="b1", code="12345678", at=START) is None


@given(st.text(max_size=12).filter(lambda text: text != "12345678"))
def test_only_the_very_digits_are_right(text: str) -> None:
    assert issued().verify(link_id="l1", browser="b1", code=text, at=START) is None


def test_a_new_code_ends_the_one_before_in_that_browser() -> None:
    access = issued()
    access.issue(link_id="l1", browser="b1", code="87654321", route_id="r1", at=START)
    assert access.verify(link_id="l1", browser="b1", code="12345678", at=START) is None
    assert access.verify(link_id="l1", browser="b1", code="87654321", at=START) == "r1"


def test_three_codes_in_a_quarter_of_an_hour_are_enough_whoever_asks() -> None:
    access = OfficeAccess(id="o1")
    for turn in range(3):
        access.issue(link_id=f"l{turn}", browser=f"b{turn}", code="12345678", route_id="r1", at=START)
    with pytest.raises(TooOften) as refused:
        access.issue(
            link_id="l9", browser="b9", code="12345678", route_id="r1", at=START + timedelta(minutes=5)
        )
    assert refused.value.headers == (("Retry-After", "600"),)
    access.issue(link_id="l9", browser="b9", code="12345678", route_id="r1", at=START + timedelta(minutes=15))


def test_a_session_lasts_while_it_is_used_but_not_over_eight_hours() -> None:
    session = OfficeSession("s", "o1", "r1", started_at=START, seen_at=START)
    at = START
    while at < START + timedelta(hours=7, minutes=50):
        at += timedelta(minutes=25)
        assert session.holds(at) == (at < START + timedelta(hours=8))
        session.seen(at)
    assert not session.holds(START + timedelta(hours=8))
