"""The FHIR door's routes: take a message, show a request and its Task, say what can be asked."""

from __future__ import annotations

import asyncio
from typing import Any

from baton_chassis.commands import Reply
from baton_chassis.doors import Answer, Ask, RouteDeclaration, Routes
from baton_chassis.errors import Fault, Invalid
from baton_chassis.ids import derived_id
from baton_formats import fhir
from baton_formats.findings import ReadResult
from baton_intake.commands import KeepMessage, KeepRefused, ReceiveMessage, ReceiveReferral
from baton_intake.domain.artifact import Received
from baton_intake.fhir.capabilities import capability_statement
from baton_intake.fhir.messages import Asked, Understood, Unfit, understand
from baton_intake.fhir.outcomes import FHIR_JSON, as_outcome
from baton_intake.fhir.resources import message_answer, service_request, task
from baton_intake.queries import Queries

BASE = "/fhir/R4"
_ACCEPTS = (FHIR_JSON, "application/json", "application/fhir+xml", "application/xml", "text/xml")
_LARGE = 200_000
_PRODUCES = (FHIR_JSON,)
_SEND = ("system/ServiceRequest.c", "referrals:write")
_READ_REQUEST = ("system/ServiceRequest.r", "referrals:read")
_READ_TASK = ("system/Task.r", "referrals:read")


class Unreadable(Invalid):
    """The bytes cannot be read at all."""

    code = "malformed-json"


def routes(queries: Queries) -> Routes:
    """Every FHIR route of intake."""
    routes = Routes(tag="fhir")
    _messages(routes, queries)
    _resources(routes, queries)
    _capabilities(routes)
    return routes


def _messages(routes: Routes, queries: Queries) -> None:
    @routes.raw(
        "POST",
        f"{BASE}/$process-message",
        accepts=_ACCEPTS,
        produces=_PRODUCES,
        scope=_SEND,
        on_problem=as_outcome,
        idempotent=True,
        refusals=("malformed-json", "validation-failed"),
        summary="Take a message Bundle; answered once it is kept, with the referral it became.",
    )
    async def process_message(ask: Ask[None]) -> Answer:
        reply = await _Arrival(ask, queries).taken()
        artifact = await queries.artifact(ask.caller.practice_id, str(reply.body["artifact_id"]))
        referral_id = artifact.referral_id
        referral = await queries.referral(ask.caller.practice_id, referral_id) if referral_id else None
        header_id = derived_id("message-answer", artifact.id)
        answer = message_answer(artifact, referral, header_id=header_id, endpoint=BASE)
        return Answer(body=answer, media_type=FHIR_JSON, headers=_replay(ask))


class _Arrival:
    """One message at the door: read, understood, and kept whatever comes of it."""

    def __init__(self, ask: Ask[None], queries: Queries) -> None:
        self._ask = ask
        self._queries = queries
        self._sender = ask.caller.client_id or ask.caller.actor
        self._media_type = ask.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def taken(self) -> Reply:
        """The reply to whichever command keeps it; raises what the sender is told when it is refused."""
        plain = self._received()
        result = await _read(self._ask.raw, self._media_type)
        try:
            understood = understand(result, sender=self._sender, content_key=plain.sha256)
        except Unfit as unfit:
            refused = KeepRefused(
                id=self._ask.new_id(), received=plain, content=self._ask.raw, findings=unfit.findings
            )
            await self._submit(refused)
            raise _refusal(unfit) from None
        return await self._submit(await self._command(understood))

    async def _command(self, understood: Understood) -> KeepMessage | ReceiveMessage:
        received = self._received(trigger=understood.trigger, message_id=understood.message_id)
        id, content = self._ask.new_id(), self._ask.raw
        if understood.asked is None:
            return KeepMessage(
                id=id,
                received=received,
                content=content,
                findings=understood.findings,
                names=understood.names,
            )
        referral = await self._receive(understood.asked)
        return ReceiveMessage(
            id=id, received=received, content=content, findings=understood.findings, referral=referral
        )

    async def _receive(self, asked: Asked) -> ReceiveReferral:
        keys = await self._queries.blind_keys(self._ask.caller.practice_id, asked.request.patient)
        return ReceiveReferral(
            id=self._ask.new_id(),
            source=asked.source,
            names=asked.names,
            request=asked.request,
            record_keys=keys,
        )

    def _received(self, *, trigger: str = "", message_id: str = "") -> Received:
        return Received.of(
            self._ask.raw,
            sender=self._sender,
            format="fhir",
            media_type=self._media_type,
            trigger=trigger,
            message_id=message_id,
        )

    async def _submit(self, command: Any) -> Reply:
        return await self._ask.submit(command, assertion="partner_system")


async def _read(body: bytes, media_type: str) -> ReadResult:
    """What the body says; a large one is read aside, so that others need not wait for it."""
    if len(body) < _LARGE:
        return fhir.read(body, media_type)
    return await asyncio.to_thread(fhir.read, body, media_type)


def _refusal(unfit: Unfit) -> Invalid:
    faults = [Fault(finding.where, finding.code, finding.detail) for finding in unfit.findings]
    return (Unreadable if unfit.unreadable else Invalid)(faults)


def _resources(routes: Routes, queries: Queries) -> None:
    @routes.raw(
        "GET",
        f"{BASE}/ServiceRequest/{{id}}",
        produces=_PRODUCES,
        scope=_READ_REQUEST,
        on_problem=as_outcome,
        refusals=("not-found",),
        summary="Show a referral as the request that it is.",
    )
    async def read_service_request(ask: Ask[None]) -> Answer:
        referral = await queries.referral(ask.caller.practice_id, ask.path["id"])
        return Answer(body=service_request(referral), media_type=FHIR_JSON, version=referral.version)

    @routes.raw(
        "GET",
        f"{BASE}/Task/{{id}}",
        produces=_PRODUCES,
        scope=_READ_TASK,
        on_problem=as_outcome,
        refusals=("not-found",),
        summary="Show how far a referral has come.",
    )
    async def read_task(ask: Ask[None]) -> Answer:
        referral = await queries.referral(ask.caller.practice_id, ask.path["id"])
        return Answer(body=task(referral), media_type=FHIR_JSON, version=referral.version)


def _capabilities(routes: Routes) -> None:
    @routes.raw(
        "GET",
        f"{BASE}/metadata",
        produces=_PRODUCES,
        public=True,
        on_problem=as_outcome,
        summary="Say what can be asked here.",
    )
    async def metadata(ask: Ask[None]) -> Answer:
        mounted: tuple[RouteDeclaration, ...] = routes.declarations
        return Answer(body=capability_statement(mounted, base=BASE), media_type=FHIR_JSON)


def _replay(ask: Ask[None]) -> dict[str, str]:
    return {"Idempotent-Replayed": "true"} if ask.replayed else {}
