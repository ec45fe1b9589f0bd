"""Reads any ClinicalDocument into facts, by its templates and sections and never by its code."""

import codecs
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import Final

from baton_formats.ccda import sections
from baton_formats.ccda.attachments import attachment, plain_text
from baton_formats.ccda.datatypes import concept, identifiers, template_ids
from baton_formats.ccda.document import HL7, Media, Node, Outside, Shelf, named
from baton_formats.ccda.doubts import Doubts
from baton_formats.ccda.fields import (
    DOCUMENT,
    REFERRAL,
    REFERRAL_NOTE,
    Head,
    Recipient,
    asks,
    custodian,
    present,
    signers,
    values,
    written_at,
)
from baton_formats.ccda.people import is_person, is_private, names_somebody, party, patient, phones
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
    message = Message(type=name, entries=0, facts=(patient(role, doubts),), findings=doubts.findings())
    return ReadResult(format=Format.CCDA, messages=(message,), reason=reason)


def _document(head: Head, report: XmlReport) -> ReadResult:
    if report.broken is not None:
        head.doubts.add("not-well-formed", report.broken.place or "/")
    found = tuple(_facts(head))
    envelope = _envelope(head, report)
    message = Message(
        type="ClinicalDocument",
        entries=sections.count(head.sections),
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
    found = sections.built(shelf.sections, doubts)
    person = _patient(root, doubts)
    attachments = tuple(attachment(one, doubts) for one in shelf.media)
    return Head(
        root=root,
        doubts=doubts,
        sha256=sha256,
        patient=person,
        authors=_authors(root, person, doubts),
        recipients=_recipients(root, doubts),
        sections=found,
        attachments=attachments,
        text=_text(attachments, shelf.media, doubts),
        reason=sections.reason(found, doubts, is_expected=REFERRAL_NOTE in template_ids(root)),
    )


def _patient(root: Node, doubts: Doubts) -> Patient | None:
    """The first that names somebody, and where none is said to be there, also one that is not."""
    targets = root.all("recordTarget")
    there = present(targets)
    roles = [role for target in there for role in target.all("patientRole")]
    named = list(islice(filter(names_somebody, roles), 2))
    if not named:
        others = (role for target in targets if target.is_null for role in target.all("patientRole"))
        named = list(islice(filter(names_somebody, others), 1)) or roles[:1]
    elif named[0] is not roles[0]:
        doubts.add("patient-place-empty", roles[0])
    if len(named) > 1:
        doubts.add("several-patients", named[1], refusing=True)
    return patient(named[0], doubts) if named else None


def _recipients(root: Node, doubts: Doubts) -> tuple[Recipient, ...]:
    """All who receive it; only the primary ones are asked for something (ParticipationType, HL7 V3)."""
    found = []
    for node in present(root.all("informationRecipient")):
        is_primary = (node.get("typeCode") or "PRCP") == "PRCP"
        for entity in node.all("intendedRecipient"):
            is_someone = (entity.get("classCode") or "ASSIGNED") == "ASSIGNED"
            who = party(entity, doubts)
            if who is not None:
                found.append(Recipient(who, asked=is_primary and is_someone))
    return tuple(found)


def _authors(root: Node, person: Patient | None, doubts: Doubts) -> tuple[Party, ...]:
    nodes = [entity for node in present(root.all("author")) for entity in node.all("assignedAuthor")]
    found = [(node, who) for node in nodes if (who := party(node, doubts)) is not None]
    own = phones(person.telecom) if person is not None else frozenset()
    for node, who in found:
        if is_private(who, own):
            doubts.add("author-is-private", node.parent or node)
    if not found:
        doubts.add("document-without-author", "/ClinicalDocument/author[1]")
    elif not any(is_person(who) for _, who in found):
        doubts.add("author-is-software", "/ClinicalDocument/author[1]")
    _compare_times(root, doubts)
    return tuple(who for _, who in found)


def _compare_times(root: Node, doubts: Doubts) -> None:
    times = ((root.value_at(path, "value") or "")[:4] for path in ("effectiveTime", "author/time"))
    years = [int(year) for year in times if re.fullmatch("[0-9]{4}", year)]
    if len(years) == 2 and abs(years[0] - years[1]) > 1:
        doubts.add("author-time-differs", "/ClinicalDocument/author[1]/time[1]")


def _text(found: tuple[Attachment, ...], media: list[Media], doubts: Doubts) -> Text | None:
    """The words of the first body that is plain text; in all of them it is looked for a missing signature."""
    first = None
    for one, place in zip(found, media, strict=True):
        words = plain_text(one, place, doubts)
        if words and says_unsigned(words.utf8):
            doubts.add("text-says-unsigned", place)
        first = first or words
    return first


_UNSIGNED: Final = re.compile(
    rb"\bnot\s+(yet\s+)?(co-?)?signed\b|\bunsigned\s+(draft|copy|note)\b", re.IGNORECASE
)


def says_unsigned(text: bytes) -> bool:
    """Whether a plain text says of itself that its signature is missing."""
    return _UNSIGNED.search(text) is not None


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
        for node in present(head.root.all(path)):
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
        receivers=tuple(Endpoint(name=name) for one in head.recipients if (name := _party_name(one.party))),
        sent_at=written_at(head),
        charset=report.encoding,
        declared_charset=report.declared or None,
    )


def _sender_name(head: Head) -> str | None:
    """The office that keeps the document, else that of an author, else that of who signed it."""
    keeper = custodian(head.root, head.doubts)
    if keeper is not None and keeper.name:
        return keeper.name
    parties = chain(head.authors, signers(head))
    return next((name for one in parties if (name := _party_name(one))), None)


def _party_name(found: Party) -> str | None:
    return found.organization.name if found.organization is not None else None
