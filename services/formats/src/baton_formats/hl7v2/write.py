"""Messages a partner expects, written from facts: acknowledgements, referrals, answers, appointments,
orders, documents.

The envelope says from whom to whom, under which control id and when; nothing is made up here. Messages
below v2.7 carry four encoding characters. What is written reads back as the same facts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum

from baton_formats.facts import (
    Acknowledgement,
    Appointment,
    Arrival,
    Coding,
    Concept,
    Document,
    Fact,
    Identifier,
    Issue,
    PartialTime,
    PatientChange,
    Referral,
)
from baton_formats.findings import Envelope
from baton_formats.hl7v2.segment_writer import DEFAULT_VERSION, MessageWriter

_PRIORITY_CODES = {"routine": "R", "asap": "A", "stat": "S", "urgent": "U"}
_DISPOSITION_CODES = {
    "assume_management": "AM",
    "return_patient": "RP",
    "second_opinion": "SO",
    "written_report": "WR",
}
_REFERRAL_EVENTS = {"new": "I12", "update": "I13", "cancel": "I14", "query": "I15"}
_REFERRAL_STATES = {"accept": "A", "decline": "R"}
_APPOINTMENT_EVENTS = {
    "booked": "S12",
    "rescheduled": "S13",
    "modified": "S14",
    "arrived": "S14",
    "completed": "S14",
    "cancelled": "S15",
    "discontinued": "S16",
    "deleted": "S17",
    "no_show": "S26",
}
# HL7 table 0278.
_APPOINTMENT_STATES = {
    "booked": "Booked",
    "rescheduled": "Booked",
    "arrived": "Started",
    "completed": "Complete",
    "cancelled": "Cancelled",
    "discontinued": "Dc",
    "deleted": "Deleted",
    "no_show": "Noshow",
}
_ORDER_CONTROLS = {"new": "NW", "update": "XO", "cancel": "CA"}
_ORDER_ANSWERS = {"accept": "IP", "decline": "CA"}
_ORDER_STATES = {"active": "IP", "on-hold": "HD", "completed": "CM"}
_DOCUMENT_EVENTS = {
    "notice": "T01",
    "new": "T02",
    "status": "T03",
    "addendum": "T06",
    "edit": "T08",
    "replace": "T10",
    "cancel": "T11",
}
_COMPLETION_CODES = {"signed": "AU", "unsigned": "IP"}


class AckMode(StrEnum):
    """Which acknowledgement protocol a message asks for (HL7 v2.5.1 2.9.2, 2.9.3)."""

    ORIGINAL = "original"
    ENHANCED = "enhanced"


class Verdict(StrEnum):
    """How we answer: accepted, failed for now (send again), or rejected for good."""

    ACCEPT = "A"
    ERROR = "E"
    REJECT = "R"


def ack_mode(envelope: Envelope) -> AckMode:
    """Enhanced as soon as MSH-15 or MSH-16 says anything, else original."""
    return AckMode.ENHANCED if envelope.accept_ack or envelope.application_ack else AckMode.ORIGINAL


def commit_code(verdict: Verdict) -> str:
    """MSA-1 of an accept acknowledgement: CA, CE, CR."""
    return f"C{verdict}"


def application_code(verdict: Verdict) -> str:
    """MSA-1 of an application acknowledgement: AA, AE, AR."""
    return f"A{verdict}"


def due_codes(envelope: Envelope, verdict: Verdict) -> tuple[str, ...]:
    """The MSA-1 codes the sender waits for, in order: one in original mode, none to two in enhanced mode.

    HL7 table 0155: AL always, NE never, ER on error or reject only, SU on success only; an empty field
    counts as NE.
    """
    if ack_mode(envelope) is AckMode.ORIGINAL:
        return (application_code(verdict),)
    wanted = (
        (envelope.accept_ack, commit_code(verdict)),
        (envelope.application_ack, application_code(verdict)),
    )
    return tuple(code for condition, code in wanted if _is_wanted(condition, verdict))


def _is_wanted(condition: str | None, verdict: Verdict) -> bool:
    word = (condition or "NE").strip().upper()
    return word == "AL" or ((word == "SU") == (verdict is Verdict.ACCEPT) and word in ("SU", "ER"))


def acknowledgement(
    answered: Envelope | None,
    *,
    code: str,
    control_id: str,
    sent_at: PartialTime,
    text: str | None = None,
    issues: Iterable[Issue] = (),
) -> bytes:
    """An ACK to the message ``answered`` (None if its header could not be read).

    ``code`` is MSA-1, ``control_id`` and ``sent_at`` are ours. Sender and receiver change places, MSA-2
    echoes MSH-10 and is empty if there was none. Issues become ERR in the form of the sender's version.
    """
    asked = answered or Envelope()
    writer = MessageWriter(asked.version if _plain_version(asked.version) else None)
    encode = writer.encoder
    writer.add("MSA", {1: code, 2: encode.text(asked.control_id), 3: encode.text(text)})
    for issue in issues:
        _err(writer, issue)
    receivers = (asked.sender,) if asked.sender else ()
    reply = Envelope(
        control_id=control_id,
        sent_at=sent_at,
        sender=next(iter(asked.receivers), None),
        receivers=receivers,
        processing_mode=asked.processing_mode,
    )
    writer.header(reply, code="ACK", event=asked.event or "", structure="ACK" if asked.event else "")
    return writer.render()


def _plain_version(version: str | None) -> bool:
    parts = (version or "").split(".")
    return (
        len(parts) in (2, 3) and parts[0] == "2" and all(part.isdigit() and len(part) == 1 for part in parts)
    )


def _err(writer: MessageWriter, issue: Issue) -> None:
    encode = writer.encoder
    segment, _, number = (issue.where or "").partition("-")
    name, _, ordinal = segment.partition("[")
    sequence = ordinal.rstrip("]") or ("1" if name else "")
    field = number.partition(".")[0]
    if writer.version < "2.5":
        problem = encode.parts(issue.code, issue.detail)
        place = encode.components(name, sequence, field)
        writer.add("ERR", {1: encode.joined((place, *[""] * (2 - place.count("^")), problem), "^")})
        return
    severity = issue.severity or "E"
    coded = encode.components(issue.code, None, "HL70357") if issue.code else ""
    place = encode.components(name, sequence, field) if name else ""
    writer.add("ERR", {2: place, 3: coded, 4: encode.text(severity), 8: encode.text(issue.detail)})


def referral(fact: Referral, *, envelope: Envelope) -> bytes:
    """REF^I12 to I15 by the referral's action; accepting and declining are a changed referral (I13)."""
    writer = MessageWriter(envelope.version)
    _referral_body(writer, fact, answer=False)
    event = envelope.event or _REFERRAL_EVENTS.get(fact.action or "new", "I13")
    writer.header(envelope, code="REF", event=event, structure="REF_I12")
    return writer.render()


def referral_response(fact: Referral, *, envelope: Envelope, answers: Acknowledgement | None = None) -> bytes:
    """RRI: the receiving office's answer. ``answers`` becomes MSA; the filler's number goes out in RF1-11."""
    writer = MessageWriter(envelope.version)
    if answers is not None:
        encode = writer.encoder
        writer.add(
            "MSA",
            {
                1: encode.text(answers.code or "AA"),
                2: encode.text(answers.acknowledges),
                3: encode.text(answers.text),
            },
        )
        for issue in answers.issues:
            _err(writer, issue)
    _referral_body(writer, fact, answer=True)
    event = envelope.event or ("I14" if fact.action == "cancel" else "I12")
    writer.header(envelope, code="RRI", event=event, structure="RRI_I12")
    return writer.render()


def _referral_body(writer: MessageWriter, fact: Referral, *, answer: bool) -> None:
    _rf1(writer, fact, answer=answer)
    writer.authorizations(fact.authorizations)
    if fact.referrer:
        writer.provider(fact.referrer, "RP", "Referring Provider")
    for party in fact.performers:
        writer.provider(party, "RT", "Referred to Provider")
    writer.pid(fact.patient)
    writer.coverage(fact.coverage)
    writer.diagnoses(fact.reasons)
    if fact.service or fact.attachments:
        writer.add("OBR", {1: "1", 4: writer.encoder.cwe(fact.service)})
        writer.content(attachments=fact.attachments)
    if fact.notes:
        writer.add("PV1", {1: "1", 2: "N"})
        writer.notes(fact.notes)


def _rf1(writer: MessageWriter, fact: Referral, *, answer: bool) -> None:
    encode = writer.encoder
    others = [number for number in fact.identifiers if not _is_same(number, fact.placer)]
    if answer and fact.filler and not any(_is_same(number, fact.filler) for number in others):
        others.insert(0, fact.filler)
    state = fact.status_code or _coded(_REFERRAL_STATES.get(fact.action or ""), "HL70283")
    asked = fact.disposition_codes or tuple(
        c for word in fact.dispositions if (c := _coded(_DISPOSITION_CODES.get(word), "HL70282"))
    )
    priority = fact.priority_code or _coded(_PRIORITY_CODES.get(fact.priority or ""), "HL70280")
    kind, category = (*fact.categories[:2], None, None)[:2]
    writer.add(
        "RF1",
        {
            1: encode.cwe(state),
            2: encode.cwe(priority),
            3: encode.cwe(kind),
            4: encode.repeated(asked, encode.cwe),
            5: encode.cwe(category),
            6: encode.ei(fact.placer),
            7: encode.time(fact.effective_at),
            8: encode.time(fact.expires_at),
            9: encode.time(fact.authored_at),
            10: encode.cwe(fact.status_reason),
            11: encode.repeated(others, encode.ei),
            14: encode.text(fact.reason_text),
            24: encode.text(fact.question),
        },
    )


def _is_same(number: Identifier, known: Identifier | None) -> bool:
    return known is not None and replace(number, type=None, use=None) == replace(known, type=None, use=None)


def _coded(code: str | None, table: str) -> Concept | None:
    return Concept(codings=(Coding(code=code, system=table),)) if code else None


def appointment(fact: Appointment, *, envelope: Envelope) -> bytes:
    """SIU by the appointment's action: S12 booked, S13 rescheduled, S14 modified, S15 cancelled, S16, S17,
    S26.
    """
    writer = MessageWriter(envelope.version)
    event = envelope.event or _APPOINTMENT_EVENTS.get(fact.action or "booked", "S14")
    _sch(writer, fact)
    writer.notes(fact.notes)
    writer.pid(fact.patient)
    for ordinal, one in enumerate((p for p in fact.participants if p.patient), start=2):
        writer.pid(one.patient, ordinal=ordinal)
    writer.visit(referrer=fact.referrer)
    _resources(writer, fact)
    writer.header(envelope, code="SIU", event=event, structure="SIU_S12")
    return writer.render()


def _sch(writer: MessageWriter, fact: Appointment) -> None:
    encode = writer.encoder
    start, end = encode.time(fact.start), encode.time(fact.end)
    minutes = str(fact.duration_minutes) if fact.duration_minutes else ""
    state = fact.status_code or _coded(_APPOINTMENT_STATES.get(fact.action or ""), "HL70278")
    placers = [number for number in fact.referrals if number.type != "FILL"]
    fillers = [number for number in fact.referrals if number.type == "FILL"]
    slot = encode.joined(("", "", "", start, end), encode.syntax.component)
    fields = {
        1: encode.ei(fact.placer),
        2: encode.ei(fact.filler),
        6: encode.cwe(fact.cancellation_reason),
        7: encode.cwe(fact.reason),
        8: encode.cwe(fact.type),
        9: minutes,
        10: "min" if minutes else "",
        11: slot,
        25: encode.cwe(state),
        26: encode.repeated(placers, encode.ei),
        27: encode.repeated(fillers, encode.ei),
    }
    writer.add("SCH", fields)
    if fact.priority or (start and end and writer.version >= "2.5"):
        writer.add("TQ1", {1: "1", 7: start, 8: end, 9: _PRIORITY_CODES.get(fact.priority or "", "")})


def _resources(writer: MessageWriter, fact: Appointment) -> None:
    """RGS with the services, the people and the places, each with the time."""
    encode = writer.encoder
    start = encode.time(fact.start)
    minutes = str(fact.duration_minutes) if fact.duration_minutes else ""
    unit = "min" if minutes else ""
    writer.add("RGS", {1: "1"})
    for ordinal, service in enumerate(fact.services, start=1):
        writer.add("AIS", {1: str(ordinal), 3: encode.cwe(service), 4: start, 7: minutes, 8: unit})
    for ordinal, party in enumerate(fact.clinicians, start=1):
        person, role = encode.xcn(party.practitioner), encode.cwe(party.role)
        writer.add("AIP", {1: str(ordinal), 3: person, 4: role, 6: start, 9: minutes, 10: unit})
    places = [fact.location, *(participant.location for participant in fact.participants)]
    for ordinal, place in enumerate((place for place in places if place), start=1):
        writer.add("AIL", {1: str(ordinal), 3: encode.pl(place), 6: start, 9: minutes, 10: unit})


def order(fact: Referral, *, envelope: Envelope) -> bytes:
    """OMG^O19: the referral as an order, as IHE 360X sends it (PCC-55, PCC-57)."""
    writer = MessageWriter(envelope.version)
    writer.pid(fact.patient)
    writer.coverage(fact.coverage)
    _orc(writer, fact, control=_ORDER_CONTROLS.get(fact.action or "new", "SC"))
    encode = writer.encoder
    start, end = (fact.wanted.start, fact.wanted.end) if fact.wanted else (None, None)
    priority = encode.cwe(fact.priority_code) or _PRIORITY_CODES.get(fact.priority or "", "")
    if start or end or priority:
        writer.add("TQ1", {1: "1", 7: encode.time(start), 8: encode.time(end), 9: priority})
    writer.add(
        "OBR",
        {
            1: "1",
            2: encode.ei(fact.placer),
            3: encode.ei(fact.filler),
            4: encode.cwe(fact.service),
            13: encode.text(fact.reason_text),
            31: encode.repeated(fact.reasons, encode.cwe),
        },
    )
    writer.notes(fact.notes)
    writer.content(attachments=fact.attachments)
    writer.header(envelope, code="OMG", event=envelope.event or "O19", structure="OMG_O19")
    return writer.render()


def order_status(fact: Referral, *, envelope: Envelope) -> bytes:
    """OSU^O51: what became of an order (PCC-56: ORC-5 IP accepted, CA declined), or its cancellation
    (PCC-58: ORC-1 CA).
    """
    writer = MessageWriter(envelope.version)
    writer.pid(fact.patient)
    _orc(writer, fact, control="CA" if fact.action == "cancel" else "SC")
    writer.header(envelope, code="OSU", event=envelope.event or "O51", structure="OSU_O51")
    return writer.render()


def _orc(writer: MessageWriter, fact: Referral, *, control: str) -> None:
    encode = writer.encoder
    answered = _ORDER_ANSWERS.get(fact.action or "") or (
        _ORDER_STATES.get(fact.status or "") if control == "SC" else None
    )
    state = encode.cwe(fact.status_code) or (answered or "")
    party = fact.referrer
    person, office = (party.practitioner, party.organization) if party else (None, None)
    writer.add(
        "ORC",
        {
            1: control,
            2: encode.ei(fact.placer),
            3: encode.ei(fact.filler),
            5: state,
            9: encode.time(fact.authored_at),
            12: encode.xcn(person),
            14: encode.repeated(person.telecom, encode.xtn) if person else "",
            16: encode.cwe(fact.status_reason),
            21: encode.xon(office),
            22: encode.repeated(office.addresses, encode.xad) if office else "",
            23: encode.repeated(office.telecom, encode.xtn) if office else "",
        },
    )


def document(fact: Document, *, envelope: Envelope) -> bytes:
    """MDM by the document's action: T01 notice, T02 new, T03 status, T06 addendum, T08 edit, T10 replace,
    T11 cancel.
    """
    writer = MessageWriter(envelope.version)
    event = envelope.event or _DOCUMENT_EVENTS.get(fact.action or "new", "T02")
    encode = writer.encoder
    writer.add("EVN", {1: event, 2: encode.time(envelope.sent_at)})
    writer.pid(fact.patient)
    writer.visit(referrer=fact.referrer, numbers=fact.visit)
    _txa(writer, fact)
    if event not in ("T01", "T03", "T05", "T07", "T09", "T11"):
        state = "P" if fact.status == "interim" else "F"
        writer.content(
            text=str(fact.text or ""),
            attachments=fact.attachments,
            observations=fact.observations,
            code=fact.type,
            status=state,
        )
    structure = "MDM_T01" if event in ("T01", "T03", "T05", "T07", "T09", "T11") else "MDM_T02"
    writer.header(envelope, code="MDM", event=event, structure=structure)
    return writer.render()


def _txa(writer: MessageWriter, fact: Document) -> None:
    encode = writer.encoder
    signature = fact.signature
    signed = (signature.code or _COMPLETION_CODES.get(signature.status, "")) if signature else ""
    when = encode.time(signature.at) if signature else ""
    signer = encode.xcn(signature.by, "", when) if signature and signature.by else ""
    placers = [number for number in fact.referrals if number.type != "FILL"]
    fillers = [number for number in fact.referrals if number.type == "FILL"]
    writer.add(
        "TXA",
        {
            1: "1",
            2: encode.cwe(fact.type),
            3: "AP" if fact.attachments and not fact.text else "TX",
            4: encode.time(fact.written_at),
            9: encode.repeated((party.practitioner for party in fact.authors), encode.xcn),
            12: encode.repeated(fact.identifiers, encode.ei),
            13: encode.repeated(fact.parents, encode.ei),
            14: encode.repeated(placers, encode.ei),
            15: encode.repeated(fillers, encode.ei),
            17: encode.cwe(fact.status_code) or encode.text(signed),
            18: encode.text(fact.confidentiality),
            19: encode.text(fact.availability),
            22: signer,
            23: encode.repeated((party.practitioner for party in fact.recipients), encode.xcn),
            25: encode.text(fact.title),
        },
    )


def patient_change(fact: PatientChange, *, envelope: Envelope) -> bytes:
    """ADT^A28 add, A31 update, A40 merge, A29 delete."""
    writer = MessageWriter(envelope.version)
    event = envelope.event or {"add": "A28", "merge": "A40", "delete": "A29"}.get(fact.action or "", "A31")
    encode = writer.encoder
    writer.add("EVN", {1: event, 2: encode.time(fact.at or envelope.sent_at)})
    writer.pid(fact.patient)
    if fact.replaced or fact.replaced_names:
        writer.add(
            "MRG",
            {
                1: encode.repeated(fact.replaced, encode.cx),
                7: encode.repeated(fact.replaced_names, encode.xpn),
            },
        )
    writer.header(envelope, code="ADT", event=event, structure="ADT_A39" if event == "A40" else "ADT_A05")
    return writer.render()


def arrival(fact: Arrival, *, envelope: Envelope) -> bytes:
    """ADT^A04 arrived, A01 admitted, A03 finished, A11 cancelled."""
    writer = MessageWriter(envelope.version)
    event = envelope.event or {"admitted": "A01", "finished": "A03", "cancelled": "A11"}.get(
        fact.action or "", "A04"
    )
    encode = writer.encoder
    writer.add("EVN", {1: event, 2: encode.time(envelope.sent_at)})
    writer.pid(fact.patient)
    doctors = {7: fact.attending, 8: fact.referring, 9: fact.consulting}
    fields = {
        at: encode.repeated((party.practitioner for party in parties), encode.xcn)
        for at, parties in doctors.items()
    }
    fields |= {
        2: encode.cwe(fact.visit_class) or "N",
        3: encode.pl(fact.location),
        19: encode.repeated(fact.visit, encode.cx),
    }
    writer.add("PV1", fields | {1: "1", 44: encode.time(fact.at), 45: encode.time(fact.ended_at)})
    writer.header(envelope, code="ADT", event=event, structure="ADT_A01")
    return writer.render()


def message(fact: Fact, *, envelope: Envelope, code: str | None = None) -> bytes:
    """The message for any fact this module writes; ``code`` (REF, RRI, OMG, OSU) chooses among those of a
    referral.

    Raises ValueError for a fact that HL7 v2 has no message for here, naming its kind.
    """
    if isinstance(fact, Referral):
        writers = {"REF": referral, "OMG": order, "ORM": order, "OSU": order_status, "RRI": referral_response}
        return writers.get(code or "REF", referral)(fact, envelope=envelope)
    if isinstance(fact, Appointment):
        return appointment(fact, envelope=envelope)
    if isinstance(fact, Document):
        return document(fact, envelope=envelope)
    if isinstance(fact, PatientChange):
        return patient_change(fact, envelope=envelope)
    if isinstance(fact, Arrival):
        return arrival(fact, envelope=envelope)
    raise ValueError(f"no HL7 v2 message is written for a {fact.kind}")


__all__ = [
    "DEFAULT_VERSION",
    "AckMode",
    "Verdict",
    "ack_mode",
    "acknowledgement",
    "application_code",
    "appointment",
    "arrival",
    "commit_code",
    "document",
    "due_codes",
    "message",
    "order",
    "order_status",
    "patient_change",
    "referral",
    "referral_response",
]
