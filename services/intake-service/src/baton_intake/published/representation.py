"""How a referral and an artifact are shown to whoever may see them: plain JSON, as the native API has it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from baton_contracts.events import Dataref
from baton_contracts.lifecycle import Appointment
from baton_contracts.topics import INTAKE
from baton_intake.domain import request as words
from baton_intake.domain.artifact import Artifact
from baton_intake.domain.referral import Referral

PATIENT_CARD = "patient-card"
"""The kind of content under which a referral's patient can be fetched by claim check."""


def card_reference(referral: Referral) -> Dataref:
    """Where the patient card of a referral can be fetched, and what it must hash to."""
    return Dataref(
        owner=INTAKE,
        kind=PATIENT_CARD,
        id=referral.id,
        version=referral.card.version,
        sha256=referral.card.sha256(referral.request.patient),
    )


def referral_shown(referral: Referral) -> dict[str, Any]:
    """A referral with where it stands and what was asked."""
    return {
        "id": referral.id,
        "version": referral.version,
        **_standing(referral),
        "office_id": referral.office_id,
        "patient_id": referral.patient_id,
        "source": {"system": referral.source.system, "id": referral.source.value},
        "external_ids": [_key(name) for name in referral.names],
        "received_at": _time(referral.received_at),
        "updated_at": _time(referral.updated_at),
        **_asked(referral.request),
        "remarks": [
            {"event": remark.event, "at": _time(remark.at), "by": remark.by, "text": remark.text}
            for remark in referral.remarks
        ],
        "flags": list(referral.flags),
        "links": {
            "actions": f"/v1/referrals/{referral.id}/actions",
            "timeline": f"/v1/timelines/{referral.id}",
        },
    }


def artifact_shown(artifact: Artifact) -> dict[str, Any]:
    """An artifact without its bytes."""
    received = artifact.received
    return {
        "id": artifact.id,
        "version": artifact.version,
        "format": received.format,
        "trigger": received.trigger,
        "media_type": received.media_type,
        "size": received.size,
        "sha256": received.sha256,
        "sender": received.sender,
        "received_at": _time(artifact.received_at),
        "status": artifact.status.value,
        "referral_id": artifact.referral_id,
        "findings": [
            {"code": finding.code, "where": finding.where, "detail": finding.detail}
            for finding in artifact.findings
        ],
        "suggestions": [],
    }


def _standing(referral: Referral) -> dict[str, Any]:
    position, completeness = referral.position, referral.completeness
    return {
        "stage": position.stage.value if position.stage else None,
        "state": position.state.value if position.state else None,
        "hold": _hold(position.hold),
        "reason": position.reason,
        "duplicate_of": position.duplicate_of,
        "redirected_to": position.redirected_to,
        "next_appointment": _appointment(position.next_appointment),
        "last_appointment": _appointment(position.last_appointment),
        "no_show_count": position.no_show_count,
        "ack": position.ack.value if position.ack else None,
        "completeness": {"score": completeness.score, "missing": list(completeness.missing)},
    }


def _hold(hold: Any) -> dict[str, Any] | None:
    if hold is None:
        return None
    return {
        "reason": hold.reason,
        "since": _time(hold.since),
        "until": _time(hold.until) if hold.until else None,
    }


def _appointment(appointment: Appointment | None) -> dict[str, Any] | None:
    if appointment is None:
        return None
    return {
        "id": appointment.id,
        "kind": appointment.kind,
        "status": appointment.status.value,
        "start": _time(appointment.start) if appointment.start else None,
        "end": _time(appointment.end) if appointment.end else None,
    }


def _asked(request: words.ReferralRequest) -> dict[str, Any]:
    return {
        "priority": request.priority,
        "specialty": _coding(request.specialty) if request.specialty else None,
        "reasons": [_coding(reason) for reason in request.reasons],
        "reason_text": request.reason_text,
        "question": request.question,
        "requested_disposition": request.requested_disposition or None,
        "patient": _patient(request.patient),
        "referrer": _referrer(request.referrer),
        "coverage": [_coverage(coverage) for coverage in request.coverage],
        "authored_at": request.authored_at or None,
        "expires_at": request.expires_at or None,
    }


def _patient(patient: words.Patient) -> dict[str, Any]:
    return {
        "identifiers": [_key(key) for key in patient.identifiers],
        "name": _name(patient.name),
        "other_names": [_name(name) for name in patient.other_names],
        "birth_date": patient.birth_date,
        "gender": patient.gender,
        "telecom": [_point(point) for point in patient.telecom],
        "address": _address(patient.address) if patient.address else None,
    }


def _referrer(referrer: words.Referrer) -> dict[str, Any]:
    office, clinician = referrer.office, referrer.clinician
    return {
        "office": {
            "name": office.name,
            "identifiers": [_key(key) for key in office.identifiers],
            "telecom": [_point(point) for point in office.telecom],
        },
        "clinician": {"npi": clinician.npi, "name": _name(clinician.name)} if clinician else None,
        "reference": referrer.reference,
    }


def _coverage(coverage: words.Coverage) -> dict[str, Any]:
    payer = coverage.payer
    return {
        "payer": {"name": payer.name, "identifier": _key(payer.identifier) if payer.identifier else None},
        "member_id": coverage.member_id,
        "plan": coverage.plan,
    }


def _address(address: words.Address) -> dict[str, Any]:
    return {
        "lines": list(address.lines),
        "city": address.city,
        "state": address.state,
        "postal_code": address.postal_code,
        "country": address.country,
    }


def _name(name: words.HumanName) -> dict[str, Any]:
    return {"family": name.family, "given": list(name.given)}


def _point(point: words.ContactPoint) -> dict[str, Any]:
    return {"system": point.system, "value": point.value, "use": point.use}


def _coding(coding: words.Coding) -> dict[str, Any]:
    return {"system": coding.system, "code": coding.code, "display": coding.display}


def _key(key: words.ExternalKey) -> Mapping[str, str]:
    return {"system": key.system, "value": key.value}


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
