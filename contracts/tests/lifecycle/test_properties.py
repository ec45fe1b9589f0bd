"""Properties of the lifecycle over arbitrary sequences of facts."""

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import baton_contracts
from baton_contracts import codes
from baton_contracts.conformance.vectors import given_facts, sample_fact
from baton_contracts.event_types import EventType
from baton_contracts.lifecycle import (
    ENDED,
    Fact,
    Lines,
    Position,
    Stage,
    State,
    fold,
    join,
    who_hears,
)
from baton_contracts.topics import ADDRESSES, Line

START = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
BY_LINE = {
    line: [type_ for type_ in EventType if ADDRESSES[type_].line is line]
    for line in (Line.REQUEST, Line.APPOINTMENTS, Line.DOCUMENTS, Line.NOTICES)
}
REASONS = [member.value for vocabulary in codes.REASONS.values() for member in vocabulary]
MOMENTS = st.integers(min_value=0, max_value=10_000).map(lambda minutes: START + timedelta(minutes=minutes))

ATTRIBUTES = st.fixed_dictionaries(
    {
        "appointment_id": st.sampled_from(["a1", "a2", "a3"]),
        "visit_id": st.sampled_from(["v1", "v2"]),
        "document": st.fixed_dictionaries(
            {"id": st.sampled_from(["d1", "d2"]), "version": st.integers(min_value=1, max_value=3)}
        ),
    },
    optional={
        "kind": st.sampled_from(["visit", "test", "follow_up", "interim", "final", "addendum", "corrected"]),
        "start": MOMENTS.map(datetime.isoformat),
        "replaces": st.sampled_from(["d1", "d2"]),
        "ack": st.sampled_from(["explicit", "implied"]),
        "to": st.sampled_from(["accepted", "received"]),
        "duplicate_of": st.just("r2"),
        "redirected_to": st.just({"system": "urn:x", "value": "y"}),
        "changed": st.lists(st.sampled_from(["start", "clinician", "room"]), max_size=2),
    },
)


def facts_of(types: Sequence[EventType]) -> st.SearchStrategy[Fact]:
    return st.builds(
        Fact,
        type=st.sampled_from(types),
        occurred_at=MOMENTS,
        reason=st.none() | st.sampled_from(REASONS),
        assertion=st.sampled_from([member.value for member in codes.Assertion]),
        attributes=ATTRIBUTES,
    )


ANY_FACTS = st.lists(facts_of(list(EventType)), max_size=14)
A_REFERRAL = ANY_FACTS.map(lambda facts: [Fact(EventType.REFERRAL_RECEIVED, START), *facts])
LINES = st.tuples(*(st.lists(facts_of(types), max_size=6) for types in BY_LINE.values()))


@given(LINES, st.randoms(use_true_random=False))
@settings(max_examples=200)
def test_any_interleaving_of_the_lines_gives_the_same_position(
    lines: tuple[list[Fact], ...], shuffler: Any
) -> None:
    queues = [list(line) for line in lines]
    merged: list[Fact] = []
    while any(queues):
        merged.append(shuffler.choice([queue for queue in queues if queue]).pop(0))
    one_after_the_other = fold(fact for line in lines for fact in line)
    assert fold(merged) == one_after_the_other
    assert fold(merged).position == one_after_the_other.position


@given(LINES)
def test_the_position_is_the_join_of_the_lines_folded_apart(lines: tuple[list[Fact], ...]) -> None:
    request, appointments, documents, _ = (fold(line) for line in lines)
    whole = fold(fact for line in lines for fact in line)
    assert join(request.request, appointments.appointments, documents.documents) == whole.position


@given(ANY_FACTS)
@settings(max_examples=200)
def test_the_position_is_defined_after_any_facts(facts: list[Fact]) -> None:
    position = fold(facts).position
    received = any(fact.type == EventType.REFERRAL_RECEIVED for fact in facts)
    in_error = any(fact.type == EventType.REFERRAL_MARKED_IN_ERROR for fact in facts)
    assert (position.state is not None) == (received or in_error)
    assert (position.stage is not None) == received
    assert position.no_show_count >= 0


def states_and_events() -> list[Any]:
    return [
        pytest.param(state, type_, id=f"{state.value}-{type_.value}")
        for state in State
        for type_ in EventType
    ]


@pytest.mark.parametrize(("state", "event_type"), states_and_events())
def test_every_pair_of_state_and_event_is_defined(state: State, event_type: EventType) -> None:
    (facts,) = given_facts(state.value)
    lines = fold(facts)
    assert lines.position.state is state
    after = lines.after(sample_fact(event_type)).position
    assert after.state is not None
    assert after.stage is not None
    who_hears(sample_fact(event_type), lines.position, after)


@given(A_REFERRAL)
@settings(max_examples=200)
def test_a_completed_visit_outranks_every_other_ending(facts: list[Fact]) -> None:
    visited = Fact(EventType.VISIT_COMPLETED, START, attributes={"visit_id": "v9", "kind": "visit"})
    state = fold([*facts, visited]).position.state
    assert state not in ENDED - {State.CARE_RETURNED, State.ENTERED_IN_ERROR}
    assert state not in {State.RECEIVED, State.ACCEPTED, State.SCHEDULED}


@given(A_REFERRAL, facts_of([EventType.APPOINTMENT_BOOKED, EventType.APPOINTMENT_RESCHEDULED]))
@settings(max_examples=200)
def test_a_booking_undoes_no_ending(facts: list[Fact], booking: Fact) -> None:
    before = fold(facts).position
    after = fold([*facts, booking]).position
    assert after.state is before.state or not before.ended
    assert after.ended == before.ended


@given(A_REFERRAL, facts_of([EventType.APPOINTMENT_CANCELLED, EventType.APPOINTMENT_NO_SHOW]))
@settings(max_examples=200)
def test_a_cancelled_or_missed_appointment_never_ends_a_referral(facts: list[Fact], news: Fact) -> None:
    before, after = fold(facts).position, fold([*facts, news]).position
    assert after.ended == before.ended
    if before.state is not State.SCHEDULED:
        assert after.state is before.state


@given(A_REFERRAL, ANY_FACTS)
def test_entered_in_error_stands_above_everything_that_comes_later(
    facts: list[Fact], later: list[Fact]
) -> None:
    marked = Fact(EventType.REFERRAL_MARKED_IN_ERROR, START)
    assert fold([*facts, marked, *later]).position.state is State.ENTERED_IN_ERROR


@given(A_REFERRAL)
def test_facts_about_deliveries_offices_and_content_make_no_state(facts: list[Fact]) -> None:
    silent = {*BY_LINE[Line.NOTICES], EventType.REFERRAL_UPDATED}
    kept = [fact for fact in facts if fact.type not in silent]
    assert fold(facts) == fold(kept)


LOWERING = {
    EventType.REFERRAL_DECLINED,
    EventType.REFERRAL_CANCELLED,
    EventType.REFERRAL_WITHDRAWN,
    EventType.APPOINTMENT_ENTERED_IN_ERROR,
    EventType.VISIT_RETRACTED,
    EventType.NOTE_SIGNED,
    EventType.NOTE_CORRECTED,
    EventType.NOTE_RETRACTED,
    EventType.CARE_RETURN_RETRACTED,
    EventType.COMANAGEMENT_AGREED,
}


@given(A_REFERRAL, facts_of([type_ for type_ in EventType if type_ not in LOWERING]))
@settings(max_examples=200)
def test_the_stage_falls_only_by_a_retraction_a_correction_or_an_ending(
    facts: list[Fact], fact: Fact
) -> None:
    order = list(Stage)
    before, after = fold(facts).position.stage, fold([*facts, fact]).position.stage
    assert before is not None
    assert after is not None
    # A booking that makes a visit a test takes the booked visit away; nothing else here lowers anything.
    if fact.type not in (EventType.APPOINTMENT_BOOKED, EventType.APPOINTMENT_RESCHEDULED):
        assert order.index(after) >= order.index(before)


@given(A_REFERRAL)
def test_care_is_returned_only_on_the_current_final_report(facts: list[Fact]) -> None:
    lines = fold(facts)
    if lines.position.state is State.CARE_RETURNED:
        assert lines.documents.final_delivered
        assert not lines.documents.outstanding
        assert lines.position.ack is not None
    else:
        assert lines.position.ack is None


@given(A_REFERRAL)
def test_folded_lines_can_be_kept_as_json_and_taken_up_again(facts: list[Fact]) -> None:
    lines = fold(facts)
    assert Lines.load(lines.dump()) == lines


@given(A_REFERRAL, ANY_FACTS)
def test_taking_up_kept_lines_leads_where_folding_everything_leads(
    facts: list[Fact], later: list[Fact]
) -> None:
    kept = Lines.load(fold(facts).dump())
    assert reduce(Lines.after, later, kept) == fold([*facts, *later])


def test_lines_kept_by_another_version_are_taken_up_with_what_is_known() -> None:
    kept = {"request": {"received": True, "from_tomorrow": 1}, "labs": {}}
    assert Lines.load(kept).position.state is State.RECEIVED


def test_a_position_compares_by_value() -> None:
    (facts,) = given_facts("scheduled")
    assert fold(facts).position == fold(facts).position != Position(None, None)


def test_the_lifecycle_needs_nothing_but_the_standard_library() -> None:
    home = str(Path(baton_contracts.__file__).parents[1])
    probe = (
        f"import sys; sys.path.insert(0, {home!r}); import baton_contracts.lifecycle.published;"
        "known = set(sys.stdlib_module_names) | {'baton_contracts', '__main__'};"
        "loaded = {name.partition('.')[0] for name in sys.modules};"
        "sys.exit(', '.join(sorted(loaded - known)) or 0)"
    )
    # -I and -S: neither the environment nor site-packages, so that only the standard library can be found.
    done = subprocess.run([sys.executable, "-I", "-S", "-c", probe], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
