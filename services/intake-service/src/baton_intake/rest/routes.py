"""The native door: referrals and artifacts, in JSON."""

from __future__ import annotations

from baton_chassis.access import granted
from baton_chassis.commands import Reply
from baton_chassis.doors import Answer, Ask, Id, Instant, PageQuery, Routes
from baton_contracts.lifecycle import Stage, State, reasons
from baton_intake.commands import ReceiveReferral
from baton_intake.domain.artifact import ArtifactStatus
from baton_intake.domain.referral import Referral
from baton_intake.domain.request import ExternalKey
from baton_intake.published import artifact_shown, referral_shown
from baton_intake.queries import Queries, Slice, Sought
from baton_intake.rest.bodies import NewReferral, PatientTerms, VerbBody
from baton_intake.rest.verbs import VERBS, VerbRoute
from baton_intake.rest.views import (
    ActionsView,
    ArtifactPage,
    ArtifactView,
    ReferralPage,
    ReferralView,
)

READ = "referrals:read"
WRITE = "referrals:write"


class ReferralsQuery(PageQuery):
    """Which referrals to list. There are no patient terms here: they never stand in a URL."""

    stage: Stage | None = None
    state: State | None = None
    office_id: Id | None = None
    updated_since: Instant | None = None


class ArtifactsQuery(PageQuery):
    """Which artifacts to list: of one referral, or of one status."""

    referral_id: Id | None = None
    status: ArtifactStatus | None = None


def routes(queries: Queries) -> Routes:
    """Every native route of intake."""
    routes = Routes(tag="referrals")
    _receiving(routes, queries)
    _reading(routes, queries)
    for verb in VERBS:
        _verb(routes, verb)
    _artifacts(routes, queries)
    return routes


def _receiving(routes: Routes, queries: Queries) -> None:
    @routes.command(
        "POST",
        "/v1/referrals",
        scope=WRITE,
        body=NewReferral,
        reply=ReferralView,
        idempotent=True,
        success=201,
        hot=True,
        summary="Take in a referral; the same source again shows the referral that is here.",
    )
    async def receive(ask: Ask[NewReferral]) -> Reply:
        body = ask.body
        source = ExternalKey(system=body.source.system, value=body.source.id)
        request = body.request()
        keys = await queries.blind_keys(ask.caller.practice_id, request.patient)
        command = ReceiveReferral(id=ask.new_id(), source=source, request=request, record_keys=keys)
        return await ask.submit(command)


def _reading(routes: Routes, queries: Queries) -> None:
    @routes.query("GET", "/v1/referrals/{id}", scope=READ, reply=ReferralView, summary="Show one referral.")
    async def show(ask: Ask[None]) -> Answer:
        referral = await queries.referral(ask.caller.practice_id, ask.path["id"])
        return Answer(body=referral_shown(referral), version=referral.version)

    @routes.query(
        "GET",
        "/v1/referrals",
        scope=READ,
        reply=ReferralPage,
        query=ReferralsQuery,
        summary="List referrals, newest first; with updated_since in the order of their changes.",
    )
    async def list_referrals(ask: Ask[None]) -> Answer:
        query: ReferralsQuery = ask.query
        said = {"stage": query.stage, "state": query.state, "office_id": query.office_id}
        filters = {name: str(value) for name, value in said.items() if value is not None}
        return _page(
            await queries.referrals(
                ask.caller.practice_id,
                filters=filters,
                updated_since=query.updated_since,
                after=query.after,
                limit=query.limit,
            )
        )

    @routes.query(
        "POST",
        "/v1/referrals/search",
        scope=READ,
        reply=ReferralPage,
        body=PatientTerms,
        summary="Find referrals by their patient, newest first.",
    )
    async def search(ask: Ask[PatientTerms]) -> Answer:
        body = ask.body
        sought = Sought(
            family=body.family or "",
            family_prefix=body.family_prefix or "",
            birth_date=body.birth_date,
            phone=body.phone,
            number=body.identifier.key() if body.identifier else None,
        )
        return _page(await queries.search(ask.caller.practice_id, sought, after=body.after, limit=body.limit))

    @routes.query(
        "GET",
        "/v1/referrals/{id}/actions",
        scope=READ,
        reply=ActionsView,
        summary="Show what this caller may do to it now.",
    )
    async def actions(ask: Ask[None]) -> Answer:
        referral = await queries.referral(ask.caller.practice_id, ask.path["id"])
        legal = referral.actions if granted(ask.caller.scopes, WRITE) else ()
        offered = [_action(route, referral.id) for route in VERBS if route.verb in legal]
        return Answer(body={"actions": offered}, version=referral.version)


def _verb(routes: Routes, route: VerbRoute) -> None:
    async def ask_for_it(ask: Ask[VerbBody]) -> Reply:
        return await ask.submit(route.command(ask.path["id"], ask.body))

    ask_for_it.__name__ = route.verb.value.replace("-", "_")
    routes.command(
        "POST",
        route.path,
        scope=WRITE,
        body=route.body,
        reply=ReferralView,
        idempotent=True,
        refusals=("illegal-transition",),
        summary=route.summary,
    )(ask_for_it)


def _artifacts(routes: Routes, queries: Queries) -> None:
    @routes.query(
        "GET",
        "/v1/artifacts",
        scope=READ,
        reply=ArtifactPage,
        query=ArtifactsQuery,
        summary="List what other systems sent, newest first.",
    )
    async def list_artifacts(ask: Ask[None]) -> Answer:
        query: ArtifactsQuery = ask.query
        page = await queries.artifacts(
            ask.caller.practice_id,
            status=query.status,
            referral_id=query.referral_id,
            after=query.after,
            limit=query.limit,
        )
        return Answer(body={"items": [artifact_shown(item) for item in page.items], "next": page.next})

    @routes.query(
        "GET",
        "/v1/artifacts/{id}",
        scope=READ,
        reply=ArtifactView,
        summary="Show one artifact without its bytes.",
    )
    async def show_artifact(ask: Ask[None]) -> Answer:
        artifact = await queries.artifact(ask.caller.practice_id, ask.path["id"])
        return Answer(body=artifact_shown(artifact), version=artifact.version)

    @routes.raw(
        "GET",
        "/v1/artifacts/{id}/content",
        scope=READ,
        produces=("application/octet-stream",),
        summary="Give the bytes of an artifact exactly as they came.",
    )
    async def artifact_content(ask: Ask[None]) -> Answer:
        artifact = await queries.artifact(ask.caller.practice_id, ask.path["id"])
        content = await queries.artifact_bytes(ask.caller.practice_id, artifact.id)
        return Answer(body=content, media_type="application/octet-stream", headers=_AS_A_FILE)


_AS_A_FILE = {"Content-Disposition": 'attachment; filename="artifact"', "Content-Security-Policy": "sandbox"}
"""What others sent is never shown in a page of ours."""


def _action(route: VerbRoute, id: str) -> dict[str, object]:
    return {
        "name": route.verb.value,
        "method": "POST",
        "href": route.path.format(id=id),
        "reasons": list(reasons(route.verb)),
    }


def _page(found: Slice[Referral]) -> Answer:
    return Answer(body={"items": [referral_shown(item) for item in found.items], "next": found.next})
