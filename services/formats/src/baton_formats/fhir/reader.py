"""Bytes of FHIR, JSON or XML, any Bundle or loose resource, as facts with findings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from baton_formats.facts import Fact, Patient
from baton_formats.fhir import bindings, documents, messages, parameters, people, requests, schedule
from baton_formats.fhir.body import Body
from baton_formats.fhir.modifiers import look_for_modifiers
from baton_formats.fhir.profiles import PLAIN, profile_for
from baton_formats.fhir.resource_types import DSTU2_ONLY, KNOWN_TYPES, STU3_ONLY
from baton_formats.fhir.strict_json import ExactNumbers, NotJson, Parsed, parse
from baton_formats.fhir.tables import code
from baton_formats.fhir.tree import Node
from baton_formats.fhir.xml import NotFhirXml, from_xml
from baton_formats.findings import Finding, Format, Message, ReadResult, refused
from baton_formats.values import maker_of

READERS: dict[str, Callable[[Node], Fact | None]] = {
    "ServiceRequest": requests.referral,
    "ReferralRequest": requests.referral_stu3,
    "Task": requests.task,
    "Appointment": schedule.appointment,
    "Slot": schedule.slot,
    "Encounter": schedule.arrival,
    "DocumentReference": documents.document_reference,
    "Composition": documents.composition,
    "DiagnosticReport": documents.diagnostic_report,
    "Communication": messages.communication,
    "CommunicationRequest": messages.communication_request,
    "MessageHeader": messages.header_answer,
    "OperationOutcome": messages.outcome,
    "Parameters": parameters.referral,
    "Coverage": people.coverage,
    "Patient": people.patient,
    "Practitioner": people.practitioner,
    "PractitionerRole": people.lone_role,
    "Organization": people.organization,
    "Location": people.location,
}
"""Which resource becomes which fact. Other types are accepted and say nothing about a referral."""

MAPPINGS = tuple(
    table.mapping()
    for table in (
        requests.SERVICE_REQUEST,
        requests.REFERRAL_REQUEST,
        requests.TASK,
        schedule.APPOINTMENT,
        schedule.SLOT,
        schedule.ENCOUNTER,
        documents.DOCUMENT_REFERENCE,
        documents.COMPOSITION,
        documents.DIAGNOSTIC_REPORT,
        messages.COMMUNICATION,
        messages.COMMUNICATION_REQUEST,
        messages.OPERATION_OUTCOME,
        parameters.CREATE_REFERRAL,
        people.PATIENT,
        people.PRACTITIONER,
        people.ORGANIZATION,
        people.LOCATION,
        people.COVERAGE,
    )
)


def read(body: bytes, content_type: str | None = None) -> ReadResult:
    """What a FHIR body says.

    JSON and XML are told apart by the first character; ``content_type`` only settles what looks like neither.
    Never raises for content: what is no FHIR at all is refused with a reason, everything else is accepted,
    with findings where something is doubtful. A finding marked ``refusing`` is one a door must not let pass
    (an unknown status or priority). Time and memory are linear in the size of the body.
    """
    if body[:1] == b"{":
        return _read_json(body)
    start = body[:64].lstrip(b"\xef\xbb\xbf").lstrip()
    if not start:
        return refused(Format.FHIR, "The body is empty.")
    if body.startswith(_WIDE_XML):
        return _read_xml(body)
    if start[:1] == b"<" or (start[:1] not in b"{[" and "xml" in (content_type or "")):
        return _read_xml(body)
    return _read_json(body)


_WIDE_XML = (b"\xff\xfe<\x00", b"\xfe\xff\x00<", b"<\x00", b"\x00<")
"""How XML in UTF-16 begins, with a byte order mark and without."""


def _read_json(body: bytes) -> ReadResult:
    try:
        parsed = parse(body)
    except NotJson as error:
        where = f"line {error.line} column {error.column}" if error.line is not None else ""
        finding = Finding(error.code, where, error.detail, refusing=True)
        return refused(Format.FHIR, f"The body is no acceptable JSON: {error}.", findings=(finding,))
    findings = _oddities(parsed) if parsed.repeated or parsed.byte_order_mark else ()
    return read_value(parsed.value, findings=findings, exact=ExactNumbers(body), modified=parsed.modified)


def _oddities(parsed: Parsed) -> tuple[Finding, ...]:
    found = [
        Finding(
            "duplicate-key", f"line {line} column {column}", "the same key stands twice with the same value"
        )
        for line, column in parsed.repeated
    ]
    if parsed.byte_order_mark:
        found.append(
            Finding("byte-order-mark", "line 1 column 1", "a byte order mark stands before the text")
        )
    return tuple(found)


def _read_xml(body: bytes) -> ReadResult:
    try:
        resource = from_xml(body)
    except NotFhirXml as error:
        finding = Finding(error.code, error.where, error.detail, refusing=True)
        return refused(Format.FHIR, f"The body is no acceptable FHIR XML: {error}.", findings=(finding,))
    return read_value(resource, bare_lists=True)


def read_value(
    value: Any,
    *,
    bare_lists: bool = False,
    findings: tuple[Finding, ...] = (),
    exact: ExactNumbers | None = None,
    modified: bool = True,
) -> ReadResult:
    """What an already parsed value says; the caller vouches for its depth.

    ``modified`` is whether to look for ``modifierExtension``; only who knows that there is none says no.
    """
    reason = _no_resource(value)
    if reason is not None:
        return refused(Format.FHIR, reason, findings=findings)
    body = Body(value, bare_lists=bare_lists, exact=exact)
    signs = _signs(body)
    body.profile = profile_for(signs) if signs else PLAIN
    version = _version(body, signs)
    if version == DSTU2:
        findings += body.doubts.all()
        body.release()
        return refused(Format.FHIR, _IS_DSTU2, findings=findings)
    look_for_modifiers(body, extended=modified)
    message = _message(body, version)
    body.release()
    return _RESULT(_FHIR, (message,), findings)


def _no_resource(value: Any) -> str | None:
    if not isinstance(value, dict):
        return "The body is JSON, but no FHIR resource: an object with resourceType is expected."
    kind = value.get("resourceType")
    if kind is None and isinstance(value.get("hook"), str) and isinstance(value.get("context"), dict):
        return None
    if not isinstance(kind, str) or not kind:
        return "The body is JSON, but no FHIR resource: resourceType is missing."
    if kind in DSTU2_ONLY:
        return _IS_DSTU2
    if kind not in KNOWN_TYPES:
        return "The body is no FHIR resource of STU3, R4 or R5: its resourceType is not one of theirs."
    return None


DSTU2 = "1.0"
_IS_DSTU2 = "The body is FHIR DSTU2; R4 and STU3 are read."

_LOOKED_AT = 40
"""Resources whose profiles and numbers are looked at to know the partner."""


def _signs(body: Body) -> str:
    """The profiles, events and namespaces that the first resources name, a line each."""
    signs: list[Any] = []
    for node in body.nodes[:_LOOKED_AT]:
        value = node.value
        if "meta" in value and type(meta := value["meta"]) is dict and "profile" in meta:
            signs += profiles if type(profiles := meta["profile"]) is list else ()
        if "eventCoding" in value and type(event := value["eventCoding"]) is dict:
            signs.append(event.get("system"))
        if "identifier" in value and type(numbers := value["identifier"]) is list:
            for number in numbers:
                if type(number) is dict:
                    signs.append(number.get("system"))
    return "\n".join([sign for sign in signs if sign and type(sign) is str]) if signs else ""


def _version(body: Body, signs: str) -> str:
    """Which release the body is written in, by what only one release has."""
    found = "3.0" if signs and "/STU3/" in signs else "4.0"
    for node in body.nodes:
        if node.value["resourceType"] in _TELLING:
            told = _told_version(node)
            if told == DSTU2:
                return told
            found = told or found
    return found


_TELLING = DSTU2_ONLY | STU3_ONLY | {"Task"}
"""Resources that may tell the release."""


def _told_version(node: Node) -> str | None:
    kind = node.value["resourceType"]
    if kind == "Task":
        return "3.0" if requests.is_stu3_task(node.value) else None
    if kind in DSTU2_ONLY or (kind == "ReferralRequest" and requests.is_dstu2(node.value)):
        return DSTU2
    return "3.0"


def _message(body: Body, version: str) -> Message:
    kind = body.root.value.get("resourceType") or "CDS Hooks"
    entries = len(body.nodes)
    if kind == "Bundle":
        kind, entries = f"Bundle/{_bundle_type(body)}", body.entries
    facts = tuple(_facts(body))
    if version == "3.0":
        detail = "this is FHIR STU3; its facts were converted to R4 words"
        body.doubts.add("fhir-stu3", body.root.path, detail)
    envelope = messages.envelope(body, fhir_version=version)
    return _MESSAGE(kind, None, entries, envelope, facts, body.doubts.all())


_RESULT, _MESSAGE, _FHIR = maker_of(ReadResult), maker_of(Message), Format.FHIR

_BUNDLE_TYPE = code("type", bindings.BUNDLE_TYPE, required=True)


def _bundle_type(body: Body) -> str:
    return _BUNDLE_TYPE(body.root) or "unknown"


def _facts(body: Body) -> list[Fact]:
    found: list[Fact] = []
    for node in body.nodes:
        value = node.value
        kind = value["resourceType"]
        fact = READERS[kind](node) if kind in READERS else None
        if fact is not None:
            found.append(fact)
            if "link" in value and isinstance(fact, Patient) and (change := people.merge(node)) is not None:
                found.append(change)
    if body.root.value.get("resourceType") == "Binary":
        found.append(documents.lone_binary(body.root))
    results = documents.loose_results(body)
    if results is not None:
        found.append(results)
    return found


__all__ = ["MAPPINGS", "READERS", "read", "read_value"]
