"""Which character set a message really is in, whatever MSH-18 claims."""

from __future__ import annotations

import re
from dataclasses import dataclass

from baton_formats.findings import Finding

# HL7 table 0211 and what senders write instead. Looked up here only: Python would also accept codecs that are
# no charsets.
_CODECS = {
    "ASCII": "ascii",
    "US-ASCII": "ascii",
    "ISO IR6": "ascii",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "UNICODE-UTF-8": "utf-8",
    "UNICODE UTF8": "utf-8",
    "WINDOWS-1252": "cp1252",
    "CP1252": "cp1252",
    "GB 18030-2000": "gb18030",
    "GB18030": "gb18030",
    "BIG-5": "big5",
    "KS X 1001": "euc_kr",
    "ISO IR14": "iso2022_jp_2",
    "ISO IR87": "iso2022_jp_2",
    "ISO IR159": "iso2022_jp_2",
}
_LATIN = {
    f"{prefix}{part}": f"iso8859-{part}"
    for part in range(1, 17)
    for prefix in ("8859/", "ISO-8859-", "ISO8859-", "8859-")
    if part != 12  # never published
}
_C1 = re.compile("[\x80-\x9f]")
_NAMES = {"ascii": "us-ascii", "cp1252": "windows-1252", "iso8859-1": "iso-8859-1", "euc_kr": "euc-kr"}


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


def decode(raw: bytes, claims: tuple[str, ...]) -> Decoded:
    """``raw`` as text. Total: the claim, strict UTF-8 and windows-1252 are tried, and ISO 8859-1 reads
    anything.

    Valid UTF-8 beats any other claim, since other text is practically never valid UTF-8 by accident.
    ``claims`` are the repetitions of MSH-18.
    """
    declared = "~".join(claims) or None
    claimed = [codec for claim in claims if (codec := _codec(claim))]
    unknown = tuple(_unknown_claim() for claim in claims if claim.strip() and not _codec(claim))
    if raw.isascii() and not (b"\x1b" in raw and "iso2022_jp_2" in claimed):
        return _answer(raw.decode("ascii"), "ascii", declared, unknown)
    text = _strict(raw, "utf-8")
    if text is not None:
        fitting = "utf-8" in claimed or not claimed
        findings = (
            unknown
            if fitting
            else (*unknown, _finding("charset-mismatch", "the bytes are valid UTF-8, which was used"))
        )
        return _answer(text, "utf-8", declared, findings)
    return _not_utf8(raw, claimed, declared, unknown)


def _not_utf8(raw: bytes, claimed: list[str], declared: str | None, unknown: tuple[Finding, ...]) -> Decoded:
    for codec in claimed:
        text = _strict(raw, codec)
        if text is not None and not (codec == "iso8859-1" and _C1.search(text)):
            return _answer(text, codec, declared, unknown)
    code = "charset-mismatch" if claimed else "charset-undeclared"
    for codec in ("cp1252", "iso8859-1"):
        text = _strict(raw, codec)
        if text is not None:
            detail = f"the bytes do not fit the claim, read as {_NAMES[codec]}"
            return _answer(text, codec, declared, (*unknown, _finding(code, detail)))
    raise AssertionError("ISO 8859-1 reads every byte")


def _codec(claim: str) -> str | None:
    name = claim.strip().upper()
    return _CODECS.get(name) or _LATIN.get(name)


def _strict(raw: bytes, codec: str) -> str | None:
    try:
        return raw.decode(codec)
    except UnicodeDecodeError:
        return None


def _answer(text: str, codec: str, declared: str | None, findings: tuple[Finding, ...]) -> Decoded:
    if codec != "ascii" and "\ufffd" in text:
        findings = (
            *findings,
            _finding("characters-lost", "holds U+FFFD: characters were lost before it was sent"),
        )
    return Decoded(text, "utf-8" if codec == "ascii" else codec, _NAMES.get(codec, codec), declared, findings)


def _finding(code: str, detail: str) -> Finding:
    return Finding(code=code, where="MSH-18", detail=detail)


def _unknown_claim() -> Finding:
    return _finding("charset-unknown", "the claimed character set is not in HL7 table 0211")
