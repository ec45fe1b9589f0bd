"""Narrative as plain text: never needed, never believed, and harmless to show."""

from __future__ import annotations

import html
import re

_BREAKS = frozenset(
    {"br", "p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "dt", "dd"}
)
_CELLS = frozenset({"td", "th"})
_DROPPED = ("script", "style")
_NAME = re.compile(r"/?\s*([A-Za-z][A-Za-z0-9]*)")
_SPACES = re.compile(r"[ \t\r\f\v\xa0]+")
_LINES = re.compile(r"\s*\n\s*")


def plain_text(div: str) -> str:
    """The words of an XHTML ``div`` without any markup, in time linear in its length.

    Scripts and styles go with their content, entities of HTML are resolved, tags become spaces or line
    breaks. The result is text: whoever shows it still escapes it.
    """
    pieces: list[str] = []
    position = 0
    while (start := div.find("<", position)) >= 0:
        pieces.append(div[position:start])
        end = div.find(">", start)
        if end < 0:
            position = len(div)
            break
        position = end + 1
        name = _tag_name(div, start + 1)
        if name in _DROPPED and div[start + 1] != "/" and div[end - 1] != "/":
            position = _after(div, name, position)
        pieces.append("\n" if name in _BREAKS else " " if name in _CELLS else "")
    pieces.append(div[position:])
    words = html.unescape("".join(pieces)).replace("\x00", "")
    return _LINES.sub("\n", _SPACES.sub(" ", words)).strip()


def _tag_name(div: str, start: int) -> str:
    match = _NAME.match(div, start, start + 40)
    return match.group(1).lower() if match else ""


def _after(div: str, name: str, position: int) -> int:
    closing = re.compile(rf"</{name}", re.IGNORECASE).search(div, position)
    if closing is None:
        return len(div)
    end = div.find(">", closing.end())
    return len(div) if end < 0 else end + 1
