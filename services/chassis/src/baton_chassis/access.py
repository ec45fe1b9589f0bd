"""Who is at the door and what they may do: principals, scopes, and the two ways of saying no."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from baton_chassis.errors import Refused

_SMART = re.compile(r"(system|user|patient)/([A-Za-z]+|\*)\.(c?r?u?d?s?)")
_SMART_V1 = {"read": "rs", "write": "cud", "*": "cruds"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Whoever proved who they are. ``practice_id`` is the only source of the tenant; ``assertion`` is whose
    word it is when they report something (``human`` for people, ``pms`` for a program that speaks for
    itself)."""

    subject: str
    client_id: str
    practice_id: str
    scopes: frozenset[str]
    assertion: str = "human"


class Unauthenticated(Refused):
    """No token, or none that counts. One sentence for every reason, so that nothing can be learned from
    it."""

    code = "unauthenticated"

    def __init__(self, *, offered: bool) -> None:
        super().__init__("Send a valid access token as `Authorization: Bearer`.")
        challenge = 'Bearer realm="api"' + (', error="invalid_token"' if offered else "")
        self.headers = (("WWW-Authenticate", challenge),)


class Forbidden(Refused):
    """The token is good but lacks the scope."""

    code = "forbidden"

    def __init__(self, *, scope: str) -> None:
        super().__init__("The token lacks the scope that this needs.")
        self.headers = (
            ("WWW-Authenticate", f'Bearer realm="api", error="insufficient_scope", scope="{scope}"'),
        )


def granted(held: Collection[str], wanted: str) -> bool:
    """True when the scopes ``held`` allow ``wanted``.

    Native scopes (``referrals:read``) match to the letter. SMART App Launch 2.2 scopes match by resource and
    by letters: ``system/Task.cruds`` grants ``system/Task.r``; ``system/*.rs`` grants it too; the letters
    must stand in the order c-r-u-d-s; the v1 words read, write and * are understood in what is held.
    """
    if wanted in held:
        return True
    need = _smart(wanted)
    return need is not None and any(_covers(_smart(scope), need) for scope in held)


def _smart(scope: str) -> tuple[str, str, frozenset[str]] | None:
    level, dot, letters = scope.rpartition(".")
    found = _SMART.fullmatch(f"{level}{dot}{_SMART_V1.get(letters, letters)}")
    if found is None or not found[3]:
        return None
    return found[1], found[2], frozenset(found[3])


def _covers(held: tuple[str, str, frozenset[str]] | None, need: tuple[str, str, frozenset[str]]) -> bool:
    return held is not None and held[0] == need[0] and held[1] in (need[1], "*") and held[2] >= need[2]
