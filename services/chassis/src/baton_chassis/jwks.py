"""The keys that tokens may be signed with: from a file, an address or this process, fetched rarely and with
limits."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import aiohttp
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from baton_chassis import logs, strict_json
from baton_chassis.errors import Unavailable

log = logs.get("tokens")

_MAX_BYTES = 65_536
_KID = re.compile(r"[A-Za-z0-9._~=-]{1,128}")

Load = Callable[[], Awaitable[bytes]]


class Keys(Protocol):
    """Where a verifier finds the key of a token."""

    async def find(self, kid: str) -> ECKey | None:
        """The ES256 key of that id, or None. Raises ``Unavailable`` when no key was ever seen."""
        ...

    def holds(self, kid: str) -> bool:
        """True while the key counts (a rotated key takes its tokens along)."""
        ...


class FixedKeys:
    """Keys that this process knows itself."""

    def __init__(self, *keys: ECKey) -> None:
        self._keys = {str(key.kid): key for key in keys}

    async def find(self, kid: str) -> ECKey | None:
        """The key of that id, or None."""
        return self._keys.get(kid)

    def holds(self, kid: str) -> bool:
        """True for a key given at the start."""
        return kid in self._keys


class LoadedKeys:
    """A JWKS from elsewhere: read again every ``refresh_seconds``, and for an unknown kid at most once a
    minute.

    An old set stays in use while a new one cannot be had; one that cannot be read is a log line, not an
    answer.
    """

    def __init__(
        self,
        load: Load,
        *,
        refresh_seconds: float = 3600.0,
        unknown_kid_seconds: float = 60.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load, self._monotonic = load, monotonic
        self._refresh, self._patience = refresh_seconds, unknown_kid_seconds
        self._keys: Mapping[str, ECKey] | None = None
        self._tried = float("-inf")
        self._lock = asyncio.Lock()

    async def find(self, kid: str) -> ECKey | None:
        """The key of that id, or None. Raises ``Unavailable`` when no set was ever read."""
        if not self._needed(kid):
            return (self._keys or {}).get(kid)
        async with self._lock:
            if self._needed(kid):
                await self._read()
        if self._keys is None:
            raise Unavailable("the key set of the token issuer cannot be had")
        return self._keys.get(kid)

    def holds(self, kid: str) -> bool:
        """True while the last set that was read holds the key."""
        return self._keys is not None and kid in self._keys

    def _needed(self, kid: str) -> bool:
        age = self._monotonic() - self._tried
        missing = self._keys is None or kid not in self._keys
        return age >= (min(self._patience, self._refresh) if missing else self._refresh)

    async def _read(self) -> None:
        self._tried = self._monotonic()
        try:
            self._keys = read_jwks(await self._load())
        except (OSError, TimeoutError, aiohttp.ClientError, ValueError) as error:
            log.warning("jwks.unavailable", error_type=type(error).__name__)


def read_jwks(raw: bytes) -> Mapping[str, ECKey]:
    """The ES256 verification keys of a JWKS by kid; raises ``ValueError``.

    Other kinds of keys are passed over. A kid that stands for two keys stands for none.
    """
    document = strict_json.loads(raw)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("a JWKS has a list of keys")
    usable = [jwk for jwk in listed if _is_es256(jwk)]
    kids = [jwk["kid"] for jwk in usable]
    return {jwk["kid"]: _public(jwk) for jwk in usable if kids.count(jwk["kid"]) == 1}


def _is_es256(jwk: Any) -> bool:
    return (
        isinstance(jwk, dict)
        and jwk.get("kty") == "EC"
        and jwk.get("crv") == "P-256"
        and jwk.get("use", "sig") == "sig"
        and jwk.get("alg", "ES256") == "ES256"
        and isinstance(jwk.get("kid"), str)
        and _KID.fullmatch(jwk["kid"]) is not None
    )


def _public(jwk: Mapping[str, Any]) -> ECKey:
    """Only the public part, whatever the set carries."""
    try:
        return ECKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "y", "kid")})
    except (JoseError, KeyError) as error:
        raise ValueError("a key of the JWKS cannot be read") from error


def from_file(path: Path) -> Load:
    """Reads a JWKS file."""

    async def load() -> bytes:
        return await asyncio.to_thread(path.read_bytes)

    return load


def from_url(url: str) -> Load:
    """Fetches a JWKS: no redirects, no proxies from the environment, 5 s and 64 KiB in all.

    The address is the operator's own setting, so it may be a private one.
    """

    async def load() -> bytes:
        timeout = aiohttp.ClientTimeout(total=5)
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            session.get(url, allow_redirects=False, headers={"Accept": "application/json"}) as response,
        ):
            if response.status != 200:
                raise ValueError("the issuer did not answer 200")
            return await _capped(response.content)

    return load


async def _capped(stream: aiohttp.StreamReader) -> bytes:
    raw = b""
    async for chunk in stream.iter_chunked(8192):
        raw += chunk
        if len(raw) > _MAX_BYTES:
            raise ValueError("the key set is too large")
    return raw
