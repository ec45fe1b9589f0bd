"""Identity: uuid7 in canonical text (also a legal FHIR id), and ids derived from what caused them."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid5

import uuid_utils

Ids = Callable[[], str]
"""Gives a fresh id on every call."""

_SPACE = UUID("6f0d6a4e-6d0b-5d0a-9c3b-3b1c8a6f2f51")


def new_id() -> str:
    """A fresh uuid7 (RFC 9562) in canonical text: sorts by time of creation, to the millisecond."""
    return str(uuid_utils.uuid7())


def derived_id(*parts: str) -> str:
    """The same id for the same parts, on every machine (uuid5, RFC 9562)."""
    return str(uuid5(_SPACE, "\x1f".join(parts)))
