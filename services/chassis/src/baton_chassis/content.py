"""Content by claim check: an event says where bytes lie; whoever needs them fetches them, checked, audited,
unkept."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from baton_chassis.commands import Caller
from baton_chassis.doors import Answer, Ask, Routes
from baton_chassis.errors import ChassisError, NotFound, Unavailable
from baton_chassis.telemetry import current
from baton_chassis.tokens import bearer

SCOPE = "content:read"
MAX_CONTENT = 50_000_000
"""Bytes of one piece of content that a client takes."""

_DIGEST = "Repr-Digest"
_VERSION = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentRef:
    """Where content lies and what it must be: ``owner`` is a service, ``sha256`` the hex digest of the
    bytes."""

    owner: str
    kind: str
    id: str
    version: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Bytes of that media type. Shown in no log and no representation."""

    media_type: str
    body: bytes
    sha256: str

    @classmethod
    def of(cls, media_type: str, body: bytes) -> Content:
        """The content with its digest."""
        return cls(media_type=media_type, body=body, sha256=hashlib.sha256(body).hexdigest())

    def __repr__(self) -> str:
        return f"Content({self.media_type}, {len(self.body)} bytes)"


class ContentMissing(ChassisError):
    """The owner has no such content (any more)."""


class ContentAltered(ChassisError):
    """The bytes are not those that the reference names: never use them."""


class ContentSource(Protocol):
    """A service's own content of some kind."""

    async def read(self, practice_id: str, kind: str, id: str, version: int) -> Content | None:
        """The content as it was in that version; None when this practice has none."""
        ...


class ContentClient(Protocol):
    """Fetches content of other services, for the practice of the work at hand."""

    async def fetch(self, practice_id: str, ref: ContentRef) -> Content:
        """The content, its digest checked. Raises ``ContentMissing``, ``ContentAltered``, ``Unavailable``.

        Call it when rendering or sending, not from a log handler; do not keep what it returns.
        """
        ...


Audit = Callable[[Caller, str, str, int], Awaitable[None]]
"""Records that (caller) read (kind, id, version); awaited before any byte leaves."""


def content_routes(sources: Mapping[str, ContentSource], *, audit: Audit) -> Routes:
    """The door through which other services read the kinds in ``sources``. Never in an ingress."""
    routes = Routes(tag="content")

    @routes.raw(
        "GET", "/internal/content/{kind}/{id}/{version}", scope=SCOPE, produces=("*/*",), documented=False
    )
    async def read_content(ask: Ask[Any]) -> Answer:
        """Hand out content to another service."""
        source = sources.get(ask.path["kind"])
        if source is None or not _VERSION.fullmatch(ask.path["version"]):
            raise NotFound("There is no such content.")
        kind, id, version = ask.path["kind"], ask.path["id"], int(ask.path["version"])
        content = await source.read(ask.caller.practice_id, kind, id, version)
        if content is None:
            raise NotFound("There is no such content.")
        await audit(ask.caller, kind, id, version)
        return Answer(
            body=content.body, media_type=content.media_type, headers={_DIGEST: f"sha-256={content.sha256}"}
        )

    return routes


class InProcessContent:
    """The client where all services share a process: the owner's source is called directly."""

    def __init__(self, owners: Mapping[str, Mapping[str, ContentSource]]) -> None:
        """``owners``: by service, then by kind. May be filled after construction, while services are
        built."""
        self._owners = owners

    async def fetch(self, practice_id: str, ref: ContentRef) -> Content:
        """The content, its digest checked."""
        source = self._owners.get(ref.owner, {}).get(ref.kind)
        content = (
            await source.read(practice_id, ref.kind, ref.id, ref.version) if source is not None else None
        )
        if content is None:
            raise ContentMissing("the owner has no such content")
        return checked(content, ref)


class HttpContent:
    """The client between processes: the owner's internal door, with a token of five minutes for one
    practice."""

    def __init__(
        self,
        peers: Mapping[str, str],
        *,
        token: Callable[[str], str],
        client: httpx.AsyncClient | None = None,
    ) -> None:
        """``peers``: base URL by owner (``BATON_PEERS``); ``token`` makes a token for a practice."""
        self._peers, self._token = peers, token
        self._client = client or httpx.AsyncClient(timeout=10.0, trust_env=False, follow_redirects=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def fetch(self, practice_id: str, ref: ContentRef) -> Content:
        """The content, its digest checked."""
        base = self._peers.get(ref.owner)
        if base is None:
            raise Unavailable("BATON_PEERS names no address for the owner of this content")
        url = f"{base}/internal/content/{ref.kind}/{ref.id}/{ref.version}"
        try:
            async with self._client.stream("GET", url, headers=self._headers(practice_id)) as response:
                return checked(await _received(response), ref)
        except httpx.HTTPError:
            raise Unavailable("the owner of this content does not answer") from None

    def _headers(self, practice_id: str) -> dict[str, str]:
        here = current()
        trace = {"traceparent": here.traceparent} if here is not None else {}
        return {**bearer(self._token(practice_id)), **trace, "Accept-Encoding": "identity"}


async def _received(response: httpx.Response) -> Content:
    if response.status_code == 404:
        raise ContentMissing("the owner has no such content")
    if response.status_code != 200:
        raise Unavailable("the owner of this content does not hand it out now")
    chunks, size = [], 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > MAX_CONTENT:
            raise ContentAltered("the content is larger than any content may be")
        chunks.append(chunk)
    return Content.of(response.headers.get("content-type", "application/octet-stream"), b"".join(chunks))


def checked(content: Content, ref: ContentRef) -> Content:
    """``content`` when its bytes have the digest of ``ref``; raises ``ContentAltered``."""
    if hashlib.sha256(content.body).hexdigest() != ref.sha256:
        raise ContentAltered("the content does not have the digest of its reference")
    return content
