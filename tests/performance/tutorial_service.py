"""The intake of a referral as the tutorials of FastAPI and SQLModel write it, with the same safeguards as
ours: token, sealing, search tokens, natural keys, idempotency, audit, journal and outbox, one commit.

It is a baseline and meant well: pooled asynchronous sessions, typed models in and out, no query that the
safeguards do not need, durable commits, SQLite in WAL mode with one pooled connection (several only wait for
each other's lock). TUTORIAL_DATABASE is an SQLAlchemy URL, TUTORIAL_JWKS the file with the issuer's keys.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from echo_service import run
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel, ConfigDict
from pydantic import Field as Checked
from sqlalchemy import DateTime, LargeBinary, UniqueConstraint, event
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import Field, SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from baton_chassis.serving import uvicorn_loop

SEAL = AESGCM(hashlib.sha256(b"seal").digest())
TOKEN_KEY = hashlib.sha256(b"token").digest()


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class KeyIn(Strict):
    system: str = Checked(max_length=256)
    id: str = Checked(max_length=128)


class IdentifierIn(Strict):
    system: str = Checked(max_length=256)
    value: str = Checked(min_length=1, max_length=256)


class CodingIn(Strict):
    system: str = ""
    code: str = Checked(min_length=1, max_length=64)
    display: str = ""


class NameIn(Strict):
    family: str = Checked(default="", max_length=256)
    given: list[str] = []


class TelecomIn(Strict):
    system: str = Checked(pattern="^(phone|email|fax|url|sms)$")
    value: str = Checked(min_length=1, max_length=256)
    use: str = ""


class AddressIn(Strict):
    lines: list[str] = []
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = ""


class PatientIn(Strict):
    identifiers: list[IdentifierIn] = []
    name: NameIn
    birth_date: str = Checked(default="", pattern=r"^(\d{4}(-\d{2}(-\d{2})?)?)?$")
    gender: str = ""
    telecom: list[TelecomIn] = []
    address: AddressIn | None = None


class OfficeIn(Strict):
    name: str = Checked(min_length=1, max_length=256)
    identifiers: list[IdentifierIn] = []
    telecom: list[TelecomIn] = []


class ClinicianIn(Strict):
    npi: str = Checked(default="", pattern=r"^(\d{10})?$")
    name: NameIn = NameIn()


class ReferrerIn(Strict):
    office: OfficeIn
    clinician: ClinicianIn | None = None
    reference: str = ""


class PayerIn(Strict):
    name: str = ""


class CoverageIn(Strict):
    payer: PayerIn = PayerIn()
    member_id: str = ""
    plan: str = ""


class NewReferral(Strict):
    source: KeyIn
    priority: str = Checked(default="routine", pattern="^(routine|urgent|asap|stat)$")
    specialty: CodingIn | None = None
    reasons: list[CodingIn] = []
    reason_text: str = ""
    question: str = ""
    requested_disposition: str | None = None
    patient: PatientIn
    referrer: ReferrerIn
    coverage: list[CoverageIn] = []
    authored_at: datetime | None = None
    expires_at: datetime | None = None


class ReferralOut(BaseModel):
    id: str
    version: int
    state: str
    stage: str
    office_id: str
    patient_id: str
    source: KeyIn
    received_at: datetime
    updated_at: datetime
    priority: str
    specialty: CodingIn | None
    reasons: list[CodingIn]
    question: str
    requested_disposition: str | None
    patient: PatientIn
    referrer: ReferrerIn
    coverage: list[CoverageIn]
    authored_at: datetime | None


def new_id() -> str:
    return str(uuid.uuid4())


def now() -> datetime:
    return datetime.now(UTC)


Moment = DateTime(timezone=True)


class Referral(SQLModel, table=True):
    __table_args__ = (UniqueConstraint("practice_id", "source_system", "source_value"),)
    practice_id: str = Field(primary_key=True)
    id: str = Field(default_factory=new_id, primary_key=True)
    version: int = 1
    patient_id: str = Field(index=True)
    office_id: str = Field(index=True)
    source_system: str
    source_value: str
    state: str = "received"
    stage: str = "received"
    received_at: datetime = Field(default_factory=now, sa_type=Moment)
    updated_at: datetime = Field(default_factory=now, sa_type=Moment)
    content: bytes = Field(sa_type=LargeBinary)


class Lookup(SQLModel, table=True):
    practice_id: str = Field(primary_key=True)
    id: str = Field(default_factory=new_id, primary_key=True)
    referral_id: str
    family: bytes | None = None
    prefix: bytes | None = None
    family_birth: bytes | None = None
    phone: bytes | None = None
    record_number: bytes | None = None


class Identifier(SQLModel, table=True):
    practice_id: str = Field(primary_key=True)
    space: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    target: str


class Stream(SQLModel, table=True):
    practice_id: str = Field(primary_key=True)
    source: str = Field(primary_key=True)
    sequence: int


class Journal(SQLModel, table=True):
    __table_args__ = (UniqueConstraint("practice_id", "source", "sequence"),)
    event_id: str = Field(default_factory=new_id, primary_key=True)
    practice_id: str
    source: str
    sequence: int
    type: str
    key: str = Field(index=True)
    body: bytes
    recorded_at: datetime = Field(default_factory=now, sa_type=Moment)


class Outbox(SQLModel, table=True):
    number: int | None = Field(default=None, primary_key=True)
    event_id: str
    practice_id: str
    topic: str
    key: str
    body: bytes


class Audit(SQLModel, table=True):
    number: int | None = Field(default=None, primary_key=True)
    practice_id: str
    at: datetime = Field(default_factory=now, sa_type=Moment)
    actor: str
    action: str
    target: str = Field(index=True)


class Idempotency(SQLModel, table=True):
    practice_id: str = Field(primary_key=True)
    client_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: bytes
    reply: bytes
    recorded_at: datetime = Field(default_factory=now, sa_type=Moment)


def engine_of(url: str) -> Any:
    if not url.startswith("sqlite"):
        return create_async_engine(url, pool_size=6, max_overflow=0)
    made = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=60)

    @event.listens_for(made.sync_engine, "connect")
    def durable(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the recipe of SQLAlchemy's page on transactions with SQLite
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(made.sync_engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return made


engine = engine_of(os.environ.get("TUTORIAL_DATABASE", "sqlite+aiosqlite://"))
keys = KeySet.import_key_set(json.loads(Path(os.environ["TUTORIAL_JWKS"]).read_text()))
bearer = HTTPBearer()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


async def get_session() -> AsyncIterator[AsyncSession]:
    async with AsyncSession(engine) as session:
        yield session


class Principal(BaseModel):
    subject: str
    client_id: str
    practice_id: str
    scopes: list[str]


async def current_principal(
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)],
) -> Principal:
    try:
        token = jwt.decode(credentials.credentials, keys, algorithms=["ES256"])
        jwt.JWTClaimsRegistry(exp={"essential": True}).validate(token.claims)
    except JoseError:
        raise HTTPException(401, "invalid token") from None
    claims = token.claims
    scopes = claims["scope"].split()
    if "referrals:write" not in scopes:
        raise HTTPException(403, "missing scope")
    return Principal(
        subject=claims["sub"], client_id=claims["client_id"], practice_id=claims["practice"], scopes=scopes
    )


def seal(plain: bytes, *place: str) -> bytes:
    nonce = os.urandom(12)
    return nonce + SEAL.encrypt(nonce, plain, "|".join(place).encode())


def unseal(blob: bytes, *place: str) -> bytes:
    return SEAL.decrypt(blob[:12], blob[12:], "|".join(place).encode())


def search_token(kind: str, text: str) -> bytes:
    return hmac.digest(TOKEN_KEY, f"{kind}|{text.casefold()}".encode(), "sha256")[:16]


async def bound_to(session: AsyncSession, practice_id: str, space: str, value: str, target: str) -> str:
    known = await session.get(Identifier, (practice_id, space, value))
    if known is not None:
        return known.target
    session.add(Identifier(practice_id=practice_id, space=space, value=value, target=target))
    return target


async def publish(session: AsyncSession, referral: Referral, body: NewReferral, who: Principal) -> None:
    source = f"/referrals/{referral.id}/request"
    stream = await session.get(Stream, (referral.practice_id, source), with_for_update=True)
    if stream is None:
        stream = Stream(practice_id=referral.practice_id, source=source, sequence=0)
    stream.sequence += 1
    session.add(stream)
    office = body.referrer.office
    event_id = new_id()
    envelope = {
        "specversion": "1.0", "id": event_id, "source": source, "type": "referral.received.v1",
        "subject": referral.id, "time": referral.received_at.isoformat(),
        "datacontenttype": "application/json", "practiceid": referral.practice_id,
        "partitionkey": referral.id, "sequence": f"{stream.sequence:020d}",
        "recordedtime": now().isoformat(), "correlationid": event_id,
        "data": {
            "referral_id": referral.id, "patient_id": referral.patient_id, "office_id": referral.office_id,
            "actor": who.subject, "source": body.source.model_dump(), "office": office.model_dump(),
            "priority": body.priority, "specialty": body.specialty.model_dump() if body.specialty else None,
        },
    }  # fmt: skip
    encoded = json.dumps(envelope).encode()
    session.add(
        Journal(event_id=event_id, practice_id=referral.practice_id, source=source, sequence=stream.sequence,
                type="referral.received.v1", key=referral.id, body=encoded)
    )  # fmt: skip
    session.add(
        Outbox(event_id=event_id, practice_id=referral.practice_id, topic="referral.events", key=referral.id,
               body=encoded)
    )  # fmt: skip


def shown(referral: Referral, body: NewReferral) -> ReferralOut:
    return ReferralOut(
        id=referral.id, version=referral.version, state=referral.state, stage=referral.stage,
        office_id=referral.office_id, patient_id=referral.patient_id, source=body.source,
        received_at=referral.received_at, updated_at=referral.updated_at, priority=body.priority,
        specialty=body.specialty, reasons=body.reasons, question=body.question,
        requested_disposition=body.requested_disposition, patient=body.patient, referrer=body.referrer,
        coverage=body.coverage, authored_at=body.authored_at,
    )  # fmt: skip


@app.post("/v1/referrals", response_model=ReferralOut, status_code=201)
async def receive_referral(
    body: NewReferral,
    request: Request,
    session: Annotated[AsyncSession, Depends(get_session)],
    who: Annotated[Principal, Depends(current_principal)],
    idempotency_key: Annotated[str, Header(max_length=255)],
) -> ReferralOut:
    practice = who.practice_id
    fingerprint = hashlib.sha256(await request.body()).digest()
    before = await session.get(Idempotency, (practice, who.client_id, idempotency_key))
    if before is not None:
        if before.fingerprint != fingerprint:
            raise HTTPException(422, "idempotency key reused")
        return ReferralOut.model_validate_json(unseal(before.reply, practice, idempotency_key))
    known = await session.exec(
        select(Referral).where(
            Referral.practice_id == practice,
            Referral.source_system == body.source.system,
            Referral.source_value == body.source.id,
        )
    )
    if known.first() is not None:
        raise HTTPException(409, "known source")
    office = body.referrer.office
    route = office.telecom[0].value if office.telecom else ""
    office_id = await bound_to(session, practice, "office", f"{office.name}|{route}", new_id())
    patient_id, patient = new_id(), body.patient
    for number in patient.identifiers:
        token = search_token("record-number", f"{number.system}|{number.value}").hex()
        patient_id = await bound_to(session, practice, "patient", token, patient_id)
        person = search_token("person", f"{token}|{patient.name.family}|{patient.birth_date}").hex()
        await bound_to(session, practice, "person", person, patient_id)
    referral_id = new_id()
    referral = Referral(
        practice_id=practice, id=referral_id, patient_id=patient_id, office_id=office_id,
        source_system=body.source.system, source_value=body.source.id,
        content=seal(body.model_dump_json().encode(), practice, "referral", referral_id),
    )  # fmt: skip
    session.add(referral)
    family = patient.name.family
    session.add(
        Lookup(
            practice_id=practice, referral_id=referral_id, family=search_token("name", family),
            prefix=search_token("prefix", family[:3]),
            family_birth=search_token("name-date", f"{family} {patient.birth_date}"),
            phone=search_token("phone", patient.telecom[0].value) if patient.telecom else None,
            record_number=search_token("record-number", patient.identifiers[0].value)
            if patient.identifiers
            else None,
        )
    )  # fmt: skip
    await publish(session, referral, body, who)
    session.add(Audit(practice_id=practice, actor=who.subject, action="receive_referral", target=referral_id))
    answer = shown(referral, body)
    reply = seal(answer.model_dump_json().encode(), practice, idempotency_key)
    session.add(
        Idempotency(practice_id=practice, client_id=who.client_id, key=idempotency_key,
                    fingerprint=fingerprint, reply=reply)
    )  # fmt: skip
    await session.commit()
    await session.refresh(referral)
    return shown(referral, body)


async def main() -> None:
    async with lifespan(app):
        await run(app)


if __name__ == "__main__":
    uvicorn_loop().run(main())
    sys.stdout.flush()
