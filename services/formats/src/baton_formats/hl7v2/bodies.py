"""A body of bytes cut into messages: junk, byte order marks and batch wrappers told apart from them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from baton_formats.declaration import FieldMapping, MessageMapping
from baton_formats.findings import Finding, Format
from baton_formats.hl7v2.charset import decode, wide_codec, without_switched
from baton_formats.hl7v2.segments import ENVELOPE, MAX_FIELDS, Segment, split_segments
from baton_formats.hl7v2.syntax import Separators, Syntax, read_separators

_UTF8_BOM = b"\xef\xbb\xbf"
_MARK = rb"[^A-Za-z0-9\s\x00-\x1f\x7f-\xff]"
_HEADER = re.compile(rb"MSH" + _MARK)
_STANDARD_HEADER = re.compile(rb"MSH" + _MARK + rb"\^~\\")
# A message begins at a line start, behind the framing bytes of another program, or behind what some print in
# their place (`[SOM]`, `<VT>`), which is believed only before the usual separators.
_FRAMING = frozenset(b"\r\n\x00\x02\x03\x0b\x0c\x1c\xbf")
_PRINTED = frozenset(b"]>)")
_BLANK = frozenset(b" \t")
_AFTER_JUNK = re.compile(rb"MSH(?:" + _MARK + rb"){3}")
_ENVELOPE_LINE = re.compile(
    rb"(?:(?<=[\r\n])|\A)[ \t]*(?:FHS|BHS|BTS|FTS)(?:" + _MARK + rb"|(?P<bare>[ \t]*(?:[\r\n]|\Z)))"
)
_ENVELOPE_NAMES = (b"FHS", b"BHS", b"BTS", b"FTS")
_LINE_END = re.compile(rb"[\r\n]")
_TRAILING_MARKERS = re.compile(r"(?:\x1c|\[(?:EOM|EOB|EOT|ETX|FS|CR|LF|SOM|SOB|STX|VT)\])+\s*$")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one body may ask of us. Beyond them it is refused as a whole, in plain words."""

    body_bytes: int = 64 * 1024 * 1024
    messages: int = 10_000
    segments: int = 250_000


@dataclass(frozen=True, slots=True)
class RawMessage:
    """One message as it came: its own bytes, its segments, how it was read.

    ``raw`` is exactly the sender's bytes from MSH to the next message (batch trailers not included), for
    keeping and hashing. ``syntax`` is None if its separators are unusable; then there are no segments.
    """

    raw: bytes
    charset: str
    declared_charset: str | None
    separators: Separators
    segments: tuple[Segment, ...]
    findings: tuple[Finding, ...]

    @property
    def syntax(self) -> Syntax | None:
        """The message's separators and character set."""
        return self.separators.syntax


@dataclass(frozen=True, slots=True)
class Body:
    """What a body of bytes holds. ``reason`` says why it cannot be taken apart, if it cannot."""

    messages: tuple[RawMessage, ...] = ()
    findings: tuple[Finding, ...] = ()
    reason: str | None = None


@dataclass(slots=True)
class _Batch:
    """Counts of one pass over the batch segments of a body."""

    findings: list[Finding] = field(default_factory=list)
    open_batch: int | None = None
    open_file: bool = False
    batches: int = 0
    seen: int = 0


def split_body(body: bytes, *, limits: Limits | None = None) -> Body:
    """The messages of ``body`` in order. Total: what is no message at all comes back as a reason."""
    limits = limits or Limits()
    if len(body) > limits.body_bytes:
        return Body(reason=f"the body is larger than {limits.body_bytes} bytes")
    text, findings, came_as = _without_marks(body)
    if not text.strip(b" \t\r\n\x00\x0b\x1c"):
        return Body(reason="the body is empty")
    starts = [match.start() for match in _HEADER.finditer(text) if _starts_message(text, match.start())]
    first = starts[0] if starts else len(text)
    hidden = _AFTER_JUNK.search(text, 0, first + 3)
    if hidden and hidden.start() < first:
        starts.insert(0, hidden.start())
        first = starts[0]
    if not starts:
        return Body(reason=_why_none(text), findings=findings)
    if len(starts) > limits.messages:
        return Body(reason=f"the body holds more than {limits.messages} messages")
    if text.count(b"\r") + text.count(b"\n") > 2 * limits.segments:
        return Body(reason=f"the body holds more than {limits.segments} segments")
    return _taken_apart(text, starts, findings, came_as)


def _starts_message(text: bytes, at: int) -> bool:
    before = at - 1
    while before >= 0 and text[before] in _BLANK:
        before -= 1
    if before < 0 or text[before] in _FRAMING:
        return True
    return text[before] in _PRINTED and _STANDARD_HEADER.match(text, at) is not None


def _taken_apart(text: bytes, starts: list[int], findings: tuple[Finding, ...], came_as: str | None) -> Body:
    batch = _Batch(findings=list(findings))
    _walk_envelope(text[: starts[0]], batch)
    if _junk(text[: starts[0]]):
        batch.findings.append(
            Finding("junk-before-message", "line 1", "text stood before the first MSH; it was skipped")
        )
    messages = []
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        batch.seen += 1
        raw = text[start:end]
        wrapper = _wrapper(raw)
        if wrapper is not None:
            _walk_envelope(raw[wrapper:], batch)
            raw = raw[:wrapper]
        messages.append(_read_message(raw, came_as))
    if batch.open_batch is not None:
        batch.findings.append(
            Finding("batch-trailer-missing", "BTS", "a batch header (BHS) has no trailer (BTS)")
        )
    if batch.open_file:
        batch.findings.append(
            Finding("file-trailer-missing", "FTS", "a file header (FHS) has no trailer (FTS)")
        )
    return Body(messages=tuple(messages), findings=tuple(batch.findings))


def _wrapper(raw: bytes) -> int | None:
    """Where the batch segments behind a message begin. A name alone on its line counts only if nothing but
    such segments follows: in a text it is a word.
    """
    if not any(name in raw for name in _ENVELOPE_NAMES):
        return None
    tail = _envelope_tail(raw)
    found = (line for line in _ENVELOPE_LINE.finditer(raw) if line["bare"] is None or line.start() >= tail)
    return next((line.start() for line in found), None)


def _envelope_tail(raw: bytes) -> int:
    """Where the last lines begin that are batch segments or blank."""
    at = len(raw)
    for line in reversed(_LINE_END.split(raw)):
        words = line.strip(b" \t\x00\x0b\x1c")
        if words and words[:3] not in _ENVELOPE_NAMES:
            break
        at -= len(line) + 1
    return at + 1


def _without_marks(body: bytes) -> tuple[bytes, tuple[Finding, ...], str | None]:
    """The body without its byte order mark; one of 16 or 32 bits a character as UTF-8, and what it was."""
    if body.startswith(_UTF8_BOM):
        found = Finding(
            "byte-order-mark", "line 1", "a UTF-8 byte order mark stood before MSH; it was skipped"
        )
        return body[3:], (found,), None
    wide = wide_codec(body)
    if wide is None:
        return body, (), None
    codec, mark = wide
    text = body[mark:].decode(codec, errors="replace").lstrip("\ufeff")
    if codec.startswith("utf-32"):
        found = Finding("utf-32", "line 1", "the body was UTF-32 and was read as such")
    else:
        found = Finding("utf-16", "line 1", "the body was UTF-16 and was read as such")
    return text.encode("utf-8"), (found,), codec.replace("-le", "le").replace("-be", "be")


def _junk(before: bytes) -> bytes:
    return _ENVELOPE_LINE.split(before, maxsplit=1)[0].strip(b" \t\r\n\x0b")


def _why_none(text: bytes) -> str:
    if text.lstrip().startswith(b"<"):
        return "no MSH segment: this looks like XML; HL7 v2 in its XML encoding is not read"
    return "no MSH segment: the body is no HL7 v2 message"


def _walk_envelope(text: bytes, batch: _Batch) -> None:
    for line in _LINE_END.split(text):
        name, mark = line.strip()[:3].decode("latin-1"), line.strip()[3:4]
        if name not in ENVELOPE:
            continue
        count = line.strip().split(mark)[1].strip() if mark and line.strip().count(mark) else b""
        _ENVELOPE_STEPS[name](batch, count)


def _open_file(batch: _Batch, _: bytes) -> None:
    batch.open_file = True


def _open_batch(batch: _Batch, _: bytes) -> None:
    if batch.open_batch is not None:
        batch.findings.append(
            Finding("batch-trailer-missing", "BTS", "a batch header (BHS) has no trailer (BTS)")
        )
    batch.open_batch = batch.seen
    batch.batches += 1


def _close_batch(batch: _Batch, count: bytes) -> None:
    found = batch.seen - (batch.open_batch or 0)
    if batch.open_batch is None:
        batch.findings.append(
            Finding("batch-header-missing", "BHS", "a batch trailer (BTS) has no header (BHS)")
        )
    batch.open_batch = None
    _compare(batch, "batch-count-mismatch", "BTS-1", count, found, "messages")


def _close_file(batch: _Batch, count: bytes) -> None:
    if not batch.open_file:
        batch.findings.append(
            Finding("file-header-missing", "FHS", "a file trailer (FTS) has no header (FHS)")
        )
    batch.open_file = False
    batches = batch.batches
    if not batches and count != b"0":
        batches = min(batch.seen, 1)  # BHS and BTS may be left out: HL7 v2.5.1 2.10.3
    _compare(batch, "file-count-mismatch", "FTS-1", count, batches, "batches")


def _compare(batch: _Batch, code: str, where: str, declared: bytes, found: int, what: str) -> None:
    if declared and (not declared.isdigit() or len(declared) > 9 or int(declared) != found):
        said = declared.decode("ascii") if declared.isdigit() and len(declared) <= 9 else "something else"
        batch.findings.append(Finding(code, where, f"the trailer says {said}, found were {found} {what}"))


_ENVELOPE_STEPS = {"FHS": _open_file, "BHS": _open_batch, "BTS": _close_batch, "FTS": _close_file}


def _read_message(raw: bytes, came_as: str | None = None) -> RawMessage:
    head = _LINE_END.split(raw[:4096], maxsplit=1)[0]
    decoded = decode(raw, _claims(head), came_as=came_as)
    charset, claimed, findings = decoded.charset, decoded.declared, list(decoded.findings)
    text = decoded.text.replace("\r\n", "\r").replace("\n", "\r")
    mark = text[3:4]
    declared = text[4:].split("\r", 1)[0].split(mark, 1)[0]
    separators = read_separators(mark, declared, decoded.codec)
    if separators.syntax is None:
        return RawMessage(raw, charset, claimed, separators, (), tuple(findings))
    findings += _about(separators)
    if separators.leaked:
        text = text.replace("\\\\", "\\").replace("\\r\r", "\r")
    stripped = _TRAILING_MARKERS.sub("", text[-64:])
    if len(stripped) != len(text[-64:]):
        findings.append(
            Finding("junk-after-message", "MSH", "markers stood after the last segment; they were skipped")
        )
        text = text[:-64] + stripped
    segments, continued = split_segments(text.split("\r"), separators.syntax)
    findings += [_continued(segments[at]) for at in continued[:20]]
    findings += _parts(segments)
    findings += [_cut(segment) for segment in segments if len(segment.fields) > MAX_FIELDS]
    return RawMessage(raw, charset, claimed, separators, tuple(segments), tuple(findings))


def _claims(head: bytes) -> tuple[str, ...]:
    """MSH-18 before anything is decoded: charset names are ASCII."""
    mark = head[3:4]
    fields = without_switched(head).split(mark, 18) if mark else []
    if len(fields) < 18 or not fields[17]:
        return ()
    repetition = fields[1][1:2] or b"~"
    return tuple(claim.decode("latin-1") for claim in fields[17].split(repetition, 8)[:8])


def _about(separators: Separators) -> list[Finding]:
    found = []
    if separators.leaked:
        found.append(
            Finding(
                "separators-escaped", "MSH-2", "MSH-2 holds the escaping of another program; ^~\\& was read"
            )
        )
    if separators.unusual:
        found.append(
            Finding(
                "separators-unusual",
                "MSH-2",
                "MSH-2 is short or out of order; ^ ~ \\ and & were taken in their usual roles",
            )
        )
    if separators.assumed:
        found.append(Finding("separators-missing", "MSH-2", "MSH-2 is empty; ^~\\& was assumed"))
    return found


def _continued(segment: Segment) -> Finding:
    return Finding(
        "continuation-line", segment.label, "lines without a segment name were read as its continuation"
    )


def _parts(segments: list[Segment]) -> list[Finding]:
    """What segments say of a message that is more, or less, than one message."""
    found = []
    if any(segment.id == "ADD" for segment in segments):
        found.append(Finding("addendum-joined", "ADD", "a segment that came in parts was put together again"))
    if any(segment.id == "DSC" and segment.field(1) for segment in segments):
        found.append(
            Finding("message-incomplete", "DSC-1", "the message goes on in another one", refusing=True)
        )
    if segments[0].field(14):
        found.append(
            Finding("message-incomplete", "MSH-14", "the message is the rest of another one", refusing=True)
        )
    if any(segment.id == "MSH" for segment in segments[1:]):
        found.append(
            Finding("message-in-message", "MSH[2]", "a second header stands in the message", refusing=True)
        )
    return found


def _cut(segment: Segment) -> Finding:
    return Finding("too-many-fields", segment.label, f"fields beyond {MAX_FIELDS} were left together unread")


BODY = MessageMapping(
    format=Format.HL7V2,
    message="a body of bytes",
    fact="messages",
    source="HL7 v2.5.1 2.6, 2.10.3",
    notes=(
        "A body is a stream of messages, with or without batch wrappers; CR, LF and CRLF end a segment.",
        "It is refused if no message in it can be read, and beyond the bounds on its size.",
    ),
    fields=(
        FieldMapping(
            "messages",
            "every message, in order",
            "MSH-1",
            (),
            ("byte-order-mark", "utf-16", "utf-32", "junk-before-message", "junk-after-message"),
        ),
        FieldMapping(
            "segments",
            "every segment; lines without a name continue the one before",
            "MSH-1",
            (),
            (
                "continuation-line",
                "addendum-joined",
                "message-incomplete",
                "message-in-message",
                "too-many-fields",
                "too-many-repetitions",
                "too-many-groups",
            ),
        ),
        FieldMapping(
            "batches",
            "messages a batch was said to hold",
            "BTS-1",
            (),
            ("batch-count-mismatch", "batch-header-missing", "batch-trailer-missing"),
        ),
        FieldMapping(
            "files",
            "batches a file was said to hold",
            "FTS-1",
            (),
            ("file-count-mismatch", "file-header-missing", "file-trailer-missing"),
        ),
    ),
)
