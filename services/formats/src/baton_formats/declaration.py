"""How one field of a message is declared: the reader runs it, the mapping page prints it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from baton_formats.findings import Format


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """Where one field of a fact comes from.

    ``target`` is the field of the fact (``reasons``, ``referrer.organization``); ``meaning`` says it in the
    words of a practice; ``path`` is the place it is read from first (``ServiceRequest.reasonCode``,
    ``RF1-6``, ``patientRole/patient/name``); ``also`` are the places looked at next, in order; ``findings``
    are the codes that reading it can raise. ``read`` is the function the reader runs, whose arguments are the
    reader's own business.
    """

    target: str
    meaning: str
    path: str
    also: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    read: Callable[..., Any] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class MessageMapping:
    """All fields of one fact as one message, resource or section carries them.

    ``message`` is what people of the format call it (``REF^I12``, ``ServiceRequest``, ``Referral Note``),
    ``fact`` the kind of fact it becomes, ``source`` the standard and section the rules come from, ``notes``
    what a reader of the page should know that no single field says. Each format package offers its tables as
    ``MAPPINGS: tuple[MessageMapping, ...]``.
    """

    format: Format
    message: str
    fact: str
    source: str
    fields: tuple[FieldMapping, ...]
    notes: tuple[str, ...] = ()
