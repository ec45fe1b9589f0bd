"""Referrals and tasks as ServiceRequest and Task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from baton_formats.facts import (
    Attachment,
    Coding,
    Concept,
    Document,
    Fact,
    Note,
    Period,
    Referral,
    Task,
    TaskValue,
)
from baton_formats.fhir import bindings
from baton_formats.fhir.compose import (
    ABSENT,
    Json,
    annotation,
    attachment,
    concept,
    concepts,
    date_time,
    extend,
    filled,
    identifiers,
    period,
    words,
)
from baton_formats.fhir.parcel import Parcel, logical
from baton_formats.fhir.requests import DISPOSITIONS
from baton_formats.fhir.write_people import coverage, party, subject, typed_numbers

V2_DISPOSITION: Final = "http://terminology.hl7.org/CodeSystem/v2-0282"
_DISPOSITION_CODES: Final = {meaning: code for code, meaning in DISPOSITIONS.items()}
PATIENT_REFERRAL: Final = Concept(
    codings=(Coding(code="3457005", system="http://snomed.info/sct", display="Patient referral"),)
)
"""What is asked for where the sender named no service and FHIR wants one (prd-1)."""


def service_request(parcel: Parcel, fact: Referral) -> Json:
    patient = subject(parcel, fact.patient, fact.patient_link)
    codes = _disposition_codes(fact)
    service = concept(fact.service) or (concept(PATIENT_REFERRAL) if codes else None)
    resource = filled(
        resourceType="ServiceRequest",
        id=logical(fact.id),
        meta=_meta(parcel.profile.request_profile),
        identifier=identifiers(typed_numbers(fact.identifiers, fact.placer, fact.filler)),
        basedOn=parcel.links(fact.based_on),
        replaces=parcel.links(fact.replaces),
        status=parcel.code(_request_status(fact), bindings.REQUEST_STATUS, "unknown"),
        intent=parcel.code(fact.intent, bindings.REQUEST_INTENT, "order"),
        category=concepts(fact.categories),
        priority=fact.priority if fact.priority in bindings.PRIORITY else None,
        code=service,
        orderDetail=concepts(codes),
        subject=patient or dict(ABSENT),
        encounter=parcel.link(fact.encounter),
        **_occurrence(parcel, fact.wanted),
        authoredOn=parcel.date_time(fact.authored_at, "ServiceRequest.authoredOn"),
        requester=party(parcel, fact.referrer),
        performerType=concept(fact.specialty),
        performer=[held for who in fact.performers if (held := party(parcel, who))],
        reasonCode=concepts(_reasons(fact)),
        insurance=[{"reference": parcel.add(coverage(parcel, one, patient))} for one in fact.coverage],
        supportingInfo=_supporting(parcel, fact, patient),
        note=[held for note in _request_notes(fact) if (held := annotation(note, parcel.zone))],
        patientInstruction=words("\n".join(fact.patient_instructions)),
    )
    extend(resource, fact.extensions)
    return resource


def _occurrence(parcel: Parcel, wanted: Period | None) -> Json:
    if wanted is not None and wanted.end is None:
        return filled(occurrenceDateTime=parcel.date_time(wanted.start, "ServiceRequest.occurrence"))
    return filled(occurrencePeriod=period(wanted, parcel.zone))


def _supporting(parcel: Parcel, fact: Referral, patient: Json | None) -> list[Json]:
    """Attachments as documents of their own, then what was only pointed at."""
    documents = [_loose_document(parcel, one, patient) for one in fact.attachments]
    return documents + [held for one in fact.supporting if not one.resolved and (held := parcel.link(one))]


def keep_documents(parcel: Parcel, facts: Sequence[Fact]) -> None:
    """Documents first, so that a referral whose attachments they are points at them."""
    for fact in facts:
        if isinstance(fact, Document):
            reference = parcel.reference(fact)
            for one in fact.attachments:
                parcel.documents.setdefault(one, reference)


def _loose_document(parcel: Parcel, one: Attachment, patient: Json | None) -> Json:
    if one in parcel.documents:
        return {"reference": parcel.documents[one]}
    resource = filled(
        resourceType="DocumentReference",
        status="current",
        subject=patient,
        content=[{"attachment": attachment(one, parcel.zone)}],
    )
    return {"reference": parcel.add(resource)}


def task(parcel: Parcel, fact: Task) -> Json:
    resource = filled(
        resourceType="Task",
        id=logical(fact.id),
        meta=_meta(parcel.profile.task_profile),
        identifier=identifiers(typed_numbers(fact.identifiers, fact.placer, fact.filler)),
        basedOn=parcel.links(fact.based_on),
        partOf=parcel.links(fact.part_of),
        status=parcel.code(fact.status, bindings.TASK_STATUS, "requested"),
        statusReason=concept(fact.status_reason),
        businessStatus=concept(fact.business_status),
        intent=parcel.code(fact.intent, bindings.TASK_INTENT, "order"),
        priority=fact.priority if fact.priority in bindings.PRIORITY else None,
        code=concept(fact.code),
        description=words(fact.description),
        focus=parcel.link(fact.focus),
        for_=subject(parcel, fact.patient, fact.patient_link),
        encounter=parcel.link(fact.encounter),
        executionPeriod=period(fact.period, parcel.zone),
        authoredOn=parcel.date_time(fact.authored_at, "Task.authoredOn"),
        lastModified=parcel.date_time(fact.modified_at, "Task.lastModified"),
        requester=party(parcel, fact.requester),
        owner=party(parcel, fact.owner),
        reasonCode=concept(fact.reason),
        note=[held for note in fact.notes if (held := annotation(note, parcel.zone))],
        restriction=filled(period=period(fact.due, parcel.zone)),
        input=[_task_value(parcel, one) for one in fact.inputs],
        output=[_task_value(parcel, one) for one in fact.outputs],
    )
    extend(resource, fact.extensions)
    return resource


def _task_value(parcel: Parcel, value: TaskValue) -> Json:
    written: Json = {"type": concept(value.type) or dict(ABSENT)}
    if value.link is not None and (held := parcel.link(value.link)):
        return {**written, "valueReference": held}
    if value.concept is not None and (meant := concept(value.concept)):
        return {**written, "valueCodeableConcept": meant}
    if value.at is not None and (moment := date_time(value.at, parcel.zone)):
        return {**written, "valueDateTime": moment}
    text = words(value.text)
    return {**written, "valueString": text} if text else {**written, "_valueString": dict(ABSENT)}


def _request_status(fact: Referral) -> str | None:
    if fact.status is not None:
        return fact.status
    return "revoked" if fact.action == "cancel" else "active"


def _disposition_codes(fact: Referral) -> tuple[Concept, ...]:
    if fact.disposition_codes:
        return fact.disposition_codes
    return tuple(
        Concept(codings=(Coding(code=_DISPOSITION_CODES[one], system=V2_DISPOSITION),))
        for one in fact.dispositions
        if one in _DISPOSITION_CODES
    )


def _reasons(fact: Referral) -> tuple[Concept, ...]:
    if fact.reason_text is None:
        return fact.reasons
    return (*fact.reasons, Concept(text=fact.reason_text))


def _request_notes(fact: Referral) -> tuple[Note, ...]:
    return ((Note(text=fact.question),) if fact.question else ()) + fact.notes


def _meta(profile: str | None) -> Json | None:
    return {"profile": [profile]} if profile else None
