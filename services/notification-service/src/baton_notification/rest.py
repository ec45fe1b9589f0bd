"""The native door of notification: offices, webhooks, deliveries, acknowledgements, in JSON."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from baton_chassis.commands import Reply
from baton_chassis.doors import Answer, Ask, Body, Id, PageQuery, Routes, View
from baton_chassis.errors import Fault, Invalid, NotFound
from baton_chassis.outbound import OutboundClient, OutboundRefused
from baton_notification.channels.mail import NotOneMailbox, one_mailbox
from baton_notification.commands import (
    ChangeOffice,
    ChangeWebhook,
    DeleteWebhook,
    PauseOffice,
    RegisterOffice,
    RegisterWebhook,
    ResendDelivery,
    ResumeOffice,
    RotateSecret,
    StatedRoute,
    TestWebhook,
    VerifyRoute,
)
from baton_notification.domain.endpoint import Format, Payload
from baton_notification.handlers.views import (
    acknowledgement_shown,
    delivery_shown,
    office_shown,
    webhook_shown,
)
from baton_notification.queries import Listed, Queries

MANAGE = "webhooks:manage"
Randomness = Callable[[int], bytes]
"""Gives so many unpredictable bytes."""

Name = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=256)]
System = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,256}$")]
Value = Annotated[str, StringConstraints(pattern=r"^[!-~]([ -~]{0,126}[!-~])?$")]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
Pattern = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.*?]{1,64}$")]
Patterns = Annotated[list[Pattern], Field(max_length=50)]
Channel = Literal["email", "webhook", "fax", "sms", "fhir", "hl7v2", "direct"]
Status = Literal[
    "queued", "sending", "sent", "delivered", "opened", "acknowledged",
    "failed", "bounced", "expired", "suppressed", "cancelled",
]  # fmt: skip


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise PydanticCustomError(
            "not-a-time-zone", "Send a time zone by its IANA name, like America/New_York."
        )
    return name


class IdentifierBody(Body):
    """A business identifier of an office, such as an NPI."""

    system: System
    value: Value


class RouteBody(Body):
    """A way to reach an office."""

    channel: Channel
    address: Annotated[str, StringConstraints(pattern=r"^[!-~]([ -~]*[!-~])?$", max_length=256)]

    @model_validator(mode="after")
    def _fits_its_channel(self) -> Self:
        if self.channel == "webhook":
            raise PydanticCustomError(
                "not-a-route", "Register webhooks at /v1/webhooks with this office's id."
            )
        if self.channel == "email":
            try:
                one_mailbox(self.address)
            except NotOneMailbox:
                raise PydanticCustomError("not-a-mailbox", "Send exactly one plain mail address.") from None
        return self


class PreferencesBody(Body):
    """What an office wants: ``mute`` are patterns of event types it does not want to hear of (documents
    always).
    """

    mute: Patterns = Field(default_factory=list)


class NewOffice(Body):
    """An office to make known."""

    name: Name
    identifiers: list[IdentifierBody] = Field(default_factory=list, max_length=20)
    routes: list[RouteBody] = Field(default_factory=list, max_length=20)
    time_zone: Annotated[str, AfterValidator(_zone)] | None = None
    preferences: PreferencesBody = PreferencesBody()


class OfficeChange(Body):
    """What is said anew; what is left out stays."""

    name: Name | None = None
    identifiers: Annotated[list[IdentifierBody], Field(max_length=20)] | None = None
    routes: Annotated[list[RouteBody], Field(max_length=20)] | None = None
    time_zone: Annotated[str, AfterValidator(_zone)] | None = None
    preferences: PreferencesBody | None = None


class RouteChoice(Body):
    """The route that our staff vouches for."""

    route_id: Id


class NewWebhook(Body):
    """An endpoint to call. Without ``office_id`` it is the practice's own. ``payload: full`` sends documents
    too and needs the reference of the recorded ``agreement``.
    """

    office_id: Id | None = None
    url: Url
    events: Patterns | None = None
    format: Literal["status", "cloudevents"] = "status"
    payload: Literal["thin", "full"] = "thin"
    agreement: Name | None = None


class WebhookChange(Body):
    """What is said anew about an endpoint."""

    url: Url | None = None
    events: Patterns | None = None
    enabled: bool | None = None


class Rotation(Body):
    """How long the replaced secret signs along, 0 to 7 days."""

    overlap_hours: Annotated[int, Field(ge=0, le=168)] = 24


class OfficeView(View):
    """An office."""

    id: str
    version: int
    name: str
    identifiers: list[dict[str, str]]
    time_zone: str | None
    routes: list[dict[str, Any]]
    preferences: dict[str, Any]
    paused_at: str | None


class OfficePage(View):
    """One page of offices."""

    items: list[OfficeView]
    next: str | None


class WebhookView(View):
    """A webhook endpoint. ``secret`` is there only in the answer that made it."""

    id: str
    version: int
    office_id: str | None
    url: str
    events: list[str] | None
    format: str
    payload: str
    agreement: str | None
    enabled: bool
    disabled_reason: str | None
    failing_since: str | None
    created_at: str
    secret: str | None = None


class WebhookPage(View):
    """One page of endpoints."""

    items: list[WebhookView]
    next: str | None


class DeliveryView(View):
    """A delivery; its destination is masked."""

    id: str
    version: int
    event_id: str
    event_type: str
    referral_id: str | None
    office_id: str | None
    channel: str
    destination: str
    kind: str
    role: str
    document: dict[str, Any] | None
    status: str
    code: str | None
    attempts: list[dict[str, Any]]
    next_attempt_at: str | None
    created_at: str
    updated_at: str


class DeliveryPage(View):
    """One page of deliveries."""

    items: list[DeliveryView]
    next: str | None


class AcknowledgementView(View):
    """What an office confirmed."""

    id: str
    referral_id: str
    office_id: str
    at: str
    identified: bool
    covers: str
    documents: list[dict[str, Any]]
    delivery_ids: list[str]


class AcknowledgementPage(View):
    """One page of acknowledgements."""

    items: list[AcknowledgementView]
    next: str | None


class DeliveriesQuery(PageQuery):
    """Which deliveries to list."""

    referral_id: Id | None = None
    event_id: Id | None = None
    status: Status | None = None
    channel: Channel | Literal["page"] | None = None


class AcknowledgementsQuery(PageQuery):
    """Which acknowledgements to list."""

    referral_id: Id | None = None


def routes(queries: Queries, *, outbound: OutboundClient, randomness: Randomness) -> list[Routes]:
    """Every native route of notification."""
    return [
        _offices(queries),
        _webhooks(queries, outbound, randomness),
        _deliveries(queries),
        _acknowledgements(queries),
    ]


def _offices(queries: Queries) -> Routes:
    routes = Routes(tag="offices")
    _read_offices(routes, queries)
    _state_offices(routes)
    _silence_offices(routes)
    return routes


def _state_offices(routes: Routes) -> None:
    @routes.command(
        "POST", "/v1/offices", scope="offices:write", body=NewOffice, reply=OfficeView,
        idempotent=True, success=201,
    )  # fmt: skip
    async def register(ask: Ask[NewOffice]) -> Reply:
        """Make an office known. Offices that refer are registered by themselves."""
        body = ask.body
        return await ask.submit(
            RegisterOffice(
                id=ask.new_id(),
                name=body.name,
                identifiers=tuple((one.system, one.value) for one in body.identifiers),
                routes=_stated(ask, body.routes),
                time_zone=body.time_zone,
                preferences=body.preferences.model_dump(),
            )
        )

    @routes.command(
        "PATCH",
        "/v1/offices/{id}",
        scope="offices:write",
        body=OfficeChange,
        reply=OfficeView,
        idempotent=True,
    )
    async def change(ask: Ask[OfficeChange]) -> Reply:
        """Say something else about an office. A route with another address has to be verified again."""
        body = ask.body
        identifiers = body.identifiers
        return await ask.submit(
            ChangeOffice(
                id=ask.path["id"],
                name=body.name,
                identifiers=None
                if identifiers is None
                else tuple((one.system, one.value) for one in identifiers),
                routes=None if body.routes is None else _stated(ask, body.routes),
                time_zone=body.time_zone,
                preferences=None if body.preferences is None else body.preferences.model_dump(),
            )
        )

    @routes.command(
        "POST",
        "/v1/offices/{id}/verify",
        scope="offices:write",
        body=RouteChoice,
        reply=OfficeView,
        idempotent=True,
    )
    async def verify(ask: Ask[RouteChoice]) -> Reply:
        """Vouch that a route is the office's."""
        return await ask.submit(VerifyRoute(id=ask.path["id"], route_id=ask.body.route_id))


def _read_offices(routes: Routes, queries: Queries) -> None:
    @routes.query("GET", "/v1/offices", scope="offices:read", query=PageQuery, reply=OfficePage)
    async def browse(ask: Ask[None]) -> Answer:
        """List offices in the order they became known."""
        listed = await queries.offices(ask.caller.practice_id, limit=ask.query.limit, after=ask.query.after)
        return _page(listed, office_shown)

    @routes.query("GET", "/v1/offices/{id}", scope="offices:read", reply=OfficeView)
    async def show(ask: Ask[None]) -> Answer:
        """Show an office."""
        office = await queries.office(ask.caller.practice_id, ask.path["id"])
        return _one(office, office_shown)


def _silence_offices(routes: Routes) -> None:
    @routes.command(
        "POST", "/v1/offices/{id}/pause", scope="offices:write", body=None, reply=OfficeView,
        idempotent=True, refusals=("illegal-transition",),
    )  # fmt: skip
    async def pause(ask: Ask[None]) -> Reply:
        """Send the office nothing for now."""
        return await ask.submit(PauseOffice(id=ask.path["id"]))

    @routes.command(
        "POST", "/v1/offices/{id}/resume", scope="offices:write", body=None, reply=OfficeView,
        idempotent=True, refusals=("illegal-transition",),
    )  # fmt: skip
    async def resume(ask: Ask[None]) -> Reply:
        """Send again: of each referral what is newest."""
        return await ask.submit(ResumeOffice(id=ask.path["id"]))


def _webhooks(queries: Queries, outbound: OutboundClient, randomness: Randomness) -> Routes:
    routes = Routes(tag="webhooks")
    _read_webhooks(routes, queries)
    _state_webhooks(routes, outbound, randomness)
    _tend_webhooks(routes, randomness)
    return routes


def _read_webhooks(routes: Routes, queries: Queries) -> None:
    @routes.query("GET", "/v1/webhooks", scope=MANAGE, query=PageQuery, reply=WebhookPage)
    async def browse(ask: Ask[None]) -> Answer:
        """List endpoints."""
        listed = await queries.webhooks(ask.caller.practice_id, limit=ask.query.limit, after=ask.query.after)
        return _page(listed, webhook_shown)

    @routes.query("GET", "/v1/webhooks/{id}", scope=MANAGE, reply=WebhookView)
    async def show(ask: Ask[None]) -> Answer:
        """Show an endpoint."""
        return _one(await queries.webhook(ask.caller.practice_id, ask.path["id"]), webhook_shown)


def _state_webhooks(routes: Routes, outbound: OutboundClient, randomness: Randomness) -> None:
    @routes.command(
        "POST", "/v1/webhooks", scope=MANAGE, body=NewWebhook, reply=WebhookView, idempotent=True,
        success=201, refusals=("not-found",),
    )  # fmt: skip
    async def register(ask: Ask[NewWebhook]) -> Reply:
        """Register an endpoint. The answer shows its secret, once."""
        body = ask.body
        await _check_url(outbound, body.url)
        return await ask.submit(
            RegisterWebhook(
                id=ask.new_id(),
                office_id=body.office_id,
                url=body.url,
                patterns=None if body.events is None else tuple(body.events),
                format=Format(body.format),
                payload=Payload(body.payload),
                agreement=body.agreement,
                secret=_new_secret(randomness),
            )
        )

    @routes.command(
        "PATCH", "/v1/webhooks/{id}", scope=MANAGE, body=WebhookChange, reply=WebhookView, idempotent=True
    )
    async def change(ask: Ask[WebhookChange]) -> Reply:
        """Change an endpoint, or switch it on or off."""
        body = ask.body
        if body.url is not None:
            await _check_url(outbound, body.url)
        patterns = None if body.events is None else tuple(body.events)
        return await ask.submit(
            ChangeWebhook(id=ask.path["id"], url=body.url, patterns=patterns, enabled=body.enabled)
        )


def _tend_webhooks(routes: Routes, randomness: Randomness) -> None:
    @routes.command(
        "DELETE", "/v1/webhooks/{id}", scope=MANAGE, body=None, reply=WebhookView, idempotent=True
    )
    async def delete(ask: Ask[None]) -> Reply:
        """Delete an endpoint."""
        return await ask.submit(DeleteWebhook(id=ask.path["id"]))

    @routes.command(
        "POST", "/v1/webhooks/{id}/rotate", scope=MANAGE, body=Rotation, reply=WebhookView, idempotent=True
    )
    async def rotate(ask: Ask[Rotation]) -> Reply:
        """Sign with a new secret, shown once; the old one signs along for a while."""
        secret = _new_secret(randomness)
        return await ask.submit(
            RotateSecret(id=ask.path["id"], secret=secret, overlap_hours=ask.body.overlap_hours)
        )

    @routes.command(
        "POST", "/v1/webhooks/{id}/test", scope=MANAGE, body=None, reply=DeliveryView,
        idempotent=True, success=201,
    )  # fmt: skip
    async def test(ask: Ask[None]) -> Reply:
        """Send a test event; the answer is its delivery."""
        return await ask.submit(TestWebhook(id=ask.new_id(), endpoint_id=ask.path["id"]))


def _deliveries(queries: Queries) -> Routes:
    routes = Routes(tag="deliveries")

    @routes.query("GET", "/v1/deliveries", scope="notify:read", query=DeliveriesQuery, reply=DeliveryPage)
    async def browse(ask: Ask[None]) -> Answer:
        """List deliveries, oldest first."""
        asked = ask.query
        listed = await queries.deliveries(
            ask.caller.practice_id,
            limit=asked.limit,
            after=asked.after,
            referral_id=asked.referral_id,
            event_id=asked.event_id,
            status=asked.status,
            channel=asked.channel,
        )
        return _page(listed, delivery_shown)

    @routes.query("GET", "/v1/deliveries/{id}", scope="notify:read", reply=DeliveryView)
    async def show(ask: Ask[None]) -> Answer:
        """Show a delivery with its tries."""
        return _one(await queries.delivery(ask.caller.practice_id, ask.path["id"]), delivery_shown)

    @routes.command(
        "POST", "/v1/deliveries/{id}/resend", scope="notify:resend", body=None, reply=DeliveryView,
        idempotent=True, refusals=("illegal-transition",),
    )  # fmt: skip
    async def resend(ask: Ask[None]) -> Reply:
        """Send it once more, under the same message id."""
        return await ask.submit(ResendDelivery(id=ask.path["id"]))

    return routes


def _acknowledgements(queries: Queries) -> Routes:
    routes = Routes(tag="acknowledgements")

    @routes.query(
        "GET", "/v1/acknowledgements", scope="notify:read", query=AcknowledgementsQuery,
        reply=AcknowledgementPage,
    )  # fmt: skip
    async def browse(ask: Ask[None]) -> Answer:
        """List what offices confirmed."""
        asked = ask.query
        listed = await queries.acknowledgements(
            ask.caller.practice_id, limit=asked.limit, after=asked.after, referral_id=asked.referral_id
        )
        return _page(listed, acknowledgement_shown)

    @routes.query("GET", "/v1/acknowledgements/{id}", scope="notify:read", reply=AcknowledgementView)
    async def show(ask: Ask[None]) -> Answer:
        """Show one confirmation."""
        said = await queries.acknowledgement(ask.caller.practice_id, ask.path["id"])
        return _one(said, acknowledgement_shown)

    return routes


async def _check_url(outbound: OutboundClient, url: str) -> None:
    try:
        await outbound.check(url)
    except OutboundRefused as refused:
        raise Invalid([Fault("/url", refused.code, refused.detail)]) from None


def _new_secret(randomness: Randomness) -> str:
    return "whsec_" + base64.b64encode(randomness(32)).decode()


def _stated(ask: Ask[Any], routes: list[RouteBody]) -> tuple[StatedRoute, ...]:
    return tuple(StatedRoute(id=ask.new_id(), channel=one.channel, address=one.address) for one in routes)


def _page(listed: Listed[Any], shown: Callable[[Any], dict[str, Any]]) -> Answer:
    return Answer(body={"items": [shown(item) for item in listed.items], "next": listed.next})


def _one(found: Any, shown: Callable[[Any], dict[str, Any]]) -> Answer:
    if found is None:
        raise NotFound("There is nothing here by that id.")
    return Answer(body=shown(found), version=found.version)
