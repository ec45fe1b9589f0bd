"""Legality: who may ask what, when, and with which reason."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_contracts.conformance.steps import EVENT_OF, Ask, Run, SenderCancels
from baton_contracts.conformance.vectors import given_facts, sample_fact
from baton_contracts.event_types import EventType
from baton_contracts.lifecycle import (
    ENDED,
    PROFILES,
    RULES,
    AppointmentStatus,
    Party,
    Position,
    RefusalCode,
    State,
    Verb,
    actions,
    allowed,
    appointment_refusal,
    fold,
    reasons,
    refusal,
)

Story = Callable[..., Run]


def at(state: State) -> Position:
    (facts,) = given_facts(state.value)
    return fold(facts).position


def test_every_verb_has_a_rule_and_every_recorded_one_an_event() -> None:
    assert set(RULES) == set(Verb)
    assert set(Verb) - set(EVENT_OF) == {Verb.ASSIGN, Verb.RECORD_NOTE}


@given(
    st.sampled_from(list(State)),
    st.text(max_size=12) | st.sampled_from(list(Verb)),
    st.sampled_from(list(Party)),
    st.none() | st.text(max_size=8),
    st.sampled_from(list(PROFILES.values())),
)
def test_legality_is_total(state: State, verb: str, by: Party, reason: str | None, profile: object) -> None:
    assert isinstance(profile, type(PROFILES["native"]))
    refused = refusal(at(state), verb, by=by, reason=reason, profile=profile)
    assert allowed(at(state), verb, by=by, reason=reason, profile=profile) == (refused is None)
    if verb not in list(Verb):
        assert refused is not None
        assert refused.code is RefusalCode.UNKNOWN_VERB


def test_nothing_can_be_asked_of_what_was_never_received() -> None:
    assert actions(Position(None, None)) == ()


@pytest.mark.parametrize("state", list(State))
def test_an_action_that_is_offered_is_one_that_is_granted(state: State) -> None:
    for party in Party:
        for verb in actions(at(state), by=party):
            reason = next(iter(reasons(verb)), None)
            assert allowed(at(state), verb, by=party, reason=reason)


def test_the_actions_of_a_received_referral_are_these() -> None:
    assert set(actions(at(State.RECEIVED))) >= {
        Verb.ACCEPT,
        Verb.DECLINE,
        Verb.REQUEST_INFO,
        Verb.HOLD,
        Verb.CANCEL,
        Verb.WITHDRAW,
        Verb.MARK_IN_ERROR,
        Verb.ASSIGN,
        Verb.BOOK,
    }
    assert not {Verb.REOPEN, Verb.RELEASE, Verb.SUPPLY_INFO, Verb.CONFIRM_CANCEL, Verb.RETURN_CARE} & set(
        actions(at(State.RECEIVED))
    )


@pytest.mark.parametrize("verb", [Verb.DECLINE, Verb.HOLD, Verb.WITHDRAW, Verb.EXPIRE])
def test_some_verbs_need_a_reason_and_it_must_be_one_of_theirs(verb: Verb) -> None:
    without = refusal(at(State.ACCEPTED), verb)
    assert without is not None
    assert without.code is RefusalCode.REASON_REQUIRED
    strange = refusal(at(State.ACCEPTED), verb, reason="forgot")
    assert strange is not None
    assert strange.code is RefusalCode.UNKNOWN_REASON
    assert "forgot" not in strange.detail
    assert allowed(at(State.ACCEPTED), verb, reason=reasons(verb)[0])


def test_accepting_twice_is_told_apart_from_accepting_what_ended() -> None:
    booked_first = fold([*given_facts("received")[0], sample_fact(EventType.APPOINTMENT_BOOKED)]).position
    assert booked_first.state is State.SCHEDULED
    assert allowed(booked_first, Verb.ACCEPT)
    assert allowed(booked_first, Verb.DECLINE, reason="no_capacity")
    again = refusal(at(State.SCHEDULED), Verb.ACCEPT)
    assert again is not None
    assert again.code is RefusalCode.ALREADY_DONE
    ended = refusal(at(State.DECLINED), Verb.ACCEPT)
    assert ended is not None
    assert ended.code is RefusalCode.ILLEGAL_TRANSITION


def test_after_a_visit_nobody_cancels_or_confirms_a_cancellation(story: Story) -> None:
    wished = story("seen", Ask(Verb.REQUEST_CANCEL, Party.SENDER)).lines.position
    for verb in (Verb.CANCEL, Verb.CONFIRM_CANCEL):
        refused = refusal(wished, verb)
        assert refused is not None
        assert refused.code is RefusalCode.ALREADY_SEEN
    assert allowed(wished, Verb.REFUSE_CANCEL)
    assert not allowed(at(State.SEEN), Verb.CANCEL)


@pytest.mark.parametrize(
    ("profile", "state", "after"),
    [
        ("native", "accepted", "cancel_requested"),
        ("bser", "received", "cancel_requested"),
        ("cow", "accepted", "cancelled"),
        ("cow", "scheduled", "cancel_requested"),
        ("sdohcc", "scheduled", "cancelled"),
        ("e-rs", "scheduled", "cancelled"),
    ],
)
def test_what_a_senders_cancellation_does_depends_on_its_profile(
    story: Story, profile: str, state: str, after: str
) -> None:
    run = story(state, SenderCancels(), profile=PROFILES[profile])
    assert (run.lines.position.state, run.refused) == (after, 0)


def test_a_sender_without_the_right_cannot_cancel_outright() -> None:
    refused = refusal(at(State.ACCEPTED), Verb.CANCEL, by=Party.SENDER)
    assert refused is not None
    assert refused.code is RefusalCode.NOT_FOR_PARTNER
    assert allowed(at(State.ACCEPTED), Verb.CANCEL, by=Party.SENDER, profile=PROFILES["sdohcc"])


def test_the_sender_does_not_steer_our_side() -> None:
    for verb in (Verb.ACCEPT, Verb.DECLINE, Verb.SIGN, Verb.CONFIRM_CANCEL, Verb.REOPEN):
        refused = refusal(at(State.RECEIVED), verb, by=Party.SENDER)
        assert refused is not None
        assert refused.code is RefusalCode.NOT_FOR_PARTY


def test_a_cancelled_referral_reopens_unless_its_partner_forbids_it() -> None:
    assert allowed(at(State.CANCELLED), Verb.REOPEN)
    assert not allowed(at(State.CANCELLED), Verb.REOPEN, profile=PROFILES["e-rs"])
    assert allowed(at(State.DECLINED), Verb.REOPEN, profile=PROFILES["e-rs"])


def test_at_an_ending_nobody_books_but_a_slot_can_be_released_and_a_visit_recorded() -> None:
    for state in ENDED - {State.ENTERED_IN_ERROR}:
        assert not allowed(at(state), Verb.BOOK, by=Party.PMS)
        assert allowed(at(state), Verb.CANCEL_APPOINTMENT, by=Party.PMS)
        assert allowed(at(state), Verb.COMPLETE, by=Party.PMS)
    assert allowed(at(State.ENTERED_IN_ERROR), Verb.CANCEL_APPOINTMENT)


APPOINTMENT_VERBS = {
    Verb.RESCHEDULE,
    Verb.CANCEL_APPOINTMENT,
    Verb.NO_SHOW,
    Verb.ARRIVE,
    Verb.COMPLETE,
    Verb.REINSTATE,
    Verb.MARK_APPOINTMENT_IN_ERROR,
    Verb.RETRACT_VISIT,
}


@pytest.mark.parametrize("status", list(AppointmentStatus))
def test_every_appointment_status_answers_every_verb(status: AppointmentStatus) -> None:
    granted = {verb for verb in Verb if appointment_refusal(status, verb) is None}
    assert granted <= APPOINTMENT_VERBS
    assert granted


def test_a_completed_appointment_is_left_only_by_retracting_its_visit() -> None:
    granted = {verb for verb in Verb if appointment_refusal(AppointmentStatus.COMPLETED, verb) is None}
    assert granted == {Verb.RETRACT_VISIT}


def test_a_missed_appointment_may_still_turn_out_kept_moved_or_cancelled() -> None:
    for verb in (Verb.COMPLETE, Verb.RESCHEDULE, Verb.CANCEL_APPOINTMENT, Verb.REINSTATE):
        assert appointment_refusal(AppointmentStatus.NO_SHOW, verb) is None


def test_every_granted_appointment_verb_changes_the_appointment(story: Story) -> None:
    paths: dict[AppointmentStatus, tuple[Ask, ...]] = {
        AppointmentStatus.BOOKED: (),
        AppointmentStatus.CANCELLED: (about(Verb.CANCEL_APPOINTMENT),),
        AppointmentStatus.NO_SHOW: (about(Verb.NO_SHOW),),
        AppointmentStatus.ARRIVED: (about(Verb.ARRIVE),),
        AppointmentStatus.COMPLETED: (about(Verb.COMPLETE),),
        AppointmentStatus.ENTERED_IN_ERROR: (about(Verb.MARK_APPOINTMENT_IN_ERROR),),
    }
    for status, path in paths.items():
        before = story("scheduled", *path)
        for verb in APPOINTMENT_VERBS:
            if appointment_refusal(status, verb) is None:
                assert before.after(about(verb)).lines != before.lines, (status, verb)


def about(verb: Verb) -> Ask:
    return Ask(verb, attributes={**sample_fact(EVENT_OF[verb]).attributes, "visit_id": "v1"})
