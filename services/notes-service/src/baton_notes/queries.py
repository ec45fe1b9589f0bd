"""Answers about notes, and their content for whoever delivers it."""

from __future__ import annotations

from dataclasses import dataclass

from baton_chassis.content import Content
from baton_chassis.errors import NotFound
from baton_chassis.reads import Reader
from baton_notes.commands import RecordNote
from baton_notes.domain.note import Note, NoteContent, content_id


@dataclass(frozen=True, slots=True)
class Waiting:
    """A note whose referral has not arrived."""

    id: str
    command: RecordNote


class Queries:
    """Reads of one practice's notes."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def note(self, practice_id: str, id: str) -> Note | Waiting:
        """The note, also while it waits for its referral. Raises ``NotFound``."""
        found = await self._reader.arriving(Note, practice_id, id)
        if isinstance(found, Note):
            return found
        if found is not None and isinstance(found.command, RecordNote):
            return Waiting(id, found.command)
        raise NotFound("There is no note of that id.")

    async def content(self, practice_id: str, id: str) -> NoteContent:
        """The bytes of the note's current edition. Raises ``NotFound``."""
        note = await self._reader.get(Note, practice_id, id)
        found = None
        if note is not None:
            found = await self._reader.get(NoteContent, practice_id, content_id(id, note.edition))
        if found is None:
            raise NotFound("There is no note of that id.")
        return found

    async def notes(
        self, practice_id: str, *, referral_id: str | None, after: str | None, limit: int
    ) -> tuple[list[Note], str | None]:
        """One page, oldest first, and the cursor of the next (None at the end). Raises ``Invalid`` for a
        cursor that is not ours.
        """
        return await self._reader.page(Note, practice_id, after=after, limit=limit, referral_id=referral_id)


class Documents:
    """The content of notes by claim check: the ``ContentSource`` of the kind `document`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def read(self, practice_id: str, kind: str, id: str, version: int) -> Content | None:
        """One edition of one note, or None."""
        found = await self._reader.get(NoteContent, practice_id, content_id(id, version))
        if found is None:
            return None
        return Content(media_type=found.media_type, body=found.body, sha256=found.sha256)
