"""Narrative markup becomes plain text while it streams by: lines and cells stay, everything active goes."""

import re
from enum import Enum
from functools import lru_cache
from io import BytesIO
from typing import Final

from baton_formats.ccda.safe_xml import Room
from baton_formats.facts import Text

_LINES: Final = frozenset(
    {
        "paragraph",
        "item",
        "br",
        "list",
        "caption",
        "title",
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
_ROWS: Final = frozenset({"tr", "table", "thead", "tbody", "tfoot"})
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
    ROW = 2
    CELL = 3
    ACTIVE = 4


@lru_cache(maxsize=1024)
def _kind(name: str) -> _Kind:
    local = name.removeprefix("other:")
    if local.lower() in _ACTIVE:
        return _Kind.ACTIVE
    if local in _ROWS:
        return _Kind.ROW
    return _Kind.LINE if local in _LINES else _Kind.CELL if local in _CELLS else _Kind.INLINE


_NO_END, _END_OF_LINE, _END_OF_ROW = 0, 1, 2
_MARKED: Final = {"sup": ("^", ""), "footnote": (" [", "]")}
_DELETED: Final = (" [deleted: ", "]")


class Narrative:
    """Collects the text of one narrative block; `active` tells that something active was left out.

    Runs of white space become one space, as a browser shows them; paragraphs, list items and table rows
    become lines, and table cells are parted by a tab, also where there are lines in a cell. What only its
    looks would tell apart is marked: `10^9`, `5 [a footnote]`, `[deleted: a revision]`. No markup and no
    reference survives.
    """

    __slots__ = ("_end", "_first_cell", "_hidden", "_space", "_tabs", "_utf8", "active")

    def __init__(self) -> None:
        self._utf8: BytesIO | None = None  # most sections of a crowded document have no text at all
        # What stands before the next word: the end of a line or row, so many tabs, a space, or nothing.
        self._end = _NO_END
        self._tabs = 0
        self._space = False
        self._first_cell = True
        self._hidden = 0
        self.active = False

    def open(self, name: str, attributes: dict[str, str]) -> Room:
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
        elif kind is _Kind.ROW:
            self._row()
        elif kind is _Kind.CELL:
            self._cell()
        elif name in _MARKED or attributes.get("revised") == "delete":
            return _Marked(self, *_MARKED.get(name, _DELETED))
        return self

    def close(self, name: str) -> None:
        """The innermost element closes; the block's own end changes nothing."""
        if self._hidden:
            self._hidden -= 1
            return
        kind = _kind(name)
        if kind is _Kind.LINE:
            self._break()
        elif kind is _Kind.ROW:
            self._row()

    def data(self, text: str) -> None:
        """Text of the block."""
        if self._hidden or not text:
            return
        words = safe(text).split()
        if not words:
            self._space = True
            return
        line = " ".join(words)
        held = self._utf8
        if held is None:
            held = self._utf8 = BytesIO()  # nothing blank stands before the first word
        elif self._end or self._tabs:
            line = ("\n" if self._end else "") + "\t" * self._tabs + line
        elif self._space or text[0].isspace():
            line = " " + line
        held.write(line.encode())
        self._end, self._tabs, self._space = _NO_END, 0, text[-1].isspace()

    def text(self) -> Text | None:
        """What was collected; None if that is nothing."""
        return Text(self._utf8.getvalue()) if self._utf8 is not None else None

    def _break(self) -> None:
        if not self._tabs:
            self._end = max(self._end, _END_OF_LINE)

    def _row(self) -> None:
        self._end = _END_OF_ROW
        self._tabs = 0
        self._first_cell = True

    def _cell(self) -> None:
        if self._first_cell:
            self._first_cell = False
            return
        if self._end == _END_OF_LINE:  # a line that ended within the cell before: its row goes on
            self._end = _NO_END
        self._tabs += 1


class _Marked:
    """An element of a narrative whose looks carry a meaning: a mark stands before and behind its text."""

    def __init__(self, narrative: Narrative, before: str, after: str) -> None:
        self._narrative = narrative
        self._after = after
        narrative.data(before)

    def open(self, name: str, attributes: dict[str, str]) -> Room:
        """An element opens inside."""
        return self._narrative.open(name, attributes)

    def close(self, name: str) -> None:
        """The element itself closes."""
        self._narrative.data(self._after)

    def data(self, text: str) -> None:
        """Text of the element."""
        self._narrative.data(text)


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
