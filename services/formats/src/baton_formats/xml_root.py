"""The root element of a body of XML, in whatever encoding, without reading the rest of it."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Final

_FIRST: Final = 64 * 1024
_MOST: Final = 2 * 1024 * 1024
"""Bytes looked at: the first where the root stands among them, the most where comments stand before it."""
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDE: Final = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_PROLOG: Final = re.compile(
    r"[\s\ufeff]+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>", re.DOTALL | re.IGNORECASE
)
_TAG: Final = re.compile(r"<([^\s!?/<>\"'=]+)((?:[^<>\"']+|\"[^\"]*\"|'[^']*')*)")
# Whatever is no attribute is passed over by the last part, so that the whole is walked over once.
_ATTRIBUTE: Final = re.compile(r"([^\s=\"']+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')|[^\s=\"']+|[\s=\"']")


@dataclass(frozen=True, slots=True)
class Root:
    """The name of a root element without its prefix, and its namespace, empty where it has none."""

    name: str
    namespace: str


def readable(body: bytes) -> str:
    """The beginning of a body as text: by its mark, as UTF-16 or UTF-32 without one, else byte by byte."""
    return _decoded(body, _FIRST)


def root_of(body: bytes) -> Root | None:
    """The root element; None where the body does not begin like XML (XML 1.0, section 2.8)."""
    found = _root(_decoded(body, _FIRST))
    if found is None and len(body) > _FIRST and readable(body[:256]).lstrip("\ufeff \t\r\n")[:1] == "<":
        found = _root(_decoded(body, _MOST))
    return found


def encoding_family(body: bytes) -> tuple[str, int]:
    """The codec that the first bytes show, empty where the text must say it, and where the text begins.

    That is behind the byte order mark, and behind every further one: programs that pass a file on add theirs.
    """
    mark, codec = next(((mark, codec) for mark, codec in _BOMS if body.startswith(mark)), (b"", ""))
    start = 0
    while mark and body.startswith(mark, start):
        start += len(mark)
    return codec or _unmarked(body), start


def _decoded(body: bytes, most: int) -> str:
    codec, start = encoding_family(body)
    return body[start:most].decode(codec or "latin-1", "replace")


def _unmarked(body: bytes) -> str:
    """UTF-16 or UTF-32 by the first less-than sign with only blanks before it (XML 1.0, appendix F.1)."""
    at = body.find(b"<", 0, 256)
    if at < 0 or body[:at].strip(b" \t\r\n\0"):
        return ""
    signs = ((codec, "<".encode(codec)) for codec in _WIDE)
    return next((codec for codec, sign in signs if _stands(body, at - sign.index(b"<"), sign)), "")


def _stands(body: bytes, start: int, sign: bytes) -> bool:
    return start >= 0 and start % len(sign) == 0 and body.startswith(sign, start)


def _root(head: str) -> Root | None:
    at = 0
    while (skipped := _PROLOG.match(head, at)) is not None:
        at = skipped.end()
    tag = _TAG.match(head, at)
    if tag is None:
        return None
    prefix, colon, name = tag.group(1).rpartition(":")
    declared = f"xmlns:{prefix}" if colon else "xmlns"
    found = (one for one in _ATTRIBUTE.finditer(tag.group(2)) if one.group(1) == declared)
    return Root(name, next(((one.group(2) or one.group(3) or "").strip() for one in found), ""))
