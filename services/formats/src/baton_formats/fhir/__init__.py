"""FHIR R4 and STU3, JSON and XML: bytes read into facts, facts written as resources and Bundles."""

from baton_formats.fhir.details import DETAILS
from baton_formats.fhir.outcomes import issues_of, outcome_of
from baton_formats.fhir.reader import MAPPINGS, read, read_value
from baton_formats.fhir.telling import MOMENTS, Telling, tell, told_task
from baton_formats.fhir.write_documents import provenance
from baton_formats.fhir.writer import Written, compose, write

__all__ = [
    "DETAILS",
    "MAPPINGS",
    "MOMENTS",
    "Telling",
    "Written",
    "compose",
    "issues_of",
    "outcome_of",
    "provenance",
    "read",
    "read_value",
    "tell",
    "told_task",
    "write",
]
