"""Answers for screens and clients, straight from the rows of the caller's practice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from baton_chassis import cursor
from baton_chassis.content import Content
from baton_chassis.database import Statement
from baton_chassis.errors import Fault, Invalid, NotFound
from baton_chassis.reads import Reader
from baton_chassis.repository import Aggregate
from baton_intake import store
from baton_intake.commands import BlindKey
from baton_intake.domain.artifact import Artifact, ArtifactBytes
from baton_intake.domain.identity import digits, folded, record_keys
from baton_intake.domain.lookup import family_birth, lookup_entries, record_number
from baton_intake.domain.referral import Referral
from baton_intake.domain.request import ExternalKey, Patient

T = TypeVar("T", bound=Aggregate)

_ABOVE_EVERY_ID = "~"
_BELOW_EVERY_ID = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(Generic[T]):
    """Some of a list, and the cursor behind its last item where there is more."""

    items: list[T]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Whom a search is for. Only complete terms count: a family name, or its beginning, or it with a birth
    date, ...
    """

    family: str = ""
    family_prefix: str = ""
    birth_date: str = ""
    phone: str = ""
    number: ExternalKey | None = None


class Queries:
    """Reads of one service; every one names the practice and sees nothing else."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def referral(self, practice_id: str, id: str) -> Referral:
        """The referral; ``NotFound`` when this practice has none of that id."""
        found = await self._reader.get(Referral, practice_id, id)
        if found is None:
            raise NotFound("There is no referral by that id.")
        return found

    async def referrals(
        self,
        practice_id: str,
        *,
        filters: Mapping[str, str],
        updated_since: datetime | None,
        after: str | None,
        limit: int,
    ) -> Slice[Referral]:
        """The newest first; with ``updated_since`` in the order of their last change, oldest change first."""
        names = tuple(name for name in store.FILTERS if name in filters)
        if updated_since is None:
            statement = store.NEWEST_REFERRALS[names]
            return await self._newest(Referral, statement, practice_id, filters, after=after, limit=limit)
        since, last = _place(after, default=(updated_since, _BELOW_EVERY_ID))
        found = await self._reader.select(
            Referral,
            store.REFERRALS_BY_UPDATE[names],
            practice_id,
            **filters,
            since=since,
            after=last,
            limit=limit + 1,
        )
        return _sliced(found, limit, lambda one: [one.updated_at.isoformat(), one.id])

    async def search(
        self, practice_id: str, sought: Sought, *, after: str | None, limit: int
    ) -> Slice[Referral]:
        """Referrals of whoever is sought, newest first. The words are compared as tokens; only candidates
        are opened and held against all the words again.
        """
        key = await self._reader.tokens(practice_id)
        wanted = {name: key.token(store.LOOKUP_TOKENS[name], term) for name, term in _terms(sought).items()}
        narrowest = next(name for name in _NARROWEST_FIRST if name in wanted)
        page = await self._newest(
            Referral,
            store.FOUND_BY[narrowest],
            practice_id,
            {"term": wanted[narrowest]},
            after=after,
            limit=limit,
        )

        def fits(referral: Referral) -> bool:
            entries = lookup_entries(referral.id, referral.request.patient)
            said = [(name, getattr(entry, name)) for entry in entries for name in wanted]
            held = {(name, key.token(store.LOOKUP_TOKENS[name], text)) for name, text in said if text}
            return held >= set(wanted.items())

        return Slice(items=[one for one in page.items if fits(one)], next=page.next)

    async def artifact(self, practice_id: str, id: str) -> Artifact:
        """The artifact without its bytes; ``NotFound`` when this practice has none of that id."""
        found = await self._reader.get(Artifact, practice_id, id)
        if found is None:
            raise NotFound("There is no artifact by that id.")
        return found

    async def artifact_bytes(self, practice_id: str, id: str) -> bytes:
        """The bytes as they came."""
        found = await self._reader.get(ArtifactBytes, practice_id, id)
        if found is None:
            raise NotFound("There is no artifact by that id.")
        return found.content

    async def artifacts(
        self, practice_id: str, *, status: str | None, referral_id: str | None, after: str | None, limit: int
    ) -> Slice[Artifact]:
        """The newest first, of one referral or of one status."""
        if referral_id is not None:
            statement, narrowed = store.ARTIFACTS_OF_REFERRAL, {"referral_id": referral_id}
        elif status is not None:
            statement, narrowed = store.NEWEST_ARTIFACTS_BY_STATUS, {"status": status}
        else:
            statement, narrowed = store.NEWEST_ARTIFACTS, {}
        return await self._newest(Artifact, statement, practice_id, narrowed, after=after, limit=limit)

    async def blind_keys(self, practice_id: str, patient: Patient) -> tuple[BlindKey, ...]:
        """The patient's record numbers, made unreadable with the practice's key, to recognise the patient
        by.
        """
        key = await self._reader.tokens(practice_id)

        def blind(text: str) -> str:
            return key.token("record-number", text).hex()

        return tuple(
            BlindKey(number=blind(each.number), person=blind(each.person) if each.person else None)
            for each in record_keys(patient)
        )

    async def _newest(
        self,
        kind: type[T],
        statement: Statement,
        practice_id: str,
        narrowed: Mapping[str, object],
        *,
        after: str | None,
        limit: int,
    ) -> Slice[T]:
        before = cursor.read(after, str)[0] if after else _ABOVE_EVERY_ID
        found = await self._reader.select(
            kind, statement, practice_id, **narrowed, before=before, limit=limit + 1
        )
        return _sliced(found, limit, lambda one: [one.id])


class PatientCards:
    """Patient cards for whoever may fetch them by claim check: name, birth date, sex and record numbers as
    JSON.
    """

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def read(self, practice_id: str, kind: str, id: str, version: int) -> Content | None:
        """The card of the referral ``id``; None where there is none, or not in this version."""
        try:
            referral = await self._queries.referral(practice_id, id)
        except NotFound:
            return None
        if referral.card.version != version:
            return None
        patient = referral.request.patient
        return Content(
            media_type="application/json",
            body=referral.card.content(patient),
            sha256=referral.card.sha256(patient),
        )


_NARROWEST_FIRST = ("record_number", "phone", "family_birth", "family", "prefix")


def _terms(sought: Sought) -> dict[str, str]:
    """What must be found, by the name of its token."""
    terms = {
        "record_number": record_number(sought.number) if sought.number else "",
        "phone": digits(sought.phone),
        "family_birth": family_birth(sought.family, sought.birth_date) if sought.birth_date else "",
        "family": folded(sought.family) if not sought.birth_date else "",
        "prefix": folded(sought.family_prefix),
    }
    return {name: term for name, term in terms.items() if term}


def _sliced(found: list[T], limit: int, place: Callable[[T], list[str | int]]) -> Slice[T]:
    """The first ``limit`` of what was found; one more than that was asked for, to know whether there is
    more.
    """
    more = len(found) > limit
    return Slice(items=found[:limit], next=cursor.write(place(found[limit - 1])) if more else None)


def _place(after: str | None, *, default: tuple[datetime, str]) -> tuple[datetime, str]:
    if after is None:
        return default
    moment, id = cursor.read(after, str, str)
    try:
        return datetime.fromisoformat(str(moment)).astimezone(UTC), str(id)
    except (ValueError, OverflowError):
        fault = Fault(
            "/query/after", "invalid-cursor", "Use the `next` of a page as it is, or leave `after` out."
        )
        raise Invalid([fault]) from None
