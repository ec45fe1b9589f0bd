"""Which bytes a message really was in: the claim is tried first, and what was used is recorded."""

import pytest

from baton_formats.facts import Patient
from baton_formats.findings import Format, Message
from baton_formats.hl7v2 import read
from baton_formats.hl7v2.charset import decode
from baton_formats.sniff import sniff

JAPANESE = "山田"
TEXT = (
    "MSH|^~\\&|APP|CLINIC|US|HERE|20260102030405||ADT^A31|C1|P|2.5.1||||||%s\rPID|1||42^^^CLINIC^MR||%s^Ada\r"
)


def only(raw: bytes) -> Message:
    (message,) = read(raw).messages
    return message


def sent(name: str, codec: str, claim: str) -> Message:
    return only((TEXT % (claim, "@")).encode("ascii").replace(b"@", name.encode(codec)))


def family(message: Message) -> str | None:
    (fact,) = message.facts
    patient = getattr(fact, "patient", None)
    return patient.names[0].family if isinstance(patient, Patient) else None


def codes(message: Message) -> list[str]:
    return [finding.code for finding in message.findings]


def charset(message: Message) -> str | None:
    return message.envelope.charset if message.envelope else None


@pytest.mark.parametrize(
    ("name", "codec", "claim", "used"),
    [
        (JAPANESE, "iso2022_jp", "ISO IR87", "iso-2022-jp"),
        (JAPANESE, "iso2022_jp", "~ISO IR87", "iso-2022-jp"),
        (JAPANESE, "iso2022_jp", "ISO IR14~ISO IR87", "iso-2022-jp"),
        (JAPANESE, "iso2022_jp", "ASCII~ISO IR87", "iso-2022-jp"),
        (JAPANESE, "iso2022_jp", "UNICODE UTF-8~ISO IR87", "iso-2022-jp"),
        ("丂丄", "iso2022_jp_1", "ISO IR87~ISO IR159", "iso-2022-jp"),
        ("ﾔﾏﾀﾞ", "iso2022_jp_ext", "ISO IR14", "iso-2022-jp"),
        ("ﾔﾏﾀﾞ", "shift_jis", "ISO IR14", "jis_x0201"),
        ("홍길동", "euc_kr", "KS X 1001", "euc-kr"),
        ("홍길동", "iso2022_kr", "KS X 1001", "iso-2022-kr"),
        ("谢", "gb18030", "GB 18030-2000", "gb18030"),
        ("陳大文", "big5", "BIG-5", "big5"),
        ("谢陳", "gb18030", "ASCII~GB 18030-2000", "gb18030"),
        ("Łódź", "iso8859-2", "8859/2", "iso8859-2"),
        ("PÓŁTEST", "iso8859-2", "8859/2", "iso8859-2"),
        ("Тест", "iso8859-5", "8859/5", "iso8859-5"),
        ("Δοκιμή", "iso8859-7", "8859/7", "iso8859-7"),
        ("בדיקה", "iso8859-8", "8859/8", "iso8859-8"),
        ("Çelik", "iso8859-9", "8859/9", "iso8859-9"),
        ("Œuvre", "iso8859-15", "8859/15", "iso8859-15"),
    ],
)
def test_a_name_is_read_in_the_set_the_sender_declares(name: str, codec: str, claim: str, used: str) -> None:
    message = sent(name, codec, claim)
    assert family(message) == name
    assert charset(message) == used
    assert codes(message) == []


@pytest.mark.parametrize(
    ("name", "claim"),
    [
        ("Ångström", "8859/1"),
        ("Δοκιμή", "8859/1"),
        ("Ångström", "ASCII"),
        ("谢", "WINDOWS-1252"),
        ("José", "8859/15"),
        ("Łódź", "8859/2"),
        ("Δοκιμή", "8859/7"),
        ("谢测试", "GB 18030-2000"),
        ("陳大", "BIG-5"),
        ("홍길", "KS X 1001"),
        (JAPANESE, "ISO IR87"),
    ],
)
def test_utf_8_under_a_stale_claim_is_read_as_utf_8_and_said_so(name: str, claim: str) -> None:
    message = sent(name, "utf-8", claim)
    assert family(message) == name
    assert charset(message) == "utf-8"
    assert codes(message) == ["charset-mismatch"]


@pytest.mark.parametrize(
    ("name", "codec", "claim"), [("許功蓋", "big5", "BIG-5"), ("许珅亅", "gb18030", "GB 18030-2000")]
)
def test_a_separator_inside_a_two_byte_character_separates_nothing(name: str, codec: str, claim: str) -> None:
    assert set(name.encode(codec)) & set(b"|\\")
    assert family(sent(name, codec, claim)) == name


def test_a_japanese_sender_does_not_hide_its_claim() -> None:
    facility = "奥病院"
    assert b"|" in facility.encode("iso2022_jp")
    raw = (
        (TEXT % ("~ISO IR87", "@")).encode("ascii").replace(b"CLINIC|", facility.encode("iso2022_jp") + b"|")
    )
    message = only(raw.replace(b"@", JAPANESE.encode("iso2022_jp")))
    assert family(message) == JAPANESE
    assert message.envelope is not None
    assert message.envelope.sender is not None
    assert message.envelope.sender.facility is not None
    assert message.envelope.sender.facility.value == facility


def test_escape_sequences_nobody_declared_are_left_and_noted() -> None:
    message = sent(JAPANESE, "iso2022_jp", "")
    assert codes(message) == ["charset-undeclared"]
    assert charset(message) == "us-ascii"


def test_broken_escape_sequences_are_a_mismatch_and_lose_nothing() -> None:
    raw = (TEXT % ("ISO IR87", "\x1b$BABC")).encode("ascii")
    message = only(raw)
    assert codes(message) == ["charset-mismatch"]
    assert "ABC" in (family(message) or "")


def test_a_set_of_the_table_that_cannot_be_read_is_not_called_unknown_to_it() -> None:
    found = decode(b"plain", ("CNS 11643-1992",)).findings
    assert [finding.code for finding in found] == ["charset-unknown"]
    assert "not in HL7 table" not in found[0].detail


@pytest.mark.parametrize("claim", ["UNICODE UTF-16", "UNICODE", ""])
@pytest.mark.parametrize(
    ("codec", "used"),
    [
        ("utf-16", "utf-16le"),
        ("utf-16-le", "utf-16le"),
        ("utf-16-be", "utf-16be"),
        ("utf-32-le", "utf-32le"),
        ("utf-32-be", "utf-32be"),
    ],
)
@pytest.mark.parametrize("before", ["", "\n", "\r\n ", "FHS|^~\\&\rBHS|^~\\&\r"])
def test_wide_bodies_are_read_and_recorded_as_what_they_are(
    claim: str, codec: str, used: str, before: str
) -> None:
    result = read((before + TEXT % (claim, "Ångström")).encode(codec))
    (message,) = result.messages
    assert family(message) == "Ångström"
    assert charset(message) == used
    assert codes(message) == []
    assert next(finding.code for finding in result.findings) == codec[:6]


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("before", ["", "\n", "BHS|^~\\&\r"])
def test_a_wide_body_is_known_for_what_it_is(codec: str, before: str) -> None:
    assert sniff((before + TEXT % ("", "Ångström")).encode(codec)) is Format.HL7V2


def test_a_wide_body_under_a_narrow_claim_is_a_mismatch() -> None:
    message = only((TEXT % ("8859/1", "Ångström")).encode("utf-16"))
    assert codes(message) == ["charset-mismatch"]
    assert charset(message) == "utf-16le"


def test_a_narrow_body_under_a_wide_claim_is_a_mismatch() -> None:
    message = sent("Ångström", "utf-8", "UNICODE UTF-16")
    assert codes(message) == ["charset-mismatch"]
    assert family(message) == "Ångström"
