"""Every no of the FHIR door, and every doubt, as an OperationOutcome (FHIR R4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from baton_chassis.problems import Problem
from baton_intake.domain.artifact import Finding

FHIR_JSON = "application/fhir+json"

_ISSUE_TYPES = {
    "malformed-json": "structure",
    "bad-request": "invalid",
    "unauthenticated": "login",
    "forbidden": "forbidden",
    "not-found": "not-found",
    "request-timeout": "timeout",
    "illegal-transition": "business-rule",
    "in-flight": "conflict",
    "version-mismatch": "conflict",
    "too-large": "too-long",
    "unsupported-media-type": "not-supported",
    "validation-failed": "invalid",
    "key-reused": "conflict",
    "rate-limited": "throttled",
    "busy": "transient",
    "internal": "exception",
}
"""Problem codes in the words of http://hl7.org/fhir/issue-type."""


def as_outcome(problem: Problem, _accept: str) -> tuple[str, bytes]:
    """How this door writes a problem: media type and body."""
    kind = _ISSUE_TYPES.get(problem.type.code, "processing")
    issues = [_issue("error", kind, fault.code, fault.pointer, fault.detail) for fault in problem.faults]
    if not issues:
        issues = [_issue("error", kind, problem.type.code, "", problem.detail or problem.type.explanation)]
    return FHIR_JSON, orjson.dumps({"resourceType": "OperationOutcome", "issue": issues})


def doubts(findings: Iterable[Finding], *, id: str) -> dict[str, Any] | None:
    """What was doubtful about a message that was taken; None where nothing was."""
    issues = [_issue("warning", "informational", found.code, found.where, found.detail) for found in findings]
    return {"resourceType": "OperationOutcome", "id": id, "issue": issues} if issues else None


def _issue(severity: str, kind: str, code: str, where: str, detail: str) -> dict[str, Any]:
    issue: dict[str, Any] = {
        "severity": severity,
        "code": kind,
        "details": {"coding": [{"system": "urn:findings", "code": code}], "text": detail},
    }
    if where.startswith("line "):
        issue["location"] = [where]
    elif where:
        issue["expression"] = [where]
    return issue
