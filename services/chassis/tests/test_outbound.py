"""The guarded client: what it dials, what it never dials, and how much it listens to."""

import asyncio
import gzip
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from baton_chassis.outbound import (
    AllowList,
    Limits,
    OutboundClient,
    OutboundFailed,
    OutboundRefused,
    is_public,
)

LOOPBACK = AllowList.parse(["127.0.0.0/8"])
NEVER_PUBLIC = [
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "168.63.129.16",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1",
    "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255",
    "240.0.0.1", "255.255.255.255", "::", "::1", "::10.0.0.1", "::127.0.0.1", "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:2::1", "2001:db8::1",
    "2002:7f00:1::", "2002:a00:1::", "2620:4f:8000::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254",
    "fe80::1", "fec0::1", "ff02::1", "4000::1", "8000::1",
]  # fmt: skip
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "172.15.255.255",
    "172.32.0.1",
    "2606:4700::1111",
    "2a00:1450::1",
    "100.128.0.1",
]


def resolving(*addresses: str) -> Callable[[str], Awaitable[Sequence[str]]]:
    async def lookup(_: str) -> Sequence[str]:
        return addresses

    return lookup


@asynccontextmanager
async def receiver(answer: Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """A bare TCP server on loopback that answers one request a connection as it likes; gives its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            await answer(head, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def saying(text: bytes) -> Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]:
    async def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(text)
        await writer.drain()

    return answer


@asynccontextmanager
async def client(
    *,
    allow: AllowList = LOOPBACK,
    limits: Limits | None = None,
    lookup: Callable[[str], Awaitable[Sequence[str]]] | None = None,
) -> AsyncIterator[OutboundClient]:
    dialler = OutboundClient(allow=allow, limits=limits, lookup=lookup)
    try:
        yield dialler
    finally:
        await dialler.close()


@pytest.mark.parametrize("address", NEVER_PUBLIC)
def test_an_address_of_a_special_network_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_an_ordinary_address_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_is_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    local = address.is_private or address.is_loopback or address.is_link_local or address.is_multicast
    assert not (local and is_public(address))


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/hook", "https://[::1]/hook", "https://localhost/hook", "https://0/hook",
        "https://127.1/hook", "https://2130706433/hook", "https://0177.0.0.1/hook", "https://0x7f.1/hook",
        "https://0x7f000001/hook", "https://①②⑦.0.0.1/hook", "https://１２７.0.0.1/hook",
        "https://127。0。0。1/hook", "https://10.0.0.8/", "https://169.254.169.254/latest/meta-data",
        "https://[fd00:ec2::254]/", "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/", "https://[fec0::1]/", "https://[fe80::1%25eth0]/", "https://192.88.99.1/",
        "http://example.org/hook", "file:///etc/passwd", "gopher://example.org/", "ftp://example.org/",
        "https://user:secret@example.org/", "https://user@example.org/", "https://@example.org/",
        "https://example.org:22/", "https://example.org:25/", "https://example.org:6379/",
        "https://exa mple.org/", "https://example.org\\@10.0.0.1/", "https:///nowhere", "example.org/hook",
        "",        "https://example.org/\r\nHost: other", "https://a..b/", "https://-a.org/", "https://example.org:99999/",
    ],
)  # fmt: skip
async def test_an_address_that_may_lead_inside_is_refused_when_it_is_named(url: str) -> None:
    async with client(allow=AllowList()) as dialler:
        with pytest.raises(OutboundRefused):
            await dialler.check(url)


@pytest.mark.parametrize(
    "url", ["https://example.org/hook", "https://example.org:443/a?b=c", "https://8.8.8.8/"]
)
async def test_a_public_https_address_is_taken(url: str) -> None:
    async with client(allow=AllowList(), lookup=resolving("93.184.215.14", "2606:2800::1")) as dialler:
        await dialler.check(url)


async def test_a_name_with_one_inner_address_among_public_ones_is_refused() -> None:
    async with client(allow=AllowList(), lookup=resolving("93.184.215.14", "10.0.0.1")) as dialler:
        with pytest.raises(OutboundRefused) as refused:
            await dialler.check("https://example.org/hook")
    assert refused.value.code == "address-not-public"


async def test_a_name_that_moves_inside_after_it_was_saved_is_blocked_before_anything_is_sent() -> None:
    answers = iter([["93.184.215.14"], ["127.0.0.1"]])
    reached: list[bytes] = []

    async def lookup(_: str) -> Sequence[str]:
        return next(answers)

    async def note(head: bytes, _: asyncio.StreamWriter) -> None:
        reached.append(head)

    async with (
        receiver(note) as port,
        client(allow=AllowList(), lookup=lookup, limits=Limits(ports=frozenset({port}))) as dialler,
    ):
        await dialler.check(f"https://example.org:{port}/")
        with pytest.raises(OutboundRefused):
            await dialler.send("POST", f"https://example.org:{port}/", headers={}, body=b"x")
    assert reached == []


async def test_a_name_that_does_not_resolve_is_taken_at_first_and_fails_at_the_call() -> None:
    async def lookup(_: str) -> Sequence[str]:
        raise OSError

    async with client(allow=AllowList(), lookup=lookup) as dialler:
        await dialler.check("https://later.example.org/hook")
        with pytest.raises(OutboundFailed) as failed:
            await dialler.send("POST", "https://later.example.org/hook", headers={}, body=b"x")
    assert failed.value.code in ("name-not-found", "connect-failed")


async def test_plain_http_and_odd_ports_are_for_listed_hosts_only() -> None:
    async with client(
        allow=AllowList.parse(["hooks.internal", "10.1.0.0/16"]), lookup=resolving("8.8.8.8")
    ) as dialler:
        await dialler.check("http://hooks.internal:9000/x")
        await dialler.check("http://10.1.2.3:9000/x")
        with pytest.raises(OutboundRefused):
            await dialler.check("http://10.2.2.3:9000/x")
        with pytest.raises(OutboundRefused):
            await dialler.check("http://example.org:9000/x")


@pytest.mark.parametrize("url", ["http://later.example.org/", "https://later.example.org:22/"])
async def test_a_name_nobody_knows_yet_must_be_plain_https(url: str) -> None:
    async def lookup(_: str) -> Sequence[str]:
        raise OSError

    async with client(allow=LOOPBACK, lookup=lookup) as dialler:
        with pytest.raises(OutboundRefused):
            await dialler.check(url)


@pytest.mark.parametrize("entry", ["10.0.0.0/99", "a b", "http://x", "[", "-x"])
def test_an_allow_list_with_a_slip_is_refused_whole(entry: str) -> None:
    with pytest.raises(ValueError, match="an entry is"):
        AllowList.parse([entry])


async def test_a_request_arrives_whole_and_names_its_host() -> None:
    heads: list[bytes] = []

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        writer.write(b"HTTP/1.1 204 No Content\r\nX-Seen: yes\r\nContent-Length: 0\r\n\r\n")

    async with receiver(answer) as port, client(lookup=resolving("127.0.0.1")) as dialler:
        answered = await dialler.send(
            "POST", f"http://hook.test:{port}/in", headers={"X-A": "b"}, body=b"hello"
        )

    assert (answered.status, answered.headers["x-seen"]) == (204, "yes")
    assert heads[0].startswith(b"POST /in HTTP/1.1\r\n")
    assert f"host: hook.test:{port}".encode() in heads[0].lower()
    assert b"x-a: b" in heads[0].lower()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_is_not_followed(status: int) -> None:
    seen: list[bytes] = []

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append(head)
        writer.write(
            f"HTTP/1.1 {status} X\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n".encode()
        )

    async with receiver(answer) as port, client() as dialler:
        answered = await dialler.send("POST", f"http://127.0.0.1:{port}/", headers={}, body=b"x")

    assert answered.status == status
    assert len(seen) == 1


async def test_a_dripping_answer_is_cut_by_the_total_deadline() -> None:
    async def drip(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with receiver(drip) as port, client(limits=Limits(total_seconds=0.25)) as dialler:
        with pytest.raises(OutboundFailed) as failed:
            await dialler.send("POST", f"http://127.0.0.1:{port}/", headers={})

    assert failed.value.code == "timeout"
    assert failed.value.duration_ms < 2000


async def test_a_silent_receiver_is_cut_by_the_total_deadline() -> None:
    async def hang(_: bytes, __: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with receiver(hang) as port, client(limits=Limits(total_seconds=0.2)) as dialler:
        with pytest.raises(OutboundFailed) as failed:
            await dialler.send("POST", f"http://127.0.0.1:{port}/", headers={})
    assert failed.value.code == "timeout"


async def test_an_endless_answer_is_left_after_what_we_read_at_most() -> None:
    sent = 0

    async def flood(_: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            sent += 65536
            await writer.drain()

    async with receiver(flood) as port, client() as dialler:
        with pytest.raises(OutboundFailed) as failed:
            await dialler.send("POST", f"http://127.0.0.1:{port}/", headers={})
    assert failed.value.code == "response-too-large"
    assert sent < 200 * 2**20


async def test_a_compressed_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    assert len(bomb) < 64 * 1024
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: "
        + str(len(bomb)).encode()
        + b"\r\n\r\n"
    )

    async with receiver(saying(head + bomb)) as port, client() as dialler:
        with pytest.raises(OutboundFailed) as failed:
            await dialler.send("POST", f"http://127.0.0.1:{port}/", headers={})
    assert failed.value.code == "response-too-large"


async def test_a_modest_compressed_answer_is_read() -> None:
    body = gzip.compress(b'{"keys": []}')
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: "
        + str(len(body)).encode()
        + b"\r\n\r\n"
    )

    async with receiver(saying(head + body)) as port, client() as dialler:
        answered = await dialler.send("GET", f"http://127.0.0.1:{port}/", headers={})
    assert answered.body == b'{"keys": []}'


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(100)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"",
    ],
    ids=["100 headers", "a long header", "not HTTP", "nothing"],
)
async def test_an_answer_out_of_bounds_is_a_failure(head: bytes) -> None:
    async with receiver(saying(head)) as port, client() as dialler:
        with pytest.raises(OutboundFailed) as failed:
            await dialler.send("POST", f"http://127.0.0.1:{port}/", headers={})
    assert failed.value.code in ("protocol-error", "connection-lost")


async def test_only_the_head_of_an_answer_is_kept() -> None:
    text = b"HTTP/1.1 500 X\r\nContent-Length: 20000\r\n\r\n" + b"z" * 20_000

    async with receiver(saying(text)) as port, client() as dialler:
        answered = await dialler.send("POST", f"http://127.0.0.1:{port}/", headers={})
    assert (answered.status, len(answered.body)) == (500, 4096)


async def test_a_port_nobody_listens_on_is_a_failed_connection() -> None:
    async with receiver(saying(b"")) as port:
        pass
    async with client() as dialler:
        with pytest.raises(OutboundFailed) as failed:
            await dialler.send("POST", f"http://127.0.0.1:{port}/", headers={})
    assert failed.value.code == "connect-failed"


async def test_proxies_of_the_environment_are_not_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    answer = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with receiver(answer) as port, client() as dialler:
        answered = await dialler.send("GET", f"http://127.0.0.1:{port}/", headers={})
    assert answered.status == 200


def certificate_for(name: str, folder: Path) -> Path:
    """A self-signed certificate and its key in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.now(UTC) - timedelta(hours=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made.public_bytes(Encoding.PEM)
    )
    return pem


@asynccontextmanager
async def tls_receiver(pem: Path, names: list[str | None]) -> AsyncIterator[int]:
    """Answers 204 over TLS and notes the server name each client asks for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.sni_callback = lambda _socket, name, _context: names.append(name)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def test_the_certificate_must_be_of_the_name_although_we_dial_an_address(tmp_path: Path) -> None:
    pem, names = certificate_for("hook.test", tmp_path), list[str | None]()
    trusting = ssl.create_default_context(cafile=str(pem))

    async with tls_receiver(pem, names) as port:
        dialler = OutboundClient(allow=LOOPBACK, tls=trusting, lookup=resolving("127.0.0.1"))
        answered = await dialler.send("POST", f"https://hook.test:{port}/", headers={}, body=b"x")
        with pytest.raises(OutboundFailed) as failed:
            await dialler.send("POST", f"https://other.test:{port}/", headers={}, body=b"x")
        await dialler.close()

    assert answered.status == 204
    assert names == ["hook.test", "other.test"]
    assert failed.value.code == "tls-failed"


async def test_a_certificate_that_nobody_vouches_for_ends_the_call(tmp_path: Path) -> None:
    pem = certificate_for("hook.test", tmp_path)

    async with tls_receiver(pem, []) as port, client(lookup=resolving("127.0.0.1")) as dialler:
        with pytest.raises(OutboundFailed) as failed:
            await dialler.send("POST", f"https://hook.test:{port}/", headers={}, body=b"x")
    assert failed.value.code == "tls-failed"


async def test_a_header_with_a_line_break_is_not_sent() -> None:
    seen: list[bytes] = []

    async def note(head: bytes, _: asyncio.StreamWriter) -> None:
        seen.append(head)

    async with receiver(note) as port, client() as dialler:
        with pytest.raises(OutboundFailed):
            await dialler.send("GET", f"http://127.0.0.1:{port}/", headers={"X-A": "a\r\nX-B: c"})
    assert seen == []
