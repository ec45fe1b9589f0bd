"""A token counts or it does not, and nobody learns why; a service's key opens one kind of door."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import os
import stat
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from baton_chassis import jwks
from baton_chassis.access import Unauthenticated, granted
from baton_chassis.clock import FixedClock
from baton_chassis.errors import Unavailable
from baton_chassis.keyfile import KeyFileRefused
from baton_chassis.tokens import Issuer, ServiceCredential, Trust, Verifier

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = ECKey.generate_key("P-256", private=True)
OTHER = ECKey.generate_key("P-256", private=True)
KID = KEY.thumbprint()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def issuer(clock: FixedClock) -> Issuer:
    return Issuer(KEY, issuer="https://issuer.example", clock=clock)


@pytest.fixture
def verifier(clock: FixedClock, issuer: Issuer) -> Verifier:
    return Verifier(issuer.trust(), clock=clock)


def claims(**changes: Any) -> dict[str, Any]:
    now = int(NOW.timestamp())
    said = {
        "iss": "https://issuer.example",
        "sub": "ada",
        "client_id": "pms-1",
        "aud": "baton-api",
        "scope": "parcels:read parcels:write",
        "practice": "p1",
        "jti": "j1",
        "iat": now,
        "exp": now + 300,
    }
    return {name: value for name, value in {**said, **changes}.items() if value is not ...}


def signed(said: dict[str, Any] | bytes, *, key: Any = KEY, alg: str = "ES256", **header: Any) -> str:
    head = {"alg": alg, "typ": "at+jwt", "kid": KID, **header}
    payload = said if isinstance(said, bytes) else json.dumps(said).encode()
    return jws.serialize_compact(
        {k: v for k, v in head.items() if v is not ...}, payload, key, algorithms=[alg]
    )


def forged(header: dict[str, Any], said: dict[str, Any], signature: bytes = b"\0" * 64) -> str:
    def part(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    return ".".join([part(json.dumps(header).encode()), part(json.dumps(said).encode()), part(signature)])


def symmetric(secret: bytes) -> str:
    """Signed with a secret that anybody knows, the published key, by the one HMAC whose tag is as long as
    ours.
    """
    unsigned = forged({"alg": "HS512", "typ": "at+jwt", "kid": KID}, claims(), b"").rstrip(".")
    tag = hmac.digest(secret, unsigned.encode(), "sha512")
    return unsigned + "." + base64.urlsafe_b64encode(tag).rstrip(b"=").decode()


async def test_a_good_token_says_who_and_for_whom(verifier: Verifier, issuer: Issuer) -> None:
    token = issuer.issue(
        scopes={"parcels:read"}, practice="p1", ttl=timedelta(minutes=5), subject="ada", client_id="ui"
    )

    principal = await verifier({"authorization": f"Bearer {token}"})

    assert (principal.subject, principal.client_id, principal.practice_id) == ("ada", "ui", "p1")
    assert principal.scopes == {"parcels:read"}
    assert principal.assertion == "human"


async def test_a_program_that_speaks_for_itself_is_no_human(verifier: Verifier) -> None:
    principal = await verifier.principal(signed(claims(sub="pms-1")))

    assert principal.assertion == "pms"


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": ""}, {"authorization": "Basic YTpi"}, {"authorization": "Bearer"}]
)
async def test_no_token_is_unauthenticated(verifier: Verifier, headers: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated):
        await verifier(headers)


SECOND = int(NOW.timestamp())
BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "expired": {"iat": SECOND - 400, "exp": SECOND},
    "from the future": {"iat": SECOND + 60, "exp": SECOND + 300},
    "not yet": {"nbf": SECOND + 60},
    "too long": {"exp": SECOND + 90_000},
    "exp as text": {"exp": str(SECOND + 300)},
    "exp as fraction": {"exp": SECOND + 300.5},
    "exp as bool": {"exp": True},
    "exp missing": {"exp": ...},
    "exp null": {"exp": None},
    "iat missing": {"iat": ...},
    "exp before iat": {"iat": SECOND, "exp": SECOND - 1},
    "aud list": {"aud": ["baton-api"]},
    "other aud": {"aud": "other-api"},
    "aud missing": {"aud": ...},
    "other issuer": {"iss": "https://issuer.example.evil"},
    "issuer list": {"iss": ["https://issuer.example"]},
    "issuer object": {"iss": {}},
    "no practice": {"practice": ...},
    "practice list": {"practice": ["p1", "p2"]},
    "empty practice": {"practice": ""},
    "no subject": {"sub": ...},
    "no client": {"client_id": ...},
    "no jti": {"jti": ...},
    "no scope": {"scope": ...},
    "scope list": {"scope": ["parcels:read"]},
    "line break in the subject": {"sub": "ada\nx"},
}


@pytest.mark.parametrize("changes", BAD_CLAIMS.values(), ids=BAD_CLAIMS.keys())
async def test_a_wrong_claim_is_unauthenticated(verifier: Verifier, changes: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        await verifier.principal(signed(claims(**changes)))


PEM = KEY.as_pem(private=False)
GOOD = signed(claims())
FORGERIES: dict[str, Callable[[], str]] = {
    "alg none": lambda: forged({"alg": "none", "typ": "at+jwt", "kid": KID}, claims()),
    "alg None": lambda: forged({"alg": "NoNe", "typ": "at+jwt", "kid": KID}, claims()),
    "no signature": lambda: GOOD.rsplit(".", 1)[0] + ".",
    "our public key as a secret": lambda: symmetric(PEM),
    "another algorithm": lambda: signed(claims(), key=RSAKey.generate_key(2048), alg="RS256"),
    "another key": lambda: signed(claims(), key=OTHER),
    "another kid": lambda: signed(claims(), key=OTHER, kid=OTHER.thumbprint()),
    "kid as a path": lambda: signed(claims(), kid="../../x"),
    "kid as SQL": lambda: signed(claims(), kid="' or 1=1 --"),
    "no kid": lambda: signed(claims(), kid=...),
    "embedded key": lambda: signed(claims(), key=OTHER, jwk=OTHER.as_dict(private=False)),
    "foreign jku": lambda: signed(claims(), jku="https://issuer.example.evil/jwks"),
    "b64": lambda: forged({"alg": "ES256", "typ": "at+jwt", "kid": KID, "b64": False}, claims()),
    "crit": lambda: forged({"alg": "ES256", "typ": "at+jwt", "kid": KID, "crit": ["bork"]}, claims()),
    "an ID token": lambda: signed(claims(), typ="JWT"),
    "no type": lambda: signed(claims(), typ=...),
    "changed payload": lambda: GOOD.replace(
        GOOD.split(".")[1], forged({}, claims(practice="p2")).split(".")[1]
    ),
    "zero signature": lambda: forged({"alg": "ES256", "typ": "at+jwt", "kid": KID}, claims()),
    "padding": lambda: GOOD + "=",
    "newline": lambda: GOOD + "\n",
    "space": lambda: " " + GOOD,
    "1 MB": lambda: "a" * 1_000_000 + "." + GOOD,
    "10k dots": lambda: "." * 10_000,
    "claims twice": lambda: signed(json.dumps(claims()).encode()[:-1] + b',"practice":"p2"}'),
    "1e400": lambda: signed(json.dumps(claims(exp=...)).encode()[:-1] + b',"exp":1e400}'),
    "claims as a list": lambda: signed(b"[]"),
    "not json": lambda: signed(b"\xff"),
    "unicode": lambda: "é" + GOOD,
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
async def test_a_forged_token_is_unauthenticated(verifier: Verifier, forgery: Callable[[], str]) -> None:
    with pytest.raises(Unauthenticated) as refused:
        await verifier({"authorization": f"Bearer {forgery()}"})

    assert str(refused.value) == str(Unauthenticated(offered=True))
    assert refused.value.headers == Unauthenticated(offered=True).headers


async def test_a_remembered_token_still_expires(verifier: Verifier, clock: FixedClock) -> None:
    token = signed(claims())
    await verifier.principal(token)

    clock.advance(timedelta(seconds=300))

    with pytest.raises(Unauthenticated):
        await verifier.principal(token)


class Set:
    """A key set that can change and be away; counts how often it is asked."""

    def __init__(self, *keys: ECKey) -> None:
        self.keys, self.asked, self.away = keys, 0, False
        self.extra: list[Any] = []

    async def __call__(self) -> bytes:
        self.asked += 1
        if self.away:
            raise OSError
        listed = [{**key.as_dict(private=False), "kid": key.thumbprint()} for key in self.keys]
        return json.dumps({"keys": listed + self.extra}).encode()


class Ticks:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def trusting(loaded: Set, ticks: Ticks, clock: FixedClock) -> Verifier:
    keys = jwks.LoadedKeys(loaded, monotonic=ticks)
    return Verifier(Trust(issuer="https://issuer.example", keys=keys), clock=clock)


async def test_an_unknown_kid_has_the_set_read_again_once_a_minute(clock: FixedClock) -> None:
    loaded, ticks = Set(KEY), Ticks()
    verifier = trusting(loaded, ticks, clock)
    strange = signed(claims(), key=OTHER, kid=OTHER.thumbprint())

    await verifier.principal(signed(claims()))
    await asyncio.gather(*(verifier.principal(strange) for _ in range(50)), return_exceptions=True)
    assert loaded.asked == 1
    ticks.at += 61
    loaded.keys = (KEY, OTHER)
    await asyncio.gather(*(verifier.principal(strange) for _ in range(50)))

    assert loaded.asked == 2


async def test_a_withdrawn_key_takes_its_remembered_tokens_along(clock: FixedClock) -> None:
    loaded, ticks = Set(KEY, OTHER), Ticks()
    verifier = trusting(loaded, ticks, clock)
    token, other = signed(claims()), signed(claims(), key=OTHER, kid=OTHER.thumbprint())
    await verifier.principal(token)

    ticks.at += 3601
    loaded.keys = (OTHER,)
    await verifier.principal(other)

    with pytest.raises(Unauthenticated):
        await verifier.principal(token)


async def test_without_any_key_set_the_answer_is_later_not_no(clock: FixedClock) -> None:
    loaded, ticks = Set(KEY), Ticks()
    loaded.away = True
    verifier = trusting(loaded, ticks, clock)

    with pytest.raises(Unavailable):
        await verifier.principal(signed(claims()))
    loaded.away = False
    ticks.at += 61
    await verifier.principal(signed(claims()))
    loaded.away = True
    ticks.at += 3601
    await verifier.principal(signed(claims(jti="j2")))


async def test_a_kid_of_two_keys_is_no_key_and_private_parts_are_left_out() -> None:
    twice = {**OTHER.as_dict(private=False), "kid": KID}
    odd = [
        {"kty": "oct", "k": "AAAA", "kid": "x"},
        {"kty": "EC", "crv": "P-384", "kid": "y"},
        5,
        {"kty": "EC"},
    ]
    document = {
        "keys": [{**KEY.as_dict(private=True), "kid": KID}, {**OTHER.as_dict(private=True), "kid": "o"}, *odd]
    }

    read = jwks.read_jwks(json.dumps(document).encode())
    doubled = jwks.read_jwks(json.dumps({"keys": [*document["keys"][:1], twice]}).encode())

    assert read.keys() == {KID, "o"}
    assert not read["o"].is_private
    assert doubled == {}


@pytest.fixture
async def server() -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """A JWKS over HTTP; `said` decides what it answers."""
    said: dict[str, Any] = {"body": b"{}", "status": 200, "headers": {}}

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=said["body"], status=said["status"], headers=said["headers"])

    app = web.Application()
    app.router.add_get("/jwks", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}/jwks", said
    await runner.cleanup()


async def test_a_key_set_is_fetched_with_limits(
    server: tuple[str, dict[str, Any]], clock: FixedClock
) -> None:
    url, said = server
    fetch = jwks.from_url(url)
    said["body"] = await Set(KEY)()

    assert jwks.read_jwks(await fetch()).keys() == {KID}
    said["body"] = b" " * 70_000
    with pytest.raises(ValueError, match="large"):
        await fetch()
    said.update(status=302, headers={"Location": url})
    with pytest.raises(ValueError, match="200"):
        await fetch()


async def test_a_key_set_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_bytes(await Set(KEY)())

    assert jwks.read_jwks(await jwks.from_file(tmp_path / "jwks.json")()).keys() == {KID}


async def test_the_embedded_issuer_makes_a_private_key_once_and_is_refused_in_prod(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "issuer.pem"

    first = Issuer.embedded(path, profile="dev")
    second = Issuer.embedded(path, profile="dev")

    token = first.issue(scopes=["a:b"], practice="p1", ttl=timedelta(hours=1), subject="x")
    principal = await Verifier(second.trust()).principal(token)
    assert principal.practice_id == "p1"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["issuer.pem"]
    assert jwks.read_jwks(json.dumps(first.jwks()).encode()).keys() == {first.jwks()["keys"][0]["kid"]}
    assert "d" not in first.jwks()["keys"][0]
    with pytest.raises(ValueError, match="development"):
        Issuer.embedded(path, profile="prod")


@pytest.mark.parametrize(
    "content", [b"", b"not a key", ECKey.generate_key("P-384", private=True).as_pem(private=True), PEM]
)
def test_a_key_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    path.chmod(0o600)

    with pytest.raises(KeyFileRefused):
        ServiceCredential.from_file(path, service="notes")


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(KEY.as_pem(private=True))
    path.chmod(0o640)

    with pytest.raises(KeyFileRefused, match="chmod 600"):
        ServiceCredential.from_file(path, service="notes")


async def test_services_believe_each_other_for_content_and_nothing_else(
    clock: FixedClock, issuer: Issuer
) -> None:
    credential = ServiceCredential(OTHER, service="notes", clock=clock)
    verifier = Verifier(issuer.trust(), credential.trust, clock=clock)

    principal = await verifier.principal(credential.token("p7"))
    assert (principal.subject, principal.practice_id) == ("service:notes", "p7")
    assert set(principal.scopes) == {"content:read"}
    assert credential.token("p7") == credential.token("p7")
    assert credential.token("p8") != credential.token("p7")
    wider = Issuer(OTHER, issuer="urn:services", clock=clock)
    for scopes, ttl in (({"ops:write"}, 60), ({"content:read", "ops:write"}, 60), ({"content:read"}, 600)):
        token = wider.issue(scopes=scopes, practice="p1", ttl=timedelta(seconds=ttl), subject="x")
        with pytest.raises(Unauthenticated):
            await verifier.principal(token)
    pretending = Issuer(OTHER, issuer="https://issuer.example", clock=clock)
    with pytest.raises(Unauthenticated):
        await verifier.principal(
            pretending.issue(scopes={"content:read"}, practice="p1", ttl=timedelta(seconds=60), subject="x")
        )


def test_a_service_token_is_renewed_before_it_ends(clock: FixedClock) -> None:
    credential = ServiceCredential(OTHER, service="notes", clock=clock)
    first = credential.token("p1")

    clock.advance(timedelta(seconds=239))
    assert credential.token("p1") == first
    clock.advance(timedelta(seconds=2))

    assert credential.token("p1") != first


@pytest.mark.parametrize(
    ("held", "wanted", "allowed"),
    [
        ("referrals:read", "referrals:read", True),
        ("referrals:write", "referrals:read", False),
        ("referrals:*", "referrals:read", False),
        ("system/Task.cruds", "system/Task.r", True),
        ("system/Task.rs", "system/Task.c", False),
        ("system/*.rs", "system/Task.rs", True),
        ("system/Task.read", "system/Task.s", True),
        ("system/Task.*", "system/Task.cruds", True),
        ("system/Task.dus", "system/Task.s", False),
        ("system/Task.", "system/Task.s", False),
        ("patient/Task.rs", "system/Task.rs", False),
        ("user/*.cruds", "system/Task.rs", False),
    ],
)
def test_scopes_match_to_the_letter_or_by_smart_rules(held: str, wanted: str, allowed: bool) -> None:
    assert granted({held}, wanted) is allowed
