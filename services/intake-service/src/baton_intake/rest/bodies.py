"""What clients send to the native doors, and the request it stands for."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from baton_chassis.doors import Body, Instant
from baton_contracts.codes import Priority, RequestedDisposition
from baton_intake.domain import request as words
from baton_intake.domain.addresses import is_address
from baton_intake.domain.identity import digits
from baton_intake.domain.npi import is_npi
from baton_intake.rest.text import (
    Code,
    FreeText,
    KeyValue,
    Line,
    Npi,
    PartialDate,
    PartialTime,
    Reference,
    Said,
    System,
)

_Many = Field(max_length=50)


class KeyBody(Body):
    """A key with its naming system."""

    system: System
    id: KeyValue


class IdentifierBody(Body):
    """A number with the system it lives in; an NPI must have a good check digit."""

    system: System
    value: Said

    @model_validator(mode="after")
    def _npi_checks(self) -> Self:
        if self.system == words.NPI_SYSTEM and not is_npi(self.value):
            raise PydanticCustomError(
                "not-an-npi", "Send ten digits whose check digit holds, or leave the NPI out."
            )
        return self

    def key(self) -> words.ExternalKey:
        """The same in the words of the domain."""
        return words.ExternalKey(system=self.system, value=self.value)


class CodingBody(Body):
    """One code."""

    code: Code
    system: Annotated[str, Field(max_length=256)] = ""
    display: Line = ""

    def coding(self) -> words.Coding:
        """The same in the words of the domain."""
        return words.Coding(code=self.code, system=self.system, display=self.display)


class NameBody(Body):
    """A person's name, possibly empty."""

    family: Line = ""
    given: Annotated[tuple[Said, ...], Field(max_length=10)] = ()

    def name(self) -> words.HumanName:
        """The same in the words of the domain."""
        return words.HumanName(family=self.family.strip(), given=self.given)


class PatientNameBody(NameBody):
    """The patient's name: the family name is the least that must be known."""

    family: Said


class _Reachable(Body):
    value: Said
    use: Literal["", "home", "work", "temp", "old", "mobile"] = ""

    def _check(self, system: str) -> None:
        if not is_address(system, self.value):
            raise PydanticCustomError(
                "not-an-address",
                "Send one e-mail address, one number or one http(s) URL, as the system says.",
            )


class PatientContactBody(_Reachable):
    """How the patient is reached."""

    system: Literal["phone", "email"]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self._check(self.system)
        return self

    def point(self) -> words.ContactPoint:
        """The same in the words of the domain."""
        return words.ContactPoint(system=self.system, value=self.value, use=self.use)


class OfficeContactBody(_Reachable):
    """How the office is reached."""

    system: Literal["email", "phone", "fax", "url", "sms"]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self._check(self.system)
        return self

    def point(self) -> words.ContactPoint:
        """The same in the words of the domain."""
        return words.ContactPoint(system=self.system, value=self.value, use=self.use)


class AddressBody(Body):
    """A postal address, possibly empty."""

    lines: Annotated[tuple[Line, ...], Field(max_length=10)] = ()
    city: Line = ""
    state: Line = ""
    postal_code: Line = ""
    country: Line = ""

    def address(self) -> words.Address | None:
        """The same in the words of the domain; None where nothing was said."""
        said = words.Address(
            lines=tuple(line for line in self.lines if line.strip()),
            city=self.city,
            state=self.state,
            postal_code=self.postal_code,
            country=self.country,
        )
        return said if said != words.Address() else None


class PatientBody(Body):
    """The person who is referred."""

    identifiers: Annotated[tuple[IdentifierBody, ...], _Many] = ()
    name: PatientNameBody
    birth_date: PartialDate = ""
    gender: Literal["", "male", "female", "other", "unknown"] = ""
    telecom: Annotated[tuple[PatientContactBody, ...], _Many] = ()
    address: AddressBody | None = None

    def patient(self) -> words.Patient:
        """The same in the words of the domain."""
        return words.Patient(
            name=self.name.name(),
            identifiers=tuple(identifier.key() for identifier in self.identifiers),
            birth_date=self.birth_date,
            gender=self.gender,
            telecom=tuple(point.point() for point in self.telecom),
            address=self.address.address() if self.address else None,
        )


class OfficeBody(Body):
    """The referring office."""

    name: Said
    identifiers: Annotated[tuple[IdentifierBody, ...], _Many] = ()
    telecom: Annotated[tuple[OfficeContactBody, ...], _Many] = ()

    def office(self) -> words.Office:
        """The same in the words of the domain."""
        return words.Office(
            name=self.name.strip(),
            identifiers=tuple(identifier.key() for identifier in self.identifiers),
            telecom=tuple(point.point() for point in self.telecom),
        )


class ClinicianBody(Body):
    """The referring clinician."""

    npi: Npi = ""
    name: NameBody = NameBody()

    def clinician(self) -> words.Clinician | None:
        """The same in the words of the domain; None where nothing was said."""
        said = words.Clinician(npi=self.npi, name=self.name.name())
        return said if said != words.Clinician() else None


class ReferrerBody(Body):
    """Who refers, and the number under which they file it."""

    office: OfficeBody
    clinician: ClinicianBody | None = None
    reference: Reference = ""

    def referrer(self) -> words.Referrer:
        """The same in the words of the domain."""
        clinician = self.clinician.clinician() if self.clinician else None
        return words.Referrer(office=self.office.office(), clinician=clinician, reference=self.reference)


class PayerIdentifierBody(Body):
    """The payer's number, possibly empty."""

    system: Line = ""
    value: Line = ""

    def key(self) -> words.ExternalKey | None:
        """The same in the words of the domain; None where nothing was said."""
        return words.ExternalKey(system=self.system, value=self.value) if self.value else None


class PayerBody(Body):
    """Who pays."""

    name: Line = ""
    identifier: PayerIdentifierBody | None = None

    def payer(self) -> words.Payer:
        """The same in the words of the domain."""
        return words.Payer(name=self.name, identifier=self.identifier.key() if self.identifier else None)


class CoverageBody(Body):
    """One insurance."""

    payer: PayerBody = PayerBody()
    member_id: Line = ""
    plan: Line = ""

    def coverage(self) -> words.Coverage:
        """The same in the words of the domain."""
        return words.Coverage(payer=self.payer.payer(), member_id=self.member_id, plan=self.plan)


class NewReferral(Body):
    """A referral as a practice system or an office sends it."""

    source: KeyBody
    priority: Annotated[Priority, Field(strict=False)] = Priority.ROUTINE
    specialty: CodingBody | None = None
    reasons: Annotated[tuple[CodingBody, ...], _Many] = ()
    reason_text: FreeText = ""
    question: FreeText = ""
    requested_disposition: Annotated[RequestedDisposition, Field(strict=False)] | None = None
    patient: PatientBody
    referrer: ReferrerBody
    coverage: Annotated[tuple[CoverageBody, ...], _Many] = ()
    authored_at: PartialTime | None = None
    expires_at: PartialTime | None = None

    def request(self) -> words.ReferralRequest:
        """The same in the words of the domain."""
        return words.ReferralRequest(
            patient=self.patient.patient(),
            referrer=self.referrer.referrer(),
            priority=self.priority.value,
            specialty=self.specialty.coding() if self.specialty else None,
            reasons=tuple(reason.coding() for reason in self.reasons),
            reason_text=self.reason_text,
            question=self.question,
            requested_disposition=self.requested_disposition.value if self.requested_disposition else "",
            coverage=tuple(coverage.coverage() for coverage in self.coverage),
            authored_at=self.authored_at or "",
            expires_at=self.expires_at or "",
        )


class RedirectBody(IdentifierBody):
    """Whom the patient was sent to instead, by a key that may be published."""

    value: KeyValue


class VerbBody(Body):
    """What every verb takes. ``reason`` is a published code; ``text`` is for people and stays sealed."""

    reason: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")] | None = None
    text: FreeText = ""
    occurred_at: Instant | None = None


class DeclineBody(VerbBody):
    """A decline may name where the patient was sent instead."""

    redirected_to: RedirectBody | None = None


class PatientTerms(Body):
    """Whom to look for: a family name, its first letters, a birth date with either, a phone or a record
    number.
    """

    family: Said | None = None
    family_prefix: Annotated[Said, Field(min_length=3)] | None = None
    birth_date: PartialDate = ""
    phone: Line = ""
    identifier: IdentifierBody | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    after: Annotated[str, Field(max_length=1024)] | None = None

    @model_validator(mode="after")
    def _something_to_go_by(self) -> Self:
        if not (self.family or self.family_prefix or digits(self.phone) or self.identifier):
            raise PydanticCustomError("too-few-terms", "Send family, family_prefix, phone or identifier.")
        if self.birth_date and not self.family:
            raise PydanticCustomError("too-few-terms", "Send family with birth_date.")
        return self
