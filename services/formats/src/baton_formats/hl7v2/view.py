"""What a field reader sees of a message: the segments in its scope, by name, and a place to note doubts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypeVar

from baton_formats.declaration import FieldMapping
from baton_formats.findings import Envelope, Finding
from baton_formats.hl7v2.segments import MAX_REPETITIONS, NULL, Cell, Segment
from baton_formats.hl7v2.syntax import Syntax

T = TypeVar("T")
Convert = Callable[[Cell, "View"], T | None]
Read = Callable[["View", FieldMapping], Any]
MAX_FINDINGS = 200
# From so many views before one context on, what their readers share is kept; it costs more below.
_MANY = 8
_MEMO = "memo"
# A field of so many characters is not read again for every group that shows it.
_LONG = 200

_PLACE = re.compile(r"([A-Z][A-Z0-9]{2})-(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class Place:
    """A field of a segment, and a component of it where one is meant: ``SCH-11.4``."""

    segment: str
    field: int
    component: int = 1


@lru_cache(maxsize=1024)
def place_of(text: str) -> Place:
    """The place ``text`` names. Raises ValueError for anything else: places are written by us, not by
    senders.
    """
    match = _PLACE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} names no field")
    return Place(match.group(1), int(match.group(2)), int(match.group(3) or 1))


class _Watched(dict[str, list[Segment]]):
    """Segments by name that remember which names were asked for."""

    def __init__(self, segments: dict[str, list[Segment]]) -> None:
        super().__init__(segments)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


class View:
    """The segments one fact is read from. Findings go into one list per message, shared by all its views."""

    __slots__ = (
        "_by_name",
        "_memo",
        "_noted",
        "code",
        "context",
        "envelope",
        "event",
        "findings",
        "fronts",
        "segments",
        "shared",
        "syntax",
    )

    def __init__(
        self,
        segments: Iterable[Segment],
        *,
        syntax: Syntax,
        findings: list[Finding],
        envelope: Envelope,
        code: str,
        event: str,
        context: View | None = None,
        shared: dict[str, Any] | None = None,
    ) -> None:
        """``code`` and ``event`` are MSH-9.1 and MSH-9.2; ``context`` answers for names that ``segments``
        do not hold; ``shared`` is what all views of one message have read already.
        """
        self.segments = tuple(segments)
        self.syntax = syntax
        self.findings = findings
        self.envelope = envelope
        self.code = code
        self.event = event
        self.context = context
        self.shared: dict[str, Any] = {} if shared is None else shared
        self.fronts = 0
        self._memo: dict[str, Any] = {}
        if context is not None:
            context.fronts += 1
        self._noted: set[Finding] = self.shared.setdefault("noted", set())
        self._by_name: dict[str, list[Segment]] = {}
        for segment in self.segments:
            self._by_name.setdefault(segment.id, []).append(segment)

    def narrowed(self, segments: Iterable[Segment], *, context: View | None = None) -> View:
        """The same message seen through fewer segments, with ``context`` behind them."""
        return View(
            segments,
            syntax=self.syntax,
            findings=self.findings,
            envelope=self.envelope,
            code=self.code,
            event=self.event,
            context=context,
            shared=self.shared,
        )

    def apart(self, segments: Iterable[Segment], *, context: View | None = None) -> View:
        """A part of the message about somebody else: nothing that was read of the others is known to it."""
        part = self.narrowed(segments, context=context)
        part.shared = {"noted": self._noted}
        return part

    @property
    def memo(self) -> dict[str, Any]:
        """What readers of this view keep for one another."""
        self._by_name.get(_MEMO)
        return self._memo

    def all(self, name: str) -> list[Segment]:
        """The segments called ``name``, in order."""
        found = self._by_name.get(name)
        if found is None:
            return self.context.all(name) if self.context else []
        return found

    def holder(self, name: str) -> View:
        """The view whose segments called ``name`` this one shows: itself, or the context behind it.

        What is read through it, and kept in its ``memo``, is read once for all views before it.
        """
        if self._by_name.get(name) is not None or self.context is None:
            return self
        return self.context.holder(name)

    def once(self, name: str, what: str, read: Callable[[View], T]) -> T:
        """``what`` is to be read from the segments called ``name`` and from no others, once for all views of
        the message that show the same ones: those of the context, or one segment that several groups share.
        """
        holder = self.holder(name)
        own = holder.all(name)
        lone = self.context is not None and len(own) == 1
        memo: dict[Any, T] = self.shared.setdefault("once", {}) if lone else holder.memo
        key = (what, own[0].position) if lone else (what, name)
        if key not in memo:
            memo[key] = read(holder)
        return memo[key]

    def value(self, mapping: FieldMapping) -> Any:
        """What ``mapping`` reads here, read once for all views before one context that show its reader the
        same segments.
        """
        known = self.shared.setdefault("values", {}).setdefault((id(mapping), self.context), {})
        for names, values in known.items():
            shown = self._shown(names)
            if shown in values:
                return values[shown]
        by_name = self._by_name
        self._by_name = watched = _Watched(by_name)
        value = mapping.read(self, mapping) if mapping.read else None
        self._by_name = by_name
        names = tuple(sorted(watched.asked))
        if _MEMO not in names:
            known.setdefault(names, {})[self._shown(names)] = value
        return value

    def _shown(self, names: tuple[str, ...]) -> tuple[int, ...]:
        """The view's own segments of these names. Two views that show the same ones, before one context, read
        the same; where they show none, the context answers.
        """
        return tuple(segment.position for name in names for segment in self._by_name.get(name, ()))

    def first(self, name: str) -> Segment | None:
        """The first segment called ``name``."""
        found = self.all(name)
        return found[0] if found else None

    def cells(self, place: str) -> Iterator[Cell]:
        """Every non-empty repetition of a field, in all segments of that name, up to a bound.

        The null ``""`` is left out.
        """
        where = place_of(place)
        count = 0
        for segment in self.all(where.segment):
            for cell in self.cells_of(segment, where.field):
                count += 1
                if count > MAX_REPETITIONS:
                    self.note("too-many-repetitions", place, f"only the first {MAX_REPETITIONS} were read")
                    return
                yield cell

    def cells_of(self, segment: Segment, number: int) -> Iterator[Cell]:
        """Every non-empty repetition of one field of one segment. The null ``""`` is left out."""
        raw = segment.field(number)
        if not raw:
            return
        mark = self.syntax.repetition
        if not mark or mark not in raw:
            if raw != NULL:
                yield Cell(raw, self.syntax, segment, number)
            return
        repetitions = raw.split(mark, MAX_REPETITIONS)
        if len(repetitions) > MAX_REPETITIONS:
            self.note(
                "too-many-repetitions", segment.place(number), f"only the first {MAX_REPETITIONS} were read"
            )
        for repetition in repetitions[:MAX_REPETITIONS]:
            if repetition and repetition != NULL:
                yield Cell(repetition, self.syntax, segment, number)

    def cell(self, place: str) -> Cell | None:
        """The first non-empty repetition of a field."""
        return next(self.cells(place), None)

    def text(self, place: str) -> str | None:
        """One component of the first non-empty repetition, decoded."""
        where = place_of(place)
        for cell in self.cells(place):
            found = cell.text(where.component)
            if found is not None:
                return found
        return None

    def raw(self, place: str) -> str:
        """A field as sent, of the first segment of that name that has it; empty if none has."""
        where = place_of(place)
        for segment in self.all(where.segment):
            if where.field < len(segment.fields) and segment.fields[where.field]:
                return segment.fields[where.field]
        return ""

    def note(self, code: str, where: str, detail: str, *, refusing: bool = False) -> None:
        """Record a doubt once. ``detail`` never repeats what the sender wrote about a person.

        Their number is bounded, except for those a door refuses for.
        """
        if len(self._noted) >= MAX_FINDINGS and not refusing:
            return
        finding = Finding(code, where, detail, refusing)
        if finding not in self._noted:
            self._noted.add(finding)
            self.findings.append(finding)


def first(convert: Convert[T]) -> Callable[[View, FieldMapping], T | None]:
    """A reader of the first usable value, looking at ``path``, then at each of ``also``."""

    def read(view: View, mapping: FieldMapping) -> T | None:
        for place in (mapping.path, *mapping.also):
            if view.raw(place):
                for cell in view.cells(place):
                    value = convert(cell, view)
                    if value is not None:
                        return value
        return None

    return read


def every(convert: Convert[T]) -> Callable[[View, FieldMapping], tuple[T, ...]]:
    """A reader of all values of ``path`` and of each of ``also``, in that order, without repeats."""

    def read(view: View, mapping: FieldMapping) -> tuple[T, ...]:
        found: dict[T, None] = {}
        for place in (mapping.path, *mapping.also):
            raw = view.raw(place)
            if len(raw) > _LONG and view.context is not None:
                what = f"{place} {id(convert)}"
                found |= view.once(place_of(place).segment, what, partial(values, place=place))
            elif raw:
                found |= values(view, place)
        return tuple(found)

    def values(view: View, place: str) -> dict[T, None]:
        found: dict[T, None] = {}
        for cell in view.cells(place):
            value = convert(cell, view)
            if value is not None:
                found[value] = None
        return found

    return read


def text(cell: Cell, view: View) -> str | None:
    """The first component as text."""
    return cell.text(1)


def whole_text(cell: Cell, view: View) -> str | None:
    """The whole repetition as free text."""
    return cell.whole().strip() or None


def build(fields: Iterable[FieldMapping], view: View) -> dict[str, Any]:
    """The values of a declaration's fields, ready to make a fact of; empty ones are left out."""
    values: dict[str, Any] = {}
    many = view.context is not None and view.context.fronts >= _MANY
    for mapping in fields:
        if mapping.read is None:
            continue
        value = view.value(mapping) if many else mapping.read(view, mapping)
        if value is not None and value != ():
            values[mapping.target] = value
    return values
