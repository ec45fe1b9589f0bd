"""Who hears: the column 'tell the referring office' of the transitions, and nothing beyond it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_contracts.conformance.steps import Run
from baton_contracts.conformance.vectors import FOLLOW_UP, given_facts, sample_fact
from baton_contracts.event_types import EventType as E
from baton_contracts.lifecycle import TABLE, Fact, Notice, State, Template, Urgency, fold, who_hears

Story = Callable[..., Run]


def told(
    given_state: str,
    event_type: E,
    *,
    reason: str | None = None,
    before_that: Sequence[str] = (),
    **attributes: Any,
) -> Notice | None:
    """What the office hears when this happens to a referral in this state."""
    (facts,) = given_facts(given_state)
    sample = sample_fact(event_type)
    fact = replace(sample, reason=reason, attributes={**sample.attributes, **attributes})
    lines = fold(facts)
    return who_hears(fact, lines.position, lines.after(fact).position, before_that)


@pytest.mark.parametrize(
    ("row", "given_state", "event_type", "changes", "template", "urgency"),
    [
        (1, "(none)", E.REFERRAL_RECEIVED, {}, "received", "at_once"),
        (2, "received", E.REFERRAL_ACCEPTED, {}, "accepted", "at_once"),
        (3, "accepted", E.REFERRAL_INFO_REQUESTED, {}, "info_requested", "at_once"),
        (3, "accepted", E.REFERRAL_INFO_SUPPLIED, {}, "info_received", "digest"),
        (4, "accepted", E.REFERRAL_HELD, {"reason": "auth_pending"}, "on_hold", "digest"),
        (4, "accepted", E.REFERRAL_HELD, {"reason": "patient_unreachable"}, "on_hold", "at_once"),
        (4, "accepted", E.REFERRAL_HELD, {"reason": "auth_denied"}, "on_hold", "at_once"),
        (5, "accepted", E.APPOINTMENT_BOOKED, {}, "scheduled", "at_once"),
        (5, "received", E.APPOINTMENT_BOOKED, {}, "scheduled", "at_once"),
        (6, "scheduled", E.APPOINTMENT_RESCHEDULED, {"changed": ["start"]}, "rescheduled", "at_once"),
        (6, "scheduled", E.APPOINTMENT_RESCHEDULED, {"changed": ["clinician"]}, "rescheduled", "at_once"),
        (6, "scheduled", E.APPOINTMENT_RESCHEDULED, {"changed": ["location"]}, None, None),
        (7, "scheduled", E.APPOINTMENT_CANCELLED, {}, "appointment_cancelled", "at_once"),
        (8, "scheduled", E.APPOINTMENT_NO_SHOW, {}, "no_show", "at_once"),
        (9, "scheduled", E.PATIENT_ARRIVED, {}, None, None),
        (10, "scheduled", E.VISIT_COMPLETED, {}, "seen", "at_once"),
        (10, "accepted", E.VISIT_COMPLETED, {}, "seen", "at_once"),
        (11, "seen", E.NOTE_SIGNED, {"kind": "interim"}, "interim_document", "document"),
        (12, "seen", E.NOTE_SIGNED, {}, "document", "document"),
        (12, "seen", E.NOTE_DELIVERED, {}, None, None),
        (13, "notes_sent", E.NOTE_CORRECTED, {"before_that": ["document"]}, "document_changed", "document"),
        (13, "seen", E.NOTE_CORRECTED, {}, "document", "document"),
        (14, "notes_sent", E.CARE_RETURNED, {}, "care_returned", "at_once"),
        (14, "seen", E.CARE_RETURNED, {}, None, None),
        (15, "notes_sent", E.COMANAGEMENT_AGREED, {}, "co_managed", "at_once"),
        (
            15,
            "co_managed",
            E.COMANAGEMENT_ENDED,
            {"before_that": ["co_managed"]},
            "co_management_ended",
            "at_once",
        ),
        (16, "seen", E.APPOINTMENT_BOOKED, {"appointment_id": "f2"}, "follow_up_scheduled", "at_once"),
        (
            16,
            "notes_sent",
            E.APPOINTMENT_CANCELLED,
            {"appointment_id": FOLLOW_UP},
            "follow_up_cancelled",
            "at_once",
        ),
        (
            16,
            "co_managed",
            E.APPOINTMENT_NO_SHOW,
            {"appointment_id": FOLLOW_UP},
            "follow_up_no_show",
            "at_once",
        ),
        (17, "scheduled", E.REFERRAL_DECLINED, {"reason": "no_capacity"}, "declined", "at_once"),
        (18, "scheduled", E.REFERRAL_CANCEL_REQUESTED, {}, "cancel_received", "at_once"),
        (19, "cancel_requested", E.REFERRAL_CANCELLED, {}, "cancelled", "at_once"),
        (19, "cancel_requested", E.REFERRAL_CANCEL_REFUSED, {}, "cancel_refused", "at_once"),
        (20, "accepted", E.REFERRAL_WITHDRAWN, {"reason": "moved"}, "withdrawn", "at_once"),
        (21, "accepted", E.REFERRAL_EXPIRED, {}, "expired", "at_once"),
        (22, "declined", E.REFERRAL_REOPENED, {}, "reopened", "at_once"),
        (
            23,
            "accepted",
            E.REFERRAL_MARKED_IN_ERROR,
            {"before_that": ["received"]},
            "entered_in_error",
            "at_once",
        ),
        (23, "accepted", E.REFERRAL_MARKED_IN_ERROR, {}, None, None),
    ],
)
def test_each_row_of_the_transitions_tells_the_office_what_it_should(
    row: int,
    given_state: str,
    event_type: E,
    changes: dict[str, Any],
    template: str | None,
    urgency: str | None,
) -> None:
    notice = told(given_state, event_type, **changes)
    heard = (notice.template, notice.urgency) if notice else (None, None)
    assert heard == (template, urgency), f"row {row}"


def test_every_event_type_has_a_row_and_a_last_one_that_takes_the_rest() -> None:
    for type_ in E:
        rows = [row for row in TABLE if row.event is type_]
        assert rows, type_
        last = rows[-1]
        conditions = (last.before, last.after, last.reasons, last.kinds, last.changed, last.told)
        assert conditions == (None,) * 6, type_


def test_no_row_is_out_of_reach_behind_one_that_takes_everything() -> None:
    for type_ in E:
        rows = [row for row in TABLE if row.event is type_]
        open_rows = [
            r for r in rows if (r.before, r.after, r.reasons, r.kinds, r.changed, r.told) == (None,) * 6
        ]
        assert open_rows == rows[-1:]


def test_a_row_without_a_template_says_nothing_and_one_with_a_template_something() -> None:
    assert all((row.template is None) == (row.urgency is Urgency.NONE) for row in TABLE)


def test_every_template_is_told_by_some_row() -> None:
    assert {row.template for row in TABLE if row.template} == set(Template)


@pytest.mark.parametrize("ending", ["declined", "cancelled", "withdrawn", "expired"])
def test_after_an_ending_the_slot_that_is_released_is_no_news(ending: str) -> None:
    (facts,) = given_facts("scheduled")
    ended = fold([*facts, sample_fact(E(f"referral.{ending}.v1"))])
    cancelled = sample_fact(E.APPOINTMENT_CANCELLED)
    assert who_hears(cancelled, ended.position, ended.after(cancelled).position) is None


def test_a_second_visit_and_a_visit_after_the_report_are_no_news() -> None:
    assert told("seen", E.VISIT_COMPLETED, visit_id="v2") is None
    assert told("notes_sent", E.VISIT_COMPLETED, visit_id="v2") is None


def test_whoever_was_told_gets_a_correction_and_nobody_else() -> None:
    for event_type, template, correction in (
        (E.VISIT_RETRACTED, "seen", "visit_corrected"),
        (E.NOTE_RETRACTED, "document", "document_retracted"),
        (E.CARE_RETURN_RETRACTED, "care_returned", "care_return_corrected"),
    ):
        assert told("care_returned", event_type) is None
        notice = told("care_returned", event_type, before_that=[template])
        assert notice == Notice(Urgency.AT_ONCE, Template(correction))
    wrong = told("scheduled", E.APPOINTMENT_ENTERED_IN_ERROR, before_that=["scheduled"])
    assert wrong == Notice(Urgency.AT_ONCE, Template.APPOINTMENT_CORRECTED)
    assert told("scheduled", E.APPOINTMENT_ENTERED_IN_ERROR) is None


def test_a_test_appointment_is_not_announced_as_the_visit() -> None:
    assert told("accepted", E.APPOINTMENT_BOOKED, kind="test") is None
    assert told("scheduled", E.APPOINTMENT_BOOKED, kind="test", appointment_id="t1") is None


def test_no_document_goes_out_for_what_was_never_real() -> None:
    assert told("entered_in_error", E.NOTE_SIGNED) is None
    assert told("cancelled", E.NOTE_SIGNED) == Notice(Urgency.DOCUMENT, Template.DOCUMENT)


@given(
    st.sampled_from([*list(E), "referral.teleported.v1"]),
    st.sampled_from(list(State)),
    st.lists(st.text(max_size=5) | st.sampled_from(list(Template)), max_size=4),
    st.dictionaries(
        st.sampled_from(["changed", "kind"]), st.none() | st.integers() | st.lists(st.none()), max_size=2
    ),
)
def test_hearing_is_total(
    event_type: str, state: State, told_before: list[str], attributes: dict[str, Any]
) -> None:
    lines = fold(given_facts(state.value)[0])
    fact = Fact(event_type, sample_fact(E.REFERRAL_ACCEPTED).occurred_at, attributes=attributes)
    notice = who_hears(fact, lines.position, lines.after(fact).position, told_before)
    assert notice is None or notice.urgency is not Urgency.NONE
