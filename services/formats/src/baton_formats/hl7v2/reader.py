"""A body of HL7 v2 bytes read into messages with facts and findings. Total: it never raises for what
senders write.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from baton_formats.facts import Fact, Patient
from baton_formats.findings import Envelope, Finding, Format, Message, ReadResult, refused
from baton_formats.hl7v2.appointment import read_appointments
from baton_formats.hl7v2.bodies import Limits, RawMessage, split_body
from baton_formats.hl7v2.document import read_document, read_enclosed_documents, read_reports
from baton_formats.hl7v2.grouping import patient_groups
from baton_formats.hl7v2.header import read_acknowledgement, read_header
from baton_formats.hl7v2.patient import read_one, read_patient
from baton_formats.hl7v2.referral import read_orders, read_referral
from baton_formats.hl7v2.view import View
from baton_formats.hl7v2.visit import ARRIVALS, read_adt

_READERS: dict[str, Callable[[View], tuple[Fact, ...]]] = {
    "REF": read_referral,
    "RRI": read_referral,
    "OMG": read_orders,
    "OSU": read_orders,
    "ORM": read_orders,
    "SIU": read_appointments,
    "ADT": read_adt,
    "MDM": read_document,
    "ORU": read_reports,
}
_BY_PATIENT = frozenset(("ORU", "MDM"))
_OF_ONE_PATIENT = frozenset(("REF", "RRI", "OMG", "OSU", "ORM"))
# Orders in a 360X envelope leave the patient to the C-CDA beside them; acknowledgements have none.
_WITHOUT_PATIENT = frozenset(("OMG", "OSU", "ACK", "RRI"))


def read(body: bytes, *, limits: Limits | None = None) -> ReadResult:
    """The messages of ``body``, each with its facts and findings.

    The body is refused if it holds no message, or none that can be read; one bad message among good ones is
    kept, with a refusing finding. Identical control ids from one sender are reported, never dropped.
    """
    taken = split_body(body, limits=limits)
    if taken.reason is not None:
        return refused(Format.HL7V2, taken.reason, findings=taken.findings)
    read_messages = [_read_one(raw) for raw in taken.messages]
    reasons = [reason for _, reason in read_messages]
    repeated = _repetitions(taken.messages, [message for message, _ in read_messages])
    messages = tuple(
        _with_findings(message, repeated.get(at, ())) for at, (message, _) in enumerate(read_messages)
    )
    reason = reasons[0] if reasons and all(reasons) else None
    return ReadResult(format=Format.HL7V2, messages=messages, findings=taken.findings, reason=reason)


def _read_one(raw: RawMessage) -> tuple[Message, str | None]:
    """One message, and why it had to be refused if it had to."""
    if raw.syntax is None:
        return _unreadable(
            raw, "separators-unusable", "MSH-2", "MSH-1 and MSH-2 declare no usable separators"
        )
    header = read_header(raw, raw.syntax)
    findings = [*raw.findings, *header.findings]
    if not header.code:
        reason = "MSH-9 names no message type"
        findings.append(Finding("type-missing", "MSH-9", reason, refusing=True))
        return Message(
            type="", segments=len(raw.segments), envelope=header.envelope, findings=tuple(findings)
        ), reason
    view = View(
        raw.segments,
        syntax=raw.syntax,
        findings=findings,
        envelope=header.envelope,
        code=header.code,
        event=header.event,
    )
    facts = _facts(view)
    message = Message(
        type=header.type,
        segments=len(raw.segments),
        envelope=header.envelope,
        facts=facts,
        findings=tuple(view.findings),
    )
    return message, _why_nobody(view, header.envelope)


def _unreadable(raw: RawMessage, code: str, where: str, reason: str) -> tuple[Message, str]:
    findings = (*raw.findings, Finding(code, where, reason, refusing=True))
    envelope = Envelope(charset=raw.charset, declared_charset=raw.declared_charset)
    return Message(type="", segments=0, envelope=envelope, findings=findings), reason


def _why_nobody(view: View, envelope: Envelope) -> str | None:
    """A message that names neither patient nor sender and has no number cannot be told apart from damage."""
    named = envelope.sender or envelope.control_id or view.shared.get("patient")
    return None if named else "the message names neither a patient nor a sender and has no control id"


def _facts(view: View) -> tuple[Fact, ...]:
    answer = read_acknowledgement(view)
    groups = patient_groups(view) if _is_by_patient(view) else [view]
    told = tuple(fact for group in groups for fact in _told(group, answered=answer is not None))
    for group in groups[1:]:
        _subject(group)
    enclosed: tuple[Fact, ...] = ()
    if view.code != "MDM":
        shared = groups[0].context  # what stands before several patients belongs to none of them
        views = [shared, *groups] if shared is not None else groups
        enclosed = tuple(fact for one in views for fact in read_enclosed_documents(one))
    facts: tuple[Fact, ...] = (*((answer,) if answer else ()), *told, *enclosed)
    subject = _subject(view)
    return facts if told or enclosed or subject is None else (*facts, subject)


def _is_by_patient(view: View) -> bool:
    """Whether each PID of the message begins something of its own. Elsewhere a second patient who is not the
    first is a finding: nobody can tell whose the rest is.
    """
    if view.code in _BY_PATIENT or (view.code == "ADT" and view.event in ARRIVALS):
        return True
    if view.code in _OF_ONE_PATIENT and len(view.all("PID")) > 1:
        patients = [read_one(view, pid) for pid in view.all("PID")[:100]]
        if any(one is not None and not _agree(patients[0], one) for one in patients[1:]):
            view.note(
                "several-patients", "PID[2]", "the message is about more than one patient", refusing=True
            )
    return False


def _agree(one: Patient | None, other: Patient) -> bool:
    """Whether two PID may mean the same person: a number in common, or the same name and birth date."""
    if one is None:
        return False
    numbers = {(number.value, number.system or number.authority) for number in one.identifiers}
    if any((number.value, number.system or number.authority) in numbers for number in other.identifiers):
        return True
    return bool(one.names and one.names == other.names and one.birth_date == other.birth_date)


def _told(view: View, *, answered: bool) -> tuple[Fact, ...]:
    reader = _READERS.get(view.code)
    if reader is not None:
        return reader(view)
    if not answered:
        view.note("type-not-used", "MSH-9", "this kind of message says nothing a referral needs")
    return ()


def _subject(view: View) -> Patient | None:
    """The patient, read whatever the message is about; nobody to be told is a finding."""
    if "patient" not in view.shared:
        view.shared["patient"] = read_patient(view)
    found = view.shared["patient"]
    if found is None and view.code not in _WITHOUT_PATIENT:
        view.note("patient-missing", "PID-3", "the message names no patient", refusing=True)
    return found if isinstance(found, Patient) else None


def _repetitions(raws: tuple[RawMessage, ...], messages: list[Message]) -> dict[int, tuple[Finding, ...]]:
    """Messages of one sender under one control id: the same again, or another body (a conflict). Both are
    kept.
    """
    seen: dict[object, bytes] = {}
    found: dict[int, tuple[Finding, ...]] = {}
    for at, (raw, message) in enumerate(zip(raws, messages, strict=True)):
        envelope = message.envelope
        if envelope is None or envelope.control_id is None:
            continue
        key = (envelope.sender, envelope.control_id)
        body_hash = hashlib.sha256(raw.raw.strip()).digest()
        before = seen.setdefault(key, body_hash)
        if before is body_hash:
            continue
        found[at] = (_repeated() if before == body_hash else _conflict(),)
    return found


def _repeated() -> Finding:
    return Finding("message-repeated", "MSH-10", "the same message stood in this body before; it is kept")


def _conflict() -> Finding:
    return Finding(
        "control-id-conflict",
        "MSH-10",
        "another message of this sender in this body has the same control id; both are kept",
    )


def _with_findings(message: Message, more: tuple[Finding, ...]) -> Message:
    if not more:
        return message
    return Message(
        message.type,
        message.segments,
        message.entries,
        message.envelope,
        message.facts,
        (*message.findings, *more),
    )
