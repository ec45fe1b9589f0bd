"""Reads any ClinicalDocument into facts, by its templates and sections and never by its code."""

import codecs
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from baton_formats.ccda.attachments import attachment
from baton_formats.ccda.datatypes import concept, identifiers, template_ids, time
from baton_formats.ccda.document import HL7, Media, Node, Outside, SectionDraft, Shelf, named
from baton_formats.ccda.doubts import Doubts
from baton_formats.ccda.fields import DOCUMENT, REFERRAL, REFERRAL_NOTE, Head, asks, custodian, values
from baton_formats.ccda.people import is_person, is_private, party, patient
from baton_formats.ccda.reasons import REASON_CODE, REASON_TEMPLATE, is_stated
from baton_formats.ccda.safe_xml import XmlRefused, XmlReport, stream
from baton_formats.facts import (
    Attachment,
    Coding,
    Concept,
    Document,
    Fact,
    Party,
    Patient,
    Practitioner,
    Referral,
    Section,
    Text,
)
from baton_formats.findings import Endpoint, Envelope, Format, Message, ReadResult, refused

_PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_FRAGMENTS: Final = frozenset(
    {
        "recordTarget",
        "author",
        "section",
        "component",
        "structuredBody",
        "entry",
        "custodian",
        "patientRole",
        "informationRecipient",
        "documentationOf",
        "componentOf",
        "observation",
    }
)


def read(body: bytes) -> ReadResult:
    """Reads one C-CDA document.

    Total: whatever the bytes are, a result comes back. Refused with a reason are bytes that are no XML,
    XML with a document type, XML that is no ClinicalDocument (a fragment is named, and its patient still
    read) and a document in which no patient can be told. Memory stays within a small multiple of the
    document; nothing is fetched.
    """
    outside = Outside()
    try:
        report = stream(body, outside, named=named)
    except XmlRefused as error:
        return refused(Format.CCDA, _sentence(f"This is not readable as a C-CDA document: {error}"))
    doubts = Doubts()
    _note_encoding(report, doubts)
    root = outside.root
    if root is None or root.name != "ClinicalDocument":
        return _not_a_document(root, report.root, doubts)
    if not report.root.startswith(f"{{{HL7}}}"):
        doubts.add("namespace-missing", "/ClinicalDocument")
    if outside.shelf.crowded:
        doubts.add("document-too-crowded", "/")
    return _document(_head(root, outside.shelf, hashlib.sha256(body).hexdigest(), doubts), report)


def _sentence(words: str) -> str:
    return words if words.endswith(".") else f"{words}."


def _note_encoding(report: XmlReport, doubts: Doubts) -> None:
    unclaimed = report.encoding if report.encoding.startswith("utf") else "utf-8"
    if not _same_charset(report.declared or unclaimed, report.encoding):
        doubts.add("charset-differs", "/")
    if report.replaced:
        doubts.add("undecodable-bytes", "/")
    if report.leading:
        doubts.add("leading-content", "/")
    if report.trailing:
        doubts.add("trailing-content", "/")


def _same_charset(declared: str, used: str) -> bool:
    """A family name such as UTF-16 covers both of its byte orders, ASCII stands within UTF-8."""
    try:
        claimed = codecs.lookup(declared).name
    except LookupError:
        return False
    known = codecs.lookup(used).name
    return known.startswith(claimed) or (claimed, known) == ("ascii", "utf-8")


def _not_a_document(root: Node | None, tag: str, doubts: Doubts) -> ReadResult:
    uri, _, name = tag[1:].rpartition("}") if tag.startswith("{") else ("", "", tag)
    if root is None or name not in _FRAGMENTS or uri not in ("", HL7):
        kind = "FHIR XML" if uri == "http://hl7.org/fhir" else "XML of another kind"
        return refused(Format.CCDA, f"This is {kind}, not a C-CDA document: its root is no ClinicalDocument.")
    reason = f"This is a fragment ({name}) of a C-CDA document: it does not say who sends it."
    role = root.first("patientRole") if name == "recordTarget" else None
    if role is None:
        return refused(Format.CCDA, reason)
    message = Message(type=name, facts=(patient(role, doubts),), findings=doubts.findings())
    return ReadResult(format=Format.CCDA, messages=(message,), reason=reason)


def _document(head: Head, report: XmlReport) -> ReadResult:
    if report.broken is not None:
        head.doubts.add("not-well-formed", report.broken.place or "/")
    found = tuple(_facts(head))
    envelope = _envelope(head, report)
    message = Message(
        type="ClinicalDocument",
        entries=_count(head.sections),
        envelope=envelope,
        facts=found,
        findings=head.doubts.findings(),
    )
    return ReadResult(format=Format.CCDA, messages=(message,), reason=_refusal(head, report))


def _refusal(head: Head, report: XmlReport) -> str | None:
    """Only where the patient cannot be told (or, in a document that broke off, who wrote it)."""
    person = head.patient
    if person is None or not (person.identifiers or person.names or person.birth_date):
        broken = report.broken
        cause = f": it is not well-formed at {broken.place}, {broken.detail}" if broken is not None else ""
        return _sentence(f"The document names no patient{cause}")
    if report.broken is not None and not head.authors:
        return _sentence(f"The document breaks off at {report.broken.place} before it says who wrote it")
    return None


def _head(root: Node, shelf: Shelf, sha256: str, doubts: Doubts) -> Head:
    sections = tuple(_section(draft, doubts) for draft in shelf.sections)
    person = _patient(root, doubts)
    return Head(
        root=root,
        doubts=doubts,
        sha256=sha256,
        patient=person,
        authors=_authors(root, person, doubts),
        signer=_signer(root, doubts),
        recipients=_parties(root.all("informationRecipient/intendedRecipient"), doubts),
        sections=sections,
        attachments=_attachments(shelf.media, doubts),
        reason=_reason(sections, template_ids(root), doubts),
    )


def _patient(root: Node, doubts: Doubts) -> Patient | None:
    roles = root.all("recordTarget/patientRole")
    if len(roles) > 1:
        doubts.add("several-patients", "/ClinicalDocument/recordTarget[2]", refusing=True)
    return patient(roles[0], doubts) if roles else None


def _parties(nodes: list[Node], doubts: Doubts) -> tuple[Party, ...]:
    return tuple(found for node in nodes if (found := party(node, doubts)) is not None)


def _authors(root: Node, person: Patient | None, doubts: Doubts) -> tuple[Party, ...]:
    found = _parties(root.all("author/assignedAuthor"), doubts)
    if any(is_private(one, person) for one in found):
        doubts.add("author-is-private", "/ClinicalDocument/author[1]")
    if not found:
        doubts.add("document-without-author", "/ClinicalDocument/author[1]")
    elif not any(is_person(one) for one in found):
        doubts.add("author-is-software", "/ClinicalDocument/author[1]")
    _compare_times(root, doubts)
    return found


def _compare_times(root: Node, doubts: Doubts) -> None:
    times = ((root.value_at(path, "value") or "")[:4] for path in ("effectiveTime", "author/time"))
    years = [int(year) for year in times if re.fullmatch("[0-9]{4}", year)]
    if len(years) == 2 and abs(years[0] - years[1]) > 1:
        doubts.add("author-time-differs", "/ClinicalDocument/author[1]/time[1]")


def _signer(root: Node, doubts: Doubts) -> Party | None:
    entities = (*root.all("legalAuthenticator/assignedEntity"), *root.all("authenticator/assignedEntity"))
    return next((found for node in entities if (found := party(node, doubts)) is not None), None)


def _attachments(media: list[Media], doubts: Doubts) -> tuple[Attachment, ...]:
    found = tuple(attachment(one, doubts) for one in media)
    for one, place in zip(found, media, strict=True):
        if one.media_type == "text/plain" and says_unsigned(one.content or b""):
            doubts.add("text-says-unsigned", place)
    return found


_UNSIGNED: Final = re.compile(
    rb"\bnot\s+(yet\s+)?(co-?)?signed\b|\bunsigned\s+(draft|copy|note)\b", re.IGNORECASE
)


def says_unsigned(text: bytes) -> bool:
    """Whether a plain text, in any charset that begins with ASCII, says that its signature is missing."""
    return _UNSIGNED.search(text) is not None


def _section(draft: SectionDraft, doubts: Doubts) -> Section:
    draft.finish()
    if draft.active:
        doubts.add("active-content-removed", f"{draft.where}/text")
    return Section(
        title=draft.head.text_at("title"),
        code=concept(draft.head.first("code")),
        text=draft.text,
        template_ids=template_ids(draft.head),
        sections=tuple(_section(inner, doubts) for inner in draft.sections),
    )


def _all_sections(sections: tuple[Section, ...]) -> Iterator[Section]:
    for section in sections:
        yield section
        yield from _all_sections(section.sections)


def _count(sections: tuple[Section, ...]) -> int:
    return sum(1 for _ in _all_sections(sections))


def _is_reason(section: Section) -> bool:
    code = section.code.code if section.code is not None else None
    title = (section.title or "").lower().strip(" :")
    return (
        code == REASON_CODE
        or REASON_TEMPLATE in section.template_ids
        or (code is None and title == "reason for referral")
    )


def _reason(sections: tuple[Section, ...], templates: tuple[str, ...], doubts: Doubts) -> str | None:
    """The text of the first reason section that says something, its beginning if it is endless."""
    found = [section.text for section in _all_sections(sections) if _is_reason(section)]
    stated = next((text for text in found if text and is_stated(_beginning(text))), None)
    if stated is None and (found or REFERRAL_NOTE in templates):
        doubts.add("reason-not-stated", "/ClinicalDocument/component")
    if stated and len(stated.utf8) > _LONGEST_REASON:
        doubts.add("reason-shortened", "/ClinicalDocument/component")
    return _beginning(stated) if stated else None


_LONGEST_REASON: Final = 65_536


def _beginning(text: Text) -> str:
    return text.utf8[:_LONGEST_REASON].decode("utf-8", "ignore").rstrip()


def _facts(head: Head) -> Iterator[Fact]:
    if asks(head):
        if REFERRAL_NOTE not in head.template_ids:
            head.doubts.add("referral-by-section", "/ClinicalDocument/component")
        yield Referral(**values(REFERRAL, head))
    document = Document(**values(DOCUMENT, head))
    if document.custodian is None:
        head.doubts.add("document-without-custodian", "/ClinicalDocument/custodian[1]")
    yield document
    yield from _clinicians(head)


_CLINICIANS: Final = (
    ("documentationOf/serviceEvent/performer", "performer"),
    ("componentOf/encompassingEncounter/responsibleParty", "responsible party"),
    ("componentOf/encompassingEncounter/encounterParticipant", "encounter participant"),
)


def _clinicians(head: Head) -> Iterator[Practitioner]:
    """Who took part in what the document tells of, each with the part played as role."""
    seen: set[Practitioner] = set()
    for path, part in _CLINICIANS:
        for node in head.root.all(path):
            person = _clinician(node, part, head.doubts)
            if person is not None and person not in seen:
                seen.add(person)
                yield person


def _clinician(node: Node, part: str, doubts: Doubts) -> Practitioner | None:
    found = party(node.first("assignedEntity"), doubts)
    if found is None or found.practitioner is None or not found.practitioner.names:
        return None
    person = found.practitioner
    code = node.get("typeCode")
    codings = (Coding(code=code, system=_PARTICIPATION),) if code is not None else ()
    return replace(
        person, roles=(concept(node.first("functionCode")) or Concept(codings=codings, text=part),)
    )


def _envelope(head: Head, report: XmlReport) -> Envelope:
    control = next(iter(identifiers(head.root.all("id"), head.doubts, of_thing=True)), None)
    software = next((one.display for one in head.authors if one.display), None)
    sender = Endpoint(name=_sender_name(head), software=software)
    return Envelope(
        control_id=control.value if control else None,
        profiles=head.template_ids,
        sender=sender if sender != Endpoint() else None,
        receivers=tuple(Endpoint(name=name) for one in head.recipients if (name := _party_name(one))),
        sent_at=time(head.root.first("effectiveTime"), head.doubts),
        charset=report.encoding,
        declared_charset=report.declared or None,
    )


def _sender_name(head: Head) -> str | None:
    """The office that keeps the document, else that of an author, else that of who signed it."""
    keeper = custodian(head.root, head.doubts)
    if keeper is not None and keeper.name:
        return keeper.name
    parties = (*head.authors, *((head.signer,) if head.signer is not None else ()))
    return next((name for one in parties if (name := _party_name(one))), None)


def _party_name(found: Party) -> str | None:
    return found.organization.name if found.organization is not None else None
