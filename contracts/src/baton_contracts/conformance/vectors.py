"""Reads lifecycle vectors of the field's standards: what is given, what comes in, what must be true."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from baton_contracts.codes import AppointmentKind, DeclineReason, DocumentKind, HoldReason
from baton_contracts.conformance.steps import MOMENT, appointment, document, received
from baton_contracts.event_types import EventType
from baton_contracts.lifecycle import PROFILES, UNSEEN, Fact, PartnerProfile, State, fold

FIRST: Final = "a1"
"""Id of the first appointment of a referral in a vector."""
FOLLOW_UP: Final = "f1"
"""Id of the follow-up that stands after a visit."""
REPORT: Final = "d1"
"""Id of the final note."""


@dataclass(frozen=True, slots=True)
class Vector:
    """One row of the table. `expected` are the words after the state: `hold`, `refused`, ..."""

    id: str
    standard: str
    given: str
    incoming: str
    expected_state: str
    expected: Mapping[str, str]
    expected_stage: str
    certainty: str

    @property
    def profile(self) -> PartnerProfile:
        """The rules of the partner that the vector is about."""
        return PROFILES[next(name for prefix, name in _PROFILE_OF if self.standard.startswith(prefix))]


_PROFILE_OF: Final = (
    ("HL7 BSeR", "bser"),
    ("NHS e-RS", "e-rs"),
    ("NHS BaRS", "bars"),
    ("IHE 360X", "360x"),
    ("360X", "360x"),
    ("FHIR Task", "fhir-task"),
    ("HL7 COW", "cow"),
    ("HL7 SDOHCC", "sdohcc"),
    ("CA:eReC", "ca-erec"),
    ("Alberta", "ca-erec"),
    ("Ocean", "ocean"),
    ("", "native"),
)


def read_vectors(table: str) -> list[Vector]:
    """The vectors of a tab separated table with a header line."""
    head, *rows = (line.split("\t") for line in table.splitlines() if line.strip())
    return [_vector(dict(zip(head, row, strict=False))) for row in rows]


def _vector(row: Mapping[str, str]) -> Vector:
    state, *rest = (part.strip() for part in row["expected_state"].split(";"))
    return Vector(
        id=row["vector_id"],
        standard=row["standard"],
        given=row["given"],
        incoming=row["incoming"],
        expected_state=re.sub(r"(?<=\w)\s*\(.*\)$", "", state),
        expected=MappingProxyType({key: value for key, _, value in (part.partition("=") for part in rest)}),
        expected_stage=row["expected_stage"],
        certainty=row["certainty"],
    )


def given_facts(given: str) -> list[Sequence[Fact]]:
    """The referrals that a `given` describes: one list of facts for each alternative.

    Raises:
        KeyError: it names something that this reading does not know.
    """
    states, *rest = (part.strip() for part in given.split(";"))
    conditions = frozenset(re.sub(r"\s*\(.*\)", "", part) for part in rest)
    return [_with_conditions(name, conditions) for name in _alternatives(states)]


def _alternatives(states: str) -> Iterable[str]:
    if states == "any":
        return [state.value for state in State]
    if states == "any open":
        return [state.value for state in State if state in UNSEEN | {State.SEEN, State.CANCEL_REQUESTED}]
    return [re.sub(r"(?<=\w)\s*\(.*\)", "", name).strip() for name in states.split("|")]


def _with_conditions(name: str, conditions: frozenset[str]) -> Sequence[Fact]:
    replaced = [_REPLACEMENTS[one] for one in conditions if one in _REPLACEMENTS]
    facts = list(replaced[0] if replaced else _BASES[name])
    for one in sorted(conditions - _REPLACEMENTS.keys()):
        facts.extend(_ADDITIONS[one])
    return facts


def _fact(type_: EventType, reason: str | None = None, **attributes: object) -> Fact:
    return Fact(type_, MOMENT, reason, "human", attributes)


_BOOKED: Final = _fact(EventType.APPOINTMENT_BOOKED, **appointment(FIRST))
_FOLLOW_UP: Final = _fact(EventType.APPOINTMENT_BOOKED, **appointment(FOLLOW_UP, AppointmentKind.FOLLOW_UP))
_ACCEPTED: Final = (received(), _fact(EventType.REFERRAL_ACCEPTED))
_SCHEDULED: Final = (*_ACCEPTED, _BOOKED)
_SEEN: Final = (
    *_SCHEDULED,
    _fact(EventType.VISIT_COMPLETED, visit_id="v1", appointment_id=FIRST, kind="visit"),
    _FOLLOW_UP,
)
_NOTES_SENT: Final = (
    *_SEEN,
    _fact(EventType.NOTE_SIGNED, **document(REPORT, DocumentKind.FINAL)),
    _fact(EventType.NOTE_DELIVERED, **document(REPORT, DocumentKind.FINAL)),
)

_BASES: Final[Mapping[str, Sequence[Fact]]] = MappingProxyType(
    {
        "(none)": (),
        "received": (received(),),
        "accepted": _ACCEPTED,
        "scheduled": _SCHEDULED,
        "seen": _SEEN,
        "notes_sent": _NOTES_SENT,
        "co_managed": (*_NOTES_SENT, _fact(EventType.COMANAGEMENT_AGREED)),
        "care_returned": (*_NOTES_SENT, _fact(EventType.CARE_RETURNED, ack="explicit")),
        "cancel_requested": (*_ACCEPTED, _fact(EventType.REFERRAL_CANCEL_REQUESTED)),
        "declined": (received(), _fact(EventType.REFERRAL_DECLINED, DeclineReason.OTHER)),
        "cancelled": (*_ACCEPTED, _fact(EventType.REFERRAL_CANCELLED)),
        "withdrawn": (*_ACCEPTED, _fact(EventType.REFERRAL_WITHDRAWN, "moved")),
        "expired": (*_ACCEPTED, _fact(EventType.REFERRAL_EXPIRED, "no_patient_response")),
        "entered_in_error": (received(), _fact(EventType.REFERRAL_MARKED_IN_ERROR)),
    }
)

_ADDITIONS: Final[Mapping[str, Sequence[Fact]]] = MappingProxyType(
    {
        "stage=scheduled": (),
        "no_show_count>=1": (_BOOKED, _fact(EventType.APPOINTMENT_NO_SHOW, **appointment(FIRST))),
        "last_appointment=cancelled": (
            _BOOKED,
            _fact(EventType.APPOINTMENT_CANCELLED, **appointment(FIRST)),
        ),
        "hold=set": (_fact(EventType.REFERRAL_HELD, HoldReason.PATIENT_DEFERRED),),
        "hold=missing_info": (_fact(EventType.REFERRAL_INFO_REQUESTED),),
        "suspended_from=accepted": (),
        "interim note already told": (
            _fact(EventType.NOTE_SIGNED, **document("i1", DocumentKind.INTERIM)),
            _fact(EventType.NOTE_DELIVERED, **document("i1", DocumentKind.INTERIM)),
        ),
    }
)

_REPLACEMENTS: Final[Mapping[str, Sequence[Fact]]] = MappingProxyType(
    {
        "triage=pending": (received(), _BOOKED),
        "resume_to=scheduled": (*_SCHEDULED, _fact(EventType.REFERRAL_CANCEL_REQUESTED)),
        "redirected_to=set": (
            received(),
            _fact(EventType.REFERRAL_DECLINED, DeclineReason.WRONG_SERVICE, redirected_to={"value": "other"}),
        ),
    }
)


def published_transitions() -> dict[str, dict[str, str]]:
    """For a plain referral in each state: the state after one fact of each type, where it differs."""
    table: dict[str, dict[str, str]] = {}
    for state in State:
        (facts,) = given_facts(state.value)
        after = {type_: fold([*facts, sample_fact(type_)]).position.state for type_ in EventType}
        table[state.value] = {t.value: s.value for t, s in after.items() if s is not None and s is not state}
    return table


def sample_fact(event_type: EventType) -> Fact:
    """A plain fact of this type about the first appointment, visit and final note of a vector's referral."""
    subject = event_type.partition(".")[0]
    attributes: dict[str, object] = {}
    if subject in ("appointment", "patient", "visit"):
        attributes = {**appointment(FIRST), "visit_id": "v1"}
    if subject == "note":
        version = 2 if event_type is EventType.NOTE_CORRECTED else 1
        attributes = dict(document(REPORT, DocumentKind.FINAL, version))
    return Fact(event_type, MOMENT, None, "human", {"to": "accepted", "ack": "explicit", **attributes})
