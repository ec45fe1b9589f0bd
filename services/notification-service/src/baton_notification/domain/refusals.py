"""How this domain says no: a stable code and the remedy, nothing about a patient."""

from datetime import datetime, timedelta


class NotificationRefusal(Exception):
    """The answer is no. ``code`` is public, ``detail`` says what to do, ``pointer`` where the fault is."""

    code = "illegal-transition"

    def __init__(self, detail: str, *, pointer: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer


class NotPossibleNow(NotificationRefusal):
    """The present state does not allow it."""


class NotValid(NotificationRefusal):
    """What was said cannot be right."""

    code = "validation-failed"


class TooOften(NotificationRefusal):
    """Codes were asked for too often; ``headers`` say when to come back."""

    code = "rate-limited"

    def __init__(self, detail: str, *, seconds: int) -> None:
        super().__init__(detail)
        self.headers = (("Retry-After", str(seconds)),)

    @classmethod
    def until(cls, then: datetime, *, at: datetime) -> "TooOften":
        """The refusal that holds until ``then``, in whole seconds rounded up."""
        seconds = -((at - then) // timedelta(seconds=1))
        return cls("Several codes were sent already. Use the last one or wait.", seconds=max(1, seconds))
