"""Facts as FHIR R4: resources, and the message, collection and transaction Bundles around them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import orjson

from baton_formats.facts import (
    Acknowledgement,
    Appointment,
    Arrival,
    Communication,
    Coverage,
    Document,
    Fact,
    Location,
    Organization,
    Patient,
    PatientChange,
    Practitioner,
    Referral,
    Slot,
    Task,
)
from baton_formats.fhir.compose import (
    Json,
    code_text,
    filled,
    instant,
    uri,
    words,
)
from baton_formats.fhir.parcel import NAMESPACE, Parcel, content_id, logical, merged
from baton_formats.fhir.profiles import PLAIN, profile_named
from baton_formats.fhir.unsaid import note_unsaid
from baton_formats.fhir.write_documents import communication, document, operation_outcome
from baton_formats.fhir.write_people import (
    coverage,
    keep_role,
    location,
    organization,
    patient,
    patient_change,
    practitioner,
)
from baton_formats.fhir.write_requests import keep_documents, service_request, task
from baton_formats.fhir.write_schedule import appointment, encounter, slot
from baton_formats.findings import Endpoint, Envelope, Finding

Form = Literal["message", "collection", "transaction", "resource"]

V2_EVENT: Final = "http://terminology.hl7.org/CodeSystem/v2-0003"


def _every(text: str) -> frozenset[str]:
    """``A01-03`` as A01, A02 and A03."""
    spans = (part.partition("-") for part in text.split())
    return frozenset(
        f"{first[0]}{number:02}"
        for first, _, last in spans
        for number in range(int(first[1:]), int(last or first[1:]) + 1)
    )


_V2_EVENTS: Final = _every(
    """
    A01-55 A60-62 B01-08 C01-12 E01-04 E10 E12-13 E15 E20-22 E24 E30-31 I01-22 J01-02 K11 K13 K15 K21-25
    K31-34 M01-17 N01-02 O01-59 P01-12 Q01-09 Q11 Q13 Q15-17 Q21-34 R01-09 R21-26 R30-33 R40-43 S01-37 T01-12
    U01-14 V01-04 W01-02
    """
)
"""Codes of HL7 table 0003 as R4 has it."""
_EVENT_SYSTEMS: Final = {"bars": "https://fhir.nhs.uk/CodeSystem/message-events-bars"}
"""Where the events of a partner profile are from."""
_ANSWERS: Final = {
    "ok": "ok",
    "transient-error": "transient-error",
    "fatal-error": "fatal-error",
    "AA": "ok",
    "CA": "ok",
    "AE": "fatal-error",
    "AR": "fatal-error",
    "CE": "fatal-error",
    "CR": "fatal-error",
}
"""MSA-1 (HL7 table 0008) in the words of MessageHeader.response."""
_EVENTS: Final = {"new": "I12", "update": "I13", "status": "I13", "cancel": "I14", "query": "I15"}


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, and what FHIR has no way to say: nothing is dropped without a finding."""

    body: bytes
    findings: tuple[Finding, ...] = ()


def write(
    facts: Sequence[Fact],
    *,
    form: Form = "message",
    profile: str = "plain",
    envelope: Envelope | None = None,
    default_zone: str | None = None,
    new_id: Callable[[bytes], str] = content_id,
) -> bytes:
    """Facts as FHIR R4 JSON; see :func:`compose`, which also says what could not be written."""
    return compose(
        facts, form=form, profile=profile, envelope=envelope, default_zone=default_zone, new_id=new_id
    ).body


def compose(
    facts: Sequence[Fact],
    *,
    form: Form = "message",
    profile: str = "plain",
    envelope: Envelope | None = None,
    default_zone: str | None = None,
    new_id: Callable[[bytes], str] = content_id,
) -> Written:
    """Facts as FHIR R4 JSON, base R4 valid.

    ``form``: ``message`` opens with a MessageHeader made from ``envelope`` (event, sender, receivers,
    control id, time, what it answers); ``collection`` and ``transaction`` hold the resources alone;
    ``resource`` is the one fact with everything it points at contained. ``profile`` names a table of
    :mod:`profiles`. ``default_zone`` (``-05:00``) is put after times of day that came without an offset;
    without it only their date is written, and a finding says so. What FHIR has no place for, and what it does
    not allow, is left out with a finding that names the field. Raises ``ValueError`` where ``resource`` is
    asked for anything but one fact and for a zone that is no offset, ``KeyError`` for an unknown profile.
    """
    parcel = Parcel(
        profile=profile_named(profile),
        zone=default_zone,
        new_id=new_id,
        write=resource,
        contained=form == "resource",
    )
    if form == "resource":
        if len(facts) != 1:
            raise ValueError("one fact makes one resource")
        return _finish(parcel, _lone(parcel, facts[0]))
    envelope = envelope or Envelope()
    if form == "message":
        parcel.answered, envelope = _answering(facts, envelope)
    keep_documents(parcel, facts)
    focus = [_kept(parcel, fact) for fact in facts]
    if form == "message":
        _head(parcel, facts, focus, envelope)
    _note_actions(parcel, facts, envelope if form == "message" else None)
    return _finish(parcel, _bundle(parcel, form, envelope))


def _finish(parcel: Parcel, value: Json) -> Written:
    return Written(orjson.dumps(value), tuple(parcel.findings))


def _kept(parcel: Parcel, fact: Fact) -> str:
    reference = parcel.reference(fact)
    if isinstance(fact, Practitioner):
        keep_role(parcel, fact, reference)
    return reference


def _lone(parcel: Parcel, fact: Fact) -> Json:
    written = resource(parcel, fact)
    if isinstance(fact, Practitioner):
        keep_role(parcel, fact, "#")
    _note_actions(parcel, (fact,), None)
    if parcel.entries:
        kind = {"resourceType": written.pop("resourceType")}
        return {**kind, **written, "contained": list(parcel.entries.values())}
    return written


def _bundle(parcel: Parcel, form: Form, envelope: Envelope) -> Json:
    entries: list[Json] = []
    for full_url, held in parcel.entries.items():
        entry: Json = {"fullUrl": full_url, "resource": held}
        if form == "transaction":
            entry["request"] = {"method": "POST", "url": held["resourceType"]}
        entries.append(entry)
    if form == "message":
        entries.insert(0, entries.pop())
    parcel.settle(entries)
    entries = merged(entries)
    return filled(
        resourceType="Bundle",
        type=form,
        timestamp=instant(envelope.sent_at, parcel.zone) if envelope.sent_at else None,
        entry=entries,
    )


def _note_actions(parcel: Parcel, facts: Sequence[Fact], envelope: Envelope | None) -> None:
    """What a message does to a referral is said by its event; one that ends is cancelled in any form."""
    event = (envelope.event or _event_of(facts)) if envelope is not None else ""
    told = parcel.profile.actions.get(event) or PLAIN.actions.get(event)
    for fact in facts:
        if isinstance(fact, Referral) and fact.action is not None:
            ended = fact.action == "cancel" and fact.status in (None, "revoked", "entered-in-error")
            if not ended and fact.action != told:
                parcel.unsaid("referral.action", "only the event of a message can say it, and says another")


def resource(parcel: Parcel, fact: Fact) -> Json:
    """One fact as one resource, what it points at kept beside it, what it cannot say noted."""
    written = _resource(parcel, fact)
    note_unsaid(parcel, fact, written)
    return written


def _resource(parcel: Parcel, fact: Fact) -> Json:
    match fact:
        case Referral():
            return service_request(parcel, fact)
        case Task():
            return task(parcel, fact)
        case Appointment():
            return appointment(parcel, fact)
        case Arrival():
            return encounter(parcel, fact)
        case Document():
            return document(parcel, fact)
        case Communication():
            return communication(parcel, fact)
        case Patient():
            return patient(parcel, fact)
        case PatientChange():
            return patient_change(parcel, fact)
        case Practitioner():
            return practitioner(parcel, fact)
        case Organization():
            return organization(parcel, fact)
        case Location():
            return location(parcel, fact)
        case Coverage():
            return coverage(parcel, fact, None)
        case Acknowledgement():
            return operation_outcome(fact)
        case Slot():
            return slot(parcel, fact)


def _head(parcel: Parcel, facts: Sequence[Fact], focus: list[str], envelope: Envelope) -> None:
    """The MessageHeader, kept last and moved to the front when the Bundle is made."""
    event = envelope.event or _event_of(facts)
    sender = envelope.sender or Endpoint()
    office = _office(sender)
    header = filled(
        resourceType="MessageHeader",
        id=logical(envelope.control_id),
        **_event(parcel, event, envelope.profile),
        destination=[_destination(parcel, one) for one in envelope.receivers],
        sender={"reference": parcel.reference(office)} if office else None,
        source=filled(
            name=words(sender.name),
            software=words(sender.software),
            endpoint=_address(sender),
        ),
        response=_response(parcel, envelope, _details(parcel, facts, focus)),
        focus=[{"reference": one} for one in focus],
    )
    # Two messages with the same content are still two heads: the control id tells them apart.
    parcel.entries[f"urn:uuid:{parcel.new_id(orjson.dumps(header))}"] = {
        **header,
        "id": header.get("id") or parcel.new_id(orjson.dumps(header)),
    }


def _destination(parcel: Parcel, one: Endpoint) -> Json:
    office = _office(one)
    return filled(
        name=words(one.name),
        endpoint=_address(one),
        receiver={"reference": parcel.reference(office)} if office else None,
    )


def _event_of(facts: Sequence[Fact]) -> str:
    referral = next((fact for fact in facts if isinstance(fact, Referral)), None)
    if referral is not None:
        return _EVENTS.get(referral.action or "new", "I13")
    return "I13"


def _event(parcel: Parcel, event: str, profile: str | None) -> Json:
    if event in _V2_EVENTS:
        return {"eventCoding": {"system": V2_EVENT, "code": event}}
    address_ = uri(event)
    if address_:
        return {"eventUri": address_}
    system = _EVENT_SYSTEMS.get(profile or "") or _EVENT_SYSTEMS.get(parcel.profile.name)
    if system is None:
        parcel.unsaid("envelope.event", "the code system of this event is not known; the code stands alone")
    return {"eventCoding": filled(system=system, code=code_text(event) or "unknown")}


def _office(endpoint: Endpoint) -> Organization | None:
    if endpoint.facility is None and endpoint.name is None:
        return None
    numbers = (endpoint.facility,) if endpoint.facility else ()
    return Organization(identifiers=numbers, name=endpoint.name)


def _address(endpoint: Endpoint) -> str:
    """The address of a system; one without any is named by what else is known of it."""
    known = uri(endpoint.address)
    if known is None and endpoint.application is not None and endpoint.application.value:
        known = uri(endpoint.application.value)
    return known or f"urn:uuid:{uuid.uuid5(NAMESPACE, repr(endpoint))}"


def _answering(facts: Sequence[Fact], envelope: Envelope) -> tuple[Acknowledgement | None, Envelope]:
    """The acknowledgement that the head of the message gives, and the envelope that says so."""
    answers = [fact for fact in facts if isinstance(fact, Acknowledgement) and fact.acknowledges]
    if len(answers) != 1 or envelope.responds_to not in (None, answers[0].acknowledges):
        return None, envelope
    answer = answers[0]
    worst = next((one.severity for one in answer.issues if one.severity), None)
    code = envelope.response_code or (None if answer.code == worst else answer.code)
    if code is None and worst in ("fatal", "error"):
        code = "fatal-error"
    told = code == answer.code or answer.code in (None, worst)
    envelope = replace(envelope, responds_to=answer.acknowledges, response_code=code)
    return (answer if told and logical(answer.acknowledges) else None), envelope


def _details(parcel: Parcel, facts: Sequence[Fact], focus: list[str]) -> Json | None:
    """The OperationOutcome of the acknowledgement that the head gives."""
    return next(
        ({"reference": at} for fact, at in zip(facts, focus, strict=True) if fact is parcel.answered), None
    )


def _response(parcel: Parcel, envelope: Envelope, details: Json | None) -> Json | None:
    """What the message answers. A code nobody gave is told, and one nobody knows is no success."""
    if envelope.responds_to is None:
        return None
    code = _ANSWERS.get(envelope.response_code or "")
    if code is None:
        detail = "FHIR wants to know how it went, in one of its three words"
        parcel.doubt("code-not-written", "envelope.response_code", detail)
    answered = logical(envelope.responds_to)
    if answered is None:
        parcel.unsaid("envelope.responds_to", "this is no id as FHIR allows it; one made from it was written")
    return filled(
        identifier=answered or str(uuid.uuid5(NAMESPACE, envelope.responds_to)),
        code=code or ("fatal-error" if envelope.response_code else "ok"),
        details=details,
    )


__all__ = ["Form", "Written", "compose", "content_id", "resource", "write"]
