"""Every door of every service: nobody gets in without a token, nor with one that lacks the scope."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from baton_chassis.doors import RouteDeclaration, inventory
from baton_chassis.foundation import lay
from baton_chassis.ids import new_id
from baton_chassis.log.sqlite import SqliteEventLog
from baton_chassis.serving import Node
from baton_embedded.assembly import build_all
from baton_notification.settings import Settings

PUBLIC = {
    "/o/{handle}": "an office page needs no account; what it shows without a code is no patient data",
    "/o/assets/": "the style of that page",
    "/fhir/R4/metadata": "a FHIR server says what it can do to anybody (FHIR R4, capabilities)",
    "/dev/": "development only",
}
"""Public doors, by how their path begins, and why."""


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """All services on one foundation, nothing started."""
    foundation = lay(Settings(data_dir=tmp_path), log=SqliteEventLog(None), service="test")
    return Node(foundation, build_all(foundation))


@pytest.fixture
async def client(node: Node) -> AsyncIterator[httpx.AsyncClient]:
    """A client at all doors."""
    transport = httpx.ASGITransport(app=node.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://node.test") as running:
        yield running
    for task in node.tasks:
        task.cancel()


def _declared(node: Node) -> list[RouteDeclaration]:
    return [one for service in node.services for one in inventory(*service.routes)]


def _closed(node: Node) -> list[RouteDeclaration]:
    return [one for one in _declared(node) if not one.public]


def _path(declared: RouteDeclaration) -> str:
    path = declared.path
    for name in declared.path_parameters:
        path = path.replace(f"{{{name}:path}}", "x").replace(f"{{{name}}}", new_id())
    return path


def _token(node: Node, *scopes: str) -> dict[str, str]:
    assert node.foundation.issuer is not None
    token = node.foundation.issuer.issue(
        scopes=scopes, practice="p1", ttl=timedelta(minutes=5), subject="test", client_id="test"
    )
    return {"Authorization": f"Bearer {token}"}


def test_every_public_door_is_public_for_a_reason(node: Node) -> None:
    public = [one.path for one in _declared(node) if one.public]

    assert [path for path in public if not path.startswith(tuple(PUBLIC))] == []


async def test_without_a_token_every_other_door_is_closed(node: Node, client: httpx.AsyncClient) -> None:
    for declared in _closed(node):
        answer = await client.request(declared.method, _path(declared))

        assert answer.status_code == 401, declared.path
        assert answer.headers["www-authenticate"].startswith("Bearer"), declared.path


async def test_a_token_without_the_scope_opens_no_door(node: Node, client: httpx.AsyncClient) -> None:
    for declared in _closed(node):
        answer = await client.request(declared.method, _path(declared), headers=_token(node, "nothing:read"))

        assert answer.status_code == 403, declared.path


async def test_a_forged_token_opens_no_door(node: Node, client: httpx.AsyncClient) -> None:
    good = _token(node, "referrals:read")["Authorization"]
    forged = good[:-6] + ("AAAAAA" if not good.endswith("AAAAAA") else "BBBBBB")
    for declared in _closed(node):
        answer = await client.request(declared.method, _path(declared), headers={"Authorization": forged})

        assert answer.status_code == 401, declared.path


def test_no_two_services_answer_at_one_address(node: Node) -> None:
    places = [(one.method, one.path) for one in _declared(node)]

    assert len(places) == len(set(places))


def test_the_gateway_knows_the_owner_of_every_door(node: Node) -> None:
    from baton_embedded.gateway import Gateway, Upstreams

    gateway = Gateway(Upstreams())
    for service in node.services:
        for declared in inventory(*service.routes):
            owner, _ = gateway._route(_path(declared))
            assert owner == service.definition.name, declared.path


def test_the_gateway_shows_nothing_internal(node: Node) -> None:
    from baton_embedded.gateway import Gateway, Upstreams

    assert Gateway(Upstreams())._route("/internal/content/document/x/1")[0] is None
    assert Gateway(Upstreams())._route("/_to/notes-service/internal/content/document/x/1")[0] is None
