"""Narrative markup becomes plain text while it streams by: lines and cells stay, everything active goes."""

import re
from enum import Enum
from functools import lru_cache
from io import BytesIO
from typing import Final

from baton_formats.facts import Text

_LINES: Final = frozenset(
    {
        "paragraph",
        "item",
        "tr",
        "br",
        "list",
        "table",
        "caption",
        "title",
        "thead",
        "tbody",
        "tfoot",
        "p",
        "div",
        "li",
        "ul",
        "ol",
        "h1",
        "h2",
        "h3",
        "h4",
    }
)
_CELLS: Final = frozenset({"td", "th"})
_ACTIVE: Final = frozenset(
    {
        "script",
        "style",
        "object",
        "iframe",
        "embed",
        "applet",
        "noscript",
        "template",
        "form",
        "svg",
        "math",
        "link",
        "meta",
        "base",
    }
)
_LINKS: Final = frozenset({"href", "src", "action"})

# Controls that are no layout, and the marks that turn the direction of text: Trojan Source, CVE-2021-42574.
_UNSAFE: Final = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def safe(text: str) -> str:
    """Text of an XML document without C1 controls and without marks that reverse what follows.

    XML itself allows no other controls than tab and line ends (XML 1.0, production 2).
    """
    return text if text.isascii() else _UNSAFE.sub("", text)


class _Kind(Enum):
    """What an element of a narrative does to its text."""

    INLINE = 0
    LINE = 1
    CELL = 2
    ACTIVE = 3


@lru_cache(maxsize=1024)
def _kind(name: str) -> _Kind:
    local = name.removeprefix("other:")
    if local.lower() in _ACTIVE:
        return _Kind.ACTIVE
    return _Kind.LINE if local in _LINES else _Kind.CELL if local in _CELLS else _Kind.INLINE


class Narrative:
    """Collects the text of one narrative block; `active` tells that something active was left out.

    Runs of white space become one space, as a browser shows them; paragraphs, list items and table rows
    become lines and table cells are parted by a tab. No markup and no reference survives.
    """

    __slots__ = ("_first_cell", "_fresh", "_hidden", "_line_start", "_space", "_utf8", "active")

    def __init__(self) -> None:
        self._utf8: BytesIO | None = None  # most sections of a crowded document have no text at all
        self._fresh = True  # nothing on this line or in this cell yet, so no space before the next word
        self._line_start = True
        self._first_cell = True
        self._space = False
        self._hidden = 0
        self.active = False

    def open(self, name: str, attributes: dict[str, str]) -> "Narrative":
        """An element opens inside of the block."""
        kind = _kind(name)
        if self._hidden or kind is _Kind.ACTIVE:
            self._hidden += 1
            self.active = True
            return self
        if attributes and _is_active(attributes):
            self.active = True
        if kind is _Kind.LINE:
            self._break()
        elif kind is _Kind.CELL:
            self._cell()
        return self

    def close(self, name: str) -> None:
        """The innermost element closes; the block's own end changes nothing."""
        if self._hidden:
            self._hidden -= 1
        elif not self._line_start and _kind(name) is _Kind.LINE:
            self._break()

    def data(self, text: str) -> None:
        """Text of the block."""
        if self._hidden or not text:
            return
        words = safe(text).split()
        if not words:
            self._space = True
            return
        line = " ".join(words)
        if self._fresh:
            self._fresh = self._line_start = False
        elif self._space or text[0].isspace():
            line = " " + line
        (self._utf8 or self._begun()).write(line.encode())
        self._space = text[-1].isspace()

    def text(self) -> Text | None:
        """What was collected, without blank ends; None if that is nothing."""
        if self._utf8 is None:
            return None
        return Text(self._utf8.getvalue().strip()) or None

    def _begun(self) -> BytesIO:
        self._utf8 = BytesIO()
        return self._utf8

    def _break(self) -> None:
        if not self._line_start:
            (self._utf8 or self._begun()).write(b"\n")
        self._fresh = self._line_start = self._first_cell = True
        self._space = False

    def _cell(self) -> None:
        if not self._first_cell:
            (self._utf8 or self._begun()).write(b"\t")
            self._fresh, self._line_start = True, False
        self._first_cell = self._space = False


def _is_active(attributes: dict[str, str]) -> bool:
    for name, value in attributes.items():
        lowered = name.lower()
        if lowered.startswith("on") or (
            lowered in _LINKS and _scheme(value) in ("javascript", "vbscript", "data")
        ):
            return True
    return False


def _scheme(value: str) -> str:
    head = "".join(mark for mark in value[:64] if mark.isprintable() and not mark.isspace())
    return head.partition(":")[0].lower()
