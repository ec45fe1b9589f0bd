"""Patients, clinicians, offices, places and payers as resources, and the parts they play as references."""

from __future__ import annotations

from dataclasses import replace

from baton_formats.facts import (
    Coverage,
    Identifier,
    Link,
    Location,
    Organization,
    Party,
    Patient,
    PatientChange,
    Practitioner,
)
from baton_formats.fhir import bindings
from baton_formats.fhir.compose import (
    ABSENT,
    Json,
    address,
    addresses,
    code_text,
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
    period,
    words,
)
from baton_formats.fhir.parcel import Parcel, logical


def patient(parcel: Parcel, fact: Patient) -> Json:
    died = date_time(fact.deceased_at, parcel.zone)
    resource = filled(
        resourceType="Patient",
        id=logical(fact.id),
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
        generalPractitioner=[held for who in fact.general_practitioners if (held := party(parcel, who))],
        managingOrganization={"reference": parcel.reference(fact.managing_organization)}
        if fact.managing_organization
        else None,
        link=[
            {"other": held, "type": "replaced-by"} for one in fact.replaced_by if (held := parcel.link(one))
        ],
    )
    if fact.birth_date is not None and fact.birth_date.iso is None:
        parcel.doubt("time-not-written", "Patient.birthDate", "FHIR has no unreadable dates; it was left out")
    extend(resource, fact.extensions)
    return resource


def patient_change(parcel: Parcel, fact: PatientChange) -> Json:
    """The Patient after the change; a merge names the numbers that no longer stand for anyone."""
    resource = patient(parcel, fact.patient or Patient())
    links = [{"other": {"identifier": number}, "type": "replaces"} for number in identifiers(fact.replaced)]
    if links:
        resource["link"] = resource.get("link", []) + links
    return resource


def practitioner(parcel: Parcel, fact: Practitioner) -> Json:
    resource = filled(
        resourceType="Practitioner",
        id=logical(fact.id),
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


def organization(parcel: Parcel, fact: Organization) -> Json:
    numbers = identifiers(_with_npi(fact.identifiers, fact.npi))
    name = words(fact.name)
    resource = filled(
        resourceType="Organization",
        id=logical(fact.id),
        identifier=numbers,
        active=fact.active,
        type=concepts(fact.types),
        name=name,
        telecom=contact_points(fact.telecom),
        address=addresses(fact.addresses),
        partOf=parcel.link(fact.part_of),
    )
    if not numbers and name is None:
        resource["_name"] = dict(ABSENT)  # org-1: a name or an identifier
    extend(resource, fact.extensions)
    return resource


def location(parcel: Parcel, fact: Location) -> Json:
    return filled(
        resourceType="Location",
        id=logical(fact.id),
        identifier=identifiers(fact.identifiers),
        name=words(fact.name),
        description=words(fact.description),
        telecom=contact_points(fact.telecom),
        address=address(fact.address) if fact.address else None,
        managingOrganization={"reference": parcel.reference(fact.organization)}
        if fact.organization
        else None,
    )


def coverage(parcel: Parcel, fact: Coverage, patient: Json | None) -> Json:
    kinds = (("group", fact.group, None), ("plan", fact.plan, fact.plan_name))
    numbers = fact.identifiers
    if fact.member_id and fact.member_id not in {number.value for number in numbers}:
        numbers = (*numbers, Identifier(value=fact.member_id, type="MB"))
    return filled(
        resourceType="Coverage",
        id=logical(fact.id),
        identifier=identifiers(numbers),
        status=parcel.code(fact.status, bindings.COVERAGE_STATUS, "active"),
        type=concept(fact.type),
        subscriberId=words(fact.subscriber_id),
        beneficiary=patient or parcel.link(fact.beneficiary) or dict(ABSENT),
        relationship=concept(fact.relationship),
        period=period(fact.period, parcel.zone),
        payor=[{"reference": parcel.reference(fact.payer)} if fact.payer else dict(ABSENT)],
        class_=[
            filled(type=_coverage_class(kind), value=words(value) or words(name), name=words(name))
            for kind, value, name in kinds
            if words(value) or words(name)
        ],
    )


def subject(parcel: Parcel, patient: Patient | None, link: Link | None) -> Json | None:
    if patient is not None and patient != Patient():
        return {"reference": parcel.reference(patient)}
    return parcel.link(link)


def party(parcel: Parcel, who: Party | None) -> Json | None:
    """A reference to who plays the part: a role for clinician and office, else what is known."""
    if who is None:
        return None
    shown = words(who.display)
    person, office = who.practitioner, who.organization
    if person is not None and (office is not None or who.role or who.specialties):
        return filled(reference=parcel.add(_role(parcel, who)), display=shown)
    if person is not None:
        return filled(reference=parcel.reference(replace(person, specialties=(), roles=())), display=shown)
    if office is not None:
        return filled(reference=parcel.reference(office), display=shown)
    if who.location is not None:
        return filled(reference=parcel.reference(who.location), display=shown)
    number = next((held for one in who.identifiers if (held := identifier(one))), None)
    kind = who.link.kind if who.link is not None else None
    return filled(type=kind if number or shown else None, identifier=number, display=shown) or None


def _role(parcel: Parcel, who: Party) -> Json:
    person = who.practitioner or Practitioner()
    own = tuple(number for number in person.identifiers if number not in who.identifiers)
    npi = None if any(n.value == person.npi for n in who.identifiers) else person.npi
    clinician = replace(person, identifiers=own, npi=npi, specialties=(), roles=())
    roles = person.roles or ((who.role,) if who.role else ())
    return filled(
        resourceType="PractitionerRole",
        identifier=identifiers(who.identifiers),
        practitioner=filled(reference=parcel.reference(clinician)),
        organization={"reference": parcel.reference(who.organization)} if who.organization else None,
        code=concepts(roles),
        specialty=concepts(who.specialties or person.specialties),
        location=[{"reference": parcel.reference(who.location)}] if who.location else None,
        telecom=contact_points(who.telecom),
    )


def _with_npi(numbers: tuple[Identifier, ...], npi: str | None) -> tuple[Identifier, ...]:
    if npi is None or any(number.value == npi for number in numbers):
        return numbers
    return (Identifier(value=npi, system="http://hl7.org/fhir/sid/us-npi"), *numbers)


def _spoken(language: str | None) -> list[Json] | None:
    code = code_text(language)
    return [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": code}]}}] if code else None


def _coverage_class(kind: str) -> Json:
    return {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/coverage-class", "code": kind}]}


def typed_numbers(
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
