"""What systems say to each other about messages: MessageHeader, OperationOutcome, Communication."""

from __future__ import annotations

from baton_formats.facts import Acknowledgement, Attachment, Communication, Identifier, Issue, Link, Note
from baton_formats.fhir import bindings
from baton_formats.fhir.body import Body
from baton_formats.fhir.datatypes import annotation, attachment, concept, extensions, identifier, identifiers
from baton_formats.fhir.flat import usual
from baton_formats.fhir.people import link, party, subject
from baton_formats.fhir.requests import event_of
from baton_formats.fhir.tables import Row, Table, code, many, one, row, text, texts, time, version
from baton_formats.fhir.tree import Node, one_usual
from baton_formats.findings import Endpoint, Envelope
from baton_formats.values import maker_of

_ENVELOPE = maker_of(Envelope)
_USUAL_PROFILES = usual(lambda profiles: profiles, texts("profile"))

# ---- MessageHeader -----------------------------------------------------------------------------------------


def envelope(body: Body, *, fhir_version: str) -> Envelope:
    """What the body says about itself. A Bundle id is no key: partners reuse it."""
    root = body.root
    value = root.value
    headers = body.of_type("MessageHeader")
    profiles = one_usual(value["meta"], _USUAL_PROFILES) if "meta" in value else ()
    meta = root.child("meta") if profiles is None else None
    sent = root.time("timestamp") if "timestamp" in value and value.get("resourceType") == "Bundle" else None
    if not headers:
        return _ENVELOPE(
            control_id=root.text("id") if "id" in value and type(value["id"]) is str else None,
            version=fhir_version,
            profile=body.profile.name,
            profiles=profiles or (meta.texts("profile") if meta is not None else ()),
            sent_at=sent,
        )
    header = headers[0]
    response = header.child("response")
    return Envelope(
        control_id=header.text("id"),
        event=event_of(header),
        version=fhir_version,
        profile=body.profile.name,
        profiles=_profiles(header),
        sender=_sender(header),
        receivers=tuple(_receiver(node) for node in header.children("destination")),
        sent_at=sent or header.time("timestamp"),
        responds_to=_answered(response) if response is not None else None,
        response_code=response.text("code") if response is not None else None,
    )


def _profiles(header: Node) -> tuple[str, ...]:
    meta = header.child("meta")
    return meta.texts("profile") if meta is not None else ()


def _answered(response: Node) -> str | None:
    held = response.value.get("identifier")
    if isinstance(held, dict):
        number = response.one("identifier", identifier)
        return number.value if number else None
    return response.text("identifier")


def _sender(header: Node) -> Endpoint:
    source = header.child("source")
    who = header.one("sender", party)
    office = who.organization if who is not None else None
    return Endpoint(
        application=_first(identifiers(source)) if source is not None else None,
        facility=_first(office.identifiers) if office is not None else None,
        name=(office.name if office else None) or (source.text("name") if source is not None else None),
        address=source.text("endpoint") if source is not None else None,
        software=source.text("software") if source is not None else None,
    )


def _receiver(node: Node) -> Endpoint:
    who = node.one("receiver", party)
    office = who.organization if who is not None else None
    return Endpoint(
        facility=_first(office.identifiers) if office is not None else None,
        name=(office.name if office else None) or node.text("name"),
        address=node.text("endpoint"),
    )


def _first(numbers: tuple[Identifier, ...]) -> Identifier | None:
    return numbers[0] if numbers else None


def header_answer(node: Node) -> Acknowledgement | None:
    """A MessageHeader that answers an earlier message."""
    response = node.child("response")
    if response is None:
        return None
    issues: tuple[Issue, ...] = ()
    details = response.child("details")
    outcome = node.body.follow(details) if details is not None else None
    if outcome is not None:
        issues = _issues(outcome)
    return Acknowledgement(
        code=response.text("code"), acknowledges=_answered(response), issues=issues, id=node.text("id")
    )


# ---- OperationOutcome --------------------------------------------------------------------------------------


def _issue(node: Node) -> Issue:
    details = node.one("details", concept)
    words = node.text("diagnostics") or (details.label if details else None)
    where = node.texts("expression") or node.texts("location")
    return Issue(
        severity=node.text("severity"),
        code=(details.code if details else None) or node.text("code"),
        where=where[0] if where else None,
        detail=words,
    )


def _issues(node: Node) -> tuple[Issue, ...]:
    body: Body = node.body
    return body.once("issues", node, lambda it: it.many("issue", _issue))


OPERATION_OUTCOME = Table(
    "OperationOutcome",
    Acknowledgement,
    row("issues", "what the peer complains about", "OperationOutcome.issue", _issues),
    row(
        "code",
        "the worst of it",
        "OperationOutcome.issue.severity",
        lambda node: next((i.severity for i in _issues(node) if i.severity), None),
    ),
    row("id", "id on the sending server", "OperationOutcome.id", text("id")),
    source="FHIR R4 4.0.1, OperationOutcome",
)


# ---- Communication -----------------------------------------------------------------------------------------


def _payload_texts(node: Node) -> tuple[str, ...]:
    return tuple(
        filter(
            None,
            (part.text("contentString") for part in node.children("payload") if part.has("contentString")),
        )
    )


def _payload_attachments(node: Node) -> tuple[Attachment, ...]:
    found = (part.one("contentAttachment", attachment) for part in node.children("payload"))
    return tuple(held for held in found if held is not None)


def _notes(node: Node) -> tuple[Note, ...]:
    return node.many("note", annotation)


def _text(node: Node) -> tuple[str, ...]:
    return _payload_texts(node) + tuple(note.text for note in _notes(node) if note.text)


def _based_on(node: Node) -> tuple[Link, ...]:
    return node.many("basedOn", link)


def _status(allowed: frozenset[str]) -> Row:
    return row(
        "status",
        "how far it is",
        "Communication.status",
        code("status", allowed, protects=True, required=True),
        needs="",
        findings=("missing-required", "unknown-code"),
    )


_ROWS = (
    row("identifiers", "every number of it", "Communication.identifier", identifiers),
    row("status_reason", "why", "Communication.statusReason", one("statusReason", concept)),
    row("categories", "kind of message", "Communication.category", many("category", concept)),
    row(
        "priority",
        "how soon",
        "Communication.priority",
        code("priority", bindings.PRIORITY, protects=True),
        findings=("unknown-code",),
    ),
    row("topic", "what it is about", "Communication.topic", one("topic", concept)),
    row("reasons", "why it is sent", "Communication.reasonCode", many("reasonCode", concept)),
    row("patient", "the patient", "Communication.subject", lambda node: subject(node, "subject")[0]),
    row(
        "patient_link",
        "how it names the patient",
        "Communication.subject",
        lambda node: subject(node, "subject")[1],
    ),
    row("sender", "who says it", "Communication.sender", one("sender", party)),
    row("recipients", "to whom", "Communication.recipient", many("recipient", party)),
    row("about", "what it points at", "Communication.about", many("about", link)),
    row("based_on", "the request it belongs to", "Communication.basedOn", _based_on),
    row("in_response_to", "what it answers", "Communication.inResponseTo", many("inResponseTo", link)),
    row(
        "sent_at",
        "when it was sent",
        "Communication.sent",
        lambda node: node.time("sent") or node.time("authoredOn"),
        also=("CommunicationRequest.authoredOn",),
        needs="sent authoredOn",
    ),
    row("received_at", "when it arrived", "Communication.received", time("received")),
    row(
        "text",
        "what it says",
        "Communication.payload.contentString",
        _text,
        also=("Communication.note",),
        needs="payload note",
    ),
    row(
        "attachments",
        "what came with it",
        "Communication.payload.contentAttachment",
        _payload_attachments,
        findings=("broken-base64", "wrong-type"),
    ),
    row("id", "id on the sending server", "Communication.id", text("id")),
    row("version", "version on the sending server", "Communication.meta.versionId", version),
    row("extensions", "what the sender added", "Communication.extension", extensions, needs=""),
)

COMMUNICATION = Table(
    "Communication",
    Communication,
    _status(bindings.EVENT_STATUS),
    *_ROWS,
    source="FHIR R4 4.0.1, Communication",
)

COMMUNICATION_REQUEST = Table(
    "CommunicationRequest",
    Communication,
    _status(bindings.REQUEST_STATUS),
    *_ROWS,
    row(
        "request",
        "it asks for words rather than says them",
        "CommunicationRequest",
        lambda node: True,
        needs="",
    ),
    source="FHIR R4 4.0.1, CommunicationRequest",
)


def communication(node: Node) -> Communication:
    """A Communication."""
    return COMMUNICATION.read(node)


def communication_request(node: Node) -> Communication:
    """A CommunicationRequest, as a communication that is asked for."""
    return COMMUNICATION_REQUEST.read(node)


def outcome(node: Node) -> Acknowledgement:
    """An OperationOutcome."""
    return OPERATION_OUTCOME.read(node)
