"""By what a referral can be found again when only the patient is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from baton_intake.domain.identity import digits, folded
from baton_intake.domain.request import ExternalKey, HumanName, Patient


@dataclass(slots=True, kw_only=True)
class LookupEntry:
    """Some of a patient's names and numbers, each plain here and stored only as a search token.

    Names stand with their birth date in ``family_birth`` too. A patient with two telephones has two entries.
    """

    id: str
    referral_id: str
    family: str | None = None
    prefix: str | None = None
    family_birth: str | None = None
    phone: str | None = None
    record_number: str | None = None
    version: int = 0
    events: list[Any] = field(default_factory=list)


def lookup_entries(referral_id: str, patient: Patient) -> list[LookupEntry]:
    """As few entries as hold every name, telephone and record number of the patient."""
    families = dict.fromkeys(_family(name) for name in (patient.name, *patient.other_names))
    phones = dict.fromkeys(
        digits(point.value) for point in patient.telecom if point.system in ("phone", "sms")
    )
    numbers = dict.fromkeys(record_number(key) for key in patient.identifiers if key.value.strip())
    rows = zip_longest(filter(None, families), filter(None, phones), numbers)
    return [
        LookupEntry(
            id=f"{referral_id}.{number}",
            referral_id=referral_id,
            family=family,
            prefix=family,
            family_birth=family_birth(family, patient.birth_date) if family and patient.birth_date else None,
            phone=phone,
            record_number=record,
        )
        for number, (family, phone, record) in enumerate(rows, start=1)
    ]


def family_birth(family: str, birth_date: str) -> str:
    """A family name with a birth date as precise as it is known."""
    return f"{folded(family)} {birth_date}"


def record_number(key: ExternalKey) -> str:
    """A record number in its system."""
    return f"{key.system}|{key.value.strip()}"


def _family(name: HumanName) -> str:
    return folded(name.family)
