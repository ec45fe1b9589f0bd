"""What this door can do, told from the routes that are mounted, so that it cannot promise more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from baton_chassis.doors import RouteDeclaration

_PUBLISHED = "2026-11-22"


def capability_statement(mounted: Sequence[RouteDeclaration], *, base: str) -> dict[str, Any]:
    """A FHIR R4 CapabilityStatement of these routes below ``base``."""
    places = [(route.method, route.path.removeprefix(f"{base}/")) for route in mounted]
    reads = [
        path.removesuffix("/{id}") for method, path in places if method == "GET" and path.endswith("/{id}")
    ]
    operations = [
        path.removeprefix("$") for method, path in places if method == "POST" and path.startswith("$")
    ]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _PUBLISHED,
        "kind": "instance",
        "software": {"name": "Referral intake"},
        "implementation": {"description": "Takes referral messages and shows how far each referral has come"},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [
            {
                "mode": "server",
                "security": {"description": "OAuth 2.0 bearer tokens with SMART v2 system scopes"},
                "resource": [{"type": type_, "interaction": [{"code": "read"}]} for type_ in sorted(reads)],
                "operation": [
                    {
                        "name": name,
                        "definition": f"http://hl7.org/fhir/OperationDefinition/MessageHeader-{name}",
                    }
                    for name in operations
                ],
            }
        ],
    }
