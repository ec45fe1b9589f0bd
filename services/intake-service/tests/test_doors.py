"""Every door of intake at once: what all of them must do."""

from __future__ import annotations

from typing import Any

import pytest

from baton_chassis.access import Unauthenticated
from baton_chassis.doors import RouteDeclaration, inventory
from baton_chassis.testing.harness import Harness
from baton_intake.app import DEFINITION
from baton_intake.rest.verbs import VERBS

ON_SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
pytestmark = ON_SQLITE

UNKNOWN = "01a20000-0000-7000-8000-000000000000"


def doors(intake: Harness) -> list[RouteDeclaration]:
    return inventory(*intake.service.routes)


async def test_the_doors_are_those_that_the_interface_names(intake: Harness) -> None:
    assert {(door.method, door.path) for door in doors(intake)} == {
        ("POST", "/v1/referrals"),
        ("GET", "/v1/referrals"),
        ("POST", "/v1/referrals/search"),
        ("GET", "/v1/referrals/{id}"),
        ("GET", "/v1/referrals/{id}/actions"),
        ("POST", "/v1/referrals/{id}/accept"),
        ("POST", "/v1/referrals/{id}/decline"),
        ("GET", "/v1/artifacts"),
        ("GET", "/v1/artifacts/{id}"),
        ("GET", "/v1/artifacts/{id}/content"),
        ("POST", "/fhir/R4/$process-message"),
        ("GET", "/fhir/R4/ServiceRequest/{id}"),
        ("GET", "/fhir/R4/Task/{id}"),
        ("GET", "/fhir/R4/metadata"),
    }


async def test_every_command_has_a_door_or_is_asked_by_one(intake: Harness) -> None:
    by_verb = {type(route.command("x", route.body())) for route in VERBS}

    assert by_verb <= set(DEFINITION.commands)


async def test_no_door_but_the_capability_statement_opens_without_a_token(
    intake: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody(headers: Any) -> Any:
        raise Unauthenticated(offered=False)

    monkeypatch.setattr(intake, "admit", nobody)
    async with intake.client() as client:
        for door in doors(intake):
            answer = await client.request(door.method, door.path.replace("{id}", UNKNOWN))

            assert answer.status_code == (200 if door.path.endswith("/metadata") else 401), door.path
            if answer.status_code == 401:
                assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_no_door_opens_without_its_scope(intake: Harness) -> None:
    intake.scopes = frozenset({"events:read"})
    async with intake.client() as client:
        for door in doors(intake):
            if door.public:
                continue
            answer = await client.request(door.method, door.path.replace("{id}", UNKNOWN))

            assert answer.status_code == 403, door.path


async def test_no_answer_may_be_kept_by_anybody_between(intake: Harness) -> None:
    async with intake.client() as client:
        for door in doors(intake):
            answer = await client.request(door.method, door.path.replace("{id}", UNKNOWN))

            assert answer.headers["cache-control"] == "no-store"
            assert answer.status_code < 500
