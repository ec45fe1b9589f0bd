"""An office that refers to us: how to reach it, what it wants to hear, and which of its routes are proven."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Final

from baton_notification.domain.refusals import NotPossibleNow, NotValid

CHANNELS_WE_SEND_BY: Final = frozenset({"email"})
"""Routes of other channels are kept, for the day we can use them."""


@dataclass(frozen=True, slots=True)
class Route:
    """One way to reach the office. ``verified_at`` is when it was shown that the address is the office's: a
    code sent there came back, or our staff vouched for it.
    """

    id: str
    channel: str
    address: str
    verified_at: datetime | None = None

    @property
    def usable(self) -> bool:
        """Whether we can send there."""
        return self.channel in CHANNELS_WE_SEND_BY


@dataclass(frozen=True, slots=True)
class OfficeRegistered:
    """An office is known from now on, unverified."""

    at: datetime
    referral_id: str | None


@dataclass(frozen=True, slots=True)
class OfficeChanged:
    """What is said about the office differs in these fields."""

    at: datetime
    changed: tuple[str, ...]


_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(slots=True)
class Office:
    """An office and its routes, in the order in which they were stated.

    ``identifiers`` are (system, value). ``preferences`` has ``mute``: patterns of event types it does not
    want to hear of. None of this is about a patient.
    """

    id: str
    name: str
    identifiers: tuple[tuple[str, str], ...] = ()
    routes: tuple[Route, ...] = ()
    time_zone: str | None = None
    preferences: Mapping[str, Any] = field(default_factory=dict)
    paused_at: datetime | None = None
    version: int = 0
    events: list[Any] = field(default_factory=list)

    @classmethod
    def register(
        cls, *, id: str, name: str, identifiers: tuple[tuple[str, str], ...], routes: tuple[Route, ...],
        at: datetime, referral_id: str | None = None, time_zone: str | None = None,
        preferences: Mapping[str, Any] = _NOTHING,
    ) -> "Office":  # fmt: skip
        """A new office."""
        office = cls(id=id, name=name, identifiers=identifiers, routes=_distinct(routes), time_zone=time_zone,
                     preferences=preferences)  # fmt: skip
        office.events.append(OfficeRegistered(at, referral_id))
        return office

    @property
    def notice_routes(self) -> tuple[Route, ...]:
        """Where notices go: every route we can use, proven or not."""
        return tuple(route for route in self.routes if route.usable)

    @property
    def code_route(self) -> Route | None:
        """The address on file for codes: a proven one if there is any, else the first that was stated."""
        usable = self.notice_routes
        return next(
            (route for route in usable if route.verified_at is not None), usable[0] if usable else None
        )

    def wants(self, event_type: str) -> bool:
        """Whether the office wants to hear of such events."""
        muted = self.preferences.get("mute", ())
        return not any(fnmatchcase(event_type, pattern) for pattern in muted)

    def route(self, route_id: str) -> Route | None:
        """The route with this id."""
        return next((route for route in self.routes if route.id == route_id), None)

    def verify(self, route_id: str, *, at: datetime) -> None:
        """The address of this route is shown to be the office's.

        Raises:
            NotValid: the office has no such route.
        """
        route = self.route(route_id)
        if route is None:
            raise NotValid("The office has no such route.", pointer="/route_id")
        if route.verified_at is None:
            self._put(replace(route, verified_at=at))
            self.events.append(OfficeChanged(at, ("routes",)))

    def change(
        self, *, at: datetime, name: str | None = None,
        identifiers: tuple[tuple[str, str], ...] | None = None,
        routes: tuple[Route, ...] | None = None, time_zone: str | None = None,
        preferences: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """What is said about the office from now on; None leaves a field. A route with another address has to
        be proven again.
        """
        wanted = {
            "name": name,
            "identifiers": identifiers,
            "routes": None if routes is None else tuple(map(self._as_proven, _distinct(routes))),
            "time_zone": time_zone,
            "preferences": preferences,
        }
        changed = tuple(
            field_ for field_, value in wanted.items() if value is not None and value != getattr(self, field_)
        )
        for field_ in changed:
            setattr(self, field_, wanted[field_])
        if changed:
            self.events.append(OfficeChanged(at, changed))

    def pause(self, *, at: datetime) -> None:
        """Send nothing until ``resume``.

        Raises:
            NotPossibleNow: it is paused already.
        """
        if self.paused_at is not None:
            raise NotPossibleNow("Sending to this office is paused already.")
        self.paused_at = at
        self.events.append(OfficeChanged(at, ("paused",)))

    def resume(self, *, at: datetime) -> None:
        """Send again.

        Raises:
            NotPossibleNow: it is not paused.
        """
        if self.paused_at is None:
            raise NotPossibleNow("Sending to this office is not paused.")
        self.paused_at = None
        self.events.append(OfficeChanged(at, ("paused",)))

    def _as_proven(self, stated: Route) -> Route:
        known = next(
            (one for one in self.routes if (one.channel, one.address) == (stated.channel, stated.address)),
            None,
        )
        return known or replace(stated, verified_at=None)

    def _put(self, route: Route) -> None:
        self.routes = tuple(route if one.id == route.id else one for one in self.routes)


def _distinct(routes: tuple[Route, ...]) -> tuple[Route, ...]:
    return tuple({(route.channel, route.address): route for route in reversed(routes)}.values())[::-1]
