"""The workers: take what is due, render it from the present state, send it, write down what came of it."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter as Tally
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from baton_chassis import logs, metrics, problems
from baton_chassis.clock import Clock
from baton_chassis.commands import Caller
from baton_chassis.content import ContentAltered, ContentClient, ContentMissing, ContentRef
from baton_chassis.doors import Submit
from baton_chassis.errors import NotFound, Unavailable
from baton_chassis.failpoints import declare, failpoint
from baton_chassis.ids import derived_id
from baton_chassis.practices import Practices
from baton_chassis.signals import Signal
from baton_notification.channels.rendering import Letters, Sender, document_body, status_changed, test_event
from baton_notification.channels.webhook import FULL_PAYLOAD, WebhookChannel
from baton_notification.commands import RecordAttempt
from baton_notification.domain.breaker import Breaker
from baton_notification.domain.delivery import Delivery, Kind, Verdict
from baton_notification.domain.endpoint import Format, WebhookEndpoint
from baton_notification.domain.progress import ReferralProgress
from baton_notification.handlers.webhooks import TEST_EVENT
from baton_notification.ports import Claimed, DueDeliveries, MailChannel, Result
from baton_notification.queries import Queries

log = logs.get("delivering")

AFTER_SEND = declare("delivery.after_send", "the other side has it, the attempt is not written down")
ATTEMPTS = metrics.Counter(
    "baton_delivery_attempts_total", "Tries to send, by channel and outcome.", labels=("channel", "outcome")
)

LEASE: Final = timedelta(seconds=45)
"""How long a delivery is one worker's: longer than any try takes."""

AT_ONCE: Final = 16
AT_ONCE_IN_A_LANE: Final = 4
SAFETY_SECONDS: Final = 1.0
"""How often a process looks by itself: another process may have committed what it should send."""

PATIENCE_SECONDS: Final = 5.0
LARGEST_DOCUMENT: Final = 5_000_000
CONTENT_AWAY: Final = "content-unavailable"
"""The owner of a document does not answer: no fault of the lane."""

ACTOR: Final = "service:notification"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlets:
    """Everything a worker sends by and renders from."""

    mail: MailChannel
    webhook: WebhookChannel
    letters: Letters
    practices: Practices
    contents: ContentClient
    public_url: str
    mail_domain: str

    def sender(self, practice_id: str) -> Sender:
        """Who a mail is from."""
        return Sender(
            practice=self.practices.name(practice_id),
            phone=self.practices.phone(practice_id),
            domain=self.mail_domain,
        )


@dataclass(slots=True)
class _Lanes:
    """What is under way and what fails, by lane. Of this process; another judges for itself."""

    breakers: dict[str, Breaker] = field(default_factory=dict)
    under_way: Tally[str] = field(default_factory=Tally)

    def shut(self, clock: Clock) -> frozenset[str]:
        """Lanes that take nothing now: left alone after failures, or full."""
        now = clock.now()
        resting = {lane for lane, breaker in self.breakers.items() if not breaker.admits(now)}
        return frozenset(
            resting | {lane for lane, busy in self.under_way.items() if busy >= AT_ONCE_IN_A_LANE}
        )

    def begin(self, lane: str) -> None:
        self.under_way[lane] += 1
        if lane in self.breakers:
            self.breakers[lane].begin()

    def end(self, lane: str, clock: Clock, *, well: bool) -> None:
        self.under_way[lane] -= 1
        if not self.under_way[lane]:
            del self.under_way[lane]
        if well:
            self.breakers.pop(lane, None)
        else:
            self.breakers.setdefault(lane, Breaker()).failed(clock.now())


class DeliveryWorker:
    """Sends what is due, several at a time, no lane more than its share. Woken by commits and by moves of the
    clock; it looks by itself once a second. Cancelled, it lets what is under way end for a few seconds.
    """

    name = "delivery"

    def __init__(
        self,
        *,
        due: DueDeliveries,
        queries: Queries,
        submit: Submit,
        outlets: Outlets,
        clock: Clock,
        security_clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self._due = due
        self._queries = queries
        self._submit = submit
        self._outlets = outlets
        self._clock = clock
        self._security_clock = security_clock
        self._chance = chance
        self._lanes = _Lanes()
        self._wake = Signal()
        self._sending: set[asyncio.Task[None]] = set()

    def knock(self) -> None:
        """There may be something to send."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._wake.knock_from_anywhere()
        else:
            self._wake.knock()

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            while True:
                await self._wake.wait(await self._pause())
        finally:
            await self.wind_down()

    async def send_due(self) -> int:
        """Start sending whatever is due now; gives how many that were. For ``run`` and for tests."""
        started = 0
        while len(self._sending) < AT_ONCE:
            claimed = await self._claim()
            for one in claimed:
                self._start(one)
            started += len(claimed)
            if not claimed:
                break
        return started

    async def idle(self) -> None:
        """Wait until nothing is under way."""
        while self._sending:
            await asyncio.wait(self._sending)

    async def _pause(self) -> float:
        """One round, and how long to sleep after it."""
        try:
            await self.send_due()
            if len(self._sending) >= AT_ONCE:
                return SAFETY_SECONDS
            next_due = await self._due.next_due(shut=self._lanes.shut(self._clock))
        except Exception as error:  # the loop must survive whatever a round did; it is logged and counted
            self._note_failure("claim", error)
            return SAFETY_SECONDS
        if next_due is None:
            return SAFETY_SECONDS
        wait = (next_due - self._clock.now()).total_seconds()
        return min(wait, SAFETY_SECONDS) if wait > 0 else SAFETY_SECONDS

    async def _claim(self) -> list[Claimed]:
        shut, now = self._lanes.shut(self._clock), self._clock.now()
        next_due = await self._due.next_due(shut=shut)
        if next_due is None or next_due > now:
            return []
        limit = min(AT_ONCE - len(self._sending), AT_ONCE_IN_A_LANE)
        return await self._due.claim(now=now, until=now + LEASE, shut=shut, limit=limit)

    def _start(self, claimed: Claimed) -> None:
        self._lanes.begin(claimed.delivery.to.lane)
        task = asyncio.create_task(self._send(claimed), name="send")
        self._sending.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._wake.knock()

    async def _send(self, claimed: Claimed) -> None:
        delivery, well = claimed.delivery, False
        try:
            result = await self._try(claimed.practice_id, delivery)
            failpoint(AFTER_SEND)
            well = result.verdict is not Verdict.LATER or result.outcome == CONTENT_AWAY
            ATTEMPTS.add(channel=delivery.to.channel, outcome=result.outcome)
            await self._write_down(claimed, result)
        except (
            Exception
        ) as error:  # one delivery must not end the worker; its lease ends and it is tried again
            self._note_failure("send", error)
        finally:
            self._lanes.end(delivery.to.lane, self._clock, well=well)

    async def _try(self, practice_id: str, delivery: Delivery) -> Result:
        try:
            if delivery.kind is Kind.CODE:
                return await self._send_code(practice_id, delivery)
            if delivery.to.channel == "webhook":
                return await self._call(practice_id, delivery)
            return await self._mail(practice_id, delivery)
        except (ContentMissing, ContentAltered):
            return Result(verdict=Verdict.NEVER, outcome="content-missing")
        except Unavailable:
            return Result(verdict=Verdict.LATER, outcome=CONTENT_AWAY)
        except NotFound:
            return Result(verdict=Verdict.NEVER, outcome="nothing-to-send")

    async def _send_code(self, practice_id: str, delivery: Delivery) -> Result:
        expired = delivery.expires_at is not None and self._security_clock.now() >= delivery.expires_at
        if expired or delivery.body is None:
            return Result(verdict=Verdict.NEVER, outcome="expired")
        sender = self._outlets.sender(practice_id)
        return await self._outlets.mail.send(practice_id, self._outlets.letters.code(delivery, sender=sender))

    async def _mail(self, practice_id: str, delivery: Delivery) -> Result:
        progress = await self._progress(practice_id, delivery)
        page = await self._page(practice_id, delivery)
        sender = self._outlets.sender(practice_id)
        mail = self._outlets.letters.notice(delivery, progress, page=page, sender=sender)
        return await self._outlets.mail.send(practice_id, mail)

    async def _call(self, practice_id: str, delivery: Delivery) -> Result:
        endpoint = await self._queries.webhook(practice_id, delivery.to.lane)
        if endpoint is None or not endpoint.active:
            return Result(verdict=Verdict.NEVER, outcome="endpoint-off")
        body, media_type = await self._body(practice_id, delivery, endpoint)
        full = delivery.kind is Kind.DOCUMENT and delivery.to.carries
        return await self._outlets.webhook.send(
            endpoint.url,
            message_id=derived_id(delivery.news.event_id, endpoint.id, delivery.kind.value),
            secrets=endpoint.signing(self._clock.now()),
            body=body,
            media_type=media_type,
            proves=delivery.kind is Kind.NOTICE or full,
            proof=FULL_PAYLOAD if full else None,
        )

    async def _body(
        self, practice_id: str, delivery: Delivery, endpoint: WebhookEndpoint
    ) -> tuple[bytes, str]:
        now = self._clock.now()
        if delivery.news.event_type == TEST_EVENT:
            return test_event(endpoint.id, at=now), "application/json"
        if delivery.body is not None and endpoint.format is Format.CLOUDEVENTS:
            return delivery.body, "application/cloudevents+json"
        progress = await self._progress(practice_id, delivery)
        if delivery.kind is Kind.DOCUMENT and delivery.to.carries:
            return await self._document(practice_id, delivery, progress), "application/json"
        links = await self._links(practice_id, delivery, endpoint)
        return status_changed(delivery, progress, at=now, links=links), "application/json"

    async def _document(self, practice_id: str, delivery: Delivery, progress: ReferralProgress) -> bytes:
        signed = progress.document(delivery.document.id) if delivery.document else None
        if signed is None or signed.document != delivery.document:
            raise NotFound("The document was replaced or taken back.")
        where = signed.content
        reference = ContentRef(
            owner=where.owner, kind=where.kind, id=where.id, version=where.version, sha256=where.sha256
        )
        content = await self._outlets.contents.fetch(practice_id, reference)
        if len(content.body) > LARGEST_DOCUMENT:
            raise NotFound("The document is too large for this channel.")
        return document_body(
            delivery,
            progress,
            at=self._clock.now(),
            media_type=content.media_type,
            base64=base64.b64encode(content.body).decode(),
            kind=signed.kind,
        )

    async def _progress(self, practice_id: str, delivery: Delivery) -> ReferralProgress:
        progress = await self._queries.progress(practice_id, delivery.referral_id)
        if progress is None:
            raise NotFound("The referral is not known here.")
        return progress

    async def _links(
        self, practice_id: str, delivery: Delivery, endpoint: WebhookEndpoint
    ) -> Mapping[str, str]:
        """Where to read on: the page for an office, the API for our own side."""
        if endpoint.office_id is not None:
            return {"page": await self._page(practice_id, delivery)}
        return {"referral": f"{self._outlets.public_url}/v1/referrals/{delivery.referral_id}"}

    async def _page(self, practice_id: str, delivery: Delivery) -> str:
        link = await self._queries.link_of_referral(practice_id, delivery.referral_id)
        if link is None:
            raise NotFound("The referral has no page.")
        return f"{self._outlets.public_url}/o/{link.handle}"

    async def _write_down(self, claimed: Claimed, result: Result) -> None:
        delivery = claimed.delivery
        command = RecordAttempt(
            id=delivery.id,
            lease=delivery.lease or "",
            at=self._clock.now(),
            verdict=result.verdict,
            outcome=result.outcome,
            code=result.code,
            duration_ms=result.duration_ms,
            chance=self._chance(),
            wish_seconds=result.wish.total_seconds() if result.wish is not None else None,
            proof=result.proof,
        )
        caller = Caller(
            practice_id=claimed.practice_id,
            actor=ACTOR,
            assertion="system_inferred",
            correlation_id=delivery.correlation,
            causation_id=delivery.news.event_id,
        )
        await self._submit(command, caller)

    async def wind_down(self) -> None:
        """Let what is under way end for a few seconds, then give up and close."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=PATIENCE_SECONDS)
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        await self._outlets.webhook.close()

    def _note_failure(self, where: str, error: Exception) -> None:
        metrics.LOOP_FAILURES.add(service="notification-service", where=f"delivery.{where}")
        log.warning("delivery.failed", where=where, **problems.whereabouts(error))
