"""A fact: what one event says to the lifecycle, without its envelope."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

_COMMON: Final = frozenset({"occurred_at", "reason", "assertion"})
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened to one referral, as its line records it.

    `type` is an event type (`referral.accepted.v1`), `occurred_at` an aware moment, `attributes` whatever
    else the event's data holds.
    """

    type: str
    occurred_at: datetime
    reason: str | None = None
    assertion: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        """The attribute when it is a text, else None."""
        value = self.attributes.get(name)
        return value if isinstance(value, str) else None

    def moment(self, name: str) -> datetime | None:
        """The attribute when it is an aware moment, or the RFC 3339 text of one, else None."""
        return _moment(self.attributes.get(name))

    def part(self, name: str) -> Mapping[str, Any]:
        """The attribute when it is an object, else an empty one."""
        value = self.attributes.get(name)
        return value if isinstance(value, Mapping) else _NOTHING


def fact_of(event_type: str, body: Mapping[str, Any]) -> Fact:
    """The fact in an event: its type and its `data` as JSON holds it.

    Raises:
        ValueError: `occurred_at` is missing or is no moment with an offset.
    """
    occurred_at = _moment(body.get("occurred_at"))
    if occurred_at is None:
        raise ValueError("occurred_at is not a moment with an offset")
    return Fact(
        type=event_type,
        occurred_at=occurred_at,
        reason=body.get("reason"),
        assertion=body.get("assertion"),
        attributes={name: value for name, value in body.items() if name not in _COMMON},
    )


def _moment(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value
    return None
