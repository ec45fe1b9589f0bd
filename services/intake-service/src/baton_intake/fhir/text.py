"""Text of strangers made fit for our record: bounded, nothing in it that deceives; what was lost is noted."""

from __future__ import annotations

import re
from urllib.parse import quote

from baton_intake.domain.artifact import Finding

_UNFIT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\ufeff\ud800-\udfff]"
)
_LINE_ENDS = re.compile(r"\s*[\r\n\t]+\s*")
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


class Cleaner:
    """Cleans text and remembers, without repeating any of it, that something had to be changed."""

    def __init__(self) -> None:
        self._found: dict[Finding, None] = {}

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was noted so far, each once."""
        return tuple(self._found)

    def note(self, code: str, where: str, detail: str) -> None:
        """Remember a doubt."""
        self._found[Finding(code=code, where=where, detail=detail)] = None

    def line(self, text: str | None, where: str, *, most: int = 256) -> str:
        """One line of text."""
        return self.words(_LINE_ENDS.sub(" ", text or ""), where, most=most)

    def words(self, text: str | None, where: str, *, most: int = 20_000) -> str:
        """Text with its line ends."""
        cleaned = _UNFIT.sub("", text or "").strip()
        if text and len(cleaned) < len(text.strip()):
            self.note("text-cleaned", where, "Control or direction characters were left out.")
        if len(cleaned) > most:
            self.note("text-cut", where, f"Only the first {most} characters are kept in the record.")
        return cleaned[:most]


def as_system(text: str) -> str:
    """A naming system that fits an event: printable ASCII without spaces, at most 256 characters, else
    empty.
    """
    encoded = quote(text.strip(), safe=_PRINTABLE)
    return encoded if len(encoded) <= 256 else ""
