"""Notes, messages and complaints as DocumentReference, Communication, OperationOutcome and Provenance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import orjson

from baton_formats.facts import (
    Acknowledgement,
    Attachment,
    Communication,
    Concept,
    Document,
    Identifier,
    Link,
    PartialTime,
    Party,
    Section,
)
from baton_formats.fhir import bindings
from baton_formats.fhir.compose import (
    Json,
    all_words,
    attachment,
    code_text,
    concept,
    concepts,
    extend,
    filled,
    identifier,
    identifiers,
    instant,
    period,
    words,
)
from baton_formats.fhir.parcel import Parcel, logical, logical_reference
from baton_formats.fhir.write_people import party, subject

_DOC_STATUS: Final = {
    "interim": "preliminary",
    "final": "final",
    "addendum": "final",
    "corrected": "amended",
    "retracted": "entered-in-error",
}
_RELATIONS: Final = frozenset({"replaces", "transforms", "signs", "appends"})
_ISSUE_TYPES: Final = frozenset(
    """
    invalid structure required value invariant security login unknown expired forbidden
    suppressed processing not-supported duplicate multiple-matches not-found deleted too-long
    code-invalid extension too-costly business-rule conflict transient lock-error no-store
    exception timeout incomplete throttled informational
    """.split()  # noqa: SIM905 - a list of forty lines reads worse
)


def document_reference(parcel: Parcel, fact: Document) -> Json:
    numbers = identifiers(fact.identifiers or ((fact.set_id,) if fact.set_id else ()))
    status = "entered-in-error" if fact.status == "retracted" else "current"
    written = instant(fact.written_at, parcel.zone)
    signer = fact.signature.by if fact.signature and fact.signature.status == "signed" else None
    resource = filled(
        resourceType="DocumentReference",
        id=logical(fact.id),
        masterIdentifier=numbers[0] if numbers else None,
        identifier=numbers[1:],
        status=parcel.code(fact.availability, bindings.DOCUMENT_REFERENCE_STATUS, status),
        docStatus=_DOC_STATUS.get(fact.status or ""),
        type=concept(fact.type),
        category=concepts(fact.categories),
        subject=subject(parcel, fact.patient, fact.patient_link),
        date=written,
        author=[held for who in fact.authors if (held := party(parcel, who))],
        authenticator=party(parcel, Party(practitioner=signer)) if signer else None,
        custodian={"reference": parcel.reference(fact.custodian)} if fact.custodian else None,
        relatesTo=_relations(fact),
        description=words(fact.title),
        securityLabel=_security(fact.confidentiality),
        content=_contents(parcel, fact, None if written else fact.written_at),
        context=_document_context(parcel, fact),
        language=code_text(fact.language),
    )
    extend(resource, fact.extensions)
    return resource


def _contents(parcel: Parcel, fact: Document, created: PartialTime | None) -> list[Json]:
    """Every attachment; a document that is only text becomes one plain attachment."""
    held = fact.attachments
    if not held and (text := _document_text(fact)):
        held = (Attachment(media_type="text/plain", content=text.encode("utf-8"), title=fact.title),)
    held = held or (Attachment(title=fact.title),)
    if created is not None:
        held = tuple(replace(one, created=one.created or created) for one in held)
    return [{"attachment": attachment(one, parcel.zone)} for one in held]


def _document_context(parcel: Parcel, fact: Document) -> Json:
    related = [held for n in fact.referrals if (held := logical_reference(n, "ServiceRequest"))]
    related += [held for one in fact.based_on if not _is_number(one) and (held := parcel.link(one))]
    return filled(
        encounter=[held for n in fact.visit if (held := logical_reference(n, "Encounter"))],
        period=period(fact.visit_period, parcel.zone),
        related=related,
    )


def communication(parcel: Parcel, fact: Communication) -> Json:
    asked = fact.request
    statuses = bindings.REQUEST_STATUS if asked else bindings.EVENT_STATUS
    sent = parcel.date_time(fact.sent_at, "Communication.sent")
    payload: list[Json] = [{"contentString": text} for text in all_words(fact.text)]
    payload += [{"contentAttachment": attachment(one, parcel.zone)} for one in fact.attachments]
    resource = filled(
        resourceType="CommunicationRequest" if asked else "Communication",
        id=logical(fact.id),
        identifier=identifiers(fact.identifiers),
        basedOn=parcel.links(fact.based_on),
        inResponseTo=None if asked else parcel.links(fact.in_response_to),
        status=parcel.code(fact.status, statuses, "active" if asked else "completed"),
        statusReason=concept(fact.status_reason),
        category=concepts(fact.categories),
        priority=fact.priority if fact.priority in bindings.PRIORITY else None,
        topic=None if asked else concept(fact.topic),
        about=parcel.links(fact.about),
        subject=subject(parcel, fact.patient, fact.patient_link),
        recipient=[held for who in fact.recipients if (held := party(parcel, who))],
        sender=party(parcel, fact.sender),
        sent=None if asked else sent,
        authoredOn=sent if asked else None,
        received=None if asked else parcel.date_time(fact.received_at, "Communication.received"),
        reasonCode=concepts(fact.reasons),
        payload=payload,
    )
    extend(resource, fact.extensions)
    return resource


def operation_outcome(fact: Acknowledgement) -> Json:
    """OperationOutcome; without issues it says that all is well."""
    issues = [
        filled(
            severity=one.severity
            if one.severity in ("fatal", "error", "warning", "information")
            else "error",
            code=one.code if one.code in _ISSUE_TYPES else "processing",
            details={"text": words(one.code)} if words(one.code) and one.code not in _ISSUE_TYPES else None,
            diagnostics=words(one.detail),
            expression=all_words((one.where,)) if one.where else None,
        )
        for one in fact.issues
    ]
    well = {"severity": "information", "code": "informational", "diagnostics": words(fact.text) or "All OK"}
    return filled(resourceType="OperationOutcome", id=logical(fact.id), issue=issues or [well])


def provenance(
    *,
    targets: Sequence[str],
    recorded: PartialTime,
    agent: str,
    activity: Concept | None = None,
    agent_identifier: Identifier | None = None,
    default_zone: str | None = None,
) -> bytes:
    """A Provenance: which resources (``Type/id``) were made, when, by which system or office, doing what.

    ``recorded`` must be a moment with an offset (or ``default_zone`` given); else ``ValueError``.
    """
    moment = instant(recorded, default_zone)
    if moment is None or not targets:
        raise ValueError("a Provenance needs a target and a moment with an offset")
    who = filled(identifier=identifier(agent_identifier) if agent_identifier else None, display=words(agent))
    resource = filled(
        resourceType="Provenance",
        target=[{"reference": target} for target in targets],
        recorded=moment,
        activity=concept(activity),
        agent=[{"who": who}],
    )
    return orjson.dumps(resource)


def _relations(fact: Document) -> list[Json]:
    relation = fact.relation if fact.relation in _RELATIONS else "replaces"
    if fact.relation is None and fact.status == "addendum":
        relation = "appends"
    targets = (logical_reference(number, "DocumentReference") for number in fact.parents)
    return [{"code": relation, "target": target} for target in targets if target]


def _security(confidentiality: str | None) -> list[Json] | None:
    code = code_text(confidentiality)
    system = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
    return [{"coding": [{"system": system, "code": code}]}] if code else None


def _document_text(fact: Document) -> str:
    def told(section: Section, depth: int = 0) -> list[str]:
        own = [str(part) for part in (section.title, section.text) if part]
        return own + [line for inner in section.sections if depth < 8 for line in told(inner, depth + 1)]

    lines = [str(fact.text)] if fact.text else []
    return "\n\n".join(lines + [line for section in fact.sections for line in told(section)])


def _is_number(link: Link) -> bool:
    return link.identifier is not None or (
        link.reference is not None and link.kind in ("ServiceRequest", None)
    )
