"""Places where a test may end the process at once, to see what survives. Nothing happens unless one is
armed."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Armed:
    name: str
    at: int
    passes: Iterator[int]


_names: dict[str, str] = {
    "writer.before_commit": "the batch is written, its transaction is not committed",
    "writer.after_commit": "the batch is committed, no caller has heard of it",
    "relay.after_send": "the log has acknowledged the events, they still lie in the outbox",
    "consumer.after_commit": "the batch is applied and its offset committed, the log has not heard of it",
}
_armed: _Armed | None = None


def declare(name: str, sentence: str) -> str:
    """Make a service's own ``name`` known, at import of the module that passes it; ``sentence`` says where it
    is."""
    _names[name] = sentence
    return name


def declared() -> Mapping[str, str]:
    """Every fail point of the modules that were imported, with its sentence."""
    return dict(sorted(_names.items()))


def arm(setting: str) -> None:
    """Have the process killed (SIGKILL: no cleanup, no flush) at the n-th pass of ``name:n``.

    Raises ``ValueError`` for a name that nobody declared or a count below one. Only where the profile allows
    it.
    """
    global _armed
    name, _, count = setting.partition(":")
    if name not in _names or not count.isascii() or not count.isdigit() or int(count) < 1:
        raise ValueError(f"write name:n with one of: {', '.join(declared())}")
    _armed = _Armed(name, int(count), itertools.count(1))


def failpoint(name: str) -> None:
    """Pass a fail point."""
    if _armed is None or _armed.name != name:
        return
    if next(_armed.passes) == _armed.at:  # next() on a count is one step, also between threads
        os.kill(os.getpid(), signal.SIGKILL)
