"""Notes, letters and reports: DocumentReference, document Bundles, Composition, DiagnosticReport, Binary."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import replace

from baton_formats.facts import (
    Attachment,
    Concept,
    Document,
    Identifier,
    Link,
    Observation,
    PartialTime,
    Party,
    Patient,
    Period,
    Practitioner,
    Section,
    Signature,
    Text,
)
from baton_formats.fhir import bindings
from baton_formats.fhir.body import Body
from baton_formats.fhir.datatypes import (
    any_value,
    attachment,
    binary,
    concept,
    denial_of,
    extensions,
    identifier,
    identifiers,
    period,
)
from baton_formats.fhir.narrative import plain_text
from baton_formats.fhir.people import PATIENT_DOUBTS, link, organization_at, party, subject
from baton_formats.fhir.references import number_key
from baton_formats.fhir.schedule import referral_numbers
from baton_formats.fhir.tables import Read, Table, code, many, one, row, text, time, version
from baton_formats.fhir.tree import Node

_SOURCE = "FHIR R4 4.0.1, Documents"

DOC_STATUS = {
    "preliminary": "interim",
    "final": "final",
    "amended": "corrected",
    "corrected": "corrected",
    "appended": "addendum",
    "registered": "interim",
    "partial": "interim",
    "cancelled": "retracted",
    "entered-in-error": "retracted",
    "unknown": "unknown",
}
_RELATIONS = ("replaces", "appends", "transforms", "signs")
_SIGNING_MODES = frozenset({"legal", "professional"})
_MAX_SECTIONS = 8
MAX_LINES = 1_000
"""Result lines that a document takes of what it points at, and some more for each resource."""
_LINES_EACH = 20


def _patient(node: Node) -> Patient | None:
    return subject(node, "subject")[0]


def _patient_link(node: Node) -> Link | None:
    return subject(node, "subject")[1]


def _status(name: str, allowed: frozenset[str], *, required: bool = False) -> Read:
    read_code = code(name, allowed, protects=True, required=required)

    def read(node: Node) -> str | None:
        return DOC_STATUS.get(read_code(node) or "")

    return read


def _reference_status(node: Node) -> str | None:
    status = _DOC_STATUS(node)
    return "addendum" if status == "final" and _relation(node) == "appends" else status


def _composition_status(node: Node) -> str | None:
    status = _COMPOSITION_STATUS(node)
    return "addendum" if status == "final" and _relation(node) == "appends" else status


def _status_code(name: str) -> Read:
    def read(node: Node) -> Concept | None:
        word = node.text(name)
        return Concept(text=word) if word else None

    return read


def _parents(node: Node) -> tuple[Identifier, ...]:
    pointers: list[Node] = []
    for relation in node.children("relatesTo"):
        for name in ("target", "targetReference", "resourceReference"):
            if isinstance(relation.value.get(name), dict):
                pointers.extend(filter(None, [relation.child(name)]))
    own = tuple(
        number
        for relation in node.children("relatesTo")
        if (number := relation.one("targetIdentifier", identifier)) is not None
    )
    return referral_numbers(pointers) + own


def _relation(node: Node) -> str | None:
    """What it does to earlier documents; of several things the one that weighs most."""
    if "relatesTo" not in node.value:
        return None
    body: Body = node.body
    said = body.once("relations", node, lambda it: {_related_how(one_) for one_ in it.children("relatesTo")})
    return next((relation for relation in _RELATIONS if relation in said), None)


def _related_how(relation: Node) -> str | None:
    word = relation.value.get("code")
    if isinstance(word, dict):
        meaning = relation.one("code", concept)
        word = meaning.code if meaning else None
    if word in _RELATIONS:
        return str(word)
    relation.doubt("unknown-code", "this is no code of the required binding", "code")
    return None


# ---- DocumentReference -------------------------------------------------------------------------------------


def _master(node: Node) -> Identifier | None:
    return node.one("masterIdentifier", identifier)


def _numbers(node: Node) -> tuple[Identifier, ...]:
    master = _master(node)
    others = identifiers(node)
    return ((master,) if master else ()) + tuple(number for number in others if number != master)


def _contents(node: Node) -> tuple[Attachment, ...]:
    held: tuple[Attachment, ...] = node.body.once("content", node, _all_contents)
    return held


def _all_contents(node: Node) -> tuple[Attachment, ...]:
    found: list[Attachment] = []
    for content in node.children("content"):
        held = content.child("attachment")
        if held is not None:
            found.append(_filled(attachment(held), held))
        else:
            content.doubt("missing-required", "a content without attachment", "attachment")
    return tuple(found)


def _filled(held: Attachment, node: Node) -> Attachment:
    """An attachment that points at a Binary of the same body takes its bytes; nothing else is followed."""
    if held.content is not None or held.url is None:
        return held
    target = node.body.standing_at(held.url, node)
    if target is None or target.value.get("resourceType") != "Binary":
        return held
    inner: Attachment = node.body.once("binary", target, binary)
    return replace(
        held,
        content=inner.content,
        sha256=inner.sha256,
        size=inner.size,
        media_type=held.media_type or inner.media_type,
    )


def _signature(node: Node) -> Signature | None:
    """Who authenticated it; a document that still calls itself preliminary is not signed for all that."""
    who = node.one("authenticator", party)
    if who is None:
        return None
    status = "unsigned" if node.value.get("docStatus") == "preliminary" else "signed"
    return Signature(status=status, by=who.practitioner, code="authenticator")


def _action(node: Node) -> str | None:
    """What it does to an earlier document, or to itself."""
    if "entered-in-error" in (node.value.get("status"), node.value.get("docStatus")):
        return "cancel"
    return {"replaces": "replace", "appends": "addendum"}.get(_relation(node) or "")


def _context(name: str) -> Read:
    def read(node: Node) -> tuple[Node, ...]:
        held = node.child("context")
        if held is None or name not in held.value:
            return ()
        return (
            tuple(held.children(name))
            if isinstance(held.value[name], list)
            else tuple(filter(None, [held.child(name)]))
        )

    return read


def _related_referrals(node: Node) -> tuple[Identifier, ...]:
    return referral_numbers([pointer for pointer in _context("related")(node) if _names_a_request(pointer)])


def _names_a_request(pointer: Node) -> bool:
    body: Body = pointer.body
    kind = body.link(pointer).kind
    return kind in (None, "ServiceRequest", "ReferralRequest", "Task")


def _related(node: Node) -> tuple[Link, ...]:
    found = (link(pointer) for pointer in _context("related")(node))
    return tuple(one_ for one_ in found if one_.kind != "Observation")


def _related_results(node: Node) -> tuple[Observation, ...]:
    return _joined_lines(node, _context("related")(node), "context.related")


def _documented(node: Node) -> tuple[Concept, ...]:
    return tuple(concept(held) for held in _context("event")(node))


def _visit_period(node: Node) -> Period | None:
    return next((period(held) for held in _context("period")(node)), None)


def _visits(node: Node) -> tuple[Identifier, ...]:
    return referral_numbers(list(_context("encounter")(node)))


def _confidentiality(node: Node) -> str | None:
    return next((label.code for label in node.many("securityLabel", concept)), None)


def _written(node: Node) -> PartialTime | None:
    """date is an instant; what is less precise stands with the attachment."""
    given = node.time("date") or node.time("indexed")
    return given or next((held.created for held in _contents(node) if held.created), None)


_DOC_STATUS = _status("docStatus", bindings.COMPOSITION_STATUS)
_COMPOSITION_STATUS = _status("status", bindings.COMPOSITION_STATUS, required=True)


DOCUMENT_REFERENCE = Table(
    "DocumentReference",
    Document,
    row(
        "action",
        "whether it replaces, adds or takes back",
        "DocumentReference.relatesTo.code",
        _action,
        also=("DocumentReference.status (entered-in-error)",),
        needs="relatesTo status docStatus",
    ),
    row(
        "identifiers",
        "every number of the document",
        "DocumentReference.masterIdentifier",
        _numbers,
        also=("DocumentReference.identifier",),
        needs="masterIdentifier identifier",
    ),
    row("parents", "the document it replaces or adds to", "DocumentReference.relatesTo.target", _parents),
    row(
        "relation",
        "what it does to it: replaces before appends, transforms and signs",
        "DocumentReference.relatesTo.code",
        _relation,
        findings=("unknown-code",),
    ),
    row("type", "kind of document", "DocumentReference.type", one("type", concept)),
    row("categories", "class of document", "DocumentReference.category", many("category", concept)),
    row("title", "title", "DocumentReference.description", text("description")),
    row(
        "status",
        "interim, final, corrected or retracted",
        "DocumentReference.docStatus",
        _reference_status,
        findings=("unknown-code",),
    ),
    row("status_code", "the same, as sent", "DocumentReference.docStatus", _status_code("docStatus")),
    row(
        "availability",
        "current, superseded or entered in error",
        "DocumentReference.status",
        code("status", bindings.DOCUMENT_REFERENCE_STATUS, protects=True, required=True),
        needs="",
        findings=("missing-required", "unknown-code"),
    ),
    row(
        "signature", "whether and by whom it was authenticated", "DocumentReference.authenticator", _signature
    ),
    row(
        "written_at",
        "when it was written",
        "DocumentReference.date",
        _written,
        also=("DocumentReference.indexed (STU3)", "DocumentReference.content.attachment.creation"),
        needs="date indexed content",
    ),
    row("patient", "the patient", "DocumentReference.subject", _patient, findings=PATIENT_DOUBTS),
    row("patient_link", "how the document names the patient", "DocumentReference.subject", _patient_link),
    row("authors", "who wrote it", "DocumentReference.author", many("author", party)),
    row("custodian", "who keeps it", "DocumentReference.custodian", one("custodian", organization_at)),
    row(
        "referrals",
        "numbers of the referral it answers",
        "DocumentReference.context.related",
        _related_referrals,
        needs="context",
    ),
    row("based_on", "what it belongs to", "DocumentReference.context.related", _related, needs="context"),
    row("event", "what it documents", "DocumentReference.context.event", _documented, needs="context"),
    row(
        "observations",
        "results it points at",
        "DocumentReference.context.related (Observation)",
        _related_results,
        needs="context",
    ),
    row("visit", "numbers of the visit", "DocumentReference.context.encounter", _visits, needs="context"),
    row(
        "visit_period",
        "when the visit was",
        "DocumentReference.context.period",
        _visit_period,
        needs="context",
    ),
    row(
        "attachments",
        "its contents",
        "DocumentReference.content.attachment",
        _contents,
        also=("Binary of the same body, by attachment.url",),
        needs="content",
        findings=("broken-base64", "attachment-hash", "attachment-size", "missing-required", "wrong-type"),
    ),
    row("confidentiality", "how confidential", "DocumentReference.securityLabel", _confidentiality),
    row("language", "language", "DocumentReference.language", text("language")),
    row("id", "id on the sending server", "DocumentReference.id", text("id")),
    row("version", "version on the sending server", "DocumentReference.meta.versionId", version),
    row("extensions", "what the sender added", "DocumentReference.extension", extensions, needs=""),
    source=_SOURCE,
)


# ---- Composition and document Bundles ----------------------------------------------------------------------


def _narrative(node: Node) -> Text | None:
    held = node.child("text")
    div = held.text("div") if held is not None else None
    return Text.of(plain_text(div)) or None if div else None


def _section(node: Node, depth: int = 0) -> Section:
    inner = node.children("section") if depth < _MAX_SECTIONS else []
    return Section(
        title=node.text("title"),
        code=node.one("code", concept),
        text=_narrative(node),
        sections=tuple([_section(child, depth + 1) for child in inner]),
    )


def _sections(node: Node) -> tuple[Section, ...]:
    for child in node.children("section"):
        if not any(name in child.value for name in ("text", "entry", "section")):
            child.doubt("empty-section", "a section has neither text nor entries nor sections (cmp-1)")
    return tuple([_section(child) for child in node.children("section")])


def _entries(node: Node, depth: int = 0) -> Iterator[Node]:
    for child in node.children("section"):
        yield from child.children("entry")
        if depth < _MAX_SECTIONS:
            yield from _entries(child, depth + 1)


_CATEGORIES = {
    "Observation": "result",
    "AllergyIntolerance": "allergy",
    "Condition": "condition",
    "MedicationRequest": "medication",
    "MedicationStatement": "medication",
    "Procedure": "procedure",
    "Immunization": "immunization",
}


def _observations(node: Node) -> tuple[Observation, ...]:
    return _joined_lines(node, list(_entries(node)), "section")


def _joined_lines(node: Node, pointers: list[Node], step: str) -> tuple[Observation, ...]:
    """The lines of all that is pointed at; many documents may point at the same."""
    body: Body = node.body
    held = (observations_of(target) for target in body.targets(pointers))
    return body.joined(held, node, step, most=MAX_LINES + _LINES_EACH * len(pointers))


def observations_of(node: Node) -> tuple[Observation, ...]:
    """A clinical resource as result lines: an Observation with its components, or what it says by code."""
    found: tuple[Observation, ...] = node.body.once("lines", node, _lines)
    return found


def _lines(node: Node) -> tuple[Observation, ...]:
    category = _CATEGORIES.get(str(node.value.get("resourceType")))
    if category is None:
        return ()
    if (word := denial_of(node)) is not None:
        node.doubt("not-so", f"this is marked {word}; its line says so")
    own = _observation(node, category)
    return (own, *(_observation(part, category) for part in node.children("component")))


def _observation(node: Node, category: str) -> Observation:
    meaning = node.child("medicationCodeableConcept") or node.child("vaccineCode") or node.child("code")
    value, unit = _value(node)
    return Observation(
        code=concept(meaning) if meaning is not None else None,
        value=value,
        unit=unit,
        status=node.text("status") if isinstance(node.value.get("status"), str) else denial_of(node),
        at=node.time("effectiveDateTime"),
        category=category,
        id=node.text("id"),
    )


def _value(node: Node) -> tuple[str | None, str | None]:
    if "valueQuantity" in node.value:
        held = node.child("valueQuantity")
        if held is None:
            return None, None
        number = node.body.exactly(held, "value")
        return (None if number is None else f"{_comparator(held)}{number}"), (
            held.text("unit") or held.text("code")
        )
    if "valueCodeableConcept" in node.value:
        meaning = node.one("valueCodeableConcept", concept)
        return (meaning.label if meaning else None), None
    for name in ("valueString", "valueDateTime", "valueTime"):
        if name in node.value:
            return node.text(name), None
    if not _OTHER_VALUES.isdisjoint(node.value):
        kind, value = any_value(node)
        if kind in ("Integer", "Boolean"):
            return value, None
        node.doubt(
            "value-left-aside", "a value of this type was left aside", f"value{kind}" if kind else None
        )
    return None, None


_OTHER_VALUES = frozenset(
    {
        "valueInteger",
        "valueBoolean",
        "valueRange",
        "valueRatio",
        "valueSampledData",
        "valuePeriod",
        "valueAttachment",
    }
)


def _comparator(quantity: Node) -> str:
    """Less than, more than: without it a value would say something else."""
    word = quantity.text("comparator") if "comparator" in quantity.value else None
    if word is None or word in bindings.COMPARATOR:
        return word or ""
    quantity.doubt("unknown-code", "this is no code of the required binding", "comparator")
    return ""


def _attesters(node: Node) -> Signature | None:
    for held in node.children("attester"):
        mode = held.value.get("mode")
        modes = mode if isinstance(mode, list) else [mode]
        signing = next((m for m in modes if isinstance(m, str) and m in _SIGNING_MODES), None)
        if signing is not None:
            who = held.one("party", party)
            by: Practitioner | None = who.practitioner if who else None
            status = "unsigned" if node.value.get("status") == "preliminary" else "signed"
            return Signature(status=status, by=by, at=held.time("time"), code=signing)
    return None


def _type_categories(node: Node) -> tuple[Concept, ...]:
    if isinstance(node.value.get("class"), dict):
        held = node.one("class", concept)
        return (held,) if held else ()
    return node.many("category", concept)


def _visit_of_composition(node: Node) -> tuple[Identifier, ...]:
    held = node.child("encounter")
    return referral_numbers([held]) if held is not None else ()


def _authors(node: Node) -> tuple[Party, ...]:
    if not node.value.get("author"):
        node.doubt("missing-required", "a composition has an author", "author")
        return ()
    return node.many("author", party)


def _set_id(node: Node) -> Identifier | None:
    return node.one("identifier", identifier)


def _events(node: Node) -> tuple[Concept, ...]:
    return tuple(meaning for held in node.children("event") for meaning in held.many("code", concept))


COMPOSITION = Table(
    "Composition, document Bundle",
    Document,
    row(
        "action",
        "whether it replaces, adds or takes back",
        "Composition.relatesTo.code",
        _action,
        also=("Composition.status (entered-in-error)",),
        needs="relatesTo status",
    ),
    row("set_id", "number of the document over all its versions", "Composition.identifier", _set_id),
    row("parents", "the document it replaces or adds to", "Composition.relatesTo.target[x]", _parents),
    row(
        "relation",
        "what it does to it: replaces before appends, transforms and signs",
        "Composition.relatesTo.code",
        _relation,
        findings=("unknown-code",),
    ),
    row("type", "kind of document", "Composition.type", one("type", concept)),
    row("categories", "class of document", "Composition.category", _type_categories, needs="category class"),
    row("title", "title", "Composition.title", text("title")),
    row(
        "status",
        "interim, final, corrected or retracted",
        "Composition.status",
        _composition_status,
        needs="",
        findings=("missing-required", "unknown-code"),
    ),
    row("status_code", "the same, as sent", "Composition.status", _status_code("status")),
    row("signature", "whether and by whom it was authenticated", "Composition.attester", _attesters),
    row("written_at", "when it was written", "Composition.date", time("date"), findings=("unreadable-time",)),
    row(
        "patient",
        "the patient",
        "Composition.subject",
        _patient,
        findings=PATIENT_DOUBTS,
    ),
    row("patient_link", "how the document names the patient", "Composition.subject", _patient_link),
    row(
        "authors",
        "who wrote it",
        "Composition.author",
        _authors,
        needs="",
        findings=("missing-required", "dangling-reference"),
    ),
    row("custodian", "who keeps it", "Composition.custodian", one("custodian", organization_at)),
    row("visit", "numbers of the visit", "Composition.encounter", _visit_of_composition),
    row("event", "what it documents", "Composition.event.code", _events),
    row(
        "sections",
        "its sections, as plain text",
        "Composition.section",
        _sections,
        findings=("empty-section",),
    ),
    row(
        "observations",
        "results, allergies, conditions, medication it points at",
        "Composition.section.entry",
        _observations,
        needs="section",
        findings=("dangling-reference", "list-too-long", "not-so", "value-left-aside", "unknown-code"),
    ),
    row("text", "its own narrative, as plain text", "Composition.text", _narrative),
    row("confidentiality", "how confidential", "Composition.confidentiality", text("confidentiality")),
    row("language", "language", "Composition.language", text("language")),
    row("id", "id on the sending server", "Composition.id", text("id")),
    row("version", "version on the sending server", "Composition.meta.versionId", version),
    row("extensions", "what the sender added", "Composition.extension", extensions, needs=""),
    source=_SOURCE,
    notes=("Narrative is shown as text only; it is never needed and never believed.",),
)


def composition(node: Node) -> Document:
    """A Composition, with the number of the document Bundle it opens and the attachments beside it."""
    document = COMPOSITION.read(node)
    holder = node.body.document_of(node)
    if holder is None:
        return document
    number = holder.one("identifier", identifier)
    beside = tuple(held for held in node.body.beside(node, "Binary"))
    references = tuple(held for held in node.body.beside(node, "DocumentReference"))
    attachments = tuple(node.body.once("binary", held, binary) for held in beside)
    attachments += tuple(c for held in references for c in _contents(held) if c.content is not None)
    return replace(
        document,
        identifiers=(number,) if number is not None else (),
        attachments=attachments,
    )


# ---- DiagnosticReport, Binary ------------------------------------------------------------------------------


def _results(node: Node) -> tuple[Observation, ...]:
    return _joined_lines(node, node.children("result"), "result")


def _conclusion(node: Node) -> Text | None:
    words = node.text("conclusion")
    return Text.of(words) if words else None


DIAGNOSTIC_REPORT = Table(
    "DiagnosticReport",
    Document,
    row(
        "identifiers",
        "every number of the report",
        "DiagnosticReport.identifier",
        identifiers,
    ),
    row("type", "kind of report", "DiagnosticReport.code", one("code", concept)),
    row("categories", "class of report", "DiagnosticReport.category", many("category", concept)),
    row(
        "status",
        "interim, final, corrected or retracted",
        "DiagnosticReport.status",
        _status("status", bindings.DIAGNOSTIC_REPORT_STATUS, required=True),
        needs="",
        findings=("missing-required", "unknown-code"),
    ),
    row("status_code", "the same, as sent", "DiagnosticReport.status", _status_code("status")),
    row(
        "written_at",
        "when it was released",
        "DiagnosticReport.issued",
        lambda node: node.time("issued") or node.time("effectiveDateTime"),
        also=("DiagnosticReport.effectiveDateTime",),
        needs="issued effectiveDateTime",
    ),
    row("patient", "the patient", "DiagnosticReport.subject", _patient),
    row("patient_link", "how the report names the patient", "DiagnosticReport.subject", _patient_link),
    row(
        "authors",
        "who wrote it",
        "DiagnosticReport.resultsInterpreter",
        lambda node: node.many("resultsInterpreter", party) or node.many("performer", party),
        also=("DiagnosticReport.performer",),
        needs="resultsInterpreter performer",
    ),
    row(
        "referrals",
        "numbers of the request",
        "DiagnosticReport.basedOn",
        lambda node: referral_numbers(node.children("basedOn")),
    ),
    row("based_on", "the request it answers", "DiagnosticReport.basedOn", many("basedOn", link)),
    row(
        "visit",
        "numbers of the visit",
        "DiagnosticReport.encounter",
        _visit_of_composition,
        needs="encounter",
    ),
    row(
        "observations",
        "its results",
        "DiagnosticReport.result",
        _results,
        findings=("dangling-reference", "list-too-long", "not-so", "value-left-aside", "unknown-code"),
    ),
    row("text", "the conclusion", "DiagnosticReport.conclusion", _conclusion),
    row(
        "attachments",
        "the report as issued",
        "DiagnosticReport.presentedForm",
        many("presentedForm", attachment),
        findings=("broken-base64",),
    ),
    row("id", "id on the sending server", "DiagnosticReport.id", text("id")),
    row("version", "version on the sending server", "DiagnosticReport.meta.versionId", version),
    row("extensions", "what the sender added", "DiagnosticReport.extension", extensions, needs=""),
    source="FHIR R4 4.0.1, Diagnostics",
)


def _common_subject(results: list[Node]) -> tuple[Patient | None, Link | None]:
    """Whom all these results are about; nobody, if they are about several."""
    if len(results) == 1:
        return subject(results[0], "subject")
    said = [one_.child("subject") for one_ in results]
    targets = {_means(pointer) for pointer in said if pointer is not None}
    if len(targets) > 1:
        detail = "results of several patients came without a document around them"
        results[0].doubt("several-subjects", detail, "subject")
        return None, None
    first = next((node for node, pointer in zip(results, said, strict=True) if pointer is not None), None)
    return subject(first, "subject") if first is not None else (None, None)


def _means(pointer: Node) -> Hashable:
    """What tells one subject from another: the resource, else the number, else the words of the reference."""
    body: Body = pointer.body
    target = body.follow(pointer)
    if target is not None:
        return id(target.value)
    number = number_key(pointer.value.get("identifier"))
    return number or pointer.text("reference") or pointer.text("display")


def loose_results(body: Body) -> Document | None:
    """Results that came without a document around them: a lone Observation, or those of a closed Bundle."""
    if not body.closed and body.root.value.get("resourceType") != "Observation":
        return None
    if body.of_type("Composition") or body.of_type("DiagnosticReport"):
        return None
    held = body.of_type("Observation")
    if not held:
        return None
    about, how = _common_subject(held)
    lines = tuple(line for node in held for line in observations_of(node))
    return Document(patient=about, patient_link=how, observations=lines)


def document_reference(node: Node) -> Document:
    """A DocumentReference."""
    return DOCUMENT_REFERENCE.read(node)


def diagnostic_report(node: Node) -> Document:
    """A DiagnosticReport as a document."""
    return DIAGNOSTIC_REPORT.read(node)


def lone_binary(node: Node) -> Document:
    """A Binary that came alone: a document nobody described."""
    return Document(attachments=(binary(node),), id=node.text("id"))


__all__ = [
    "COMPOSITION",
    "DIAGNOSTIC_REPORT",
    "DOCUMENT_REFERENCE",
    "composition",
    "diagnostic_report",
    "document_reference",
    "lone_binary",
    "loose_results",
    "observations_of",
]
