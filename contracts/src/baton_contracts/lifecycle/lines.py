"""The join: three folded lines become one position, whatever the order in which the lines were read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import datetime
from enum import Enum
from functools import cache, reduce
from types import NoneType
from typing import Any, Final, get_args, get_type_hints

from baton_contracts.lifecycle.appointment_line import AppointmentLine
from baton_contracts.lifecycle.document_line import DocumentLine
from baton_contracts.lifecycle.facts import Fact
from baton_contracts.lifecycle.request_line import RequestLine
from baton_contracts.lifecycle.states import ENDED, UNSEEN, Flag, Position, Stage, State

_HOLDABLE: Final = UNSEEN | {State.CANCEL_REQUESTED}


@dataclass(frozen=True, slots=True)
class Lines:
    """The folded lines of one referral. Feed every fact of it; facts that make no state change nothing."""

    request: RequestLine = field(default_factory=RequestLine)
    appointments: AppointmentLine = field(default_factory=AppointmentLine)
    documents: DocumentLine = field(default_factory=DocumentLine)

    def after(self, fact: Fact) -> "Lines":
        """The lines with one more fact. Order matters within a line only."""
        return Lines(self.request.after(fact), self.appointments.after(fact), self.documents.after(fact))

    @property
    def position(self) -> Position:
        """Where the referral stands."""
        return join(self.request, self.appointments, self.documents)

    def dump(self) -> dict[str, Any]:
        """The lines as JSON types, for a service to keep beside its own row."""
        return {part.name: _dump(getattr(self, part.name)) for part in fields(self)}

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> "Lines":
        """The lines that `dump` wrote; unknown members are passed over, missing ones take their default."""
        loaded: Lines = _load(cls, dumped)
        return loaded


def fold(facts: Iterable[Fact]) -> Lines:
    """The lines after these facts, each line in its own order."""
    return reduce(Lines.after, facts, Lines())


def join(request: RequestLine, appointments: AppointmentLine, documents: DocumentLine) -> Position:
    """Where a referral stands. Pure and total; it infers nothing across lines and knows no clock."""
    state = _state(request, appointments, documents)
    return Position(
        state=state,
        stage=_stage(request, appointments, documents),
        accepted=request.accepted,
        hold=request.hold if state in _HOLDABLE else None,
        resume_to=_resume_to(state, request, appointments, documents),
        reason=request.reason if state is request.ending else None,
        next_appointment=appointments.next_appointment,
        last_appointment=appointments.last_appointment,
        no_show_count=appointments.no_show_count,
        ack=documents.returned if state is State.CARE_RETURNED else None,
        flags=tuple(_flags(state, request, appointments, documents)),
        duplicate_of=request.duplicate_of,
        redirected_to=request.redirected_to,
    )


def _state(request: RequestLine, appointments: AppointmentLine, documents: DocumentLine) -> State | None:
    """The first of these that holds."""
    if request.in_error:
        return State.ENTERED_IN_ERROR
    if not request.received:
        return None
    if _report_counts(request, appointments, documents):
        return _closing(documents)
    if request.cancel_requested:
        return State.CANCEL_REQUESTED
    if appointments.visited:
        return State.SEEN
    if request.ending:
        return request.ending
    if appointments.booked:
        return State.SCHEDULED
    return State.ACCEPTED if request.accepted else State.RECEIVED


def _closing(documents: DocumentLine) -> State:
    if documents.co_managed:
        return State.CO_MANAGED
    return State.CARE_RETURNED if documents.returned else State.NOTES_SENT


def _stage(request: RequestLine, appointments: AppointmentLine, documents: DocumentLine) -> Stage | None:
    if not request.received:
        return None
    if _report_counts(request, appointments, documents):
        returned = _closing(documents) is State.CARE_RETURNED
        return Stage.CARE_RETURNED if returned else Stage.NOTES_SENT
    if appointments.visited:
        return Stage.SEEN
    return Stage.SCHEDULED if appointments.ever_booked else Stage.RECEIVED


def _report_counts(request: RequestLine, appointments: AppointmentLine, documents: DocumentLine) -> bool:
    """A delivered final report outranks a wish to cancel and an expiry; other endings only after a visit."""
    barred = request.ending not in (None, State.EXPIRED) and not appointments.visited
    return documents.final_delivered and not barred


def _resume_to(
    state: State | None, request: RequestLine, appointments: AppointmentLine, documents: DocumentLine
) -> State | None:
    if state is State.CANCEL_REQUESTED:
        return _state(replace(request, cancel_requested=False), appointments, documents)
    return state if request.hold and state in _HOLDABLE else None


def _flags(
    state: State | None, request: RequestLine, appointments: AppointmentLine, documents: DocumentLine
) -> Iterable[Flag]:
    if state is State.SCHEDULED and not request.accepted:
        yield Flag.TRIAGE_PENDING
    if state in ENDED and state is not State.CARE_RETURNED and appointments.next_appointment:
        yield Flag.RELEASE_SLOT
    if request.ending and appointments.visited:
        yield Flag.SEEN_AFTER_ENDING
    if state is request.ending and documents.final_signed:
        yield Flag.LATE_DOCUMENT
    if documents.final_delivered and documents.outstanding:
        yield Flag.CORRECTION_OUTSTANDING
    if request.needs_review:
        yield Flag.NEEDS_REVIEW


def _dump(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: _dump(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, tuple):
        return [_dump(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value.value if isinstance(value, Enum) else value


def _load(kind: Any, dumped: Any) -> Any:
    """Rebuild a value of its annotated kind: dataclass, optional, tuple of one kind, enum or moment."""
    if dumped is None or isinstance(dumped, bool | int):
        return dumped
    choice = _choice(kind)
    if isinstance(dumped, list):
        return tuple(_load(choice, item) for item in dumped)
    if isinstance(dumped, Mapping):
        kinds = _field_kinds(choice)
        return choice(**{name: _load(kinds[name], dumped[name]) for name in dumped if name in kinds})
    if choice is datetime:
        return datetime.fromisoformat(dumped)
    return choice(dumped) if issubclass(choice, Enum) else dumped


@cache
def _choice(kind: Any) -> Any:
    """The one kind inside an optional or a tuple."""
    return next((choice for choice in get_args(kind) if choice not in (NoneType, ...)), kind)


@cache
def _field_kinds(kind: Any) -> Mapping[str, Any]:
    return get_type_hints(kind)
