"""Hostile and damaged input costs bounded time and memory, grows linearly, and never raises."""

import gc
import random
import time
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baton_formats.findings import Outcome
from baton_formats.hl7v2 import read

HEAD = b"MSH|^~\\&|A|B|C|D|20260101120000||%s|1|P|2.5\rPID|1||1^^^A||T^A\r"


def message(kind: bytes) -> bytes:
    return HEAD % kind


# What made parsers hang or crash: one thing repeated to the size asked for.
ATTACKS: dict[str, Callable[[int], bytes]] = {
    "fields": lambda n: message(b"ADT^A04") + b"PV1|1|" + b"|" * n,
    "components": lambda n: message(b"ADT^A04") + b"PV1|1||" + b"^" * n,
    "sub-components": lambda n: message(b"ADT^A04") + b"PV1|1||" + b"&" * n,
    "repetitions": lambda n: message(b"ADT^A31") + b"PID|1||" + b"~".join(b"%d" % i for i in range(n // 6)),
    "doctors": lambda n: message(b"ADT^A04") + b"PV1|1|||||||1^D" + b"~1^D" * (n // 4),
    "escapes": lambda n: message(b"MDM^T02") + b"TXA|1\rOBX|1|TX|||" + b"\\F\\" * (n // 3),
    "hex that is no text": lambda n: message(b"MDM^T02") + b"TXA|1\rOBX|1|TX|||" + b"\\XFF\\" * (n // 5),
    "lone escape characters": lambda n: message(b"MDM^T02") + b"TXA|1\rOBX|1|TX|||" + b"\\" * n,
    "blank lines by escape": lambda n: message(b"MDM^T02") + b"TXA|1\rOBX|1|TX|||" + b"\\.sp999\\" * (n // 8),
    "results": lambda n: message(b"ORU^R01") + b"OBR|1\r" + b"OBX|1|NM|a||1\r" * (n // 14),
    "reports": lambda n: message(b"ORU^R01") + b"OBR|1|2|3\r" * (n // 10),
    "orders": lambda n: message(b"ORM^O01") + b"ORC|NW|2|3\r" * (n // 11),
    "appointments": lambda n: (
        message(b"SIU^S12")
        + b"SCH|1|1\r"
        + b"".join(
            b"RGS|1\rAIS|1||X|202601%02d%02d%02d\r" % (i % 28 + 1, i % 24, i % 60) for i in range(n // 33)
        )
    ),
    "merges": lambda n: message(b"ADT^A40") + b"PID|1||1^^^A||T\rMRG|2\r" * (n // 23),
    "patients": lambda n: message(b"SIU^S12") + b"SCH|1|1\r" + b"PID|1||1^^^A||T\r" * (n // 17),
    "notes": lambda n: message(b"REF^I12") + b"RF1|P\r" + b"NTE|1||x\r" * (n // 9),
    "authorisations": lambda n: (
        message(b"REF^I12") + b"RF1|P\r" + b"".join(b"AUT||||||%d\r" % i for i in range(n // 15))
    ),
    "documents": lambda n: message(b"ADT^A01") + b"TXA|1\r" * (n // 6),
    "messages": lambda n: message(b"ADT^A04") * (n // 150),
    "headers": lambda n: b"MSH|^~\\&\r" * (n // 9),
    "headers in a line": lambda n: b"x MSH|" * (n // 6),
    "line ends": lambda n: message(b"ADT^A04") + b"\r" * n,
    "continuation lines": lambda n: message(b"ADT^A04") + b"NTE|1||x\r" + b"blah\r" * (n // 5),
    "batches": lambda n: message(b"ADT^A04") + b"BHS|^~\\&\rBTS|1\r" * (n // 15),
    "file parts": lambda n: (
        message(b"MDM^T02")
        + b"TXA|1\rOBX|1|ED|||^application^pdf^Base64^JVBERi0x\r"
        + b"".join(b"OBX|%d|ED|||^application^pdf^Base64^AAAA\r" % i for i in range(2, n // 45))
    ),
    "foreign bytes": lambda n: message(b"ADT^A04") + b"NTE|1||" + b"\xe9\x81" * (n // 2),
    "unknown segments": lambda n: message(b"ADT^A04") + b"Z01|1\r" * (n // 6),
    "complaints": lambda n: message(b"ACK") + b"MSA|AA|1\r" + b"ERR|||1\r" * (n // 8),
    "charset claims": lambda n: (
        b"MSH|^~\\&|A|B|C|D|20260101120000||ADT^A04|1|P|2.5||||||" + b"UTF-8~" * (n // 6) + b"\r"
    ),
    "digits": lambda n: message(b"ADT^A04") + b"PID|1||1||||" + b"1" * n,
    "leaked escapes": lambda n: b"MSH|^~\\\\&|A|B|C|D|20260101||ADT^A04|1|P|2.5\rNTE|1||" + b"\\" * n,
    "nothing": lambda n: b"\x00" * n,
    "blanks": lambda n: b" " * n + message(b"ADT^A04"),
}


def cpu_seconds(body: bytes) -> float:
    """The better of two runs, without collections of what other tests left in memory."""
    gc.collect()
    gc.disable()
    try:
        return min(_once(body) for _ in range(2))
    finally:
        gc.enable()


def _once(body: bytes) -> float:
    start = time.process_time()
    read(body)
    return time.process_time() - start


@pytest.mark.parametrize("attack", ATTACKS)
def test_time_grows_no_faster_than_the_body(attack: str) -> None:
    small, large = ATTACKS[attack](20_000), ATTACKS[attack](200_000)

    def is_in_proportion() -> bool:
        spent = cpu_seconds(large)
        return spent < max(25 * cpu_seconds(small), 0.1) and spent < 1.0

    assert any(is_in_proportion() for _ in range(4))


def test_a_megabyte_of_any_separator_fits_in_bounded_memory() -> None:
    for attack in ("fields", "components", "escapes", "line ends", "repetitions"):
        body = ATTACKS[attack](1_000_000)
        tracemalloc.start()
        read(body)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 40 * len(body), attack


def test_a_document_of_five_megabytes_is_read_in_a_few_copies() -> None:
    body = (
        message(b"MDM^T02") + b"TXA|1|CN\rOBX|1|ED|L||^application^pdf^Base64^JVBERi0x" + b"QUJD" * 1_250_000
    )
    tracemalloc.start()
    (fact,) = read(body).facts
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(getattr(fact, "attachments", ())) == 1
    assert peak < 5 * len(body)


def test_nothing_nested_deepens_the_stack() -> None:
    body = message(b"ADT^A04") + b"PV1|1||" + b"^&" * 50_000 + b"\r" + b"NTE|1||\\E\\F\\E\\" * 10_000
    assert read(body).outcome is not None


tokens = st.sampled_from(
    [
        b"MSH|^~\\&|A|B|C|D|2026||",
        b"REF^I12",
        b"SIU^S12",
        b"MDM^T02",
        b"ADT^A40",
        b"ORU^R01",
        b"ORM^O01",
        b"|1|P|2.5",
    ]
    + [
        name + b"|"
        for name in (
            b"PID",
            b"RF1",
            b"SCH",
            b"TXA",
            b"OBX",
            b"OBR",
            b"ORC",
            b"AIS",
            b"RGS",
            b"MRG",
            b"ERR",
            b"MSA",
        )
    ]
    + [
        b"|",
        b"^",
        b"~",
        b"\\",
        b"&",
        b"\r",
        b"\n",
        b'""',
        b"\\X41\\",
        b"20260101",
        b"ED",
        b"TX",
        b"Base64",
        b"BTS|9",
        b"\xff",
        b"\x0b",
        b"x",
    ]
)


@given(st.lists(tokens, max_size=60).map(b"".join) | st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused_with_a_reason(body: bytes) -> None:
    is_read_or_refused(body)


def is_read_or_refused(body: bytes) -> None:
    result = read(body)
    assert (result.outcome is Outcome.REFUSED) == bool(result.reason)
    for finding in result.all_findings:
        assert finding.code
        assert finding.where
        assert finding.detail


def test_random_damage_to_a_good_message_is_read_or_refused() -> None:
    rng = random.Random(7)
    good = message(b"SIU^S12") + b"SCH|P1|F1|||||||30|min|^^^20260301090000\rRGS|1\rAIS|1||X|20260301090000\r"
    for _ in range(500):
        body = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(body))
            body[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(4))
        is_read_or_refused(bytes(body))
