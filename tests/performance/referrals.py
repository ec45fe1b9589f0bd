"""Referrals of invented patients, all distinct, about as large as real ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from load import post

from baton_chassis.tokens import Issuer

OFFICES = 40
PRACTICE = "demo"


def referral(key: str, number: int, *, office: int | None = None) -> dict[str, Any]:
    """One referral. ``office`` is one of a few by default; each office has its own mail address."""
    desk = number % OFFICES if office is None else office
    return {
        "source": {"system": "urn:example:bench", "id": f"{key}-{number}"},
        "priority": "routine",
        "specialty": {"system": "http://nucc.org/provider-taxonomy", "code": "207RC0000X",
                      "display": "Cardiovascular Disease"},
        "reasons": [
            {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "R07.9", "display": "Chest pain"},
            {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "I10", "display": "Hypertension"},
            {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E78.5", "display": "Hyperlipidemia"},
        ],
        "question": "Is stress testing needed before knee surgery? Pain on exertion for three weeks.",
        "requested_disposition": "written_report",
        "patient": {
            "identifiers": [{"system": "urn:example:bench:mrn", "value": f"{key}-{number}"}],
            "name": {"family": f"Testperson{number % 977}", "given": ["Ada", "Invented"]},
            "birth_date": f"19{10 + number % 90:02d}-0{1 + number % 9}-1{number % 10}",
            "gender": "female",
            "telecom": [{"system": "phone", "value": f"+1 555 01{number % 100:02d} {number % 9973:04d}"}],
            "address": {"lines": ["1 Example Street"], "city": "Springfield", "state": "OH",
                        "postal_code": "45501", "country": "US"},
        },
        "referrer": {
            "office": {
                "name": f"Invented Practice {desk}",
                "telecom": [{"system": "email", "value": f"desk{desk}@{key}.example"}],
            },
            "clinician": {"npi": "1234567893", "name": {"family": "Example", "given": ["Grace"]}},
            "reference": f"REF-{number}",
        },
        "coverage": [{"payer": {"name": "Invented Health Plan"}, "member_id": f"M{number:08d}"}],
        "authored_at": "2026-01-15T09:30:00+00:00",
    }  # fmt: skip


def requests(token: str, key: str, *, own_offices: bool = False) -> Iterator[bytes]:
    """POST requests for ever, no two for the same referral, each with an Idempotency-Key of its own."""
    headers = {"Authorization": f"Bearer {token}"}
    number = 0
    while True:
        number += 1
        body = json.dumps(referral(key, number, office=number if own_offices else None)).encode()
        yield post("/v1/referrals", body, {**headers, "Idempotency-Key": f"{key}-{number}"})


def token_of(data_dir: Path, practice: str) -> str:
    """An access token of the sandbox whose keys lie in ``data_dir``."""
    issuer = Issuer.embedded(data_dir / "issuer.pem", profile="dev")
    return issuer.issue(
        scopes=["referrals:read", "referrals:write"],
        practice=practice,
        ttl=timedelta(hours=4),
        subject="bench",
        client_id="bench",
    )
