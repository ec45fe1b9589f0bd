"""That somebody of the office said: we have this."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from baton_notification.domain.delivery import DocumentVersion


@dataclass(slots=True)
class Acknowledgement:
    """Said on the page. ``identified`` when a code was used before: only then it covers documents, the
    versions that were shown; else it covers the notice.
    """

    id: str
    referral_id: str
    office_id: str
    at: datetime
    identified: bool
    documents: tuple[DocumentVersion, ...] = ()
    delivery_ids: tuple[str, ...] = ()
    version: int = 0
    events: list[Any] = field(default_factory=list)
