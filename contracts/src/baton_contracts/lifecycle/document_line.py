"""The fold of line `documents`: what notes says about notes, their delivery and the return of care."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from baton_contracts.codes import Ack, Assertion, DocumentKind
from baton_contracts.event_types import EventType
from baton_contracts.lifecycle.facts import Fact

_REPORTS: Final = frozenset({DocumentKind.FINAL, DocumentKind.ADDENDUM})


@dataclass(frozen=True, slots=True)
class Note:
    """One note as its facts leave it.

    `version` is the highest signed one, `delivered` the highest that the referrer has (0: none). `report`
    marks what belongs in the referrer's hands; an interim note and its correction do not. `final_from` is
    the version since which it is a signed final report (0: it is none): only delivery of that or a later
    version closes anything.
    """

    id: str
    kind: str
    version: int = 0
    delivered: int = 0
    report: bool = False
    final_from: int = 0
    retracted: bool = False
    superseded: bool = False

    @property
    def stands(self) -> bool:
        """Whether it is signed and was not taken back."""
        return self.version > 0 and not self.retracted

    @property
    def final_delivered(self) -> bool:
        """Whether the referrer has it as a signed final report."""
        return self.stands and 0 < self.final_from <= self.delivered

    @property
    def outstanding(self) -> bool:
        """Whether its current version belongs in the referrer's hands and is not there."""
        return self.stands and self.report and not self.superseded and self.delivered < self.version


@dataclass(frozen=True, slots=True)
class DocumentLine:
    """What the documents line says by itself.

    `returned` is how care went back, if it did and that still holds.
    """

    notes: tuple[Note, ...] = ()
    returned: Ack | None = None
    co_managed: bool = False

    def after(self, fact: Fact) -> "DocumentLine":
        """The line with one more fact; a fact of another line or of an unknown type changes nothing."""
        step = _STEPS.get(fact.type)
        return self if step is None else step(self, fact)

    @property
    def final_delivered(self) -> bool:
        """Whether the referrer has a signed final report."""
        return any(note.final_delivered for note in self.notes)

    @property
    def final_signed(self) -> bool:
        """Whether a signed final report exists."""
        return any(note.stands and note.final_from for note in self.notes)

    @property
    def outstanding(self) -> bool:
        """Whether something that was signed for the referrer is not in their hands in its current version."""
        return any(note.outstanding for note in self.notes)

    def find(self, note_id: str | None) -> Note | None:
        """The note with this id."""
        return next((note for note in self.notes if note.id == note_id), None)

    def put(self, note: Note) -> "DocumentLine":
        """The line with this note in its place, or as a new one."""
        if self.find(note.id) is None:
            return replace(self, notes=(*self.notes, note))
        return replace(self, notes=tuple(note if one.id == note.id else one for one in self.notes))


def _received(line: DocumentLine, fact: Fact) -> DocumentLine:
    return line if line.find(_document_id(fact)) else line.put(_unsigned(fact))


def _signed(line: DocumentLine, fact: Fact) -> DocumentLine:
    known = line.find(_document_id(fact)) or _unsigned(fact)
    replaced = line.find(fact.text("replaces"))
    note = _with_signature(known, replaced, fact)
    signed = line.put(note)
    if replaced is not None and replaced.id != note.id and note.kind != DocumentKind.ADDENDUM:
        signed = signed.put(replace(replaced, superseded=True))
    # What the referrer acknowledged is no longer all there is to know.
    return replace(signed, returned=None) if note.report else signed


def _with_signature(known: Note, replaced: Note | None, fact: Fact) -> Note:
    kind = _kind(fact)
    corrected = known if known.version else replaced
    report, final = kind in _REPORTS, kind == DocumentKind.FINAL
    if kind == DocumentKind.CORRECTED:
        report = corrected is None or corrected.report
        final = corrected is None or corrected.final_from > 0
    elif kind == DocumentKind.ADDENDUM:
        final = known.final_from > 0
    return replace(
        known,
        kind=kind,
        version=max(known.version, _version(fact)),
        report=report,
        final_from=(known.final_from or _version(fact)) if final else 0,
        retracted=False,
    )


def _delivered(line: DocumentLine, fact: Fact) -> DocumentLine:
    note = line.find(_document_id(fact)) or _unsigned(fact)
    return line.put(replace(note, delivered=max(note.delivered, _version(fact))))


def _retracted(line: DocumentLine, fact: Fact) -> DocumentLine:
    note = line.find(_document_id(fact))
    if note is None:
        return line
    left = line.put(replace(note, retracted=True, delivered=0, final_from=0))
    return replace(left, returned=None) if note.report else left


def _care_returned(line: DocumentLine, fact: Fact) -> DocumentLine:
    """Counts only while the referrer has the current final report: nobody returns care on an old version."""
    if not line.final_delivered or line.outstanding:
        return line
    ack = Ack.IMPLIED if fact.text("ack") == Ack.IMPLIED else Ack.EXPLICIT
    return replace(line, returned=ack)


def _return_retracted(line: DocumentLine, _: Fact) -> DocumentLine:
    return replace(line, returned=None)


def _agreed(line: DocumentLine, _: Fact) -> DocumentLine:
    return replace(line, co_managed=True)


def _comanagement_ended(line: DocumentLine, fact: Fact) -> DocumentLine:
    if not line.co_managed:
        return line
    ack = Ack.IMPLIED if fact.assertion == Assertion.POLICY else Ack.EXPLICIT
    return _care_returned(replace(line, co_managed=False), replace(fact, attributes={"ack": ack.value}))


def _unsigned(fact: Fact) -> Note:
    return Note(_document_id(fact), _kind(fact))


def _kind(fact: Fact) -> str:
    return fact.text("kind") or DocumentKind.FINAL.value


def _document_id(fact: Fact) -> str:
    value = fact.part("document").get("id")
    return value if isinstance(value, str) else ""


def _version(fact: Fact) -> int:
    value = fact.part("document").get("version")
    return value if isinstance(value, int) and value > 0 else 1


_STEPS: Final[Mapping[str, Callable[[DocumentLine, Fact], DocumentLine]]] = MappingProxyType(
    {
        EventType.NOTE_RECEIVED: _received,
        EventType.NOTE_SIGNED: _signed,
        EventType.NOTE_CORRECTED: _signed,
        EventType.NOTE_RETRACTED: _retracted,
        EventType.NOTE_DELIVERED: _delivered,
        EventType.CARE_RETURNED: _care_returned,
        EventType.CARE_RETURN_RETRACTED: _return_retracted,
        EventType.COMANAGEMENT_AGREED: _agreed,
        EventType.COMANAGEMENT_ENDED: _comanagement_ended,
    }
)
