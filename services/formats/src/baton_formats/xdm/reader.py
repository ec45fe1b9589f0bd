"""Reads an XDM archive: each document by its own reader, then compared with what the sender says of it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from baton_formats import ccda, fhir, hl7v2
from baton_formats.ccda.attachments import sniffed
from baton_formats.ccda.doubts import Doubts
from baton_formats.declaration import FieldMapping, MessageMapping
from baton_formats.facts import Attachment, Document, HumanName, Identifier, Patient
from baton_formats.findings import Finding, Format, Message, ReadResult, refused
from baton_formats.xdm.archive import ArchiveRefused, Member, members
from baton_formats.xdm.metadata import Entry, entries
from baton_formats.xml_root import root_of

_METADATA: Final = "METADATA.XML"
_READ_BY_PEOPLE: Final = frozenset({"INDEX.HTM", "INDEX.HTML", "README.TXT", "README.MD"})
_XSL: Final = (".XSL", ".XSLT", ".CSS", ".JS", ".DTD", ".XSD")

DETAILS: Final = {
    "member-refused": "this file of the archive could not be read as a document; the others were",
    "member-not-listed": "the archive's metadata does not list this document",
    "member-missing": "the archive's metadata lists a document that is not in the archive",
    "metadata-missing": "the archive carries no METADATA.XML",
    "metadata-unreadable": "the METADATA.XML of the archive cannot be read and was left out",
    "metadata-name-differs": "the metadata gives the patient another family or first name; the document"
    " counts",
    "metadata-birth-date-differs": "the metadata gives another birth date; the document counts",
    "metadata-gender-differs": "the metadata gives another gender; the document counts",
    "metadata-identifier-differs": "the metadata gives a patient number that the document does not have"
    " in that namespace",
    "metadata-size-differs": "the document is not as large as the metadata says",
    "metadata-hash-differs": "the document has not the hash that the metadata says: one of them was changed",
    "more-findings": "there were more doubts than are kept; the others were only counted",
    "patient-from-metadata": "the file names no patient itself; the metadata's was taken",
}
"""Every code an archive can raise besides those of the documents in it."""


def read(body: bytes) -> ReadResult:
    """Reads one XDM archive.

    Total. Refused with a reason are bytes that are no zip, an archive that breaks a limit (paths that lead
    out of it, links, too many files, too large, packed too tightly, overlapping, encrypted, another archive
    inside) and one without a readable document. Each document becomes messages of its own; a place in a
    finding begins with `member[N]`.
    """
    try:
        files = list(members(body))
    except ArchiveRefused as error:
        return refused(Format.XDM, f"This archive is not opened: {error}.")
    doubts = Doubts(DETAILS)
    listed = _listed(files, doubts)
    documents = [file for file in files if _is_document(file)]
    results = [_read_member(file, listed.get(file.path.upper()), doubts) for file in documents]
    _compare_lists(documents, listed, doubts)
    found = tuple(message for result in results if result.reason is None for message in result.messages)
    return ReadResult(Format.XDM, messages=found, findings=doubts.findings(), reason=_reason(found, results))


def _reason(found: tuple[Message, ...], results: list[ReadResult]) -> str | None:
    if found:
        return None
    cause = next((f" {result.reason}" for result in results if result.reason), "")
    return f"There is no document in this archive that can be read.{cause}"


def _is_document(file: Member) -> bool:
    return file.name != _METADATA and file.name not in _READ_BY_PEOPLE and not file.name.endswith(_XSL)


def _listed(files: list[Member], doubts: Doubts) -> dict[str, Entry]:
    """The metadata by the full path of the file it is about, in capitals."""
    found: dict[str, Entry] = {}
    sheets = [file for file in files if file.name == _METADATA]
    if not sheets:
        doubts.add("metadata-missing", "/")
    for sheet in sheets:
        listed = entries(sheet.content)
        if listed is None:
            doubts.add("metadata-unreadable", f"member[{sheet.place}]")
        for entry in listed or ():
            if entry.uri:
                found[f"{sheet.folder}/{entry.uri}".lstrip("/").upper()] = entry
    return found


def _compare_lists(documents: list[Member], listed: dict[str, Entry], doubts: Doubts) -> None:
    present = {file.path.upper(): file.place for file in documents}
    if listed:
        for path, place in present.items():
            if path not in listed:
                doubts.add("member-not-listed", f"member[{place}]")
    for number, path in enumerate(listed, 1):
        if path not in present:
            doubts.add("member-missing", f"{_METADATA}/ExtrinsicObject[{number}]")


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of content that has a reader of its own."""

    is_it: Callable[[bytes], bool]
    read: Callable[[bytes], ReadResult]


def _namespace(content: bytes) -> str:
    root = root_of(content) if _beginning(content).startswith(b"<") else None
    return root.namespace if root is not None else ""


def _beginning(content: bytes) -> bytes:
    return content[:512].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")


_KINDS: Final = (
    _Kind(is_it=lambda content: _namespace(content) == "http://hl7.org/fhir", read=fhir.read),
    _Kind(is_it=lambda content: _beginning(content).startswith(b"<"), read=ccda.read),
    _Kind(is_it=lambda content: _beginning(content).startswith(b"{"), read=fhir.read),
    _Kind(is_it=lambda content: _beginning(content).startswith((b"MSH", b"FHS", b"BHS")), read=hl7v2.read),
)
"""What is read by its own reader; IHE 360X sends the HL7 v2 message and the document in one archive."""


def _read_member(file: Member, entry: Entry | None, doubts: Doubts) -> ReadResult:
    place = f"member[{file.place}]"
    _compare_bytes(file, entry, place, doubts)
    kind = next((kind for kind in _KINDS if kind.is_it(file.content)), None)
    if kind is None:
        return ReadResult(Format.XDM, messages=(_attachment(file, entry, place),))
    result = kind.read(file.content)
    if result.reason is not None:
        doubts.add("member-refused", place)
    messages = tuple(_placed(message, result.findings, entry, place) for message in result.messages)
    return replace(result, messages=messages)


def _placed(message: Message, of_body: tuple[Finding, ...], entry: Entry | None, place: str) -> Message:
    """The message with its findings placed in the archive, and those of the comparison before them."""
    own = Doubts(DETAILS)
    _compare_patient(_patient_of(message), entry.patient if entry else None, place, own)
    inner = (replace(one, where=place + _rooted(one.where)) for one in (*of_body, *message.findings))
    return replace(message, findings=(*own.findings(), *inner))


def _rooted(where: str) -> str:
    return where if where.startswith("/") else f"/{where}"


def _compare_bytes(file: Member, entry: Entry | None, place: str, doubts: Doubts) -> None:
    if entry is None:
        return
    if entry.size is not None and entry.size != len(file.content):
        doubts.add("metadata-size-differs", place)
    if entry.sha1 and entry.sha1 != hashlib.sha1(file.content, usedforsecurity=False).hexdigest():
        doubts.add("metadata-hash-differs", place)


def _patient_of(message: Message) -> Patient | None:
    for fact in message.facts:
        found = fact if isinstance(fact, Patient) else getattr(fact, "patient", None)
        if isinstance(found, Patient):
            return found
    return None


def _compare_patient(ours: Patient | None, theirs: Patient | None, place: str, doubts: Doubts) -> None:
    """The document counts; where the metadata says otherwise, a person has to know."""
    if ours is None or theirs is None:
        return
    if ours.names and theirs.names and not any(_same_name(one, theirs.names[0]) for one in ours.names):
        doubts.add("metadata-name-differs", place)
    dates = [
        one.birth_date.date for one in (ours, theirs) if one.birth_date is not None and one.birth_date.date
    ]
    if len(dates) == 2 and not (dates[0].startswith(dates[1]) or dates[1].startswith(dates[0])):
        doubts.add("metadata-birth-date-differs", place)
    if ours.gender and theirs.gender and ours.gender != theirs.gender:
        doubts.add("metadata-gender-differs", place)
    if ours.identifiers and not all(_is_known(number, ours.identifiers) for number in theirs.identifiers):
        doubts.add("metadata-identifier-differs", place)


def _same_name(ours: HumanName, theirs: HumanName) -> bool:
    """The same family and first name; a name that was given without parts has them among its words."""
    if not ours.family and not ours.given:
        words = {_key(word) for word in (ours.text or "").replace(",", " ").split()}
        return {_key(theirs.family), *map(_key, theirs.given[:1])} <= words | {""}
    if _key(ours.family) != _key(theirs.family):
        return False
    first = _key(theirs.given[0]) if theirs.given else ""
    known = [_key(name) for name in ours.given]
    return not first or not known or any(_same_given(first, one) for one in known)


def _same_given(one: str, other: str) -> bool:
    """An initial stands for every name that begins with it."""
    shorter, longer = sorted((one.rstrip("."), other.rstrip(".")), key=len)
    return shorter == longer or (len(shorter) == 1 and longer.startswith(shorter))


def _is_known(number: Identifier, known: tuple[Identifier, ...]) -> bool:
    """The same number in the same namespace, as far as both say which it is."""
    return any(
        one.value == number.value and (one.system == number.system or None in (one.system, number.system))
        for one in known
    )


def _key(name: str | None) -> str:
    return "".join((name or "").split()).casefold()


def _attachment(file: Member, entry: Entry | None, place: str) -> Message:
    """A file without a reader of its own, such as a PDF: kept whole, for the patient of the metadata."""
    own = Doubts(DETAILS)
    found = entry.patient if entry is not None else None
    if found is not None:
        own.add("patient-from-metadata", place)
    kept = Attachment(
        media_type=sniffed(file.content) or (entry.media_type if entry is not None else None),
        content=file.content,
        sha256=hashlib.sha256(file.content).hexdigest(),
        size=len(file.content),
    )
    document = Document(
        action="new", status="unknown", patient=found, attachments=(kept,), version=kept.sha256
    )
    return Message(type="file", entries=1, facts=(document,), findings=own.findings())


MAPPINGS: Final[tuple[MessageMapping, ...]] = (
    MessageMapping(
        format=Format.XDM,
        message="archive",
        fact="document",
        source="IHE ITI TF-2 3.32 (XDM), TF-3 4.2 (metadata); Direct Project, XDR and XDM for Direct",
        fields=(
            FieldMapping(
                "the facts of each document",
                "What the document itself says",
                "IHE_XDM/SUBSETnn/*",
                findings=("member-refused", "member-not-listed", "member-missing"),
            ),
            FieldMapping(
                "patient",
                "Whom a document is about",
                "the document",
                also=("ExtrinsicObject/Slot[name=sourcePatientInfo] for a file that names nobody",),
                findings=(
                    "metadata-name-differs",
                    "metadata-birth-date-differs",
                    "metadata-gender-differs",
                    "metadata-identifier-differs",
                    "patient-from-metadata",
                ),
            ),
            FieldMapping(
                "attachments",
                "PDF and other files",
                "IHE_XDM/SUBSETnn/*",
                findings=(
                    "metadata-size-differs",
                    "metadata-hash-differs",
                    "metadata-missing",
                    "metadata-unreadable",
                ),
            ),
        ),
        notes=(
            "The document wins over METADATA.XML; each disagreement is a finding.",
            "INDEX.HTM, README.TXT and stylesheets are for people and are not read.",
            "At most 200 files, 16 MiB a file, 48 MiB together, 200 times their packed size;"
            " paths that lead out, links, encryption, overlaps and archives in the archive refuse the whole.",
        ),
    ),
)
