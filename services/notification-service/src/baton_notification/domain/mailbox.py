"""The mailbox of development: what would have been sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class CapturedMail:
    """A mail as its receiver would have got it. No mail holds anything about a patient."""

    id: str
    to: str
    subject: str
    headers: Mapping[str, str]
    text: str
    html: str
    received_at: datetime
    version: int = 0
    events: list[Any] = field(default_factory=list)
