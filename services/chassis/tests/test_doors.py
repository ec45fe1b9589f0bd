"""What a door promises: only the declared, the readable and the allowed; and never a word sent back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from baton_chassis import mounting
from baton_chassis.access import Principal, Unauthenticated
from baton_chassis.clock import FixedClock
from baton_chassis.commands import Caller, Command, IdempotencyKey, Reply
from baton_chassis.doors import (
    Answer,
    Ask,
    Body,
    Decided,
    Doorway,
    Instant,
    Page,
    PageQuery,
    RouteRefused,
    Routes,
    View,
    inventory,
)
from baton_chassis.errors import Contended, KeyReused, NotFound, VersionMismatch
from baton_chassis.problems import Problem, ProblemType

PRACTICE = "01890000-0000-7000-8000-000000000001"
PARCEL = "01890000-0000-7000-8000-0000000000aa"
CANARY = "Kanarienvogel-Ada"


class Label(Body):
    text: Annotated[str, Field(max_length=20)]
    color: Literal["red", "blue"] = "red"


class NewParcel(Body):
    name: Annotated[str, Field(max_length=40)]
    weight: int | None = None
    labels: Annotated[list[Label], Field(max_length=3, default_factory=list)]
    due: Instant | None = None
    notes: Annotated[dict[str, int], Field(default_factory=dict)]


class Verb(Body):
    reason: str = ""


class ParcelView(View):
    id: str
    name: str = ""


class ParcelQuery(PageQuery):
    color: Annotated[list[Literal["red", "blue"]] | None, Field(max_length=2)] = None
    open: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveParcel(Command):
    name: str


def decided(reply: Reply, *, replayed: bool = False) -> Decided:
    return Decided(reply=reply, replayed=replayed)


class AlreadySent(Exception):
    code = "already-sent"
    detail = "The parcel has left the house."


class Post:
    """Keeps what was submitted; answers or raises what the test wants."""

    def __init__(self) -> None:
        self.seen: list[tuple[Command, Caller, IdempotencyKey | None, int | None]] = []
        self.decided = decided(
            Reply(kind="created", body={"id": PARCEL}, location=f"/v1/parcels/{PARCEL}", version=1)
        )
        self.error: Exception | None = None

    async def __call__(
        self,
        command: Command,
        caller: Caller,
        *,
        key: IdempotencyKey | None = None,
        if_match: int | None = None,
    ) -> Decided:
        self.seen.append((command, caller, key, if_match))
        if self.error is not None:
            raise self.error
        return self.decided


async def admit(headers: Mapping[str, str]) -> Principal:
    """The token is the list of scopes."""
    said = headers.get("authorization", "")
    if not said:
        raise Unauthenticated(offered=False)
    scopes = frozenset(said.removeprefix("Bearer ").split(","))
    return Principal(subject="ada", client_id="test", practice_id=PRACTICE, scopes=scopes)


def as_outcome(problem: Problem, _accept: str) -> tuple[str, bytes]:
    return "application/fhir+json", json.dumps(
        {"resourceType": "OperationOutcome", "c": problem.type.code}
    ).encode()


def parcel_routes() -> Routes:
    routes = Routes(tag="parcels")
    _changing(routes)
    _reading(routes)
    _in_other_formats(routes)
    _for_visitors(routes)
    return routes


def _changing(routes: Routes) -> None:
    sent = ProblemType(code="already-sent", status=409, title="Sent", explanation="It has left.")

    @routes.command(
        "POST",
        "/v1/parcels",
        scope="parcels:write",
        body=NewParcel,
        reply=ParcelView,
        idempotent=True,
        refusals=("illegal-transition", sent),
        success=201,
    )
    async def receive(ask: Ask[NewParcel]) -> Reply:
        """Take a parcel in."""
        return await ask.submit(ReceiveParcel(id=ask.new_id(), name=ask.body.name))

    @routes.command(
        "POST",
        "/v1/parcels/{id}/send",
        scope="parcels:write",
        body=Verb,
        reply=ParcelView,
        idempotent=True,
        success=201,
        hot=True,
    )
    async def send(ask: Ask[Verb]) -> Reply:
        """Send a parcel."""
        return await ask.submit(ReceiveParcel(id=ask.path["id"], name=ask.body.reason))

    @routes.command(
        "POST", "/v1/parcels/{id}/keep", scope="parcels:write", body=None, reply=ParcelView, idempotent=False
    )
    async def keep(ask: Ask[None]) -> Reply:
        """Keep a parcel."""
        return await ask.submit(ReceiveParcel(id=ask.path["id"], name=""))


def _reading(routes: Routes) -> None:
    @routes.query("GET", "/v1/parcels", scope="parcels:read", query=ParcelQuery, reply=Page[ParcelView])
    async def listing(ask: Ask[None]) -> Answer:
        """List parcels."""
        items = [
            ParcelView(id=PARCEL, name=str(ask.query.limit)),
            ParcelView(id=PARCEL, name=str(ask.query.color)),
        ]
        return Answer(body=Page[ParcelView](items=items))

    @routes.query("GET", "/v1/parcels/{id}", scope="parcels:read", reply=ParcelView)
    async def one(ask: Ask[None]) -> Answer:
        """Read a parcel."""
        if ask.path["id"] != PARCEL:
            raise NotFound("There is no such parcel.")
        return Answer(body=ParcelView(id=PARCEL), version=3)

    @routes.query("GET", "/v1/broken", scope="parcels:read", reply=ParcelView)
    async def broken(ask: Ask[None]) -> Answer:
        """A defect."""
        raise RuntimeError(f"cannot handle {CANARY}")


def _in_other_formats(routes: Routes) -> None:
    @routes.raw(
        "POST",
        "/fhir/R4/Parcel",
        scope="system/Parcel.c",
        accepts=("application/fhir+json",),
        produces=("application/fhir+json",),
        on_problem=as_outcome,
        success=201,
    )
    async def fhir(ask: Ask[None]) -> Answer:
        """Take a parcel in, as FHIR."""
        return Answer(status=201, body=ask.raw, media_type="application/fhir+json")

    @routes.raw("GET", "/stream", public=True, produces=("text/event-stream",))
    async def stream(ask: Ask[None]) -> Answer:
        """Stream."""

        async def events() -> AsyncIterator[bytes]:
            yield b"data: 1\n\n"
            yield b"data: 2\n\n"

        return Answer(body=events(), media_type="text/event-stream")


def _for_visitors(routes: Routes) -> None:
    @routes.page("POST", "/o/{handle}/verify", public=True)
    async def verify(ask: Ask[None]) -> Answer:
        """Check a code."""
        return Answer(body=ask.form()["code"], media_type="text/html", set_cookies=("a=1; Path=/", "b=2"))

    @routes.raw("GET", "/o/{handle}", public=True, produces=("text/html",))
    async def open_page(ask: Ask[None]) -> Answer:
        """Show what the visitor brings along."""
        seen = f"{ask.path['handle']} {ask.cookies.get('a')} {ask.caller.practice_id!r} {ask.now.isoformat()}"
        return Answer(body=seen, media_type="text/plain")

    @routes.raw(
        "POST",
        "/o/{handle}/both",
        public=True,
        accepts=("text/plain",),
        produces=("application/json",),
        idempotent=True,
    )
    async def both(ask: Ask[None]) -> Answer:
        """Submit two commands on behalf of the handle's practice."""
        visitor = Caller(practice_id="p9", actor="visitor")
        for name in ("one", "two"):
            await ask.submit(ReceiveParcel(id=ask.new_id(), name=name), caller=visitor, assertion="pms")
        return Answer(status=204)


@dataclass
class House:
    post: Post = field(default_factory=Post)
    app: FastAPI = field(init=False)

    def __post_init__(self) -> None:
        self.app = mounting.new_app(title="Parcels", version="1")
        clock = FixedClock(datetime(2026, 1, 2, tzinfo=UTC))
        doorway = Doorway(
            admit=admit,
            submit=self.post,
            clock=clock,
            new_id=lambda: PARCEL,
            check_replies=True,
            body_seconds=0.2,
        )
        mounting.mount(self.app, parcel_routes(), doorway)

    async def ask(self, method: str, path: str, **said: Any) -> httpx.Response:
        headers = {
            "Authorization": "Bearer parcels:read,parcels:write,system/Parcel.c",
            **said.pop("headers", {}),
        }
        headers = {name: value for name, value in headers.items() if value}
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            return await client.request(method, path, headers=headers, **said)

    async def send_raw(self, raw: bytes, path: str = "/v1/parcels") -> httpx.Response:
        return await self.ask("POST", path, content=raw, headers={"Content-Type": "application/json"})


@pytest.fixture
def house() -> House:
    return House()


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (response.status_code, body["status"], body["code"]) == (status, status, code)
    assert body["type"] == f"/problems/{code}"
    assert body.keys() == {"type", "title", "status", "code", "detail", "errors", "trace_id"}
    return body


async def test_a_created_thing_has_a_location_and_a_version(house: House) -> None:
    response = await house.ask("POST", "/v1/parcels", json={"name": "box"})

    assert response.status_code == 201
    assert response.headers["location"] == f"/v1/parcels/{PARCEL}"
    assert response.headers["etag"] == 'W/"1"'
    assert response.headers["cache-control"] == "no-store"
    assert "idempotent-replayed" not in response.headers
    assert response.json() == {"id": PARCEL}


@pytest.mark.parametrize(
    ("kind", "status"), [("done", 200), ("existing", 200), ("created", 201), ("waiting", 202)]
)
async def test_the_kind_of_reply_decides_the_status(house: House, kind: Any, status: int) -> None:
    house.post.decided = decided(Reply(kind=kind, body={"id": PARCEL}, location="/v1/parcels/1"))

    response = await house.ask("POST", "/v1/parcels", json={"name": "box"})

    assert (response.status_code, response.headers["location"]) == (status, "/v1/parcels/1")


async def test_the_command_knows_who_asks_and_under_which_key(house: House) -> None:
    house.post.decided = decided(Reply(body={"id": PARCEL}), replayed=True)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    response = await house.ask(
        "POST",
        "/v1/parcels",
        json={"name": "box"},
        headers={
            "Idempotency-Key": "abc",
            "If-Match": 'W/"7"',
            "X-Correlation-Id": CANARY,
            "traceparent": trace,
        },
    )

    command, caller, key, if_match = house.post.seen[0]
    assert command == ReceiveParcel(id=PARCEL, name="box")
    assert (caller.practice_id, caller.actor, caller.client_id, if_match) == (PRACTICE, "ada", "test", 7)
    assert caller.correlation_id == PARCEL
    assert caller.traceparent.split("-")[1] == trace.split("-")[1]
    assert key is not None
    assert key.key == "abc"
    assert response.headers["idempotent-replayed"] == "true"


async def test_the_fingerprint_tells_requests_apart(house: House) -> None:
    for path, name in (("/v1/parcels", "a"), ("/v1/parcels", "a"), ("/v1/parcels", "b")):
        await house.ask("POST", path, json={"name": name}, headers={"Idempotency-Key": "k"})
    await house.ask("POST", f"/v1/parcels/{PARCEL}/send", headers={"Idempotency-Key": "k"})

    prints = [key.fingerprint for _, _, key, _ in house.post.seen if key is not None]
    assert len(prints) == 4
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


@pytest.mark.parametrize("key", [" ", "a b", "é".encode(), "x" * 256])
async def test_an_odd_idempotency_key_is_refused(house: House, key: Any) -> None:
    response = await house.ask("POST", "/v1/parcels", json={"name": "box"}, headers={"Idempotency-Key": key})

    problem(response, 422, "validation-failed")
    assert not house.post.seen


@pytest.mark.parametrize(
    "etag", ['"x"', 'W/"-1"', 'W/""', '"' + "9" * 40 + '"', "3", '"1", "2"', "w/'3'", '"']
)
async def test_an_if_match_that_no_version_can_have_never_matches(house: House, etag: str) -> None:
    response = await house.ask("POST", "/v1/parcels", json={"name": "box"}, headers={"If-Match": etag})

    is_an_etag = etag.endswith('"') and etag.count('"') == 2
    problem(response, *((412, "version-mismatch") if is_an_etag else (422, "validation-failed")))
    assert not house.post.seen


async def test_any_version_will_do_for_a_star(house: House) -> None:
    await house.ask("POST", "/v1/parcels", json={"name": "box"}, headers={"If-Match": "*"})

    assert house.post.seen[0][3] is None


async def test_a_verb_needs_no_body(house: House) -> None:
    response = await house.ask("POST", f"/v1/parcels/{PARCEL}/send")

    assert response.status_code == 201
    assert house.post.seen[0][0] == ReceiveParcel(id=PARCEL, name="")


async def test_without_a_token_every_door_but_public_ones_says_401(house: House) -> None:
    for declared in inventory(parcel_routes()):
        path = declared.path.replace("{id}", PARCEL).replace("{handle}", "h")
        response = await house.ask(declared.method, path, headers={"Authorization": ""})
        assert (response.status_code == 401) is not declared.public
        if not declared.public:
            assert response.headers["www-authenticate"] == 'Bearer realm="api"'


async def test_without_the_scope_every_door_says_403_before_reading(house: House) -> None:
    for declared in inventory(parcel_routes()):
        if declared.public:
            continue
        path = declared.path.replace("{id}", "not-an-id")
        response = await house.ask(
            declared.method, path, headers={"Authorization": "Bearer parcels:none"}, content=b"{"
        )
        assert response.status_code == 403
        assert f'scope="{declared.scopes[0]}"' in response.headers["www-authenticate"]


MALFORMED = {
    "empty": b"",
    "cut off": b'{"name":',
    "twice": b'{"name":"a","name":"b"}',
    "nan": b'{"name":"a","weight":NaN}',
    "infinity": b'{"name":"a","weight":-Infinity}',
    "beyond a double": b'{"name":"a","weight":1e400}',
    "5,000 digits": b'{"name":"a","weight":' + b"9" * 5000 + b"}",
    "lone surrogate": b'{"name":"\\ud800"}',
    "lone low surrogate in a name": b'{"\\udc00":1}',
    "zero": b'{"name":"\\u0000"}',
    "raw zero": b'{"name":"\x00"}',
    "bomb": b"[" * 100_000 + b"]" * 100_000,
    "object bomb": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "bom": b'\xef\xbb\xbf{"name":"a"}',
    "utf-16": '{"name":"a"}'.encode("utf-16"),
    "utf-16 without bom": '{"name":"a"}'.encode("utf-16-le"),
    "bad utf-8": b'{"name":"\xff"}',
    "overlong utf-8": b'{"name":"\xc0\xaf"}',
    "trailing": b'{"name":"a"} x',
    "two documents": b'{"name":"a"}{"name":"a"}',
    "single quotes": b"{'name':'a'}",
    "comment": b'{"name":"a"/**/}',
    "comma": b'{"name":"a",}',
    "hex": b'{"name":"a","weight":0x1}',
    "leading zero": b'{"name":"a","weight":01}',
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
async def test_json_with_more_than_one_meaning_is_malformed(house: House, raw: bytes) -> None:
    response = await house.send_raw(raw)

    problem(response, 400, "malformed-json")
    assert not house.post.seen


INVALID = {
    "array": (b"[]", "", "wrong-type"),
    "null": (b"null", "", "wrong-type"),
    "missing": (b"{}", "/name", "required"),
    "unknown field": (b'{"name":"a","Kanarienvogel-Ada":1}', "", "unknown-field"),
    "unknown nested": (
        b'{"name":"a","labels":[{"text":"x","Kanarienvogel-Ada":1}]}',
        "/labels/0",
        "unknown-field",
    ),
    "number as text": (b'{"name":"a","weight":"5"}', "/weight", "wrong-type"),
    "fraction": (b'{"name":"a","weight":1.5}', "/weight", "wrong-type"),
    "bool as number": (b'{"name":"a","weight":true}', "/weight", "wrong-type"),
    "too long": (b'{"name":"' + CANARY.encode() * 9 + b'"}', "/name", "too-long"),
    "choice": (
        b'{"name":"a","labels":[{"text":"x","color":"Kanarienvogel-Ada"}]}',
        "/labels/0/color",
        "not-in-list",
    ),
    "key of a map": (b'{"name":"a","notes":{"Kanarienvogel-Ada":"x"}}', "/notes", "wrong-type"),
    "no offset": (b'{"name":"a","due":"2026-01-01T00:00:00"}', "/due", "not-a-timestamp"),
    "seconds since 1970": (b'{"name":"a","due":"1700000000"}', "/due", "not-a-timestamp"),
    "no such day": (b'{"name":"a","due":"2026-02-30T00:00:00Z"}', "/due", "not-a-timestamp"),
}


@pytest.mark.parametrize(("raw", "pointer", "code"), INVALID.values(), ids=INVALID.keys())
async def test_a_body_outside_its_description_gets_pointer_and_code_but_no_value(
    house: House, raw: bytes, pointer: str, code: str
) -> None:
    response = await house.send_raw(raw)

    errors = problem(response, 422, "validation-failed")["errors"]
    assert [(error["pointer"], error["code"]) for error in errors] == [(pointer, code)]
    assert CANARY not in response.text
    assert not house.post.seen


async def test_a_time_with_an_offset_is_read(house: House) -> None:
    response = await house.send_raw(b'{"name":"\\ud83d\\ude00 \\u00e9","due":"2026-01-01T00:00:00.5-05:00"}')

    assert response.status_code == 201


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/xml",
        "application/json; charset=utf-16",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
    ],
)
async def test_another_content_type_is_refused(house: House, content_type: str) -> None:
    headers = {"Content-Type": content_type}

    response = await house.ask("POST", "/v1/parcels", content=b'{"name":"a"}', headers=headers)

    problem(response, 415, "unsupported-media-type")
    assert response.headers["accept"] == "application/json"


async def test_a_body_of_eleven_megabytes_is_too_large_by_its_length_or_by_counting(house: House) -> None:
    async def drip() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b" " * 1_000_000

    by_length = await house.send_raw(b" " * 11_000_000)
    by_counting = await house.ask(
        "POST", "/v1/parcels", content=drip(), headers={"Content-Type": "application/json"}
    )

    problem(by_length, 413, "too-large")
    problem(by_counting, 413, "too-large")


@pytest.mark.parametrize("length", ["-1", "+5", "5 5", "0x5", "９"])
async def test_a_length_that_is_no_number_is_a_bad_request(house: House, length: str) -> None:
    response = await house.ask(
        "POST",
        "/v1/parcels",
        content=b"{}",
        headers={"Content-Length": length.encode(), "Content-Type": "application/json"},
    )

    problem(response, 400, "bad-request")


async def test_a_body_that_never_ends_is_given_up(house: House) -> None:
    started: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not started:
            started.append(1)
            return {"type": "http.request", "body": b"{", "more_body": True}
        await asyncio.Event().wait()
        raise AssertionError

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", b"Bearer parcels:write"), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/parcels",
        "headers": headers,
        "query_string": b"",
        "raw_path": b"/v1/parcels",
        "http_version": "1.1",
        "scheme": "http",
        "server": ("h", 80),
        "root_path": "",
    }
    await house.app(scope, receive, send)

    assert sent[0]["status"] == 408


@pytest.mark.parametrize("text", ["x", "1", PARCEL.upper(), PARCEL + "0", "%00", "..%2fx", "a%0ab", "{id}"])
async def test_a_malformed_id_in_the_path_is_not_found(house: House, text: str) -> None:
    response = await house.ask("GET", f"/v1/parcels/{text}")

    problem(response, 404, "not-found")


async def test_another_id_looks_like_no_id(house: House) -> None:
    other = await house.ask("GET", "/v1/parcels/01890000-0000-7000-8000-0000000000bb")

    problem(other, 404, "not-found")


QUERIES = {
    "unknown": ("Kanarienvogel=1", "/query", "unknown-parameter"),
    "twice": ("limit=5&limit=6", "/query/limit", "repeated"),
    "too many": ("limit=201", "/query/limit", "too-large"),
    "none": ("limit=0", "/query/limit", "too-small"),
    "underscore": ("limit=1_0", "/query/limit", "wrong-type"),
    "fullwidth": ("limit=%EF%BC%95", "/query/limit", "wrong-type"),
    "blank": ("limit=", "/query/limit", "wrong-type"),
    "plus": ("limit=%2B5", "/query/limit", "wrong-type"),
    "huge": ("limit=" + "9" * 400, "/query/limit", "wrong-type"),
    "yes": ("open=yes", "/query/open", "wrong-type"),
    "bad utf-8": ("after=%ff", "/query", "malformed-query"),
    "zero": ("after=%00", "/query", "malformed-query"),
    "no value": ("after", "/query", "malformed-query"),
    "a thousand": ("&".join(f"a{n}=1" for n in range(1000)), "/query", "malformed-query"),
    "choice": ("color=green", "/query/color/0", "not-in-list"),
}


@pytest.mark.parametrize(("query", "pointer", "code"), QUERIES.values(), ids=QUERIES.keys())
async def test_odd_parameters_are_refused(house: House, query: str, pointer: str, code: str) -> None:
    response = await house.ask("GET", f"/v1/parcels?{query}")

    errors = problem(response, 422, "validation-failed")["errors"]
    assert [(error["pointer"], error["code"]) for error in errors] == [(pointer, code)]
    assert "Kanarienvogel" not in response.text


async def test_good_parameters_arrive_typed(house: House) -> None:
    response = await house.ask("GET", "/v1/parcels?limit=7&color=red&color=blue&open=true")

    body = response.json()
    assert body["next"] is None
    assert [item["name"] for item in body["items"]] == ["7", "['red', 'blue']"]


async def test_an_address_without_parameters_takes_none(house: House) -> None:
    problem(await house.ask("GET", f"/v1/parcels/{PARCEL}?x=1"), 422, "validation-failed")


async def test_a_read_shows_the_version_as_an_etag(house: House) -> None:
    response = await house.ask("GET", f"/v1/parcels/{PARCEL}")

    assert (response.status_code, response.headers["etag"]) == (200, 'W/"3"')


async def test_an_unknown_address_and_a_wrong_method_are_problems(house: House) -> None:
    problem(await house.ask("GET", "/nowhere"), 404, "not-found")
    problem(await house.ask("GET", "/v1/parcels/"), 404, "not-found")
    problem(await house.ask("GET", "//v1/parcels"), 404, "not-found")
    wrong = await house.ask("DELETE", "/v1/parcels")
    problem(wrong, 405, "method-not-allowed")
    assert wrong.headers["allow"] == "GET, HEAD, POST"
    problem(await house.ask("TRACE", f"/v1/parcels/{PARCEL}/send"), 405, "method-not-allowed")
    problem(await house.ask("GET", f"/v1/parcels/{PARCEL}/send"), 405, "method-not-allowed")


REFUSALS = [
    (NotFound("No."), 404, "not-found"),
    (KeyReused(), 422, "key-reused"),
    (VersionMismatch(current=4), 412, "version-mismatch"),
    (AlreadySent(), 409, "already-sent"),
]


@pytest.mark.parametrize(("error", "status", "code"), REFUSALS)
async def test_a_refusal_becomes_its_problem(house: House, error: Exception, status: int, code: str) -> None:
    house.post.error = error

    problem(await house.ask("POST", "/v1/parcels", json={"name": "a"}), status, code)


async def test_busy_says_when_to_come_back(house: House) -> None:
    house.post.error = Contended()

    response = await house.ask("POST", "/v1/parcels", json={"name": "a"})

    problem(response, 503, "busy")
    assert response.headers["retry-after"] == "1"


async def test_a_defect_shows_nothing_and_logs_no_text(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    response = await house.ask("GET", "/v1/broken")

    problem(response, 500, "internal")
    captured = capsys.readouterr()
    assert CANARY not in response.text + captured.out + captured.err


async def test_a_reply_outside_its_declaration_is_a_defect_where_that_is_checked(house: House) -> None:
    house.post.decided = decided(Reply(body={"nome": "x"}))
    problem(await house.ask("POST", "/v1/parcels", json={"name": "a"}), 500, "internal")

    house.post.decided = decided(Reply(kind="created", body={"id": PARCEL}))
    problem(await house.ask("POST", f"/v1/parcels/{PARCEL}/keep"), 500, "internal")


async def test_a_route_with_its_own_format_reads_raw_bytes_and_refuses_in_its_own_words(house: House) -> None:
    fhir = {"Content-Type": "application/fhir+json; charset=utf-8"}

    taken = await house.ask("POST", "/fhir/R4/Parcel", content=b"\xff", headers=fhir)
    refused = await house.ask("POST", "/fhir/R4/Parcel", content=b"x", headers={"Content-Type": "text/html"})
    narrow = await house.ask(
        "POST", "/fhir/R4/Parcel", headers={**fhir, "Authorization": "Bearer system/Parcel.rs"}
    )
    wide = await house.ask(
        "POST", "/fhir/R4/Parcel", headers={**fhir, "Authorization": "Bearer system/*.cruds"}
    )

    assert (taken.status_code, taken.content) == (201, b"\xff")
    assert (refused.status_code, refused.json()["c"]) == (415, "unsupported-media-type")
    assert (narrow.status_code, narrow.headers["content-type"]) == (403, "application/fhir+json")
    assert wide.status_code == 201


async def test_a_stream_is_sent_piece_by_piece_and_head_has_no_body(house: House) -> None:
    streamed = await house.ask("GET", "/stream")
    head = await house.ask("HEAD", "/stream")

    assert streamed.text == "data: 1\n\ndata: 2\n\n"
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert (head.status_code, head.text) == (200, "")


async def test_a_form_is_read_and_cookies_are_set(house: House) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    response = await house.ask("POST", "/o/h/verify", content=b"code=12%2034", headers=form)
    doubled = await house.ask("POST", "/o/h/verify", content=b"code=1&code=2", headers=form)
    for_json = await house.ask(
        "POST", "/o/h/verify", content=b"%ff=", headers={**form, "Accept": "application/json"}
    )

    assert response.text == "12 34"
    assert response.headers.get_list("set-cookie") == ["a=1; Path=/", "b=2"]
    assert (doubled.status_code, doubled.headers["content-type"]) == (422, "text/html; charset=utf-8")
    problem(for_json, 422, "validation-failed")


async def test_a_visitor_has_cookies_but_no_practice(house: House) -> None:
    response = await house.ask("GET", "/o/abc", headers={"Cookie": "b=2; a=1; a=3; c", "Authorization": ""})

    assert response.text == "abc 1 '' 2026-01-02T00:00:00+00:00"


async def test_one_request_may_submit_several_commands_each_under_its_own_key(house: House) -> None:
    headers = {"Authorization": "", "Content-Type": "text/plain", "Idempotency-Key": "k"}

    response = await house.ask("POST", "/o/abc/both", headers=headers, content=b"x")

    assert (response.status_code, response.content) == (204, b"")
    assert [key.key for _, _, key, _ in house.post.seen if key is not None] == ["k", "k#2"]
    assert {(caller.practice_id, caller.assertion) for _, caller, _, _ in house.post.seen} == {("p9", "pms")}


def test_what_is_not_declared_well_does_not_mount() -> None:
    class Loose(View):
        x: int = 0

    async def handler(ask: Ask[Any]) -> Answer:
        """Do."""
        return Answer()

    async def silent(ask: Ask[Any]) -> Answer:
        return Answer()

    routes = Routes(tag="t")
    said: dict[str, Any] = {"scope": "a:b", "reply": ParcelView, "body": None, "idempotent": False}
    with pytest.raises(RouteRefused, match="either"):
        routes.raw("GET", "/x", produces=("text/html",))
    with pytest.raises(RouteRefused, match="either"):
        routes.raw("GET", "/x", produces=("text/html",), scope="a:b", public=True)
    with pytest.raises(RouteRefused, match="ProblemType"):
        routes.command("POST", "/x", **said | {"refusals": ("unheard-of",)})(handler)
    for wrong, sentence in (
        ({"body": Loose}, "unknown fields"),
        ({"scope": "Referrals"}, "misspelt"),
    ):
        with pytest.raises(RouteRefused, match=sentence):
            routes.command("POST", "/x", **said | wrong)(handler)
    with pytest.raises(RouteRefused, match="summary"):
        routes.command("POST", "/x", **said)(silent)
    with pytest.raises(RouteRefused, match="not by GET"):
        routes.command("GET", "/x", **said)(handler)
    routes.command("POST", "/x", **said)(handler)
    with pytest.raises(RouteRefused, match="twice"):
        routes.command("POST", "/x", **said)(handler)
    assert [declared.path for declared in inventory(routes)] == ["/x"]


def test_the_openapi_names_bodies_replies_problems_headers_and_scopes(house: House) -> None:
    schema = house.app.openapi()

    assert schema["openapi"].startswith("3.1")
    post = schema["paths"]["/v1/parcels"]["post"]
    body = post["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
    assert schema["components"]["schemas"][body]["additionalProperties"] is False
    assert post["requestBody"]["required"] is True
    created = post["responses"]["201"]
    assert created["headers"].keys() == {"Location", "ETag", "Idempotent-Replayed"}
    assert (
        created["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
        in schema["components"]["schemas"]
    )
    assert {"400", "401", "403", "409", "412", "413", "415", "422", "503"} <= post["responses"].keys()
    assert post["security"] == [{"bearer": ["parcels:write"]}]
    assert {parameter["name"] for parameter in post["parameters"]} == {"Idempotency-Key", "If-Match"}
    listing = schema["paths"]["/v1/parcels"]["get"]
    assert {parameter["name"] for parameter in listing["parameters"]} == {"limit", "after", "color", "open"}
    assert "head" not in schema["paths"]["/v1/parcels"]
    assert schema["paths"]["/stream"]["get"]["security"] == []
    assert "x-models" not in json.dumps(schema)


def test_every_reference_in_the_openapi_leads_somewhere(house: House) -> None:
    schema = house.app.openapi()
    text = json.dumps(schema)
    referred = {part.split('"')[0] for part in text.split('"$ref": "')[1:]}

    assert referred
    assert {name.removeprefix("#/components/schemas/") for name in referred} <= schema["components"][
        "schemas"
    ].keys()


@given(st.binary(max_size=200))
async def test_no_bytes_at_all_make_a_door_fail(raw: bytes) -> None:
    response = await House().send_raw(raw)

    assert response.status_code in (201, 400, 422)


CANARIES = st.recursive(
    st.just(CANARY) | st.integers() | st.booleans() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([CANARY, "name", "labels", "text", "color", "due", "notes", "weight"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(CANARIES)
async def test_nothing_that_was_sent_comes_back_in_a_refusal(value: Any) -> None:
    response = await House().send_raw(json.dumps(value).encode())

    assert response.status_code in (201, 422)
    assert response.status_code == 201 or CANARY not in response.text
