"""The separators of one message, and its escape sequences both ways."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

STANDARD = "^~\\&"
_ROLES = {"^": "component", "~": "repetition", "\\": "escape", "&": "subcomponent", "#": "truncation"}
_POSITIONS = ("component", "repetition", "escape", "subcomponent", "truncation")
_LEAKED = {"^~\\\\&": "^~\\&", "^~\\\\&#": "^~\\&#"}
_HEX = re.compile(r"[Xx]((?:[0-9A-Fa-f]{2})+)")
_FORMATTING = re.compile(r"\.(br|ce|sp|sk|fi|nf|in|ti)\s*([+-]?\d{0,3})")
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
        return "".join(self._decoded(text.split(self.escape)))

    def encode(self, text: str) -> str:
        """``text`` as it may stand in a sub-component: separators, line breaks and control characters
        escaped.
        """
        escaped = text.translate(self._protected)
        mark = self.escape
        return f"{mark}X2222{mark}" if escaped == '""' else escaped

    def _decoded(self, parts: list[str]) -> Iterator[str]:
        yield parts[0]
        at, last = 1, len(parts) - 1
        while at <= last:
            literal = self._resolved(parts[at]) if at < last else None
            if literal is not None:
                yield literal
                yield parts[at + 1]
                at += 2
                continue
            run = self._hex_run(parts, at)
            if run:
                literal, at = run
                yield literal
                yield parts[at]
            else:
                yield self.escape
                yield parts[at]
            at += 1

    def _resolved(self, name: str) -> str | None:
        literal = self._literals.get(name)
        if literal is not None or not name.startswith("."):
            return literal
        match = _FORMATTING.fullmatch(name)
        if match is None:
            return None
        command, count = match.group(1), int(match.group(2)) if match.group(2).strip("+-") else 1
        if command == "sk":
            return " " * min(max(count, 0), 80)
        return "\n" * min(max(count, 1), 80) if command in ("br", "sp", "ce") else ""

    def _hex_run(self, parts: list[str], start: int) -> tuple[str, int] | None:
        """Neighbouring ``\\X..\\`` escapes are one run of bytes: a character may be spread over them.

        Bytes that are no text in the message's character set stay as they were written, the whole run.
        """
        pairs: list[str] = []
        at = start
        while at < len(parts) - 1 and (match := _HEX.fullmatch(parts[at])):
            pairs.append(match.group(1))
            at += 2
            if parts[at - 1]:
                break
        if not pairs:
            return None
        try:
            return bytes.fromhex("".join(pairs)).decode(self.charset), at - 1
        except UnicodeDecodeError:
            mark = self.escape
            return "".join(mark + name + mark for name in parts[start : at - 1 : 2]), at - 1


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
