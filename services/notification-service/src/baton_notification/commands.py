"""What can be asked of notification: by clients, by the office on its page, and by its own workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from baton_chassis.commands import Command
from baton_notification.domain.delivery import Verdict
from baton_notification.domain.endpoint import Format, Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedRoute:
    """A route as somebody states it; its id was given out at the door."""

    id: str
    channel: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterOffice(Command):
    """Make an office known."""

    location: ClassVar[str] = "/v1/offices/{id}"

    name: str
    identifiers: tuple[tuple[str, str], ...] = ()
    routes: tuple[StatedRoute, ...] = ()
    time_zone: str | None = None
    preferences: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeOffice(Command):
    """Say something else about an office; None leaves a field."""

    location: ClassVar[str] = "/v1/offices/{id}"

    name: str | None = None
    identifiers: tuple[tuple[str, str], ...] | None = None
    routes: tuple[StatedRoute, ...] | None = None
    time_zone: str | None = None
    preferences: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyRoute(Command):
    """Our staff vouches that a route is the office's."""

    location: ClassVar[str] = "/v1/offices/{id}"

    route_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseOffice(Command):
    """Send this office nothing for now."""

    location: ClassVar[str] = "/v1/offices/{id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeOffice(Command):
    """Send again: the newest news of each referral, not all of it."""

    location: ClassVar[str] = "/v1/offices/{id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterWebhook(Command):
    """Call this address from now on. ``secret`` was made at the door and is shown once."""

    location: ClassVar[str] = "/v1/webhooks/{id}"

    office_id: str | None
    url: str
    patterns: tuple[str, ...] | None
    format: Format
    payload: Payload
    agreement: str | None
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeWebhook(Command):
    """Another address, other events, or on and off."""

    location: ClassVar[str] = "/v1/webhooks/{id}"

    url: str | None = None
    patterns: tuple[str, ...] | None = None
    enabled: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateSecret(Command):
    """Sign with another secret; the old one signs along for a while."""

    location: ClassVar[str] = "/v1/webhooks/{id}"

    secret: str
    overlap_hours: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteWebhook(Command):
    """Never call this endpoint again."""

    location: ClassVar[str] = "/v1/webhooks/{id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestWebhook(Command):
    """Send the endpoint a test event; the id is the delivery's."""

    __test__: ClassVar[bool] = False
    location: ClassVar[str] = "/v1/deliveries/{id}"

    endpoint_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResendDelivery(Command):
    """Send it once more, whatever came of it so far."""

    location: ClassVar[str] = "/v1/deliveries/{id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAttempt(Command):
    """What one try to send came to. ``chance`` in [0, 1) spreads the next one, ``wish_seconds`` is a
    Retry-After.
    """

    location: ClassVar[str] = "/v1/deliveries/{id}"

    lease: str
    at: datetime
    verdict: Verdict
    outcome: str
    code: str | None
    duration_ms: int
    chance: float
    wish_seconds: float | None = None
    proof: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteOpened(Command):
    """Somebody looked at the page behind a link. The id is the link's; ``at`` is by the security clock."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SendCode(Command):
    """Send a code to the address on file. The id is the office's; ``at`` is by the security clock."""

    link_id: str
    browser: str
    code: str
    delivery_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyCode(Command):
    """Somebody typed a code. The id is the office's, ``session`` the digest of the cookie they would get."""

    link_id: str
    browser: str
    code: str
    session: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueSession(Command):
    """The session was used. The id is its own."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteCardShown(Command):
    """The patient's name was shown on the page. The id is the referral's; this leaves an audit row and no
    more.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ProveFetched(Command):
    """An identified person of the office fetched a document. The id is the referral's."""

    office_id: str
    document_id: str
    document_version: int
    delivery_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgeReceipt(Command):
    """The office says: we have this. ``documents`` are (id, version) as they were shown; only an identified
    person can confirm those.
    """

    location: ClassVar[str] = "/v1/acknowledgements/{id}"

    referral_id: str
    office_id: str
    identified: bool
    documents: tuple[tuple[str, int], ...]
    delivery_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureMail(Command):
    """Keep a mail instead of sending it, in development."""

    to: str
    subject: str
    headers: Mapping[str, str]
    text: str
    html: str
