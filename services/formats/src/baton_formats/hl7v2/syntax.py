"""The separators of one message, and its escape sequences both ways."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

STANDARD = "^~\\&"
_ROLES = {"^": "component", "~": "repetition", "\\": "escape", "&": "subcomponent", "#": "truncation"}
_POSITIONS = ("component", "repetition", "escape", "subcomponent", "truncation")
_LEAKED = {"^~\\\\&": "^~\\&", "^~\\\\&#": "^~\\&#"}
_ONLY_DIGITS = {ord("X"): None, ord("x"): None}
_UNPRINTABLE = "".join(chr(code) for code in range(32) if chr(code) not in "\t\n")


@dataclass(frozen=True)
class Syntax:
    """How one message is written: its separators and the character set its hex escapes are in.

    A separator the sender did not declare is the empty string, and nothing is split by it. HL7 v2.5.1
    section 2.5.4.
    """

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""
    charset: str = "utf-8"

    @property
    def encoding_characters(self) -> str:
        """MSH-2 in the standard order."""
        return self.component + self.repetition + self.escape + self.subcomponent + self.truncation

    @cached_property
    def _literals(self) -> dict[str, str]:
        letters = {"F": self.field, "S": self.component, "R": self.repetition, "E": self.escape}
        letters |= {"T": self.subcomponent, "P": self.truncation}
        return {letter: literal for letter, literal in letters.items() if literal} | {"H": "", "N": ""}

    @cached_property
    def _protected(self) -> dict[int, str]:
        mark = self.escape
        table = {ord(char): f"{mark}X{ord(char):02X}{mark}" for char in _UNPRINTABLE}
        table |= {ord(lit): mark + name + mark for name, lit in self._literals.items() if lit}
        return table | {ord("\n"): f"{mark}.br{mark}"}

    def decode(self, text: str) -> str:
        """``text`` with its escapes resolved, once, in linear time. Unknown and unfinished escapes stay as
        they are.

        Highlighting (``\\H\\``, ``\\N\\``) carries no meaning of its own and goes; ``\\.br\\`` is a line
        break.
        """
        if not self.escape or self.escape not in text:
            return text
        return _escapes(self.escape, "".join(self._literals)).sub(self._resolved, text)

    def encode(self, text: str) -> str:
        """``text`` as it may stand in a sub-component: separators, line breaks and control characters
        escaped.
        """
        escaped = text.translate(self._protected)
        mark = self.escape
        return f"{mark}X2222{mark}" if escaped == '""' else escaped

    def _resolved(self, escape: re.Match[str]) -> str:
        """What one escape, or a run of neighbouring ``\\X..\\``, stands for; itself if it stands for nothing.

        A character may be spread over a run. Bytes that are no text in the message's character set stay as
        they were written, the whole run.
        """
        letter, command, count, run = escape.groups()
        if letter is not None:
            return self._literals[letter]
        if command is not None:
            return _formatted(command, count)
        digits = run.translate(_ONLY_DIGITS)
        try:
            return bytes.fromhex(digits.replace(self.escape, "")).decode(self.charset)
        except UnicodeDecodeError:
            return escape.group()


def _formatted(command: str, count: str) -> str:
    """Line breaks and indents of a formatting command, at most 80."""
    times = int(count) if count.strip("+-") else 1
    if command == "sk":
        return " " * min(max(times, 0), 80)
    return "\n" * min(max(times, 1), 80) if command in ("br", "sp", "ce") else ""


@lru_cache(maxsize=128)
def _escapes(mark: str, letters: str) -> re.Pattern[str]:
    """What stands between two escape characters and may mean something: one of ``letters``, a formatting
    command, a run of hexadecimal bytes.

    What means nothing is no match, and its second mark may start the next escape. Each part ends before the
    next mark, so that the time is linear in the text.
    """
    at, sign = re.escape(mark), "".join(re.escape(char) for char in "+-" if char != mark)
    letter = f"{at}([{letters}]){at}"
    never = "(?!)" if mark == "." else ""  # the point of a command would be the mark itself
    command = rf"{never}{at}\.(br|ce|sp|sk|fi|nf|in|ti)\s*([{sign}]?\d{{0,3}}){at}"
    run = f"((?:{at}[Xx](?:[0-9A-Fa-f]{{2}})+{at})+)"
    return re.compile(f"{letter}|{command}|{run}")


@dataclass(frozen=True, slots=True)
class Separators:
    """What MSH-1 and MSH-2 declare. ``syntax`` is None if no message can be read with them.

    ``leaked`` marks the escaping of another program left in MSH-2; ``unusual`` standard characters in
    another order or number; ``assumed`` an empty MSH-2.
    """

    syntax: Syntax | None
    leaked: bool = False
    unusual: bool = False
    assumed: bool = False


@lru_cache(maxsize=256)
def read_separators(field: str, declared: str, charset: str) -> Separators:
    """The syntax MSH-1 ``field`` and MSH-2 ``declared`` stand for.

    Two to five characters in the order component, repetition, escape, sub-component, truncation. Where a
    sender uses only standard characters but not in that order (``^&``, ``^&~\\``), all of them keep their
    standard roles: such senders dropped or shuffled characters in MSH-2 and still write the body the usual
    way.
    """
    if not declared:
        return Separators(_syntax(field, STANDARD, _POSITIONS, charset), assumed=True)
    if declared in _LEAKED:
        return Separators(_syntax(field, _LEAKED[declared], _POSITIONS, charset), leaked=True)
    if len(declared) > 5 or not _usable(field + declared):
        return Separators(None)
    if declared[:4] == STANDARD or field in _ROLES or not set(declared) <= _ROLES.keys():
        return Separators(_syntax(field, declared, _POSITIONS, charset), unusual=len(declared) < 4)
    left_out = "".join(char for char in STANDARD if char not in declared)
    roles = tuple(_ROLES[char] for char in declared + left_out)
    return Separators(_syntax(field, declared + left_out, roles, charset), unusual=True)


def _usable(characters: str) -> bool:
    """Distinct printable ASCII punctuation; a quotation mark would make the HL7 null ``""`` unreadable."""
    plain = all("!" <= char <= "~" and not char.isalnum() and char != '"' for char in characters)
    return plain and len(set(characters)) == len(characters)


def _syntax(field: str, declared: str, roles: tuple[str, ...], charset: str) -> Syntax:
    given = dict(zip(roles, declared, strict=False))
    named = {role: given.get(role, "") for role in _POSITIONS}
    return Syntax(field=field, charset=charset, **named)
