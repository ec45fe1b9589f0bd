"""Content by claim check: the right bytes for the right practice, audited before they leave, or none."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta

import httpx
import pytest
from joserfc.jwk import ECKey

from baton_chassis import mounting
from baton_chassis.clock import SystemClock
from baton_chassis.commands import Caller, Command, IdempotencyKey
from baton_chassis.content import (
    Content,
    ContentAltered,
    ContentClient,
    ContentMissing,
    ContentRef,
    HttpContent,
    InProcessContent,
    content_routes,
)
from baton_chassis.doors import Decided, Doorway
from baton_chassis.errors import Unavailable
from baton_chassis.ids import new_id
from baton_chassis.tokens import Issuer, ServiceCredential, Verifier

LETTER = b"Dear colleague, Ada Testperson ..."
ID = new_id()
CREDENTIAL = ServiceCredential(ECKey.generate_key("P-256", private=True), service="notes")
ISSUER = Issuer(ECKey.generate_key("P-256", private=True), issuer="urn:people")
REF = ContentRef(owner="archive", kind="letter", id=ID, version=2, sha256=hashlib.sha256(LETTER).hexdigest())


class Letters:
    async def read(self, practice_id: str, kind: str, id: str, version: int) -> Content | None:
        known = (practice_id, kind, id, version) == ("p1", "letter", ID, 2)
        return Content.of("application/pdf", LETTER) if known else None


class House:
    """The owner of letters, reachable in process and over HTTP."""

    def __init__(self) -> None:
        self.audited: list[tuple[str, str, str, str, int]] = []
        self.app = mounting.new_app(title="archive", version="1")
        doorway = Doorway(
            admit=Verifier(ISSUER.trust(), CREDENTIAL.trust),
            submit=self._submit,
            clock=SystemClock(),
            new_id=new_id,
        )
        mounting.mount(self.app, content_routes({"letter": Letters()}, audit=self._audit), doorway)

    async def _audit(self, caller: Caller, kind: str, id: str, version: int) -> None:
        self.audited.append((caller.practice_id, caller.actor, kind, id, version))

    async def _submit(
        self,
        command: Command,
        caller: Caller,
        *,
        key: IdempotencyKey | None = None,
        if_match: int | None = None,
    ) -> Decided:
        raise AssertionError("content is only read")

    def http(self, peers: Mapping[str, str] | None = None) -> HttpContent:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app))
        return HttpContent(
            peers or {"archive": "http://archive.internal"}, token=CREDENTIAL.token, client=client
        )


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture(params=["in process", "http"])
def client(request: pytest.FixtureRequest, house: House) -> ContentClient:
    return (
        InProcessContent({"archive": {"letter": Letters()}})
        if request.param == "in process"
        else house.http()
    )


async def test_the_bytes_come_with_their_type_and_digest(client: ContentClient) -> None:
    content = await client.fetch("p1", REF)

    assert (content.body, content.media_type, content.sha256) == (LETTER, "application/pdf", REF.sha256)
    assert "Ada" not in repr(content)


@pytest.mark.parametrize(
    ("practice", "change"),
    [("p2", {}), ("p1", {"version": 3}), ("p1", {"id": new_id()}), ("p1", {"kind": "x"})],
)
async def test_what_this_practice_does_not_have_is_missing(
    client: ContentClient, practice: str, change: dict[str, object]
) -> None:
    said = {"owner": "archive", "kind": "letter", "id": ID, "version": 2, "sha256": REF.sha256, **change}

    with pytest.raises(ContentMissing):
        await client.fetch(practice, ContentRef(**said))  # type: ignore[arg-type]  # one field of the right type


async def test_other_bytes_than_promised_are_never_handed_over(client: ContentClient) -> None:
    promised = ContentRef(owner="archive", kind="letter", id=ID, version=2, sha256="0" * 64)

    with pytest.raises(ContentAltered):
        await client.fetch("p1", promised)


async def test_every_reading_is_audited_and_not_kept_on_the_way(house: House) -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(house.app), base_url="http://archive"
    ) as client:
        headers = {"Authorization": f"Bearer {CREDENTIAL.token('p1')}"}
        response = await client.get(f"/internal/content/letter/{ID}/2", headers=headers)

    assert house.audited == [("p1", "service:notes", "letter", ID, 2)]
    assert response.headers["cache-control"] == "no-store"
    assert house.app.openapi()["paths"] == {}


async def test_a_person_with_every_other_scope_gets_no_content(house: House) -> None:
    token = ISSUER.issue(
        scopes={"notes:read", "ops:write"}, practice="p1", ttl=timedelta(minutes=5), subject="ada"
    )

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(house.app), base_url="http://archive"
    ) as client:
        url = f"/internal/content/letter/{ID}/2"
        forbidden = await client.get(url, headers={"Authorization": f"Bearer {token}"})
        unknown = await client.get(url)

    assert (forbidden.status_code, unknown.status_code) == (403, 401)
    assert house.audited == []


@pytest.mark.parametrize(
    "path", ["letter/../x/2", f"letter/{ID}/x", f"letter/{ID}/-1", f"other/{ID}/2", "letter/1/2"]
)
async def test_an_odd_address_is_not_found(house: House, path: str) -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(house.app), base_url="http://archive"
    ) as client:
        headers = {"Authorization": f"Bearer {CREDENTIAL.token('p1')}"}
        assert (await client.get(f"/internal/content/{path}", headers=headers)).status_code == 404


async def test_an_owner_that_is_away_or_unknown_is_a_reason_to_wait(house: House) -> None:
    nobody = HttpContent({"archive": "http://127.0.0.1:1"}, token=CREDENTIAL.token)

    with pytest.raises(Unavailable):
        await nobody.fetch("p1", REF)
    await nobody.close()
    with pytest.raises(Unavailable, match="BATON_PEERS"):
        await house.http({"other": "http://other"}).fetch("p1", REF)
