"""Who a document names: the patient, those who wrote, sent, signed and received it, and their offices."""

from typing import Final

from baton_formats.ccda.datatypes import (
    addresses,
    concept,
    contact_points,
    identifiers,
    names,
    npi_among,
    time,
)
from baton_formats.ccda.document import Node
from baton_formats.ccda.doubts import Doubts
from baton_formats.declaration import FieldMapping, MessageMapping
from baton_formats.facts import Concept, ContactPoint, Organization, PartialTime, Party, Patient, Practitioner
from baton_formats.findings import Format

_GENDERS: Final = {"M": "male", "F": "female", "UN": "other"}
_PERSONS: Final = ("assignedPerson", "informationRecipient", "associatedPerson", "playingEntity")
_OFFICES: Final = ("representedOrganization", "receivedOrganization", "scopingOrganization")


OF_A_PARTY: Final = (
    "identifier-without-value",
    "identifier-without-system",
    "placeholder-identifier",
    "npi-invalid",
    "placeholder-name",
    "telecom-without-scheme",
    "words-between-parts",
)
"""What reading a person or an office can raise."""


def organization(node: Node | None, doubts: Doubts) -> Organization | None:
    """An office: providerOrganization, representedOrganization, receivedOrganization and so on."""
    if node is None:
        return None
    found = identifiers(node.all("id"), doubts, of_thing=True)
    name = next((text for one in node.all("name") if not one.is_null and (text := one.text)), None)
    telecom = contact_points(node.all("telecom"), doubts)
    places = addresses(node.all("addr"), doubts)
    if not (found or name or telecom or places):
        return None
    return Organization(identifiers=found, npi=npi_among(found), name=name, telecom=telecom, addresses=places)


def party(entity: Node | None, doubts: Doubts, *, role: Concept | None = None) -> Party | None:
    """Who stands in an assignedAuthor, assignedEntity, intendedRecipient or associatedEntity.

    A program is a party with its name as `display` and no practitioner.
    """
    if entity is None:
        return None
    person = _practitioner(entity, doubts)
    office = next(filter(None, (organization(entity.first(name), doubts) for name in _OFFICES)), None)
    device = _device(entity)
    if person is None and office is None and device is None:
        return None
    return Party(
        practitioner=person, organization=office, role=role, display=device if person is None else None
    )


def _practitioner(entity: Node, doubts: Doubts) -> Practitioner | None:
    found = identifiers(entity.all("id"), doubts)
    called = names([name for person in _PERSONS for name in entity.all(f"{person}/name")], doubts)
    if not called and (entity.first("assignedAuthoringDevice") is not None or not found):
        return None
    specialty = concept(entity.first("code"))
    return Practitioner(
        identifiers=found,
        npi=npi_among(found),
        names=called,
        telecom=contact_points(entity.all("telecom"), doubts),
        addresses=addresses(entity.all("addr"), doubts),
        specialties=(specialty,) if specialty is not None else (),
    )


def _device(entity: Node) -> str | None:
    parts = entity.all("assignedAuthoringDevice/softwareName") + entity.all(
        "assignedAuthoringDevice/manufacturerModelName"
    )
    return next((text for part in parts if (text := part.text)), None)


def is_person(found: Party) -> bool:
    """Whether a party is a human being with a name."""
    return found.practitioner is not None and bool(found.practitioner.names)


_ROLE_CODES: Final = "urn:oid:2.16.840.1.113883.5.111"  # RoleCode of HL7 V3: ONESELF, MTH, SPS and so on
_PHONE_DIGITS: Final = 7


def is_private(found: Party, phones_of_patient: frozenset[str]) -> bool:
    """Whether an author seems to be the patient or a relative: by the code, or by the patient's own phone."""
    author = found.practitioner
    if author is None:
        return False
    if any(coding.system == _ROLE_CODES for one in author.specialties for coding in one.codings):
        return True
    return not phones_of_patient.isdisjoint(phones(author.telecom))


def phones(points: tuple[ContactPoint, ...]) -> frozenset[str]:
    """The last ten digits of each phone number, however they are written."""
    digits = (
        "".join(mark for mark in one.value or "" if mark.isdigit()) for one in points if one.system == "phone"
    )
    return frozenset(number[-10:] for number in digits if len(number) >= _PHONE_DIGITS)


def _gender(role: Node, doubts: Doubts) -> str | None:
    node = role.first("patient/administrativeGenderCode")
    code = node.get("code") if node is not None else None
    if node is None or (code is None and not node.is_null):
        return None
    if code is None or code in ("UNK", "NI", "U"):
        return "unknown"
    if code not in _GENDERS:
        doubts.add("gender-unknown", node)
    return _GENDERS.get(code)


def _birth_date(role: Node, doubts: Doubts) -> PartialTime | None:
    found = time(role.first("patient/birthTime"), doubts)
    if found is None:
        doubts.add("patient-without-birth-date", role)
    return found


def _deceased(role: Node, _doubts: Doubts) -> bool | None:
    node = role.first("patient/sdtc:deceasedInd")
    return {"true": True, "false": False}.get((node.get("value") or "").lower()) if node is not None else None


def _language(role: Node, _doubts: Doubts) -> str | None:
    spoken = role.all("patient/languageCommunication")
    preferred = [one for one in spoken if _is_preferred(one)] or spoken
    code = next((node for one in preferred if (node := one.first("languageCode")) is not None), None)
    return code.get("code") if code is not None else None


def _is_preferred(spoken: Node) -> bool:
    node = spoken.first("preferenceInd")
    return node is not None and node.get("value") == "true"


_PRIMARY_CARE: Final = frozenset(
    {"PCP", "PP"}
)  # ParticipationFunction (HL7 V3), provider role (HL7 table 0443)


def _general_practitioners(role: Node, doubts: Doubts) -> tuple[Party, ...]:
    target = role.parent
    document = target.parent if target is not None else None
    performers = document.all("documentationOf/serviceEvent/performer") if document is not None else []
    primary = (one for one in performers if not one.is_null and _has_function(one, _PRIMARY_CARE))
    found = (
        party(one.first("assignedEntity"), doubts, role=concept(one.first("functionCode"))) for one in primary
    )
    return tuple(one for one in found if one is not None and is_person(one))


def _has_function(performer: Node, codes: frozenset[str]) -> bool:
    return performer.value_at("functionCode", "code") in codes


_ROLE: Final = "recordTarget/patientRole"

PATIENT: Final = MessageMapping(
    format=Format.CCDA,
    message="recordTarget",
    fact="patient",
    source="HL7 C-CDA R2.1, US Realm Header, recordTarget; names of FHIR by the C-CDA on FHIR guide",
    fields=(
        FieldMapping(
            "identifiers",
            "Every number of the patient with the namespace it lives in",
            f"{_ROLE}/id",
            findings=(
                "identifier-without-value",
                "identifier-without-system",
                "placeholder-identifier",
                "npi-invalid",
            ),
            read=lambda role, doubts: identifiers(role.all("id"), doubts),
        ),
        FieldMapping(
            "names",
            "Legal name, birth name, aliases",
            f"{_ROLE}/patient/name",
            findings=("placeholder-name", "patient-without-name", "words-between-parts"),
            read=lambda role, doubts: names(role.all("patient/name"), doubts),
        ),
        FieldMapping(
            "birth_date",
            "Birth date as precise as given",
            f"{_ROLE}/patient/birthTime",
            findings=("patient-without-birth-date", "unreadable-time"),
            read=_birth_date,
        ),
        FieldMapping(
            "gender",
            "Administrative gender",
            f"{_ROLE}/patient/administrativeGenderCode",
            findings=("gender-unknown",),
            read=_gender,
        ),
        FieldMapping(
            "telecom",
            "Phone numbers and e-mail",
            f"{_ROLE}/telecom",
            findings=("telecom-without-scheme",),
            read=lambda role, doubts: contact_points(role.all("telecom"), doubts),
        ),
        FieldMapping(
            "addresses",
            "Where they live",
            f"{_ROLE}/addr",
            findings=("words-between-parts",),
            read=lambda role, doubts: addresses(role.all("addr"), doubts),
        ),
        FieldMapping(
            "deceased", "Whether the patient has died", f"{_ROLE}/patient/sdtc:deceasedInd", read=_deceased
        ),
        FieldMapping(
            "deceased_at",
            "When",
            f"{_ROLE}/patient/sdtc:deceasedTime",
            findings=("unreadable-time",),
            read=lambda role, doubts: time(role.first("patient/sdtc:deceasedTime"), doubts),
        ),
        FieldMapping(
            "language",
            "The language they prefer",
            f"{_ROLE}/patient/languageCommunication/languageCode",
            also=("the one with preferenceInd true before others",),
            read=_language,
        ),
        FieldMapping(
            "marital_status",
            "Marital status",
            f"{_ROLE}/patient/maritalStatusCode",
            read=lambda role, _doubts: concept(role.first("patient/maritalStatusCode")),
        ),
        FieldMapping(
            "general_practitioners",
            "Who looks after them otherwise",
            "documentationOf/serviceEvent/performer[functionCode=PCP]",
            also=("documentationOf/serviceEvent/performer[functionCode=PP]",),
            read=_general_practitioners,
        ),
        FieldMapping(
            "managing_organization",
            "The office that keeps the record",
            f"{_ROLE}/providerOrganization",
            read=lambda role, doubts: organization(role.first("providerOrganization"), doubts),
        ),
    ),
    notes=(
        "An identifier with a root and no extension counts only where the root is a UUID.",
        "A social security number made of one digit is a placeholder and is left out.",
        "The word null, an empty element and a nullFlavor are no parts of a name.",
        "A birth name beside another family name in one name becomes a name of its own.",
    ),
)


def patient(role: Node, doubts: Doubts) -> Patient:
    """The person of a patientRole."""
    fields = {one.target: one.read(role, doubts) for one in PATIENT.fields if one.read is not None}
    found = Patient(**fields)
    if not any(name.family or name.text for name in found.names):
        doubts.add("patient-without-name", role)
    return found


def names_somebody(role: Node) -> bool:
    """Whether anything in a patientRole tells who this is."""
    unheard = Doubts()
    return bool(
        identifiers(role.all("id"), unheard)
        or names(role.all("patient/name"), unheard)
        or time(role.first("patient/birthTime"), unheard)
    )
