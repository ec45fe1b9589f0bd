"""MDM, ORU and any other message with TXA as documents: what was written, by whom, signed or not."""

from __future__ import annotations

from baton_formats.declaration import FieldMapping, MessageMapping
from baton_formats.facts import (
    Attachment,
    Document,
    Identifier,
    Observation,
    PartialTime,
    Party,
    Practitioner,
    Signature,
    Text,
)
from baton_formats.findings import Format
from baton_formats.hl7v2 import datatypes
from baton_formats.hl7v2.grouping import document_groups, order_groups
from baton_formats.hl7v2.observations import Content, read_content
from baton_formats.hl7v2.parts import patient, referring_party
from baton_formats.hl7v2.segments import Cell, Segment
from baton_formats.hl7v2.view import View, build, every, first, text
from baton_formats.hl7v2.visit import compare_event

# MDM events: what they do, whether they carry the content.
_EVENTS = {
    "T01": ("notice", False),
    "T02": ("new", True),
    "T03": ("status", False),
    "T04": ("status", True),
    "T05": ("addendum", False),
    "T06": ("addendum", True),
    "T07": ("edit", False),
    "T08": ("edit", True),
    "T09": ("replace", False),
    "T10": ("replace", True),
    "T11": ("cancel", False),
}
_RELATIONS = {"addendum": "appends", "edit": "replaces", "replace": "replaces"}
# HL7 table 0271 (TXA-17).
_SIGNED = frozenset(("AU", "LA"))
_UNSIGNED = frozenset(("DI", "DO", "IN", "IP", "PA"))
_SIGNATURE_WORDS = {
    "AUTHENTICATED": "AU",
    "LEGALLY AUTHENTICATED": "LA",
    "SIGNED": "AU",
    "DICTATED": "DI",
    "PRE-AUTHENTICATED": "PA",
}
# HL7 tables 0123 and 0085 (OBR-25, OBX-11).
_RESULT_STATES = {"F": "final", "C": "corrected", "D": "retracted", "X": "retracted", "W": "retracted"}
_RESULT_STATES |= {
    "P": "interim",
    "R": "interim",
    "I": "interim",
    "S": "interim",
    "A": "interim",
    "O": "interim",
    "B": "interim",
}
_VERIFIED = frozenset(("F", "C", "U"))
# Which OBX-11 counts where they differ: the least final one.
_PENDING = ("P", "I", "R", "S")
_MOST_ENCLOSED = 100
_LEAST = (*_PENDING, "C", "F", "W", "D", "X")


_FILLERS = frozenset(("TXA-15", "ORC-3", "OBR-3"))


def _event(view: View) -> tuple[str, bool]:
    return _EVENTS.get(view.event, ("new", True)) if view.code == "MDM" else ("new", True)


def _action(view: View, mapping: FieldMapping) -> str | None:
    if view.code == "MDM" and view.event not in _EVENTS:
        view.note(
            "event-not-used", "MSH-9", "this document event is not in HL7 v2; it was read as a new document"
        )
    return _event(view)[0]


def content(view: View) -> Content:
    """Text, files and results of the document, read once."""
    if "content" not in view.memo:
        view.memo["content"] = read_content(view)
    found = view.memo["content"]
    return found if isinstance(found, Content) else Content(None, (), (), ())


def _text(view: View, mapping: FieldMapping) -> Text | None:
    found = content(view)
    if view.code == "MDM" and _event(view)[1] and not (found.text or found.attachments or found.observations):
        view.note("document-empty", "OBX-5", "the event carries a document but there is nothing in it")
    return Text.of(found.text) if found.text else None


def _attachments(view: View, mapping: FieldMapping) -> tuple[Attachment, ...]:
    return content(view).attachments


def _observations(view: View, mapping: FieldMapping) -> tuple[Observation, ...]:
    return content(view).observations


def _numbers(view: View, mapping: FieldMapping) -> tuple[Identifier, ...]:
    found = every(datatypes.ei)(view, mapping)
    if not found:
        view.note("document-id-missing", mapping.path, "the document has no number of its own")
    return found


def _completion(view: View) -> str | None:
    code = (view.text("TXA-17") or "").upper()
    return _SIGNATURE_WORDS.get(code, code) or None


def _signature(view: View, mapping: FieldMapping) -> Signature:
    code = _completion(view)
    if code not in _SIGNED | _UNSIGNED:
        where = (
            "the completion status is empty"
            if code is None
            else "the completion status is not in HL7 table 0271"
        )
        view.note(
            "signature-unknown", "TXA-17", f"{where}, so nobody can tell whether the document is signed"
        )
    status = "signed" if code in _SIGNED else "unsigned" if code in _UNSIGNED else "unknown"
    cell = view.cell("TXA-22")
    signer = datatypes.xcn(cell, view) if cell else None
    at = datatypes.time_at(cell, view, 15) if cell else None
    return Signature(status=status, by=signer, at=at, code=code)


def _status(view: View, mapping: FieldMapping) -> str:
    """Retracted by the event, interim until signed, then what the event made of it."""
    action, code = _event(view)[0], _completion(view)
    if action == "cancel":
        return "retracted"
    if code in _UNSIGNED:
        return "interim"
    if code not in _SIGNED:
        return "unknown"
    return {"addendum": "addendum", "edit": "corrected", "replace": "corrected"}.get(action, "final")


def _authors(view: View, mapping: FieldMapping) -> tuple[Party, ...]:
    """TXA-9, then TXA-5; the transcriptionist (TXA-11) only where nobody else is named, with a finding."""
    for place in (mapping.path, *mapping.also):
        found = tuple(party for cell in view.cells(place) if (party := datatypes.party(cell, view)))
        if found and place == "TXA-11":
            view.note(
                "author-in-transcriptionist",
                "TXA-11",
                "only the transcriptionist is named; taken as the author",
            )
        if found:
            return found
    view.note("author-missing", "TXA-9", "nobody is named as the author")
    return ()


def _parents(view: View, mapping: FieldMapping) -> tuple[Identifier, ...]:
    found = every(datatypes.ei)(view, mapping)
    if not found and _event(view)[0] in ("addendum", "replace", "edit"):
        view.note("parent-missing", "TXA-13", "the document changes another one but does not say which")
    return found


def _relation(view: View, mapping: FieldMapping) -> str | None:
    return _RELATIONS.get(_event(view)[0])


def _orders(view: View, mapping: FieldMapping) -> tuple[Identifier, ...]:
    """Numbers of the order or referral the document answers, marked as placer's or filler's."""
    found: dict[Identifier, None] = {}
    for place in (mapping.path, *mapping.also):
        found |= datatypes.numbers(view, place, "FILL" if place in _FILLERS else "PLAC")
    return tuple(found)


def _title(view: View, mapping: FieldMapping) -> str | None:
    for place in (mapping.path, *mapping.also):
        cell = view.cell(place)
        words = datatypes.label(datatypes.cwe(cell, view)) if cell else None
        if words:
            return words
    return None


def _plain_title(cell: Cell, view: View) -> str | None:
    return cell.text(1)


DOCUMENT = MessageMapping(
    format=Format.HL7V2,
    message="MDM^T01 to T11, and TXA in any other message",
    fact="document",
    source="HL7 v2.5.1 chapter 9; tables 0271, 0273",
    notes=(
        "Signed is TXA-17 AU or LA; DI, DO, IN, IP and PA are not signed; else it is unknown.",
        "An addendum stands beside its parent. OBX text and files in parts are joined in set-id order.",
    ),
    fields=(
        FieldMapping(
            "action",
            "what happened to the document",
            "MSH-9.2",
            (),
            ("event-conflict", "event-not-used", "document-segment-missing", "several-documents"),
            _action,
        ),
        FieldMapping(
            "identifiers", "the document's number", "TXA-12", (), ("document-id-missing",), _numbers
        ),
        FieldMapping(
            "parents", "the document it belongs to or replaces", "TXA-13", (), ("parent-missing",), _parents
        ),
        FieldMapping("relation", "what it does to its parent", "MSH-9.2", (), (), _relation),
        FieldMapping("type", "kind of document", "TXA-2", (), (), first(datatypes.cwe)),
        FieldMapping("title", "title", "TXA-25", (), (), first(_plain_title)),
        FieldMapping(
            "status", "interim, final, addendum, corrected or retracted", "TXA-17", ("MSH-9.2",), (), _status
        ),
        FieldMapping("status_code", "their completion status", "TXA-17", (), (), first(datatypes.cwe)),
        FieldMapping(
            "signature",
            "signed or not, by whom, when",
            "TXA-17",
            ("TXA-22",),
            ("signature-unknown",),
            _signature,
        ),
        FieldMapping("availability", "whether it may be used", "TXA-19", (), (), first(text)),
        FieldMapping("confidentiality", "confidentiality", "TXA-18", (), (), first(text)),
        FieldMapping(
            "written_at",
            "when it was written",
            "TXA-4",
            ("TXA-6", "TXA-7", "TXA-8"),
            ("time-unreadable",),
            first(datatypes.time),
        ),
        FieldMapping(
            "authors",
            "who wrote it",
            "TXA-9",
            ("TXA-5", "TXA-10", "TXA-11"),
            ("author-missing", "author-in-transcriptionist", "name-in-id"),
            _authors,
        ),
        FieldMapping("recipients", "who gets copies", "TXA-23", (), (), every(datatypes.party)),
        FieldMapping("patient", "the patient", "PID-3", ("PID-5", "PID-7"), ("patient-missing",), patient),
        FieldMapping(
            "referrer", "who referred", "PV1-8", (), (), lambda view, mapping: referring_party(view)
        ),
        FieldMapping(
            "referrals",
            "numbers of the order or referral it answers",
            "TXA-14",
            ("ORC-2", "OBR-2", "TXA-15", "ORC-3", "OBR-3"),
            (),
            _orders,
        ),
        FieldMapping("visit", "visit number", "PV1-19", (), (), every(datatypes.cx)),
        FieldMapping("text", "the text, lines joined", "OBX-5", (), ("document-empty",), _text),
        FieldMapping(
            "attachments",
            "embedded files, parts joined and decoded",
            "OBX-5",
            (),
            (
                "parts-joined",
                "content-missing",
                "base64-broken",
                "hex-broken",
                "encoding-unknown",
                "media-type-disagrees",
            ),
            _attachments,
        ),
        FieldMapping(
            "observations",
            "coded and numeric results",
            "OBX-5",
            (),
            ("too-many-observations",),
            _observations,
        ),
    ),
)


def _result_status(view: View, mapping: FieldMapping) -> str:
    """OBR-25, else what all OBX-11 agree on."""
    code = _result_code(view)
    if code is None:
        view.note("status-unknown", "OBR-25", "neither the report nor its results say whether they are final")
    return _RESULT_STATES.get(code or "", "unknown")


def _result_code(view: View) -> str | None:
    """OBR-25 unless its results say less: an interim one makes no final report, nor do wrong ones alone."""
    said = (view.text("OBR-25") or "").upper()
    statuses = content(view).statuses
    told = statuses[0] if len(statuses) == 1 else next((one for one in _LEAST if one in statuses), None)
    if not said or told is None or said not in _VERIFIED:
        return said or told
    interim = next((one for one in _PENDING if one in statuses), None)
    wrong = all(_RESULT_STATES.get(one) == "retracted" for one in statuses)
    if interim or wrong or "W" in statuses:
        view.note("status-conflict", "OBX-11", "the report is called final, but not all of its results are")
    return interim or (told if wrong else said)


def _verified(view: View, mapping: FieldMapping) -> Signature | None:
    """Table 0123: F and C are verified results; P, R and I are not. Results verify, they do not sign."""
    code = _result_code(view)
    if code is None:
        return None
    cell = view.cell("OBR-32")
    person = _interpreter(cell, view) if cell else None
    return Signature(status="signed" if code in _VERIFIED else "unsigned", by=person, code=code)


def _interpreter(cell: Cell, view: View) -> Practitioner | None:
    """NDL: the person is a sub-component group (CNN) in the first component."""
    return datatypes.xcn(cell.inner(1), view) if cell.part(1, 2) else datatypes.xcn(cell, view)


def _report_authors(view: View, mapping: FieldMapping) -> tuple[Party, ...]:
    cell = view.cell("OBR-32")
    person = _interpreter(cell, view) if cell else None
    return (Party(practitioner=person),) if person else ()


def _orderer(view: View, mapping: FieldMapping) -> Party | None:
    for place in (mapping.path, *mapping.also):
        cell = view.cell(place)
        party = datatypes.party(cell, view) if cell else None
        if party:
            return party
    return None


def _written(view: View, mapping: FieldMapping) -> PartialTime | None:
    return first(datatypes.time)(view, mapping)


REPORT = MessageMapping(
    format=Format.HL7V2,
    message="ORU^R01",
    fact="document",
    source="HL7 v2.5.1 chapter 7; tables 0085, 0123",
    notes=("One document per OBR. OBR-25 F or C is verified. TX and FT are text, everything else results.",),
    fields=(
        FieldMapping(
            "action",
            "what happened",
            "OBR-25",
            (),
            ("report-missing",),
            lambda view, mapping: (
                "cancel" if _RESULT_STATES.get(_result_code(view) or "") == "retracted" else "new"
            ),
        ),
        FieldMapping(
            "identifiers", "the report's number", "OBR-3", ("ORC-3",), ("document-id-missing",), _numbers
        ),
        FieldMapping("referrals", "numbers of the order it answers", "OBR-2", ("ORC-2",), (), _orders),
        FieldMapping("type", "kind of report", "OBR-4", (), (), first(datatypes.cwe)),
        FieldMapping("title", "title", "OBR-4", (), (), _title),
        FieldMapping(
            "status",
            "interim, final, corrected or retracted",
            "OBR-25",
            ("OBX-11",),
            ("status-unknown", "status-conflict"),
            _result_status,
        ),
        FieldMapping("status_code", "their status", "OBR-25", ("OBX-11",), (), first(datatypes.cwe)),
        FieldMapping(
            "signature", "whether the results are verified", "OBR-25", ("OBX-11", "OBR-32"), (), _verified
        ),
        FieldMapping(
            "written_at", "when it was reported", "OBR-22", ("OBR-7",), ("time-unreadable",), _written
        ),
        FieldMapping("authors", "who interpreted it", "OBR-32", (), (), _report_authors),
        FieldMapping("referrer", "who ordered it", "OBR-16", ("ORC-12", "PV1-8"), (), _orderer),
        FieldMapping("patient", "the patient", "PID-3", ("PID-5", "PID-7"), ("patient-missing",), patient),
        FieldMapping("visit", "visit number", "PV1-19", (), (), every(datatypes.cx)),
        FieldMapping("text", "text lines joined", "OBX-5", (), (), _text),
        FieldMapping(
            "attachments",
            "embedded files",
            "OBX-5",
            (),
            ("parts-joined", "content-missing", "base64-broken", "media-type-disagrees"),
            _attachments,
        ),
        FieldMapping("observations", "results", "OBX-5", (), ("too-many-observations",), _observations),
    ),
)


def read_document(view: View) -> tuple[Document, ...]:
    """The document of an MDM: its TXA with all OBX of the message, wherever they stand; or one for each TXA,
    with a finding, since HL7 v2 knows only one.
    """
    compare_event(view)
    if view.first("TXA") is None:
        view.note(
            "document-segment-missing",
            "TXA",
            "there is no TXA; nothing says whose document it is or whether it is signed",
            refusing=True,
        )
    groups = document_groups(view)
    if len(groups) > 1:
        view.note("several-documents", "TXA[2]", "the message holds several documents; each was read apart")
    elif len(view.all("TXA")) > 1:
        detail = "several documents stand before several patients; nobody can tell whose they are"
        view.note("several-documents", "TXA[2]", detail, refusing=True)
    return tuple(Document(**build(DOCUMENT.fields, group)) for group in groups)


def read_enclosed_documents(view: View) -> tuple[Document, ...]:
    """Documents of TXA segments in messages that are about something else (ADT, ORU, orders)."""
    headers = [segment for segment in view.segments if segment.id == "TXA"]
    if len(headers) > _MOST_ENCLOSED:
        view.note("too-many-groups", "TXA", f"only the first {_MOST_ENCLOSED} documents were read")
    return tuple(Document(**build(DOCUMENT.fields, _around(view, txa))) for txa in headers[:_MOST_ENCLOSED])


def _around(view: View, txa: Segment) -> View:
    """TXA with the OBX right behind it, else with those right before it; patient and visit behind them."""
    at = next(index for index, segment in enumerate(view.segments) if segment is txa)
    behind = _run(view.segments[at + 1 :])
    parts = behind or _run(view.segments[:at][::-1])[::-1]
    context = view.narrowed(segment for segment in view.segments if segment.id in ("PID", "PV1"))
    return view.narrowed((txa, *parts), context=context)


def _run(segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
    found = []
    for segment in segments:
        if segment.id not in ("OBX", "NTE", "PRT", "CON"):
            break
        if segment.id == "OBX":
            found.append(segment)
    return tuple(found)


def read_reports(view: View) -> tuple[Document, ...]:
    """One document per OBR of an ORU."""
    if view.first("OBR") is None and view.first("OBX") is None:
        view.note("report-missing", "OBR", "there is neither OBR nor OBX, so no report can be told")
        return ()
    return tuple(Document(**build(REPORT.fields, group)) for group in order_groups(view) if _reports(group))


def _reports(group: View) -> bool:
    return any(segment.id in ("OBR", "OBX") for segment in group.segments)


__all__ = ["DOCUMENT", "REPORT", "content", "read_document", "read_enclosed_documents", "read_reports"]
