"""The sections of a document as facts, at any depth, and the reason for referral among them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from baton_formats.ccda.datatypes import concept, template_ids
from baton_formats.ccda.document import SectionDraft
from baton_formats.ccda.doubts import Doubts
from baton_formats.ccda.reasons import REASON_CODE, REASON_TEMPLATE, is_stated
from baton_formats.facts import Section

MAX_DEPTH: Final = 32
"""Sections within sections; real documents have three. Whoever renders them may walk down one by one."""
_LONGEST_REASON: Final = 65_536


@dataclass(slots=True)
class _Place:
    """Where a section goes: into which other one, how deep, and what was built for it, last first."""

    draft: SectionDraft
    inside: "_Place | None"
    depth: int
    built: list[Section] = field(default_factory=list)


def built(drafts: list[SectionDraft], doubts: Doubts) -> tuple[Section, ...]:
    """The sections of a body; those nested beyond `MAX_DEPTH` follow the one they stand in."""
    found: list[Section] = []
    for place in reversed(_in_order(drafts, doubts)):
        outer = place.inside.built if place.inside is not None else found
        outer.append(_section(place))
    return tuple(reversed(found))


def _in_order(drafts: list[SectionDraft], doubts: Doubts) -> list[_Place]:
    places: list[_Place] = []
    stack: list[tuple[SectionDraft, _Place | None]] = [(draft, None) for draft in reversed(drafts)]
    while stack:
        draft, inside = stack.pop()
        place = _Place(draft, inside, inside.depth + 1 if inside is not None else 1)
        places.append(place)
        draft.finish()
        if draft.active:
            doubts.add("active-content-removed", f"{draft.where}/text")
        within: _Place | None = place
        if place.depth == MAX_DEPTH and draft.sections:
            doubts.add("sections-too-deep", draft)
            within = inside
        stack.extend((inner, within) for inner in reversed(draft.sections))
    return places


def _section(place: _Place) -> Section:
    head = place.draft.head
    return Section(
        title=head.text_at("title"),
        code=concept(head.first("code")),
        text=place.draft.text,
        template_ids=template_ids(head),
        sections=tuple(reversed(place.built)),
    )


def every(sections: tuple[Section, ...]) -> Iterator[Section]:
    """All of them and all in them, in document order."""
    stack = list(reversed(sections))
    while stack:
        section = stack.pop()
        yield section
        stack.extend(reversed(section.sections))


def count(sections: tuple[Section, ...]) -> int:
    """How many there are at any depth."""
    return sum(1 for _ in every(sections))


def reason(sections: tuple[Section, ...], doubts: Doubts, *, is_expected: bool) -> str | None:
    """The words of the first reason section that says something, its beginning if it is endless.

    Found by its code, else by a translation of it, by its template or by its title.
    """
    ranked = sorted(
        ((rank, one) for one in every(sections) if (rank := _rank(one)) is not None), key=lambda pair: pair[0]
    )
    stated = next((words for _, one in ranked if (words := _words(one))), b"")
    if not stated and (ranked or is_expected):
        doubts.add("reason-not-stated", "/ClinicalDocument/component")
    if len(stated) > _LONGEST_REASON:
        doubts.add("reason-shortened", "/ClinicalDocument/component")
    return _beginning(stated) or None


def _rank(section: Section) -> int | None:
    """How sure it is that this is a reason section, 0 the surest; None where it is none."""
    codings = section.code.codings if section.code is not None else ()
    signs = (
        bool(codings) and codings[0].code == REASON_CODE,
        any(coding.code == REASON_CODE for coding in codings),
        REASON_TEMPLATE in section.template_ids,
        (section.title or "").lower().strip(" :.") == "reason for referral",
    )
    return signs.index(True) if True in signs else None


def _words(section: Section) -> bytes:
    """What the section and those in it say, each on lines of its own; a little more than is kept of it."""
    said: list[bytes] = []
    size = 0
    for one in every((section,)):
        if one.text and is_stated(_beginning(one.text.utf8)):
            said.append(one.text.utf8[: _LONGEST_REASON + 1])
            size += len(said[-1])
        if size > _LONGEST_REASON:
            break
    return b"\n".join(said)


def _beginning(utf8: bytes) -> str:
    return utf8[:_LONGEST_REASON].decode("utf-8", "ignore").rstrip()
