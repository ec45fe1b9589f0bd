"""Messages a partner expects, written from facts: acknowledgements, referrals, answers, appointments,
orders, documents.

The envelope says from whom to whom, under which control id and when; nothing is made up here. Its event is
written where it says what the fact says, and replaced by the usual one where it does not. Messages below
v2.7 carry four encoding characters. What is written reads back as the same facts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
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
from baton_formats.hl7v2.events import WITHOUT_CONTENT, event_for, structure_of
from baton_formats.hl7v2.parts import PATIENT_INSTRUCTION, QUESTION
from baton_formats.hl7v2.referral import order_states, says_why_referred, state_of
from baton_formats.hl7v2.segment_writer import DEFAULT_VERSION, MessageWriter, is_modern

_PRIORITY_CODES = {"routine": "R", "asap": "A", "stat": "S", "urgent": "U"}
_DISPOSITION_CODES = {
    "assume_management": "AM",
    "return_patient": "RP",
    "second_opinion": "SO",
    "written_report": "WR",
}
_REFERRAL_STATES = {"accept": "A", "decline": "R"}
_APPOINTMENT_ACTIONS = {"cancelled": "cancelled", "noshow": "no_show", "entered-in-error": "deleted"}
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
# IP would say accepted (360X); SC, scheduled, says that it goes on.
_ORDER_STATES = {"active": "SC", "on-hold": "HD", "completed": "CM", "revoked": "DC"}
_WITH_CONTENT = {"T03": "T04", "T05": "T06", "T07": "T08", "T09": "T10"}
# HL7 table 0271 (TXA-17), and what stands for a signature without a code.
_COMPLETIONS = frozenset(("AU", "LA", "DI", "DO", "IN", "IP", "PA"))
_COMPLETION_CODES = {"signed": "AU", "unsigned": "IP"}
_EVENT = re.compile(r"[A-Z][A-Z0-9]{2}")


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
    answer = Acknowledgement(code=code, acknowledges=asked.control_id, text=text, issues=tuple(issues))
    _msa(writer, answer)
    receivers = (asked.sender,) if asked.sender else ()
    reply = Envelope(
        control_id=control_id,
        sent_at=sent_at,
        sender=next(iter(asked.receivers), None),
        receivers=receivers,
        processing_mode=asked.processing_mode,
    )
    return _acknowledged(writer, reply, asked.event)


def acknowledgement_of(fact: Acknowledgement, *, envelope: Envelope) -> bytes:
    """An ACK as the envelope sends it: from its sender to its receivers, saying what ``fact`` says."""
    writer = MessageWriter(envelope.version if _plain_version(envelope.version) else None)
    _msa(writer, fact)
    return _acknowledged(writer, envelope, envelope.event)


def _msa(writer: MessageWriter, answer: Acknowledgement) -> None:
    encode = writer.encoder
    fields = {1: encode.text(answer.code), 2: encode.text(answer.acknowledges), 3: encode.text(answer.text)}
    writer.add("MSA", fields)
    for issue in answer.issues:
        _err(writer, issue)


def _acknowledged(writer: MessageWriter, envelope: Envelope, event: str | None) -> bytes:
    known = event if event and _EVENT.fullmatch(event) else ""
    writer.header(envelope, code="ACK", event=known, structure="ACK" if known else "")
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
    """REF^I12 to I15 by the referral's action; accepting and declining are a changed referral (I13).

    It has no field for the wanted time, for a speciality, or for a status beyond table 0283; the receiver's
    number goes out among the external ones (RF1-11).
    """
    writer = MessageWriter(envelope.version)
    _referral_body(writer, fact, code="REF")
    return _sent(writer, envelope, code="REF", action=fact.action or "new")


def referral_response(fact: Referral, *, envelope: Envelope, answers: Acknowledgement | None = None) -> bytes:
    """RRI: the receiving office's answer. ``answers`` becomes MSA; the filler's number goes out in RF1-11.

    It accepts, declines or cancels; any other action reads back as how the referral stands (status).
    """
    writer = MessageWriter(envelope.version)
    if answers is not None:
        _msa(writer, replace(answers, code=answers.code or "AA"))
    _referral_body(writer, fact, code="RRI")
    return _sent(writer, envelope, code="RRI", action=fact.action or "status")


def _sent(
    writer: MessageWriter, envelope: Envelope, *, code: str, action: str, kind: str | None = None
) -> bytes:
    event = event_for(kind or code, action, envelope.event)
    writer.header(envelope, code=code, event=event, structure=structure_of(code, event))
    return writer.render()


def _referral_body(writer: MessageWriter, fact: Referral, *, code: str) -> None:
    told = _tells_why(fact)
    writer.add("RF1", _rf1(writer, fact, answer=code == "RRI", reason=fact.status_reason if told else None))
    writer.authorizations(fact.authorizations)
    _providers(writer, fact)
    writer.pid(fact.patient, providers_apart=True)
    writer.coverage(fact.coverage)
    writer.diagnoses(fact.reasons)
    if fact.status_reason and not told:
        # RF1-10 says why the referral was made; ORC-16 is the field for why its state changed.
        control = _ORDER_CONTROLS.get(fact.action or "", "SC")
        writer.add("ORC", {1: control, 16: writer.encoder.cwe(fact.status_reason)})
    if fact.service or fact.attachments:
        writer.add("OBR", {1: "1", 4: writer.encoder.cwe(fact.service)})
        writer.content(attachments=fact.attachments)
    if fact.notes or fact.patient_instructions:
        writer.add("PV1", {1: "1", 2: "N"})
        _comments(writer, replace(fact, question=None))


def _tells_why(fact: Referral) -> bool:
    """Whether a reader takes RF1-10 for the reason of this action."""
    if state_of(_referral_state(fact)) in ("R", "E"):
        return True
    return fact.action == "cancel" and not says_why_referred(fact.status_reason)


def _providers(writer: MessageWriter, fact: Referral) -> None:
    """PRD: who refers, who is asked, and the patient's own doctors."""
    if fact.referrer:
        writer.provider(fact.referrer, "RP", "Referring Provider")
    for party in fact.performers:
        writer.provider(party, "RT", "Referred to Provider", also=("CP", "IR"))
    for party in fact.patient.general_practitioners if fact.patient else ():
        writer.provider(party, "PP", "Primary Care Provider")


def _comments(writer: MessageWriter, fact: Referral) -> None:
    """NTE: notes, then what else has its own type of comment (NTE-4)."""
    writer.notes(fact.notes)
    typed = [(words, PATIENT_INSTRUCTION) for words in fact.patient_instructions]
    typed += [(fact.question, QUESTION)] if fact.question else []
    for ordinal, (words, kind) in enumerate(typed, start=len(fact.notes) + 1):
        writer.add("NTE", {1: str(ordinal), 3: writer.encoder.text(words), 4: writer.encoder.cwe(kind)})


def _rf1(writer: MessageWriter, fact: Referral, *, answer: bool, reason: Concept | None) -> dict[int, str]:
    encode = writer.encoder
    others = [number for number in fact.identifiers if not _is_same(number, fact.placer)]
    if answer and fact.filler:
        others = [fact.filler, *(number for number in others if not _is_same(number, fact.filler))]
    priority = fact.priority_code or _coded(_PRIORITY_CODES.get(fact.priority or ""), "HL70280")
    kind, category = (*fact.categories[:2], None, None)[:2]
    return {
        1: encode.cwe(_referral_state(fact)),
        2: encode.cwe(priority),
        3: encode.cwe(kind),
        4: encode.repeated(_asked_back(fact), encode.cwe),
        5: encode.cwe(category),
        6: encode.ei(fact.placer),
        7: encode.time(fact.effective_at),
        8: encode.time(fact.expires_at),
        9: encode.time(fact.authored_at),
        10: encode.cwe(reason),
        11: encode.repeated(others, encode.ei),
        14: encode.text(fact.reason_text),
        24: encode.text(fact.question),
    }


def _asked_back(fact: Referral) -> tuple[Concept, ...]:
    known = (_coded(_DISPOSITION_CODES.get(word), "HL70282") for word in fact.dispositions)
    return fact.disposition_codes or tuple(code for code in known if code)


def _referral_state(fact: Referral) -> Concept | None:
    """RF1-1: the sender's own code, behind one of table 0283 where it says something else or nothing."""
    answer = _REFERRAL_STATES.get(fact.action or "")
    told, theirs = state_of(fact.status_code), fact.status_code
    if theirs and (told == answer or (answer is None and told in ("P", "A", "R", "E"))):
        return theirs
    code = answer or ("P" if fact.status == "active" else None)
    return _in_front(code, "HL70283", theirs)


def _in_front(code: str | None, table: str | None, theirs: Concept | None) -> Concept | None:
    """A code of ours, with the sender's as its alternate."""
    if code is None or theirs is None:
        return theirs or _coded(code, table)
    return replace(theirs, codings=(Coding(code=code, system=table), *theirs.codings[:1]))


def _is_same(number: Identifier, known: Identifier | None) -> bool:
    return known is not None and replace(number, type=None, use=None) == replace(known, type=None, use=None)


def _coded(code: str | None, table: str | None) -> Concept | None:
    return Concept(codings=(Coding(code=code, system=table),)) if code else None


def appointment(fact: Appointment, *, envelope: Envelope) -> bytes:
    """SIU by the appointment's action: S12 booked, S13 rescheduled, S14 modified, S15 cancelled, S16, S17,
    S26.
    """
    writer = MessageWriter(envelope.version)
    _sch(writer, fact)
    writer.notes(fact.notes)
    writer.pid(fact.patient)
    for ordinal, one in enumerate((p for p in fact.participants if p.patient), start=2):
        writer.pid(one.patient, ordinal=ordinal)
    writer.visit(referrer=fact.referrer)
    _resources(writer, fact)
    action = fact.action or _APPOINTMENT_ACTIONS.get(fact.status or "", "booked")
    return _sent(writer, envelope, code="SIU", action=action)


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
    _ordered(writer, fact, timing={})
    return _sent(writer, envelope, code="OMG", action=fact.action or "new")


def general_order(fact: Referral, *, envelope: Envelope) -> bytes:
    """ORM^O01, which v2.7 withdrew: from then on an OMG^O19. Timing and the code of the priority stand in
    ORC-7.
    """
    if is_modern(envelope.version):
        return order(fact, envelope=envelope)
    writer = MessageWriter(envelope.version)
    encode = writer.encoder
    start, end = (fact.wanted.start, fact.wanted.end) if fact.wanted else (None, None)
    code = fact.priority_code.code if fact.priority_code else None
    parts = ("", "", "", encode.time(start), encode.time(end), encode.text(code or _priority_code(fact)))
    _ordered(writer, fact, timing={7: encode.joined(parts, encode.syntax.component)})
    return _sent(writer, envelope, code="ORM", action=fact.action or "new")


def _ordered(writer: MessageWriter, fact: Referral, *, timing: dict[int, str]) -> None:
    """PID, IN1, ORC, TQ1 unless ``timing`` says it inside ORC, OBR, NTE and OBX; then what an order has no
    segment for.
    """
    writer.pid(fact.patient)
    writer.coverage(fact.coverage)
    writer.add("ORC", _orc(writer, fact) | timing)
    if not timing:
        _tq1(writer, fact)
    writer.add("OBR", {1: "1"} | _obr(writer, fact))
    _comments(writer, fact)
    writer.content(attachments=fact.attachments)
    _beyond_an_order(writer, fact)


def _priority_code(fact: Referral) -> str:
    return _PRIORITY_CODES.get(fact.priority or "", "")


def _tq1(writer: MessageWriter, fact: Referral) -> None:
    encode = writer.encoder
    start, end = (fact.wanted.start, fact.wanted.end) if fact.wanted else (None, None)
    priority = encode.cwe(fact.priority_code) or _priority_code(fact)
    if start or end or priority:
        writer.add("TQ1", {1: "1", 7: encode.time(start), 8: encode.time(end), 9: priority})


def _obr(writer: MessageWriter, fact: Referral) -> dict[int, str]:
    encode = writer.encoder
    return {
        2: encode.ei(fact.placer),
        3: encode.ei(fact.filler),
        4: encode.cwe(fact.service),
        13: encode.text(fact.reason_text),
        31: encode.repeated(fact.reasons, encode.cwe),
    }


def _beyond_an_order(writer: MessageWriter, fact: Referral) -> None:
    """RF1, AUT and PRD behind an order, only where the referral says what no segment of an order holds."""
    known = (fact.placer, fact.filler)
    others = tuple(n for n in fact.identifiers if not any(_is_same(n, number) for number in known))
    rest = Referral(
        categories=fact.categories,
        dispositions=fact.dispositions,
        disposition_codes=fact.disposition_codes,
        identifiers=others,
        effective_at=fact.effective_at,
        expires_at=fact.expires_at,
    )
    fields = _rf1(writer, rest, answer=False, reason=None)
    if any(fields.values()):
        writer.add("RF1", fields)
    writer.authorizations(fact.authorizations)
    for party in fact.performers:
        writer.provider(party, "RT", "Referred to Provider", also=("CP", "IR"))


def order_status(fact: Referral, *, envelope: Envelope) -> bytes:
    """OSU^O51: what became of an order (PCC-56: ORC-5 IP accepted, CA declined), or its cancellation
    (PCC-58: ORC-1 CA). Comments go before the patient, where this message has them; OBR is added only for
    service and reasons. What was ordered otherwise (priority, times, who is asked, files) is not repeated.
    """
    writer = MessageWriter(envelope.version)
    _comments(writer, fact)
    writer.pid(fact.patient)
    writer.add("ORC", _orc(writer, fact))
    details = _obr(writer, fact)
    if any(details[number] for number in (4, 13, 31)):
        writer.add("OBR", {1: "1"} | details)
    return _sent(writer, envelope, code="OSU", action=fact.action or "status")


def _orc(writer: MessageWriter, fact: Referral) -> dict[int, str]:
    encode = writer.encoder
    party = fact.referrer
    person, office = (party.practitioner, party.organization) if party else (None, None)
    return {
        1: _ORDER_CONTROLS.get(fact.action or "", "SC"),
        2: encode.ei(fact.placer),
        3: encode.ei(fact.filler),
        5: encode.cwe(_order_state(fact)),
        9: encode.time(fact.authored_at),
        12: encode.xcn(person),
        14: encode.repeated(person.telecom, encode.xtn) if person else "",
        16: encode.cwe(fact.status_reason),
        21: encode.xon(office),
        22: encode.repeated(office.addresses, encode.xad) if office else "",
        23: encode.repeated(office.telecom, encode.xtn) if office else "",
    }


def _order_state(fact: Referral) -> Concept | None:
    """ORC-5: the sender's own code, behind that of the answer where it says something else."""
    answer = _ORDER_ANSWERS.get(fact.action or "")
    code, theirs = (fact.status_code.code if fact.status_code else None), fact.status_code
    as_status = code in order_states(fact.status) and code not in _ORDER_ANSWERS.values()
    if theirs and (code == answer or fact.action == "cancel" or (answer is None and as_status)):
        return theirs
    implied = fact.action == "cancel" or (fact.action == "new" and fact.status == "active")
    usual = None if implied else _ORDER_STATES.get(fact.status or "")
    return _in_front(answer or usual, None, theirs)


def document(fact: Document, *, envelope: Envelope) -> bytes:
    """MDM by the document's action: T01 notice, T02 new, T03 status, T06 addendum, T08 edit, T10 replace,
    T11 cancel.
    """
    writer = MessageWriter(envelope.version)
    event = _document_event(fact, envelope)
    encode = writer.encoder
    writer.add("EVN", {1: event, 2: encode.time(envelope.sent_at)})
    writer.pid(fact.patient)
    writer.visit(referrer=fact.referrer, numbers=fact.visit)
    _txa(writer, fact)
    if event not in WITHOUT_CONTENT:
        state = "P" if fact.status == "interim" else "F"
        writer.content(
            text="\n\n".join(_told(fact)),
            attachments=fact.attachments,
            observations=fact.observations,
            code=fact.type,
            status=state,
        )
    writer.header(envelope, code="MDM", event=event, structure=structure_of("MDM", event))
    return writer.render()


def _told(fact: Document) -> Iterator[str]:
    """The text of the document, then its sections with their titles, one after the other: OBX has no tree."""
    if fact.text:
        yield str(fact.text)
    waiting = list(reversed(fact.sections))
    while waiting:
        section = waiting.pop()
        said = "\n".join(str(part) for part in (section.title, section.text) if part)
        if said:
            yield said
        waiting.extend(reversed(section.sections))


def _document_event(fact: Document, envelope: Envelope) -> str:
    """The event by the action; its sister that carries the document where there is one to carry."""
    corrects = fact.action == "new" and fact.status == "corrected"  # a result sent again (ORU) says so
    event = event_for("MDM", "edit" if corrects else fact.action or "new", envelope.event)
    carries = fact.text or fact.attachments or fact.observations
    return _WITH_CONTENT.get(event, event) if carries else event


def _txa(writer: MessageWriter, fact: Document) -> None:
    encode = writer.encoder
    signature = fact.signature
    when = encode.time(signature.at) if signature else ""
    signer = encode.xcn(signature.by, "", when) if signature and signature.by else ""
    placers = [number for number in fact.referrals if number.type != "FILL"]
    fillers = [number for number in fact.referrals if number.type == "FILL"]
    writer.add(
        "TXA",
        {
            1: "1",
            2: encode.cwe(fact.type),
            3: "AP" if fact.attachments and not (fact.text or fact.sections) else "TX",
            4: encode.time(fact.written_at),
            9: encode.repeated((party.practitioner for party in fact.authors), encode.xcn),
            12: encode.repeated(fact.identifiers, encode.ei),
            13: encode.repeated(fact.parents, encode.ei),
            14: encode.repeated(placers, encode.ei),
            15: encode.repeated(fillers, encode.ei),
            17: encode.cwe(_completion(fact)),
            18: encode.text(fact.confidentiality),
            19: encode.text(fact.availability),
            22: signer,
            23: encode.repeated((party.practitioner for party in fact.recipients), encode.xcn),
            25: encode.text(fact.title),
        },
    )


def _completion(fact: Document) -> Concept | None:
    """TXA-17: the sender's own code, behind one of table 0271 where it says no word of signing."""
    theirs, signature = fact.status_code, fact.signature
    told = (theirs.code if theirs else None) or (signature.code if signature else None)
    if told and told.upper() in _COMPLETIONS:
        return theirs or _coded(told, None)
    return _in_front(_COMPLETION_CODES.get(signature.status if signature else ""), "HL70271", theirs)


def patient_change(fact: PatientChange, *, envelope: Envelope) -> bytes:
    """ADT^A28 add, A31 or A08 update, A40 merge, A29 or A23 delete."""
    writer = MessageWriter(envelope.version)
    action = fact.action or "update"
    event = event_for(fact.kind, action, envelope.event)
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
    else:
        writer.add("PV1", {1: "1", 2: "N"})
    return _sent(writer, envelope, code="ADT", action=action, kind=fact.kind)


def arrival(fact: Arrival, *, envelope: Envelope) -> bytes:
    """ADT^A04 arrived, A01 admitted, A03 finished, A11 cancelled; any other visit event as the envelope
    names it.
    """
    writer = MessageWriter(envelope.version)
    action = fact.action or "arrived"
    event = event_for(fact.kind, action, envelope.event)
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
    writer.diagnoses(fact.reasons)
    _referral_numbers(writer, fact.referrals)
    return _sent(writer, envelope, code="ADT", action=action, kind=fact.kind)


def _referral_numbers(writer: MessageWriter, numbers: tuple[Identifier, ...]) -> None:
    """RF1 behind a visit, with nothing but the numbers of the referral it belongs to."""
    encode = writer.encoder
    placers = [number for number in numbers if number.type == "PLAC"]
    others = [number for number in numbers if number.type != "PLAC"]
    if numbers:
        writer.add("RF1", {6: encode.repeated(placers, encode.ei), 11: encode.repeated(others, encode.ei)})


def message(
    fact: Fact,
    *,
    envelope: Envelope,
    code: str | None = None,
    answers: Acknowledgement | None = None,
) -> bytes:
    """The message for any fact this module writes.

    ``code`` (REF, RRI, OMG, ORM, OSU) chooses among those of a referral; ``answers`` becomes the MSA of an
    RRI. Raises ValueError for a fact that HL7 v2 has no message for here, naming its kind, and for a code or
    an action that none of its messages has.
    """
    if isinstance(fact, Referral):
        return _referral_message(fact, envelope, code or "REF", answers)
    if isinstance(fact, Appointment):
        return appointment(fact, envelope=envelope)
    if isinstance(fact, Document):
        return document(fact, envelope=envelope)
    if isinstance(fact, PatientChange):
        return patient_change(fact, envelope=envelope)
    if isinstance(fact, Arrival):
        return arrival(fact, envelope=envelope)
    if isinstance(fact, Acknowledgement):
        return acknowledgement_of(fact, envelope=envelope)
    raise ValueError(f"no HL7 v2 message is written for a {fact.kind}")


REFERRAL_CODES = ("REF", "RRI", "OMG", "ORM", "OSU")


def _referral_message(
    fact: Referral, envelope: Envelope, code: str, answers: Acknowledgement | None
) -> bytes:
    if code == "RRI":
        return referral_response(fact, envelope=envelope, answers=answers)
    writers = {"REF": referral, "OMG": order, "ORM": general_order, "OSU": order_status}
    if code not in writers:
        raise ValueError("no message of this code is written for a referral")
    return writers[code](fact, envelope=envelope)


__all__ = [
    "DEFAULT_VERSION",
    "REFERRAL_CODES",
    "AckMode",
    "Verdict",
    "ack_mode",
    "acknowledgement",
    "acknowledgement_of",
    "application_code",
    "appointment",
    "arrival",
    "commit_code",
    "document",
    "due_codes",
    "general_order",
    "message",
    "order",
    "order_status",
    "patient_change",
    "referral",
    "referral_response",
]
