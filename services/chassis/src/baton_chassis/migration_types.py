"""How column types of this package are written into migrations: by their own name, not by what is below
them."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import TypeDecorator


def render_type(kind: str, thing: Any, _context: Any) -> str | Literal[False]:
    """Alembic's ``render_item``: ``database.Instant()`` for our decorators, its own way for everything
    else."""
    if kind == "type" and type(thing).__name__ == "AutoString":  # SQLModel's own name for a plain text
        return "sa.String()"
    ours = (
        kind == "type" and isinstance(thing, TypeDecorator) and type(thing).__module__.startswith(__package__)
    )
    return f"database.{type(thing).__name__}()" if ours else False
