"""The one client for everything that dials out: checks every address, follows nothing, reads little, ends in
time.

Whoever can name an address (a webhook, a JWKS) could otherwise make this machine call its own network. So the
name is resolved once, every address it has must be public, and the connection goes to an address that was
checked.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
import time
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from baton_chassis.errors import ChassisError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Lookup = Callable[[str], Awaitable[Sequence[str]]]
"""Gives all addresses of a host name; raises ``OSError`` when it has none."""


class OutboundRefused(ChassisError):
    """We do not dial that. ``code`` is stable, ``detail`` says the remedy; neither repeats the address."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class OutboundFailed(ChassisError):
    """We dialled and got no usable answer. ``code`` is one of ``OUTCOMES``."""

    def __init__(self, code: str, *, duration_ms: int = 0) -> None:
        super().__init__(code)
        self.code = code
        self.duration_ms = duration_ms


OUTCOMES: Final = (
    "timeout",
    "name-not-found",
    "connect-failed",
    "tls-failed",
    "connection-lost",
    "response-too-large",
    "protocol-error",
)
"""Why a call had no answer; bounded, so that it may label a metric."""

_NOT_PUBLIC: Final[tuple[Network, ...]] = tuple(
    ipaddress.ip_network(text)
    for text in (
        # IANA IPv4 special-purpose registry, plus what clouds answer on
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier NAT, and one cloud's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's host agent, on an address that looks public
        "169.254.0.0/16",  # link local, and the metadata of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        # IPv6: whatever lies outside global unicast (2000::/3) ...
        "::/3",  # unspecified, loopback, mapped, compatible, NAT64 (64:ff9b::/96, 64:ff9b:1::/48), discard
        "4000::/2",  # with SRv6 segments (5f00::/16)
        "8000::/1",  # with unique local, link local, site local, multicast
        # ... and what lies inside it but leads elsewhere
        "2001::/23",  # IETF protocols: Teredo, benchmarking, ORCHID
        "2001:db8::/32",
        "2002::/16",  # 6to4: carries any IPv4 address
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)


def is_public(address: Address) -> bool:
    """True for an address of the public internet. ``ipaddress.is_global`` is not enough: it passes NAT64,
    6to4, IPv4-compatible, site-local and multicast addresses.
    """
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        return False
    return not any(address in network for network in _NOT_PUBLIC if network.version == address.version)


@dataclass(frozen=True, slots=True)
class AllowList:
    """What may be dialled although it is not public: host names and networks. For development only."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> AllowList:
        """From host names, addresses and networks in CIDR form.

        Raises:
            ValueError: an entry is none of these.
        """
        hosts, networks = set(), []
        for entry in filter(None, (text.strip().lower() for text in entries)):
            try:
                networks.append(ipaddress.ip_network(entry.strip("[]"), strict=False))
            except ValueError:
                if not _NAME.fullmatch(entry):
                    raise ValueError("an entry is a host name, an address or a network") from None
                hosts.add(entry.rstrip("."))
        return cls(frozenset(hosts), tuple(networks))

    def __bool__(self) -> bool:
        return bool(self.hosts or self.networks)

    def host(self, host: str) -> bool:
        """Whether this name is listed, whatever it resolves to."""
        return host.rstrip(".").lower() in self.hosts

    def address(self, address: Address) -> bool:
        """Whether this address lies in a listed network."""
        return any(address in network for network in self.networks if network.version == address.version)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much. Seconds and bytes."""

    total_seconds: float = 15.0
    connect_seconds: float = 5.0
    read_bytes: int = 64 * 1024
    header_count: int = 64
    header_bytes: int = 8190
    connections: int = 100
    ports: frozenset[int] = frozenset({443})


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back, whatever the status: the first ``keep`` bytes of the body, decoded from gzip or
    deflate.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    duration_ms: int


_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\.?$){_LABEL}(?:\.{_LABEL})*\.?")
_USER_INFORMATION = re.compile(r"[A-Za-z]+://[^/?#]*@")
_PRINTABLE = re.compile(r"[!-~]{1,2048}")
_ENDS_IN_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)\.?")  # read as IPv4 by the URL standard, 3.5


@dataclass(frozen=True, slots=True)
class _Target:
    url: URL
    host: str
    port: int
    literal: Address | None


class OutboundClient:
    """Dials out for a whole process. Start it inside a running loop, ``close`` it at the end.

    ``lookup`` and ``tls`` are seams for tests; without them the system's resolver and trust store are used.
    Nothing from the environment is obeyed: no proxies, no netrc.
    """

    def __init__(
        self,
        *,
        allow: AllowList | None = None,
        limits: Limits | None = None,
        lookup: Lookup | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allow = allow or AllowList()
        self._limits = limits or Limits()
        self._names = None if lookup else _SystemNames()
        self._lookup: Lookup = lookup or self._names  # type: ignore[assignment]
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._listed: set[Address] = set()

    async def check(self, url: str) -> None:
        """Whether ``url`` may be dialled as things stand; a name that has no address yet passes (it is
        checked again at every call).

        Raises:
            OutboundRefused: scheme, port, user information or an address of the host is not allowed.
        """
        target = self._target(url)
        if target.literal is not None:
            return
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                await self.addresses(target.host, target.port)
        except (OSError, TimeoutError):
            self._require_plain_https(target)

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", keep: int = 4096
    ) -> Answered:
        """One request, one answer. Redirects come back as answers, never followed.

        Raises:
            OutboundRefused: the address is not allowed; nothing was sent. OutboundFailed: no complete answer
            within the limits; the other side may still have got the request.
        """
        target = self._target(url)
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._limits.total_seconds):
                return await self._exchange(method, target, headers, body, keep, started)
        except OutboundRefused:
            raise
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, _TooLarge, zlib.error) as error:
            raise OutboundFailed(_outcome(error), duration_ms=_since(started)) from error

    async def close(self) -> None:
        """Close idle connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self._names is not None:
            self._names.close()

    async def addresses(self, host: str, port: int) -> list[Address]:
        """All addresses of a host, each of them checked.

        Raises:
            OutboundRefused: one of them is not allowed.
            OSError: the name has no address.
        """
        found = [ipaddress.ip_address(text) for text in await self._lookup(host)]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        for address in found:
            self._admit(address, host=host, port=port)
        return found

    def _target(self, url: str) -> _Target:
        if not _PRINTABLE.fullmatch(url) or "\\" in url:
            raise OutboundRefused(
                "url-malformed", "Write the URL in printable ASCII; hosts in their xn-- form."
            )
        try:
            parsed = URL(url)
            host, port = (parsed.raw_host or "").lower(), parsed.port
        except ValueError:
            raise OutboundRefused("url-malformed", "This is not a URL.") from None
        if parsed.scheme not in ("https", "http") or not host or port is None:
            raise OutboundRefused("scheme-not-allowed", "Use an https URL with a host.")
        if _USER_INFORMATION.match(url):
            raise OutboundRefused("userinfo-not-allowed", "Leave user name and password out of the URL.")
        literal = _literal(host)
        target = _Target(parsed.with_fragment(None), host, port, literal)
        self._admit_form(target)
        return target

    def _admit_form(self, target: _Target) -> None:
        """What can be said before the name is resolved: an unlisted name passes with another scheme or port
        only if its addresses may turn out to lie in a listed network.
        """
        if target.literal is not None:
            self._admit(target.literal, host=target.host, port=target.port)
            if self._allow.address(target.literal):
                return
        if target.literal is not None or not self._allow.networks or target.port in self._limits.ports:
            self._require_plain_https(target)

    def _require_plain_https(self, target: _Target) -> None:
        if self._allow.host(target.host):
            return
        if target.url.scheme == "http":
            raise OutboundRefused("scheme-not-allowed", "Use an https URL.")
        if target.port not in self._limits.ports:
            raise _port_refused()

    def _admit(self, address: Address, *, host: str, port: int) -> None:
        if self._allow.host(host):
            self._listed.add(address)
            return
        if self._allow.address(address):
            return
        if not is_public(address):
            raise OutboundRefused("address-not-public", "The host must have public addresses only.")
        if port not in self._limits.ports:
            raise _port_refused()

    async def _exchange(
        self, method: str, target: _Target, headers: Mapping[str, str], body: bytes, keep: int, started: float
    ) -> Answered:
        async with self._opened().request(
            method, target.url, headers={**headers, "Accept-Encoding": "identity"}, data=body or None,
            allow_redirects=False,
        ) as response:  # fmt: skip
            raw = await self._read(response)
            encoding = response.headers.get("Content-Encoding", "").strip().lower()
            text = _decoded(raw, encoding, most=self._limits.read_bytes)
            kept = {name.lower(): value for name, value in response.headers.items()}
            return Answered(response.status, kept, text[:keep], _since(started))

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._limits.read_bytes:
                response.close()
                raise _TooLarge
        return bytes(body)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            limits = self._limits
            connector = aiohttp.TCPConnector(
                resolver=_CheckedResolver(self),
                use_dns_cache=False,
                limit=limits.connections,
                ssl=self._tls or True,
                socket_factory=self._socket,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(
                    total=limits.total_seconds, sock_connect=limits.connect_seconds
                ),
                auto_decompress=False,
                trust_env=False,
                requote_redirect_url=False,
                max_headers=limits.header_count,
                max_line_size=limits.header_bytes,
                max_field_size=limits.header_bytes,
                skip_auto_headers=("User-Agent",),
            )
        return self._session

    def _socket(self, info: Any) -> socket.socket:
        """The last look, where the connection is really made."""
        family, kind, protocol, _, where = info
        address = ipaddress.ip_address(where[0])
        if not (is_public(address) or self._allow.address(address) or address in self._listed):
            raise OutboundRefused("address-not-public", "The host must have public addresses only.")
        return socket.socket(family=family, type=kind, proto=protocol)


class _TooLarge(Exception):
    """The answer is longer than we read."""


class _CheckedResolver(AbstractResolver):
    """aiohttp's seam between a name and a connection."""

    def __init__(self, client: OutboundClient) -> None:
        self._client = client

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Checked addresses only."""
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET6 if address.version == 6 else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in await self._client.addresses(host, port)
        ]

    async def close(self) -> None:
        """Nothing is held."""


@dataclass(slots=True)
class _SystemNames:
    """The system's resolver on threads of its own, so that slow name servers hold up nothing else."""

    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(8, thread_name_prefix="names")
    )

    async def __call__(self, host: str) -> Sequence[str]:
        """All addresses of the name."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _ask_system, host)
        return list(dict.fromkeys(found))

    def close(self) -> None:
        """Let the threads go; one that still waits for a name server ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _ask_system(host: str) -> list[str]:
    return [str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


def _literal(host: str) -> Address | None:
    """The address in a URL's host part, or None for a name. Short, octal, hex and decimal forms are refused:
    the system's resolver would read them as addresses.
    """
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        if not _NAME.fullmatch(host) or _ENDS_IN_NUMBER.fullmatch(host):
            raise OutboundRefused(
                "host-malformed", "Use a host name or an address in its usual form."
            ) from None
        return None
    return address


def _port_refused() -> OutboundRefused:
    return OutboundRefused("port-not-allowed", "Use the standard https port.")


def _decoded(raw: bytes, encoding: str, *, most: int) -> bytes:
    if encoding in ("", "identity"):
        return raw
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ValueError("an encoding that was not asked for")
    opened = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    text = opened.decompress(raw, most)
    if opened.unconsumed_tail:
        raise _TooLarge
    return text


def _outcome(error: BaseException) -> str:
    match error:
        case TimeoutError():
            return "timeout"
        case aiohttp.ClientConnectorDNSError() | socket.gaierror():
            return "name-not-found"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "tls-failed"
        case aiohttp.ClientConnectorError():
            return "connect-failed"
        case _TooLarge():
            return "response-too-large"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | aiohttp.ClientPayloadError():
            return "connection-lost"
        case _:
            return "protocol-error"


def _since(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
