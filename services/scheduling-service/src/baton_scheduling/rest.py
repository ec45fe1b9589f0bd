"""The native door of scheduling: appointments, in JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from baton_chassis.commands import Reply
from baton_chassis.doors import Answer, Ask, Body, Id, Instant, PageQuery, Routes, View
from baton_scheduling.commands import (
    BookAppointment,
    CancelAppointment,
    CompleteAppointment,
    ReferralReference,
)
from baton_scheduling.domain.appointment import Clinician, ExternalKey, Slot
from baton_scheduling.published import appointment_shown
from baton_scheduling.queries import Queries, Waiting

READ = "schedule:read"
WRITE = "schedule:write"
VISIT = "visit:write"

System = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,256}$")]
Key = Annotated[str, StringConstraints(pattern=r"^[!-~]([ -~]{0,126}[!-~])?$")]
Name = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=120)]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class SourceBody(Body):
    """How the sender's own system names the appointment."""

    system: System
    id: Key


class ReferralBody(Body):
    """Which referral: our ``id`` alone, or the ``system`` and ``id`` by which its sender named it."""

    system: System | None = None
    id: Key


class PersonName(Body):
    """A clinician's name."""

    family: Name = ""
    given: list[Name] = Field(default=[], max_length=10)


class ClinicianBody(Body):
    """Who will see the patient."""

    npi: Annotated[str, StringConstraints(pattern=r"^([0-9]{10})?$")] = ""
    name: PersonName = PersonName()


class LocationBody(Body):
    """Where the patient will be seen."""

    name: Name = ""


class NewAppointment(Body):
    """A booking."""

    referral: ReferralBody
    source: SourceBody | None = None
    start: Instant
    end: Instant | None = None
    clinician: ClinicianBody | None = None
    location: LocationBody | None = None
    kind: Literal["visit", "follow_up", "test"] = "visit"

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> NewAppointment:
        if self.end is not None and self.end <= self.start:
            raise PydanticCustomError("ends-before-it-starts", "Send an end that is later than the start.")
        return self

    def command(self, id: str) -> BookAppointment:
        """The booking as it is asked for, under the id it will have."""
        who, source, referral = self.clinician or ClinicianBody(), self.source, self.referral
        return BookAppointment(
            id=id,
            referral=ReferralReference(system=referral.system or "", value=referral.id),
            source=ExternalKey(system=source.system, value=source.id) if source else None,
            kind=self.kind,
            slot=Slot(
                start=self.start,
                end=self.end,
                clinician=Clinician(npi=who.npi, family=who.name.family, given=tuple(who.name.given)),
                location=self.location.name if self.location else "",
            ),
        )


class VerbBody(Body):
    """Why and when: a published reason code, words for people, and the time in the world (default: now)."""

    reason: Code | None = None
    text: Annotated[str, StringConstraints(max_length=2000)] = ""
    occurred_at: Instant | None = None


class AppointmentView(View):
    """An appointment. While its referral has not arrived, ``status`` is ``waiting`` and little else is
    known.
    """

    id: str
    status: str
    version: int | None = None
    referral: dict[str, Any] | None = None
    source: dict[str, Any] | None = None
    kind: str | None = None
    start: str | None = None
    end: str | None = None
    clinician: dict[str, Any] | None = None
    location: dict[str, Any] | None = None
    visit_id: str | None = None
    reason: str | None = None
    changed_at: str | None = None


class AppointmentPage(View):
    """One page of appointments."""

    items: list[AppointmentView]
    next: str | None


class AppointmentsQuery(PageQuery):
    """Which appointments to list."""

    referral_id: Id | None = None


def routes(queries: Queries) -> Routes:
    """Every native route of scheduling."""
    routes = Routes(tag="appointments")
    _asking(routes)
    _reading(routes, queries)
    return routes


def _asking(routes: Routes) -> None:
    @routes.command(
        "POST", "/v1/appointments", scope=WRITE, body=NewAppointment, reply=AppointmentView, idempotent=True,
        success=201, refusals=("illegal-transition",),
        summary="Book; for a referral that has not arrived yet the booking waits for it (202).",
    )  # fmt: skip
    async def book(ask: Ask[NewAppointment]) -> Reply:
        return await ask.submit(ask.body.command(ask.new_id()))

    @routes.command(
        "POST", "/v1/appointments/{id}/cancel", scope=WRITE, body=VerbBody, reply=AppointmentView,
        idempotent=True, refusals=("illegal-transition",),
        summary="Cancel the appointment; its referral goes on.",
    )  # fmt: skip
    async def cancel(ask: Ask[VerbBody]) -> Reply:
        return await ask.submit(CancelAppointment(id=ask.path["id"], **_said(ask.body)))

    @routes.command(
        "POST", "/v1/appointments/{id}/complete", scope=VISIT, body=VerbBody, reply=AppointmentView,
        idempotent=True, refusals=("illegal-transition",), summary="Record that the patient was seen.",
    )  # fmt: skip
    async def complete(ask: Ask[VerbBody]) -> Reply:
        return await ask.submit(CompleteAppointment(id=ask.path["id"], **_said(ask.body)))


def _reading(routes: Routes, queries: Queries) -> None:
    @routes.query(
        "GET", "/v1/appointments/{id}", scope=READ, reply=AppointmentView, summary="Show one appointment."
    )
    async def show(ask: Ask[None]) -> Answer:
        found = await queries.appointment(ask.caller.practice_id, ask.path["id"])
        if isinstance(found, Waiting):
            return Answer(body=_waiting(found))
        return Answer(body=appointment_shown(found), version=found.version)

    @routes.query(
        "GET", "/v1/appointments", scope=READ, reply=AppointmentPage, query=AppointmentsQuery,
        summary="List appointments, oldest first.",
    )  # fmt: skip
    async def list_appointments(ask: Ask[None]) -> Answer:
        query: AppointmentsQuery = ask.query
        items, following = await queries.appointments(
            ask.caller.practice_id, referral_id=query.referral_id, after=query.after, limit=query.limit
        )
        return Answer(body={"items": [appointment_shown(item) for item in items], "next": following})


def _said(body: VerbBody) -> dict[str, Any]:
    return {"reason": body.reason, "text": body.text, "occurred_at": body.occurred_at}


def _waiting(waiting: Waiting) -> dict[str, Any]:
    command = waiting.command
    return {
        "id": waiting.id,
        "status": "waiting",
        "referral": {"system": command.referral.system or None, "id": command.referral.value},
        "kind": command.kind,
        "start": command.slot.start.isoformat(),
        "end": command.slot.end.isoformat() if command.slot.end else None,
    }
