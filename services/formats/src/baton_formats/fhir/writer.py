"""Facts as FHIR R4: resources, and the message, collection and transaction Bundles around them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from baton_formats.fhir.parcel import NAMESPACE, Parcel, content_id, logical
from baton_formats.fhir.profiles import profile_named
from baton_formats.fhir.write_documents import communication, document_reference, operation_outcome
from baton_formats.fhir.write_people import (
    coverage,
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
    without it only their date is written, and a finding says so. Raises ``ValueError`` where ``resource`` is
    asked for anything but one fact, ``KeyError`` for an unknown profile.
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
    keep_documents(parcel, facts)
    focus = [parcel.reference(fact) for fact in facts]
    if form == "message":
        _head(parcel, facts, focus, envelope or Envelope())
    return _finish(parcel, _bundle(parcel, form, envelope or Envelope()))


def _finish(parcel: Parcel, value: Json) -> Written:
    return Written(orjson.dumps(value), tuple(parcel.findings))


def _lone(parcel: Parcel, fact: Fact) -> Json:
    written = resource(parcel, fact)
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
    return filled(
        resourceType="Bundle",
        type=form,
        timestamp=instant(envelope.sent_at, parcel.zone) if envelope.sent_at else None,
        entry=entries,
    )


def resource(parcel: Parcel, fact: Fact) -> Json:
    """One fact as one resource, what it points at kept beside it."""
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
            return document_reference(parcel, fact)
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
        **_event(event),
        destination=[_destination(parcel, one) for one in envelope.receivers],
        sender={"reference": parcel.reference(office)} if office else None,
        source=filled(
            name=words(sender.name),
            software=words(sender.software),
            endpoint=_address(sender),
        ),
        response=_response(envelope),
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


def _event(event: str) -> Json:
    if re.fullmatch(r"[A-Z]\d\d", event):
        return {"eventCoding": {"system": V2_EVENT, "code": event}}
    address_ = uri(event)
    return {"eventUri": address_} if address_ else {"eventCoding": {"code": code_text(event) or "unknown"}}


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


def _response(envelope: Envelope) -> Json | None:
    if envelope.responds_to is None:
        return None
    code = envelope.response_code
    allowed = ("ok", "transient-error", "fatal-error")
    answered = logical(envelope.responds_to)
    return {
        "identifier": answered or str(uuid.uuid5(NAMESPACE, envelope.responds_to)),
        "code": code if code in allowed else "ok",
    }


__all__ = ["Form", "Written", "compose", "content_id", "resource", "write"]
