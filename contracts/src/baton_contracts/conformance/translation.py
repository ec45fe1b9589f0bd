"""The one table that translates what a vector says comes in into our verbs and reports. First match wins."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from baton_contracts import codes
from baton_contracts.codes import AppointmentKind, Assertion, DocumentKind
from baton_contracts.conformance.steps import (
    Ask,
    NewReferral,
    RefusedElsewhere,
    SenderCancels,
    Step,
    Tell,
    appointment,
    document,
)
from baton_contracts.conformance.vectors import FIRST, FOLLOW_UP, REPORT
from baton_contracts.event_types import EventType
from baton_contracts.lifecycle import Party, Verb

Translation = tuple[str, Sequence[Step]]

_ARRIVES: Final = Tell(EventType.REFERRAL_RECEIVED, assertion=Assertion.PARTNER_SYSTEM)
_ACCEPT: Final = Ask(Verb.ACCEPT)
_BOOK: Final = Ask(Verb.BOOK, attributes=appointment("a2"))
_BOOK_BY_PMS: Final = Ask(Verb.BOOK, Party.PMS, attributes=appointment("a2"))
_RESCHEDULE: Final = Ask(Verb.RESCHEDULE, attributes=appointment(FIRST))
_NO_SHOW: Final = Ask(Verb.NO_SHOW, Party.PMS, attributes=appointment(FIRST))
_CANCEL_APPOINTMENT: Final = Ask(Verb.CANCEL_APPOINTMENT, attributes=appointment(FIRST))
_COMPLETE: Final = Ask(
    Verb.COMPLETE, attributes={"visit_id": "v2", "appointment_id": FIRST, "kind": AppointmentKind.VISIT}
)
_REQUEST_CANCEL: Final = Ask(Verb.REQUEST_CANCEL, Party.SENDER)
_CONFIRM: Final = Ask(Verb.CONFIRM_CANCEL)
_REFUSE: Final = Ask(Verb.REFUSE_CANCEL)
_RELEASE: Final = Ask(Verb.RELEASE)
_REOPEN: Final = Ask(Verb.REOPEN, attributes={"to": "accepted"})
_ASK_FOR_INFO: Final = Ask(Verb.REQUEST_INFO, reason=codes.HoldReason.MISSING_INFO)
_UPDATE_BY_SENDER: Final = Ask(Verb.UPDATE, Party.SENDER)


def _decline(reason: str = codes.DeclineReason.OTHER, **attributes: Any) -> Ask:
    return Ask(Verb.DECLINE, reason=reason, attributes=attributes)


def _withdraw(reason: str, by: Party = Party.SENDER) -> Ask:
    return Ask(Verb.WITHDRAW, by, reason)


def _note(verb: Verb, kind: DocumentKind, note_id: str = REPORT, version: int = 1) -> Sequence[Step]:
    body: Mapping[str, Any] = document(note_id, kind, version)
    return (Ask(verb, attributes=body), Tell(EventType.NOTE_DELIVERED, attributes=body))


_FINAL: Final = _note(Verb.SIGN, DocumentKind.FINAL)
_INTERIM: Final = _note(Verb.SIGN, DocumentKind.INTERIM, "i1")

TRANSLATIONS: Final[Sequence[Translation]] = (
    # what never reaches a referral of ours
    (r"^sender: A011 create referral", ()),
    (r"without a C-CDA|referral id we never saw|without performer|Task draft$|Task draft -> cancelled", ()),
    # arrivals
    (r"Task draft -> ready|A027 converts an authorised advice request", (_ARRIVES, _ACCEPT)),
    (
        r"reason=NO_SLOTS_AT_SERVICE",
        (_ARRIVES, Ask(Verb.HOLD, reason=codes.HoldReason.NO_CAPACITY)),
    ),
    (r"Send Referral Package|PCC-55 OMG|reason=TRIAGE|active/order \+ Task requested", (_ARRIVES,)),
    (r"Task\.status=requested with Task\.businessStatus=7\.0", (_ARRIVES,)),
    (r"Task requested -> received|Task\.status=received \(older|Task requested or received", (_ARRIVES,)),
    (r"receipt acknowledged, triage pending", ()),
    (r"tries again after rejection", (NewReferral(),)),
    # what another system, or the door, refuses before the lifecycle is asked
    (r"A013, A014 or A022 on a triage referral", (RefusedElsewhere("e-RS offers A028 instead"),)),
    (r"stale If-Match", (RefusedElsewhere("version-mismatch, by the writer"),)),
    (r"two simultaneous updates", ()),
    # commands that do not exist or that their asker may not give
    (r"attempt to write ServiceRequest\.status", (Ask("write-service-request"),)),
    (
        r"sets Task\.status to accepted, rejected",
        tuple(
            Ask(verb, Party.SENDER, reason=reason)
            for verb, reason in (
                (Verb.ACCEPT, None),
                (Verb.DECLINE, codes.DeclineReason.OTHER),
                (Verb.HOLD, codes.HoldReason.OTHER),
                (Verb.EXPIRE, codes.ExpiryReason.NO_SENDER_RESPONSE),
                (Verb.SIGN, None),
            )
        ),
    ),
    (r"status update after the referral was forwarded", (_ACCEPT, _REOPEN, _BOOK)),
    (r"any further Task update|update and resubmit of a closed", (_UPDATE_BY_SENDER,)),
    (r"with a reason that is not of type PROVIDER_TRIAGE", (_decline(codes.WithdrawReason.DIED),)),
    (r"declined without reason", (Ask(Verb.DECLINE),)),
    # triage
    (r"A014 reject, reason SERVICE_INAPPROPRIATE", (_decline("wrong_service"), _CANCEL_APPOINTMENT)),
    (r"A014 reject, reason FURTHER_INFORMATION", (_decline("insufficient_info"), _CANCEL_APPOINTMENT)),
    (r"A022 cancel appointment, action later", (_ACCEPT, _CANCEL_APPOINTMENT)),
    (r"reason NO_LONGER_REQUIRED|advice given at triage", (_decline("not_needed_advice_given"),)),
    (r"declined with alternative", (_decline("wrong_service", redirected_to={"value": "other"}),)),
    (r"declined, reason no_capacity", (_decline("no_capacity"),)),
    (r"reject as invalid|can no longer perform", (_decline("wrong_service"),)),
    (r"Send Decline|referral\.declined|-> rejected", (_decline(),)),
    (
        r"Send Acceptance|referral\.accepted|A013 accept|Accept and refer|(requested|received) -> accepted$",
        (_ACCEPT,),
    ),
    # waiting
    (r"info\.requested", (_ASK_FOR_INFO,)),
    (
        r"answers in messaging",
        (Tell(EventType.REFERRAL_INFO_SUPPLIED, assertion=Assertion.PARTNER_SYSTEM),),
    ),
    (r"in-progress -> on-hold", (Ask(Verb.HOLD, reason=codes.HoldReason.OTHER),)),
    (r"hold off|on-hold -> in-progress|on-hold -> the state it was", (_RELEASE,)),
    # the patient, time, error
    (r"DID_NOT_ATTEND with reason PATIENT_DIED", (_NO_SHOW, _withdraw("died", Party.OWN))),
    (r"reason PATIENT_DIED", (_withdraw("died"),)),
    (r"reason INTEND_PRIVATE", (_withdraw("chose_other_provider"),)),
    (r"reason PATIENT_REQUEST_CANCELLATION_OTHER", (_withdraw("other"),)),
    (r"reason TREATMENT_NO_LONGER_REQUIRED", (_withdraw("declined_care"),)),
    (r"patient\.withdrew", (_withdraw("declined_care", Party.OWN),)),
    (r"on-hold -> failed|referral\.expired", (Ask(Verb.EXPIRE, Party.TIMER, "no_patient_response"),)),
    (r"any -> entered-in-error", (Ask(Verb.MARK_IN_ERROR, Party.SENDER),)),
    (r"referral\.reopened", (_REOPEN,)),
    # the sender stops; care that goes on elsewhere ends nothing here
    (r"BOOKED_OUTSIDE_CAB|STRAIGHT_TO_TEST", ()),
    (r"cancel\.confirmed|Cancelation Confirmation|Confirm Cancel", (_CONFIRM,)),
    (r"cancel\.refused", (_REFUSE,)),
    (r"Cancelation Request|Cancellation Request Task|businessStatus=5\.4", (_REQUEST_CANCEL,)),
    (r"ServiceRequest\.status=revoked arrives without", (_REQUEST_CANCEL,)),
    (r"statusReason=not selected", (SenderCancels(codes.CancelReason.SENT_ELSEWHERE),)),
    (r"reason REFERRER_CANCELLATION", (SenderCancels(codes.CancelReason.OTHER), _CANCEL_APPOINTMENT)),
    (
        r"-> cancelled|Task\.status=cancelled directly|ServiceRequest\.status=revoked|PCC-58",
        (SenderCancels(),),
    ),
    # appointments
    (r"Send Schedule Visit|appointment\.booked|Appointment message with a valid date", (_BOOK_BY_PMS,)),
    (r"Task (ready|accepted) -> in-progress", (_BOOK,)),
    (r"ORC-1 SC, ORC-5 SC", (Ask(Verb.BOOK, Party.SENDER, attributes=appointment("a2")),)),
    (r"^own: booked$", ()),
    (r"rescheduled visit|appointment\.rescheduled", (_RESCHEDULE,)),
    (r"No Show|no-show|no_show|not attend|failed to attend", (_NO_SHOW,)),
    (r"appointment cancel|appointment\.cancelled|clinic cancels the appointment", (_CANCEL_APPOINTMENT,)),
    (r"visit\.completed", (_COMPLETE,)),
    (r"auto-close 7 days", ()),
    # documents
    (r"Interim Consultation Note|note\.interim_delivered", _INTERIM),
    (
        r"assessment DRAFTED",
        (Tell(EventType.NOTE_RECEIVED, attributes=document(REPORT, DocumentKind.FINAL)),),
    ),
    (r"corrected note", _note(Verb.CORRECT, DocumentKind.CORRECTED, version=2)),
    (r"Referral Outcome|note\.final_delivered|assessment SUBMITTED|advice given by the specialist", _FINAL),
    (r"note delivered after cancellation", _FINAL),
    (r"^own: Task completed", ()),
    (r"Task (in-progress|accepted) -> completed", _FINAL),
    # news about the request itself
    (r"notify-update-service-request$", (_UPDATE_BY_SENDER,)),
    (r"notify-data-correction", (Ask(Verb.UPDATE),)),
    (r"ServiceRequest\.status=completed after our", ()),
)


class Untranslated(LookupError):
    """No row of the table fits what comes in."""


def translate(incoming: str, given: str = "") -> Sequence[Step]:
    """The steps for what comes in. After a visit, news of an appointment are about the follow-up.

    Raises:
        Untranslated: the table has no row for it.
    """
    for pattern, steps in TRANSLATIONS:
        if re.search(pattern, incoming):
            return [_about_follow_up(step) for step in steps] if given.startswith("seen") else steps
    raise Untranslated(incoming)


def _about_follow_up(step: Step) -> Step:
    if isinstance(step, Ask) and "appointment_id" in step.attributes and step.verb != Verb.COMPLETE:
        return Ask(step.verb, step.by, step.reason, appointment(FOLLOW_UP, AppointmentKind.FOLLOW_UP))
    return step
