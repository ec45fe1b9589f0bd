"""Answers about appointments."""

from __future__ import annotations

from dataclasses import dataclass

from baton_chassis.errors import NotFound
from baton_chassis.reads import Reader
from baton_scheduling.commands import BookAppointment
from baton_scheduling.domain.appointment import Appointment


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
        found = await self._reader.arriving(Appointment, practice_id, id)
        if isinstance(found, Appointment):
            return found
        if found is not None and isinstance(found.command, BookAppointment):
            return Waiting(id, found.command)
        raise NotFound("There is no appointment of that id.")

    async def appointments(
        self, practice_id: str, *, referral_id: str | None, after: str | None, limit: int
    ) -> tuple[list[Appointment], str | None]:
        """One page, oldest first, and the cursor of the next (None at the end). Raises ``Invalid`` for a
        cursor that is not ours.
        """
        return await self._reader.page(
            Appointment, practice_id, after=after, limit=limit, referral_id=referral_id
        )
