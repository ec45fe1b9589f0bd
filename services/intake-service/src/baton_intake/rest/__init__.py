"""The native door of intake: JSON over HTTP, strict."""

from baton_intake.rest.routes import routes

__all__ = ["routes"]
