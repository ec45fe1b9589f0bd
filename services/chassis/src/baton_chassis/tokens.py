"""Access tokens (RFC 9068, ES256): checked without mercy, and signed for the sandbox and between services."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, NoReturn

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from baton_chassis import keyfile, strict_json
from baton_chassis.access import Principal, Unauthenticated
from baton_chassis.clock import Clock, SystemClock
from baton_chassis.ids import Ids, new_id
from baton_chassis.jwks import FixedKeys, Keys

AUDIENCE = "baton-api"
SERVICES = "urn:services"
"""The issuer's name in tokens that services sign for each other."""

_COMPACT = re.compile(r"([A-Za-z0-9_-]{1,2048})\.([A-Za-z0-9_-]{1,6144})\.[A-Za-z0-9_-]{86}")
_TYPES = ("at+jwt", "application/at+jwt")
_WORD = re.compile(r"[\x21-\x7e]{1,256}")
_SCOPES = re.compile(r"[\x21-\x7e]+( [\x21-\x7e]+)*")
_MOST_CACHED = 10_000
_LEEWAY = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whose tokens count: tokens with this ``iss``, signed by one of ``keys``, living at most ``longest``.

    ``only`` limits what such tokens can grant (None: anything), so that a key meant for one use has no other.
    """

    issuer: str
    keys: Keys
    longest: timedelta = timedelta(hours=24)
    only: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    principal: Principal
    expires: int
    trust: Trust
    kid: str


class Verifier:
    """Turns an ``Authorization`` header into a principal, or into one and the same ``Unauthenticated``.

    Goes by the machine's clock, whatever the service's clock says. A verified token is remembered by its
    SHA-256 until it expires or its key is withdrawn.
    """

    def __init__(self, *trusts: Trust, audience: str = AUDIENCE, clock: Clock | None = None) -> None:
        self._trusts = {trust.issuer: trust for trust in trusts}
        self._audience = audience
        self._clock = clock or SystemClock()
        self._seen: dict[bytes, _Seen] = {}

    async def __call__(self, headers: Mapping[str, str]) -> Principal:
        """Who the bearer is; raises ``Unauthenticated``, or ``Unavailable`` when no key can be had now."""
        said = headers.get("authorization")
        if said is None:
            raise Unauthenticated(offered=False)
        scheme, _, token = said.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated(offered=False)
        return await self.principal(token)

    async def principal(self, token: str) -> Principal:
        """Who the bearer of ``token`` is; raises as the call does."""
        if not _COMPACT.fullmatch(token):  # bounds the size too, before anything is hashed or decoded
            _refuse()
        digest = hashlib.sha256(token.encode("ascii")).digest()
        seen = self._seen.get(digest)
        if seen is None:
            seen = await self._verified(token)
            self._remember(digest, seen)
        if seen.expires <= self._now() or not seen.trust.keys.holds(seen.kid):
            self._seen.pop(digest, None)
            _refuse()
        return seen.principal

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _remember(self, digest: bytes, seen: _Seen) -> None:
        if len(self._seen) >= _MOST_CACHED:
            now = self._now()
            self._seen = {key: one for key, one in self._seen.items() if one.expires > now}
        if len(self._seen) >= _MOST_CACHED:
            self._seen.clear()
        self._seen[digest] = seen

    async def _verified(self, token: str) -> _Seen:
        header, claims = (_json(part) for part in token.split(".")[:2])
        kid = _kid(header)
        trust = self._trusts.get(claims["iss"]) if isinstance(claims.get("iss"), str) else None
        if trust is None:
            _refuse()
        key = await trust.keys.find(kid)
        if key is None:
            _refuse()
        try:
            jws.deserialize_compact(token, key, algorithms=["ES256"])
        except (JoseError, ValueError):
            _refuse()
        return self._accepted(claims, trust, kid)

    def _accepted(self, claims: Mapping[str, Any], trust: Trust, kid: str) -> _Seen:
        issued, expires = _seconds(claims, "iat"), _seconds(claims, "exp")
        not_before = _seconds(claims, "nbf") if "nbf" in claims else issued
        now = self._now()
        lives = expires - issued
        if not (0 < lives <= trust.longest.total_seconds() and max(issued, not_before) <= now + _LEEWAY):
            _refuse()
        if expires <= now or claims.get("aud") != self._audience or not isinstance(claims["aud"], str):
            _refuse()
        subject, client = _word(claims, "sub"), _word(claims, "client_id")
        practice, _ = _word(claims, "practice"), _word(claims, "jti")
        principal = Principal(
            subject=subject,
            client_id=client,
            practice_id=practice,
            scopes=_allowed(claims, trust),
            assertion="pms" if subject == client else "human",
        )
        return _Seen(principal, expires, trust, kid)


def _refuse() -> NoReturn:
    raise Unauthenticated(offered=True)


def _json(part: str) -> dict[str, Any]:
    try:
        decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        value = strict_json.loads(decoded, max_depth=4)
    except ValueError:
        _refuse()
    if not isinstance(value, dict):
        _refuse()
    return value


def _kid(header: Mapping[str, Any]) -> str:
    """Only the three headers we know may be there: no crit, b64, jwk, jku, x5c, x5u, zip."""
    kid = header.get("kid")
    if (
        header.keys() != {"alg", "typ", "kid"}
        or header["alg"] != "ES256"
        or header["typ"] not in _TYPES
        or not isinstance(kid, str)
    ):
        _refuse()
    return kid


def _seconds(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if type(value) is not int or not 0 <= value < 2**40:  # a bool is an int to isinstance
        _refuse()
    return value


def _word(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        _refuse()
    return value


def _allowed(claims: Mapping[str, Any], trust: Trust) -> frozenset[str]:
    said = claims.get("scope")
    if not isinstance(said, str) or not _SCOPES.fullmatch(said):
        _refuse()
    scopes = frozenset(said.split(" "))
    if trust.only is not None and not scopes <= trust.only:
        _refuse()
    return scopes


class Issuer:
    """Signs access tokens with one ES256 key. The sandbox's issuer, and the pen of ``ServiceCredential``."""

    def __init__(self, key: ECKey, *, issuer: str, clock: Clock | None = None, ids: Ids = new_id) -> None:
        self.issuer = issuer
        self._key = key
        self._clock, self._ids = clock or SystemClock(), ids
        self._kid = key.thumbprint()

    @classmethod
    def embedded(cls, path: Path, *, profile: Literal["dev", "prod"], issuer: str = "urn:sandbox") -> Issuer:
        """The issuer of a sandbox; its key file is made when missing. Raises ``ValueError`` in profile prod,
        and ``KeyFileRefused`` for a key that others can read."""
        if profile == "prod":
            raise ValueError(
                "the embedded token issuer is for development; name BATON_JWKS_URL and BATON_ISSUER"
            )
        return cls(load_key(path, create=True), issuer=issuer)

    def issue(
        self,
        *,
        scopes: Collection[str],
        practice: str,
        ttl: timedelta,
        subject: str,
        client_id: str | None = None,
    ) -> str:
        """A signed token. ``subject`` equal to ``client_id`` (the default) is a program that speaks for
        itself."""
        now = int(self._clock.now().timestamp())
        claims = {
            "iss": self.issuer,
            "sub": subject,
            "client_id": client_id or subject,
            "aud": AUDIENCE,
            "scope": " ".join(sorted(scopes)),
            "practice": practice,
            "jti": self._ids(),
            "iat": now,
            "exp": now + int(ttl.total_seconds()),
        }
        header = {"alg": "ES256", "typ": "at+jwt", "kid": self._kid}
        return jws.serialize_compact(header, json.dumps(claims).encode(), self._key, algorithms=["ES256"])

    def jwks(self) -> dict[str, Any]:
        """The public half, as a JWKS document."""
        public = ECKey.import_key(
            self._key.as_dict(private=False), {"kid": self._kid, "use": "sig", "alg": "ES256"}
        )
        return dict(KeySet([public]).as_dict(private=False))

    def trust(self, **limits: Any) -> Trust:
        """What a verifier in this process, or one with the same key file, needs to believe this issuer."""
        public = ECKey.import_key(self._key.as_dict(private=False), {"kid": self._kid})
        return Trust(issuer=self.issuer, keys=FixedKeys(public), **limits)


def load_key(path: Path, *, create: bool = False) -> ECKey:
    """The ES256 private key in a PEM file; raises ``KeyFileRefused`` when it is absent, open to others or no
    such key."""
    pem = keyfile.read_or_create(path, _new_pem) if create else keyfile.read(path)
    try:
        key = ECKey.import_key(pem)
    except (JoseError, ValueError):
        raise keyfile.KeyFileRefused(f"the key file {path} holds no ES256 key in PEM") from None
    if key.curve_name != "P-256" or not key.is_private:
        raise keyfile.KeyFileRefused(f"the key file {path} holds no private P-256 key")
    return key


def _new_pem() -> bytes:
    return bytes(ECKey.generate_key("P-256", private=True).as_pem(private=True))


class ServiceCredential:
    """What a service shows another one: tokens of five minutes with the one scope ``content:read``.

    All services of an installation hold the same key file (``BATON_SERVICE_CREDENTIAL``); each verifier takes
    ``trust`` from it, which grants nothing but that scope, so the key opens no other door.
    """

    SCOPE = "content:read"
    LIFE = timedelta(minutes=5)

    def __init__(self, key: ECKey, *, service: str, clock: Clock | None = None, ids: Ids = new_id) -> None:
        self._clock = clock or SystemClock()
        self._issuer = Issuer(key, issuer=SERVICES, clock=self._clock, ids=ids)
        self._service = service
        self._cached: dict[str, tuple[str, float]] = {}

    @classmethod
    def from_file(cls, path: Path, *, service: str, create: bool = False) -> ServiceCredential:
        """The credential in that key file; raises ``KeyFileRefused``."""
        return cls(load_key(path, create=create), service=service)

    @property
    def trust(self) -> Trust:
        """What the verifiers of all services need."""
        return self._issuer.trust(longest=self.LIFE, only=frozenset({self.SCOPE}))

    def token(self, practice_id: str) -> str:
        """A token for the practice of the work at hand; the same one for about four minutes."""
        now = self._clock.now().timestamp()
        token, fresh_until = self._cached.get(practice_id, ("", 0.0))
        if fresh_until > now:
            return token
        token = self._issuer.issue(
            scopes=[self.SCOPE], practice=practice_id, ttl=self.LIFE, subject=f"service:{self._service}"
        )
        self._cached[practice_id] = (token, now + self.LIFE.total_seconds() - 60)
        return token


def bearer(token: str) -> Mapping[str, str]:
    """The header that shows ``token``."""
    return {"Authorization": f"Bearer {token}"}
