"""OBX: text, results and embedded files, joined where senders spread one thing over many segments."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import pybase64

from baton_formats.facts import Attachment, Observation
from baton_formats.hl7v2 import datatypes
from baton_formats.hl7v2.segments import NULL, Cell, Segment
from baton_formats.hl7v2.syntax import Syntax
from baton_formats.hl7v2.view import View

MAX_OBSERVATIONS = 5000
_TEXT_TYPES = frozenset(("TX", "FT"))
_SPACE = re.compile(r"\s+")
# First bytes of the files that travel in messages, and the first base64 characters these make.
_MAGIC = {
    b"%PDF-": "application/pdf",
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n": "image/png",
    b"GIF8": "image/gif",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
    b"PK\x03\x04": "application/zip",
    b"{\\rtf": "application/rtf",
    b"<?xml": "text/xml",
}
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<[!?A-Za-z]")
_SUBTYPES = {
    "PDF": "application/pdf",
    "JPEG": "image/jpeg",
    "JPG": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
    "TIF": "image/tiff",
    "HTML": "text/html",
    "XML": "text/xml",
    "RTF": "application/rtf",
    "PLAIN": "text/plain",
    "TXT": "text/plain",
    "DICOM": "application/dicom",
    "OCTET-STREAM": "application/octet-stream",
    "X-HL7-CDA-LEVEL-ONE": "text/xml",
    "MSWORD": "application/msword",
}
# HL7 table 0191 and what senders write there.
_MAIN_TYPES = {
    "TEXT": "text",
    "TX": "text",
    "IMAGE": "image",
    "IM": "image",
    "APPLICATION": "application",
    "AP": "application",
}
_MAIN_TYPES |= {"AUDIO": "audio", "AU": "audio", "VIDEO": "video", "MULTIPART": "multipart"}


@dataclass(frozen=True, slots=True)
class Content:
    """What the OBX segments in view hold, in set-id order."""

    text: str | None
    attachments: tuple[Attachment, ...]
    observations: tuple[Observation, ...]
    statuses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """One piece of an embedded file, as one ED sent it."""

    segment: Segment
    data: str
    encoding: str
    media_type: str | None
    code: str
    title: str | None


def read_content(view: View) -> Content:
    """Text lines joined, file parts joined and decoded, everything else as result lines."""
    lines: list[str] = []
    parts: list[_Part] = []
    pointers: list[Attachment] = []
    results: list[Observation] = []
    statuses: dict[str, None] = {}
    for segment in _ordered(view.all("OBX")):
        kind = segment.field(2).strip().upper()
        statuses[segment.field(11).strip().upper()] = None
        if kind == "ED":
            parts += [_part(raw, segment, view) for raw in _embedded(segment.field(5), view.syntax)]
        elif kind == "RP":
            pointers += [_pointer(cell, view) for cell in view.cells_of(segment, 5)]
        elif kind in _TEXT_TYPES or (kind == "ST" and view.code == "MDM" and not segment.field(6)):
            lines.append(_lines(segment.field(5), view.syntax))
        elif len(results) < MAX_OBSERVATIONS:
            results.append(_result(segment, view))
        else:
            view.note("too-many-observations", "OBX", f"only the first {MAX_OBSERVATIONS} results were read")
    words = "\n".join(lines).rstrip() or None
    files = (*_files(parts, view), *pointers)
    return Content(words, files, tuple(results), tuple(status for status in statuses if status))


def _ordered(segments: list[Segment]) -> list[Segment]:
    """By set id where every segment has one of its own, else as they came."""
    numbers = [segment.field(1).strip() for segment in segments]
    usable = all(number.isascii() and number.isdigit() and len(number) < 9 for number in numbers)
    if not usable or len(set(map(int, numbers))) != len(numbers):
        return segments
    return sorted(segments, key=lambda segment: int(segment.field(1)))


def _lines(raw: str, syntax: Syntax) -> str:
    """A text value: repetitions are lines; component separators a sender left unescaped in it stay."""
    if raw == NULL:
        return ""
    return (
        "\n".join(syntax.decode(line) for line in raw.split(syntax.repetition))
        if syntax.repetition
        else syntax.decode(raw)
    )


def _embedded(raw: str, syntax: Syntax) -> list[str]:
    """The ED values of a field; a repetition without components is more data of the one before it."""
    if not syntax.repetition or syntax.repetition not in raw:
        return [raw]
    runs: list[list[str]] = []
    for piece in raw.split(syntax.repetition):
        if runs and syntax.component not in piece:
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return ["".join(run) for run in runs]


def _part(raw: str, segment: Segment, view: View) -> _Part:
    """ED: source, type of data, subtype, encoding, data (HL7 v2.5.1 2A.24)."""
    cell = Cell(raw, view.syntax, segment, 5)
    bare = len(cell.components) == 1  # data alone: the rest of the part before
    data = raw if bare else view.syntax.component.join(cell.components[4:])
    cell = Cell("", view.syntax, segment, 5) if bare else cell
    main, subtype = (cell.text(2) or "").upper(), (cell.text(3) or "").upper()
    return _Part(
        segment=segment,
        data=view.syntax.decode(data),
        encoding=(cell.text(4) or "").upper(),
        media_type=_declared_type(main, subtype),
        code=segment.field(3),
        title=_title(segment, view),
    )


def _title(segment: Segment, view: View) -> str | None:
    cell = next(view.cells_of(segment, 3), None)
    return datatypes.label(datatypes.cwe(cell, view)) if cell else None


def _declared_type(main: str, subtype: str) -> str | None:
    known = _SUBTYPES.get(subtype) or _SUBTYPES.get(main)
    if known:
        return known
    family = _MAIN_TYPES.get(main)
    if family and subtype and subtype.replace("-", "").replace(".", "").replace("+", "").isalnum():
        return f"{family}/{subtype.lower()}"
    return "text/plain" if family == "text" else None


def _files(parts: list[_Part], view: View) -> list[Attachment]:
    """Whole files: a piece that does not begin one continues the piece of the same kind before it."""
    runs: list[list[_Part]] = []
    for part in parts:
        if runs and _continues(runs[-1][-1], runs[-1][0], part):
            runs[-1].append(part)
        else:
            runs.append([part])
    return [_file(run, view) for run in runs]


def _continues(last: _Part, head: _Part, part: _Part) -> bool:
    untyped = part.media_type is None and not part.encoding
    same = part.code == head.code and (
        untyped or (part.media_type, part.encoding) == (head.media_type, head.encoding)
    )
    if not (same and part.data and last.data and head.encoding in ("BASE64", "HEX", "B", "")):
        return False
    if _starts_file(part, head.encoding):
        return False
    return _starts_file(head, head.encoding) or _goes_on(last, part)


def _goes_on(last: _Part, part: _Part) -> bool:
    """Whether a part of a file of any kind is of one value with the part before: the same sub-id (OBX-4), and
    no padding between them, after which base64 ends (RFC 4648 section 3.2).
    """
    group = part.segment.field(4)
    return group != "" and group == last.segment.field(4) and not last.data.rstrip().endswith("=")


def _starts_file(part: _Part, encoding: str) -> bool:
    start = "".join(part.data[:64].split())[:24]
    whole = len(start) - len(start) % 4
    try:
        if encoding == "HEX":
            begin = bytes.fromhex(start[:whole])
        else:
            begin = pybase64.b64decode(start[:whole], validate=True)
    except ValueError:  # binascii.Error is one
        return False
    return _magic_type(begin) is not None or _MARKUP.match(begin) is not None


def _magic_type(content: bytes) -> str | None:
    return next((media_type for magic, media_type in _MAGIC.items() if content.startswith(magic)), None)


def _file(run: list[_Part], view: View) -> Attachment:
    head = run[0]
    place = head.segment.place(5)
    if len(run) > 1:
        view.note("parts-joined", place, f"one file came in {len(run)} parts, which were joined")
    data = "".join(part.data for part in run)
    if not data.strip():
        view.note("content-missing", place, "an embedded file is announced but nothing of it was sent")
        return Attachment(media_type=head.media_type, title=head.title)
    content = _bytes(data, head.encoding, view, place)
    if content is None:
        return Attachment(media_type=head.media_type, title=head.title)
    return Attachment(
        media_type=_true_type(head.media_type, content, view, place),
        content=content,
        title=head.title,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
    )


def _bytes(data: str, encoding: str, view: View, place: str) -> bytes | None:
    if encoding in ("A", "ASCII", "NONE"):
        return data.encode("utf-8", errors="surrogatepass")
    if encoding == "HEX":
        try:
            return bytes.fromhex(data)
        except ValueError:
            view.note("hex-broken", place, "the embedded file is not valid hexadecimal")
            return None
    if encoding not in ("BASE64", "B", ""):
        view.note("encoding-unknown", place, "the encoding of the embedded file is not in HL7 table 0299")
    try:
        return pybase64.b64decode(_SPACE.sub("", data) if _SPACE.search(data) else data, validate=True)
    except ValueError:  # binascii.Error is one
        view.note("base64-broken", place, "the embedded file is not valid base64")
        return None


def _true_type(declared: str | None, content: bytes, view: View, place: str) -> str | None:
    found = _magic_type(content)
    if declared == "application/pdf" and found != declared:
        view.note(
            "media-type-disagrees", place, "the embedded file is called a PDF but does not start like one"
        )
    if found is None or found == declared:
        return declared
    if (
        declared
        and declared not in ("application/octet-stream", "text/plain")
        and found not in ("text/xml", "application/zip")
    ):
        view.note("media-type-disagrees", place, "the embedded file is not of the kind it is called")
    return declared if declared and found in ("text/xml", "application/zip") else found


def _pointer(cell: Cell, view: View) -> Attachment:
    """RP: a file elsewhere. It is named, and never fetched."""
    main, subtype = (cell.text(3) or "").upper(), (cell.text(4) or "").upper()
    return Attachment(
        url=cell.text(1), media_type=_declared_type(main, subtype), title=_title(cell.segment, view)
    )


def _result(segment: Segment, view: View) -> Observation:
    code = next(view.cells_of(segment, 3), None)
    unit = next(view.cells_of(segment, 6), None)
    return Observation(
        code=datatypes.cwe(code, view) if code else None,
        value=_value(segment, view),
        unit=datatypes.label(datatypes.cwe(unit, view)) if unit else None,
        status=segment.field(11).strip() or None,
        at=datatypes.quiet_time(segment.field(14).strip()),
    )


def _value(segment: Segment, view: View) -> str | None:
    """OBX-5 in words: the meaning of a code, the parts of anything else with a blank between."""
    kind = segment.field(2).strip().upper()
    values = []
    for cell in view.cells_of(segment, 5):
        if kind in ("CE", "CWE", "CNE", "CF", "IS", "ID"):
            value = datatypes.label(datatypes.cwe(cell, view))
        else:
            value = " ".join(
                part for at in range(1, min(len(cell.components), 12) + 1) if (part := cell.text(at))
            )
        if value:
            values.append(value)
    return "; ".join(values) or None
