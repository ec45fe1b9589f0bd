"""What is read: lists for clients, and what the workers and the page look up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from baton_chassis import cursor
from baton_chassis.reads import Reader
from baton_notification import store
from baton_notification.domain.access import OfficeSession, TrackingLink
from baton_notification.domain.acknowledgement import Acknowledgement
from baton_notification.domain.delivery import Delivery
from baton_notification.domain.endpoint import WebhookEndpoint
from baton_notification.domain.office import Office
from baton_notification.domain.progress import ReferralProgress

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """One page of a list and the cursor of the next, None at the end."""

    items: list[T]
    next: str | None


class Queries:
    """Everything this service answers from its own tables, always for one practice."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def office(self, practice_id: str, id: str) -> Office | None:
        """One office."""
        return await self._reader.get(Office, practice_id, id)

    async def offices(self, practice_id: str, *, limit: int, after: str | None) -> Listed[Office]:
        """All offices, in the order they became known."""
        return await self._page(Office, store.OFFICES, practice_id, limit, after)

    async def webhook(self, practice_id: str, id: str) -> WebhookEndpoint | None:
        """One endpoint that was not deleted."""
        found = await self._reader.get(WebhookEndpoint, practice_id, id)
        return found if found is not None and found.deleted_at is None else None

    async def webhooks(self, practice_id: str, *, limit: int, after: str | None) -> Listed[WebhookEndpoint]:
        """All endpoints that were not deleted."""
        return await self._page(WebhookEndpoint, store.WEBHOOKS, practice_id, limit, after)

    async def delivery(self, practice_id: str, id: str) -> Delivery | None:
        """One delivery."""
        return await self._reader.get(Delivery, practice_id, id)

    async def deliveries(
        self,
        practice_id: str,
        *,
        limit: int,
        after: str | None,
        referral_id: str | None = None,
        event_id: str | None = None,
        status: str | None = None,
        channel: str | None = None,
    ) -> Listed[Delivery]:
        """Deliveries of notices and documents, oldest first; codes are not listed."""
        filters = {"referral_id": referral_id, "event_id": event_id, "status": status, "channel": channel}
        given = {name: value for name, value in filters.items() if value is not None}
        statement = store.deliveries_where(tuple(sorted(given)))
        return await self._page(Delivery, statement, practice_id, limit, after, **given)

    async def acknowledgement(self, practice_id: str, id: str) -> Acknowledgement | None:
        """One confirmation of an office."""
        return await self._reader.get(Acknowledgement, practice_id, id)

    async def acknowledgements(
        self, practice_id: str, *, limit: int, after: str | None, referral_id: str | None = None
    ) -> Listed[Acknowledgement]:
        """What offices confirmed, oldest first."""
        given = {"referral_id": referral_id} if referral_id is not None else {}
        statement = store.acknowledgements_where(tuple(given))
        return await self._page(Acknowledgement, statement, practice_id, limit, after, **given)

    async def progress(self, practice_id: str, referral_id: str) -> ReferralProgress | None:
        """How far a referral is."""
        return await self._reader.get(ReferralProgress, practice_id, referral_id)

    async def link(self, practice_id: str, id: str) -> TrackingLink | None:
        """One link."""
        return await self._reader.get(TrackingLink, practice_id, id)

    async def link_of_referral(self, practice_id: str, referral_id: str) -> TrackingLink | None:
        """The link under which a referral's office finds its page."""
        found = await self._reader.select(
            TrackingLink, store.LINK_OF_REFERRAL, practice_id, referral_id=referral_id
        )
        return found[-1] if found else None

    async def unopened(self, link: TrackingLink, practice_id: str) -> bool:
        """Whether a mailed notice that leads to this page was not looked at yet."""
        rows = await self._reader.rows(
            store.UNOPENED, practice_id, referral_id=link.referral_id, office_id=link.office_id
        )
        return bool(rows)

    async def session(self, practice_id: str, id: str) -> OfficeSession | None:
        """A browser session."""
        return await self._reader.get(OfficeSession, practice_id, id)

    async def _page(
        self, kind: type[Any], statement: Any, practice_id: str, limit: int, after: str | None, **given: Any
    ) -> Listed[Any]:
        last = cursor.read(after, str)[0] if after is not None else ""
        found: Sequence[Any] = await self._reader.select(
            kind, statement, practice_id, last=last, most=limit + 1, **given
        )
        items = list(found[:limit])
        more = len(found) > limit
        return Listed(items, cursor.write([items[-1].id]) if more else None)
