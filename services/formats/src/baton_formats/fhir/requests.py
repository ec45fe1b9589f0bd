"""Referrals and the tasks that track them: ServiceRequest, Task, and STU3's ReferralRequest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from baton_formats.facts import (
    Attachment,
    Concept,
    Coverage,
    Identifier,
    Link,
    Note,
    Party,
    Patient,
    Period,
    Referral,
    Task,
    TaskValue,
)
from baton_formats.fhir import bindings
from baton_formats.fhir.body import Body
from baton_formats.fhir.datatypes import (
    annotation,
    any_value,
    attachment,
    attachments_of,
    coding_as_concept,
    concept,
    denial_of,
    extensions,
    identifier,
    identifiers,
    meaning_of,
    period,
)
from baton_formats.fhir.people import PATIENT_DOUBTS, coverage_at, link, party, subject
from baton_formats.fhir.tables import Read, Table, code, many, one, required, row, text, time, version
from baton_formats.fhir.tree import Node, Resource

STATUS_REASON = "http://hl7.org/fhir/StructureDefinition/request-statusReason"
VALIDITY = "urn:x-referral-loop:validity"
"""From when to when a referral may be used, as our writer says it; R4 has no element for it."""
DISPOSITION_SYSTEMS = ("http://terminology.hl7.org/CodeSystem/v2-0282", "urn:oid:2.16.840.1.113883.12.282")
DISPOSITIONS = {
    "AM": "assume_management",
    "RP": "return_patient",
    "SO": "second_opinion",
    "WR": "written_report",
}
"""HL7 table 0282, referral disposition: what the referrer wants back."""

MAX_ATTACHMENTS = 200
"""Attachments of the documents that one request points at; no referral brings more."""

MAX_SERVICES = 200
"""Services that one request may choose from."""

_SOURCE = "FHIR R4 4.0.1, Workflow"


def _typed(wanted: str) -> Read:
    def read(node: Node) -> Identifier | None:
        numbers = identifiers(node)
        return next((number for number in numbers if number.type == wanted), None)

    return read


def _patient(*names: str) -> Read:
    def read(node: Node) -> Patient | None:
        return subject(node, *names)[0]

    return read


def _patient_link(*names: str) -> Read:
    def read(node: Node) -> Link | None:
        return subject(node, *names)[1]

    return read


# ---- what the request says itself --------------------------------------------------------------------------


def _all_reasons(node: Node) -> tuple[Concept, ...]:
    body: Body = node.body
    return body.once("reasons", node, _every_reason)


def _every_reason(node: Node) -> tuple[Concept, ...]:
    own = node.many("reasonCode", concept)
    if "reasonReference" not in node.value:
        return own if len(own) < 2 else tuple(dict.fromkeys(own))
    body: Body = node.body
    told = (_told_reason(pointer) for pointer in node.children("reasonReference"))
    found = [body.same(one_) for one_ in own] + [one_ for one_ in told if one_ is not None]
    return tuple({id(one_): one_ for one_ in found}.values())


def _told_reason(pointer: Node) -> Concept | None:
    """What a reason that is pointed at says; nothing, if it is said not to be so."""
    body: Body = pointer.body
    target = body.follow(pointer)
    if target is not None and (word := denial_of(target)) is not None:
        pointer.doubt("not-so", f"the reason this points at is marked {word} and was left out")
        return None
    meaning = body.once("meaning", target, _shared_meaning) if target is not None else None
    if meaning is None and (shown := pointer.text("display")):
        return body.same(Concept(text=shown))
    return meaning


def _shared_meaning(node: Node) -> Concept | None:
    meaning = meaning_of(node)
    return node.body.same(meaning) if meaning is not None else None


def _reasons(node: Node) -> tuple[Concept, ...]:
    return tuple(reason for reason in _all_reasons(node) if reason.codings)


def _reason_text(node: Node) -> str | None:
    """Reasons that came in words only; a coded reason keeps its words with its code."""
    return "; ".join(r.text for r in _all_reasons(node) if r.text and not r.codings) or None


def _notes(node: Node) -> tuple[Note, ...]:
    body: Body = node.body
    return body.once("notes", node, lambda it: it.many("note", annotation))


def _question(node: Node) -> str | None:
    return next((note.text for note in _notes(node) if note.text), None)


def _other_notes(node: Node) -> tuple[Note, ...]:
    return tuple(note for note in _notes(node) if note.text)[1:]


def _disposition_codes(node: Node) -> tuple[Concept, ...]:
    return tuple(detail for detail in node.many("orderDetail", concept) if _is_disposition(detail))


def _is_disposition(detail: Concept) -> bool:
    return any(coding.system in DISPOSITION_SYSTEMS for coding in detail.codings)


def _dispositions(node: Node) -> tuple[str, ...]:
    codings = (coding for detail in _disposition_codes(node) for coding in detail.codings)
    return tuple(
        DISPOSITIONS[coding.code]
        for coding in codings
        if coding.system in DISPOSITION_SYSTEMS and coding.code in DISPOSITIONS
    )


def _occurrence(node: Node) -> Period | None:
    span = node.one("occurrencePeriod", period)
    if span is not None:
        return span
    moment = node.time("occurrenceDateTime")
    return Period(start=moment) if moment is not None else None


def _categories(node: Node) -> tuple[Concept, ...]:
    return node.many("category", concept)


def _replaces(node: Node) -> tuple[Link, ...]:
    return node.many("replaces", link)


# ---- what other resources of the body add ------------------------------------------------------------------


def _task(node: Node) -> Node | None:
    body: Body = node.body
    return body.tasks_about(node.value)


def _referrer(node: Node) -> Party | None:
    found = node.one("requester", party)
    if found is None and (task := _task(node)) is not None:
        found = _requester(task)
    headers = node.body.of_type("MessageHeader")
    if headers and (found is None or found.organization is None):
        found = _with_office_of_sender(found, headers[0])
    return found


def _with_office_of_sender(found: Party | None, header: Node) -> Party | None:
    for name in ("sender", "responsible", "author"):
        sender = header.one(name, party)
        if sender is None or (sender.organization is None and found is not None):
            continue
        return sender if found is None else replace(found, organization=sender.organization)
    return found


def _referrer_with_number(node: Node) -> Party | None:
    """The referrer, with the number they know the referral by."""
    found = _referrer(node)
    number = _typed("PLAC")(node)
    if found is None or number is None:
        return found
    return replace(found, reference=number)


def _performers(node: Node) -> tuple[Party, ...]:
    found = node.many("performer", party)
    if not found and (task := _task(node)) is not None:
        owner = task.one("owner", party)
        found = (owner,) if owner is not None else ()
    return found


def _specialty(node: Node) -> Concept | None:
    asked = node.one("performerType", concept)
    if asked is not None:
        return asked
    return next((one_ for who in _performers(node) for one_ in who.specialties), None)


def _coverage(node: Node) -> tuple[Coverage, ...]:
    found = (coverage_at(pointer) for pointer in node.children("insurance"))
    return tuple(policy for policy in found if policy is not None)


def _authorizations(node: Node) -> tuple[Identifier, ...]:
    """Numbers of what the payer granted: pointers at a ClaimResponse."""
    granted = (one_ for one_ in node.children("insurance") if link(one_).kind == "ClaimResponse")
    return tuple(number for one_ in granted if (number := one_.one("identifier", identifier)) is not None)


def _validity(node: Node) -> Period | None:
    held = extension_named(node, VALIDITY) if "extension" in node.value else None
    return held.one("valuePeriod", period) if held is not None else None


def _effective(node: Node) -> object:
    span = _validity(node)
    return span.start if span is not None else None


def _expires(node: Node) -> object:
    span, task = _validity(node), _task(node)
    if span is not None and span.end is not None:
        return span.end
    restriction = task.child("restriction") if task is not None else None
    limit = restriction.one("period", period) if restriction is not None else None
    return limit.end if limit is not None else None


def _status_reason(node: Node) -> Concept | None:
    held = extension_named(node, STATUS_REASON)
    return held.one("valueCodeableConcept", concept) if held is not None else None


def _attachments(node: Node) -> tuple[Attachment, ...]:
    """Attachments of the documents the request points at, as far as they are in the body."""
    body: Body = node.body
    documents = (held for held in body.targets(node.children("supportingInfo")) if "content" in held.value)
    held = (attachments_of(one_) for one_ in documents)
    return body.joined(held, node, "supportingInfo", most=MAX_ATTACHMENTS)


def _action(node: Node) -> str | None:
    body: Body = node.body
    if node.value.get("status") in ("revoked", "entered-in-error"):
        return "cancel"
    headers = body.of_type("MessageHeader")
    return body.once("action", headers[0], _action_of) if headers else None


def _action_of(header: Node) -> str | None:
    body: Body = header.body
    action = body.profile.actions.get(event_of(header) or "")
    reason = reason_of(header)
    if action == "new" and reason in ("update", "delete"):
        return "update" if reason == "update" else "cancel"
    return action


def reason_of(header: Node) -> str | None:
    """Why a message is sent: new, update, delete."""
    body: Body = header.body
    reason = body.once("reason", header, lambda it: it.one("reason", concept))
    return reason.code if reason is not None else None


def event_of(header: Node) -> str | None:
    """The event of a message, as a code: eventCoding (STU3: event), or the end of eventUri."""
    for name in ("eventCoding", "event"):
        if isinstance(header.value.get(name), dict):
            event = header.child(name)
            return event.text("code") if event is not None else None
    uri = header.text("eventUri")
    return uri.rstrip("/").rpartition("/")[2].rpartition("#")[2] if uri else None


_PATIENT = _patient("subject")

SERVICE_REQUEST = Table(
    "ServiceRequest",
    Referral,
    row(
        "action",
        "what the message does to the referral",
        "MessageHeader.event[x]",
        _action,
        also=("MessageHeader.reason", "ServiceRequest.status (revoked, entered-in-error)"),
        needs="",
    ),
    row(
        "identifiers",
        "every number of the referral",
        "ServiceRequest.identifier",
        identifiers,
        findings=("identifier-without-value",),
    ),
    row("placer", "the referrer's number", "ServiceRequest.identifier (type PLAC)", _typed("PLAC")),
    row("filler", "the receiver's number", "ServiceRequest.identifier (type FILL)", _typed("FILL")),
    row(
        "status",
        "state of the request",
        "ServiceRequest.status",
        code("status", bindings.REQUEST_STATUS, protects=True, required=True),
        needs="",
        findings=("missing-required", "unknown-code"),
    ),
    row(
        "intent",
        "proposal, plan or order",
        "ServiceRequest.intent",
        code("intent", bindings.REQUEST_INTENT, required=True),
        needs="",
        findings=("missing-required", "unknown-code"),
    ),
    row(
        "priority",
        "how soon",
        "ServiceRequest.priority",
        code("priority", bindings.PRIORITY, protects=True),
        findings=("unknown-code",),
    ),
    row("categories", "kind of service", "ServiceRequest.category", _categories),
    row("service", "what is asked for", "ServiceRequest.code", one("code", concept)),
    row(
        "specialty",
        "whose field it is",
        "ServiceRequest.performerType",
        _specialty,
        also=("ServiceRequest.performer (PractitionerRole.specialty)",),
        needs="performerType performer",
    ),
    row(
        "reasons",
        "diagnoses and complaints",
        "ServiceRequest.reasonCode",
        _reasons,
        also=("ServiceRequest.reasonReference (Condition.code, else its display)",),
        needs="reasonCode reasonReference",
        findings=("not-so",),
    ),
    row("reason_text", "reasons given in words only", "ServiceRequest.reasonCode.text", _reason_text),
    row("question", "the clinical question: the first note", "ServiceRequest.note", _question),
    row("notes", "further notes", "ServiceRequest.note", _other_notes),
    row(
        "dispositions",
        "what the referrer wants back",
        "ServiceRequest.orderDetail (HL7 table 0282)",
        _dispositions,
    ),
    row(
        "disposition_codes",
        "the same, as sent",
        "ServiceRequest.orderDetail (HL7 table 0282)",
        _disposition_codes,
    ),
    row(
        "patient",
        "the patient",
        "ServiceRequest.subject",
        required("subject", _PATIENT),
        needs="",
        findings=("missing-required", *PATIENT_DOUBTS),
    ),
    row(
        "patient_link",
        "how the request names the patient",
        "ServiceRequest.subject",
        _patient_link("subject"),
    ),
    row(
        "referrer",
        "clinician and office that refer, and their number",
        "ServiceRequest.requester",
        _referrer_with_number,
        also=("Task.requester", "MessageHeader.sender", "MessageHeader.responsible"),
        needs="",
        findings=("dangling-reference", "npi-check-digit"),
    ),
    row(
        "performers",
        "who is asked",
        "ServiceRequest.performer",
        _performers,
        also=("Task.owner",),
        needs="",
        findings=("dangling-reference", "npi-check-digit"),
    ),
    row("coverage", "who pays", "ServiceRequest.insurance", _coverage, findings=("dangling-reference",)),
    row(
        "authored_at",
        "when it was written",
        "ServiceRequest.authoredOn",
        time("authoredOn"),
        findings=("unreadable-time",),
    ),
    row(
        "authorizations",
        "what the payer granted, by number",
        "ServiceRequest.insurance (ClaimResponse)",
        _authorizations,
    ),
    row(
        "status_reason",
        "why it is in this state",
        "ServiceRequest.extension (request-statusReason)",
        _status_reason,
    ),
    row("effective_at", "from when it is valid", "ServiceRequest.extension (validity)", _effective),
    row(
        "expires_at",
        "until when it is valid",
        "ServiceRequest.extension (validity)",
        _expires,
        also=("Task.restriction.period.end",),
        needs="",
    ),
    row(
        "wanted",
        "when it should happen",
        "ServiceRequest.occurrence[x]",
        _occurrence,
        needs="occurrencePeriod occurrenceDateTime",
        findings=("period-backwards",),
    ),
    row(
        "patient_instructions",
        "words for the patient",
        "ServiceRequest.patientInstruction",
        lambda node: tuple(filter(None, [node.text("patientInstruction")])),
    ),
    row(
        "attachments",
        "documents that came along",
        "ServiceRequest.supportingInfo (DocumentReference)",
        _attachments,
        findings=("broken-base64", "attachment-hash", "attachment-size", "wrong-type", "list-too-long"),
    ),
    row("supporting", "what it points at", "ServiceRequest.supportingInfo", many("supportingInfo", link)),
    row("based_on", "the request it fulfils", "ServiceRequest.basedOn", many("basedOn", link)),
    row("replaces", "the request it replaces", "ServiceRequest.replaces", _replaces),
    row("encounter", "the visit it was made in", "ServiceRequest.encounter", one("encounter", link)),
    row("id", "id on the sending server", "ServiceRequest.id", text("id")),
    row("version", "version on the sending server", "ServiceRequest.meta.versionId", version),
    row("extensions", "what the sender added", "ServiceRequest.extension", extensions, needs=""),
    source=_SOURCE,
    notes=("Status and Task.businessStatus are two axes; neither is derived from the other.",),
)


# ---- Task --------------------------------------------------------------------------------------------------


def _task_value(node: Node) -> TaskValue:
    kind = node.one("type", concept)
    for name in node.value:
        if not name.startswith("value") or len(name) < 6:
            continue
        if name == "valueReference":
            return TaskValue(type=kind, link=node.one(name, link))
        if name == "valueCodeableConcept":
            return TaskValue(type=kind, concept=node.one(name, concept))
        if name in ("valueDateTime", "valueDate", "valueInstant"):
            return TaskValue(type=kind, at=node.time(name))
        if name in ("valueString", "valueMarkdown", "valueCode", "valueUri", "valueUrl", "valueCanonical"):
            return TaskValue(type=kind, text=node.text(name))
        if name == "valueAnnotation":
            return TaskValue(type=kind, text=node.one(name, lambda note: note.text("text")))
        if name == "valueAttachment":
            return TaskValue(type=kind, attachment=node.one(name, attachment))
        if name == "valueIdentifier":
            return TaskValue(type=kind, identifier=node.one(name, identifier))
        sent, value = any_value(node)
        return TaskValue(type=kind, value_type=sent, value=value)
    return TaskValue(type=kind)


def is_stu3_task(task: Resource) -> bool:
    """Whether a Task is STU3's: its requester has an agent, and an office on whose behalf."""
    held = task.get("requester")
    return isinstance(held, dict) and "agent" in held and "reference" not in held


def _requester(node: Node) -> Party | None:
    return _stu3_requester(node) if is_stu3_task(node.value) else node.one("requester", party)


def _due(node: Node) -> Period | None:
    restriction = node.child("restriction")
    return restriction.one("period", period) if restriction is not None else None


TASK = Table(
    "Task",
    Task,
    row("identifiers", "every number of the task", "Task.identifier", identifiers),
    row("placer", "the requester's number", "Task.identifier (type PLAC)", _typed("PLAC")),
    row("filler", "the receiver's number", "Task.identifier (type FILL)", _typed("FILL")),
    row(
        "status",
        "where the task stands",
        "Task.status",
        code("status", bindings.TASK_STATUS, protects=True, required=True),
        needs="",
        findings=("missing-required", "unknown-code"),
    ),
    row(
        "business_status",
        "where it stands in the partner's words",
        "Task.businessStatus",
        one("businessStatus", concept),
    ),
    row("status_reason", "why", "Task.statusReason", one("statusReason", concept)),
    row(
        "intent",
        "proposal, plan or order",
        "Task.intent",
        code("intent", bindings.TASK_INTENT, required=True),
        needs="",
        findings=("missing-required", "unknown-code"),
    ),
    row(
        "priority",
        "how soon",
        "Task.priority",
        code("priority", bindings.PRIORITY, protects=True),
        findings=("unknown-code",),
    ),
    row("code", "what kind of task", "Task.code", one("code", concept)),
    row("description", "what is to be done", "Task.description", text("description")),
    row("reason", "the reason", "Task.reasonCode", one("reasonCode", concept)),
    row("focus", "the request it tracks", "Task.focus", one("focus", link), findings=("dangling-reference",)),
    row("based_on", "the request it fulfils", "Task.basedOn", many("basedOn", link)),
    row("part_of", "the larger task", "Task.partOf", many("partOf", link)),
    row(
        "patient",
        "the patient",
        "Task.for",
        _patient("for"),
        findings=PATIENT_DOUBTS,
    ),
    row("patient_link", "how the task names the patient", "Task.for", _patient_link("for")),
    row(
        "requester",
        "who asks",
        "Task.requester",
        _requester,
        also=("Task.requester.agent, .onBehalfOf (STU3)",),
        needs="requester",
    ),
    row("owner", "who does it", "Task.owner", one("owner", party)),
    row(
        "authored_at",
        "when it was made",
        "Task.authoredOn",
        time("authoredOn"),
        findings=("unreadable-time",),
    ),
    row("modified_at", "when it last changed", "Task.lastModified", time("lastModified")),
    row(
        "period", "from when to when it was worked on", "Task.executionPeriod", one("executionPeriod", period)
    ),
    row("due", "when it is to be done", "Task.restriction.period", _due),
    row("inputs", "what goes in", "Task.input", many("input", _task_value)),
    row(
        "outputs",
        "what came out: links, words, codes, files or any other value",
        "Task.output",
        many("output", _task_value),
        findings=("broken-base64", "wrong-type"),
    ),
    row("notes", "notes", "Task.note", many("note", annotation)),
    row("encounter", "the visit", "Task.encounter", one("encounter", link)),
    row("id", "id on the sending server", "Task.id", text("id")),
    row("version", "version on the sending server", "Task.meta.versionId", version),
    row("extensions", "what the sender added", "Task.extension", extensions, needs=""),
    source=_SOURCE,
    notes=("Tasks form trees over partOf; the links are kept as sent, and nothing here walks them.",),
)


# ---- STU3 --------------------------------------------------------------------------------------------------

_ERS = "https://fhir.nhs.uk/STU3/StructureDefinition/Extension-eRS-"
_STU3_STATUS = {
    "draft": "draft",
    "active": "active",
    "suspended": "on-hold",
    "cancelled": "revoked",
    "completed": "completed",
    "entered-in-error": "entered-in-error",
    "unknown": "unknown",
}


_STU3_CODE = code("status", frozenset(_STU3_STATUS), protects=True, required=True)
_PRIORITY = code("priority", bindings.PRIORITY, protects=True)


_DSTU2_ELEMENTS = frozenset({"patient", "dateSent", "date", "fulfillmentTime", "encounter"})
_DSTU2_STATUS = ("requested", "accepted", "rejected")  # no set: what is looked up may be anything


def is_dstu2(request: Resource) -> bool:
    """Whether a ReferralRequest is DSTU2's: it has a patient, not a subject, and other states."""
    if "subject" in request or "intent" in request:
        return False
    return not _DSTU2_ELEMENTS.isdisjoint(request) or request.get("status") in _DSTU2_STATUS


def extension_named(node: Node, url: str) -> Node | None:
    """The first extension with this url."""
    return next((child for child in node.children("extension") if child.value.get("url") == url), None)


def _stu3_status(node: Node) -> str | None:
    return _STU3_STATUS.get(_STU3_CODE(node) or "")


def _ers_state_part(name: str) -> Read:
    def read(node: Node) -> Concept | None:
        held = extension_named(node, _ERS + "ReferralState-1")
        part = extension_named(held, name) if held is not None else None
        return part.one("valueCoding", coding_as_concept) if part is not None else None

    return read


def _stu3_priority_code(node: Node) -> Concept | None:
    held = extension_named(node, _ERS + "ReferralPriority-1")
    return held.one("valueCodeableConcept", concept) if held is not None else None


def _stu3_priority(node: Node) -> str | None:
    plain: str | None = _PRIORITY(node)
    if plain is not None:
        return plain
    sent = _stu3_priority_code(node)
    if sent is None or sent.code is None:
        return None
    body: Body = node.body
    meant = body.profile.priorities.get(sent.code)
    if meant is None:
        node.doubt("unknown-code", "this priority is not one of the profile", "extension", refusing=True)
    return meant


def _stu3_requester(node: Node) -> Party | None:
    requester = node.child("requester")
    if requester is None:
        return None
    agent = requester.one("agent", party)
    office = requester.one("onBehalfOf", party)
    if agent is None or office is None or agent.organization is not None:
        return agent or office
    return replace(agent, organization=office.organization)


def _stu3_performers(node: Node) -> tuple[Party, ...]:
    """Recipients, else the services of the shortlist the referrer chose from."""
    found = node.many("recipient", party)
    held = extension_named(node, _ERS + "ReferralShortlist-1") if not found else None
    pointer = held.child("valueReference") if held is not None else None
    shortlist = pointer.body.follow(pointer) if pointer is not None else None
    if shortlist is None:
        return found
    return services_of([shortlist], node, "extension")


def services_of(shortlists: Iterable[Node], node: Node, step: str) -> tuple[Party, ...]:
    """The services named in Lists, those of each read once however many requests share it."""
    body: Body = node.body
    held = (body.once("services", one_, _services) for one_ in shortlists)
    return body.joined(held, node, step, most=MAX_SERVICES)


def _services(shortlist: Node) -> tuple[Party, ...]:
    entries = (entry for entry in shortlist.children("entry") if entry.value.get("deleted") is not True)
    return tuple(party(item) for entry in entries if (item := entry.child("item")) is not None)


def _stu3_wanted(node: Node) -> Period | None:
    return _occurrence(node)


def _stu3_question(node: Node) -> str | None:
    return node.text("description") or _question(node)


REFERRAL_REQUEST = Table(
    "ReferralRequest (STU3)",
    Referral,
    row("action", "what the message does to the referral", "MessageHeader.event", _action, needs=""),
    row(
        "identifiers",
        "every number of the referral",
        "ReferralRequest.identifier",
        identifiers,
    ),
    row("placer", "the referrer's number", "ReferralRequest.identifier (type PLAC)", _typed("PLAC")),
    row("filler", "the receiver's number", "ReferralRequest.identifier (type FILL)", _typed("FILL")),
    row(
        "status",
        "state of the request, in R4 words",
        "ReferralRequest.status",
        _stu3_status,
        needs="",
        findings=("missing-required", "unknown-code"),
    ),
    row(
        "status_code",
        "state as the national service calls it",
        "ReferralRequest.extension (eRS-ReferralState)",
        _ers_state_part("state"),
    ),
    row(
        "status_reason",
        "why",
        "ReferralRequest.extension (eRS-ReferralState, reason)",
        _ers_state_part("reason"),
    ),
    row(
        "intent", "proposal, plan or order", "ReferralRequest.intent", code("intent", bindings.REQUEST_INTENT)
    ),
    row(
        "priority",
        "how soon",
        "ReferralRequest.priority",
        _stu3_priority,
        also=("ReferralRequest.extension (eRS-ReferralPriority)",),
        needs="priority extension",
        findings=("unknown-code",),
    ),
    row(
        "priority_code",
        "the same, as sent",
        "ReferralRequest.extension (eRS-ReferralPriority)",
        _stu3_priority_code,
    ),
    row(
        "categories",
        "kind of referral",
        "ReferralRequest.type",
        lambda node: tuple(filter(None, [node.one("type", concept)])),
    ),
    row(
        "service",
        "what is asked for",
        "ReferralRequest.serviceRequested",
        lambda node: next(iter(node.many("serviceRequested", concept)), None),
    ),
    row("specialty", "whose field it is", "ReferralRequest.specialty", one("specialty", concept)),
    row(
        "reasons",
        "diagnoses and complaints",
        "ReferralRequest.reasonCode",
        _reasons,
        also=("ReferralRequest.reasonReference",),
        needs="reasonCode reasonReference",
        findings=("not-so",),
    ),
    row("reason_text", "reasons given in words only", "ReferralRequest.reasonCode.text", _reason_text),
    row(
        "question",
        "the clinical question",
        "ReferralRequest.description",
        _stu3_question,
        also=("ReferralRequest.note",),
        needs="description note",
    ),
    row("notes", "further notes", "ReferralRequest.note", _other_notes),
    row(
        "patient",
        "the patient",
        "ReferralRequest.subject",
        required("subject", _PATIENT),
        needs="",
        findings=("missing-required", *PATIENT_DOUBTS),
    ),
    row(
        "patient_link",
        "how the request names the patient",
        "ReferralRequest.subject",
        _patient_link("subject"),
    ),
    row(
        "referrer",
        "clinician and office that refer",
        "ReferralRequest.requester.agent",
        _stu3_requester,
        also=("ReferralRequest.requester.onBehalfOf",),
        needs="requester",
    ),
    row(
        "performers",
        "who is asked",
        "ReferralRequest.recipient",
        _stu3_performers,
        also=("ReferralRequest.extension (eRS-ReferralShortlist)",),
        needs="recipient extension",
        findings=("dangling-reference", "list-too-long"),
    ),
    row("authored_at", "when it was written", "ReferralRequest.authoredOn", time("authoredOn")),
    row(
        "wanted",
        "when it should happen",
        "ReferralRequest.occurrence[x]",
        _stu3_wanted,
        needs="occurrencePeriod occurrenceDateTime",
    ),
    row(
        "attachments",
        "documents that came along",
        "ReferralRequest.supportingInfo (DocumentReference)",
        _attachments,
        findings=("broken-base64", "wrong-type", "list-too-long"),
    ),
    row("supporting", "what it points at", "ReferralRequest.supportingInfo", many("supportingInfo", link)),
    row("based_on", "the request it fulfils", "ReferralRequest.basedOn", many("basedOn", link)),
    row("replaces", "the request it replaces", "ReferralRequest.replaces", _replaces),
    row("encounter", "the visit it was made in", "ReferralRequest.context", one("context", link)),
    row("id", "id on the sending server", "ReferralRequest.id", text("id")),
    row("version", "version on the sending server", "ReferralRequest.meta.versionId", version),
    row("extensions", "what the sender added", "ReferralRequest.extension", extensions, needs=""),
    source="FHIR STU3 3.0.2",
    notes=("Gone in R4; converted to the same fact as ServiceRequest. The envelope says version 3.0.",),
)


def referral(node: Node) -> Referral:
    """A ServiceRequest as a referral."""
    return SERVICE_REQUEST.read(node)


def referral_stu3(node: Node) -> Referral:
    """An STU3 ReferralRequest as a referral."""
    return REFERRAL_REQUEST.read(node)


def task(node: Node) -> Task:
    """A Task."""
    return TASK.read(node)


__all__ = [
    "DISPOSITIONS",
    "DISPOSITION_SYSTEMS",
    "REFERRAL_REQUEST",
    "SERVICE_REQUEST",
    "TASK",
    "event_of",
    "extension_named",
    "reason_of",
    "referral",
    "referral_stu3",
    "services_of",
    "task",
]
