"""Separators are read from MSH, escapes resolved once, character sets believed by the bytes."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_formats.hl7v2 import read, split_body
from baton_formats.hl7v2.charset import decode
from baton_formats.hl7v2.syntax import Syntax, read_separators

BACKSLASH = Syntax()


def syntax_of(declared: str, field: str = "|") -> Syntax:
    found = read_separators(field, declared, "utf-8").syntax
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("field", "declared", "expected"),
    [
        ("|", "^~\\&", ("^", "~", "\\", "&", "")),
        ("|", "^~\\&#", ("^", "~", "\\", "&", "#")),
        ("#", "!@%*", ("!", "@", "%", "*", "")),
        ("^", "~|\\&", ("~", "|", "\\", "&", "")),
        ("|", "^~\\\\&", ("^", "~", "\\", "&", "")),
        ("|", "^&", ("^", "~", "\\", "&", "")),
        ("|", "^&~\\", ("^", "~", "\\", "&", "")),
        ("|", "", ("^", "~", "\\", "&", "")),
        ("|", "$%", ("$", "%", "", "", "")),
    ],
)
def test_separators_are_read_in_every_form_that_occurs(
    field: str, declared: str, expected: tuple[str, ...]
) -> None:
    s = syntax_of(declared, field)
    assert (s.component, s.repetition, s.escape, s.subcomponent, s.truncation) == expected


@pytest.mark.parametrize(
    ("declared", "field"),
    [("0000", "|"), ("^^^^", "|"), ('^~\\"', "|"), ("^~\\|", "|"), ("^~\x01&", "|"), ("^~\\&#!", "|")],
)
def test_separators_that_cannot_separate_are_refused(declared: str, field: str) -> None:
    assert read_separators(field, declared, "utf-8").syntax is None


@pytest.mark.parametrize(
    ("flag", "declared"), [("leaked", "^~\\\\&"), ("unusual", "^&"), ("unusual", "^&~\\"), ("assumed", "")]
)
def test_every_liberty_taken_with_separators_is_said(flag: str, declared: str) -> None:
    assert getattr(read_separators("|", declared, "utf-8"), flag)


@pytest.mark.parametrize(
    ("escaped", "plain"),
    [
        ("\\F\\\\S\\\\T\\\\R\\\\E\\", "|^&~\\"),
        ("a\\.br\\b\\.sp2\\c", "a\nb\n\nc"),
        ("\\H\\loud\\N\\", "loud"),
        ("\\X41\\\\X42\\", "AB"),
        ("caf\\XC3\\\\XA9\\", "café"),
        ("\\X41g\\", "\\X41g\\"),
        ("\\XFF\\", "\\XFF\\"),
        ("\\Zlocal\\", "\\Zlocal\\"),
        ("C:\\temp\\F\\x", "C:\\temp|x"),
        ("ends with \\", "ends with \\"),
        ("\\E\\F\\E\\", "\\F\\"),
    ],
)
def test_escapes_are_resolved_once_and_unknown_ones_stay(escaped: str, plain: str) -> None:
    assert BACKSLASH.decode(escaped) == plain


def test_a_value_that_reads_like_the_null_is_written_so_that_it_is_none() -> None:
    assert BACKSLASH.decode(BACKSLASH.encode('""')) == '""'
    assert BACKSLASH.encode('""') != '""'


@given(
    st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["^~\\&", "^~\\&#", "!@%*", "~|\\&"])
)
def test_any_text_survives_escaping_with_any_separators(text: str, declared: str) -> None:
    syntax = syntax_of(declared, "^" if declared.startswith("~") else "|" if declared[0] == "^" else "#")
    escaped = syntax.encode(text)
    assert syntax.decode(escaped) == text
    assert not {syntax.field, syntax.component, syntax.repetition, "\r", "\n", "\x0b", "\x1c"} & set(escaped)


@given(st.text(st.sampled_from("\\FXE41.brsp Z\n"), max_size=60))
def test_any_damage_to_escapes_is_read_without_an_error(text: str) -> None:
    BACKSLASH.decode(text)


@pytest.mark.parametrize("unit", ["\\F\\", "\\X41\\", "\\XFF\\", "\\", "\\Zx\\", "\\.sp9\\"])
def test_escapes_are_resolved_in_linear_time(unit: str) -> None:
    def seconds(count: int) -> float:
        text = unit * count
        start = time.thread_time()
        BACKSLASH.decode(text)
        return time.thread_time() - start

    assert any(seconds(200_000) < 40 * seconds(20_000) + 0.02 for _ in range(5))


NAME = "Müller"


@pytest.mark.parametrize(
    ("raw", "claims", "charset", "code"),
    [
        (b"plain", (), "us-ascii", None),
        (NAME.encode(), (), "utf-8", None),
        (NAME.encode(), ("UNICODE UTF-8",), "utf-8", None),
        (NAME.encode(), ("8859/1",), "utf-8", "charset-mismatch"),
        (NAME.encode("latin-1"), ("8859/1",), "iso-8859-1", None),
        (NAME.encode("latin-1"), ("UNICODE UTF-8",), "windows-1252", "charset-mismatch"),
        (NAME.encode("latin-1"), (), "windows-1252", "charset-undeclared"),
        (b"\x93quoted\x94", ("8859/1",), "windows-1252", "charset-mismatch"),
        (b"\x81\x8d", (), "iso-8859-1", "charset-undeclared"),
        ("日本".encode("gb18030"), ("GB 18030-2000",), "gb18030", None),
        (b"plain", ("KLINGON",), "us-ascii", "charset-unknown"),
        ("a\ufffdb".encode(), (), "utf-8", "characters-lost"),
    ],
)
def test_the_character_set_is_the_one_the_bytes_are_in(
    raw: bytes, claims: tuple[str, ...], charset: str, code: str | None
) -> None:
    decoded = decode(raw, claims)
    assert decoded.charset == charset
    assert [finding.code for finding in decoded.findings] == ([code] if code else [])


@given(st.binary(max_size=60), st.sampled_from(["", "8859/1", "UTF-8", "BIG-5", "ISO IR87", "nonsense"]))
def test_any_bytes_become_text_under_any_claim(raw: bytes, claim: str) -> None:
    assert isinstance(decode(raw, (claim,)).text, str)


def test_a_message_in_one_charset_does_not_spoil_its_neighbour() -> None:
    head = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A04|%d|P|2.5\rPID|1||1^^^X||"
    body = head % 1 + "Müller\r".encode("latin-1") + head % 2 + "Müller\r".encode()
    charsets = [message.envelope.charset for message in read(body).messages if message.envelope]
    assert charsets == ["windows-1252", "utf-8"]


def test_hex_escapes_are_read_in_the_charset_of_the_message() -> None:
    head = b"MSH|^~\\&|A|B|C|D|20260101||MDM^T02|1|P|2.5||||||8859/1\r"
    body = head + b"PID|1||1^^^X||M\xfcller\rTXA|1|CN\rOBX|1|TX|||\\XFC\\\r"
    (message,) = read(body).messages
    assert message.facts[0].kind == "document"
    assert str(getattr(message.facts[0], "text", None)) == "ü"


def test_the_bytes_of_each_message_are_kept_as_they_came() -> None:
    one, two = b"MSH|^~\\&|A|B\nPID|1\n", b"MSH|^~\\&|A|C\r\nPID|2"
    assert [message.raw for message in split_body(one + two).messages] == [one, two]
