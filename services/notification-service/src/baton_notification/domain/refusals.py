"""How this domain says no: a stable code and the remedy, nothing about a patient."""


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
    """It was asked too often; ``headers`` say when to come back."""

    code = "rate-limited"

    def __init__(self, detail: str, *, seconds: int) -> None:
        super().__init__(detail)
        self.headers = (("Retry-After", str(seconds)),)
