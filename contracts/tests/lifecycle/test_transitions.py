"""The 23 transitions of the lifecycle, row by row."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from baton_contracts.codes import AppointmentKind, Assertion, DocumentKind
from baton_contracts.conformance.steps import Ask, Run, Step, Tell, appointment, document
from baton_contracts.conformance.vectors import FIRST, FOLLOW_UP, REPORT
from baton_contracts.event_types import EventType
from baton_contracts.lifecycle import AppointmentStatus, Flag, Party, Stage, State, Verb

Story = Callable[..., Run]
UNSEEN = ["received", "accepted", "scheduled"]


def signed(kind: DocumentKind, note_id: str = REPORT, version: int = 1) -> Sequence[Step]:
    return (Ask(Verb.SIGN, attributes=document(note_id, kind, version)),)


def delivered(kind: DocumentKind, note_id: str = REPORT, version: int = 1) -> Sequence[Step]:
    body = document(note_id, kind, version)
    return (*signed(kind, note_id, version), Tell(EventType.NOTE_DELIVERED, attributes=body))


def visit(kind: AppointmentKind = AppointmentKind.VISIT, **attributes: Any) -> Ask:
    return Ask(Verb.COMPLETE, attributes={"visit_id": "v9", "kind": kind.value, **attributes})


def lands(run: Run, state: str, stage: str | None) -> None:
    assert run.refused == 0
    assert (run.lines.position.state, run.lines.position.stage) == (state, stage)


def test_row_1_a_referral_that_arrives_is_received(story: Story) -> None:
    lands(story("(none)", Tell(EventType.REFERRAL_RECEIVED)), "received", "received")


def test_row_2_accepting_makes_it_ours(story: Story) -> None:
    lands(story("received", Ask(Verb.ACCEPT)), "accepted", "received")


@pytest.mark.parametrize("state", UNSEEN)
def test_row_3_a_question_holds_and_its_answer_releases(story: Story, state: str) -> None:
    asked = story(state, Ask(Verb.REQUEST_INFO))
    position = asked.lines.position
    assert position.state == state
    assert position.hold is not None
    assert position.hold.reason == "missing_info"
    assert position.resume_to == state
    answered = asked.after(Ask(Verb.SUPPLY_INFO, Party.SENDER))
    assert answered.refused == 0
    assert answered.lines.position.hold is None


def test_row_3_an_answer_from_a_system_waits_for_a_person(story: Story) -> None:
    answer = Tell(EventType.REFERRAL_INFO_SUPPLIED, assertion=Assertion.PARTNER_SYSTEM)
    answered = story("accepted", Ask(Verb.REQUEST_INFO), answer)
    assert answered.lines.position.hold is not None
    assert Flag.NEEDS_REVIEW in answered.lines.position.flags
    released = answered.after(Ask(Verb.RELEASE))
    assert released.lines.position.hold is None
    assert released.lines.position.flags == ()


@pytest.mark.parametrize("state", UNSEEN)
@pytest.mark.parametrize("reason", ["auth_pending", "patient_unreachable", "no_capacity"])
def test_row_4_a_hold_never_replaces_the_state(story: Story, state: str, reason: str) -> None:
    held = story(state, Ask(Verb.HOLD, reason=reason))
    assert held.lines.position.state == state
    assert held.lines.position.hold is not None
    assert held.after(Ask(Verb.RELEASE)).lines.position.hold is None


@pytest.mark.parametrize("state", ["received", "accepted"])
def test_row_5_a_booking_schedules_even_before_triage(story: Story, state: str) -> None:
    booked = story(state, Ask(Verb.BOOK, Party.PMS, attributes=appointment("a2")))
    lands(booked, "scheduled", "scheduled")
    assert (Flag.TRIAGE_PENDING in booked.lines.position.flags) == (state == "received")
    assert booked.lines.position.next_appointment is not None


def test_row_6_a_moved_appointment_stays_scheduled(story: Story) -> None:
    moved = {**appointment(FIRST), "start": "2027-01-01T09:00:00+00:00"}
    run = story("scheduled", Ask(Verb.RESCHEDULE, attributes=moved))
    lands(run, "scheduled", "scheduled")
    next_one = run.lines.position.next_appointment
    assert next_one is not None
    assert next_one.start is not None
    assert next_one.start.year == 2027


def test_row_7_a_cancelled_appointment_goes_back_to_booking_and_ends_nothing(story: Story) -> None:
    cancelled = story("scheduled", Ask(Verb.CANCEL_APPOINTMENT, attributes=appointment(FIRST)))
    lands(cancelled, "accepted", "scheduled")
    missed = story(
        "scheduled",
        Ask(Verb.NO_SHOW, attributes=appointment(FIRST)),
        Ask(Verb.CANCEL_APPOINTMENT, attributes=appointment(FIRST)),
    )
    lands(missed, "accepted", "scheduled")
    assert missed.lines.position.no_show_count == 1
    assert missed.lines.position.last_appointment is not None
    assert missed.lines.position.last_appointment.status is AppointmentStatus.CANCELLED


def test_row_7_with_another_one_live_it_stays_scheduled(story: Story) -> None:
    run = story(
        "scheduled",
        Ask(Verb.BOOK, attributes=appointment("a2")),
        Ask(Verb.CANCEL_APPOINTMENT, attributes=appointment(FIRST)),
    )
    lands(run, "scheduled", "scheduled")


def test_row_7_never_accepted_means_received_again(story: Story) -> None:
    run = story(
        "received",
        Ask(Verb.BOOK, attributes=appointment(FIRST)),
        Ask(Verb.CANCEL_APPOINTMENT, attributes=appointment(FIRST)),
    )
    lands(run, "received", "scheduled")


def test_row_8_a_no_show_counts_and_goes_back_to_booking(story: Story) -> None:
    run = story("scheduled", Ask(Verb.NO_SHOW, attributes=appointment(FIRST)))
    lands(run, "accepted", "scheduled")
    assert run.lines.position.no_show_count == 1
    again = run.after(Ask(Verb.RESCHEDULE, attributes=appointment(FIRST))).after(
        Ask(Verb.NO_SHOW, attributes=appointment(FIRST))
    )
    assert again.lines.position.no_show_count == 2


def test_row_8_undoing_a_no_show_takes_it_off_the_count(story: Story) -> None:
    run = story(
        "scheduled",
        Ask(Verb.NO_SHOW, attributes=appointment(FIRST)),
        Ask(Verb.REINSTATE, attributes=appointment(FIRST)),
    )
    lands(run, "scheduled", "scheduled")
    assert run.lines.position.no_show_count == 0


def test_row_9_a_patient_who_arrived_is_still_scheduled(story: Story) -> None:
    run = story("scheduled", Ask(Verb.ARRIVE, attributes=appointment(FIRST)))
    lands(run, "scheduled", "scheduled")
    assert run.lines.position.next_appointment is not None
    assert run.lines.position.next_appointment.status is AppointmentStatus.ARRIVED


def test_row_10_a_completed_visit_is_seen_walk_ins_too(story: Story) -> None:
    lands(story("scheduled", visit(appointment_id=FIRST)), "seen", "seen")
    lands(story("accepted", visit()), "seen", "seen")
    lands(story("received", visit()), "seen", "seen")


@pytest.mark.parametrize("kind", [AppointmentKind.TEST, AppointmentKind.FOLLOW_UP])
def test_row_10_only_a_visit_moves_the_referral(story: Story, kind: AppointmentKind) -> None:
    booked = story("accepted", Ask(Verb.BOOK, attributes=appointment("t1", kind)))
    lands(booked, "accepted", "received")
    lands(booked.after(visit(kind, appointment_id="t1")), "accepted", "received")


@pytest.mark.parametrize("state", ["accepted", "scheduled", "seen", "notes_sent"])
def test_row_11_an_interim_note_moves_nothing(story: Story, state: str) -> None:
    before = story(state).lines.position
    after = story(state, delivered(DocumentKind.INTERIM, "i1")).lines.position
    assert (after.state, after.stage) == (before.state, before.stage)


@pytest.mark.parametrize("state", ["accepted", "scheduled", "seen"])
def test_row_12_a_final_note_counts_when_it_is_delivered_not_when_it_is_signed(
    story: Story, state: str
) -> None:
    before = story(state).lines.position
    assert story(state, signed(DocumentKind.FINAL)).lines.position.state == before.state
    lands(story(state, delivered(DocumentKind.FINAL)), "notes_sent", "notes_sent")


def test_row_12_what_was_delivered_before_the_signature_is_not_the_final_report(story: Story) -> None:
    early = Tell(EventType.NOTE_DELIVERED, attributes=document(REPORT, DocumentKind.INTERIM, 1))
    run = story("seen", signed(DocumentKind.INTERIM, REPORT, 1), early, signed(DocumentKind.FINAL, REPORT, 2))
    lands(run, "seen", "seen")
    late = Tell(EventType.NOTE_DELIVERED, attributes=document(REPORT, DocumentKind.FINAL, 2))
    lands(run.after(late), "notes_sent", "notes_sent")


@pytest.mark.parametrize("state", ["notes_sent", "care_returned"])
@pytest.mark.parametrize(
    "correction",
    [
        Ask(Verb.CORRECT, attributes=document(REPORT, DocumentKind.CORRECTED, 2)),
        Ask(Verb.CORRECT, attributes={**document("d2", DocumentKind.CORRECTED), "replaces": REPORT}),
        Ask(Verb.SIGN, attributes=document("d3", DocumentKind.ADDENDUM)),
    ],
    ids=["next version", "replacing document", "addendum"],
)
def test_row_13_a_correction_reopens_what_was_returned(story: Story, state: str, correction: Ask) -> None:
    corrected = story(state, correction)
    lands(corrected, "notes_sent", "notes_sent")
    assert Flag.CORRECTION_OUTSTANDING in corrected.lines.position.flags
    assert corrected.lines.position.ack is None
    early = corrected.after(Tell(EventType.CARE_RETURNED, attributes={"ack": "explicit"}))
    lands(early, "notes_sent", "notes_sent")
    sent = early.after(Tell(EventType.NOTE_DELIVERED, attributes=correction.attributes))
    lands(sent.after(Ask(Verb.RETURN_CARE, attributes={"ack": "explicit"})), "care_returned", "care_returned")


def test_row_13_an_interim_note_after_the_return_reopens_nothing(story: Story) -> None:
    lands(story("care_returned", delivered(DocumentKind.INTERIM, "i1")), "care_returned", "care_returned")


@pytest.mark.parametrize("ack", ["explicit", "implied"])
def test_row_14_care_returns_when_the_office_acknowledged_or_the_window_passed(
    story: Story, ack: str
) -> None:
    run = story("notes_sent", Ask(Verb.RETURN_CARE, Party.TIMER, attributes={"ack": ack}))
    lands(run, "care_returned", "care_returned")
    assert run.lines.position.ack == ack
    lands(run.after(Ask(Verb.RETRACT_RETURN)), "notes_sent", "notes_sent")


def test_row_14_nobody_returns_care_without_a_delivered_report(story: Story) -> None:
    run = story("seen", Tell(EventType.CARE_RETURNED, attributes={"ack": "explicit"}))
    lands(run, "seen", "seen")
    assert run.lines == story("seen").lines
    assert story("seen", Ask(Verb.RETURN_CARE)).refused == 1


def test_row_15_shared_care_is_agreed_and_ends_with_the_referrer(story: Story) -> None:
    agreed = story("notes_sent", Ask(Verb.AGREE_COMANAGEMENT))
    lands(agreed, "co_managed", "notes_sent")
    acknowledged = agreed.after(Tell(EventType.CARE_RETURNED, attributes={"ack": "explicit"}))
    lands(acknowledged, "co_managed", "notes_sent")
    lands(agreed.after(Ask(Verb.END_COMANAGEMENT)), "care_returned", "care_returned")


@pytest.mark.parametrize("state", ["seen", "notes_sent", "co_managed"])
@pytest.mark.parametrize("verb", [Verb.CANCEL_APPOINTMENT, Verb.NO_SHOW, Verb.RESCHEDULE])
def test_row_16_follow_ups_are_children_only(story: Story, state: str, verb: Verb) -> None:
    before = story(state).lines.position
    about = appointment(FOLLOW_UP, AppointmentKind.FOLLOW_UP)
    run = story(state, Ask(verb, attributes=about), Ask(Verb.BOOK, attributes=appointment("f2")))
    assert run.refused == 0
    assert (run.lines.position.state, run.lines.position.stage) == (before.state, before.stage)


@pytest.mark.parametrize("state", UNSEEN)
def test_row_17_declining_ends_it_and_a_live_slot_is_to_be_released(story: Story, state: str) -> None:
    stage = story(state).lines.position.stage
    run = story(state, Ask(Verb.DECLINE, reason="wrong_service"))
    lands(run, "declined", stage)
    assert run.lines.position.reason == "wrong_service"
    assert (Flag.RELEASE_SLOT in run.lines.position.flags) == (state == "scheduled")


@pytest.mark.parametrize("state", [*UNSEEN, "seen"])
def test_row_18_and_19_a_wish_to_cancel_is_answered(story: Story, state: str) -> None:
    wished = story(state, Ask(Verb.REQUEST_CANCEL, Party.SENDER))
    assert wished.lines.position.state is State.CANCEL_REQUESTED
    assert wished.lines.position.resume_to == state
    refused = wished.after(Ask(Verb.REFUSE_CANCEL))
    assert refused.lines.position.state == state
    confirmed = wished.after(Ask(Verb.CONFIRM_CANCEL))
    assert confirmed.lines.position.state == ("cancel_requested" if state == "seen" else "cancelled")
    assert confirmed.refused == (1 if state == "seen" else 0)


@pytest.mark.parametrize("state", ["notes_sent", "co_managed", "care_returned", "declined"])
def test_row_18_nobody_asks_to_cancel_what_is_done(story: Story, state: str) -> None:
    assert story(state, Ask(Verb.REQUEST_CANCEL, Party.SENDER)).refused == 1


@pytest.mark.parametrize("state", UNSEEN)
def test_row_20_the_patient_may_end_it(story: Story, state: str) -> None:
    stage = story(state).lines.position.stage
    lands(story(state, Ask(Verb.WITHDRAW, reason="moved")), "withdrawn", stage)


@pytest.mark.parametrize("state", UNSEEN)
def test_row_21_time_may_end_it_only_where_we_wait(story: Story, state: str) -> None:
    stage = story(state).lines.position.stage
    expire = Ask(Verb.EXPIRE, Party.TIMER, "no_patient_response")
    lands(story(state, expire), "expired", stage)
    for later in ("seen", "notes_sent", "co_managed", "cancel_requested"):
        assert story(later, expire).refused == 1


@pytest.mark.parametrize("state", ["declined", "withdrawn", "expired", "cancelled"])
def test_row_22_an_ended_referral_goes_on(story: Story, state: str) -> None:
    reopened = story(state, Ask(Verb.REOPEN, attributes={"to": "accepted"}))
    lands(reopened, "accepted", "received")
    assert reopened.lines.position.reason is None
    lands(story(state, Ask(Verb.REOPEN, attributes={"to": "received"})), "received", "received")


@pytest.mark.parametrize("state", [state.value for state in State if state is not State.ENTERED_IN_ERROR])
def test_row_23_what_was_never_real_stands_above_all(story: Story, state: str) -> None:
    stage = story(state).lines.position.stage
    run = story(state, Ask(Verb.MARK_IN_ERROR, attributes={"duplicate_of": "r2"}))
    lands(run, "entered_in_error", stage)
    assert run.lines.position.duplicate_of == "r2"
    assert run.after(Tell(EventType.VISIT_COMPLETED, attributes={"visit_id": "v7"})).lines.position.state == (
        "entered_in_error"
    )


def test_a_visit_outranks_every_other_ending(story: Story) -> None:
    for ending in ("declined", "cancelled", "withdrawn", "expired"):
        run = story(ending, visit())
        lands(run, "seen", "seen")
        assert Flag.SEEN_AFTER_ENDING in run.lines.position.flags
        lands(run.after(Tell(EventType.VISIT_RETRACTED, attributes={"visit_id": "v9"})), ending, "received")


def test_a_booking_undoes_no_ending(story: Story) -> None:
    for ending in ("declined", "cancelled", "withdrawn", "expired", "entered_in_error"):
        run = story(ending, Tell(EventType.APPOINTMENT_BOOKED, attributes=appointment("a2")))
        assert run.lines.position.state == ending
        assert Flag.RELEASE_SLOT in run.lines.position.flags


def test_a_delivered_report_outranks_a_wish_to_cancel_and_an_expiry(story: Story) -> None:
    for state in ("cancel_requested", "expired"):
        lands(story(state, delivered(DocumentKind.FINAL)), "notes_sent", "notes_sent")


def test_without_a_visit_a_report_changes_no_other_ending_and_raises_no_stage(story: Story) -> None:
    for ending in ("declined", "cancelled", "withdrawn"):
        run = story(ending, delivered(DocumentKind.FINAL))
        lands(run, ending, "received")
        assert Flag.LATE_DOCUMENT in run.lines.position.flags


def test_a_retracted_visit_or_note_counts_no_more_for_the_stage(story: Story) -> None:
    undone = story("seen", Tell(EventType.VISIT_RETRACTED, attributes={"visit_id": "v1"}))
    lands(undone, "scheduled", "scheduled")
    taken_back = story(
        "care_returned", Tell(EventType.NOTE_RETRACTED, attributes=document(REPORT, DocumentKind.FINAL))
    )
    lands(taken_back, "seen", "seen")
    again = Tell(EventType.NOTE_DELIVERED, attributes=document(REPORT, DocumentKind.FINAL))
    lands(taken_back.after(again), "seen", "seen")


def test_an_appointment_that_was_never_real_raises_no_stage(story: Story) -> None:
    wrong = Ask(Verb.MARK_APPOINTMENT_IN_ERROR, attributes=appointment(FIRST))
    lands(story("scheduled", wrong), "accepted", "received")


def test_an_appointment_retracted_after_its_visit_keeps_the_visit(story: Story) -> None:
    wrong = Tell(EventType.APPOINTMENT_ENTERED_IN_ERROR, attributes=appointment(FIRST))
    lands(story("seen", wrong), "seen", "seen")


def test_the_next_appointment_is_the_one_that_starts_first(story: Story) -> None:
    sooner = {**appointment("a2"), "start": "2026-11-20T13:00:00+00:00"}
    run = story("scheduled", Ask(Verb.BOOK, attributes=sooner))
    assert run.lines.position.next_appointment is not None
    assert run.lines.position.next_appointment.id == "a2"


def test_nothing_received_is_no_state_at_all(story: Story) -> None:
    run = story("(none)", Tell(EventType.APPOINTMENT_BOOKED, attributes=appointment("a1")))
    assert run.lines.position.state is None
    assert run.lines.position.stage is None
    caught_up = run.after(Tell(EventType.REFERRAL_RECEIVED))
    assert caught_up.lines.position.stage is Stage.SCHEDULED


def test_a_late_wish_to_cancel_or_acceptance_moves_no_ending(story: Story) -> None:
    for ending in ("declined", "cancelled", "withdrawn", "expired"):
        for late in (
            EventType.REFERRAL_CANCEL_REQUESTED,
            EventType.REFERRAL_ACCEPTED,
            EventType.REFERRAL_HELD,
        ):
            run = story(ending, Tell(late, "other"))
            lands(run, ending, "received")
            assert run.lines.position == story(ending).lines.position


def test_an_ending_lifts_the_hold_and_forgets_the_wish_to_cancel(story: Story) -> None:
    run = story(
        "accepted",
        Ask(Verb.HOLD, reason="auth_pending"),
        Ask(Verb.REQUEST_CANCEL, Party.SENDER),
        Ask(Verb.CONFIRM_CANCEL),
        Ask(Verb.REOPEN, attributes={"to": "accepted"}),
    )
    lands(run, "accepted", "received")
    assert run.lines.position.hold is None


def test_a_redirection_is_forgotten_when_the_referral_goes_on(story: Story) -> None:
    elsewhere = {"redirected_to": {"system": "urn:x", "value": "other-clinic"}}
    declined = story("received", Ask(Verb.DECLINE, reason="wrong_service", attributes=elsewhere))
    assert declined.lines.position.redirected_to == "other-clinic"
    assert declined.after(Ask(Verb.REOPEN)).refused == 1
    reopened = declined.after(Tell(EventType.REFERRAL_REOPENED, attributes={"to": "received"}))
    assert reopened.lines.position.redirected_to is None


@pytest.mark.parametrize("state", list(State))
def test_a_plain_referral_raises_no_flag(story: Story, state: State) -> None:
    assert story(state.value).lines.position.flags == ()


def test_an_answer_lifts_only_the_hold_that_waited_for_it(story: Story) -> None:
    held = story("accepted", Ask(Verb.HOLD, reason="auth_pending"), Tell(EventType.REFERRAL_INFO_SUPPLIED))
    assert held.lines.position.hold is not None
    assert held.after(Ask(Verb.SUPPLY_INFO)).refused == 1


def test_news_of_a_completed_appointment_change_nothing_but_its_retraction(story: Story) -> None:
    before = story("seen")
    for late in (
        EventType.APPOINTMENT_BOOKED,
        EventType.APPOINTMENT_RESCHEDULED,
        EventType.APPOINTMENT_CANCELLED,
        EventType.APPOINTMENT_NO_SHOW,
        EventType.APPOINTMENT_REINSTATED,
        EventType.APPOINTMENT_ENTERED_IN_ERROR,
        EventType.PATIENT_ARRIVED,
    ):
        assert before.after(Tell(late, attributes=appointment(FIRST))).lines == before.lines


def test_a_visit_told_twice_counts_once_and_two_visits_are_retracted_one_by_one(story: Story) -> None:
    again = Tell(EventType.VISIT_COMPLETED, attributes={"visit_id": "v1", "appointment_id": FIRST})
    assert story("seen", again).lines == story("seen").lines
    second = Tell(EventType.VISIT_COMPLETED, attributes={"visit_id": "v2", "appointment_id": FIRST})
    first_gone = story("seen", second, Tell(EventType.VISIT_RETRACTED, attributes={"visit_id": "v1"}))
    lands(first_gone, "seen", "seen")
    both_gone = first_gone.after(Tell(EventType.VISIT_RETRACTED, attributes={"visit_id": "v2"}))
    lands(both_gone, "scheduled", "scheduled")


def test_a_visit_at_an_unknown_appointment_leaves_nothing_when_retracted(story: Story) -> None:
    run = story("accepted", visit(appointment_id="a7"))
    lands(run, "seen", "seen")
    retracted = run.after(Tell(EventType.VISIT_RETRACTED, attributes={"visit_id": "v9"}))
    assert retracted.lines == story("accepted").lines


def test_a_correction_of_an_interim_note_is_no_report(story: Story) -> None:
    corrected = {**document("i2", DocumentKind.CORRECTED), "replaces": "i1"}
    run = story(
        "seen",
        delivered(DocumentKind.INTERIM, "i1"),
        Ask(Verb.CORRECT, attributes=corrected),
        Tell(EventType.NOTE_DELIVERED, attributes=corrected),
    )
    lands(run, "seen", "seen")
    assert run.lines.position.flags == ()


def test_an_addendum_to_a_final_note_keeps_it_final(story: Story) -> None:
    run = story("notes_sent", signed(DocumentKind.ADDENDUM, REPORT, 2))
    lands(run, "notes_sent", "notes_sent")
    lands(
        run.after(Tell(EventType.CARE_RETURNED, attributes={"ack": "explicit"})), "notes_sent", "notes_sent"
    )
    sent = run.after(Tell(EventType.NOTE_DELIVERED, attributes=document(REPORT, DocumentKind.ADDENDUM, 2)))
    lands(sent.after(Ask(Verb.RETURN_CARE)), "care_returned", "care_returned")


def test_an_addendum_beside_a_final_note_does_not_excuse_that_notes_own_delivery(story: Story) -> None:
    beside = {**document("d3", DocumentKind.ADDENDUM), "replaces": REPORT}
    run = story(
        "notes_sent",
        signed(DocumentKind.FINAL, REPORT, 2),
        Ask(Verb.SIGN, attributes=beside),
        Tell(EventType.NOTE_DELIVERED, attributes=beside),
        Tell(EventType.CARE_RETURNED, attributes={"ack": "explicit"}),
    )
    lands(run, "notes_sent", "notes_sent")


def test_a_note_signed_again_after_its_retraction_must_be_delivered_again(story: Story) -> None:
    about = document(REPORT, DocumentKind.FINAL)
    run = story("notes_sent", Ask(Verb.RETRACT_NOTE, attributes=about), signed(DocumentKind.FINAL, REPORT, 2))
    lands(run, "seen", "seen")
    lands(run.after(Tell(EventType.NOTE_DELIVERED, attributes=about)), "seen", "seen")
    second = Tell(EventType.NOTE_DELIVERED, attributes=document(REPORT, DocumentKind.FINAL, 2))
    lands(run.after(second), "notes_sent", "notes_sent")


def test_a_report_taken_back_after_its_return_is_not_returned_when_another_stands(story: Story) -> None:
    run = story(
        "notes_sent",
        delivered(DocumentKind.FINAL, "d2"),
        Ask(Verb.RETURN_CARE),
        Ask(Verb.RETRACT_NOTE, attributes=document("d2", DocumentKind.FINAL)),
    )
    lands(run, "notes_sent", "notes_sent")


def test_shared_care_agreed_after_a_return_is_no_return_any_more(story: Story) -> None:
    agreed = story("care_returned", Tell(EventType.COMANAGEMENT_AGREED))
    lands(agreed, "co_managed", "notes_sent")
    ended_without = story("notes_sent", Tell(EventType.COMANAGEMENT_ENDED))
    lands(ended_without, "notes_sent", "notes_sent")
