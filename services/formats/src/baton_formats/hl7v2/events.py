"""Which event a message is written with: one its code knows, and one that says what the fact says."""

from __future__ import annotations

# The first event of each is written unless the envelope names another of them. An empty first one means
# that the action alone does not tell the event.
_EVENTS: dict[str, dict[str, tuple[str, ...]]] = {
    "REF": {
        "new": ("I12",),
        "update": ("I13",),
        "accept": ("I13",),
        "decline": ("I13",),
        "status": ("I13",),
        "cancel": ("I14",),
        "query": ("I15",),
    },
    "RRI": {"cancel": ("I14",)}
    | dict.fromkeys(("new", "update", "accept", "decline", "status", "query"), ("I12", "I13", "I15")),
    "SIU": {
        "booked": ("S12",),
        "rescheduled": ("S13",),
        "cancelled": ("S15",),
        "discontinued": ("S16",),
        "deleted": ("S17",),
        "no_show": ("S26",),
    }
    | dict.fromkeys(
        ("modified", "arrived", "completed", "status"), ("S14", "S18", "S19", "S20", "S21", "S22")
    ),
    "MDM": {
        "notice": ("T01",),
        "new": ("T02",),
        "status": ("T03", "T04"),
        "addendum": ("T06", "T05"),
        "edit": ("T08", "T07"),
        "replace": ("T10", "T09"),
        "cancel": ("T11",),
    },
    "patient_change": {
        "add": ("A28",),
        "update": ("A31", "A08"),
        "merge": ("A40",),
        "delete": ("A29", "A23"),
    },
    "arrival": {
        "arrived": ("A04",),
        "admitted": ("A01",),
        "finished": ("A03",),
        "cancelled": ("A11",),
        "status": ("", "A02", "A05", "A06", "A07", "A10", "A12", "A13", "A14"),
    },
}
_ORDER_EVENTS = {"OMG": "O19", "OSU": "O51", "ORM": "O01"}
_REFERRAL_ACTIONS = frozenset(_EVENTS["REF"])
# HL7 v2.5.1 appendix A and table 0354, where the structure is not named after the event.
_STRUCTURES = {"REF": "REF_I12", "RRI": "RRI_I12", "SIU": "SIU_S12"}
_ADT_STRUCTURES = {
    "A04": "ADT_A01",
    "A07": "ADT_A06",
    "A08": "ADT_A01",
    "A10": "ADT_A09",
    "A11": "ADT_A09",
    "A13": "ADT_A01",
    "A14": "ADT_A05",
    "A23": "ADT_A21",
    "A28": "ADT_A05",
    "A29": "ADT_A21",
    "A31": "ADT_A05",
    "A40": "ADT_A39",
}
WITHOUT_CONTENT = frozenset(("T01", "T03", "T05", "T07", "T09", "T11"))


def event_for(kind: str, action: str, asked: str | None) -> str:
    """The event that says ``action``: the one ``asked`` for if it does, else the usual one.

    ``kind`` is the code of the message; in ADT, which has two kinds of fact, that of the fact. Raises
    ValueError where no event of that kind says it.
    """
    if kind in _ORDER_EVENTS and action in _REFERRAL_ACTIONS:
        return _ORDER_EVENTS[kind]
    fitting = _EVENTS.get(kind, {}).get(action, ("",))
    event = asked if asked and asked in fitting else fitting[0]
    if not event:
        raise ValueError(f"action: no {kind} event of HL7 v2 says it")
    return event


def structure_of(code: str, event: str) -> str:
    """MSH-9.3 of a message of this code and event."""
    if code == "MDM":
        return "MDM_T01" if event in WITHOUT_CONTENT else "MDM_T02"
    if code == "ADT":
        return _ADT_STRUCTURES.get(event, f"ADT_{event}")
    return _STRUCTURES.get(code, f"{code}_{event}")


__all__ = ["WITHOUT_CONTENT", "event_for", "structure_of"]
