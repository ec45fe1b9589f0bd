"""What is stored comes back as it was, and the tables are those of the migrations."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from baton_chassis import migrations
from baton_contracts.lifecycle import Fact, Lines
from baton_intake.domain.artifact import Artifact, ArtifactStatus, Finding, Received
from baton_intake.domain.events import Act
from baton_intake.domain.referral import Card, Referral, Remark
from baton_intake.domain.request import (
    Address,
    Clinician,
    Coding,
    ContactPoint,
    Coverage,
    ExternalKey,
    HumanName,
    Office,
    Patient,
    Payer,
    ReferralRequest,
    Referrer,
)
from baton_intake.store import ARTIFACTS, METADATA, REFERRALS

AT = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
text = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)  # type: ignore[arg-type] # surrogates are text nobody can store
keys = st.builds(ExternalKey, system=text, value=text)
names = st.builds(HumanName, family=text, given=st.tuples(text))
points = st.builds(ContactPoint, system=text, value=text, use=text)
codings = st.builds(Coding, code=text, system=text, display=text)
patients = st.builds(
    Patient,
    name=names, other_names=st.tuples(names), identifiers=st.tuples(keys), birth_date=text, gender=text,
    telecom=st.tuples(points), address=st.none() | st.builds(Address, lines=st.tuples(text), city=text),
)  # fmt: skip
requests = st.builds(
    ReferralRequest,
    patient=patients,
    referrer=st.builds(
        Referrer,
        office=st.builds(Office, name=text, identifiers=st.tuples(keys), telecom=st.tuples(points)),
        clinician=st.none() | st.builds(Clinician, npi=text, name=names),
        reference=text,
    ),
    priority=text, specialty=st.none() | codings, reasons=st.tuples(codings), reason_text=text, question=text,
    coverage=st.tuples(st.builds(Coverage, payer=st.builds(Payer, name=text, identifier=st.none() | keys))),
    authored_at=text,
)  # fmt: skip


@given(requests, text)
def test_a_referral_comes_back_as_it_went(request: ReferralRequest, words: str) -> None:
    act = Act(by="staff", actor="user:1", assertion="human", at=AT, text=words)
    referral = Referral.received(
        id="r-1", patient_id="p-1", office_id="o-1", source=ExternalKey(system="s", value="v"),
        names=(ExternalKey(system="s", value="w"),), request=request, card=Card(version=1, salt="x"), act=act,
        at=AT, number_conflict=True,
    )  # fmt: skip
    booked = {"appointment_id": "a-1", "kind": "visit", "start": "2026-12-01T09:00:00Z"}
    referral.hear(Fact("appointment.booked.v1", AT, attributes=booked), at=AT)

    again = REFERRALS.from_row({"id": "r-1", **REFERRALS.to_row(referral)})

    again.events = referral.events
    assert again == referral
    assert again.position == referral.position
    assert not words or again.remarks == (
        Remark(event="referral.received.v1", at=AT, by="user:1", text=words),
    )


@given(text, st.tuples(st.builds(Finding, code=text, where=text, detail=text)))
def test_an_artifact_comes_back_as_it_went(message_id: str, findings: tuple[Finding, ...]) -> None:
    received = Received.of(
        b"bytes", sender="ehr", format="fhir", media_type="application/fhir+json", message_id=message_id
    )
    artifact = Artifact(
        id="a-1", received=received, received_at=AT, status=ArtifactStatus.ATTACHED, referral_id="r-1",
        findings=findings,
    )  # fmt: skip

    assert ARTIFACTS.from_row({"id": "a-1", **ARTIFACTS.to_row(artifact)}) == artifact


def test_lines_survive_being_kept() -> None:
    assert Lines.load(Lines().dump()) == Lines()


def test_the_migrations_make_the_declared_tables() -> None:
    assert migrations.drift(METADATA, package="baton_intake") == []
