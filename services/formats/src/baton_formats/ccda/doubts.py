"""What a reader of documents may notice, in stable codes and plain words, and how much of it is kept."""

from collections.abc import Mapping
from typing import Final, Protocol

from baton_formats.findings import Finding

MAX_FINDINGS: Final = 200
"""Findings kept of one document; one more says that there were others."""

DETAILS: Final[Mapping[str, str]] = {
    "active-content-removed": "scripts or active links stood in the text and were left out",
    "attachment-broken": "the content is no base64 and cannot be decoded",
    "attachment-compressed": "the content is compressed, which is not read",
    "attachment-empty": "a place for content stands there with nothing in it",
    "attachment-markup-removed": "elements stood within the content; their words were kept without them",
    "attachment-not-included": "the content is not in the document, only a reference to it",
    "attachment-not-marked": "the content is base64 although it does not say so; it was decoded",
    "author-is-private": "the author seems to be the patient or a relative, by the code or by the same phone",
    "author-is-software": "no person is named as author, only a program or an office",
    "author-time-differs": "the author's time lies years from the document's",
    "charset-differs": "the bytes are not in the character set they claim; the one that fits was used",
    "code-disagrees": "the document code is not that of the template it claims",
    "code-invalid": "the document code is no LOINC code: its check digit does not hold",
    "document-too-crowded": "the document has more parts than are kept; the rest was left out",
    "document-without-author": "the document does not say who wrote it",
    "document-without-custodian": "the document does not say who keeps it",
    "document-without-id": "the document carries no id of its own",
    "document-without-time": "the document does not say when it was made",
    "gender-unknown": "this code for the administrative gender does not exist",
    "identifier-without-system": "the root of this identifier is neither an OID nor a UUID",
    "identifier-without-value": "this identifier names only its namespace and no number",
    "leading-content": "white space stands before the XML declaration",
    "media-type-differs": "the content is of another kind than its media type says",
    "more-findings": "there were more doubts than are kept; the others were only counted",
    "namespace-missing": "the document does not stand in the namespace urn:hl7-org:v3",
    "not-signed-legally": "the document was attested to, but not legally signed",
    "not-well-formed": "the document breaks off here; only what stands before was read",
    "npi-invalid": "this number is no NPI: that has ten digits and a check digit that holds",
    "order-id-in-code-system": "the namespace of this order number is a code system, so it names no order",
    "patient-place-empty": "a place for the patient stands there with nobody in it; the next one was read",
    "patient-without-birth-date": "the patient's birth date is not given",
    "patient-without-name": "the patient's family name is not given",
    "placeholder-identifier": "a placeholder stands where a social security number belongs",
    "placeholder-name": "a placeholder stands where a part of a name belongs",
    "reason-in-answer": (
        "a reason is stated, but the document fulfils an order, so no referral was read from it"
    ),
    "reason-not-stated": "no section says why the patient is referred, or it says nothing",
    "reason-shortened": "the reason is longer than 64 kB; the whole of it stands in its section",
    "reference-left-out": "the reference to the content is of a kind that is not passed on",
    "referral-by-section": "this is no Referral Note; the referral is read from its reason section alone",
    "sections-too-deep": "sections are nested very deeply; those within stand behind one another instead",
    "several-patients": "the document is about more than one patient; only the first was read",
    "signer-not-named": "the document is signed but does not say by whom",
    "telecom-without-scheme": "this contact does not say whether it is a phone or what else",
    "text-says-unsigned": "the text says of itself that it was not yet signed or cosigned",
    "trailing-content": "something stands after the end of the document and was not read",
    "undecodable-bytes": "some bytes have no meaning in their character set and were replaced",
    "unreadable-time": "this is no date or time of HL7 version 3; it is kept as text",
    "words-between-parts": "words stand between the parts of a name or address; they may be out of order",
}
"""Every code a C-CDA document can raise, with its sentence. None of them quotes the document."""


class Placed(Protocol):
    """Something that knows its place in the document, and works it out only when asked."""

    @property
    def where(self) -> str:
        """Its place, as a finding names it."""
        ...


class Doubts:
    """The findings of one body in the order they were met; the same one is kept once."""

    def __init__(self, details: Mapping[str, str] = DETAILS) -> None:
        self._details = details
        self._findings: dict[Finding, None] = {}
        self._more = 0

    def add(self, code: str, place: str | Placed, *, refusing: bool = False) -> None:
        """Notes one doubt at one place; beyond `MAX_FINDINGS` it is only counted."""
        if len(self._findings) >= MAX_FINDINGS:
            self._more += 1
            return
        where = place if isinstance(place, str) else place.where
        self._findings[Finding(code, where, self._details[code], refusing)] = None

    def findings(self) -> tuple[Finding, ...]:
        """All that were kept."""
        if not self._more:
            return tuple(self._findings)
        last = Finding("more-findings", "/", f"{self._more} further doubts were left out")
        return (*self._findings, last)
