"""The native door of notes: documents, in JSON and as bytes."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from baton_chassis.commands import Reply
from baton_chassis.doors import Answer, Ask, Body, Id, Instant, PageQuery, Routes, View
from baton_notes.commands import RecordNote, ReferralReference, SignNote
from baton_notes.domain.note import ExternalKey, PlanItem, Said
from baton_notes.published import note_shown
from baton_notes.queries import Queries, Waiting

READ = "notes:read"
WRITE = "notes:write"
RELEASE = "notes:release"

System = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,256}$")]
Key = Annotated[str, StringConstraints(pattern=r"^[!-~]([ -~]{0,126}[!-~])?$")]
Name = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=120)]
Words = Annotated[str, StringConstraints(max_length=20_000)]
MediaType = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9!#$&^_.+\-]+/[a-z0-9!#$&^_.+\-]+$", max_length=128)
]


class SourceBody(Body):
    """How the sender's own system names the note."""

    system: System
    id: Key


class ReferralBody(Body):
    """Which referral: our ``id`` alone, or the ``system`` and ``id`` by which its sender named it."""

    system: System | None = None
    id: Key


class SignedBody(Body):
    """Who signed the note, and when."""

    by: Name = ""
    at: Instant


class ContentBody(Body):
    """The note itself: as ``text``, or as ``base64`` of its bytes."""

    media_type: MediaType
    text: str | None = None
    base64: str | None = None

    @model_validator(mode="after")
    def _is_given_once(self) -> ContentBody:
        if (self.text is None) == (self.base64 is None):
            raise PydanticCustomError("text-or-base64", "Send either text or base64.")
        if not self.bytes():
            raise PydanticCustomError("empty-content", "Send a note that is not empty.")
        return self

    def bytes(self) -> bytes:
        """The bytes of the note."""
        if self.base64 is None:
            return (self.text or "").encode()
        try:
            return base64.b64decode("".join(self.base64.split()), validate=True)
        except (binascii.Error, ValueError):
            raise PydanticCustomError("broken-base64", "Send base64 as RFC 4648 writes it.") from None


class PlanBody(Body):
    """Who does what next."""

    who: Literal["us", "referrer", "patient"]
    what: Words
    by: Name = ""


class NewNote(Body):
    """A note, signed or not."""

    referral: ReferralBody
    source: SourceBody | None = None
    kind: Literal["interim", "final", "addendum", "corrected"]
    replaces: Id | None = None
    signed: SignedBody | None = None
    content: ContentBody
    answer: Words = ""
    plan: list[PlanBody] = Field(default=[], max_length=100)
    disposition: (
        Literal[
            "care_returned",
            "co_manage",
            "second_opinion_given",
            "advice_given",
            "assume_management",
            "unable_to_complete",
        ]
        | None
    ) = None

    @model_validator(mode="after")
    def _names_what_it_replaces(self) -> NewNote:
        if self.kind in ("addendum", "corrected") and self.replaces is None:
            raise PydanticCustomError("replaces-required", "Name in replaces the note that this one changes.")
        return self

    def command(self, id: str) -> RecordNote:
        """The note as it is to be kept, under the id it will have."""
        source, referral, signed = self.source, self.referral, self.signed
        return RecordNote(
            id=id,
            referral=ReferralReference(system=referral.system or "", value=referral.id),
            source=ExternalKey(system=source.system, value=source.id) if source else None,
            kind=self.kind,
            replaces=self.replaces,
            disposition=self.disposition,
            said=Said(
                answer=self.answer,
                plan=tuple(PlanItem(who=item.who, what=item.what, by=item.by) for item in self.plan),
                signed_by=signed.by if signed else "",
            ),
            media_type=self.content.media_type,
            content=self.content.bytes(),
            signed_at=signed.at if signed else None,
        )


class SignBody(Body):
    """Who signs, and when (default: now)."""

    by: Name = ""
    occurred_at: Instant | None = None


class NoteView(View):
    """A note without its content. While its referral has not arrived, ``status`` is ``waiting``."""

    id: str
    status: str
    version: int | None = None
    referral: dict[str, Any] | None = None
    source: dict[str, Any] | None = None
    kind: str | None = None
    replaces: str | None = None
    signed: dict[str, Any] | None = None
    document: dict[str, Any] | None = None
    answer: str | None = None
    plan: list[dict[str, Any]] | None = None
    disposition: str | None = None
    delivered_at: str | None = None


class NotePage(View):
    """One page of notes."""

    items: list[NoteView]
    next: str | None


class NotesQuery(PageQuery):
    """Which notes to list."""

    referral_id: Id | None = None


def routes(queries: Queries) -> Routes:
    """Every native route of notes."""
    routes = Routes(tag="notes")
    _asking(routes)
    _reading(routes, queries)
    return routes


def _asking(routes: Routes) -> None:
    @routes.command(
        "POST", "/v1/notes", scope=WRITE, body=NewNote, reply=NoteView, idempotent=True, success=201,
        refusals=("illegal-transition",),
        summary="Keep a note; signed, it goes out. For a referral that has not arrived it waits (202).",
    )  # fmt: skip
    async def record(ask: Ask[NewNote]) -> Reply:
        return await ask.submit(ask.body.command(ask.new_id()))

    @routes.command(
        "POST", "/v1/notes/{id}/sign", scope=RELEASE, body=SignBody, reply=NoteView, idempotent=True,
        refusals=("illegal-transition",), summary="Sign a note that is here; it goes out.",
    )  # fmt: skip
    async def sign(ask: Ask[SignBody]) -> Reply:
        return await ask.submit(SignNote(id=ask.path["id"], by=ask.body.by, occurred_at=ask.body.occurred_at))


def _reading(routes: Routes, queries: Queries) -> None:
    @routes.query(
        "GET", "/v1/notes/{id}", scope=READ, reply=NoteView, summary="Show one note without its content."
    )
    async def show(ask: Ask[None]) -> Answer:
        found = await queries.note(ask.caller.practice_id, ask.path["id"])
        if isinstance(found, Waiting):
            return Answer(body=_waiting(found))
        return Answer(body=note_shown(found), version=found.version)

    @routes.query(
        "GET", "/v1/notes", scope=READ, reply=NotePage, query=NotesQuery, summary="List notes, oldest first."
    )
    async def list_notes(ask: Ask[None]) -> Answer:
        query: NotesQuery = ask.query
        items, following = await queries.notes(
            ask.caller.practice_id, referral_id=query.referral_id, after=query.after, limit=query.limit
        )
        return Answer(body={"items": [note_shown(item) for item in items], "next": following})

    @routes.raw(
        "GET", "/v1/notes/{id}/content", scope=READ, produces=("application/octet-stream",),
        summary="Give the bytes of the note's current version.",
    )  # fmt: skip
    async def content(ask: Ask[None]) -> Answer:
        found = await queries.content(ask.caller.practice_id, ask.path["id"])
        return Answer(body=found.body, media_type=found.media_type, headers=_AS_A_FILE)


_AS_A_FILE = {"Content-Disposition": 'attachment; filename="note"', "Content-Security-Policy": "sandbox"}
"""What was written elsewhere is never shown in a page of ours."""


def _waiting(waiting: Waiting) -> dict[str, Any]:
    command = waiting.command
    return {
        "id": waiting.id,
        "status": "waiting",
        "referral": {"system": command.referral.system or None, "id": command.referral.value},
        "kind": command.kind,
    }
