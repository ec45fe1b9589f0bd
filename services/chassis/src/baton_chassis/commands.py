"""What can be asked of a service and what it answers, whatever door it came through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal, Protocol

from pydantic import ConfigDict


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Something asked: an imperative, frozen, in the words of the practice.

    ``id`` is the id of the thing that is addressed or, for a command that creates, the id it will have
    (given out at the door, final from then on, also while the command waits). ``location`` is where that
    thing can be read, with ``{id}`` in it; empty where nothing can.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    """Bytes in a kept command are base64: they need not be text."""

    location: ClassVar[str] = ""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, for whom, and in the course of what. Part of every audit row and of every event.

    ``assertion`` says whose word it is: human, partner_system, pms, system_inferred, policy.
    ``practice_id`` comes from the token, the event or the timer, never from a body.
    """

    practice_id: str
    actor: str
    assertion: str = "human"
    client_id: str = ""
    scopes: frozenset[str] = frozenset()
    correlation_id: str = ""
    causation_id: str = ""
    traceparent: str = ""


ReplyKind = Literal["created", "done", "existing", "waiting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answer to a command: what a door shows. ``body`` is plain JSON; ``version`` becomes the ETag."""

    kind: ReplyKind = "done"
    body: Mapping[str, Any] = field(default_factory=dict)
    location: str | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """A caller's own name for one request (draft-ietf-httpapi-idempotency-key-header).

    ``fingerprint`` is a digest of method, path and body: the same key with another fingerprint is refused.
    """

    key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One event to publish, before the line gives it a number. ``data`` is plain JSON without patient
    identity.

    ``source`` is the line it belongs to (``/referrals/{id}/request``); numbers are contiguous per source.
    ``key`` decides the partition and so the order across sources.
    """

    type: str
    topic: str
    source: str
    subject: str
    key: str
    data: Mapping[str, Any]
    occurred_at: datetime
    dataschema: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A reply, and whether it is the answer to an earlier request with the same key."""

    reply: Reply
    replayed: bool


class Submit(Protocol):
    """How doors have a command decided; see ``Dispatcher.__call__`` for what it raises."""

    async def __call__(
        self,
        command: Command,
        caller: Caller,
        *,
        key: IdempotencyKey | None = None,
        if_match: int | None = None,
    ) -> Decided:
        """Decide durably, answer."""
        ...
