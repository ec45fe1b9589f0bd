"""What can go wrong, by name; doors turn these into answers, loops into patience.

    ChassisError
    ├── Refused              the answer is no, and stays no until something changes (4xx)
    │   ├── NotFound             no such thing for this practice
    │   ├── Invalid              the words are wrong; names the place of each fault
    │   ├── VersionMismatch      If-Match named an older version
    │   ├── KeyReused            an Idempotency-Key came back with another request
    │   └── InFlight             the first request with this key is still being decided
    ├── NotYetKnown          a command named something whose arrival is still to come (it waits)
    ├── Busy                 try again: database, log or a newer row version (503, or the partition pauses)
    │   ├── Contended            somebody else wrote first, more often than we retry
    │   └── Unavailable          a dependency does not answer
    └── Poison               this event can never be applied by this code (its key is parked)

A domain's own refusals do not derive from here (a domain knows the standard library only): any exception
class with the string attributes ``code`` and ``detail`` is treated as ``Refused``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class ChassisError(Exception):
    """Root of everything this package raises on purpose."""


class Refused(ChassisError):
    """The answer is no. ``code`` is stable and public, ``detail`` says the remedy and holds no patient
    data.
    """

    code = "illegal-transition"

    def __init__(self, detail: str, *, code: str | None = None, pointer: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer
        if code is not None:
            self.code = code


class NotFound(Refused):
    """Nothing of that id exists for this practice (another practice's things look the same)."""

    code = "not-found"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault in what was sent: a JSON pointer, a stable code, a sentence with the remedy (never the
    value).
    """

    pointer: str
    code: str
    detail: str


class Invalid(Refused):
    """The words are wrong; ``faults`` names each place."""

    code = "validation-failed"

    def __init__(
        self, faults: Sequence[Fault], *, detail: str = "The request does not fit its description."
    ) -> None:
        super().__init__(detail)
        self.faults = tuple(faults)


class VersionMismatch(Refused):
    """``If-Match`` named a version that is not the current one."""

    code = "version-mismatch"

    def __init__(self, *, current: int) -> None:
        super().__init__("The thing has changed since you read it. Read it again and repeat.")
        self.current = current


class KeyReused(Refused):
    """An ``Idempotency-Key`` was used before with another request."""

    code = "key-reused"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used with another request. Use a new key for a new request."
        )


class InFlight(Refused):
    """The first request with this key has not been answered yet."""

    code = "in-flight"

    def __init__(self) -> None:
        super().__init__(
            "The first request with this Idempotency-Key is still being decided. Repeat shortly."
        )


class NotYetKnown(ChassisError):
    """A command names something by an external key that nothing here answers to yet.

    The dispatcher keeps the command in the waiting room under (space, system, value) and runs it when
    ``Work.arrived`` binds that key.
    """

    def __init__(self, *, space: str, system: str, value: str) -> None:
        super().__init__(f"nothing in {space!r} answers to that key yet")
        self.space = space
        self.system = system
        self.value = value


class Busy(ChassisError):
    """Not now; the same request may succeed later. Nothing was written."""

    code = "busy"
    retry_after_seconds = 1


class Contended(Busy):
    """Others changed the same thing on every try."""


class Unavailable(Busy):
    """The database or the log does not answer."""


class Poison(ChassisError):
    """An event that this code can never apply. ``reason`` is a short stable code; no content of the event."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def is_refusal(error: BaseException) -> bool:
    """True for ``Refused`` and for a domain's own refusals (string attributes ``code`` and ``detail``)."""
    return isinstance(error, Refused) or (
        isinstance(error, Exception)
        and not isinstance(error, ChassisError)
        and isinstance(getattr(error, "code", None), str)
        and isinstance(getattr(error, "detail", None), str)
    )
