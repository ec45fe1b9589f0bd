"""What travelled inside of a document (PDF, picture, text) or was only pointed at."""

import binascii
import codecs
import hashlib
import re
from io import BytesIO
from typing import Final

import pybase64

from baton_formats.ccda.document import Media
from baton_formats.ccda.doubts import Doubts
from baton_formats.ccda.narrative import safe
from baton_formats.ccda.safe_xml import CHUNK, decodes
from baton_formats.facts import Attachment, Text

_MAGIC: Final = (
    (b"%PDF-", "application/pdf"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"{\\rtf", "text/rtf"),
)
_OTHER_NAMES: Final = {
    "application/rtf": "text/rtf",
    "application/x-pdf": "application/pdf",
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/tif": "image/tiff",
    "image/x-png": "image/png",
}
_PROVABLE: Final = frozenset(kind for _, kind in _MAGIC)


def attachment(media: Media, doubts: Doubts) -> Attachment:
    """One attachment; without `content`, and with a finding, where none was sent or none could be decoded.

    What it points at is kept as `url` and never fetched.
    """
    declared = media_type(media)
    marked = (media.attributes.get("representation") or "TXT").upper() == "B64"
    content = _content(media, declared, doubts, marked=marked)
    if content is None and media.reference:
        doubts.add("attachment-not-included", media)
    if media.markup:
        doubts.add("attachment-markup-removed", media)
    kind = sniffed(content) if content is not None else None
    if content is not None and _differs(declared, kind, content, is_words=not marked and kind is None):
        doubts.add("media-type-differs", media)
    usual = "text/plain" if content is not None and not marked else None  # ED.mediaType, CDA R2
    return Attachment(
        media_type=kind or declared or usual,
        content=content,
        url=_reference(media, doubts),
        sha256=hashlib.sha256(content).hexdigest() if content is not None else None,
        size=len(content) if content is not None else None,
        language=safe(media.attributes.get("language") or "").strip() or None,
    )


def media_type(media: Media) -> str | None:
    """The declared media type, in small letters and without its parameters (RFC 2045, section 5.1)."""
    return safe(media.attributes.get("mediaType") or "").partition(";")[0].strip().lower() or None


def sniffed(content: bytes) -> str | None:
    """The media type that the first bytes prove, if any."""
    return next((kind for magic, kind in _MAGIC if content.startswith(magic)), None)


_PDF_WITHIN: Final = 1024  # bytes that may stand before the header: ISO 32000-1, implementation note 13


_WRITTEN_IN_WORDS: Final = re.compile(
    r"(text|message|multipart)/.*|application/(xml|json|rtf|sgml)|.*\+(xml|json)"
)


def _differs(declared: str | None, kind: str | None, content: bytes, *, is_words: bool) -> bool:
    """Whether the content is provably not of the declared kind; a binary file does not come in words."""
    usual = _OTHER_NAMES.get(declared or "", declared)
    if usual is None or kind == usual:
        return False
    if usual == "application/pdf" and b"%PDF-" in content[:_PDF_WITHIN]:
        return False
    return kind is not None or usual in _PROVABLE or (is_words and not _WRITTEN_IN_WORDS.fullmatch(usual))


_REFERENCE: Final = re.compile(r"\s*([^:/?#]*):")
_SCHEMES: Final = frozenset({"http", "https", "ftp", "urn", "cid", "mid"})
_INVISIBLE: Final = re.compile(r"[\x00-\x20\x7f]")


def _reference(media: Media, doubts: Doubts) -> str | None:
    """What the content points at; nothing that a program would run or read from its own disk (RFC 3986)."""
    written = safe(media.reference or "").strip()
    if not written:
        return None
    scheme = _REFERENCE.match(_INVISIBLE.sub("", written))
    if scheme is not None and scheme.group(1).lower() not in _SCHEMES:
        doubts.add("reference-left-out", media)
        return None
    return written


def _content(media: Media, declared: str | None, doubts: Doubts, *, marked: bool) -> bytes | None:
    text = media.take().strip()
    if not text:
        if media.reference is None:
            doubts.add("attachment-empty", media)
        return None
    if media.attributes.get("compression"):
        doubts.add("attachment-compressed", media)
        return None
    if marked:
        return _from_base64(text, media, doubts)
    return _unmarked(text, declared, media, doubts) or text


def _from_base64(text: bytes, media: Media, doubts: Doubts) -> bytes | None:
    try:
        return _decoded(text)
    except ValueError:
        doubts.add("attachment-broken", media)
        return None


def _unmarked(text: bytes, declared: str | None, media: Media, doubts: Doubts) -> bytes | None:
    """The file whose base64 stands where words are expected, if it is one of the declared kind."""
    if declared is not None and _WRITTEN_IN_WORDS.fullmatch(declared):
        return None
    kind = _kind_within(text)
    if kind is None or _OTHER_NAMES.get(declared or kind, declared or kind) != kind:
        return None
    try:
        content = _decoded(text)
    except ValueError:
        return None
    doubts.add("attachment-not-marked", media)
    return content


_FIRST: Final = 24  # characters of base64, enough for every magic number


def _kind_within(text: bytes) -> str | None:
    first = text[: 2 * _FIRST].translate(None, b" \t\r\n")[:_FIRST]
    try:
        return sniffed(binascii.a2b_base64(first[: len(first) // 4 * 4], strict_mode=True))
    except ValueError:
        return None


def _decoded(text: bytes) -> bytes:
    """RFC 4648, white space allowed; the decoder skips it, so no second copy of the text is made."""
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError:  # white space, mostly: the decoder that takes it is many times slower
        padding = text.find(b"=")
        if text.translate(None, _BASE64_AND_BLANKS) or (padding >= 0 and not _ends(text, padding)):
            raise
        return binascii.a2b_base64(text)


_BASE64_AND_BLANKS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \t\r\n"


def _ends(text: bytes, padding: int) -> bool:
    """Whether the padding follows something and nothing follows it (RFC 4648, section 3.3)."""
    return padding > 0 and text[padding:].translate(None, b" \t\r\n") in (b"=", b"==")


def plain_text(found: Attachment, media: Media, doubts: Doubts) -> Text | None:
    """The words of an attachment that is plain text, as safe as narrative; in which charset is found out."""
    if found.content is None or found.media_type != "text/plain":
        return None
    charset = _charset(found.content, media, doubts)
    if charset in ("utf-8", "ascii"):
        return Text(_safe_utf8(found.content.removeprefix(codecs.BOM_UTF8))) or None
    return Text(_safe_utf8(_in_utf8(found.content, charset))) or None


_PARAMETER: Final = re.compile(r";\s*charset\s*=\s*\"?([A-Za-z][\w.:-]{0,40})", re.ASCII | re.IGNORECASE)
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHARSETS: Final = re.compile(
    "ascii|utf-8|utf-(16|32)(-[lb]e)?|cp(125[0-8]|437|85[02]|866|932|949)|iso8859-(1[013-6]?|[2-9])|koi8-[ru]"
    "|mac-roman|tis-620|big5|gb(k|2312|18030)|shift_jis|euc_(jp|kr)|iso2022_(jp|kr)"
)


def _charset(content: bytes, media: Media, doubts: Doubts) -> str:
    """That of the byte order mark, else the claimed one, else UTF-8, UTF-16 or what Windows writes."""
    if (media.attributes.get("representation") or "TXT").upper() != "B64":
        return "utf-8"  # the text of the document itself, whatever its bytes were
    claimed = _claimed(media)
    mark = next((name for bom, name in _BOMS if content.startswith(bom)), None)
    found = mark or _fitting(content, claimed)
    if not _is_claimed(found, claimed or mark or "utf-8"):
        doubts.add("charset-differs", media)
    if not decodes(content, 0, found):
        doubts.add("undecodable-bytes", media)
    return found


def _is_claimed(found: str, claimed: str) -> bool:
    """A family name such as UTF-16 covers both of its byte orders, ASCII stands within UTF-8."""
    return found.startswith(claimed) or claimed.startswith(found) or (claimed, found) == ("ascii", "utf-8")


def _claimed(media: Media) -> str | None:
    """ED.charset, or the parameter of the media type; None where that is no plain charset."""
    parameter = _PARAMETER.search(media.attributes.get("mediaType") or "")
    word = parameter.group(1) if parameter else (media.attributes.get("charset") or "").strip()
    try:
        name = codecs.lookup(word).name if word.isascii() else ""
    except (LookupError, ValueError):
        return None
    return name if _CHARSETS.fullmatch(name) else None


def _fitting(content: bytes, claimed: str | None) -> str:
    wide = _wide(content)
    if claimed in (None, "utf-8", "utf-16") and wide is not None:
        return wide
    is_utf8 = decodes(content, 0, "utf-8")
    if is_utf8 and (not content.isascii() or (claimed or "").startswith(("utf-16", "utf-32"))):
        return "utf-8"  # beyond ASCII, hardly anything else is valid UTF-8 by chance
    if claimed is not None and decodes(content, 0, claimed):
        return claimed
    return "utf-8" if is_utf8 else "cp1252"


def _wide(content: bytes) -> str | None:
    """UTF-16 without a mark shows by its zeros: every other byte of what is mostly Latin."""
    head = content[:CHUNK]
    if len(content) % 2 or head.count(0) * 3 < len(head):
        return None
    return "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"


def _in_utf8(content: bytes, charset: str) -> bytes:
    """Piece by piece, for a str of all of it could be four times as large."""
    decoder = codecs.getincrementaldecoder(charset)("replace")
    kept = BytesIO()
    for at in range(0, len(content), CHUNK):
        kept.write(decoder.decode(content[at : at + CHUNK]).encode("utf-8", "replace"))
    kept.write(decoder.decode(b"", True).encode("utf-8", "replace"))
    return kept.getvalue()


_CONTROLS: Final = bytes(byte for byte in (*range(32), 0x7F) if byte not in b"\t\n\r")
_CONTROL: Final = re.compile(b"[" + re.escape(_CONTROLS) + b"]")
_UNSAFE_UTF8: Final = re.compile(rb"\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9]")


def _safe_utf8(text: bytes) -> bytes:
    """What `narrative.safe` leaves of a text, and no control that XML would not have let through."""
    # Most texts are clean, and then the same bytes are held once.
    kept = text.translate(None, _CONTROLS) if _CONTROL.search(text) else text
    return kept if kept.isascii() or not _UNSAFE_UTF8.search(kept) else _without_unsafe(kept)


def _without_unsafe(text: bytes) -> bytes:
    """Piece by piece, for all matches of a text are held at once; no piece ends within a character."""
    kept = BytesIO()
    start = 0
    while start < len(text):
        end = min(start + CHUNK, len(text))
        while end < len(text) and text[end] & 0xC0 == 0x80:
            end += 1
        kept.write(_UNSAFE_UTF8.sub(b"", text[start:end]))
        start = end
    return kept.getvalue()
