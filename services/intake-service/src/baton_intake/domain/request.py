"""The request as it came: who is referred, by whom, for what, and who pays. Values only, in the field's own
words.
"""

from __future__ import annotations

from dataclasses import dataclass

NPI_SYSTEM = "http://hl7.org/fhir/sid/us-npi"
"""The FHIR naming system of US National Provider Identifiers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalKey:
    """How another system names a thing: a naming system and the value there."""

    system: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """One code of one code system, with the sender's words for it."""

    code: str
    system: str = ""
    display: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanName:
    """A person's name; ``family`` may be empty only where the sender gave nothing else to go by."""

    family: str = ""
    given: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactPoint:
    """One way to reach somebody: a FHIR ContactPoint system (phone, email, fax, url, sms, ...) and the
    address.
    """

    system: str
    value: str
    use: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A postal address."""

    lines: tuple[str, ...] = ()
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """The person who is referred. ``birth_date`` is as precise as it was given: YYYY, YYYY-MM or YYYY-MM-DD.

    ``other_names`` are names beside ``name`` (maiden, former): people are looked up by every name they had.
    """

    name: HumanName
    other_names: tuple[HumanName, ...] = ()
    identifiers: tuple[ExternalKey, ...] = ()
    birth_date: str = ""
    gender: str = ""
    telecom: tuple[ContactPoint, ...] = ()
    address: Address | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """The business identity of the referring office; nothing here is about a patient."""

    name: str
    identifiers: tuple[ExternalKey, ...] = ()
    telecom: tuple[ContactPoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Clinician:
    """The referring clinician; ``npi`` only with a check digit that holds."""

    npi: str = ""
    name: HumanName = HumanName()


@dataclass(frozen=True, slots=True, kw_only=True)
class Referrer:
    """Who asks: the office, the clinician there, and the number under which they file the request."""

    office: Office
    clinician: Clinician | None = None
    reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """Who pays."""

    name: str = ""
    identifier: ExternalKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """One insurance of the patient."""

    payer: Payer = Payer()
    member_id: str = ""
    plan: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralRequest:
    """What the sender asked. Times are ISO 8601 text exactly as precise as they were given."""

    patient: Patient
    referrer: Referrer
    priority: str = "routine"
    specialty: Coding | None = None
    reasons: tuple[Coding, ...] = ()
    reason_text: str = ""
    question: str = ""
    requested_disposition: str = ""
    coverage: tuple[Coverage, ...] = ()
    authored_at: str = ""
    expires_at: str = ""
