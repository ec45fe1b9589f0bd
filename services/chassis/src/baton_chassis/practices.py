"""The practices of an installation, from one file: who they are, when they are open, how to call them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from baton_chassis.settings import Misconfigured

DEMO_PRACTICE = "01920000-0000-7000-8000-000000000001"
"""The id of the practice that development makes when no file names any."""

_WORD = re.compile(r"[\x21-\x7e]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Practice:
    """One practice: the tenant. ``policies`` are free keys that services read."""

    id: str
    name: str
    phone: str | None = None
    time_zone: str = "America/New_York"
    opening_hours: Mapping[str, Any] = field(default_factory=dict)
    holidays: str | None = None
    policies: Mapping[str, Any] = field(default_factory=dict)


class Practices:
    """All practices by id."""

    def __init__(self, practices: Mapping[str, Practice]) -> None:
        self._practices = practices

    def find(self, practice_id: str) -> Practice | None:
        """The practice, or None where the file does not name it."""
        return self._practices.get(practice_id)

    def name(self, practice_id: str) -> str:
        """The name as offices know it; a neutral one for a practice nobody named."""
        found = self._practices.get(practice_id)
        return found.name if found else "Your specialist practice"

    def phone(self, practice_id: str) -> str | None:
        """The number offices may call."""
        found = self._practices.get(practice_id)
        return found.phone if found else None

    @property
    def ids(self) -> tuple[str, ...]:
        """Every practice's id, in the order of the file."""
        return tuple(self._practices)


def read_practices(path: Path | None) -> Practices:
    """The practices in a TOML file with a table ``[practice.ID]`` each; without a file, one for development.

    Raises ``Misconfigured`` with the place of every mistake.
    """
    if path is None:
        demo = Practice(id=DEMO_PRACTICE, name="Riverside Specialty Group (demo)", phone="+1 555 0100")
        return Practices({demo.id: demo})
    try:
        tables = tomllib.loads(path.read_text()).get("practice", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Misconfigured(f"BATON_PRACTICES: {path} cannot be read: {type(error).__name__}") from None
    mistakes = [mistake for id, table in tables.items() for mistake in _mistakes(id, table)]
    if not tables:
        mistakes.append("BATON_PRACTICES: write at least one table [practice.ID].")
    if mistakes:
        raise Misconfigured(*mistakes)
    return Practices({id: Practice(id=id, **table) for id, table in tables.items()})


_KINDS: Mapping[str, type] = {
    "name": str,
    "phone": str,
    "time_zone": str,
    "opening_hours": dict,
    "holidays": str,
    "policies": dict,
}


def _mistakes(id: str, table: Any) -> list[str]:
    where = f"BATON_PRACTICES: [practice.{id}]"
    if not _WORD.fullmatch(id) or not isinstance(table, dict):
        return ["BATON_PRACTICES: name each practice by an id of visible characters: [practice.ID]."]
    found = [f"{where} does not know {key}." for key in table if key not in _KINDS]
    found += [
        f"{where} {key} has the wrong type."
        for key, kind in _KINDS.items()
        if key in table and not isinstance(table[key], kind)
    ]
    if not table.get("name"):
        found.append(f"{where} needs a name.")
    if isinstance(table.get("time_zone"), str) and not _is_zone(table["time_zone"]):
        found.append(f"{where} time_zone is none that is known: write one like America/Chicago.")
    return found


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return False
    return True
