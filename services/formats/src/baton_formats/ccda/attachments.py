"""What travelled inside of a document (PDF, picture, text) or was only pointed at."""

import binascii
import hashlib
from typing import Final

import pybase64

from baton_formats.ccda.document import Media
from baton_formats.ccda.doubts import Doubts
from baton_formats.ccda.safe_xml import decodes
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


def attachment(media: Media, doubts: Doubts) -> Attachment:
    """One attachment; without `content`, and with a finding, where none was sent or none could be decoded.

    What it points at is kept as `url` and never fetched.
    """
    declared = (media.attributes.get("mediaType") or "").strip().lower() or None
    content = _content(media, doubts)
    if content is None and media.reference:
        doubts.add("attachment-not-included", media)
    kind = sniffed(content) if content is not None else None
    if kind and declared and kind != declared and not declared.startswith("text/"):
        doubts.add("media-type-differs", media)
    return Attachment(
        media_type=kind or declared,
        content=content,
        url=media.reference,
        sha256=hashlib.sha256(content).hexdigest() if content is not None else None,
        size=len(content) if content is not None else None,
        language=media.attributes.get("language"),
    )


def sniffed(content: bytes) -> str | None:
    """The media type that the first bytes prove, if any."""
    return next((kind for magic, kind in _MAGIC if content.startswith(magic)), None)


def plain_text(found: Attachment) -> Text | None:
    """The words of an attachment that is plain text, in UTF-8 or else in what Windows writes."""
    if found.content is None or found.media_type != "text/plain":
        return None
    if decodes(found.content, 0, "utf-8"):
        return Text(found.content)
    return Text(found.content.decode("cp1252", "replace").encode())


def _content(media: Media, doubts: Doubts) -> bytes | None:
    text = media.take().strip()
    if not text:
        if media.reference is None:
            doubts.add("attachment-empty", media)
        return None
    if media.attributes.get("compression"):
        doubts.add("attachment-compressed", media)
        return None
    if (media.attributes.get("representation") or "TXT").upper() != "B64":
        return text
    return _from_base64(text, media, doubts)


def _from_base64(text: bytes, media: Media, doubts: Doubts) -> bytes | None:
    try:
        return _decoded(text) or None
    except ValueError:
        doubts.add("attachment-broken", media)
        return None


def _decoded(text: bytes) -> bytes:
    """RFC 4648, white space allowed; the decoder skips it, so no second copy of the text is made."""
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError:  # white space, mostly: the decoder that takes it is many times slower
        if text.translate(None, _BASE64_AND_BLANKS):
            raise
        return binascii.a2b_base64(text)


_BASE64_AND_BLANKS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \t\r\n"
