"""How scheduling keeps appointments and what it has heard of referrals."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from baton_chassis.database import Instant, Json, Row, sealed
from baton_chassis.repository import Repository
from baton_chassis.tables import chassis_tables
from baton_contracts.lifecycle import AppointmentStatus, Lines
from baton_scheduling import published
from baton_scheduling.domain.appointment import Appointment, ExternalKey, Slot
from baton_scheduling.domain.events import Act
from baton_scheduling.domain.standing import ReferralStanding


class Base(SQLModel, registry=registry()):
    """This service's own tables."""


METADATA = Base.metadata
TABLES = chassis_tables(METADATA)


class AppointmentRow(Base, table=True):
    """An appointment at rest; what was said about it in words is sealed."""

    __tablename__ = "appointment"

    practice_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    doc_version: int
    referral_id: str = Field(index=True)
    patient_id: str
    office_id: str
    source_system: str | None
    source_value: str | None
    kind: str
    status: str
    starts_at: datetime = Field(sa_type=Instant)
    slot: Any = Field(sa_type=Json)
    visit_id: str | None
    acts: bytes | None = Field(default=None, sa_column=sealed("acts"))


class StandingRow(Base, table=True):
    """What scheduling has heard of a referral."""

    __tablename__ = "referral_standing"

    practice_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    doc_version: int
    patient_id: str
    office_id: str
    lines: Any = Field(sa_type=Json)


_SLOT = TypeAdapter(Slot)
_ACTS = TypeAdapter(tuple[Act, ...])


def _appointment_row(appointment: Appointment) -> Row:
    source = appointment.source
    return {
        "referral_id": appointment.referral_id,
        "patient_id": appointment.patient_id,
        "office_id": appointment.office_id,
        "source_system": source.system if source else None,
        "source_value": source.value if source else None,
        "kind": appointment.kind,
        "status": appointment.status.value,
        "starts_at": appointment.slot.start,
        "slot": _SLOT.dump_python(appointment.slot, mode="json"),
        "visit_id": appointment.visit_id,
        "acts": _ACTS.dump_json(appointment.acts),
    }


def _appointment(row: Row) -> Appointment:
    source = None
    if row["source_system"] is not None:
        source = ExternalKey(system=row["source_system"], value=row["source_value"])
    return Appointment(
        id=row["id"],
        referral_id=row["referral_id"],
        patient_id=row["patient_id"],
        office_id=row["office_id"],
        source=source,
        kind=row["kind"],
        slot=_SLOT.validate_python(row["slot"]),
        status=AppointmentStatus(row["status"]),
        visit_id=row["visit_id"],
        acts=_ACTS.validate_json(row["acts"]),
    )


APPOINTMENTS = Repository(
    aggregate=Appointment,
    model=AppointmentRow,
    to_row=_appointment_row,
    from_row=_appointment,
    publish=published.outgoing,
)
STANDINGS = Repository(
    aggregate=ReferralStanding,
    model=StandingRow,
    to_row=lambda standing: {
        "patient_id": standing.patient_id,
        "office_id": standing.office_id,
        "lines": standing.lines.dump(),
    },
    from_row=lambda row: ReferralStanding(
        id=row["id"], patient_id=row["patient_id"], office_id=row["office_id"], lines=Lines.load(row["lines"])
    ),
)
REPOSITORIES: dict[type, Repository[Any]] = {Appointment: APPOINTMENTS, ReferralStanding: STANDINGS}
