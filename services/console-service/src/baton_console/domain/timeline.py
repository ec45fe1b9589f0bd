"""The story of one referral, from its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from baton_contracts.lifecycle import Lines, fact_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event as the story needs it."""

    id: str
    type: str
    line: str
    at: datetime
    recorded_at: datetime
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One item of the story. ``state`` is where the referral stood after it."""

    at: datetime
    recorded_at: datetime
    kind: str
    type: str
    actor: Mapping[str, Any] | None
    assertion: str | None
    state: str | None
    ref: Mapping[str, Any]


_REFERENCES = ("appointment_id", "visit_id", "delivery_id", "plan_id")


def timeline(told: Iterable[Told]) -> list[Moment]:
    """The story in the order in which things happened; states follow the order in which they were
    recorded.
    """
    lines = Lines()
    moments = []
    for one in sorted(told, key=lambda event: (event.recorded_at, event.id)):
        lines = lines.after(fact_of(one.type, one.attributes))
        state = lines.position.state
        moments.append(_moment(one, state.value if state else None))
    return sorted(moments, key=lambda moment: (moment.at, moment.recorded_at))


def _moment(told: Told, state: str | None) -> Moment:
    attributes = told.attributes
    document = attributes.get("document")
    reference: dict[str, Any] = {"event_id": told.id}
    reference |= {name: attributes[name] for name in _REFERENCES if attributes.get(name)}
    if isinstance(document, Mapping):
        reference |= {"document_id": document.get("id"), "document_version": document.get("version")}
    return Moment(
        at=told.at,
        recorded_at=told.recorded_at,
        kind=_kind(told),
        type=told.type,
        actor=attributes.get("actor"),
        assertion=attributes.get("assertion"),
        state=state,
        ref=reference,
    )


def _kind(told: Told) -> str:
    if told.line == "notices":
        return "delivery" if told.attributes.get("kind") == "document" else "notice"
    return "document" if told.line == "documents" else "fact"
