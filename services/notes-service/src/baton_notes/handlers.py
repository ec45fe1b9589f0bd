"""What notes does with what it is asked and what it hears. Every effect goes through the unit of work."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from baton_chassis.commands import Command, Reply
from baton_chassis.errors import Fault, Invalid, NotYetKnown
from baton_chassis.work import Work
from baton_contracts.lifecycle import Ack, Party, Verb, fact_of
from baton_notes.commands import (
    RecordAcknowledgement,
    RecordDelivery,
    RecordNote,
    ReferralReference,
    ReturnCareByPolicy,
    SignNote,
)
from baton_notes.domain.care import Care
from baton_notes.domain.events import Act, Proof
from baton_notes.domain.note import Note, NoteContent, content_id
from baton_notes.published import care_outgoing, note_shown, outgoing

CLOCK_SKEW = timedelta(minutes=5)
"""How far ahead of ours a caller's clock may be."""

RETURN_WINDOW = timedelta(days=14)
"""Calendar days after a proven delivery, without an answer, until care counts as returned."""

CARE_RETURN = "care-return"

_KINDS: Mapping[str, str] = {"human": "staff", "pms": "client", "partner_system": "client"}
_PARTIES: Mapping[str, Party] = {"human": Party.OWN, "pms": Party.PMS}


async def record_note(command: RecordNote, work: Work) -> Reply:
    """Keep a note, or show the one that this source already named."""
    care = await _care(command.referral, work)
    if command.source is not None:
        known = await work.claim("note", command.source.system, command.source.value, command.id)
        if known != command.id:
            return _shown(await work.load(Note, known), kind="existing")
    care.check(Verb.RECORD_NOTE, by=_party(work))
    await _check_replaced(command, care, work)
    note = _new_note(command, care)
    work.save(NoteContent(content_id(note.id, 1), note.media_type, note.sha256, command.content))
    if command.signed_at is None:
        note.receive(_act(work))
    else:
        note.sign(_act(work, at=command.signed_at))
    _save(note, care, work)
    return _shown(note, kind="created", location=command.location.format(id=note.id))


async def sign_note(command: SignNote, work: Work) -> Reply:
    """Sign a note that is here; it goes out."""
    note = await work.load(Note, command.id)
    care = await work.load(Care, note.referral_id)
    care.check(Verb.SIGN, by=_party(work))
    note.sign(_act(work, at=command.occurred_at), by=command.by)
    _save(note, care, work)
    return _shown(note, kind="done")


async def record_delivery(command: RecordDelivery, work: Work) -> Reply:
    """Take the proof that the referrer has a version, and start the window after which care counts as
    returned.
    """
    note = await work.load(Note, command.id)
    care = await work.load(Care, note.referral_id)
    _deliver(note, care, command, work)
    return _shown(note, kind="done")


async def record_acknowledgement(command: RecordAcknowledgement, work: Work) -> Reply:
    """The office has read it: care goes back, unless we keep the patient or a newer version is on its way."""
    note = await work.load(Note, command.id)
    care = await work.load(Care, note.referral_id)
    _deliver(note, care, _as_delivery(command), work)
    act = Act(by="office", actor=command.office_id, assertion="human", at=command.acknowledged_at)
    current = (note.edition, note.sha256) == (command.document.edition, command.document.sha256)
    if current and care.hand_back(
        note, act, ack=Ack.EXPLICIT, by=Party.SENDER, delivery_id=command.delivery_id
    ):
        work.unschedule(CARE_RETURN, care.id)
        _save_care(care, work)
    return _shown(note, kind="done")


async def return_care_by_policy(command: ReturnCareByPolicy, work: Work) -> Reply:
    """The window has passed; what happened meanwhile decides: only an undisputed delivery returns care."""
    care = await work.load(Care, command.id)
    note = await work.load(Note, command.note_id)
    act = Act(by="service", actor=work.caller.actor, assertion="policy", at=work.now)
    if note.edition == command.edition and care.hand_back(note, act, ack=Ack.IMPLIED, by=Party.TIMER):
        _save_care(care, work)
    return Reply()


Handler = Callable[[Any, Work], Awaitable[Reply]]

COMMANDS: Mapping[type[Command], Handler] = {
    RecordNote: record_note,
    SignNote: sign_note,
    RecordDelivery: record_delivery,
    RecordAcknowledgement: record_acknowledgement,
    ReturnCareByPolicy: return_care_by_policy,
}


def _deliver(note: Note, care: Care, command: RecordDelivery, work: Work) -> None:
    document = command.document
    act = Act(by="office", actor=note.office_id, assertion=work.caller.assertion, at=command.delivered_at)
    proof = Proof(delivery_id=command.delivery_id, code=command.proof)
    if not note.deliver(document.edition, document.sha256, act, proof=proof):
        return
    _save(note, care, work)
    if note.hands_care_back:
        work.schedule(
            CARE_RETURN,
            care.id,
            command.delivered_at + RETURN_WINDOW,
            ReturnCareByPolicy(id=care.id, note_id=note.id, edition=note.edition),
            key=care.id,
            infers_absence=True,
        )


def _as_delivery(command: RecordAcknowledgement) -> RecordDelivery:
    """Saying that one has it is also a proof that one has it."""
    return RecordDelivery(
        id=command.id,
        document=command.document,
        delivery_id=command.delivery_id,
        proof="confirmed_by_person",
        delivered_at=command.acknowledged_at,
    )


def _save(note: Note, care: Care, work: Work) -> None:
    """Write the note, and let its events count for where the referral stands at once."""
    for event in note.events:
        told = outgoing(event, note)
        care.hear(fact_of(told.type, told.data))
    work.save(note)
    work.save(care)


def _save_care(care: Care, work: Work) -> None:
    for event in care.events:
        told = care_outgoing(event, care)
        care.hear(fact_of(told.type, told.data))
    work.save(care)


async def _care(reference: ReferralReference, work: Work) -> Care:
    """The referral that is meant. Raises ``NotYetKnown`` while nothing of that name has arrived."""
    referral_id = await work.lookup("referral", reference.system, reference.value)
    if referral_id is None:
        raise NotYetKnown(space="referral", system=reference.system, value=reference.value)
    return await work.load(Care, referral_id)


async def _check_replaced(command: RecordNote, care: Care, work: Work) -> None:
    if command.replaces is None:
        return
    replaced = await work.find(Note, command.replaces)
    if replaced is None or replaced.referral_id != care.id:
        raise Invalid([Fault("/replaces", "unknown-note", "Name a note of the same referral.")])


def _new_note(command: RecordNote, care: Care) -> Note:
    return Note(
        id=command.id,
        referral_id=care.id,
        patient_id=care.patient_id,
        office_id=care.office_id,
        source=command.source,
        kind=command.kind,
        media_type=command.media_type,
        sha256=hashlib.sha256(command.content).hexdigest(),
        said=command.said,
        replaces=command.replaces,
        disposition=command.disposition,
    )


def _act(work: Work, *, at: datetime | None = None) -> Act:
    if at is not None and at > work.now + CLOCK_SKEW:
        raise Invalid(
            [Fault("/signed/at", "in-the-future", "Send when it happened; that cannot be later than now.")]
        )
    caller = work.caller
    return Act(
        by=_KINDS.get(caller.assertion, "service"),
        actor=caller.actor,
        assertion=caller.assertion,
        at=min(at or work.now, work.now),
    )


def _party(work: Work) -> Party:
    return _PARTIES.get(work.caller.assertion, Party.OWN)


def _shown(note: Note, *, kind: Any, location: str | None = None) -> Reply:
    return Reply(kind=kind, body=note_shown(note), location=location, version=note.version)
