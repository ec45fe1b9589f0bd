"""By what a referral can be found again when only the patient is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from baton_intake.domain.identity import digits, folded
from baton_intake.domain.request import HumanName, Patient

_PREFIX = 3


@dataclass(slots=True, kw_only=True)
class LookupTerm:
    """One term under which a referral is found. ``term`` is plain here and stored only as a search token."""

    id: str
    referral_id: str
    term: str | None
    version: int = 0
    events: list[Any] = field(default_factory=list)


def lookup_terms(referral_id: str, patient: Patient) -> list[LookupTerm]:
    """Every term of the patient, each once: names with and without birth date, phones, record numbers."""
    return [
        LookupTerm(id=f"{referral_id}.{number}", referral_id=referral_id, term=term)
        for number, term in enumerate(patient_terms(patient), start=1)
    ]


def patient_terms(patient: Patient) -> tuple[str, ...]:
    """Every term by which this patient can be looked up, each once."""
    return tuple(dict.fromkeys(_terms(patient)))


def family_term(family: str) -> str:
    """A family name."""
    return f"family\x1f{folded(family)}"


def prefix_term(family: str) -> str:
    """The first three letters of a family name."""
    return f"prefix\x1f{folded(family)[:_PREFIX]}"


def birth_term(family: str, birth_date: str) -> str:
    """A family name with a birth date as precise as it is known."""
    return f"birth\x1f{folded(family)}\x1f{birth_date}"


def phone_term(number: str) -> str:
    """A telephone number, however it is written."""
    return f"phone\x1f{digits(number)}"


def number_term(system: str, value: str) -> str:
    """A record number in its system."""
    return f"number\x1f{system}\x1f{value.strip()}"


def _terms(patient: Patient) -> Iterable[str]:
    for name in (patient.name, *patient.other_names):
        yield from _name_terms(name, patient.birth_date)
    for point in patient.telecom:
        if point.system in ("phone", "sms") and digits(point.value):
            yield phone_term(point.value)
    for identifier in patient.identifiers:
        if identifier.value.strip():
            yield number_term(identifier.system, identifier.value)


def _name_terms(name: HumanName, birth_date: str) -> Iterable[str]:
    if folded(name.family):
        yield family_term(name.family)
        yield prefix_term(name.family)
        if birth_date:
            yield birth_term(name.family, birth_date)
