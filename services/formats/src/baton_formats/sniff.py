"""Which format a body of bytes is in, by its content and never by a name or declared type, and its reader."""

from __future__ import annotations

import re
from typing import Any, Final

from baton_formats import ccda, fhir, hl7v2, xdm
from baton_formats.fhir.strict_json import NotJson, parse
from baton_formats.findings import Finding, Format, Message, ReadResult, refused
from baton_formats.hl7v2.charset import wide_codec
from baton_formats.xml_root import readable, root_of

_HEAD: Final = 64 * 1024
_ZIP: Final = b"PK\x03\x04"
_SEGMENT: Final = re.compile(rb"(?:^|[\r\n\x0b])[ \t]*(?:MSH|FHS|BHS|[A-Z][A-Z0-9]{2}\|)")
# Told by the first letters of a message, since no byte order mark stands before them.
_BARE: Final = (("utf-16-le", 0), ("utf-16-be", 0), ("utf-32-le", 0), ("utf-32-be", 0))
_FHIR: Final = "http://hl7.org/fhir"
_V3: Final = "urn:hl7-org:v3"
_V2_IN_XML: Final = "urn:hl7-org:v2xml"


def sniff(body: bytes) -> Format:
    """The format of a body; ``unknown`` for what is none of ours.

    Looks at the first 64 KiB, and further only for the root of XML that has comments before it.
    """
    if body.startswith(_ZIP):
        return Format.XDM
    if wide_codec(body) in _BARE:
        return Format.HL7V2
    head = readable(body).encode("utf-8", "replace") if _is_wide(body) else body[:_HEAD]
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] in (b"{", b"[") and not start.startswith((b"[SOM]", b"[EOM]")):
        return Format.FHIR
    if start[:1] == b"<":
        return _xml(body, head)
    if b"MSH" in head or _SEGMENT.search(head):
        return Format.HL7V2
    return Format.CCDA if b"<ClinicalDocument" in head else Format.UNKNOWN


def read(body: bytes) -> ReadResult:
    """What a body says, whatever format it is in. Never raises for content."""
    kind = sniff(body)
    if kind is Format.HL7V2:
        return hl7v2.read(body)
    if kind is Format.CCDA:
        return ccda.read(body)
    if kind is Format.XDM:
        return xdm.read(body)
    if kind is Format.FHIR:
        return _read_json_or_fhir(body)
    return _unknown(body)


def _is_wide(body: bytes) -> bool:
    """Whether characters of more than one byte show by a mark, or by the zeros of Latin ones."""
    return body.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in body[:8]


def _xml(body: bytes, head: bytes) -> Format:
    """By the name and namespace of the root; words further down decide only where it has none of ours."""
    root = root_of(body)
    if root is not None and root.namespace == _FHIR:
        return Format.FHIR
    if root is not None and (root.name == "ClinicalDocument" or root.namespace == _V3):
        return Format.CCDA
    if root is not None and root.namespace == _V2_IN_XML:
        return Format.UNKNOWN
    return _by_words(head)


def _by_words(head: bytes) -> Format:
    if b"<ClinicalDocument" in head or _V3.encode() in head:
        return Format.CCDA
    if _V2_IN_XML.encode() in head:
        return Format.UNKNOWN
    if _FHIR.encode() in head:
        return Format.FHIR
    # Fragments of clinical documents come without their namespace.
    return Format.CCDA if b"<recordTarget" in head or b"<templateId" in head else Format.UNKNOWN


def _unknown(body: bytes) -> ReadResult:
    if not body.strip(b"\xef\xbb\xbf \t\r\n\x00"):
        return refused(Format.UNKNOWN, "The body is empty.")
    if _V2_IN_XML in readable(body):
        return refused(Format.UNKNOWN, "This is HL7 v2 in XML; only the encoding with bars is read.")
    return refused(
        Format.UNKNOWN, "This is neither HL7 v2 nor FHIR, no clinical document and no zip of those."
    )


# ---- JSON that is not FHIR itself but carries the others ---------------------------------------------------


def _read_json_or_fhir(body: bytes) -> ReadResult:
    """FHIR, or the JSON a 360X gateway makes of a Direct message: an HL7 v2 part and documents as texts."""
    if b'"hl7v2"' not in body[:_HEAD] or body.lstrip()[:1] == b"<":
        return fhir.read(body)
    try:
        value = parse(body).value
    except NotJson:
        return fhir.read(body)
    if not isinstance(value, dict) or "resourceType" in value or not isinstance(value.get("hl7v2"), str):
        return fhir.read(body)
    return _read_gateway(value)


def _read_gateway(value: dict[str, Any]) -> ReadResult:
    parts = [("hl7v2", hl7v2.read(value["hl7v2"].encode("utf-8")))]
    documents = value.get("documents")
    for index, held in enumerate(documents if isinstance(documents, list) else ()):
        content = held.get("content") if isinstance(held, dict) else None
        if isinstance(content, str):
            parts.append((f"documents[{index}]", read(content.encode("utf-8"))))
    messages: list[Message] = []
    findings: list[Finding] = []
    for where, part in parts:
        messages.extend(part.messages)
        findings.extend(part.findings)
        if part.reason is not None:
            findings.append(Finding("part-refused", where, f"this part was left aside: {part.reason}"))
    reason = None if any(part.reason is None for _, part in parts) else parts[0][1].reason
    return ReadResult(Format.HL7V2, tuple(messages), tuple(findings), reason)
