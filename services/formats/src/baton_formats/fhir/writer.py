"""Facts as FHIR R4: resources, and the message, collection and transaction Bundles around them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, Literal

import orjson

from baton_formats.facts import (
    Acknowledgement,
    Appointment,
    Arrival,
    Attachment,
    Coding,
    Communication,
    Concept,
    Coverage,
    Document,
    Fact,
    Identifier,
    Link,
    Location,
    Note,
    Organization,
    PartialTime,
    Participant,
    Party,
    Patient,
    PatientChange,
    Period,
    Practitioner,
    Referral,
    Section,
    Slot,
    Task,
    TaskValue,
)
from baton_formats.fhir import bindings
from baton_formats.fhir.compose import (
    ABSENT,
    Json,
    address,
    addresses,
    all_words,
    annotation,
    attachment,
    code_text,
    coding,
    concept,
    concepts,
    contact_points,
    date,
    date_time,
    extend,
    filled,
    human_names,
    identifier,
    identifiers,
    instant,
    period,
    uri,
    words,
)
from baton_formats.fhir.profiles import Profile, profile_named
from baton_formats.fhir.requests import DISPOSITIONS
from baton_formats.findings import Endpoint, Envelope, Finding

Form = Literal["message", "collection", "transaction", "resource"]

V2_EVENT: Final = "http://terminology.hl7.org/CodeSystem/v2-0003"
V2_DISPOSITION: Final = "http://terminology.hl7.org/CodeSystem/v2-0282"
PATIENT_REFERRAL: Final = Concept(
    codings=(Coding(code="3457005", system="http://snomed.info/sct", display="Patient referral"),)
)
"""What is asked for where the sender named no service and FHIR wants one (prd-1)."""

_NAMESPACE: Final = uuid.UUID("6f1d2f1e-54cb-5a0c-9c5e-0d3f3b1f4a77")
_VERSION: Final = re.compile(r"/_history/[^/]*$")
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_DISPOSITION_CODES: Final = {meaning: code for code, meaning in DISPOSITIONS.items()}
_EVENTS: Final = {"new": "I12", "update": "I13", "status": "I13", "cancel": "I14", "query": "I15"}
_DOC_STATUS: Final = {
    "interim": "preliminary",
    "final": "final",
    "addendum": "final",
    "corrected": "amended",
    "retracted": "entered-in-error",
}
_TIMELESS: Final = frozenset({"proposed", "cancelled", "waitlist", None})
_RELATIONS: Final = frozenset({"replaces", "transforms", "signs", "appends"})


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, and what FHIR has no way to say: nothing is dropped without a finding."""

    body: bytes
    findings: tuple[Finding, ...] = ()


def content_id(content: bytes) -> str:
    """A UUID that follows from the content alone, so that the same facts give the same bytes."""
    return str(uuid.uuid5(_NAMESPACE, content.hex()))


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
    writer = _Writer(profile_named(profile), default_zone, new_id, contained=form == "resource")
    if form == "resource":
        if len(facts) != 1:
            raise ValueError("one fact makes one resource")
        return writer.finish(writer.lone(facts[0]))
    focus = [writer.reference(fact) for fact in facts]
    if form == "message":
        writer.head(facts, focus, envelope or Envelope())
    return writer.finish(writer.bundle(form, envelope or Envelope()))


class _Writer:
    """The resources written so far, each once, and the references to them."""

    def __init__(
        self, profile: Profile, zone: str | None, new_id: Callable[[bytes], str], *, contained: bool
    ) -> None:
        self.profile = profile
        self.zone = zone
        self._new_id = new_id
        self._contained = contained
        self._entries: dict[str, Json] = {}
        self._written: dict[tuple[str, str], str] = {}
        self._findings: list[Finding] = []

    # ---- keeping ---------------------------------------------------------------------------------------

    def doubt(self, code: str, where: str, detail: str) -> None:
        finding = Finding(code, where, detail)
        if finding not in self._findings:
            self._findings.append(finding)

    def add(self, resource: Json) -> str:
        """Keep a resource, once, and say how it is referred to."""
        content = orjson.dumps(resource, option=orjson.OPT_SORT_KEYS)
        unique = self._new_id(content)
        if self._contained:
            resource = {**resource, "id": f"r{len(self._entries) + 1}"}
            known = next((i for i, r in self._entries.items() if _same(r, resource)), None)
            reference = known or f"#{resource['id']}"
        else:
            resource.setdefault("id", unique)
            reference = f"urn:uuid:{unique}"
        self._entries.setdefault(reference, resource)
        return reference

    def finish(self, value: Json) -> Written:
        return Written(orjson.dumps(value), tuple(self._findings))

    def lone(self, fact: Fact) -> Json:
        resource = self.resource(fact)
        if self._entries:
            kind = {"resourceType": resource.pop("resourceType")}
            return {**kind, **resource, "contained": list(self._entries.values())}
        return resource

    def bundle(self, form: Form, envelope: Envelope) -> Json:
        entries: list[Json] = []
        for full_url, resource in self._entries.items():
            entry: Json = {"fullUrl": full_url, "resource": resource}
            if form == "transaction":
                entry["request"] = {"method": "POST", "url": resource["resourceType"]}
            entries.append(entry)
        if form == "message":
            entries.insert(0, entries.pop())
        self._settle(entries)
        return filled(
            resourceType="Bundle",
            type=form,
            timestamp=instant(envelope.sent_at, self.zone) if envelope.sent_at else None,
            entry=entries,
        )

    def _settle(self, entries: list[Json]) -> None:
        """Point references by type and id at their entry; those into another Bundle mean nothing."""
        known: dict[str, str] = {}
        for entry in entries:
            resource = entry["resource"]
            known.setdefault(f"{resource['resourceType']}/{resource.get('id')}", entry["fullUrl"])
        present = {entry["fullUrl"] for entry in entries}
        for pointer in _pointers(entries):
            reference = _VERSION.sub("", pointer["reference"])
            if reference in known:
                pointer["reference"] = known[reference]
            elif reference.startswith("urn:uuid:") and reference not in present:
                del pointer["reference"]
                pointer.setdefault("display", "not part of this message")
                self.doubt("link-not-written", "Reference.reference", "what this points at was not written")

    # ---- facts -----------------------------------------------------------------------------------------

    def reference(self, fact: Fact) -> str:
        """Write a fact and say how it is referred to."""
        return self.add(self.resource(fact))

    def resource(self, fact: Fact) -> Json:
        """One fact as one resource, what it points at kept beside it."""
        match fact:
            case Referral():
                return self._service_request(fact)
            case Task():
                return self._task(fact)
            case Appointment():
                return self._appointment(fact)
            case Arrival():
                return self._encounter(fact)
            case Document():
                return self._document_reference(fact)
            case Communication():
                return self._communication(fact)
            case Patient():
                return self._patient(fact)
            case PatientChange():
                return self._patient(fact.patient or Patient())
            case Practitioner():
                return self._practitioner(fact)
            case Organization():
                return self._organization(fact)
            case Location():
                return self._location(fact)
            case Coverage():
                return self._coverage(fact, None)
            case Acknowledgement():
                return operation_outcome(fact)
            case Slot():
                return self._slot(fact)

    def _service_request(self, fact: Referral) -> Json:
        patient = self._subject(fact.patient, fact.patient_link)
        codes = _disposition_codes(fact)
        service = concept(fact.service) or (concept(PATIENT_REFERRAL) if codes else None)
        resource = filled(
            resourceType="ServiceRequest",
            id=_logical(fact.id),
            meta=_meta(self.profile.request_profile),
            identifier=identifiers(_numbers(fact.identifiers, fact.placer, fact.filler)),
            basedOn=self._links(fact.based_on),
            replaces=self._links(fact.replaces),
            status=self._code(_request_status(fact), bindings.REQUEST_STATUS, "unknown"),
            intent=self._code(fact.intent, bindings.REQUEST_INTENT, "order"),
            category=concepts(fact.categories),
            priority=fact.priority if fact.priority in bindings.PRIORITY else None,
            code=service,
            orderDetail=concepts(codes),
            subject=patient or dict(ABSENT),
            encounter=self._link(fact.encounter),
            **self._occurrence(fact.wanted),
            authoredOn=self._date_time(fact.authored_at, "ServiceRequest.authoredOn"),
            requester=self._party(fact.referrer),
            performerType=concept(fact.specialty),
            performer=[held for who in fact.performers if (held := self._party(who))],
            reasonCode=concepts(_reasons(fact)),
            insurance=[{"reference": self.add(self._coverage(one, patient))} for one in fact.coverage],
            supportingInfo=self._supporting(fact, patient),
            note=[held for note in _request_notes(fact) if (held := annotation(note, self.zone))],
            patientInstruction=words("\n".join(fact.patient_instructions)),
        )
        extend(resource, fact.extensions)
        return resource

    def _occurrence(self, wanted: Period | None) -> Json:
        if wanted is not None and wanted.end is None:
            return filled(occurrenceDateTime=self._date_time(wanted.start, "ServiceRequest.occurrence"))
        return filled(occurrencePeriod=period(wanted, self.zone))

    def _supporting(self, fact: Referral, patient: Json | None) -> list[Json]:
        """Attachments as documents of their own, then what was only pointed at."""
        documents = [self._loose_document(one, patient) for one in fact.attachments]
        return documents + [held for one in fact.supporting if not one.resolved and (held := self._link(one))]

    def _loose_document(self, one: Attachment, patient: Json | None) -> Json:
        resource = filled(
            resourceType="DocumentReference",
            status="current",
            subject=patient,
            content=[{"attachment": attachment(one, self.zone)}],
        )
        return {"reference": self.add(resource)}

    def _task(self, fact: Task) -> Json:
        resource = filled(
            resourceType="Task",
            id=_logical(fact.id),
            meta=_meta(self.profile.task_profile),
            identifier=identifiers(_numbers(fact.identifiers, fact.placer, fact.filler)),
            basedOn=self._links(fact.based_on),
            partOf=self._links(fact.part_of),
            status=self._code(fact.status, bindings.TASK_STATUS, "requested"),
            statusReason=concept(fact.status_reason),
            businessStatus=concept(fact.business_status),
            intent=self._code(fact.intent, bindings.TASK_INTENT, "order"),
            priority=fact.priority if fact.priority in bindings.PRIORITY else None,
            code=concept(fact.code),
            description=words(fact.description),
            focus=self._link(fact.focus),
            for_=self._subject(fact.patient, fact.patient_link),
            encounter=self._link(fact.encounter),
            executionPeriod=period(fact.period, self.zone),
            authoredOn=self._date_time(fact.authored_at, "Task.authoredOn"),
            lastModified=self._date_time(fact.modified_at, "Task.lastModified"),
            requester=self._party(fact.requester),
            owner=self._party(fact.owner),
            reasonCode=concept(fact.reason),
            note=[held for note in fact.notes if (held := annotation(note, self.zone))],
            restriction=filled(period=period(fact.due, self.zone)),
            input=[self._task_value(one) for one in fact.inputs],
            output=[self._task_value(one) for one in fact.outputs],
        )
        extend(resource, fact.extensions)
        return resource

    def _task_value(self, value: TaskValue) -> Json:
        written: Json = {"type": concept(value.type) or dict(ABSENT)}
        if value.link is not None and (held := self._link(value.link)):
            return {**written, "valueReference": held}
        if value.concept is not None and (meant := concept(value.concept)):
            return {**written, "valueCodeableConcept": meant}
        if value.at is not None and (moment := date_time(value.at, self.zone)):
            return {**written, "valueDateTime": moment}
        text = words(value.text)
        return {**written, "valueString": text} if text else {**written, "_valueString": dict(ABSENT)}

    def _appointment(self, fact: Appointment) -> Json:
        status = self._code(fact.status, bindings.APPOINTMENT_STATUS, "proposed")
        based_on = self._links(fact.based_on) or [
            held for number in fact.referrals if (held := _logical_reference(number, "ServiceRequest"))
        ]
        resource = filled(
            resourceType="Appointment",
            id=_logical(fact.id),
            identifier=identifiers(_numbers(fact.identifiers, fact.placer, fact.filler)),
            status=status,
            cancelationReason=concept(fact.cancellation_reason)
            if status in ("cancelled", "noshow")
            else None,
            serviceType=concepts(fact.services),
            specialty=concepts(fact.specialties),
            appointmentType=concept(fact.type),
            reasonCode=concepts((fact.reason,)) if fact.reason else None,
            description=words(fact.description),
            **self._span(fact),
            minutesDuration=fact.duration_minutes if (fact.duration_minutes or 0) > 0 else None,
            slot=self._links(fact.slots),
            created=self._date_time(fact.created_at, "Appointment.created"),
            comment=words("\n".join(note.text for note in fact.notes)),
            patientInstruction=words("\n".join(fact.patient_instructions)),
            basedOn=based_on,
            participant=self._participants(fact),
        )
        extend(resource, fact.extensions)
        return resource

    def _span(self, fact: Appointment) -> Json:
        """Start and end, both or neither (app-2), and both where the booking stands (app-3).

        The end follows from the duration where it was not given; what nobody knows is said to be absent.
        """
        start, end = instant(fact.start, self.zone), instant(fact.end, self.zone)
        if start and not end and fact.duration_minutes is not None and fact.start is not None:
            end = _later(fact.start, fact.duration_minutes, self.zone)
        if (fact.start and not start) or (fact.end and not end):
            self.doubt("time-not-written", "Appointment.start", "FHIR wants a moment with an offset here")
        if not start and not end and fact.status in _TIMELESS:
            return {}
        return filled(
            start=start,
            _start=None if start else dict(ABSENT),
            end=end,
            _end=None if end else dict(ABSENT),
        )

    def _participants(self, fact: Appointment) -> list[Json]:
        given = [self._participant(one) for one in fact.participants]
        if given:
            return given
        made: list[Json] = []
        patient = self._subject(fact.patient, fact.patient_link)
        if patient is not None:
            made.append({"actor": patient, "status": "accepted"})
        made.extend(
            {"actor": held, "status": "accepted"} for who in fact.clinicians if (held := self._party(who))
        )
        if fact.location is not None:
            made.append({"actor": {"reference": self.reference(fact.location)}, "status": "accepted"})
        return made or [{"actor": dict(ABSENT), "status": "needs-action"}]

    def _participant(self, one: Participant) -> Json:
        actor: Json | None
        if one.patient is not None:
            actor = self._subject(one.patient, None)
        elif one.location is not None:
            actor = {"reference": self.reference(one.location)}
        else:
            actor = self._party(one.party)
        return filled(
            type=concepts((one.role,)) if one.role else None,
            actor=actor or dict(ABSENT),
            required=one.required if one.required in bindings.PARTICIPANT_REQUIRED else None,
            status=self._code(one.status, bindings.PARTICIPATION_STATUS, "needs-action"),
        )

    def _encounter(self, fact: Arrival) -> Json:
        visit_class = next((held for one in _codings(fact.visit_class) if (held := coding(one))), None)
        place = {"reference": self.reference(fact.location)} if fact.location is not None else None
        playing = (("ATND", fact.attending), ("REF", fact.referring), ("CON", fact.consulting))
        return filled(
            resourceType="Encounter",
            id=_logical(fact.id),
            identifier=identifiers(fact.visit),
            status=self._code(
                fact.status or _VISIT.get(fact.action or ""), bindings.ENCOUNTER_STATUS, "unknown"
            ),
            class_=visit_class
            or {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            subject=self._subject(fact.patient, fact.patient_link),
            basedOn=[held for n in fact.referrals if (held := _logical_reference(n, "ServiceRequest"))],
            participant=[
                {"type": [_participation(code)], "individual": held}
                for code, parties in playing
                for who in parties
                if (held := self._party(who))
            ],
            appointment=self._links(fact.appointments),
            period=period(Period(start=fact.at, end=fact.ended_at), self.zone),
            reasonCode=concepts(fact.reasons),
            location=[{"location": place}] if place else None,
        )

    def _document_reference(self, fact: Document) -> Json:
        numbers = identifiers(fact.identifiers or ((fact.set_id,) if fact.set_id else ()))
        status = "entered-in-error" if fact.status == "retracted" else "current"
        written = instant(fact.written_at, self.zone)
        signer = fact.signature.by if fact.signature and fact.signature.status == "signed" else None
        resource = filled(
            resourceType="DocumentReference",
            id=_logical(fact.id),
            masterIdentifier=numbers[0] if numbers else None,
            identifier=numbers[1:],
            status=self._code(fact.availability, bindings.DOCUMENT_REFERENCE_STATUS, status),
            docStatus=_DOC_STATUS.get(fact.status or ""),
            type=concept(fact.type),
            category=concepts(fact.categories),
            subject=self._subject(fact.patient, fact.patient_link),
            date=written,
            author=[held for who in fact.authors if (held := self._party(who))],
            authenticator=self._party(Party(practitioner=signer)) if signer else None,
            custodian={"reference": self.reference(fact.custodian)} if fact.custodian else None,
            relatesTo=_relations(fact),
            description=words(fact.title),
            securityLabel=_security(fact.confidentiality),
            content=self._contents(fact, None if written else fact.written_at),
            context=self._document_context(fact),
            language=code_text(fact.language),
        )
        extend(resource, fact.extensions)
        return resource

    def _contents(self, fact: Document, created: PartialTime | None) -> list[Json]:
        """Every attachment; a document that is only text becomes one plain attachment."""
        held = fact.attachments
        if not held and (text := _document_text(fact)):
            held = (Attachment(media_type="text/plain", content=text.encode("utf-8"), title=fact.title),)
        held = held or (Attachment(title=fact.title),)
        if created is not None:
            held = tuple(replace(one, created=one.created or created) for one in held)
        return [{"attachment": attachment(one, self.zone)} for one in held]

    def _document_context(self, fact: Document) -> Json:
        related = [held for n in fact.referrals if (held := _logical_reference(n, "ServiceRequest"))]
        related += [held for one in fact.based_on if not _is_number(one) and (held := self._link(one))]
        return filled(
            encounter=[held for n in fact.visit if (held := _logical_reference(n, "Encounter"))],
            period=period(fact.visit_period, self.zone),
            related=related,
        )

    def _communication(self, fact: Communication) -> Json:
        asked = fact.request
        statuses = bindings.REQUEST_STATUS if asked else bindings.EVENT_STATUS
        sent = self._date_time(fact.sent_at, "Communication.sent")
        payload: list[Json] = [{"contentString": text} for text in all_words(fact.text)]
        payload += [{"contentAttachment": attachment(one, self.zone)} for one in fact.attachments]
        resource = filled(
            resourceType="CommunicationRequest" if asked else "Communication",
            id=_logical(fact.id),
            identifier=identifiers(fact.identifiers),
            basedOn=self._links(fact.based_on),
            inResponseTo=None if asked else self._links(fact.in_response_to),
            status=self._code(fact.status, statuses, "active" if asked else "completed"),
            statusReason=concept(fact.status_reason),
            category=concepts(fact.categories),
            priority=fact.priority if fact.priority in bindings.PRIORITY else None,
            topic=None if asked else concept(fact.topic),
            about=self._links(fact.about),
            subject=self._subject(fact.patient, fact.patient_link),
            recipient=[held for who in fact.recipients if (held := self._party(who))],
            sender=self._party(fact.sender),
            sent=None if asked else sent,
            authoredOn=sent if asked else None,
            received=None if asked else self._date_time(fact.received_at, "Communication.received"),
            reasonCode=concepts(fact.reasons),
            payload=payload,
        )
        extend(resource, fact.extensions)
        return resource

    # ---- people ----------------------------------------------------------------------------------------

    def _patient(self, fact: Patient) -> Json:
        died = date_time(fact.deceased_at, self.zone)
        resource = filled(
            resourceType="Patient",
            id=_logical(fact.id),
            identifier=identifiers(fact.identifiers),
            active=fact.active,
            name=human_names(fact.names),
            telecom=contact_points(fact.telecom),
            gender=fact.gender if fact.gender in bindings.GENDER else None,
            birthDate=date(fact.birth_date),
            deceasedDateTime=died,
            deceasedBoolean=fact.deceased if not died else None,
            address=addresses(fact.addresses),
            maritalStatus=concept(fact.marital_status),
            communication=_spoken(fact.language),
            generalPractitioner=[held for who in fact.general_practitioners if (held := self._party(who))],
            managingOrganization={"reference": self.reference(fact.managing_organization)}
            if fact.managing_organization
            else None,
            link=[
                {"other": held, "type": "replaced-by"}
                for one in fact.replaced_by
                if (held := self._link(one))
            ],
        )
        if fact.birth_date is not None and fact.birth_date.iso is None:
            self.doubt(
                "time-not-written", "Patient.birthDate", "FHIR has no unreadable dates; it was left out"
            )
        extend(resource, fact.extensions)
        return resource

    def _practitioner(self, fact: Practitioner) -> Json:
        resource = filled(
            resourceType="Practitioner",
            id=_logical(fact.id),
            identifier=identifiers(_with_npi(fact.identifiers, fact.npi)),
            active=fact.active,
            name=human_names(fact.names),
            telecom=contact_points(fact.telecom),
            address=addresses(fact.addresses),
            gender=fact.gender if fact.gender in bindings.GENDER else None,
            birthDate=date(fact.birth_date),
        )
        extend(resource, fact.extensions)
        return resource

    def _organization(self, fact: Organization) -> Json:
        numbers = identifiers(_with_npi(fact.identifiers, fact.npi))
        name = words(fact.name)
        resource = filled(
            resourceType="Organization",
            id=_logical(fact.id),
            identifier=numbers,
            active=fact.active,
            type=concepts(fact.types),
            name=name,
            telecom=contact_points(fact.telecom),
            address=addresses(fact.addresses),
            partOf=self._link(fact.part_of),
        )
        if not numbers and name is None:
            resource["_name"] = dict(ABSENT)  # org-1: a name or an identifier
        extend(resource, fact.extensions)
        return resource

    def _location(self, fact: Location) -> Json:
        return filled(
            resourceType="Location",
            id=_logical(fact.id),
            identifier=identifiers(fact.identifiers),
            name=words(fact.name),
            description=words(fact.description),
            telecom=contact_points(fact.telecom),
            address=address(fact.address) if fact.address else None,
            managingOrganization={"reference": self.reference(fact.organization)}
            if fact.organization
            else None,
        )

    def _coverage(self, fact: Coverage, patient: Json | None) -> Json:
        kinds = (("group", fact.group, None), ("plan", fact.plan, fact.plan_name))
        numbers = fact.identifiers
        if fact.member_id and fact.member_id not in {number.value for number in numbers}:
            numbers = (*numbers, Identifier(value=fact.member_id, type="MB"))
        return filled(
            resourceType="Coverage",
            id=_logical(fact.id),
            identifier=identifiers(numbers),
            status=self._code(fact.status, bindings.COVERAGE_STATUS, "active"),
            type=concept(fact.type),
            subscriberId=words(fact.subscriber_id),
            beneficiary=patient or self._link(fact.beneficiary) or dict(ABSENT),
            relationship=concept(fact.relationship),
            period=period(fact.period, self.zone),
            payor=[{"reference": self.reference(fact.payer)} if fact.payer else dict(ABSENT)],
            class_=[
                filled(type=_coverage_class(kind), value=words(value) or words(name), name=words(name))
                for kind, value, name in kinds
                if words(value) or words(name)
            ],
        )

    def _slot(self, fact: Slot) -> Json:
        return filled(
            resourceType="Slot",
            id=_logical(fact.id),
            identifier=identifiers(fact.identifiers),
            serviceType=concepts(fact.services),
            schedule=self._link(fact.schedule) or dict(ABSENT),
            status=self._code(fact.status, bindings.SLOT_STATUS, "busy"),
            start=instant(fact.start, self.zone),
            end=instant(fact.end, self.zone),
            **_absent_times(fact, self.zone),
        )

    # ---- pointing --------------------------------------------------------------------------------------

    def _subject(self, patient: Patient | None, link: Link | None) -> Json | None:
        if patient is not None and patient != Patient():
            return {"reference": self.reference(patient)}
        return self._link(link)

    def _party(self, who: Party | None) -> Json | None:
        """A reference to who plays the part: a role for clinician and office, else what is known."""
        if who is None:
            return None
        shown = words(who.display)
        person, office = who.practitioner, who.organization
        if person is not None and (office is not None or who.role or who.specialties):
            return filled(reference=self.add(self._role(who)), display=shown)
        if person is not None:
            return filled(reference=self.reference(replace(person, specialties=(), roles=())), display=shown)
        if office is not None:
            return filled(reference=self.reference(office), display=shown)
        if who.location is not None:
            return filled(reference=self.reference(who.location), display=shown)
        number = next((held for one in who.identifiers if (held := identifier(one))), None)
        kind = who.link.kind if who.link is not None else None
        return filled(type=kind if number or shown else None, identifier=number, display=shown) or None

    def _role(self, who: Party) -> Json:
        person = who.practitioner or Practitioner()
        own = tuple(number for number in person.identifiers if number not in who.identifiers)
        npi = None if any(n.value == person.npi for n in who.identifiers) else person.npi
        clinician = replace(person, identifiers=own, npi=npi, specialties=(), roles=())
        roles = person.roles or ((who.role,) if who.role else ())
        return filled(
            resourceType="PractitionerRole",
            identifier=identifiers(who.identifiers),
            practitioner=filled(reference=self.reference(clinician)),
            organization={"reference": self.reference(who.organization)} if who.organization else None,
            code=concepts(roles),
            specialty=concepts(who.specialties or person.specialties),
            location=[{"reference": self.reference(who.location)}] if who.location else None,
            telecom=contact_points(who.telecom),
        )

    def _links(self, links: Sequence[Link]) -> list[Json]:
        return [held for one in links if (held := self._link(one))]

    def _link(self, link: Link | None) -> Json | None:
        """A reference as it was; one into another body keeps only what still means something."""
        if link is None:
            return None
        reference = link.reference
        if reference is not None and (reference[0:1] in "#:" or re.search(r"\s", reference)):
            self.doubt(
                "link-not-written", "Reference.reference", "a reference into another body was left out"
            )
            reference = None
        number = identifier(link.identifier) if link.identifier else None
        kind = link.kind if link.kind and reference is None and number else None
        return filled(reference=reference, type=kind, identifier=number, display=words(link.display)) or None

    # ---- the head of a message -------------------------------------------------------------------------

    def head(self, facts: Sequence[Fact], focus: list[str], envelope: Envelope) -> None:
        """The MessageHeader, kept last and moved to the front when the Bundle is made."""
        event = envelope.event or _event_of(facts)
        sender = envelope.sender or Endpoint()
        office = _office(sender)
        resource = filled(
            resourceType="MessageHeader",
            id=_logical(envelope.control_id),
            **_event(event),
            destination=[self._destination(one) for one in envelope.receivers],
            sender={"reference": self.reference(office)} if office else None,
            source=filled(
                name=words(sender.name),
                software=words(sender.software),
                endpoint=_address(sender),
            ),
            response=_response(envelope),
            focus=[{"reference": one} for one in focus],
        )
        # Two messages with the same content are still two heads: the control id tells them apart.
        self._entries[f"urn:uuid:{self._new_id(orjson.dumps(resource))}"] = {
            **resource,
            "id": resource.get("id") or self._new_id(orjson.dumps(resource)),
        }

    def _destination(self, one: Endpoint) -> Json:
        office = _office(one)
        return filled(
            name=words(one.name),
            endpoint=_address(one),
            receiver={"reference": self.reference(office)} if office else None,
        )

    # ---- small ------------------------------------------------------------------------------------------

    def _code(self, value: str | None, allowed: frozenset[str], default: str) -> str:
        if value is not None and value not in allowed:
            self.doubt("code-not-written", "status", "a code outside the required binding was replaced")
        return value if value in allowed else default

    def _date_time(self, time: PartialTime | None, where: str) -> str | None:
        text = date_time(time, self.zone)
        if time is not None and (text is None or ("T" in (time.iso or "") and "T" not in text)):
            self.doubt(
                "time-not-written", where, "a time without an offset is no FHIR time; its date was kept"
            )
        return text


_VISIT: Final = {
    "arrived": "arrived",
    "admitted": "in-progress",
    "cancelled": "cancelled",
    "finished": "finished",
}


def operation_outcome(fact: Acknowledgement) -> Json:
    """OperationOutcome; without issues it says that all is well."""
    issues = [
        filled(
            severity=one.severity
            if one.severity in ("fatal", "error", "warning", "information")
            else "error",
            code=one.code if one.code in _ISSUE_TYPES else "processing",
            details={"text": words(one.code)} if words(one.code) and one.code not in _ISSUE_TYPES else None,
            diagnostics=words(one.detail),
            expression=all_words((one.where,)) if one.where else None,
        )
        for one in fact.issues
    ]
    well = {"severity": "information", "code": "informational", "diagnostics": words(fact.text) or "All OK"}
    return filled(resourceType="OperationOutcome", id=_logical(fact.id), issue=issues or [well])


_ISSUE_TYPES: Final = frozenset(
    """
    invalid structure required value invariant security login unknown expired forbidden
    suppressed processing not-supported duplicate multiple-matches not-found deleted too-long
    code-invalid extension too-costly business-rule conflict transient lock-error no-store
    exception timeout incomplete throttled informational
    """.split()  # noqa: SIM905 - a list of forty lines reads worse
)


def provenance(
    *,
    targets: Sequence[str],
    recorded: PartialTime,
    agent: str,
    activity: Concept | None = None,
    agent_identifier: Identifier | None = None,
    default_zone: str | None = None,
) -> bytes:
    """A Provenance: which resources (``Type/id``) were made, when, by which system or office, doing what.

    ``recorded`` must be a moment with an offset (or ``default_zone`` given); else ``ValueError``.
    """
    moment = instant(recorded, default_zone)
    if moment is None or not targets:
        raise ValueError("a Provenance needs a target and a moment with an offset")
    who = filled(identifier=identifier(agent_identifier) if agent_identifier else None, display=words(agent))
    resource = filled(
        resourceType="Provenance",
        target=[{"reference": target} for target in targets],
        recorded=moment,
        activity=concept(activity),
        agent=[{"who": who}],
    )
    return orjson.dumps(resource)


# ---- pieces ----------------------------------------------------------------------------------------------


def _pointers(value: Any) -> Iterator[Json]:
    """Every object with a textual ``reference``, however deep."""
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            if isinstance(item.get("reference"), str):
                yield item
            waiting.extend(item.values())


def _logical(value: str | None) -> str | None:
    return value if value is not None and _ID.fullmatch(value) else None


def _same(one: Json, other: Json) -> bool:
    return {k: v for k, v in one.items() if k != "id"} == {k: v for k, v in other.items() if k != "id"}


def _meta(profile: str | None) -> Json | None:
    return {"profile": [profile]} if profile else None


def _numbers(
    numbers: tuple[Identifier, ...], placer: Identifier | None, filler: Identifier | None
) -> tuple[Identifier, ...]:
    """All numbers, the placer's and filler's typed so, each once."""
    typed: list[Identifier] = []
    for number, kind in ((placer, "PLAC"), (filler, "FILL")):
        if number is not None:
            typed.append(number if number.type == kind else replace(number, type=kind))
    plain = {replace(number, type=None) for number in typed}
    others = [n for n in numbers if n not in typed and replace(n, type=None) not in plain]
    return (*(n for n in numbers if n in typed), *(n for n in typed if n not in numbers), *others)


def _with_npi(numbers: tuple[Identifier, ...], npi: str | None) -> tuple[Identifier, ...]:
    if npi is None or any(number.value == npi for number in numbers):
        return numbers
    return (Identifier(value=npi, system="http://hl7.org/fhir/sid/us-npi"), *numbers)


def _request_status(fact: Referral) -> str | None:
    if fact.status is not None:
        return fact.status
    return "revoked" if fact.action == "cancel" else "active"


def _disposition_codes(fact: Referral) -> tuple[Concept, ...]:
    if fact.disposition_codes:
        return fact.disposition_codes
    return tuple(
        Concept(codings=(Coding(code=_DISPOSITION_CODES[one], system=V2_DISPOSITION),))
        for one in fact.dispositions
        if one in _DISPOSITION_CODES
    )


def _reasons(fact: Referral) -> tuple[Concept, ...]:
    if fact.reason_text is None:
        return fact.reasons
    return (*fact.reasons, Concept(text=fact.reason_text))


def _request_notes(fact: Referral) -> tuple[Note, ...]:
    return ((Note(text=fact.question),) if fact.question else ()) + fact.notes


def _codings(value: Concept | None) -> tuple[Coding, ...]:
    return value.codings if value is not None else ()


def _logical_reference(number: Identifier, kind: str) -> Json | None:
    if number.type == "RI" and number.system is None and number.value and _ID.fullmatch(number.value):
        return {"reference": f"{kind}/{number.value}"}
    written = identifier(number)
    return {"type": kind, "identifier": written} if written else None


def _is_number(link: Link) -> bool:
    return link.identifier is not None or (
        link.reference is not None and link.kind in ("ServiceRequest", None)
    )


def _relations(fact: Document) -> list[Json]:
    relation = fact.relation if fact.relation in _RELATIONS else "replaces"
    if fact.relation is None and fact.status == "addendum":
        relation = "appends"
    targets = (_logical_reference(number, "DocumentReference") for number in fact.parents)
    return [{"code": relation, "target": target} for target in targets if target]


def _security(confidentiality: str | None) -> list[Json] | None:
    code = code_text(confidentiality)
    system = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
    return [{"coding": [{"system": system, "code": code}]}] if code else None


def _document_text(fact: Document) -> str:
    def told(section: Section, depth: int = 0) -> list[str]:
        own = [part for part in (section.title, section.text) if part]
        return own + [line for inner in section.sections if depth < 8 for line in told(inner, depth + 1)]

    lines = [fact.text] if fact.text else []
    return "\n\n".join(lines + [line for section in fact.sections for line in told(section)])


def _spoken(language: str | None) -> list[Json] | None:
    code = code_text(language)
    return [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": code}]}}] if code else None


def _coverage_class(kind: str) -> Json:
    return {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/coverage-class", "code": kind}]}


def _participation(code: str) -> Json:
    return {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": code}]
    }


def _absent_times(fact: Slot, zone: str | None) -> Json:
    return filled(
        _start=None if instant(fact.start, zone) else dict(ABSENT),
        _end=None if instant(fact.end, zone) else dict(ABSENT),
    )


def _later(start: PartialTime, minutes: int, zone: str | None) -> str | None:
    """The end of a booking that only has a start and a duration, in the offset of its start."""
    text = instant(start, zone)
    moment = PartialTime(iso=text).instant() if text else None
    if moment is None:
        return None
    return (moment + timedelta(minutes=minutes)).isoformat()


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
    return known or f"urn:uuid:{uuid.uuid5(_NAMESPACE, repr(endpoint))}"


def _response(envelope: Envelope) -> Json | None:
    if envelope.responds_to is None:
        return None
    code = envelope.response_code
    allowed = ("ok", "transient-error", "fatal-error")
    answered = _logical(envelope.responds_to)
    return {
        "identifier": answered or str(uuid.uuid5(_NAMESPACE, envelope.responds_to)),
        "code": code if code in allowed else "ok",
    }


__all__ = ["Form", "Written", "compose", "content_id", "operation_outcome", "provenance", "write"]
