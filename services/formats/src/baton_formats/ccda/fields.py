"""The fields of a document and of a referral in a ClinicalDocument: declared once, read and printed."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from baton_formats.ccda.datatypes import concept, identifier, identifiers, period, template_ids, time
from baton_formats.ccda.document import MAX_HEAD, MAX_MEDIA, MAX_NODES, MAX_WORDS, Node
from baton_formats.ccda.doubts import Doubts
from baton_formats.ccda.people import OF_A_PARTY, PATIENT, is_person, is_private, organization, party, phones
from baton_formats.ccda.sections import MAX_DEPTH
from baton_formats.declaration import FieldMapping, MessageMapping
from baton_formats.facts import (
    Attachment,
    Concept,
    Identifier,
    Link,
    Organization,
    PartialTime,
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
class Recipient:
    """Who receives the document; `asked` unless only a copy goes there, or it goes into a chart."""

    party: Party
    asked: bool


@dataclass(frozen=True, slots=True)
class Head:
    """What every field of a document is read from; `patient` and the other parts are read once."""

    root: Node
    doubts: Doubts
    sha256: str
    patient: Patient | None
    authors: tuple[Party, ...]
    recipients: tuple[Recipient, ...]
    sections: tuple[Section, ...]
    attachments: tuple[Attachment, ...]
    text: Text | None
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
_SIGNERS: Final = ("legalAuthenticator", "authenticator")


def present(nodes: list[Node]) -> list[Node]:
    """The participations that took place: with a nullFlavor the sender says that there was none."""
    return [node for node in nodes if not node.is_null]


def _signature(head: Head) -> Signature:
    """The legal authenticator before the authenticator, who attests but does not sign for it in law.

    The person is that of the same participation, never of another one.
    """
    node = next((node for name in _SIGNERS for node in present(head.root.all(name))), None)
    if node is None:
        return Signature()
    if node.name == "authenticator":
        head.doubts.add("not-signed-legally", node)
    word = node.value_at("signatureCode", "code")
    status = _SIGNATURES.get(word or "", "unknown")
    signer = party(node.first("assignedEntity"), head.doubts)
    by = signer.practitioner if signer is not None else None
    if by is None and status == "signed":
        head.doubts.add("signer-not-named", node)
    return Signature(status=status, by=by, at=time(node.first("time"), head.doubts), code=word)


def signers(head: Head) -> Iterator[Party]:
    """Everyone who signed or attested and is named, those who signed legally first."""
    for name in _SIGNERS:
        for node in present(head.root.all(name)):
            found = party(node.first("assignedEntity"), head.doubts)
            if found is not None:
                yield found


def written_at(head: Head) -> PartialTime | None:
    """When the document was made: a moment, so that the start of a span is none."""
    found = next((at for node in head.root.all("effectiveTime") if (at := time(node, head.doubts))), None)
    if found is None:
        head.doubts.add("document-without-time", "/ClinicalDocument/effectiveTime[1]")
    return found


def _orders(head: Head) -> list[Node]:
    found = present(head.root.all("inFulfillmentOf"))
    return present([order for one in found for order in one.all("order")])


def _referrals(head: Head) -> tuple[Identifier, ...]:
    nodes = [node for order in _orders(head) for node in order.all("id")]
    for node in nodes:
        if (node.get("root") or "").startswith("2.16.840.1.113883.6."):
            head.doubts.add("order-id-in-code-system", node)
    return identifiers(nodes, head.doubts, of_thing=True)


def _link(order: Node, doubts: Doubts) -> Link | None:
    code = concept(order.first("code"))
    number = next(iter(identifiers(order.all("id"), doubts, of_thing=True)), None)
    if number is None and code is None:
        return None
    return Link(kind="order", identifier=number, display=code.label if code else None)


def _based_on(head: Head) -> tuple[Link, ...]:
    return tuple(found for order in _orders(head) if (found := _link(order, head.doubts)) is not None)


def _referrer_named(head: Head) -> Party | None:
    """Whom the document itself calls the referrer (REFB and REF of ParticipationType, HL7 V3)."""
    encounter = head.root.all("componentOf/encompassingEncounter/encounterParticipant")
    for node in present([*head.root.all("participant"), *encounter]):
        if node.get("typeCode") in ("REFB", "REF"):
            found = party(node.first("associatedEntity") or node.first("assignedEntity"), head.doubts)
            if found is not None:
                return found
    return None


def _performers(head: Head) -> tuple[Party, ...]:
    """To whom it goes for its own sake, and whom it calls referred to (REFT)."""
    named = (one for one in present(head.root.all("participant")) if one.get("typeCode") == "REFT")
    found = (party(one.first("associatedEntity"), head.doubts) for one in named)
    asked = (one.party for one in head.recipients if one.asked)
    return tuple(dict.fromkeys((*asked, *(one for one in found if one is not None))))


def custodian(root: Node, doubts: Doubts) -> Organization | None:
    """Who keeps the document."""
    kept = present(root.all("custodian"))
    nodes = (node for one in kept for node in one.all("assignedCustodian/representedCustodianOrganization"))
    return next((found for node in nodes if (found := organization(node, doubts)) is not None), None)


_VISITS: Final = (
    "componentOf/encompassingEncounter/effectiveTime",
    "documentationOf/serviceEvent/effectiveTime",
)


def _visit_period(head: Head) -> Period | None:
    nodes = (node for path in _VISITS for node in head.root.all(path))
    return next((found for node in nodes if (found := period(node, head.doubts)) is not None), None)


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
            findings=("identifier-without-value", "identifier-without-system"),
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
            findings=("identifier-without-value", "identifier-without-system"),
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
            findings=("not-signed-legally", "signer-not-named", "unreadable-time", *OF_A_PARTY),
            read=_signature,
        ),
        FieldMapping(
            "written_at",
            "When it was made",
            "effectiveTime",
            findings=("unreadable-time", "document-without-time"),
            read=written_at,
        ),
        FieldMapping(
            "patient",
            "Whom it is about",
            "recordTarget/patientRole",
            findings=("several-patients", "patient-place-empty"),
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
                *OF_A_PARTY,
            ),
            read=lambda head: head.authors,
        ),
        FieldMapping(
            "custodian",
            "Who keeps it",
            "custodian/assignedCustodian/representedCustodianOrganization",
            findings=("document-without-custodian", "identifier-without-value", "identifier-without-system"),
            read=lambda head: custodian(head.root, head.doubts),
        ),
        FieldMapping(
            "recipients",
            "To whom it goes",
            "informationRecipient/intendedRecipient",
            findings=OF_A_PARTY,
            read=lambda head: tuple(one.party for one in head.recipients),
        ),
        FieldMapping(
            "referrer",
            "Whom it calls the referrer",
            "participant[@typeCode=REFB]/associatedEntity",
            also=("componentOf/encompassingEncounter/encounterParticipant[@typeCode=REF]",),
            findings=OF_A_PARTY,
            read=_referrer_named,
        ),
        FieldMapping(
            "referrals",
            "The orders it fulfils",
            "inFulfillmentOf/order/id",
            findings=("order-id-in-code-system", "identifier-without-value", "identifier-without-system"),
            read=_referrals,
        ),
        FieldMapping(
            "based_on", "The same orders with what was ordered", "inFulfillmentOf/order", read=_based_on
        ),
        FieldMapping(
            "visit",
            "The number of the visit",
            "componentOf/encompassingEncounter/id",
            findings=("identifier-without-value", "identifier-without-system"),
            read=lambda head: identifiers(
                head.root.all("componentOf/encompassingEncounter/id"), head.doubts, of_thing=True
            ),
        ),
        FieldMapping(
            "visit_period",
            "When the visit or stay was",
            "componentOf/encompassingEncounter/effectiveTime",
            also=("documentationOf/serviceEvent/effectiveTime",),
            findings=("unreadable-time",),
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
            findings=("active-content-removed", "sections-too-deep", "document-too-crowded"),
            read=lambda head: head.sections,
        ),
        FieldMapping(
            "text",
            "The words of a body that is plain text",
            "component/nonXMLBody/text",
            findings=("text-says-unsigned", "charset-differs", "undecodable-bytes"),
            read=lambda head: head.text,
        ),
        FieldMapping(
            "attachments",
            "PDF, pictures and text that travelled inside, or what was only pointed at",
            "component/nonXMLBody/text",
            also=(
                "section/entry/observationMedia/value",
                "any value or text of an entry that is base64 or no text",
            ),
            findings=(
                "attachment-not-included",
                "attachment-empty",
                "attachment-broken",
                "attachment-compressed",
                "attachment-not-marked",
                "attachment-markup-removed",
                "reference-left-out",
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
        "A participation with a nullFlavor is not there; where a place says nothing, the next one is read.",
        "Of references only those by http, https, ftp, urn, cid and mid and relative ones are passed on.",
        f"Sections more than {MAX_DEPTH} deep follow one another instead of standing within each other.",
        "More than 200 findings of one document are counted in a last one, more-findings.",
        "Of the document as a whole: not-well-formed, leading-content, trailing-content, charset-differs,"
        " undecodable-bytes, namespace-missing, document-too-crowded.",
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
    own = phones(head.patient.telecom) if head.patient is not None else frozenset()
    best = next(iter(head.authors), None)
    for one in filter(is_person, chain(head.authors, signers(head))):
        if not is_private(one, own):
            return one
        if best is None or not is_person(best):
            best = one
    return best


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
            findings=("document-without-id", "identifier-without-value", "identifier-without-system"),
            read=lambda head: identifiers(head.root.all("id"), head.doubts, of_thing=True),
        ),
        FieldMapping(
            "reason_text",
            "Why, in the sender's words",
            "section[code=42349-1]/text",
            also=(
                "section[code/translation=42349-1]/text",
                "section[templateId=1.3.6.1.4.1.19376.1.5.3.1.3.1]/text",
                "section[title=Reason for Referral]/text",
            ),
            findings=("reason-not-stated", "reason-shortened", "referral-by-section", "reason-in-answer"),
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
            findings=OF_A_PARTY,
            read=_referrer,
        ),
        FieldMapping(
            "performers",
            "To whom",
            "informationRecipient[@typeCode=PRCP]/intendedRecipient[@classCode=ASSIGNED]",
            also=("participant[@typeCode=REFT]/associatedEntity",),
            findings=OF_A_PARTY,
            read=_performers,
        ),
        FieldMapping(
            "authored_at",
            "When",
            "effectiveTime",
            findings=("unreadable-time", "document-without-time"),
            read=written_at,
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
        "The sections within a reason section belong to the reason.",
        "Both codes of a recipient may be absent; one of a copy (TRC) or a chart (HLTHCHRT) is not asked.",
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
    if head.reason is None or CONSULTATION_NOTE in head.template_ids:
        return False
    fulfilled = next((order for order in _orders(head) if _link(order, head.doubts) is not None), None)
    if fulfilled is not None:
        head.doubts.add("reason-in-answer", fulfilled)
    return fulfilled is None
