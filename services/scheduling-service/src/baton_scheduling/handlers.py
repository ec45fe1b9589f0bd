"""What scheduling does with what it is asked, one function each. Every effect goes through the unit of
work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from baton_chassis.commands import Command, Reply
from baton_chassis.errors import Fault, Invalid, NotYetKnown
from baton_chassis.work import Work
from baton_contracts.lifecycle import Party, Verb
from baton_scheduling.commands import (
    AppointmentCommand,
    BookAppointment,
    CancelAppointment,
    CompleteAppointment,
    ReferralReference,
)
from baton_scheduling.domain.appointment import Appointment
from baton_scheduling.domain.events import Act
from baton_scheduling.domain.standing import ReferralStanding
from baton_scheduling.published import appointment_shown

CLOCK_SKEW = timedelta(minutes=5)
"""How far ahead of ours a caller's clock may be."""

_KINDS: Mapping[str, str] = {"human": "staff", "pms": "client", "partner_system": "client"}
_PARTIES: Mapping[str, Party] = {"human": Party.OWN, "pms": Party.PMS, "partner_system": Party.SENDER}


async def book_appointment(command: BookAppointment, work: Work) -> Reply:
    """Book, or show the booking that this source already named."""
    standing = await _standing(command.referral, work)
    if command.source is not None:
        known = await work.claim("appointment", command.source.system, command.source.value, command.id)
        if known != command.id:
            return _shown(await work.load(Appointment, known), kind="existing")
    standing.check(Verb.BOOK, by=_party(work))
    appointment = Appointment.booked(
        id=command.id,
        referral_id=standing.id,
        patient_id=standing.patient_id,
        office_id=standing.office_id,
        source=command.source,
        kind=command.kind,
        slot=command.slot,
        act=_act(work),
    )
    work.save(appointment)
    return _shown(appointment, kind="created", location=command.location.format(id=appointment.id))


async def cancel_appointment(command: CancelAppointment, work: Work) -> Reply:
    """Cancel the booking; the referral goes on."""
    appointment, act = await _addressed(command, Verb.CANCEL_APPOINTMENT, work)
    appointment.cancel(act)
    return _saved(appointment, work)


async def complete_appointment(command: CompleteAppointment, work: Work) -> Reply:
    """Record that the patient was seen."""
    appointment, act = await _addressed(command, Verb.COMPLETE, work)
    appointment.complete(act, visit_id=work.new_id())
    return _saved(appointment, work)


Handler = Callable[[Any, Work], Awaitable[Reply]]

COMMANDS: Mapping[type[Command], Handler] = {
    BookAppointment: book_appointment,
    CancelAppointment: cancel_appointment,
    CompleteAppointment: complete_appointment,
}


async def _standing(reference: ReferralReference, work: Work) -> ReferralStanding:
    """The referral that is meant. Raises ``NotYetKnown`` while nothing of that name has arrived."""
    referral_id = await work.lookup("referral", reference.system, reference.value)
    if referral_id is None:
        raise NotYetKnown(space="referral", system=reference.system, value=reference.value)
    return await work.load(ReferralStanding, referral_id)


async def _addressed(command: AppointmentCommand, verb: Verb, work: Work) -> tuple[Appointment, Act]:
    appointment = await work.load(Appointment, command.id)
    standing = await work.load(ReferralStanding, appointment.referral_id)
    standing.check(verb, by=_party(work), reason=command.reason)
    return appointment, _act_of(command, work)


def _act_of(command: AppointmentCommand, work: Work) -> Act:
    at = command.occurred_at or work.now
    if at > work.now + CLOCK_SKEW:
        raise Invalid(
            [Fault("/occurred_at", "in-the-future", "Send when it happened; that cannot be later than now.")]
        )
    return replace(_act(work), at=min(at, work.now), reason=command.reason, text=command.text)


def _act(work: Work) -> Act:
    caller = work.caller
    return Act(
        by=_KINDS.get(caller.assertion, "service"),
        actor=caller.actor,
        assertion=caller.assertion,
        at=work.now,
    )


def _party(work: Work) -> Party:
    return _PARTIES.get(work.caller.assertion, Party.OWN)


def _saved(appointment: Appointment, work: Work) -> Reply:
    work.save(appointment)
    return _shown(appointment, kind="done")


def _shown(appointment: Appointment, *, kind: Any, location: str | None = None) -> Reply:
    return Reply(
        kind=kind, body=appointment_shown(appointment), location=location, version=appointment.version
    )
