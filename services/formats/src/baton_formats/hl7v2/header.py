"""MSH, MSA and ERR: who sends what kind of message to whom, and what a peer answered."""

from __future__ import annotations

import re
from dataclasses import dataclass

from baton_formats.declaration import FieldMapping, MessageMapping
from baton_formats.facts import Acknowledgement, Identifier, Issue, PartialTime
from baton_formats.findings import Endpoint, Envelope, Finding, Format
from baton_formats.hl7v2 import datatypes
from baton_formats.hl7v2.bodies import RawMessage
from baton_formats.hl7v2.segments import Cell, Segment
from baton_formats.hl7v2.syntax import Syntax
from baton_formats.hl7v2.view import View, build, every, first, text

_TYPE = re.compile(r"[A-Z][A-Z0-9]{2}")
_EVENT = re.compile(r"[A-Z][A-Z0-9]{2}")
_STRUCTURE = re.compile(r"([A-Z][A-Z0-9]{2})[_-]([A-Z][A-Z0-9]{2})")
_VERSION = re.compile(r"\d(?:\.\d+){1,2}")
_FIELDS = 26


@dataclass(frozen=True, slots=True)
class Header:
    """What MSH says, put right where it was shifted. ``type`` is ``REF^I12``; empty if the message names
    none.
    """

    envelope: Envelope
    code: str
    event: str
    findings: tuple[Finding, ...]

    @property
    def type(self) -> str:
        """Code and event as people write them."""
        return f"{self.code}^{self.event}" if self.event else self.code


def read_header(message: RawMessage, syntax: Syntax) -> Header:
    """The header of a message whose separators are known. Total; a missing type is for the caller to
    refuse.
    """
    msh = message.segments[0]
    findings: list[Finding] = []
    fields = _unshifted(msh, syntax, findings)
    view = View(
        (Segment("MSH", fields, 1, 0), *(s for s in message.segments if s.id in ("MSA", "EVN"))),
        syntax=syntax,
        findings=findings,
        envelope=Envelope(),
        code="",
        event="",
    )
    code, event, structure = _kind(view)
    envelope = _envelope(view, message, event=event, structure=structure)
    return Header(envelope, code, event, tuple(findings))


def _envelope(view: View, message: RawMessage, *, event: str, structure: str | None) -> Envelope:
    return Envelope(
        event=event or None,
        structure=structure,
        charset=message.charset,
        declared_charset=message.declared_charset,
        separators=view.syntax.field + view.syntax.encoding_characters,
        **build(ENVELOPE.fields, view),
    )


def _kind(view: View) -> tuple[str, str, str | None]:
    """Code, event and structure. MSH-9.3 is not believed, except where the event stands nowhere else."""
    cell = view.cell("MSH-9")
    if cell is None:
        return "", "", None
    code, event, structure = (cell.text(1) or "").upper(), (cell.text(2) or "").upper(), cell.text(3)
    joined = _STRUCTURE.fullmatch(code)
    if joined and not event:
        view.note("type-unusual", "MSH-9", "code and event stand in one component")
        return joined.group(1), joined.group(2), structure
    inside = _STRUCTURE.fullmatch((structure or "").upper())
    if _TYPE.fullmatch(code) and not event and inside and inside.group(1) == code:
        view.note("type-unusual", "MSH-9", "the event was taken from the message structure")
        event = inside.group(2)
    return code if _TYPE.fullmatch(code) else "", event if _EVENT.fullmatch(event) else "", structure


def _endpoint(view: View, application: str, facility: str) -> Endpoint | None:
    first_app, first_facility = view.cell(application), view.cell(facility)
    app = datatypes.hd(first_app, view) if first_app else None
    place = datatypes.hd(first_facility, view) if first_facility else None
    return Endpoint(application=app, facility=place) if app or place else None


def _sender(view: View, mapping: FieldMapping) -> Endpoint | None:
    sender = _endpoint(view, mapping.path, *mapping.also)
    if sender is None:
        view.note("sender-missing", mapping.path, "neither the sending application nor the facility is named")
    return sender


def _receivers(view: View, mapping: FieldMapping) -> tuple[Endpoint, ...]:
    receiver = _endpoint(view, mapping.path, *mapping.also)
    return (receiver,) if receiver else ()


def _sent_at(view: View, mapping: FieldMapping) -> PartialTime | None:
    cell = view.cell(mapping.path)
    if cell is None:
        view.note("sent-time-missing", mapping.path, "the message does not say when it was sent")
        return None
    return datatypes.time(cell, view)


def _control_id(view: View, mapping: FieldMapping) -> str | None:
    control_id = view.text(mapping.path)
    if control_id is None:
        detail = "the message has no control id; the answer to it carries none either"
        view.note("control-id-missing", mapping.path, detail)
    return control_id


def _profile(cell: Cell, view: View) -> str | None:
    return cell.text(1) or cell.text(3)


def _unshifted(msh: Segment, syntax: Syntax, findings: list[Finding]) -> tuple[str, ...]:
    """MSH with its fields where they belong, if the type stands one or two places beside MSH-9."""
    fields = [*msh.fields[:_FIELDS], *[""] * (_FIELDS - len(msh.fields))]
    if _looks_like_type(fields[9], syntax) or not any(
        _looks_like_type(fields[at], syntax) for at in (7, 8, 10)
    ):
        return tuple(fields)
    at = next(at for at in (8, 10, 7) if _looks_like_type(fields[at], syntax))
    findings.append(
        Finding(
            "header-shifted", "MSH-9", f"the message type stands in MSH-{at}; the fields around it were moved"
        )
    )
    moved = list(fields)
    moved[9], moved[10] = fields[at], fields[at + 1]
    moved[7] = next((field for field in (fields[at - 2], fields[at - 1]) if field[:8].isdigit()), "")
    rest = [field for field in fields[at + 2 : at + 6] if field]
    moved[11] = next((field for field in rest if field[:1] in ("P", "T", "D") and len(field) <= 3), "")
    moved[12] = next((field for field in rest if _VERSION.match(field)), "")
    return tuple(moved)


def _looks_like_type(field: str, syntax: Syntax) -> bool:
    parts = field.split(syntax.component) if syntax.component else [field]
    return len(parts) > 1 and bool(_TYPE.fullmatch(parts[0]) and _EVENT.fullmatch(parts[1]))


def _issues(view: View, mapping: FieldMapping) -> tuple[Issue, ...]:
    return tuple(issue for err in view.all("ERR")[:50] if (issue := _issue(view, err)))


def _issue(view: View, err: Segment) -> Issue | None:
    def cell(number: int) -> Cell | None:
        return next(view.cells_of(err, number), None)

    where, code = cell(2), cell(3)
    old = cell(1)
    concept = datatypes.cwe(code, view) if code else None
    words = [found for number in (7, 8) if (at := cell(number)) and (found := at.text(1))]
    place = _location(where) if where else (_location(old) if old else None)
    issue = Issue(
        severity=(c.text(1) if (c := cell(4)) else None),
        code=concept.code if concept else (old.part(4, 1) if old else None),
        where=place,
        detail=" ".join(words) or datatypes.label(concept) or (old.part(4, 2) if old else None),
    )
    return issue if issue != Issue() else None


def _location(cell: Cell) -> str | None:
    """ERL as a place: ``PID-5``, ``OBX[3]-5``."""
    segment, sequence, number = cell.text(1), cell.text(2), cell.text(3)
    if not segment:
        return None
    label = f"{segment}[{sequence}]" if sequence and sequence != "1" else segment
    return f"{label}-{number}" if number else label


ACKNOWLEDGEMENT = MessageMapping(
    format=Format.HL7V2,
    message="ACK, and any message with MSA",
    fact="acknowledgement",
    source="HL7 v2.5.1 2.9.2, 2.15.8 MSA, 2.15.5 ERR",
    fields=(
        FieldMapping("code", "accepted, in error or rejected", "MSA-1", read=first(text)),
        FieldMapping("acknowledges", "control id of the message it answers", "MSA-2", read=first(text)),
        FieldMapping("text", "their words", "MSA-3", ("MSA-6.2",), read=first(text)),
        FieldMapping(
            "issues",
            "what they complain about, and where",
            "ERR-3",
            ("ERR-1", "ERR-2", "ERR-8"),
            read=_issues,
        ),
    ),
)


def read_acknowledgement(view: View) -> Acknowledgement | None:
    """What a peer answered, if the message carries MSA."""
    if view.first("MSA") is None:
        return None
    return Acknowledgement(**build(ACKNOWLEDGEMENT.fields, view))


def sender_authority(envelope: Envelope) -> Identifier | None:
    """Whose number it is when the sender names no authority: the facility (MSH-4), else the application
    (MSH-3).
    """
    if envelope.sender is None:
        return None
    return envelope.sender.facility or envelope.sender.application


ENVELOPE = MessageMapping(
    format=Format.HL7V2,
    message="every message",
    fact="envelope",
    source="HL7 v2.5.1 2.15.9 MSH",
    notes=(
        "Messages are dispatched on MSH-9.1 and MSH-9.2; MSH-9.3 and MSH-12 are no reason to refuse.",
        "A header that is one field short or long is put right, with a finding.",
        "Separators, character set and event are read before all other fields.",
    ),
    fields=(
        FieldMapping(
            "separators",
            "the separators in use",
            "MSH-1",
            ("MSH-2",),
            ("separators-unusual", "separators-escaped", "separators-missing", "separators-unusable"),
        ),
        FieldMapping(
            "charset",
            "the character set that was used",
            "MSH-18",
            (),
            ("charset-mismatch", "charset-undeclared", "charset-unknown", "characters-lost"),
        ),
        FieldMapping(
            "event",
            "what happened",
            "MSH-9.2",
            ("MSH-9.1", "MSH-9.3"),
            ("type-missing", "type-unusual", "type-not-used", "header-shifted", "event-conflict"),
        ),
        FieldMapping(
            "sender", "sending application and facility", "MSH-3", ("MSH-4",), ("sender-missing",), _sender
        ),
        FieldMapping("receivers", "receiving application and facility", "MSH-5", ("MSH-6",), (), _receivers),
        FieldMapping(
            "sent_at",
            "when the sender says it was sent",
            "MSH-7",
            (),
            ("sent-time-missing", "time-unreadable", "time-not-hl7", "offset-dropped"),
            _sent_at,
        ),
        FieldMapping(
            "control_id",
            "the sender's number of this message",
            "MSH-10",
            (),
            ("control-id-missing", "control-id-conflict", "message-repeated"),
            _control_id,
        ),
        FieldMapping("processing_mode", "production, training, debugging", "MSH-11", (), (), first(text)),
        FieldMapping("version", "the version claimed", "MSH-12", (), (), first(text)),
        FieldMapping("accept_ack", "commit acknowledgement wanted", "MSH-15", (), (), first(text)),
        FieldMapping("application_ack", "application acknowledgement wanted", "MSH-16", (), (), first(text)),
        FieldMapping("profile", "first conformance statement", "MSH-21", (), (), first(_profile)),
        FieldMapping("profiles", "all conformance statements", "MSH-21", (), (), every(_profile)),
        FieldMapping("responds_to", "the message this one answers", "MSA-2", (), (), first(text)),
        FieldMapping("response_code", "how it answers", "MSA-1", (), (), first(text)),
    ),
)

__all__ = ["ACKNOWLEDGEMENT", "ENVELOPE", "Header", "read_acknowledgement", "read_header", "sender_authority"]
