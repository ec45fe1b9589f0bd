"""Patients, clinicians, offices, places and payers as resources, and the parts they play as references."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from baton_formats.facts import (
    Address,
    ContactPoint,
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
    filled,
    human_names,
    identifier,
    identifiers,
    period,
    words,
)
from baton_formats.fhir.parcel import Parcel, logical, resource_type
from baton_formats.fhir.write_extensions import extend

T = TypeVar("T", Address, ContactPoint)


def patient(parcel: Parcel, fact: Patient) -> Json:
    died = date_time(fact.deceased_at, parcel.zone)
    resource = filled(
        resourceType="Patient",
        id=logical(fact.id),
        meta=version(fact.version),
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
    extend(resource, fact.extensions)
    return resource


def patient_change(parcel: Parcel, fact: PatientChange) -> Json:
    """The Patient after the change; a merge names the numbers that no longer stand for anyone.

    That is all FHIR can tell of a change: what else happened is told by the event of a message.
    """
    resource = patient(parcel, fact.patient or Patient())
    links = [{"other": {"identifier": number}, "type": "replaces"} for number in identifiers(fact.replaced)]
    if links:
        resource["link"] = resource.get("link", []) + links
    if fact.action is not None and not (fact.action == "merge" and links):
        parcel.unsaid("patient_change.action")
    return resource


def practitioner(parcel: Parcel, fact: Practitioner) -> Json:
    resource = filled(
        resourceType="Practitioner",
        id=logical(fact.id),
        meta=version(fact.version),
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


def keep_role(parcel: Parcel, fact: Practitioner, practitioner: str) -> None:
    """What a clinician is, of whom nothing else is told: a PractitionerRole that points at them."""
    if fact.roles or fact.specialties:
        role = filled(
            resourceType="PractitionerRole",
            practitioner={"reference": practitioner},
            code=concepts(fact.roles),
            specialty=concepts(fact.specialties),
        )
        parcel.add(role)


def organization(parcel: Parcel, fact: Organization) -> Json:
    numbers = identifiers(_with_npi(fact.identifiers, fact.npi))
    name = words(fact.name)
    resource = filled(
        resourceType="Organization",
        id=logical(fact.id),
        meta=version(fact.version),
        identifier=numbers,
        active=fact.active,
        type=concepts(fact.types),
        name=name,
        telecom=contact_points(_of_an_office(fact.telecom)),
        address=addresses(_of_an_office(fact.addresses)),
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
        status=parcel.code(fact.status, bindings.COVERAGE_STATUS, "active", "coverage.status"),
        type=concept(fact.type),
        subscriberId=words(fact.subscriber_id),
        beneficiary=patient or parcel.link(fact.beneficiary) or dict(ABSENT),
        relationship=concept(fact.relationship),
        period=period(fact.period, parcel.zone),
        payor=[{"reference": parcel.reference(fact.payer)} if fact.payer else dict(ABSENT)],
        class_=[
            filled(
                type=_coverage_class(kind),
                value=words(value),
                _value=None if words(value) else dict(ABSENT),
                name=words(name),
            )
            for kind, value, name in kinds
            if words(value) or words(name)
        ],
    )


def subject(parcel: Parcel, patient: Patient | None, link: Link | None) -> Json | None:
    if patient is not None and patient != Patient():
        return {"reference": parcel.reference(patient)}
    return parcel.link(link)


_NO_CLINICIANS = frozenset({"Patient", "RelatedPerson", "CareTeam", "Device", "Group"})


def party(parcel: Parcel, who: Party | None) -> Json | None:
    """A reference to who plays the part: a role where there is more to say than who, else what is known."""
    if who is None:
        return None
    shown = words(who.display)
    person, office = who.practitioner, who.organization
    kind = who.link.kind if who.link is not None else None
    if kind in _NO_CLINICIANS and not (person or office or who.location):
        return _pointed_at(parcel, who)
    if _says_more(who):
        return filled(reference=parcel.add(_role(parcel, who)), display=shown)
    if person is not None:
        return filled(reference=parcel.reference(person), display=shown)
    if office is not None:
        return filled(reference=parcel.reference(office), display=shown)
    return _pointed_at(parcel, who)


def person_or_role(parcel: Parcel, who: Party) -> Json | None:
    """The same where only a person can play the part: an office alone becomes a role in it."""
    if who.practitioner is None and who.organization is not None:
        return filled(reference=parcel.add(_role(parcel, who)), display=words(who.display))
    return party(parcel, who)


def _says_more(who: Party) -> bool:
    """Whether a reference to the clinician or to the office alone would lose something."""
    person, office = who.practitioner, who.organization
    known = (person.identifiers if person else ()) + (office.identifiers if office else ())
    others = any(number not in known for number in who.identifiers) if person or office else False
    held = who.role or who.telecom or who.specialties or who.location or others
    return bool(held or (person and (office or person.roles or person.specialties)))


def _pointed_at(parcel: Parcel, who: Party) -> Json | None:
    """Somebody of whom only a number, a name or a pointer is known."""
    if who.telecom:
        parcel.unsaid("party.telecom")
    numbers = [held for one in who.identifiers if (held := identifier(one))]
    if len(numbers) > 1:
        parcel.unsaid("party.identifiers", "a reference has room for one number; the first was written")
    elsewhere = who.link
    written = parcel.link(replace(elsewhere, identifier=None, display=None)) if elsewhere else None
    shown = words(who.display) or (words(elsewhere.display) if elsewhere else None)
    number = numbers[0] if numbers else None
    if number is None and elsewhere is not None and elsewhere.identifier is not None:
        number = identifier(elsewhere.identifier) or None
    kind = resource_type(elsewhere.kind) if elsewhere is not None and not written else None
    held = filled(type=kind if number or shown else None, identifier=number, display=shown)
    if written is not None:
        written.update(held)
        return written
    return held or None


def _role(parcel: Parcel, who: Party) -> Json:
    """A PractitionerRole: the clinician, the office and the place, and all that is said of their part."""
    person, office = who.practitioner, who.organization
    roles = ((who.role,) if who.role else ()) + (person.roles if person else ())
    specialties = who.specialties + (person.specialties if person else ())
    return filled(
        resourceType="PractitionerRole",
        identifier=identifiers(who.identifiers),
        practitioner={"reference": parcel.reference(_without_part(who, person))} if person else None,
        organization={"reference": parcel.reference(office)} if office else None,
        code=concepts(dict.fromkeys(roles)),
        specialty=concepts(dict.fromkeys(specialties)),
        location=[{"reference": parcel.reference(who.location)}] if who.location else None,
        telecom=contact_points(who.telecom),
    )


def _without_part(who: Party, person: Practitioner) -> Practitioner:
    """The clinician alone: what is said of the part they play stands with the role."""
    own = tuple(number for number in person.identifiers if number not in who.identifiers)
    npi = None if any(n.value == person.npi for n in who.identifiers) else person.npi
    return replace(person, identifiers=own, npi=npi, specialties=(), roles=())


def _of_an_office(items: tuple[T, ...]) -> tuple[T, ...]:
    """An office has no home (org-2, org-3): the use is left out."""
    return tuple(replace(one, use=None) if one.use == "home" else one for one in items)


def version(text: str | None) -> Json | None:
    """The version the sending server gave a resource."""
    known = logical(text)
    return {"versionId": known} if known else None


def _with_npi(numbers: tuple[Identifier, ...], npi: str | None) -> tuple[Identifier, ...]:
    if npi is None or any(number.value == npi for number in numbers):
        return numbers
    return (Identifier(value=npi, system="http://hl7.org/fhir/sid/us-npi"), *numbers)


def _spoken(language: str | None) -> list[Json] | None:
    code = code_text(language)
    coded = (
        {"coding": [{"system": "urn:ietf:bcp:47", "code": code}]} if code else filled(text=words(language))
    )
    return [{"language": coded}] if coded else None


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
