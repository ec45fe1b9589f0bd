"""Our own record of a referral in FHIR R4 words: ServiceRequest, Task, the answer to a message."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from baton_contracts.lifecycle import AppointmentStatus, Position, State
from baton_formats.fhir.profiles import PLAIN
from baton_intake.domain import request as words
from baton_intake.domain.artifact import Artifact
from baton_intake.domain.referral import Referral
from baton_intake.fhir.outcomes import doubts

Json = dict[str, Any]

_V2_EVENTS = "http://terminology.hl7.org/CodeSystem/v2-0003"

BUSINESS_STATUS = "urn:referral-state"
"""The code system of our 13 states, of the two ways an appointment is lost, and of a hold."""

_PATIENT_REFERRAL = {"system": "http://snomed.info/sct", "code": "3457005", "display": "Patient referral"}
_REQUEST_STATUS = {
    State.CARE_RETURNED: "completed",
    State.CO_MANAGED: "completed",
    State.NOTES_SENT: "completed",
    State.CANCELLED: "revoked",
    State.ENTERED_IN_ERROR: "entered-in-error",
}
"""Where the request itself is over; in every other state it stays active, whatever its Task says."""


def service_request(referral: Referral) -> Json:
    """The request as it was asked."""
    request = referral.request
    return _said({
        "resourceType": "ServiceRequest",
        "id": referral.id,
        "meta": {"versionId": str(referral.version), "lastUpdated": _instant(referral.updated_at)},
        "identifier": [_identifier(name) for name in referral.names],
        "status": _REQUEST_STATUS.get(_state(referral.position), "active"),
        "intent": "order",
        "category": [{"coding": [_PATIENT_REFERRAL]}],
        "priority": request.priority,
        "code": {"text": "Referral"},
        "subject": {"reference": "#patient"},
        "contained": [_patient(request.patient), *_referrer(request.referrer)],
        "requester": {"reference": "#office", "display": request.referrer.office.name},
        "authoredOn": _date_time(request.authored_at),
        "performerType": _concept(request.specialty) if request.specialty else None,
        "reasonCode": [
            *(_concept(reason) for reason in request.reasons),
            *([{"text": request.reason_text}] if request.reason_text else []),
        ],
        "note": [{"text": request.question}] if request.question else [],
    })  # fmt: skip


def task(referral: Referral) -> Json:
    """How far the request has come: ``status`` by FHIR's words, ``businessStatus`` by ours."""
    told = _told(referral.position)
    return _said({
        "resourceType": "Task",
        "id": referral.id,
        "meta": {"versionId": str(referral.version), "lastUpdated": _instant(referral.updated_at)},
        "identifier": [_identifier(name) for name in referral.names],
        "status": PLAIN.told[_standing(referral.position, told)].status,
        "statusReason": {"text": referral.position.reason} if referral.position.reason else None,
        "businessStatus": {"coding": [{"system": BUSINESS_STATUS, "code": told.replace("_", "-")}]},
        "intent": "order",
        "priority": referral.request.priority,
        "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
        "focus": {"reference": f"ServiceRequest/{referral.id}", "identifier": _identifier(referral.source)},
        "authoredOn": _instant(referral.received_at),
        "lastModified": _instant(referral.updated_at),
        "requester": {"display": referral.request.referrer.office.name},
    })  # fmt: skip


def message_answer(artifact: Artifact, referral: Referral | None, *, header_id: str, endpoint: str) -> Json:
    """The answer to a message: which one it answers, that it is kept, and the referral it became."""
    outcome = doubts(artifact.findings, id=f"{header_id}-doubts")
    tracked = task(referral) if referral else None
    header = _said({
        "resourceType": "MessageHeader",
        "id": header_id,
        "eventCoding": {"system": _V2_EVENTS, "code": artifact.received.trigger},
        "source": {"endpoint": endpoint},
        "response": {
            "identifier": artifact.received.message_id or artifact.id,
            "code": "ok",
            "details": {"reference": f"OperationOutcome/{outcome['id']}"} if outcome else None,
        },
        "focus": [{"reference": f"Task/{referral.id}"}] if referral else [],
    })  # fmt: skip
    entries = [resource for resource in (header, tracked, outcome) if resource]
    return {
        "resourceType": "Bundle",
        "id": artifact.id,
        "type": "message",
        "timestamp": _instant(artifact.received_at),
        "entry": [
            {"fullUrl": f"{endpoint}/{resource['resourceType']}/{resource['id']}", "resource": resource}
            for resource in entries
        ],
    }


def _state(position: Position) -> State:
    return position.state or State.RECEIVED


def _told(position: Position) -> str:
    """The finest thing there is to tell: a lost appointment, a hold, else the state."""
    state, last = _state(position), position.last_appointment
    if state is State.ACCEPTED and position.hold is None and last is not None:
        if last.status is AppointmentStatus.NO_SHOW:
            return "no_show"
        if last.status is AppointmentStatus.CANCELLED:
            return "appointment_cancelled"
    if position.hold is not None:
        return f"hold_{position.hold.reason}"
    return state.value


def _standing(position: Position, told: str) -> str:
    if told.startswith("hold_"):
        return "on_hold" if position.accepted else State.RECEIVED.value
    return told


def _patient(patient: words.Patient) -> Json:
    return _said({
        "resourceType": "Patient",
        "id": "patient",
        "identifier": [_identifier(key) for key in patient.identifiers],
        "name": [_name(patient.name), *(_name(name) | {"use": "old"} for name in patient.other_names)],
        "telecom": [_point(point) for point in patient.telecom],
        "gender": patient.gender,
        "birthDate": patient.birth_date,
        "address": [_address(patient.address)] if patient.address else [],
    })  # fmt: skip


def _referrer(referrer: words.Referrer) -> list[Json]:
    office = _said({
        "resourceType": "Organization",
        "id": "office",
        "identifier": [_identifier(key) for key in referrer.office.identifiers],
        "name": referrer.office.name,
        "telecom": [_point(point) for point in referrer.office.telecom],
    })  # fmt: skip
    return [office]


def _address(address: words.Address) -> Json:
    return _said({
        "line": list(address.lines),
        "city": address.city,
        "state": address.state,
        "postalCode": address.postal_code,
        "country": address.country,
    })  # fmt: skip


def _name(name: words.HumanName) -> Json:
    return _said({"family": name.family, "given": list(name.given)})


def _point(point: words.ContactPoint) -> Json:
    return _said({"system": point.system, "value": point.value, "use": point.use})


def _identifier(key: words.ExternalKey) -> Json:
    return {"system": key.system, "value": key.value}


def _concept(coding: words.Coding) -> Json:
    return {"coding": [_said({"system": coding.system, "code": coding.code, "display": coding.display})]}


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _date_time(text: str) -> str:
    """A FHIR dateTime: with a time of day it has seconds and an offset, else only the date is told."""
    if "T" not in text:
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text[:10]
    return moment.isoformat() if moment.tzinfo is not None else text[:10]


def _said(resource: Json) -> Json:
    """Without what is empty: FHIR knows no empty values."""
    return {name: value for name, value in resource.items() if value not in (None, "", [], {})}
