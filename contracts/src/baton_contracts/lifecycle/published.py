"""The lifecycle and the codes as plain data, for those who do not read Python."""

from collections.abc import Collection
from enum import StrEnum
from typing import Any

from baton_contracts import codes
from baton_contracts.lifecycle.hearing import TABLE, Row
from baton_contracts.lifecycle.profiles import PROFILES
from baton_contracts.lifecycle.states import ACTIVE, AppointmentStatus, Flag, Stage, State
from baton_contracts.lifecycle.verbs import RULES, Rule, Verb, reasons


def published_codes() -> dict[str, Any]:
    """Every vocabulary with its meaning and values, and the reasons that each event and verb may carry."""
    return {
        "vocabularies": {
            vocabulary.__name__: {
                "meaning": (vocabulary.__doc__ or "").strip(),
                "values": _values(vocabulary),
            }
            for vocabulary in codes.VOCABULARIES
        },
        "reasons_by_event": {type_.value: _values(reason) for type_, reason in codes.REASONS.items()},
        "reasons_by_verb": {verb.value: list(reasons(verb)) for verb in Verb if reasons(verb)},
    }


def published_lifecycle() -> dict[str, Any]:
    """States, stages, flags, the legality of verbs, partner profiles and the table of who hears of what."""
    return {
        "states": [{"name": state.value, "active": state in ACTIVE} for state in State],
        "stages": _values(Stage),
        "flags": _values(Flag),
        "appointment_statuses": _values(AppointmentStatus),
        "verbs": [_verb(verb, rule) for verb, rule in RULES.items()],
        "partner_profiles": [
            {"name": one.name, "cancels": one.cancels.value, "reopens": _sorted(one.reopens)}
            for one in PROFILES.values()
        ],
        "who_hears": [_row(row) for row in TABLE],
    }


def _verb(verb: Verb, rule: Rule) -> dict[str, Any]:
    return {
        "verb": verb.value,
        "states": [state.value for state in State if state in rule.states],
        "parties": _sorted(rule.parties),
        "reason_required": rule.reason_required,
    }


def _row(row: Row) -> dict[str, Any]:
    conditions = {
        "before": row.before,
        "after": row.after,
        "reasons": row.reasons,
        "kinds": row.kinds,
        "changed": row.changed,
        "told": row.told,
    }
    return {
        "event": row.event.value,
        "urgency": row.urgency.value,
        "template": row.template.value if row.template else None,
        "when": {name: _sorted(values) for name, values in conditions.items() if values is not None},
    }


def _values(vocabulary: type[StrEnum]) -> list[str]:
    return [member.value for member in vocabulary]


def _sorted(values: Collection[str]) -> list[str]:
    return sorted(str(value) for value in values)
