"""Values a sender deletes (``""``) where the fact has no place to say so: each becomes a finding."""

from __future__ import annotations

from collections.abc import Mapping

from baton_formats.declaration import MessageMapping
from baton_formats.hl7v2.segments import NULL
from baton_formats.hl7v2.syntax import Syntax
from baton_formats.hl7v2.view import View, place_of

# Deletions in these are said by `Patient.cleared`, or mean nothing.
_TOLD_ELSEWHERE = frozenset(("PID", "PD1", "MSH"))


def fields_read(mapping: MessageMapping) -> dict[str, tuple[int, ...]]:
    """The fields a declaration reads, by segment; those of the patient and of MSH left out."""
    found: dict[str, dict[int, None]] = {}
    for field in mapping.fields:
        for place in map(place_of, (field.path, *field.also)):
            if place.segment not in _TOLD_ELSEWHERE:
                found.setdefault(place.segment, {})[place.field] = None
    return {segment: tuple(numbers) for segment, numbers in found.items()}


def note_deletions(view: View, fields: Mapping[str, tuple[int, ...]]) -> None:
    """A finding for each of ``fields`` that holds ``""``, whole or in one of its parts.

    HL7 v2.5.1 2.5.3: ``""`` deletes a value, which an empty field does not.
    """
    detail = 'the sender deletes this value (""); the fact can only leave it out'
    for segment in view.segments:
        for number in fields.get(segment.id, ()):
            raw = segment.field(number)
            if NULL in raw and _holds_null(raw, view.syntax):
                view.note("value-deleted", segment.place(number), detail)


def _holds_null(raw: str, syntax: Syntax) -> bool:
    """Whether a field, or a repetition, component or sub-component of it, is nothing but the null."""
    pieces = [raw]
    for mark in (syntax.repetition, syntax.component, syntax.subcomponent):
        if mark:
            pieces = [part for piece in pieces if NULL in piece for part in piece.split(mark)]
    return any(piece.strip() == NULL for piece in pieces)
