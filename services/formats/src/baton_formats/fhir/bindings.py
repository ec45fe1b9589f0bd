"""The required bindings of R4 that the reader checks, each with the codes of its value set (4.0.1)."""

from __future__ import annotations


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


REQUEST_STATUS = _codes("draft active on-hold revoked completed entered-in-error unknown")
REQUEST_INTENT = _codes(
    "proposal plan directive order original-order reflex-order filler-order instance-order option"
)
TASK_INTENT = REQUEST_INTENT | {"unknown"}
PRIORITY = _codes("routine urgent asap stat")
TASK_STATUS = _codes(
    "draft requested received accepted rejected ready cancelled in-progress on-hold failed completed "
    "entered-in-error"
)
APPOINTMENT_STATUS = _codes(
    "proposed pending booked arrived fulfilled cancelled noshow entered-in-error checked-in waitlist"
)
PARTICIPATION_STATUS = _codes("accepted declined tentative needs-action")
PARTICIPANT_REQUIRED = _codes("required optional information-only")
SLOT_STATUS = _codes("busy free busy-unavailable busy-tentative entered-in-error")
EVENT_STATUS = _codes("preparation in-progress not-done on-hold stopped completed entered-in-error unknown")
DOCUMENT_REFERENCE_STATUS = _codes("current superseded entered-in-error")
COMPOSITION_STATUS = _codes("preliminary final amended entered-in-error")
DIAGNOSTIC_REPORT_STATUS = _codes(
    "registered partial preliminary final amended corrected appended cancelled entered-in-error unknown"
)
COVERAGE_STATUS = _codes("active cancelled draft entered-in-error")
ENCOUNTER_STATUS = _codes(
    "planned arrived triaged in-progress onleave finished cancelled entered-in-error unknown"
)
COMPARATOR = _codes("< <= >= >")
GENDER = _codes("male female other unknown")
BUNDLE_TYPE = _codes(
    "document message transaction transaction-response batch batch-response history searchset collection "
    "subscription-notification"
)
