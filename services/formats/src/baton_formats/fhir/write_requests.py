"""Referrals and tasks as ServiceRequest and Task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson

from baton_formats.facts import (
    Attachment,
    Coding,
    Concept,
    Document,
    Extension,
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
    filled,
    identifier,
    identifiers,
    period,
    words,
)
from baton_formats.fhir.parcel import Parcel, logical, logical_reference
from baton_formats.fhir.requests import DISPOSITIONS
from baton_formats.fhir.unsaid import note_period, note_unsaid
from baton_formats.fhir.write_documents import is_report
from baton_formats.fhir.write_extensions import extend, typed_value
from baton_formats.fhir.write_people import coverage, party, subject, typed_numbers, version

STATUS_REASON: Final = "http://hl7.org/fhir/StructureDefinition/request-statusReason"
VALIDITY: Final = "urn:x-referral-loop:validity"
"""From when to when a referral may be used (RF1-7, RF1-8), which R4 says of no request."""
V2_DISPOSITION: Final = "http://terminology.hl7.org/CodeSystem/v2-0282"
_DISPOSITION_CODES: Final = {meaning: code for code, meaning in DISPOSITIONS.items()}
PATIENT_REFERRAL: Final = Concept(
    codings=(Coding(code="3457005", system="http://snomed.info/sct", display="Patient referral"),)
)
"""What is asked for where the sender named no service and FHIR wants one (prd-1)."""


def service_request(parcel: Parcel, fact: Referral) -> Json:
    patient = subject(parcel, fact.patient, fact.patient_link)
    codes = _disposition_codes(parcel, fact)
    placer = fact.placer or (fact.referrer.reference if fact.referrer else None)
    parcel.placed.update((placer,) if placer else ())
    service = concept(fact.service) or (concept(PATIENT_REFERRAL) if codes else None)
    resource = filled(
        resourceType="ServiceRequest",
        id=logical(fact.id),
        meta=_meta(parcel.profile.request_profile, fact.version),
        identifier=identifiers(typed_numbers(fact.identifiers, placer, fact.filler)),
        basedOn=parcel.links(fact.based_on),
        replaces=parcel.links(fact.replaces),
        status=parcel.code(_request_status(fact), bindings.REQUEST_STATUS, "unknown", "referral.status"),
        intent=parcel.code(fact.intent, bindings.REQUEST_INTENT, "order", "referral.intent"),
        category=concepts(fact.categories),
        priority=fact.priority if fact.priority in bindings.PRIORITY else None,
        code=service,
        orderDetail=concepts(codes),
        subject=patient or dict(ABSENT),
        encounter=parcel.link(fact.encounter),
        **_occurrence(parcel, fact.wanted),
        authoredOn=date_time(fact.authored_at, parcel.zone),
        requester=party(parcel, fact.referrer),
        performerType=concept(fact.specialty),
        performer=[held for who in fact.performers if (held := party(parcel, who))],
        reasonCode=concepts(_reasons(fact)),
        insurance=_insurance(parcel, fact, patient),
        supportingInfo=_supporting(parcel, fact, patient),
        note=[held for note in _request_notes(fact) if (held := annotation(note, parcel.zone))],
        patientInstruction=words("\n".join(fact.patient_instructions)),
    )
    extend(resource, (*_own_extensions(parcel, fact), *fact.extensions))
    return resource


def _own_extensions(parcel: Parcel, fact: Referral) -> list[Extension]:
    """What R4 says of a request only by extension: why it is in its state, and from when to when it holds."""
    validity = Period(fact.effective_at, fact.expires_at)
    note_period(parcel, validity, "referral.effective_at", "referral.expires_at")
    held = (
        (STATUS_REASON, "CodeableConcept", concept(fact.status_reason)),
        (VALIDITY, "Period", period(validity, parcel.zone)),
    )
    told = {one.url for one in fact.extensions}
    return [
        Extension(url=url, type=kind, value=orjson.dumps(value).decode())
        for url, kind, value in held
        if value and url not in told
    ]


def _insurance(parcel: Parcel, fact: Referral, patient: Json | None) -> list[Json]:
    """Who pays, and by number what the payer granted: R4 counts pre-authorisations among the insurance."""
    policies: list[Json] = []
    for one in fact.coverage:
        written = coverage(parcel, one, patient)
        note_unsaid(parcel, one, written)
        policies.append({"reference": parcel.add(written)})
    granted = (logical_reference(number, "ClaimResponse") for number in fact.authorizations)
    return policies + [held for held in granted if held]


def _occurrence(parcel: Parcel, wanted: Period | None) -> Json:
    if wanted is not None and wanted.end is None:
        return filled(occurrenceDateTime=date_time(wanted.start, parcel.zone))
    return filled(occurrencePeriod=period(wanted, parcel.zone))


def _supporting(parcel: Parcel, fact: Referral, patient: Json | None) -> list[Json]:
    """Attachments as documents of their own, then what was only pointed at."""
    documents = [_loose_document(parcel, one, patient) for one in fact.attachments]
    held = {"DocumentReference", None} if documents else set()
    others = (one for one in fact.supporting if not (one.resolved and one.kind in held))
    return documents + parcel.links(tuple(others))


def keep_documents(parcel: Parcel, facts: Sequence[Fact]) -> None:
    """Documents first, so that a referral whose attachments they are points at them."""
    for fact in facts:
        if isinstance(fact, Document):
            reference = parcel.reference(fact)
            if not is_report(fact):
                parcel.documents.update(dict.fromkeys(fact.attachments, reference) | parcel.documents)


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
        meta=_meta(parcel.profile.task_profile, fact.version),
        identifier=identifiers(typed_numbers(fact.identifiers, fact.placer, fact.filler)),
        basedOn=parcel.links(fact.based_on),
        partOf=parcel.links(fact.part_of),
        status=parcel.code(fact.status, bindings.TASK_STATUS, "requested", "task.status"),
        statusReason=concept(fact.status_reason),
        businessStatus=concept(fact.business_status),
        intent=parcel.code(fact.intent, bindings.TASK_INTENT, "order", "task.intent"),
        priority=fact.priority if fact.priority in bindings.PRIORITY else None,
        code=concept(fact.code),
        description=words(fact.description),
        focus=parcel.link(fact.focus),
        for_=subject(parcel, fact.patient, fact.patient_link),
        encounter=parcel.link(fact.encounter),
        executionPeriod=period(fact.period, parcel.zone),
        authoredOn=date_time(fact.authored_at, parcel.zone),
        lastModified=date_time(fact.modified_at, parcel.zone),
        requester=party(parcel, fact.requester),
        owner=party(parcel, fact.owner),
        reasonCode=concept(fact.reason),
        note=[held for note in fact.notes if (held := annotation(note, parcel.zone))],
        restriction=filled(period=period(fact.due, parcel.zone)),
        input=[_task_value(parcel, one, "task.inputs") for one in fact.inputs],
        output=[_task_value(parcel, one, "task.outputs") for one in fact.outputs],
    )
    extend(resource, fact.extensions)
    return resource


def _task_value(parcel: Parcel, value: TaskValue, where: str) -> Json:
    """One input or output. It has room for one value: the first that can be written, in this order."""
    written: Json = {"type": concept(value.type) or dict(ABSENT)}
    kind, number = value.value_type or "", value.identifier
    own = typed_value(kind, value.value) if value.value is not None else None
    found = filled(
        valueReference=parcel.link(value.link),
        valueCodeableConcept=concept(value.concept),
        valueAttachment=attachment(value.attachment, parcel.zone) if value.attachment else None,
        valueIdentifier=identifier(number) if number else None,
        valueDateTime=date_time(value.at, parcel.zone),
        valueString=words(value.text),
    )
    if own is not None:
        found.setdefault(f"value{kind}", own)
    said = (value.link, value.concept, value.attachment, number, value.at, words(value.text), value.value)
    if sum(one is not None for one in said) > min(len(found), 1):
        parcel.unsaid(where, "one of the values is nothing that R4 allows, or not the only one there")
    first = next(iter(found), None)
    return {**written, first: found[first]} if first else {**written, "_valueString": dict(ABSENT)}


def _request_status(fact: Referral) -> str | None:
    if fact.status is not None:
        return fact.status
    return "revoked" if fact.action == "cancel" else "active"


def _disposition_codes(parcel: Parcel, fact: Referral) -> tuple[Concept, ...]:
    """The codes as sent, and those for what they do not say."""
    sent = {one.code for said in fact.disposition_codes for one in said.codings}
    if not _DISPOSITION_CODES.keys() >= set(fact.dispositions):
        parcel.unsaid("referral.dispositions")
    made = (code for one in fact.dispositions if (code := _DISPOSITION_CODES.get(one)) not in (None, *sent))
    return fact.disposition_codes + tuple(
        Concept(codings=(Coding(code=code, system=V2_DISPOSITION),)) for code in made
    )


def _reasons(fact: Referral) -> tuple[Concept, ...]:
    if fact.reason_text is None:
        return fact.reasons
    return (*fact.reasons, Concept(text=fact.reason_text))


def _request_notes(fact: Referral) -> tuple[Note, ...]:
    return ((Note(text=fact.question),) if fact.question else ()) + fact.notes


def _meta(profile: str | None, sent: str | None) -> Json | None:
    return filled(profile=[profile] if profile else None, **(version(sent) or {})) or None
