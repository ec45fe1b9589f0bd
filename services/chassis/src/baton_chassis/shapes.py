"""The shapes every native body and list shares: strict words, instants with an offset, pages with a
cursor."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

T = TypeVar("T")

UUID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_UUID = re.compile(UUID_PATTERN)
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


class Body(BaseModel):
    """What a client sends: strict types, no unknown fields, never changed after reading."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class View(BaseModel):
    """What a client is shown. Open for more fields later; clients ignore what they do not know."""

    model_config = ConfigDict(frozen=True)


class Query(BaseModel):
    """The parameters of a list: each at most once unless its field is a list; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PageQuery(Query):
    """The parameters every list understands."""

    limit: Annotated[int, Field(ge=1, le=200, description="How many items at most.")] = 50
    after: Annotated[str | None, Field(max_length=1024, description="The `next` of the page before.")] = None


class Page(BaseModel, Generic[T]):
    """One page of a list. ``next`` is opaque: send it back as ``after``; null means there is no more."""

    items: list[T]
    next: str | None = None


def is_id(text: str) -> bool:
    """True for a UUID in canonical lower-case text, the only form our ids have."""
    return _UUID.match(text) is not None and len(text) == 36


def _instant(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if _RFC3339.fullmatch(value):
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    raise PydanticCustomError(
        "not-a-timestamp", "Write an RFC 3339 time that exists, with its offset: 2026-11-20T09:00:00-05:00."
    )


Instant = Annotated[AwareDatetime, BeforeValidator(_instant)]
"""A moment: RFC 3339 text with an offset in JSON, an aware datetime in Python."""

Id = Annotated[str, StringConstraints(pattern=UUID_PATTERN)]
"""One of our ids in a body."""
