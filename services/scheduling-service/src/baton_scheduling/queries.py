"""Answers about appointments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select

from baton_chassis import cursor
from baton_chassis.database import Statement
from baton_chassis.errors import NotFound
from baton_chassis.reads import Reader
from baton_scheduling.commands import BookAppointment
from baton_scheduling.domain.appointment import Appointment
from baton_scheduling.store import APPOINTMENTS


def _listing(*, by_referral: bool) -> Statement:
    table = APPOINTMENTS.table
    conditions = [table.c.practice_id == bindparam("practice_id"), table.c.id > bindparam("after_id")]
    if by_referral:
        conditions.append(table.c.referral_id == bindparam("referral_id"))
    return Statement(select(table).where(*conditions).order_by(table.c.id).limit(bindparam("limit")))


_ALL = _listing(by_referral=False)
_OF_REFERRAL = _listing(by_referral=True)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An appointment whose referral has not arrived."""

    id: str
    command: BookAppointment


class Queries:
    """Reads of one practice's appointments."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def appointment(self, practice_id: str, id: str) -> Appointment | Waiting:
        """The appointment, also while it waits for its referral. Raises ``NotFound``."""
        found = await self._reader.get(Appointment, practice_id, id)
        if found is not None:
            return found
        waiting = await self._reader.waiting(practice_id, id)
        if waiting is not None and isinstance(waiting.command, BookAppointment):
            return Waiting(id, waiting.command)
        raise NotFound("There is no appointment of that id.")

    async def appointments(
        self, practice_id: str, *, referral_id: str | None, after: str | None, limit: int
    ) -> tuple[list[Appointment], str | None]:
        """One page, oldest first, and the cursor of the next (None at the end). Raises ``Invalid`` for a
        cursor that is not ours.
        """
        place: dict[str, Any] = {"after_id": cursor.read(after, str)[0] if after else "", "limit": limit + 1}
        if referral_id is None:
            rows = await self._reader.select(Appointment, _ALL, practice_id, **place)
        else:
            rows = await self._reader.select(
                Appointment, _OF_REFERRAL, practice_id, referral_id=referral_id, **place
            )
        following = cursor.write([rows[limit - 1].id]) if len(rows) > limit else None
        return rows[:limit], following
