"""What many groups, patients or repetitions share is read once: time follows the size of the message."""

import time
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baton_formats.hl7v2 import read, view
from baton_formats.hl7v2.syntax import Syntax

PID = "PID|1||42^^^CLINIC^MR||Testperson^Ada||19700101|F"


def message(kind: str, *segments: str) -> bytes:
    msh = f"MSH|^~\\&|APP|CLINIC|US|HERE|20260102030405||{kind}|C1|P|2.5.1"
    return "\r".join((msh, *segments)).encode()


def many(form: str, count: int = 1000) -> str:
    return "~".join(form.replace("#", str(at)) for at in range(count))


def groups(count: int = 2000) -> Iterable[str]:
    """Resource groups at so many different times."""
    for at in range(count):
        yield f"RGS|{at}"
        yield f"AIG|1|||||||2026{at % 12 + 1:02}{at % 27 + 1:02}{at % 24:02}{at % 60:02}"


WIDE_PID = f"PID|1|{many('#')}|{many('#')}|{many('#')}|Testperson^Ada||19700101|F"
SCH = "SCH|1|2"
BODIES = {
    "orders behind a thousand numbers": message(
        "OMG^O19", PID, f"RF1||||||1|||||{many('#')}", *["ORC|NW"] * 2000
    ),
    "orders behind a thousand empty numbers": message(
        "OMG^O19", PID, f"RF1||||||{many('^a')}|||||{many('^#')}", *["ORC|NW"] * 2000
    ),
    "orders that share an ORC": message(
        "OMG^O19", PID, f"ORC|NW|{many('#')}|{many('b#')}", *["OBR|1|2|3"] * 2000
    ),
    "reports that share an ORC": message(
        "ORU^R01", PID, f"ORC|NW|{many('#')}|{many('b#')}", *["OBR|1|2|3"] * 2000
    ),
    "reports of a visit of many numbers": message(
        "ORU^R01", PID, "PV1|1|O" + "|" * 17 + many("#"), *["OBR|1|2|3"] * 2000
    ),
    "one patient with three thousand numbers": message("ADT^A31", WIDE_PID),
    "eight such patients": message("SIU^S12", SCH, *[WIDE_PID] * 8),
    "a hundred patients, two thousand groups": message(
        "SIU^S12", SCH, *[PID] * 100, *[f"RGS|{at}" for at in range(2000)]
    ),
    "a hundred patients, many appointments": message("SIU^S12", SCH, *[PID] * 100, *groups()),
    "appointments of a thousand referrals": message("SIU^S12", SCH + "|" * 24 + many("#"), PID, *groups()),
    "appointments with unreadable timings": message(
        "SIU^S12", f"{SCH}|||||||||{many('^^^x')}", PID, f"TQ1|||||||{many('x')}", *groups()
    ),
    "appointments that share services": message("SIU^S12", SCH, PID, f"AIS|1||{many('#')}", *groups()),
    "phones": message("ADT^A31", f"PID|1||1||T||||||||{many('#^^^a#@b')}|{many('#^^^b#@b')}"),
    "one number of a thousand authorities": message("ADT^A31", f"PID|1|{many('1^^^b#')}|{many('1^^^a#')}||T"),
    "deletions": message("ADT^A31", f"PID|1||{many(chr(34) * 2 + '^a')}||T|||||||{many('a^' + chr(34) * 2)}"),
    "merges of the same numbers": message("ADT^A40", f"PID|1||{many('#')}||T", f"MRG|{many('#')}"),
}


def seconds(body: bytes) -> float:
    start = time.process_time()
    read(body)
    return time.process_time() - start


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_message_of_a_hundred_kilobytes_is_read_within_a_second(body: bytes) -> None:
    assert len(body) < 120_000
    assert min(seconds(body) for _ in range(2)) < 1


@pytest.mark.parametrize("unit", ["\\", "\\Zx\\", "\\X4"])
def test_ten_megabytes_of_broken_escapes_take_about_a_second(unit: str) -> None:
    text = unit * (10_000_000 // len(unit))
    start = time.process_time()
    Syntax().decode(text)
    assert time.process_time() - start < 3


parts = st.sampled_from(
    [
        "RGS|1",
        "AIS|1||X|202601020900",
        "AIS|1|D|Y|202601020900",
        "AIP|1||7^Muster^Max",
        "AIL|1||Room 1",
        "TQ1|1||||||202601030900||S",
        "ORC|NW|1|2",
        "ORC|SC",
        "OBR|1|3|4|57133-1",
        "OBX|1|TX|||words||||||F",
        "OBX|2|NM|a||1||||||P",
        "NTE|1||a comment",
        "DG1|1||K63.3",
        "PRD|RP|Sample^Eva",
        "RF1|P||||||R1|||||E1~E2",
        PID,
        "PV1|1|O||||||7^Muster",
    ]
)


@given(
    st.sampled_from(["SIU^S12", "OMG^O19", "ORU^R01", "ORM^O01"]), st.lists(parts, min_size=10, max_size=60)
)
@settings(deadline=None, max_examples=150)
def test_reading_shared_parts_once_changes_nothing(kind: str, segments: list[str]) -> None:
    body = message(kind, SCH, *segments)
    shared = read(body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(view, "_MANY", 1)
        eager = read(body)
        patch.setattr(view, "_MANY", 10**9)
        never = read(body)
    assert shared == never == eager
