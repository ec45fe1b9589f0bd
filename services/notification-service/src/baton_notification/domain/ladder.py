"""The one ladder every delivery climbs, whatever the channel: what may follow what, and never backwards."""

from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """Where a delivery stands."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    OPENED = "opened"
    ACKNOWLEDGED = "acknowledged"
    FAILED = "failed"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"


UNSENT: Final = frozenset({Status.QUEUED, Status.SENDING})
"""Not yet with the channel: waiting for a worker, for its time, or in a worker's hands."""

ENDS: Final = frozenset({Status.FAILED, Status.BOUNCED, Status.EXPIRED, Status.SUPPRESSED, Status.CANCELLED})
"""It went no further. Only a person can have it sent again."""

INFORMED: Final = frozenset({Status.DELIVERED, Status.OPENED, Status.ACKNOWLEDGED})
"""The receiver has it."""

_RUNG: Final = {
    Status.QUEUED: 0,
    Status.SENDING: 0,
    Status.SENT: 1,
    Status.DELIVERED: 2,
    Status.OPENED: 3,
    Status.ACKNOWLEDGED: 4,
}
_END_FROM: Final = {
    Status.FAILED: UNSENT | {Status.SENT},
    Status.BOUNCED: UNSENT | {Status.SENT},
    Status.EXPIRED: UNSENT | {Status.SENT},
    Status.SUPPRESSED: UNSENT,
    Status.CANCELLED: UNSENT,
}


def follows(status: Status, after: Status) -> bool:
    """Whether a delivery at ``after`` may move to ``status``. Queued and sending share a rung: a try that
    failed goes back to waiting; every other step is up, or off the ladder for good.
    """
    if after in ENDS or status is after:
        return False
    if status in ENDS:
        return after in _END_FROM[status]
    if status in UNSENT:
        return after in UNSENT
    return _RUNG[status] > _RUNG[after]
