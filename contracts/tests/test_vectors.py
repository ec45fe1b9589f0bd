"""The field's own words: sourced vectors of eleven standards and products run on the pure lifecycle."""

from collections.abc import Callable

import pytest

from baton_contracts.conformance.steps import Run, run
from baton_contracts.conformance.translation import translate
from baton_contracts.conformance.vectors import Vector, given_facts, read_vectors
from baton_contracts.lifecycle import AppointmentStatus, Flag, Position, fold


def test_a_vector_comes_out_as_its_source_says(
    vector_line: str, record_property: Callable[[str, object], None]
) -> None:
    (vector,) = read_vectors(vector_line)
    for facts in given_facts(vector.given):
        before = fold(facts).position
        assert vector.given.startswith("any") or str(before.state or "(none)") in vector.given
        assert_conditions_hold(vector.given, before)
        after = run(facts, translate(vector.incoming, vector.given), vector.profile)
        check_state_and_stage(vector, before, after.lines.position)
        if "refused" not in vector.expected and before.state != vector.expected_state:
            assert after.refused == 0
        for name, value in vector.expected.items():
            if name in CHECKS:
                CHECKS[name](value, before, after)
    record_property("vector", vector.certainty)


def check_state_and_stage(vector: Vector, before: Position, after: Position) -> None:
    unchanged = vector.expected_state == "unchanged"
    assert after.state == (before.state if unchanged else expected(vector.expected_state))
    assert after.stage == (
        before.stage if vector.expected_stage == "unchanged" else expected(vector.expected_stage)
    )


def assert_conditions_hold(given: str, before: Position) -> None:
    if "stage=scheduled" in given:
        assert before.stage == "scheduled"
    if "no_show_count>=1" in given:
        assert before.no_show_count >= 1
    if "last_appointment=cancelled" in given:
        assert before.last_appointment is not None
    if "hold=" in given:
        assert before.hold is not None
    if "resume_to=scheduled" in given:
        assert before.resume_to == "scheduled"


def expected(name: str) -> str | None:
    return None if name == "(none)" else name


def check_hold(value: str, before: Position, after: Run) -> None:
    hold = after.lines.position.hold
    if value == "cleared":
        assert before.hold is not None
        assert hold is None
    else:
        assert hold is not None
        assert value in ("set", hold.reason)


def check_no_show(_: str, before: Position, after: Run) -> None:
    assert after.lines.position.no_show_count == before.no_show_count + 1


def check_last_appointment(value: str, _: Position, after: Run) -> None:
    last = after.lines.position.last_appointment
    assert last is not None
    assert last.status == value


def check_follow_up(value: str, _: Position, after: Run) -> None:
    position = after.lines.position
    one = position.next_appointment if value == AppointmentStatus.BOOKED else position.last_appointment
    assert one is not None
    assert (one.kind, one.status) == ("follow_up", value)


def check_resume_to(value: str, _: Position, after: Run) -> None:
    assert after.lines.position.resume_to == value


def check_reason(value: str, _: Position, after: Run) -> None:
    assert after.lines.position.reason == value


def check_redirected(_: str, __: Position, after: Run) -> None:
    assert after.lines.position.redirected_to is not None


def check_refused(_: str, __: Position, after: Run) -> None:
    assert after.refused


def check_late_document(_: str, __: Position, after: Run) -> None:
    assert Flag.LATE_DOCUMENT in after.lines.position.flags


def check_flag(value: str, _: Position, after: Run) -> None:
    if value == Flag.NEEDS_REVIEW:
        assert Flag.NEEDS_REVIEW in after.lines.position.flags


CHECKS: dict[str, Callable[[str, Position, Run], None]] = {
    "hold": check_hold,
    "no_show_count+1": check_no_show,
    "last_appointment": check_last_appointment,
    "appointment": check_last_appointment,
    "follow_up": check_follow_up,
    "resume_to": check_resume_to,
    "reason": check_reason,
    "redirected_to": check_redirected,
    "refused": check_refused,
    "late_document": check_late_document,
    "flag": check_flag,
}


def test_a_step_that_the_table_does_not_know_is_said_not_guessed() -> None:
    with pytest.raises(LookupError):
        translate("sender: waves a flag")
