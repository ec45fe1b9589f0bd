"""Segments and their fields: split once by the message's own separators, decoded where they are looked at."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from baton_formats.hl7v2.syntax import Syntax

NULL = '""'
MAX_FIELDS = 1000
MAX_REPETITIONS = 1000
_FIELDS_BEFORE_TYPE = 8
HEADERS = frozenset(("MSH", "FHS", "BHS"))
ENVELOPE = frozenset(("FHS", "BHS", "BTS", "FTS"))
# Segment names of HL7 v2.1 to v2.9 that may be recognised without a separator, in lower case or behind
# blanks.
_KNOWN_NAMES = """
MSH MSA ERR SFT UAC EVN PID PD1 ARV ROL NK1 PV1 PV2 DB1 OBX AL1 DG1 DRG PR1 GT1 IN1 IN2 IN3 ACC UB1
UB2 PDA MRG NTE ORC TQ1 TQ2 OBR SPM SAC CTD CTI BLG FT1 CON TXA RGS AIS AIG AIL AIP SCH APR RF1 AUT
PRD PRT PRB GOL VAR PTH RXA RXC RXD RXE RXG RXO RXR ODS ODT QAK QPD QRD QRF RCP RDF RDT DSC DSP FHS
BHS BTS FTS IAM ADD ARQ BPO BTX CDM CM0 CM1 CM2 CSP CSR CSS CNS ECD ECR EDU EQP EQU FAC GP1 GP2 INV
IPC ISD LAN LCC LCH LDP LOC LRL MFA MFE MFI NCK NDS NPU NSC NST OM1 OM2 OM3 OM4 OM5 OM6 OM7 ORG OVR
PCR PEO PES PRA PRC PSH QID QRI RQ1 RQD SCD SCP SDD SID SLT STF STZ TCC TCD URD URS VND
"""
KNOWN = frozenset(_KNOWN_NAMES.split())
_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_NAME_LENGTH = 3


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment. ``fields[n]`` is field n as sent (``fields[0]`` is the name; MSH-1 is the separator
    itself).

    ``ordinal`` counts the segments of this name in the message, from 1; ``position`` all segments, from 0.
    """

    id: str
    fields: tuple[str, ...]
    ordinal: int
    position: int

    def field(self, number: int) -> str:
        """Field ``number`` as sent, undecoded; empty if absent."""
        return self.fields[number] if number < len(self.fields) else ""

    def place(self, number: int) -> str:
        """The field's place in findings: ``PID-7``, ``OBX[3]-5``."""
        return f"{self.label}-{number}"

    @property
    def label(self) -> str:
        """``PID``, or ``OBX[3]`` for the third of its name."""
        return self.id if self.ordinal == 1 else f"{self.id}[{self.ordinal}]"


class Cell:
    """One repetition of one field: its components, decoded on demand, and its place for findings.

    Blank around a value is no part of it; the HL7 null ``""`` reads as nothing here (see :meth:`cleared`).
    """

    __slots__ = ("_components", "number", "raw", "segment", "syntax")

    def __init__(self, raw: str, syntax: Syntax, segment: Segment, number: int) -> None:
        """``raw`` is the repetition as sent, of field ``number`` of ``segment``."""
        self.raw = raw
        self.syntax = syntax
        self.segment = segment
        self.number = number
        self._components: list[str] | None = None

    @property
    def place(self) -> str:
        """The field's place in findings."""
        return self.segment.place(self.number)

    @property
    def cleared(self) -> bool:
        """True for ``""``: the sender wants the value deleted."""
        return self.raw.strip() == NULL

    @property
    def components(self) -> list[str]:
        """The components as sent."""
        if self._components is None:
            mark = self.syntax.component
            self._components = self.raw.split(mark) if mark else [self.raw]
        return self._components

    def text(self, component: int = 1) -> str | None:
        """Component ``component`` as one text, decoded; None if empty.

        Sub-component separators in it stay, since senders leave them unescaped in free text.
        """
        parts = self.components
        return self._value(parts[component - 1]) if component <= len(parts) else None

    def part(self, component: int, subcomponent: int) -> str | None:
        """One sub-component, decoded; None if empty."""
        parts = self.components
        if component > len(parts):
            return None
        mark = self.syntax.subcomponent
        subs = parts[component - 1].split(mark, subcomponent) if mark else [parts[component - 1]]
        return self._value(subs[subcomponent - 1]) if subcomponent <= len(subs) else None

    def inner(self, component: int) -> Cell:
        """Component ``component`` seen as a field of its own: its sub-components become components."""
        raw = self.components[component - 1] if component <= len(self.components) else ""
        return Cell(raw, _flattened(self.syntax), self.segment, self.number)

    def whole(self) -> str:
        """The repetition as free text: separators a sender left unescaped in it stay. Never stripped."""
        return self.syntax.decode(self.raw)

    def _value(self, raw: str) -> str | None:
        raw = raw.strip()
        if not raw or raw == NULL:
            return None
        if "\\" in raw or self.syntax.escape != "\\":
            return self.syntax.decode(raw).strip() or None
        return raw


@lru_cache(maxsize=64)
def _flattened(syntax: Syntax) -> Syntax:
    return Syntax(
        field=syntax.field,
        component=syntax.subcomponent,
        repetition="",
        escape=syntax.escape,
        subcomponent="",
        truncation=syntax.truncation,
        charset=syntax.charset,
    )


def split_segments(lines: list[str], syntax: Syntax) -> tuple[list[Segment], list[int]]:
    """The segments of one message and the positions of those that continued over a line break.

    A line that does not start with a three-character name and the separator belongs to the segment before
    it. ``lines[0]`` is MSH; a header too short to hold a type is damage, not continued: a type found on the
    next line would be a guess.
    """
    logical = [[lines[0]]]
    stray = lines[0].count(syntax.field) < _FIELDS_BEFORE_TYPE
    for line in lines[1:]:
        if line.isspace() or not line:
            continue
        named = _as_segment(line, syntax.field)
        if named is not None:
            logical.append([named])
        elif len(logical) > 2 and len(logical[-1][0]) == _NAME_LENGTH:
            logical[-2] += [*logical.pop(), line]  # a name alone on its line, within a text, is a word of it
        elif len(logical) > 1 or not stray:
            logical[-1].append(line)
    _put_together(logical, syntax.field)
    counts: dict[str, int] = {}
    segments = []
    for position, parts in enumerate(logical):
        text = parts[0] if len(parts) == 1 else "\n".join(parts)
        fields = text.split(syntax.field, MAX_FIELDS)
        name = fields[0].strip()
        counts[name] = ordinal = counts.get(name, 0) + 1
        if name in HEADERS:
            fields.insert(1, syntax.field)
        segments.append(Segment(name, tuple(fields), ordinal, position))
    return segments, [at for at, parts in enumerate(logical) if len(parts) > 1]


def _put_together(logical: list[list[str]], mark: str) -> None:
    """What an ADD holds is the rest of the segment before it (HL7 v2.5.1 2.10.2); it stays where it is."""
    rests: dict[int, list[str]] = {}
    whole = 0
    for at, parts in enumerate(logical):
        if parts[0][: _NAME_LENGTH + 1] != f"ADD{mark}":
            whole = at
        elif whole:
            rests.setdefault(whole, []).append("\n".join(parts)[_NAME_LENGTH + 1 :])
    for at, rest in rests.items():
        logical[at] = ["\n".join(logical[at]) + "".join(rest)]


def _as_segment(line: str, mark: str) -> str | None:
    """The line if it starts a segment, tidied if it stands behind blanks or in lower case; else None."""
    name = line[:3]
    if line[3:4] == mark and _NAME.fullmatch(name):
        return line
    tidy = line.strip() if line[:1].isspace() or len(line) <= 4 else line
    name = tidy[:3].upper()
    if name in KNOWN and tidy[3:4] in ("", mark):
        return name + tidy[3:]
    return None
