"""Patients, clinicians, offices, places and payers, and the parts they play in other resources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from baton_formats.facts import (
    Concept,
    Coverage,
    HumanName,
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
from baton_formats.fhir.body import Body
from baton_formats.fhir.datatypes import (
    address,
    concept,
    contact_point,
    extensions,
    human_name,
    identifier,
    identifiers,
    npi_of,
    period,
)
from baton_formats.fhir.references import number_key, numbers_of, server_of
from baton_formats.fhir.tables import Read, Table, code, flag, many, one, row, text, time, version
from baton_formats.fhir.tree import Node
from baton_formats.values import maker_of

F = TypeVar("F")

_HUMAN_NAME, _PARTY = maker_of(HumanName), maker_of(Party)
_PATIENT, _PRACTITIONER = maker_of(Patient), maker_of(Practitioner)
_NOBODY = Party()

_SOURCE = "FHIR R4 4.0.1"

MAX_NUMBERS = 200
"""Numbers that one fact takes of others; whoever has more is known by the first of them."""


def link(node: Node) -> Link:
    """A Reference as a value."""
    body: Body = node.body
    return body.link(node)


def _npi(node: Node) -> str | None:
    return npi_of(identifiers(node))


def organization_at(pointer: Node) -> Organization | None:
    """The Organization a reference means; only its name or number where it is not in the body."""
    target = pointer.body.follow(pointer)
    if target is not None and target.value.get("resourceType") == "Organization":
        return organization(target)
    number = pointer.one("identifier", identifier)
    name = pointer.text("display")
    if number is None and name is None:
        return None
    numbers = (number,) if number else ()
    return Organization(identifiers=numbers, npi=npi_of(numbers), name=name)


def _deceased_at(node: Node) -> object:
    return node.time("deceasedDateTime")


def _deceased(node: Node) -> bool | None:
    if node.has("deceasedDateTime"):
        return True
    return node.flag("deceasedBoolean")


def _replaced_by(node: Node) -> tuple[Link, ...]:
    return tuple(
        link(other)
        for entry in node.children("link")
        if entry.value.get("type") == "replaced-by" and (other := entry.child("other")) is not None
    )


def _language(node: Node) -> str | None:
    for spoken in node.children("communication"):
        language = spoken.one("language", concept)
        if language is not None:
            return language.code or language.text
    return None


PATIENT = Table(
    "Patient",
    Patient,
    row(
        "identifiers",
        "record numbers, each with its namespace",
        "Patient.identifier",
        identifiers,
        findings=("identifier-without-value",),
    ),
    row("names", "every name, current and former", "Patient.name", many("name", human_name)),
    row(
        "birth_date",
        "date of birth, as precise as given",
        "Patient.birthDate",
        time("birthDate"),
        findings=("unreadable-time",),
    ),
    row(
        "gender",
        "administrative gender",
        "Patient.gender",
        code("gender", bindings.GENDER),
        findings=("unknown-code",),
    ),
    row("telecom", "phone, e-mail", "Patient.telecom", many("telecom", contact_point)),
    row("addresses", "postal addresses", "Patient.address", many("address", address)),
    row(
        "deceased",
        "whether the patient died",
        "Patient.deceased[x]",
        _deceased,
        needs="deceasedBoolean deceasedDateTime",
    ),
    row("deceased_at", "when the patient died", "Patient.deceasedDateTime", _deceased_at),
    row("active", "whether the record is in use", "Patient.active", flag("active")),
    row("language", "language to speak with the patient", "Patient.communication.language", _language),
    row("marital_status", "marital status", "Patient.maritalStatus", one("maritalStatus", concept)),
    row(
        "general_practitioners",
        "the patient's own doctors or practice",
        "Patient.generalPractitioner",
        many("generalPractitioner", lambda node: party(node)),
    ),
    row(
        "managing_organization",
        "who keeps the record",
        "Patient.managingOrganization",
        one("managingOrganization", organization_at),
        findings=("dangling-reference",),
    ),
    row(
        "replaced_by", "the record this one was merged into", "Patient.link (type replaced-by)", _replaced_by
    ),
    row("id", "id on the sending server", "Patient.id", text("id")),
    row("version", "version on the sending server", "Patient.meta.versionId", version),
    row("extensions", "what the sender added", "Patient.extension", extensions, needs=""),
    source=_SOURCE,
    notes=("Extensions on single elements (``_gender``, ``_birthDate``) are kept with the element's name.",),
)

PRACTITIONER = Table(
    "Practitioner",
    Practitioner,
    row(
        "identifiers",
        "numbers as sent, each with its namespace",
        "Practitioner.identifier",
        identifiers,
        findings=("npi-check-digit", "identifier-without-value"),
    ),
    row(
        "npi",
        "NPI, only if its check digit holds",
        "Practitioner.identifier",
        _npi,
        findings=("npi-check-digit",),
    ),
    row("names", "names", "Practitioner.name", many("name", human_name)),
    row("telecom", "phone, fax, e-mail", "Practitioner.telecom", many("telecom", contact_point)),
    row("addresses", "addresses", "Practitioner.address", many("address", address)),
    row("gender", "administrative gender", "Practitioner.gender", code("gender", bindings.GENDER)),
    row("birth_date", "date of birth", "Practitioner.birthDate", time("birthDate")),
    row("active", "whether the record is in use", "Practitioner.active", flag("active")),
    row("id", "id on the sending server", "Practitioner.id", text("id")),
    row("version", "version on the sending server", "Practitioner.meta.versionId", version),
    row("extensions", "what the sender added", "Practitioner.extension", extensions, needs=""),
    source=_SOURCE,
)

ORGANIZATION = Table(
    "Organization",
    Organization,
    row(
        "identifiers",
        "numbers as sent, each with its namespace",
        "Organization.identifier",
        identifiers,
        findings=("npi-check-digit", "identifier-without-value"),
    ),
    row(
        "npi",
        "NPI, only if its check digit holds",
        "Organization.identifier",
        _npi,
        findings=("npi-check-digit",),
    ),
    row("name", "name of the office", "Organization.name", text("name")),
    row("types", "what kind of office", "Organization.type", many("type", concept)),
    row(
        "telecom",
        "phone, fax, e-mail, address of a service",
        "Organization.telecom",
        many("telecom", contact_point),
    ),
    row("addresses", "addresses", "Organization.address", many("address", address)),
    row("part_of", "the larger organisation", "Organization.partOf", one("partOf", link)),
    row("active", "whether the record is in use", "Organization.active", flag("active")),
    row("id", "id on the sending server", "Organization.id", text("id")),
    row("version", "version on the sending server", "Organization.meta.versionId", version),
    row("extensions", "what the sender added", "Organization.extension", extensions, needs=""),
    source=_SOURCE,
)

LOCATION = Table(
    "Location",
    Location,
    row("identifiers", "numbers as sent", "Location.identifier", identifiers),
    row("name", "name of the place", "Location.name", text("name")),
    row("description", "how to find it", "Location.description", text("description")),
    row("telecom", "phone of the place", "Location.telecom", many("telecom", contact_point)),
    row("address", "address", "Location.address", one("address", address)),
    row(
        "organization",
        "who runs it",
        "Location.managingOrganization",
        one("managingOrganization", organization_at),
    ),
    row("id", "id on the sending server", "Location.id", text("id")),
    source=_SOURCE,
)


def patient(node: Node) -> Patient:
    """A Patient resource, read once."""
    return _once(node, PATIENT)


def practitioner(node: Node) -> Practitioner:
    """A Practitioner resource, read once."""
    return _once(node, PRACTITIONER)


def organization(node: Node) -> Organization:
    """An Organization resource, read once."""
    return _once(node, ORGANIZATION)


def location(node: Node) -> Location:
    """A Location resource, read once."""
    return _once(node, LOCATION)


def _once(node: Node, table: Table[F]) -> F:
    body: Body = node.body
    return body.once(table.resource, node, table.read)


def merge(node: Node) -> PatientChange | None:
    """A Patient that says it was replaced by another, or replaces some: several charts become one."""
    links = [(entry.value.get("type"), entry.child("other")) for entry in node.children("link")]
    gone = [pointer for kind, pointer in links if kind == "replaces" and pointer is not None]
    if gone:
        numbers = (_chart(pointer).identifiers for pointer in gone)
        replaced = node.body.joined(numbers, node, "link", most=MAX_NUMBERS)
        return PatientChange(action="merge", patient=patient(node), replaced=replaced)
    kept = next((pointer for kind, pointer in links if kind == "replaced-by" and pointer is not None), None)
    if kept is None:
        return None
    return PatientChange(action="merge", patient=_chart(kept), replaced=identifiers(node))


def _chart(pointer: Node) -> Patient:
    """The other Patient of a link, as far as it is known."""
    body: Body = pointer.body
    target = body.follow(pointer)
    if target is not None and target.value.get("resourceType") == "Patient":
        return patient(target)
    return _stand_in_patient(body.link(pointer)) or Patient()


# ---- parts played ------------------------------------------------------------------------------------------


PATIENT_DOUBTS = (
    "dangling-reference",
    "subject-is-lone-patient",
    "other-server",
    "other-version",
    "reference-by-id",
    "ambiguous-reference",
    "not-in-use",
)
"""What finding the patient of a resource may raise."""


def subject(node: Node, *names: str) -> tuple[Patient | None, Link | None]:
    """The patient a resource is about: resolved, by number or name only, or the lone Patient of the body."""
    for name in names:
        held = node.value.get(name)
        if held is None:
            continue
        known: tuple[Patient | None, Link | None] | None = node.body.memo.get(("subject", id(held)))
        if known is None and (pointer := node.child(name)) is not None:
            known = node.body.once("subject", pointer, _subject)
        if known is not None:
            return known
    return None, None


def _subject(pointer: Node) -> tuple[Patient | None, Link | None]:
    body: Body = pointer.body
    target, how = body.follow(pointer), body.link(pointer)
    if target is not None and target.value.get("resourceType") == "Patient":
        return patient(target), how
    if target is not None:
        return None, how
    lone = body.of_type("Patient")
    if len(lone) == 1 and body.closed and _may_mean(pointer, how, lone[0]):
        detail = "the patient referred to is not here; the only Patient of the Bundle was taken"
        pointer.doubt("subject-is-lone-patient", detail)
        return patient(lone[0]), how
    return _stand_in_patient(how), how


def _may_mean(pointer: Node, how: Link, patient_: Node) -> bool:
    """Whether a reference that leads nowhere may mean this Patient: nothing it says is against it.

    What is not a Patient, has another number of the same system or is another server's means somebody else.
    """
    if how.kind not in (None, "Patient"):
        return False
    body: Body = pointer.body
    address, own = server_of(how.reference) or body.server(pointer), body.server(patient_)
    if None not in (address, own) and address != own:
        return False
    number = pointer.value.get("identifier")
    key = number_key(number[0] if isinstance(number, list) and number else number)
    others = [other for other in numbers_of(patient_.value) if key is not None and other[0] == key[0]]
    return not others or key in others


def _stand_in_patient(how: Link) -> Patient | None:
    if how.kind not in (None, "Patient"):
        return None
    if how.identifier is None and how.display is None:
        return None
    return _PATIENT(
        identifiers=(how.identifier,) if how.identifier else (),
        names=(_HUMAN_NAME(text=how.display),) if how.display else (),
    )


def party(pointer: Node) -> Party:
    """Who a reference means: a clinician, the office they act for, a place, or only the words beside it."""
    body: Body = pointer.body
    target, how = body.follow(pointer), body.link(pointer)
    kind = target.value.get("resourceType") if target is not None else how.kind
    if target is None:
        return _absent_party(how, kind)
    read = _PARTIES.get(str(kind))
    known = body.once("party", target, read) if read is not None else _NOBODY
    return _PARTY(
        known.practitioner,
        known.organization,
        known.role,
        known.reference,
        known.telecom,
        known.specialties,
        known.identifiers or ((how.identifier,) if how.identifier else ()),
        known.location,
        how,
        how.display or known.display,
    )


NUMBERED = {
    "http://fhir.nhs.net/Id/nhs-number": "Patient",
    "https://fhir.nhs.uk/Id/nhs-number": "Patient",
    "http://fhir.nhs.net/Id/sds-user-id": "Practitioner",
    "https://fhir.nhs.uk/Id/sds-user-id": "Practitioner",
    "https://fhir.nhs.uk/Id/ods-organization-code": "Organization",
    "http://fhir.nhs.net/Id/ers-service": "HealthcareService",
    "https://fhir.nhs.uk/Id/ers-service": "HealthcareService",
}
"""What a national numbering system numbers, where a reference gives only the number."""


def _absent_party(how: Link, kind: str | None) -> Party:
    numbers: tuple[Identifier, ...] = (how.identifier,) if how.identifier else ()
    kind = kind or (NUMBERED.get(how.identifier.system or "") if how.identifier else None)
    if kind in ("Practitioner", "PractitionerRole"):
        who = _stand_in_practitioner(how)
        return _PARTY(practitioner=who, identifiers=numbers, link=how, display=how.display)
    if kind == "Organization" and (how.display or numbers):
        office = Organization(identifiers=numbers, npi=npi_of(numbers), name=how.display)
        return _PARTY(organization=office, identifiers=numbers, link=how, display=how.display)
    return _PARTY(identifiers=numbers, link=how, display=how.display)


def _stand_in_practitioner(how: Link) -> Practitioner | None:
    if how.display is None and how.identifier is None:
        return None
    numbers = (how.identifier,) if how.identifier else ()
    names = (_HUMAN_NAME(text=how.display),) if how.display else ()
    return _PRACTITIONER(identifiers=numbers, npi=npi_of(numbers), names=names)


def role_party(node: Node) -> Party:
    """A PractitionerRole: the clinician, the office, what they are there."""
    key = ("PractitionerRole", id(node.value))
    if key not in node.body.memo:
        node.body.memo[key] = Party()  # what a role sees of itself, should it point at itself
        node.body.memo[key] = _role_party(node)
    found: Party = node.body.memo[key]
    return found


def _role_party(node: Node) -> Party:
    numbers = identifiers(node)
    roles, specialties = node.many("code", concept), node.many("specialty", concept)
    pointer = node.child("practitioner")
    who = _role_practitioner(pointer, numbers, roles, specialties) if pointer else None
    return Party(
        practitioner=who,
        organization=node.one("organization", organization_at),
        role=roles[0] if roles else None,
        telecom=node.many("telecom", contact_point),
        specialties=specialties,
        identifiers=numbers,
        location=next((place.location for place in node.many("location", party) if place.location), None),
        display=pointer.text("display") if pointer else None,
    )


def _role_practitioner(
    pointer: Node,
    numbers: tuple[Identifier, ...],
    roles: tuple[Concept, ...],
    specialties: tuple[Concept, ...],
) -> Practitioner | None:
    body: Body = pointer.body
    target = body.follow(pointer)
    if target is not None and target.value.get("resourceType") == "Practitioner":
        who = practitioner(target)
    else:
        who = _stand_in_practitioner(body.link(pointer)) or Practitioner()
    return replace(
        who,
        identifiers=_with_own(who.identifiers, numbers, pointer),
        npi=who.npi or npi_of(numbers),
        specialties=specialties,
        roles=roles,
    )


def _with_own(
    known: tuple[Identifier, ...], own: tuple[Identifier, ...], pointer: Node
) -> tuple[Identifier, ...]:
    """Numbers of a clinician and those of the role; many roles may share one clinician."""
    body: Body = pointer.body
    own = tuple(number for number in own if number not in known[:MAX_NUMBERS])
    return body.joined((known, own), pointer, "identifier", most=MAX_NUMBERS) if own else known


def _practitioner_party(node: Node) -> Party:
    """A clinician, with the office of the only role they play in this body."""
    body: Body = node.body
    role = body.role_of(node)
    return role_party(role) if role is not None else Party(practitioner=practitioner(node))


def _healthcare_service(node: Node) -> Party:
    return Party(
        organization=node.one("providedBy", organization_at),
        specialties=node.many("specialty", concept),
        telecom=node.many("telecom", contact_point),
        identifiers=identifiers(node),
        display=node.text("name"),
    )


def _named_party(node: Node) -> Party:
    names = node.many("name", human_name) if isinstance(node.value.get("name"), list) else ()
    shown = (
        names[0].text or " ".join((*names[0].given, names[0].family or "")) if names else node.text("name")
    )
    telecom = node.many("telecom", contact_point)
    return Party(telecom=telecom, identifiers=identifiers(node), display=shown or None)


def _organization_party(node: Node) -> Party:
    return Party(organization=organization(node))


def _location_party(node: Node) -> Party:
    return Party(location=location(node))


def _numbered_party(node: Node) -> Party:
    return Party(identifiers=identifiers(node))


_PARTIES: dict[str, Callable[[Node], Party]] = {
    "Practitioner": _practitioner_party,
    "PractitionerRole": role_party,
    "Organization": _organization_party,
    "Location": _location_party,
    "HealthcareService": _healthcare_service,
    "Patient": _named_party,
    "RelatedPerson": _named_party,
    "CareTeam": _named_party,
    "Device": _numbered_party,
}


# ---- who pays ----------------------------------------------------------------------------------------------


def _class_value(kind: str, element: str) -> Read:
    def read(node: Node) -> str | None:
        for entry in node.children("class"):
            meant = entry.one("type", concept)
            if meant is not None and any(coding.code == kind for coding in meant.codings):
                return entry.text(element)
        return None

    return read


def _member_id(node: Node) -> str | None:
    """The member number: the identifier typed MB, else the subscriber's number, else the only identifier."""
    numbers = identifiers(node)
    member = next((number.value for number in numbers if number.type == "MB"), None)
    if member is None:
        member = node.text("subscriberId")
    return member or (numbers[0].value if len(numbers) == 1 else None)


def _payer(node: Node) -> Organization | None:
    for name in ("payor", "insurer", "issuer"):
        pointers = node.children(name) if isinstance(node.value.get(name), list) else [node.child(name)]
        for pointer in pointers:
            found = organization_at(pointer) if pointer is not None else None
            if found is not None:
                return found
    return None


COVERAGE = Table(
    "Coverage",
    Coverage,
    row("identifiers", "numbers of the policy", "Coverage.identifier", identifiers),
    row(
        "status",
        "whether it is in force",
        "Coverage.status",
        code("status", bindings.COVERAGE_STATUS, protects=True, required=True),
        needs="",
        findings=("missing-required", "unknown-code"),
    ),
    row("type", "kind of insurance", "Coverage.type", one("type", concept)),
    row("payer", "who pays", "Coverage.payor", _payer, needs="payor insurer issuer"),
    row(
        "member_id",
        "member number",
        "Coverage.identifier (type MB)",
        _member_id,
        also=("Coverage.subscriberId",),
        needs="identifier subscriberId",
    ),
    row("subscriber_id", "number of the subscriber", "Coverage.subscriberId", text("subscriberId")),
    row(
        "group", "group number", "Coverage.class (type group)", _class_value("group", "value"), needs="class"
    ),
    row("plan", "plan number", "Coverage.class (type plan)", _class_value("plan", "value"), needs="class"),
    row(
        "plan_name",
        "name of the plan",
        "Coverage.class (type plan)",
        _class_value("plan", "name"),
        needs="class",
    ),
    row(
        "relationship",
        "patient's relation to the subscriber",
        "Coverage.relationship",
        one("relationship", concept),
    ),
    row("period", "from when to when", "Coverage.period", one("period", period)),
    row("beneficiary", "whom it covers", "Coverage.beneficiary", one("beneficiary", link)),
    row("id", "id on the sending server", "Coverage.id", text("id")),
    source=_SOURCE,
)


def coverage(node: Node) -> Coverage:
    """A Coverage resource, read once."""
    return _once(node, COVERAGE)


def coverage_at(pointer: Node) -> Coverage | None:
    """The Coverage a reference means, or only the payer's words beside it."""
    target = pointer.body.follow(pointer)
    if target is not None and target.value.get("resourceType") == "Coverage":
        return coverage(target)
    shown = pointer.text("display")
    return Coverage(payer=Organization(name=shown)) if shown and target is None else None


def lone_role(node: Node) -> Practitioner | None:
    """A PractitionerRole as a clinician, where the clinician's own record did not come along."""
    pointer = node.child("practitioner")
    if pointer is not None and pointer.body.follow(pointer) is not None:
        return None
    return role_party(node).practitioner
