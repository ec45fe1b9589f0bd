"""Which character set a message really is in, whatever MSH-18 claims."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from baton_formats.findings import Finding

_JAPANESE = ("iso2022_jp_2", "iso2022_jp_ext")
_WIDE = "wide"
# HL7 table 0211 and what senders write instead, with the codecs a claim may stand for, tried in this order.
# Looked up here only: Python would also accept codecs that are no charsets.
_CODECS = {
    "ASCII": ("ascii",),
    "US-ASCII": ("ascii",),
    "ISO IR6": ("ascii",),
    "UTF-8": ("utf-8",),
    "UTF8": ("utf-8",),
    "UNICODE": ("utf-8",),
    "UNICODE UTF-8": ("utf-8",),
    "UNICODE-UTF-8": ("utf-8",),
    "UNICODE UTF8": ("utf-8",),
    "UNICODE UTF-16": (_WIDE,),
    "UTF-16": (_WIDE,),
    "UNICODE UTF-32": (_WIDE,),
    "UTF-32": (_WIDE,),
    "WINDOWS-1252": ("cp1252",),
    "CP1252": ("cp1252",),
    "GB 18030-2000": ("gb18030",),
    "GB18030": ("gb18030",),
    "BIG-5": ("big5",),
    "KS X 1001": ("iso2022_kr", "euc_kr"),
    "ISO IR14": (*_JAPANESE, "jis_x0201"),
    "ISO IR87": _JAPANESE,
    "ISO IR159": _JAPANESE,
}
_CODECS |= {
    f"{prefix}{part}": (f"iso8859-{part}",)
    for part in range(1, 17)
    for prefix in ("8859/", "ISO-8859-", "ISO8859-", "8859-")
    if part != 12  # never published
}
# In the table, and no codec of ours reads it.
_UNREADABLE = frozenset(("CNS 11643-1992",))
# Sets of seven bits that announce what follows with an escape sequence.
_SWITCHED = frozenset((*_JAPANESE, "iso2022_kr"))
_ESCAPE = b"\x1b"
_TO_ROMAN, _TO_ASCII = b"\x1b(J", b"\x1b(B"
_SWITCHED_RUN = re.compile(rb"\x1b\$[^\x1b]*")
_DESIGNATION = re.compile(rb"\x1b[$(]")
# What a system says when nobody thought about it: valid UTF-8 beats these whatever it makes.
_DEFAULTS = frozenset(("ascii", "iso8859-1", "cp1252"))
_C1 = re.compile("[\x80-\x9f]")
_LONG_UTF8 = re.compile(rb"[\xe0-\xf4][\x80-\xbf]")
_KANA = re.compile(rb"[\x00-\x7f\xa1-\xdf]*")
# What the hexadecimal escapes of such a message are read in.
_HEX_CODECS = {"ascii": "utf-8", "jis_x0201": "shift_jis"}
_NAMES = {
    "ascii": "us-ascii",
    "cp1252": "windows-1252",
    "iso8859-1": "iso-8859-1",
    "euc_kr": "euc-kr",
    "iso2022_kr": "iso-2022-kr",
    "iso2022_jp_2": "iso-2022-jp",
    "iso2022_jp_ext": "iso-2022-jp",
}


@dataclass(frozen=True, slots=True)
class Decoded:
    """The text of a message: ``codec`` is what Python calls the set that was used, ``charset`` what MIME
    does.
    """

    text: str
    codec: str
    charset: str
    declared: str | None
    findings: tuple[Finding, ...] = ()


def decode(raw: bytes, claims: tuple[str, ...], *, came_as: str | None = None) -> Decoded:
    """``raw`` as text. Total: the claims, strict UTF-8 and windows-1252 are tried in this order, and
    ISO 8859-1 reads anything.

    A claim is believed if the bytes fit it, unless they are UTF-8 by better evidence: see :func:`_outdone`.
    ``claims`` are the repetitions of MSH-18. ``came_as`` names the set of 16 or 32 bits the whole body was
    in, where ``raw`` is UTF-8 made of it.
    """
    declared = "~".join(claims) or None
    claimed = [codec for claim in claims for codec in _CODECS.get(_name(claim), ())]
    noted = tuple(_unknown(claim) for claim in claims if claim.strip() and _name(claim) not in _CODECS)
    if came_as is not None:
        fitting = not claimed or _WIDE in claimed or "UNICODE" in map(_name, claims)
        findings = noted if fitting else (*noted, _mismatch(came_as.upper()))
        return _answer(raw.decode("utf-8", "replace"), "utf-8", declared, findings, charset=came_as)
    if raw.isascii():
        return _seven_bits(raw, claimed, declared, noted)
    for codec in claimed:
        text = _fitting(raw, codec)
        if text is not None and not _outdone(raw, text, codec):
            return _answer(text, codec, declared, noted)
    return _unclaimed(raw, claimed, declared, noted)


def _seven_bits(raw: bytes, claimed: list[str], declared: str | None, noted: tuple[Finding, ...]) -> Decoded:
    """ASCII, or one of the declared sets that are written in seven bits too, where the bytes switch to it."""
    if _ESCAPE in raw:
        for codec in claimed:
            text = _strict(raw, codec) if codec in _SWITCHED else None
            if text is not None:
                return _answer(text, codec, declared, noted)
        if _SWITCHED.intersection(claimed):
            noted = (*noted, _mismatch("ASCII"))
        elif _DESIGNATION.search(raw):
            detail = "the bytes switch to another character set that nobody declared; they were left as sent"
            noted = (*noted, _finding("charset-undeclared", detail))
    elif claimed and set(claimed) == {_WIDE}:
        noted = (*noted, _mismatch("ASCII"))
    return _answer(raw.decode("ascii"), "ascii", declared, noted)


def _fitting(raw: bytes, codec: str) -> str | None:
    """The text if the bytes can be of this set. A control character of the upper half is none of its
    letters.
    """
    if codec == "jis_x0201":
        return _strict(raw, "shift_jis") if _KANA.fullmatch(raw) else None
    text = _strict(raw, codec)
    return None if text is not None and codec.startswith("iso8859") and _C1.search(text) else text


def _outdone(raw: bytes, text: str, codec: str) -> bool:
    """Whether bytes that fit a claim are UTF-8 all the same.

    Valid UTF-8 beats ASCII, ISO 8859-1 and windows-1252, which are claimed by default. It beats another set
    of one byte a character if all it says could have been said in that set: the claim is a stale one then,
    while a chance match makes letters of foreign scripts. It beats a set of several bytes by any character of
    three bytes or more: text of East Asia in UTF-8 is full of them, in its own sets it hardly ever makes one,
    whereas two bytes (one Chinese family name) match easily.
    """
    if codec == "utf-8":
        return False
    other = _strict(raw, "utf-8")
    if other is None:
        return False
    if codec in _DEFAULTS:
        return True
    if codec.startswith("iso8859"):
        return _writable(other, codec)
    return _LONG_UTF8.search(raw) is not None


def _writable(text: str, codec: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def _unclaimed(raw: bytes, claimed: list[str], declared: str | None, noted: tuple[Finding, ...]) -> Decoded:
    text = _strict(raw, "utf-8")
    if text is not None:
        return _answer(text, "utf-8", declared, (*noted, _mismatch("valid UTF-8")) if claimed else noted)
    code = "charset-mismatch" if claimed else "charset-undeclared"
    for codec in ("cp1252", "iso8859-1"):
        text = _strict(raw, codec)
        if text is not None:
            detail = f"the bytes do not fit the claim, read as {_NAMES[codec]}"
            return _answer(text, codec, declared, (*noted, _finding(code, detail)))
    raise AssertionError("ISO 8859-1 reads every byte")


def _name(claim: str) -> str:
    return claim.strip().upper()


def _strict(raw: bytes, codec: str) -> str | None:
    if codec == _WIDE:
        return None
    if codec in _JAPANESE:  # its Roman set has other signs in the places of two separators
        raw = raw.replace(_TO_ROMAN, _TO_ASCII)
    try:
        return raw.decode(codec)
    except UnicodeDecodeError:
        return None


def _answer(
    text: str, codec: str, declared: str | None, findings: tuple[Finding, ...], *, charset: str | None = None
) -> Decoded:
    if codec != "ascii" and "\ufffd" in text:
        findings = (
            *findings,
            _finding("characters-lost", "holds U+FFFD: characters were lost before it was sent"),
        )
    name = charset or _NAMES.get(codec, codec)
    return Decoded(text, _HEX_CODECS.get(codec, codec), name, declared, findings)


def _finding(code: str, detail: str) -> Finding:
    return Finding(code=code, where="MSH-18", detail=detail)


def _mismatch(really: str) -> Finding:
    return _finding("charset-mismatch", f"the bytes do not fit the claim but are {really}, which was used")


def _unknown(claim: str) -> Finding:
    if _name(claim) in _UNREADABLE:
        return _finding("charset-unknown", "the claimed character set cannot be read here; others were tried")
    return _finding("charset-unknown", "the claimed character set is not in HL7 table 0211")


def without_switched(head: bytes) -> bytes:
    """A header without what stands in a set of two bytes, whose bytes look like separators."""
    return _SWITCHED_RUN.sub(b"", head) if _ESCAPE in head else head


def wide_codec(body: bytes) -> tuple[str, int] | None:
    """The codec of a body in UTF-16 or UTF-32 and the length of its byte order mark; None for any other.

    Told by the mark, or by the first letters of a message or batch header behind line ends and blanks.
    """
    for mark, codec in _MARKS:
        if body.startswith(mark):
            return codec, len(mark)
    return next(((codec, 0) for codec, shape in _SHAPES if shape.match(body)), None)


_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)


def _shapes() -> Iterator[tuple[str, re.Pattern[bytes]]]:
    for codec in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        blank = b"|".join(re.escape(char.encode(codec)) for char in "\r\n\t \x0b")
        head = b"|".join(re.escape(name.encode(codec)) for name in ("MSH", "FHS", "BHS"))
        yield codec, re.compile(rb"(?:%b){0,64}(?:%b)" % (blank, head))


_SHAPES = tuple(_shapes())
