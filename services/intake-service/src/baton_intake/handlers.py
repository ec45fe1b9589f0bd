"""What intake does with what it is asked, one function each. Every effect goes through the unit of work."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from baton_chassis.commands import Caller, Command, Reply
from baton_chassis.errors import Fault, Invalid
from baton_chassis.work import Work
from baton_intake.commands import (
    AcceptReferral,
    BlindKey,
    DeclineReferral,
    KeepMessage,
    KeepRefused,
    ReceiveMessage,
    ReceiveReferral,
    ReferralCommand,
)
from baton_intake.domain.artifact import Artifact, ArtifactBytes, Finding, Received
from baton_intake.domain.events import Act
from baton_intake.domain.identity import office_key
from baton_intake.domain.lookup import lookup_entries
from baton_intake.domain.referral import Card, Referral
from baton_intake.domain.request import ExternalKey, Office
from baton_intake.published import referral_shown

CLOCK_SKEW = timedelta(minutes=5)
"""How far ahead of ours a caller's clock may be."""

_PARTIES: Mapping[str, str] = {"human": "staff", "pms": "client", "partner_system": "client"}


async def receive_referral(command: ReceiveReferral, work: Work) -> Reply:
    """Take in a referral, or show the one that this source already named."""
    source = command.source
    known = await work.claim("referral-source", source.system, source.value, command.id)
    if known != command.id:
        return _shown(await work.load(Referral, known), kind="existing")
    patient_id, conflict = await _patient_id(command.record_keys, work)
    referral = Referral.received(
        id=command.id,
        patient_id=patient_id,
        office_id=await _office_id(command.request.referrer.office, work),
        source=source,
        names=command.names,
        request=command.request,
        card=Card(version=1, salt=work.new_id()),
        act=_act(work.caller, work),
        at=work.now,
        number_conflict=conflict,
    )
    work.save(referral)
    for entry in lookup_entries(referral.id, command.request.patient):
        work.save(entry)
    for name in referral.names[1:]:
        await work.claim("referral-name", name.system, name.value, referral.id)
    return _shown(referral, kind="created", location=command.location.format(id=referral.id))


async def accept_referral(command: AcceptReferral, work: Work) -> Reply:
    """Take the referral on."""
    referral = await work.load(Referral, command.id)
    referral.accept(_act_of(command, work), at=work.now)
    return _saved(referral, work)


async def decline_referral(command: DeclineReferral, work: Work) -> Reply:
    """Do not take the referral, or no longer."""
    referral = await work.load(Referral, command.id)
    referral.decline(_act_of(command, work), redirected_to=command.redirected_to, at=work.now)
    return _saved(referral, work)


async def receive_message(command: ReceiveMessage, work: Work) -> Reply:
    """Keep a message and take in its referral. The same message again changes nothing and is answered
    alike.
    """
    artifact = await _new_artifact(command, work)
    if artifact is None:
        return await _answered_before(command, work)
    taken = await work.run(command.referral)
    if taken.kind == "existing":
        artifact.note(_KNOWN_REFERRAL)
    artifact.attach(str(taken.body["id"]))
    return _keep(artifact, command.content, work)


async def keep_message(command: KeepMessage, work: Work) -> Reply:
    """Keep a message that asks for nothing new, beside its referral where that is known."""
    artifact = await _new_artifact(command, work)
    if artifact is None:
        return await _answered_before(command, work)
    for name in command.names:
        referral_id = await _referral_named(name, work)
        if referral_id is not None:
            artifact.attach(referral_id)
            break
    return _keep(artifact, command.content, work)


async def keep_refused(command: KeepRefused, work: Work) -> Reply:
    """Keep what will be refused; the same bytes from the same sender are kept once."""
    received = command.received
    first = await work.claim("refused", received.sender, received.sha256, command.id)
    if first != command.id:
        return _answered(await work.load(Artifact, first), kind="existing")
    artifact = Artifact(id=command.id, received=received, received_at=work.now, findings=command.findings)
    artifact.refuse()
    return _keep(artifact, command.content, work)


Handler = Callable[[Any, Work], Awaitable[Reply]]

COMMANDS: Mapping[type[Command], Handler] = {
    ReceiveReferral: receive_referral,
    AcceptReferral: accept_referral,
    DeclineReferral: decline_referral,
    ReceiveMessage: receive_message,
    KeepMessage: keep_message,
    KeepRefused: keep_refused,
}

_REUSED_ID = Finding(
    code="message-id-reused",
    detail="This sender used the same message id for another message before. Both are kept.",
)
_KNOWN_REFERRAL = Finding(
    code="referral-known",
    detail="The referral was here already under the same source; this message did not change it.",
)


async def _office_id(office: Office, work: Work) -> str:
    key = office_key(office)
    return await work.claim("office", key.system, key.value, work.new_id())


async def _patient_id(keys: tuple[BlindKey, ...], work: Work) -> tuple[str, bool]:
    """The patient whom these record numbers name, or a new one; and whether a number is said to be
    another's.
    """
    known = [await work.lookup("patient", "person", key.person) for key in keys if key.person]
    patient_id = next((found for found in known if found), None) or work.new_id()
    conflict = False
    for key in keys:
        bound = await work.claim("patient", "number", key.number, patient_id)
        if key.person:
            await work.claim("patient", "person", key.person, patient_id)
            conflict |= bound != patient_id
    return patient_id, conflict


async def _referral_named(name: ExternalKey, work: Work) -> str | None:
    by_source = await work.lookup("referral-source", name.system, name.value)
    return by_source or await work.lookup("referral-name", name.system, name.value)


async def _new_artifact(command: ReceiveMessage | KeepMessage, work: Work) -> Artifact | None:
    """The artifact of a message that was not here before, else None."""
    received = command.received
    if await work.claim("message", received.sender, _message_key(received), command.id) != command.id:
        return None
    artifact = Artifact(id=command.id, received=received, received_at=work.now, findings=command.findings)
    if received.message_id:
        digest = hashlib.sha256(received.message_id.encode()).hexdigest()
        if await work.claim("message-id", received.sender, digest, command.id) != command.id:
            artifact.note(_REUSED_ID)
    return artifact


async def _answered_before(command: ReceiveMessage | KeepMessage, work: Work) -> Reply:
    first = await work.lookup("message", command.received.sender, _message_key(command.received))
    return _answered(await work.load(Artifact, str(first)), kind="existing")


def _message_key(received: Received) -> str:
    """Sender, message id and body together tell one message from another: none of them does alone."""
    return hashlib.sha256(f"{received.message_id}\x1f{received.sha256}".encode()).hexdigest()


def _keep(artifact: Artifact, content: bytes, work: Work) -> Reply:
    work.save(artifact)
    work.save(ArtifactBytes(id=artifact.id, content=content))
    return _answered(artifact, kind="created")


def _answered(artifact: Artifact, *, kind: Any) -> Reply:
    return Reply(
        kind=kind,
        body={"artifact_id": artifact.id, "referral_id": artifact.referral_id},
        location=ReceiveMessage.location.format(id=artifact.id),
        version=artifact.version,
    )


def _saved(referral: Referral, work: Work) -> Reply:
    work.save(referral)
    return _shown(referral, kind="done")


def _shown(referral: Referral, *, kind: Any, location: str | None = None) -> Reply:
    return Reply(kind=kind, body=referral_shown(referral), location=location, version=referral.version)


def _act_of(command: ReferralCommand, work: Work) -> Act:
    at = command.occurred_at or work.now
    if at > work.now + CLOCK_SKEW:
        raise Invalid(
            [Fault("/occurred_at", "in-the-future", "Send when it happened; that cannot be later than now.")]
        )
    return _act(work.caller, work, at=min(at, work.now), reason=command.reason, text=command.text)


def _act(
    caller: Caller, work: Work, *, at: datetime | None = None, reason: str | None = None, text: str = ""
) -> Act:
    return Act(
        by=_PARTIES.get(caller.assertion, "service"),
        actor=caller.actor,
        assertion=caller.assertion,
        at=at or work.now,
        reason=reason,
        text=text,
    )
