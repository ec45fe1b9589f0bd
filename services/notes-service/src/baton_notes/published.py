"""From what happened here to the events of line `documents`, and to what a client is shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from baton_chassis.commands import Outgoing
from baton_contracts import events as contract
from baton_contracts.codes import DocumentKind
from baton_contracts.events import is_external_value
from baton_contracts.topics import NOTES, REFERRAL_EVENTS
from baton_notes.domain.care import Care
from baton_notes.domain.events import Act, CareReturned, NoteDelivered, NoteEvent, NoteReceived, NoteSigned
from baton_notes.domain.note import Note

DOCUMENT = "document"
"""The kind of content that this service owns, by claim check."""

_SUBJECT = re.compile(r"[!-~]{1,128}")


def outgoing(event: NoteEvent, note: Note) -> Outgoing:
    """The published form of one event of a note."""
    return _wrapped(_TELL[type(event)](event, note))


def care_outgoing(event: CareReturned, care: Care) -> Outgoing:
    """The published form of the return of care."""
    return _wrapped(
        contract.CareReturned(
            referral_id=care.id,
            patient_id=care.patient_id,
            office_id=care.office_id,
            actor=_actor(event.act),
            assertion=event.act.assertion,
            occurred_at=event.act.at,
            ack=event.ack,
            document=contract.DocumentVersion(
                id=event.note_id, version=event.note_version, sha256=event.note_sha256
            ),
            delivery_id=event.delivery_id,
        )
    )


def note_shown(note: Note) -> dict[str, Any]:
    """The note as a client reads it, without its content."""
    source, said = note.source, note.said
    return {
        "id": note.id,
        "version": note.version,
        "status": note.status,
        "referral": {"id": note.referral_id},
        "source": {"system": source.system, "id": source.value} if source else None,
        "kind": note.kind,
        "replaces": note.replaces,
        "signed": {"by": said.signed_by, "at": note.signed_at.isoformat()} if note.signed_at else None,
        "document": {
            "version": note.edition,
            "media_type": note.media_type,
            "sha256": note.sha256,
            "href": f"/v1/notes/{note.id}/content",
        },
        "answer": said.answer,
        "plan": [{"who": item.who, "what": item.what, "by": item.by} for item in said.plan],
        "disposition": note.disposition,
        "delivered_at": note.delivered_at.isoformat() if note.delivered_at else None,
    }


def _received(event: NoteReceived, note: Note) -> contract.Event:
    return contract.NoteReceived(**_edition(event.act, note), replaces=note.replaces)


def _signed(event: NoteSigned, note: Note) -> contract.Event:
    model = contract.NoteCorrected if note.kind == DocumentKind.CORRECTED else contract.NoteSigned
    return model(
        **_edition(event.act, note),
        disposition=note.disposition,
        replaces=note.replaces,
        signed_at=note.signed_at,
    )


def _delivered(event: NoteDelivered, note: Note) -> contract.Event:
    return contract.NoteDelivered(
        **_common(event.act, note),
        document=_document(note),
        kind=note.kind,
        delivery_id=event.proof.delivery_id,
        proof=event.proof.code,
    )


_TELL: Mapping[type[Any], Callable[[Any, Note], contract.Event]] = {
    NoteReceived: _received,
    NoteSigned: _signed,
    NoteDelivered: _delivered,
}


def _wrapped(told: contract.Event) -> Outgoing:
    return Outgoing(
        type=told.type.value,
        topic=REFERRAL_EVENTS,
        source=told.stream,
        subject=told.entity_id,
        key=told.entity_id,
        data=told.body(),
        occurred_at=told.occurred_at,
        dataschema=contract.schema_uri(told.type),
    )


def _edition(act: Act, note: Note) -> dict[str, Any]:
    reference = contract.Dataref(
        owner=NOTES, kind=DOCUMENT, id=note.id, version=note.edition, sha256=note.sha256
    )
    return _common(act, note) | {
        "document": _document(note),
        "kind": note.kind,
        "media_type": note.media_type,
        "dataref": reference,
    }


def _common(act: Act, note: Note) -> dict[str, Any]:
    source = note.source
    named = source is not None and _SUBJECT.fullmatch(source.system) and is_external_value(source.value)
    return {
        "referral_id": note.referral_id,
        "patient_id": note.patient_id,
        "office_id": note.office_id,
        "actor": _actor(act),
        "assertion": act.assertion,
        "occurred_at": act.at,
        "external_ids": (contract.ExternalId(system=source.system, value=source.value),)
        if source and named
        else (),
    }


def _actor(act: Act) -> contract.Actor:
    return contract.Actor(kind=act.by, id=act.actor if _SUBJECT.fullmatch(act.actor) else None)


def _document(note: Note) -> contract.DocumentVersion:
    return contract.DocumentVersion(id=note.id, version=note.edition, sha256=note.sha256)
