"""Patient data at rest: sealed under a key per practice, found again by tokens that only that practice can
make."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from baton_chassis import keyfile
from baton_chassis.clock import Clock, SystemClock

_VERSION = b"\x01"
_KID, _NONCE, _TAG, _KEY = 8, 12, 16, 32
_TOKEN = 16
_CACHE = timedelta(minutes=5)
_GRACE = 2 * _CACHE
"""A new key is used only when every process must have seen it: caches live half as long."""


class CannotOpen(Exception):
    """A blob that this practice's keys do not open in this place. Says nothing of what is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedKey:
    """A practice's key as it is stored: ``wrapped`` opens with a root key only. ``number`` counts from 1;
    ``active_from`` (UTC) is when sealing starts to use it. Old numbers stay, for reading."""

    practice_id: str
    number: int
    kid: bytes
    wrapped: bytes
    active_from: datetime


class WrappedKeys(Protocol):
    """Where wrapped keys are kept, in the database of the service."""

    async def load(self, practice_id: str) -> Sequence[WrappedKey]:
        """All keys of the practice, by number."""
        ...

    async def store(self, key: WrappedKey) -> WrappedKey:
        """Keep ``key`` unless its (practice, number) is taken; returns what is kept. Durable when it
        returns."""
        ...


class RootKeys:
    """The keys that wrap the keys of practices. The first wraps; all unwrap."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != _KEY for key in keys):
            raise ValueError("a root key has 32 bytes")
        self._ciphers = {_kid_of(key): AESGCM(key) for key in keys}
        self._first = _kid_of(keys[0])

    @classmethod
    def from_file(cls, path: Path, *, create: bool = False) -> RootKeys:
        """One key a line, 32 bytes in base64, the newest first; with ``create`` a missing file is made
        (0600).

        Raises ``KeyFileRefused`` for a file that is missing, open to others, or holds anything else.
        """
        raw = keyfile.read_or_create(path, _new_root) if create else keyfile.read(path)
        try:
            return cls([base64.b64decode(line, validate=True) for line in raw.split()])
        except ValueError:
            raise keyfile.KeyFileRefused(f"the key file {path} needs 32 bytes in base64 a line") from None

    def wrap(self, key: bytes, *, practice_id: str, kid: bytes, nonce: bytes) -> bytes:
        """``key`` sealed for storage, bound to its practice and kid."""
        cipher = self._ciphers[self._first]
        return _VERSION + self._first + nonce + cipher.encrypt(nonce, key, _aad(practice_id, kid.hex()))

    def unwrap(self, stored: WrappedKey) -> bytes:
        """The key that ``stored`` holds; raises ``CannotOpen``."""
        return _open(self._ciphers, stored.wrapped, _aad(stored.practice_id, stored.kid.hex()))


class PracticeKey:
    """Seals and opens for one practice. Cheap to use (some microseconds), holds keys in memory, does no
    I/O."""

    def __init__(
        self,
        practice_id: str,
        keys: Mapping[bytes, bytes],
        *,
        current: bytes,
        first: bytes,
        randomness: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """``keys`` by kid; ``current`` seals, the ``first`` one ever makes the tokens."""
        self._practice_id, self._current, self._randomness = practice_id, current, randomness
        self._ciphers = {kid: AESGCM(_derived(key, b"seal")) for kid, key in keys.items()}
        # Tokens come from the first key for ever: a rotation must not lose what was filed under them.
        self._token_key = _derived(keys[first], b"token")

    def seal(self, plaintext: bytes, *, table: str, column: str, row: str) -> bytes:
        """``version(1) | kid(8) | nonce(12) | ciphertext | tag(16)`` (AES-256-GCM), which opens in this place
        only."""
        nonce = self._randomness(_NONCE)
        aad = _aad(self._practice_id, table, column, row)
        return _VERSION + self._current + nonce + self._ciphers[self._current].encrypt(nonce, plaintext, aad)

    def open(self, blob: bytes, *, table: str, column: str, row: str) -> bytes:
        """What was sealed in this place; raises ``CannotOpen`` for any other place, practice, key or a
        changed bit."""
        return _open(self._ciphers, blob, _aad(self._practice_id, table, column, row))

    def token(self, kind: str, text: str) -> bytes:
        """16 bytes that are equal for texts of one meaning, and mean nothing without the practice's key.

        ``kind``: ``name``, ``prefix`` (of a name: its first three letters), ``name-date`` (a name, a space, a
        date), ``phone``, ``email``, ``record-number``. Texts are compared after NFKC, case folding and
        trimming; phones by their digits; record numbers without spaces. Raises ``ValueError`` for another
        kind.
        """
        spoken = f"{kind}\x1f{normal(kind, text)}".encode()
        return hmac.digest(self._token_key, spoken, hashlib.sha256)[:_TOKEN]


class Keyring:
    """The keys of all practices that this process has met; asked for again every five minutes."""

    def __init__(
        self,
        roots: RootKeys,
        stored: WrappedKeys,
        *,
        clock: Clock | None = None,
        randomness: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Goes by the machine's clock: key rotation is no business of a movable one."""
        self._roots, self._stored = roots, stored
        self._clock, self._randomness = clock or SystemClock(), randomness
        self._cached: dict[str, tuple[PracticeKey, datetime]] = {}

    async def for_practice(self, practice_id: str) -> PracticeKey:
        """The practice's key, made at the first need (two processes agree on one). Raises ``CannotOpen`` when
        the root keys do not fit, and what the store raises."""
        now = self._clock.now()
        cached = self._cached.get(practice_id)
        if cached is not None and now < cached[1]:
            return cached[0]
        stored = await self._stored.load(practice_id)
        if not stored:
            stored = [await self._stored.store(self._new(practice_id, 1, now))]
        key = self._opened(practice_id, stored, now)
        self._cached[practice_id] = (key, now + _CACHE)
        return key

    async def rotate(self, practice_id: str) -> WrappedKey:
        """A further key for the practice, which seals from ten minutes on. What is sealed already stays
        readable, and search tokens stay the same."""
        numbers = [key.number for key in await self._stored.load(practice_id)]
        now = self._clock.now()
        active_from = now + _GRACE if numbers else now
        return await self._stored.store(self._new(practice_id, max(numbers, default=0) + 1, active_from))

    def _new(self, practice_id: str, number: int, active_from: datetime) -> WrappedKey:
        key, kid, nonce = (self._randomness(size) for size in (_KEY, _KID, _NONCE))
        wrapped = self._roots.wrap(key, practice_id=practice_id, kid=kid, nonce=nonce)
        return WrappedKey(
            practice_id=practice_id, number=number, kid=kid, wrapped=wrapped, active_from=active_from
        )

    def _opened(self, practice_id: str, stored: Sequence[WrappedKey], now: datetime) -> PracticeKey:
        ordered = sorted(stored, key=lambda key: key.number)
        active = [key for key in ordered if key.active_from <= now] or ordered[:1]
        return PracticeKey(
            practice_id,
            {key.kid: self._roots.unwrap(key) for key in ordered},
            current=active[-1].kid,
            first=ordered[0].kid,
            randomness=self._randomness,
        )


def normal(kind: str, text: str) -> str:
    """``text`` as tokens compare it; raises ``ValueError`` for an unknown kind."""
    plain = " ".join(_folded(text).split())
    match kind:
        case "name" | "name-date" | "email":
            return plain
        case "prefix":
            return "".join(letter for letter in plain if letter.isalnum())[:3]
        case "record-number":
            return plain.replace(" ", "")
        case "phone":
            digits = re.sub(r"[^0-9]", "", plain).removeprefix("00")
            return digits[1:] if len(digits) == 11 and digits.startswith("1") else digits
    raise ValueError("no such kind of token")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _open(ciphers: Mapping[bytes, AESGCM], blob: bytes, aad: bytes) -> bytes:
    head = 1 + _KID
    cipher = ciphers.get(bytes(blob[1:head]))
    if blob[:1] != _VERSION or cipher is None or len(blob) < head + _NONCE + _TAG:
        raise CannotOpen("the key or the form of a sealed value is unknown")
    try:
        return cipher.decrypt(blob[head : head + _NONCE], blob[head + _NONCE :], aad)
    except InvalidTag:
        raise CannotOpen("a sealed value does not belong where it was found, or was changed") from None


def _aad(*place: str) -> bytes:
    return orjson.dumps([1, *place])  # JSON keeps the parts apart whatever they hold


def _derived(key: bytes, use: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY, salt=None, info=use).derive(key)


def _kid_of(key: bytes) -> bytes:
    return hashlib.sha256(b"kid" + key).digest()[:_KID]


def _new_root() -> bytes:
    return base64.b64encode(os.urandom(_KEY)) + b"\n"
