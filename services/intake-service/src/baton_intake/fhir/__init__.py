"""The FHIR door of intake: messages as partners send them, and our own record in FHIR words."""

from baton_intake.fhir.routes import routes

__all__ = ["routes"]
