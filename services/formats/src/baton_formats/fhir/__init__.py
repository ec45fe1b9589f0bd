"""FHIR R4 and STU3, JSON and XML: bytes read into facts, facts written as resources and Bundles."""

from baton_formats.fhir.reader import MAPPINGS, read, read_value

__all__ = ["MAPPINGS", "read", "read_value"]
