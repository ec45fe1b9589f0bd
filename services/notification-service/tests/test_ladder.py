"""The ladder of a delivery, its tries and their schedule: properties and the cases that people ask about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_notification.domain.breaker import FIRST_PAUSE, LONGEST_PAUSE, Breaker
from baton_notification.domain.delivery import (
    Attempt,
    Delivery,
    DeliveryMoved,
    Destination,
    Kind,
    News,
    Role,
    Verdict,
)
from baton_notification.domain.ladder import ENDS, UNSENT, Status, follows
from baton_notification.domain.refusals import NotPossibleNow
from baton_notification.domain.schedule import LONGEST_WISH, SCHEDULE, SPREAD, pause_before

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
RUNGS = [Status.QUEUED, Status.SENT, Status.DELIVERED, Status.OPENED, Status.ACKNOWLEDGED]
CHANCES = st.floats(min_value=0, max_value=1, exclude_max=True)


def delivery(**said: Any) -> Delivery:
    """A fresh delivery of a notice by mail."""
    return Delivery(
        id="d1",
        referral_id="r1",
        office_id="o1",
        kind=said.pop("kind", Kind.NOTICE),
        role=Role.REFERRER,
        to=Destination("route", "email", "desk@office.example", "mail"),
        news=News("e1", "referral.accepted.v1", "accepted", START),
        created_at=START,
        due_at=START,
        **said,
    )


def attempt(at: datetime, outcome: str = "refused", code: str | None = None) -> Attempt:
    return Attempt(at, "event", outcome, code, 5)


def claimed(one: Delivery, lease: str, until: datetime) -> None:
    """What a claim does to the row."""
    one.lease, one.due_at = lease, until
    if one.status is Status.QUEUED:
        one.status = Status.SENDING


STEPS = st.one_of(
    st.tuples(st.just("record"), st.sampled_from(Verdict), CHANCES),
    st.tuples(
        st.sampled_from(
            ["prove", "open", "acknowledge", "supersede", "cancel", "expire", "fail", "hold", "release"]
        )
    ),
)


@given(st.lists(STEPS, max_size=30))
def test_whatever_happens_a_delivery_never_goes_backwards(steps: list[tuple[Any, ...]]) -> None:
    one, at = delivery(), START
    for step in steps:
        at += timedelta(minutes=1)
        before = one.status
        match step:
            case ("record", verdict, chance):
                claimed(one, "lease", at + timedelta(minutes=1))
                one.record(attempt(at), verdict, chance=chance, lease="lease")
            case ("prove",):
                one.prove("fetched_identified", at=at)
            case ("cancel" | "fail" as verb,):
                getattr(one, verb)("because", at=at)
            case (verb,):
                getattr(one, verb)(at=at)
        assert one.status is before or follows(one.status, before) or {one.status, before} <= UNSENT

    told = [event.status for event in one.events if isinstance(event, DeliveryMoved)]
    assert all(follows(later, earlier) for earlier, later in pairwise(told))
    assert len(told) == len(set(told))


@given(st.lists(st.sampled_from(Verdict), max_size=15), CHANCES)
def test_a_delivery_that_ended_or_left_is_not_due(verdicts: list[Verdict], chance: float) -> None:
    one = delivery()
    for verdict in verdicts:
        claimed(one, "lease", START)
        one.record(attempt(START), verdict, chance=chance, lease="lease")
        if not one.unsent:
            assert one.due_at is None
        one.due_at = None if not one.unsent else one.due_at


def test_every_step_up_the_ladder_is_legal_and_every_step_down_is_not() -> None:
    for low, lower in enumerate(RUNGS):
        for high, higher in enumerate(RUNGS):
            assert follows(higher, lower) == (high > low)
    assert all(not follows(status, end) for end in ENDS for status in Status)


def test_ten_failures_end_it_and_the_schedule_takes_three_days() -> None:
    one, at = delivery(), START
    for _ in range(10):
        assert one.unsent
        claimed(one, "lease", at)
        one.record(attempt(at, code="503"), Verdict.LATER, chance=0.5, lease="lease")
        at = one.due_at or at
    assert (one.status, len(one.attempts), one.code) == (Status.FAILED, 10, "503")
    assert at - START == sum(SCHEDULE, timedelta())
    assert sum(SCHEDULE, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)


@given(st.integers(min_value=1, max_value=9), CHANCES)
def test_pauses_are_spread_by_a_fifth_at_most(tried: int, chance: float) -> None:
    pause = pause_before(tried, chance=chance)
    assert pause is not None
    assert abs(pause / SCHEDULE[tried] - 1) <= SPREAD + 1e-6


@given(
    st.integers(min_value=0, max_value=9),
    CHANCES,
    st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=9)),
)
def test_a_receivers_wish_lengthens_a_pause_up_to_a_day_and_never_shortens_it(
    tried: int, chance: float, wish: timedelta
) -> None:
    plain, wished = pause_before(tried, chance=chance), pause_before(tried, chance=chance, wish=wish)
    assert plain is not None
    assert wished is not None
    assert wished >= plain
    assert wished >= min(wish, LONGEST_WISH)
    assert wished <= max(plain, LONGEST_WISH)


def test_a_try_whose_lease_ran_out_plans_nothing_but_its_success_counts() -> None:
    late, lucky = delivery(), delivery()
    for one in (late, lucky):
        claimed(one, "second", START + timedelta(minutes=2))
    late.record(attempt(START), Verdict.LATER, chance=0.5, lease="first")
    lucky.record(attempt(START), Verdict.PROVEN, chance=0.5, lease="first")

    assert (late.status, late.lease, late.tries) == (Status.SENDING, "second", 0)
    assert len(late.attempts) == 1
    assert lucky.status is Status.DELIVERED


def test_a_resend_starts_another_round_and_keeps_what_was_reached() -> None:
    failed, delivered = delivery(), delivery()
    failed.fail("503", at=START)
    claimed(delivered, "lease", START)
    delivered.record(attempt(START), Verdict.PROVEN, chance=0.5, lease="lease")
    for one in (failed, delivered):
        one.send_again(at=START)
        claimed(one, "again", START)
    assert (failed.status, delivered.status) == (Status.SENDING, Status.DELIVERED)

    delivered.record(attempt(START), Verdict.LATER, chance=0.5, lease="again")
    assert (delivered.status, delivered.due_at) == (Status.DELIVERED, None)


def test_what_is_on_its_way_or_cancelled_is_not_sent_again() -> None:
    waiting, cancelled = delivery(), delivery()
    cancelled.cancel("retracted", at=START)
    for one in (waiting, cancelled):
        with pytest.raises(NotPossibleNow):
            one.send_again(at=START)


def test_a_code_is_forgotten_once_it_left() -> None:
    one = delivery(kind=Kind.CODE, body=b"12345678")
    claimed(one, "lease", START)
    one.record(attempt(START), Verdict.TAKEN, chance=0.5, lease="lease")
    assert one.body is None


def test_a_breaker_opens_after_five_failures_in_a_row_and_lets_one_through_after_a_while() -> None:
    breaker = Breaker()
    for _ in range(5):
        assert breaker.admits(START)
        breaker.failed(START)
    assert not breaker.admits(START + FIRST_PAUSE - timedelta(seconds=1))

    assert breaker.admits(START + FIRST_PAUSE)
    breaker.begin()
    assert not breaker.admits(START + FIRST_PAUSE)
    breaker.succeeded(START + FIRST_PAUSE)
    assert breaker.admits(START + FIRST_PAUSE)


def test_a_breaker_opens_when_half_of_ten_calls_fail() -> None:
    breaker = Breaker()
    for turn in range(9):
        (breaker.failed if turn % 2 else breaker.succeeded)(START)
    assert breaker.admits(START)
    breaker.failed(START)
    assert not breaker.admits(START)


@given(st.integers(min_value=0, max_value=40))
def test_a_breaker_never_rests_longer_than_ten_minutes(failures: int) -> None:
    breaker, at = Breaker(), START
    for _ in range(failures):
        breaker.failed(at)
        at = breaker.opens_again_at or at
    assert breaker.admits(at + LONGEST_PAUSE)
