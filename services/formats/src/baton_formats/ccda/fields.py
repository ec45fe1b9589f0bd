"""The fields of a document and of a referral in a ClinicalDocument: declared once, read and printed."""

from dataclasses import dataclass
from typing import Any, Final

from baton_formats.ccda.attachments import plain_text
from baton_formats.ccda.datatypes import concept, identifier, identifiers, period, template_ids, time
from baton_formats.ccda.document import MAX_HEAD, MAX_MEDIA, MAX_NODES, MAX_WORDS, Node
from baton_formats.ccda.doubts import Doubts
from baton_formats.ccda.people import PATIENT, is_person, is_private, organization, party
from baton_formats.declaration import FieldMapping, MessageMapping
from baton_formats.facts import (
    Attachment,
    Concept,
    Identifier,
    Link,
    Organization,
    Party,
    Patient,
    Period,
    Section,
    Signature,
    Text,
)
from baton_formats.findings import Format

REFERRAL_NOTE: Final = "2.16.840.1.113883.10.20.22.1.14"
CONSULTATION_NOTE: Final = "2.16.840.1.113883.10.20.22.1.4"
_CODES_OF_TEMPLATES: Final = {REFERRAL_NOTE: "57133-1"}
_LOINC: Final = "http://loinc.org"


@dataclass(frozen=True, slots=True)
class Head:
    """What every field of a document is read from; `patient` and the other parts are read once."""

    root: Node
    doubts: Doubts
    sha256: str
    patient: Patient | None
    authors: tuple[Party, ...]
    signer: Party | None
    recipients: tuple[Party, ...]
    sections: tuple[Section, ...]
    attachments: tuple[Attachment, ...]
    reason: str | None

    @property
    def template_ids(self) -> tuple[str, ...]:
        """The roots of its template ids, in order."""
        return template_ids(self.root)


def _document_ids(head: Head) -> tuple[Identifier, ...]:
    found = identifiers(head.root.all("id"), head.doubts, of_thing=True)
    if not found:
        head.doubts.add("document-without-id", "/ClinicalDocument")
    return found


_RELATIONS: Final = {"RPLC": "replaces", "APND": "appends", "XFRM": "transforms"}


def _relation(head: Head) -> str | None:
    codes = (node.get("typeCode") or "" for node in head.root.all("relatedDocument"))
    return next((_RELATIONS[code] for code in codes if code in _RELATIONS), None)


def _action(head: Head) -> str:
    return {"replaces": "replace", "appends": "addendum"}.get(_relation(head) or "", "new")


def _status(head: Head) -> str:
    related = {"replaces": "corrected", "appends": "addendum"}.get(_relation(head) or "")
    return related or ("final" if _signature(head).status == "signed" else "unknown")


_SIGNATURES: Final = {"S": "signed", "X": "unsigned", "I": "unsigned"}  # ParticipationSignature, HL7 V3


def _signature(head: Head) -> Signature:
    """The legal authenticator before the authenticator, who attests but does not sign for it in law."""
    for name in ("legalAuthenticator", "authenticator"):
        node = head.root.first(name)
        if node is None or node.is_null:
            continue
        code = node.first("signatureCode")
        word = code.get("code") if code is not None else None
        if name == "authenticator":
            head.doubts.add("not-signed-legally", node)
        signer = head.signer.practitioner if head.signer is not None else None
        return Signature(
            status=_SIGNATURES.get(word or "", "unknown"),
            by=signer,
            at=time(node.first("time"), head.doubts),
            code=word,
        )
    return Signature()


def _referrals(head: Head) -> tuple[Identifier, ...]:
    nodes = head.root.all("inFulfillmentOf/order/id")
    for node in nodes:
        if (node.get("root") or "").startswith("2.16.840.1.113883.6."):
            head.doubts.add("order-id-in-code-system", node)
    return identifiers(nodes, head.doubts, of_thing=True)


def _orders(head: Head) -> tuple[Link, ...]:
    found = []
    for order in head.root.all("inFulfillmentOf/order"):
        code = concept(order.first("code"))
        number = next(iter(identifiers(order.all("id"), head.doubts, of_thing=True)), None)
        if number is not None or code is not None:
            found.append(Link(kind="order", identifier=number, display=code.label if code else None))
    return tuple(found)


def _referrer_named(head: Head) -> Party | None:
    """Whom the document itself calls the referrer (REFB and REF of ParticipationType, HL7 V3)."""
    encounter = head.root.all("componentOf/encompassingEncounter/encounterParticipant")
    for node in (*head.root.all("participant"), *encounter):
        if node.get("typeCode") in ("REFB", "REF"):
            return party(node.first("associatedEntity") or node.first("assignedEntity"), head.doubts)
    return None


def _performers(head: Head) -> tuple[Party, ...]:
    """To whom it goes, and whom it calls referred to (REFT)."""
    named = (one for one in head.root.all("participant") if one.get("typeCode") == "REFT")
    found = (party(one.first("associatedEntity"), head.doubts) for one in named)
    return (*head.recipients, *(one for one in found if one is not None and one not in head.recipients))


def custodian(root: Node, doubts: Doubts) -> Organization | None:
    """Who keeps the document."""
    return organization(root.first("custodian/assignedCustodian/representedCustodianOrganization"), doubts)


def _visit_period(head: Head) -> Period | None:
    stay = period(head.root.first("componentOf/encompassingEncounter/effectiveTime"), head.doubts)
    return stay or period(head.root.first("documentationOf/serviceEvent/effectiveTime"), head.doubts)


def _text_of(head: Head) -> Text | None:
    texts = (plain_text(found) for found in head.attachments)
    return next((text for text in texts if text), None)


DOCUMENT: Final = MessageMapping(
    format=Format.CCDA,
    message="ClinicalDocument",
    fact="document",
    source="HL7 CDA R2 (POCD_HD000040), C-CDA R2.1 US Realm Header",
    fields=(
        FieldMapping(
            "action",
            "What the document does: new, replace, addendum",
            "relatedDocument/@typeCode",
            read=_action,
        ),
        FieldMapping(
            "identifiers",
            "Its own number, which other documents may carry too",
            "id",
            findings=("document-without-id", "identifier-without-value", "identifier-without-system"),
            read=_document_ids,
        ),
        FieldMapping(
            "version",
            "Which content it is, by the SHA-256 of its bytes",
            "the bytes",
            read=lambda head: head.sha256,
        ),
        FieldMapping(
            "set_id",
            "The number of the set its versions share",
            "setId",
            read=lambda head: _one_identifier(head, "setId"),
        ),
        FieldMapping(
            "version_number",
            "The version the sender counts",
            "versionNumber/@value",
            read=lambda head: head.root.value_at("versionNumber", "value"),
        ),
        FieldMapping(
            "parents",
            "The documents it replaces or continues",
            "relatedDocument/parentDocument/id",
            read=lambda head: identifiers(
                head.root.all("relatedDocument/parentDocument/id"), head.doubts, of_thing=True
            ),
        ),
        FieldMapping("relation", "What it does to them", "relatedDocument/@typeCode", read=_relation),
        FieldMapping(
            "type",
            "What kind of document its sender calls it; nothing depends on it",
            "code",
            also=("code/translation",),
            findings=("code-invalid", "code-disagrees"),
            read=lambda head: _type(head),
        ),
        FieldMapping("title", "Its title", "title", read=lambda head: head.root.text_at("title")),
        FieldMapping(
            "status",
            "final when signed, addendum or corrected when it is one, else unknown",
            "legalAuthenticator",
            also=("authenticator", "relatedDocument"),
            read=_status,
        ),
        FieldMapping(
            "signature",
            "Who signed it, when, with which code",
            "legalAuthenticator",
            also=("authenticator",),
            findings=("not-signed-legally",),
            read=_signature,
        ),
        FieldMapping(
            "written_at",
            "When it was made",
            "effectiveTime",
            findings=("unreadable-time",),
            read=lambda head: time(head.root.first("effectiveTime"), head.doubts),
        ),
        FieldMapping(
            "patient",
            "Whom it is about",
            "recordTarget/patientRole",
            findings=("several-patients",),
            read=lambda head: head.patient,
        ),
        FieldMapping(
            "authors",
            "Who wrote it, persons and programs",
            "author/assignedAuthor",
            findings=(
                "author-is-software",
                "author-is-private",
                "document-without-author",
                "author-time-differs",
            ),
            read=lambda head: head.authors,
        ),
        FieldMapping(
            "custodian",
            "Who keeps it",
            "custodian/assignedCustodian/representedCustodianOrganization",
            findings=("document-without-custodian",),
            read=lambda head: custodian(head.root, head.doubts),
        ),
        FieldMapping(
            "recipients",
            "To whom it goes",
            "informationRecipient/intendedRecipient",
            read=lambda head: head.recipients,
        ),
        FieldMapping(
            "referrer",
            "Whom it calls the referrer",
            "participant[@typeCode=REFB]/associatedEntity",
            also=("componentOf/encompassingEncounter/encounterParticipant[@typeCode=REF]",),
            read=_referrer_named,
        ),
        FieldMapping(
            "referrals",
            "The orders it fulfils",
            "inFulfillmentOf/order/id",
            findings=("order-id-in-code-system",),
            read=_referrals,
        ),
        FieldMapping(
            "based_on", "The same orders with what was ordered", "inFulfillmentOf/order", read=_orders
        ),
        FieldMapping(
            "visit",
            "The number of the visit",
            "componentOf/encompassingEncounter/id",
            read=lambda head: identifiers(
                head.root.all("componentOf/encompassingEncounter/id"), head.doubts, of_thing=True
            ),
        ),
        FieldMapping(
            "visit_period",
            "When the visit or stay was",
            "componentOf/encompassingEncounter/effectiveTime",
            also=("documentationOf/serviceEvent/effectiveTime",),
            read=_visit_period,
        ),
        FieldMapping(
            "event",
            "What was done",
            "documentationOf/serviceEvent/code",
            read=lambda head: _concepts(head.root.all("documentationOf/serviceEvent/code")),
        ),
        FieldMapping(
            "sections",
            "Its sections as plain text, at any depth",
            "component/structuredBody/component/section",
            findings=("active-content-removed",),
            read=lambda head: head.sections,
        ),
        FieldMapping(
            "text",
            "The words of a body that is plain text",
            "component/nonXMLBody/text",
            findings=("text-says-unsigned",),
            read=_text_of,
        ),
        FieldMapping(
            "attachments",
            "PDF, pictures and text that travelled inside, or what was only pointed at",
            "component/nonXMLBody/text",
            also=("section/entry/observationMedia/value",),
            findings=(
                "attachment-not-included",
                "attachment-empty",
                "attachment-broken",
                "attachment-compressed",
                "media-type-differs",
            ),
            read=lambda head: head.attachments,
        ),
        FieldMapping(
            "confidentiality",
            "How confidential its sender holds it",
            "confidentialityCode/@code",
            read=lambda head: head.root.value_at("confidentialityCode", "code"),
        ),
        FieldMapping(
            "template_ids",
            "The templates it claims, hints only",
            "templateId/@root",
            read=lambda head: head.template_ids,
        ),
        FieldMapping(
            "language",
            "Its language",
            "languageCode/@code",
            read=lambda head: head.root.value_at("languageCode", "code"),
        ),
    ),
    notes=(
        "A document is never chosen or refused by its code: many referrals carry the code of a summary.",
        "An id is no key by itself; the version is the hash of the content.",
        "Stylesheets and references are never fetched; a document type declaration is refused.",
        "Clinicians of documentationOf and componentOf become practitioners, with their part as role.",
        f"Narrative and embedded files are kept whole; of all else {MAX_NODES:,} elements and sections,"
        f" {MAX_HEAD:,} characters, {MAX_WORDS:,} of one element, and {MAX_MEDIA:,} embedded files are kept;"
        " what is beyond becomes the finding document-too-crowded.",
    ),
)


def _one_identifier(head: Head, path: str) -> Identifier | None:
    node = head.root.first(path)
    return identifier(node, head.doubts, of_thing=True) if node is not None else None


def _concepts(nodes: list[Node]) -> tuple[Concept, ...]:
    return tuple(found for node in nodes if (found := concept(node)) is not None)


def _type(head: Head) -> Concept | None:
    node = head.root.first("code")
    found = concept(node)
    if node is None or found is None:
        return found
    first = found.codings[0] if found.codings else None
    if first is not None and first.system == _LOINC and not _is_loinc(first.code or ""):
        head.doubts.add("code-invalid", node)
    expected = next((code for root, code in _CODES_OF_TEMPLATES.items() if root in head.template_ids), None)
    if expected is not None and all(coding.code != expected for coding in found.codings):
        head.doubts.add("code-disagrees", node)
    return found


def _is_loinc(code: str) -> bool:
    """LOINC Users' Guide, appendix C: digits, a hyphen, a modulo 10 check digit."""
    digits, hyphen, check = code.partition("-")
    if not (
        hyphen
        and digits.isascii()
        and digits.isdigit()
        and len(digits) <= 7
        and check.isascii()
        and check.isdigit()
    ):
        return False
    doubled = (int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits)))
    return str(-sum(value // 10 + value % 10 for value in doubled) % 10) == check


def _referrer(head: Head) -> Party | None:
    """A clinician who wrote it before who signed it before a relative, office or program that wrote it."""
    named = _referrer_named(head)
    if named is not None:
        return named
    persons = [one for one in (*head.authors, head.signer) if one is not None and is_person(one)]
    clinicians = [one for one in persons if not is_private(one, head.patient)]
    return next(iter((*clinicians, *persons, *head.authors)), None)


REFERRAL: Final = MessageMapping(
    format=Format.CCDA,
    message="ClinicalDocument with a reason for referral",
    fact="referral",
    source="HL7 C-CDA R2.1, Referral Note (2.16.840.1.113883.10.20.22.1.14), Reason for Referral Section",
    fields=(
        FieldMapping(
            "action", "A document that asks is a new referral", "the document", read=lambda head: "new"
        ),
        FieldMapping(
            "identifiers",
            "The number of the document, for want of another",
            "id",
            read=lambda head: identifiers(head.root.all("id"), head.doubts, of_thing=True),
        ),
        FieldMapping(
            "reason_text",
            "Why, in the sender's words",
            "section[code=42349-1]/text",
            also=(
                "section[templateId=1.3.6.1.4.1.19376.1.5.3.1.3.1]/text",
                "section[title=Reason for Referral]/text",
            ),
            findings=("reason-not-stated", "reason-shortened", "referral-by-section"),
            read=lambda head: head.reason,
        ),
        FieldMapping(
            "patient", "Who is referred", "recordTarget/patientRole", read=lambda head: head.patient
        ),
        FieldMapping(
            "referrer",
            "Who refers",
            "participant[@typeCode=REFB]/associatedEntity",
            also=(
                "author/assignedAuthor that is a person",
                "legalAuthenticator/assignedEntity",
                "authenticator/assignedEntity",
                "author/assignedAuthor",
            ),
            read=_referrer,
        ),
        FieldMapping(
            "performers",
            "To whom",
            "informationRecipient/intendedRecipient",
            also=("participant[@typeCode=REFT]/associatedEntity",),
            read=_performers,
        ),
        FieldMapping(
            "authored_at",
            "When",
            "effectiveTime",
            read=lambda head: time(head.root.first("effectiveTime"), head.doubts),
        ),
        FieldMapping(
            "attachments",
            "What came with it",
            "component/nonXMLBody/text",
            read=lambda head: head.attachments,
        ),
    ),
    notes=(
        "A referral is read from a Referral Note, or from any document whose reason section says something,"
        " unless the document is a Consultation Note or fulfils an order: that one answers a referral.",
        "Not available, Unknown, Referral and their like are no reason: the text stays, nothing is claimed.",
        "A reason of more than 64 kB is cut there, with a finding; its section keeps all of it.",
    ),
)

MAPPINGS: Final[tuple[MessageMapping, ...]] = (DOCUMENT, REFERRAL, PATIENT)


def values(mapping: MessageMapping, head: Head) -> dict[str, Any]:
    """Every declared field, read."""
    return {one.target: one.read(head) for one in mapping.fields if one.read is not None}


def asks(head: Head) -> bool:
    """Whether the document asks for something, rather than answers."""
    if REFERRAL_NOTE in head.template_ids:
        return True
    answers = CONSULTATION_NOTE in head.template_ids or head.root.first("inFulfillmentOf") is not None
    return head.reason is not None and not answers
