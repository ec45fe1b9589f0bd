"""Findings as an OperationOutcome: what a FHIR door answers when it refuses, or has something to remark."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from baton_formats.fhir.compose import Json, filled
from baton_formats.findings import Finding, ReadResult

_ISSUE_TYPES = {
    "malformed-json": "structure",
    "malformed-xml": "structure",
    "duplicate-key": "structure",
    "not-utf-8": "structure",
    "lone-surrogate": "structure",
    "document-type": "security",
    "not-fhir": "structure",
    "too-deep": "too-costly",
    "list-too-long": "too-costly",
    "too-many-resources": "too-costly",
    "number-too-large": "value",
    "missing-required": "required",
    "message-without-header": "required",
    "document-without-composition": "required",
    "unknown-resource-type": "not-supported",
    "entry-not-carried-out": "not-supported",
    "value-left-aside": "not-supported",
    "do-not-perform": "business-rule",
    "implicit-rules": "not-supported",
    "several-subjects": "multiple-matches",
    "unknown-code": "code-invalid",
    "unknown-element": "structure",
    "wrong-type": "structure",
    "not-a-list": "structure",
    "unexpected-list": "structure",
    "empty-value": "value",
    "unreadable-time": "value",
    "broken-base64": "value",
    "npi-check-digit": "value",
    "period-backwards": "invariant",
    "empty-section": "invariant",
    "modifier-extension": "extension",
    "duplicate-id": "duplicate",
    "duplicate-full-url": "duplicate",
    "dangling-reference": "not-found",
    "other-server": "not-found",
    "other-version": "not-found",
    "ambiguous-reference": "multiple-matches",
    "fhir-stu3": "informational",
}


def outcome_of(result: ReadResult) -> bytes:
    """A whole reading as an OperationOutcome: refusing findings are errors, the others warnings."""
    issues = issues_of(result.all_findings)
    if result.reason is not None and not any(issue["severity"] == "error" for issue in issues):
        issues.insert(0, {"severity": "error", "code": "structure", "diagnostics": result.reason})
    well: Json = {"severity": "information", "code": "informational", "diagnostics": "All OK"}
    return orjson.dumps({"resourceType": "OperationOutcome", "issue": issues or [well]})


def issues_of(findings: Iterable[Finding]) -> list[Json]:
    """One issue a finding, the refusing ones first. The place is a FHIRPath, or line and column in words."""
    ordered = sorted(findings, key=lambda finding: not finding.refusing)
    return [_issue(finding) for finding in ordered]


def _issue(finding: Finding) -> Json:
    is_path = bool(finding.where) and not finding.where.startswith("line ")
    place = f" ({finding.where})" if finding.where and not is_path else ""
    return filled(
        severity="error" if finding.refusing else "warning",
        code=_ISSUE_TYPES.get(finding.code, "processing"),
        details={"text": finding.code},
        diagnostics=f"{finding.detail}{place}",
        expression=[finding.where] if is_path else None,
    )
