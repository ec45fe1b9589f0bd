"""The lifecycle of a referral: three lines of facts, their join, what is legal, and who hears.

Pure, no clock.
"""

from baton_contracts.codes import Ack
from baton_contracts.lifecycle.appointment_line import AppointmentLine, Visit
from baton_contracts.lifecycle.document_line import DocumentLine, Note
from baton_contracts.lifecycle.facts import Fact, fact_of
from baton_contracts.lifecycle.hearing import TABLE, Notice, Row, Template, Urgency, who_hears
from baton_contracts.lifecycle.lines import Lines, fold, join
from baton_contracts.lifecycle.profiles import NATIVE, PROFILES, CancelRight, PartnerProfile
from baton_contracts.lifecycle.request_line import RequestLine
from baton_contracts.lifecycle.states import (
    ACTIVE,
    ENDED,
    LIVE,
    REOPENABLE,
    UNSEEN,
    Appointment,
    AppointmentStatus,
    Flag,
    Hold,
    Position,
    Stage,
    State,
)
from baton_contracts.lifecycle.verbs import (
    RULES,
    Party,
    Refusal,
    RefusalCode,
    Rule,
    Verb,
    actions,
    allowed,
    appointment_refusal,
    reasons,
    refusal,
    sender_cancellation,
)

__all__ = [
    "ACTIVE",
    "ENDED",
    "LIVE",
    "NATIVE",
    "PROFILES",
    "REOPENABLE",
    "RULES",
    "TABLE",
    "UNSEEN",
    "Ack",
    "Appointment",
    "AppointmentLine",
    "AppointmentStatus",
    "CancelRight",
    "DocumentLine",
    "Fact",
    "Flag",
    "Hold",
    "Lines",
    "Note",
    "Notice",
    "PartnerProfile",
    "Party",
    "Position",
    "Refusal",
    "RefusalCode",
    "RequestLine",
    "Row",
    "Rule",
    "Stage",
    "State",
    "Template",
    "Urgency",
    "Verb",
    "Visit",
    "actions",
    "allowed",
    "appointment_refusal",
    "fact_of",
    "fold",
    "join",
    "reasons",
    "refusal",
    "sender_cancellation",
    "who_hears",
]
