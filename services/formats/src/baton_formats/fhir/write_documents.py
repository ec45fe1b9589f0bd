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
    Observation,
    PartialTime,
    Party,
)
from baton_formats.fhir import bindings
from baton_formats.fhir.allowed import LONGEST, decimal, is_decimal, is_pointer
from baton_formats.fhir.compose import (
    ABSENT,
    Json,
    all_words,
    attachment,
    code_text,
    concept,
    concepts,
    date_time,
    filled,
    identifier,
    identifiers,
    instant,
    period,
    words,
    zone_of,
)
from baton_formats.fhir.parcel import Parcel, logical, logical_reference, requests_of
from baton_formats.fhir.write_extensions import extend
from baton_formats.fhir.write_people import party, person_or_role, subject, version

_DOC_STATUS: Final = {
    "interim": "preliminary",
    "final": "final",
    "addendum": "final",
    "corrected": "amended",
    "retracted": "entered-in-error",
}
_REPORT_STATUS: Final = {
    "interim": "preliminary",
    "final": "final",
    "addendum": "appended",
    "corrected": "corrected",
    "retracted": "entered-in-error",
}
_RESULT_STATUS: Final = {
    "F": "final",
    "P": "preliminary",
    "R": "preliminary",
    "S": "preliminary",
    "I": "registered",
    "O": "registered",
    "C": "corrected",
    "D": "entered-in-error",
    "W": "entered-in-error",
    "X": "cancelled",
}
"""OBX-11 (HL7 table 0085) in the words of Observation.status."""
_RESULT_STATUSES: Final = frozenset(
    "registered preliminary final amended corrected cancelled entered-in-error unknown".split()  # noqa: SIM905
)
_CONFIDENTIALITY: Final = frozenset("ULMNRV")
_RELATIONS: Final = frozenset({"replaces", "transforms", "signs", "appends"})
_ISSUE_TYPES: Final = frozenset(
    """
    invalid structure required value invariant security login unknown expired forbidden
    suppressed processing not-supported duplicate multiple-matches not-found deleted too-long
    code-invalid extension too-costly business-rule conflict transient lock-error no-store
    exception timeout incomplete throttled informational
    """.split()  # noqa: SIM905 - a list of forty lines reads worse
)


def document(parcel: Parcel, fact: Document) -> Json:
    """A DiagnosticReport where it is results and nothing that only a DocumentReference can say, else that."""
    written = diagnostic_report(parcel, fact) if is_report(fact) else document_reference(parcel, fact)
    extend(written, fact.extensions)
    _note_action(parcel, fact)
    return written


def is_report(fact: Document) -> bool:
    """Whether a document is a report of results."""
    filed = fact.relation or fact.parents or fact.custodian or fact.confidentiality or fact.availability
    long = fact.text is not None and len(fact.text.utf8) > LONGEST
    told = long or fact.sections or fact.event or fact.visit_period or fact.language or fact.set_id
    return any(_is_result(one) for one in fact.observations) and not filed and not told


def document_reference(parcel: Parcel, fact: Document) -> Json:
    numbers = identifiers(fact.identifiers)
    others = identifiers((fact.set_id,)) if fact.set_id and fact.set_id not in fact.identifiers else []
    masters = numbers[:1] if numbers or not others else others[:1]
    status = "entered-in-error" if fact.status == "retracted" else "current"
    written = instant(fact.written_at, parcel.zone)
    signer = fact.signature.by if fact.signature and fact.signature.status == "signed" else None
    about = subject(parcel, fact.patient, fact.patient_link)
    _note_status(parcel, fact, _DOC_STATUS.get(fact.status or ""))
    return filled(
        resourceType="DocumentReference",
        id=logical(fact.id),
        meta=version(fact.version),
        masterIdentifier=masters[0] if masters else None,
        identifier=[*numbers[1:], *(others if numbers else [])],
        status=parcel.code(
            fact.availability, bindings.DOCUMENT_REFERENCE_STATUS, status, "document.availability"
        ),
        docStatus=_DOC_STATUS.get(fact.status or ""),
        type=concept(fact.type),
        category=concepts(fact.categories),
        subject=about,
        date=written,
        author=[held for who in fact.authors if (held := party(parcel, who))],
        authenticator=party(parcel, Party(practitioner=signer)) if signer else None,
        custodian={"reference": parcel.reference(fact.custodian)} if fact.custodian else None,
        relatesTo=_relations(parcel, fact),
        description=words(fact.title),
        securityLabel=_security(fact.confidentiality),
        content=_contents(parcel, fact, None if written else fact.written_at),
        context=_document_context(parcel, fact, about),
        language=code_text(fact.language),
    )


def diagnostic_report(parcel: Parcel, fact: Document) -> Json:
    about = subject(parcel, fact.patient, fact.patient_link)
    _note_status(parcel, fact, _REPORT_STATUS.get(fact.status or ""))
    _note_lost_of_a_report(parcel, fact)
    released = instant(fact.written_at, parcel.zone)
    visits = [held for number in fact.visit if (held := logical_reference(number, "Encounter"))]
    return filled(
        resourceType="DiagnosticReport",
        id=logical(fact.id),
        meta=version(fact.version),
        identifier=identifiers(fact.identifiers),
        basedOn=requests_of(parcel, fact.based_on, fact.referrals),
        status=_REPORT_STATUS.get(fact.status or "", "unknown"),
        category=concepts(fact.categories),
        code=concept(fact.type) or ({"text": words(fact.title)} if words(fact.title) else dict(ABSENT)),
        subject=about,
        encounter=visits[0] if visits else None,
        effectiveDateTime=None if released else date_time(fact.written_at, parcel.zone),
        issued=released,
        resultsInterpreter=[held for who in fact.authors if (held := person_or_role(parcel, who))],
        result=_results(parcel, fact, about),
        conclusion=words(str(fact.text)) if fact.text else None,
        presentedForm=[attachment(one, parcel.zone) for one in fact.attachments],
    )


def _note_lost_of_a_report(parcel: Parcel, fact: Document) -> None:
    """A report has one visit and no title but its kind."""
    label = fact.type.label if fact.type else fact.title
    if fact.title is not None and fact.title != label:
        parcel.unsaid("document.title")
    if len(fact.visit) > 1:
        parcel.unsaid("document.visit")
    if fact.signature is not None and fact.signature.status == "signed":
        parcel.unsaid("document.signature")


def _note_status(parcel: Parcel, fact: Document, written: str | None) -> None:
    code = fact.status_code.label if fact.status_code else None
    if code is not None and code != written:
        parcel.unsaid("document.status_code")
    if fact.status not in (None, "unknown") and written is None:
        parcel.unsaid("document.status")


def _note_action(parcel: Parcel, fact: Document) -> None:
    """What a document does is said by what it relates to, or by its own end."""
    told = {"replaces": "replace", "appends": "addendum"}.get(fact.relation or "") if fact.parents else None
    if fact.status == "retracted" or fact.availability == "entered-in-error":
        told = "cancel"
    if fact.action is not None and fact.action != told:
        parcel.unsaid("document.action")


def _is_result(line: Observation) -> bool:
    return line.category in (None, "result")


def _results(parcel: Parcel, fact: Document, about: Json | None) -> list[Json]:
    """Results as Observations. Allergies, conditions and the like are none: they are left to the words."""
    if not all(_is_result(one) for one in fact.observations):
        parcel.unsaid("document.observations.category", "entries that are no results were not written")
    held = (_observation(parcel, one, about) for one in fact.observations if _is_result(one))
    return [{"reference": parcel.add(one)} for one in held]


def _observation(parcel: Parcel, line: Observation, about: Json | None) -> Json:
    status = _RESULT_STATUS.get(line.status or "", line.status)
    return filled(
        resourceType="Observation",
        id=logical(line.id),
        status=parcel.code(status, _RESULT_STATUSES, "unknown", "document.observations.status"),
        code=concept(line.code) or dict(ABSENT),
        subject=about,
        effectiveDateTime=date_time(line.at, parcel.zone),
        **_measured(parcel, line),
    )


def _measured(parcel: Parcel, line: Observation) -> Json:
    """A number with its unit is a quantity, with every digit; anything else is words."""
    value, unit = words(line.value), words(line.unit)
    if unit is None:
        return filled(valueString=value)
    if value is None or is_decimal(value):
        number = decimal(value) if value is not None else None
        return {"valueQuantity": filled(value=number, unit=unit)}
    parcel.unsaid("document.observations.unit", "a value that is no number has no unit; both became words")
    return {"valueString": f"{value} {unit}"}


def _contents(parcel: Parcel, fact: Document, created: PartialTime | None) -> list[Json]:
    """Every attachment, and what the document says in words as a plain one beside them."""
    held = fact.attachments
    text = _document_text(fact).encode("utf-8", "replace")
    if text and all(one.content != text for one in held):
        held += (Attachment(media_type="text/plain", content=text, title=fact.title),)
    held = held or (Attachment(title=fact.title),)
    if created is not None:
        held = tuple(replace(one, created=one.created or created) for one in held)
    return [{"attachment": attachment(one, parcel.zone)} for one in held]


def _document_context(parcel: Parcel, fact: Document, about: Json | None) -> Json:
    return filled(
        encounter=[held for n in fact.visit if (held := logical_reference(n, "Encounter"))],
        event=concepts(fact.event),
        period=period(fact.visit_period, parcel.zone),
        related=[
            *requests_of(parcel, fact.based_on, fact.referrals),
            *(_results(parcel, fact, about) if fact.observations else ()),
        ],
    )


def communication(parcel: Parcel, fact: Communication) -> Json:
    asked = fact.request
    statuses = bindings.REQUEST_STATUS if asked else bindings.EVENT_STATUS
    sent = date_time(fact.sent_at, parcel.zone)
    for name in ("topic", "in_response_to", "received_at") if asked else ():
        if getattr(fact, name):
            parcel.unsaid(f"communication.{name}", "a request for words has no place for this")
    payload: list[Json] = [{"contentString": text} for text in all_words(fact.text)]
    payload += [{"contentAttachment": attachment(one, parcel.zone)} for one in fact.attachments]
    resource = filled(
        resourceType="CommunicationRequest" if asked else "Communication",
        id=logical(fact.id),
        meta=version(fact.version),
        identifier=identifiers(fact.identifiers),
        basedOn=parcel.links(fact.based_on),
        inResponseTo=None if asked else parcel.links(fact.in_response_to),
        status=parcel.code(fact.status, statuses, "active" if asked else "completed", "communication.status"),
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
        received=None if asked else date_time(fact.received_at, parcel.zone),
        reasonCode=concepts(fact.reasons),
        payload=payload,
    )
    extend(resource, fact.extensions)
    return resource


def operation_outcome(fact: Acknowledgement) -> Json:
    """OperationOutcome; without issues it says that all is well. Words are an issue of their own."""
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
    text = words(fact.text)
    if text or not issues:
        said = {"severity": "information", "code": "informational", "diagnostics": text or "All OK"}
        issues.append(said)
    return filled(resourceType="OperationOutcome", id=logical(fact.id), issue=issues)


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

    Raises ``ValueError`` where ``recorded`` is no moment with an offset (nor ``default_zone`` given), where
    there is no target or one that is no reference, and where neither name nor number tells the agent.
    """
    moment = instant(recorded, zone_of(default_zone))
    if moment is None or not targets:
        raise ValueError("a Provenance needs a target and a moment with an offset")
    if not all(is_pointer(target) for target in targets):
        raise ValueError("a target of a Provenance has to be an address, or a type with an id")
    who = filled(identifier=identifier(agent_identifier) if agent_identifier else None, display=words(agent))
    if not who:
        raise ValueError("a Provenance needs the name or the number of an agent")
    resource = filled(
        resourceType="Provenance",
        target=[{"reference": target} for target in targets],
        recorded=moment,
        activity=concept(activity),
        agent=[{"who": who}],
    )
    return orjson.dumps(resource)


def _relations(parcel: Parcel, fact: Document) -> list[Json]:
    relation = fact.relation if fact.relation in _RELATIONS else None
    if fact.relation is None and fact.status == "addendum":
        relation = "appends"
    if relation is None if fact.parents else fact.relation is not None:
        detail = "FHIR says what a document does to another only of both together; replaces is the usual"
        parcel.doubt("code-not-written", "document.relation", detail)
    targets = (logical_reference(number, "DocumentReference") for number in fact.parents)
    return [{"code": relation or "replaces", "target": target} for target in targets if target]


def _security(confidentiality: str | None) -> list[Json] | None:
    code = code_text(confidentiality)
    system = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality" if code in _CONFIDENTIALITY else None
    return [{"coding": [filled(system=system, code=code)]}] if code else None


def _document_text(fact: Document) -> str:
    """The words of a document and of its sections, in reading order."""
    lines = [str(fact.text)] if fact.text else []
    waiting = list(reversed(fact.sections))
    while waiting:
        section = waiting.pop()
        lines += [str(part) for part in (section.title, section.text) if part]
        waiting.extend(reversed(section.sections))
    return "\n\n".join(lines)
