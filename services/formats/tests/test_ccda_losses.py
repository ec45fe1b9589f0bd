"""What a document says comes through whole: files, texts, names, addresses; what is left out is a finding."""

import base64
import json
import tracemalloc
from collections.abc import Callable

import pytest

from baton_formats.ccda import read
from baton_formats.ccda.sections import MAX_DEPTH
from baton_formats.facts import Address, Attachment, Document, Extension, HumanName, Patient, Section
from baton_formats.findings import ReadResult
from baton_formats.rendering import NotAFact, fact_from_plain, members, to_json, to_plain

Make = Callable[..., bytes]
_PDF = b"%PDF-1.4 a sample of some length"


def document(result: ReadResult) -> Document:
    return next(fact for fact in result.facts if isinstance(fact, Document))


def patient(result: ReadResult) -> Patient:
    found = document(result).patient
    assert found is not None
    return found


def codes(result: ReadResult) -> set[str]:
    return {finding.code for finding in result.all_findings}


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def embedded(make: Make, attributes: str, content: str) -> ReadResult:
    return read(make(templates="", body=f"<nonXMLBody><text {attributes}>{content}</text></nonXMLBody>"))


def file(result: ReadResult) -> Attachment:
    (found,) = document(result).attachments
    return found


@pytest.mark.parametrize(
    "content", ["SGVsbG8=V29ybGQ=", "SGVsbG8=\nV29ybGQ=", "SGVsb=G8gV29ybGQ=", "====", "="]
)
def test_base64_that_goes_on_after_its_end_is_broken(clinical_document: Make, content: str) -> None:
    result = embedded(clinical_document, 'mediaType="text/plain" representation="B64"', content)
    assert file(result).content is None
    assert document(result).text is None
    assert "attachment-broken" in codes(result)


@pytest.mark.parametrize("content", ["SGVsbG8=", "SGVs\n bG8=\n", "SGVsbG8 ="])
def test_base64_may_be_broken_into_lines(clinical_document: Make, content: str) -> None:
    result = embedded(clinical_document, 'mediaType="text/plain" representation="B64"', content)
    assert file(result).content == b"Hello"
    assert codes(result) == set()


@pytest.mark.parametrize("kind", ["application/pdf", "application/x-pdf", ""])
def test_a_file_in_base64_that_does_not_say_so_is_decoded_with_a_finding(
    clinical_document: Make, kind: str
) -> None:
    result = embedded(clinical_document, f'mediaType="{kind}"' if kind else "", b64(_PDF))
    assert (file(result).content, file(result).media_type) == (_PDF, "application/pdf")
    assert codes(result) == {"attachment-not-marked"}


@pytest.mark.parametrize(
    ("attributes", "content"),
    [
        ('mediaType="application/pdf"', "these are words"),
        ('mediaType="application/msword"', "these are words"),
        ('mediaType="application/pdf"', b64(b"\x89PNG\r\n\x1a\nsample of a picture")),
        ('mediaType="application/pdf" representation="B64"', b64(b"MZ\x90\0")),
        ('mediaType="application/pdf" representation="B64"', b64(b"<html><script>")),
        ('mediaType="text/plain" representation="B64"', b64(_PDF)),
    ],
)
def test_content_that_is_not_what_it_is_called_is_found(
    clinical_document: Make, attributes: str, content: str
) -> None:
    assert "media-type-differs" in codes(embedded(clinical_document, attributes, content))


@pytest.mark.parametrize(
    ("attributes", "content"),
    [
        ('mediaType="text/html"', "words"),
        ('mediaType="application/xml"', "words"),
        ('mediaType="application/rtf" representation="B64"', b64(b"{\\rtf1 words}")),
        ('mediaType="image/jpg" representation="B64"', b64(b"\xff\xd8\xff\xe0")),
        ('mediaType="application/pdf" representation="B64"', b64(b"\n\n" + _PDF)),
        ('mediaType="application/octet-stream" representation="B64"', b64(b"\0\1\2")),
    ],
)
def test_content_that_is_what_it_is_called_is_not(
    clinical_document: Make, attributes: str, content: str
) -> None:
    assert codes(embedded(clinical_document, attributes, content)) == set()


def test_words_without_a_media_type_are_plain_text(clinical_document: Make) -> None:
    assert str(document(embedded(clinical_document, "", "Some plain words")).text) == "Some plain words"


def test_markup_within_a_text_leaves_its_words(clinical_document: Make) -> None:
    result = embedded(clinical_document, 'mediaType="text/html"', "Hello <b>bold</b> world<br/>again")
    assert file(result).content == b"Hello bold world\nagain"
    assert "attachment-markup-removed" in codes(result)


@pytest.mark.parametrize("name", ["value", "text"])
def test_a_file_in_an_entry_is_an_attachment(clinical_document: Make, name: str) -> None:
    held = f'<{name} mediaType="application/pdf" representation="B64">{b64(_PDF)}</{name}>'
    entry = f"<entry><observation>{held}</observation></entry>"
    body = f"<structuredBody><component><section>{entry}</section></component></structuredBody>"
    assert file(read(clinical_document(body=body))).content == _PDF


def test_words_of_an_entry_are_no_attachment(clinical_document: Make) -> None:
    entry = '<entry><act><text mediaType="text/plain"><reference value="#t1"/></text></act></entry>'
    body = f"<structuredBody><component><section>{entry}</section></component></structuredBody>"
    assert document(read(clinical_document(body=body))).attachments == ()


def test_controls_and_reversing_marks_do_not_reach_the_text(clinical_document: Make) -> None:
    content = b64("a\x1b[31m\0\u202egnp.exe\x07\x9b\nb\t\u00e9".encode())
    result = embedded(clinical_document, 'mediaType="text/plain" representation="B64"', content)
    assert str(document(result).text) == "a[31mgnp.exe\nb\t\u00e9"


@pytest.mark.parametrize("before", ["", "a", "ab"])
def test_many_of_them_are_left_out_in_little_memory(clinical_document: Make, before: str) -> None:
    content = b64((before + "\u202ea\x9b\u20ac" * 100_000).encode())
    text = f'<text mediaType="text/plain" representation="B64">{content}</text>'
    body = clinical_document(body=f"<nonXMLBody>{text}</nonXMLBody>")
    tracemalloc.start()
    result = read(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(document(result).text) == before + "a\u20ac" * 100_000
    assert peak / len(body) < 4


@pytest.mark.parametrize(
    "url",
    [" javascript:alert(1)", "java\nscript:alert(1)", "file:///etc/passwd", "data:text/html,x", "C:\\a.pdf"],
)
def test_a_reference_that_runs_or_reads_something_is_left_out(clinical_document: Make, url: str) -> None:
    result = embedded(clinical_document, "", f'<reference value="{url.replace(chr(10), "&#10;")}"/>')
    assert file(result).url is None
    assert {"reference-left-out", "attachment-not-included"} <= codes(result)


@pytest.mark.parametrize(
    "url",
    ["https://a.invalid/x.pdf", "ftp://a.invalid/x", "letters/x.pdf", "x.pdf?a=b:c", "urn:uuid:1", "cid:a@b"],
)
def test_a_reference_that_only_names_something_is_kept(clinical_document: Make, url: str) -> None:
    result = embedded(clinical_document, "", f'<reference value="{url}"/>')
    assert file(result).url == url
    assert codes(result) == {"attachment-not-included"}


_UNSIGNED = "Grüße: NOT YET SIGNED"


@pytest.mark.parametrize(
    ("attributes", "charset"),
    [
        ('mediaType="text/plain"', "utf-8"),
        ('mediaType="text/plain"', "utf-8-sig"),
        ('mediaType="text/plain; charset=utf-8"', "utf-8"),
        ('mediaType="Text/Plain ;charset=&quot;iso-8859-1&quot;"', "iso-8859-1"),
        ('mediaType="text/plain" charset="windows-1252"', "cp1252"),
        ('mediaType="text/plain"', "utf-16"),
        ('mediaType="text/plain; charset=utf-16"', "utf-16-be"),
        ('mediaType="text/plain; charset=utf-16le"', "utf-16-le"),
        ('mediaType="text/plain"', "utf-32"),
        ('mediaType="text/plain; charset=utf-32be"', "utf-32-be"),
    ],
)
def test_a_text_is_read_in_its_charset(clinical_document: Make, attributes: str, charset: str) -> None:
    content = b64(_UNSIGNED.encode(charset))
    result = embedded(clinical_document, f'{attributes} representation="B64"', content)
    assert str(document(result).text) == _UNSIGNED
    assert file(result).media_type == "text/plain"
    assert codes(result) == {"text-says-unsigned"}


@pytest.mark.parametrize(
    ("claim", "charset"),
    [("", "cp1252"), ("; charset=utf-8", "cp1252"), ("; charset=utf-16", "utf-8"), ("", "utf-16-le")],
)
def test_a_text_in_another_charset_than_it_says_is_read_with_a_finding(
    clinical_document: Make, claim: str, charset: str
) -> None:
    content = b64(_UNSIGNED.encode(charset))
    result = embedded(clinical_document, f'mediaType="text/plain{claim}" representation="B64"', content)
    assert str(document(result).text) == _UNSIGNED
    assert codes(result) == {"text-says-unsigned", "charset-differs"}


@pytest.mark.parametrize("claim", ["utf-7", "punycode", "unicode_escape", "rot13", "nonsense", "idna"])
def test_a_claim_of_no_plain_charset_is_not_followed(clinical_document: Make, claim: str) -> None:
    content = b64(b"Plain +ADw- words \\u0041")
    result = embedded(
        clinical_document, f'mediaType="text/plain" charset="{claim}" representation="B64"', content
    )
    assert str(document(result).text) == "Plain +ADw- words \\u0041"


def names(make: Make, name: str) -> list[tuple[str | None, tuple[str, ...], str | None, str | None]]:
    found: tuple[HumanName, ...] = patient(read(make(name=name))).names
    return [(one.family, one.given, one.text, one.use) for one in found]


def test_a_name_whose_title_alone_is_marked_is_kept(clinical_document: Make) -> None:
    (found,) = patient(read(clinical_document(name="<name>Ada Testperson<suffix>MD</suffix></name>"))).names
    assert (found.text, found.suffixes) == ("Ada Testperson", ("MD",))


def test_an_author_with_such_a_name_is_a_person(clinical_document: Make) -> None:
    author = (
        "<author><assignedAuthor><assignedPerson><name>Grace Sampledoctor<suffix>MD</suffix></name>"
        "</assignedPerson></assignedAuthor></author>"
    )
    assert codes(read(clinical_document(author=author))) == set()


def test_words_between_the_parts_of_a_name_are_kept_with_a_finding(clinical_document: Make) -> None:
    name = "<name><given>Ada</given> van <family>Testperson</family>, </name>"
    result = read(clinical_document(name=name))
    (found,) = patient(result).names
    assert (found.family, found.given) == ("Testperson", ("Ada",))
    assert set((found.text or "").replace(",", "").split()) == {"Ada", "van", "Testperson"}
    assert codes(result) == {"words-between-parts"}


def test_commas_between_the_parts_of_a_name_mean_nothing(clinical_document: Make) -> None:
    name = "<name><family>Testperson</family>, <given>Ada</given></name>"
    assert codes(read(clinical_document(name=name))) == set()


def test_a_birth_name_within_a_name_is_a_name_of_its_own(clinical_document: Make) -> None:
    name = (
        '<name use="L"><given>Ada</given><family>Testperson</family>'
        '<family qualifier="BR">Maidenexample</family></name>'
    )
    assert names(clinical_document, name) == [
        ("Testperson", ("Ada",), None, "official"),
        ("Maidenexample", ("Ada",), None, "maiden"),
    ]


@pytest.mark.parametrize(
    ("written", "lines", "code"),
    [
        ("<houseNumber>17</houseNumber><streetName>Sample Road</streetName>", ("17 Sample Road",), None),
        ("<deliveryAddressLine>PO Box 3</deliveryAddressLine>", ("PO Box 3",), None),
        ("<streetAddressLine>a</streetAddressLine><postBox>b</postBox>", ("a", "b"), None),
        ("17 Sample Road", ("17 Sample Road",), "words-between-parts"),
        (" , ", (), None),
    ],
)
def test_every_part_of_an_address_is_kept(
    clinical_document: Make, written: str, lines: tuple[str, ...], code: str | None
) -> None:
    body = clinical_document().replace(
        b"<streetAddressLine>1 Sample Road</streetAddressLine>", written.encode()
    )
    result = read(body)
    found: Address = patient(result).addresses[0]
    assert (found.lines, found.city, found.state) == (lines, "Exampleton", "OR")
    assert codes(result) == ({code} if code else set())


@pytest.mark.parametrize(
    "written",
    ["", '<effectiveTime nullFlavor="UNK"/>', '<effectiveTime><low value="20260302"/></effectiveTime>'],
)
def test_a_document_that_does_not_say_when_it_was_made_is_found(
    clinical_document: Make, written: str
) -> None:
    body = clinical_document().replace(b'<effectiveTime value="202603021015-0500"/>', written.encode())
    result = read(body)
    assert document(result).written_at is None
    assert codes(result) == {"document-without-time"}


def nested(depth: int) -> str:
    opened = "".join(f"<component><section><title>{level}</title>" for level in range(depth))
    return f"<structuredBody>{opened}{'</section></component>' * depth}</structuredBody>"


def titles(sections: tuple[Section, ...]) -> list[str]:
    return [title for one in sections for title in (one.title or "", *titles(one.sections))]


def test_sections_beyond_a_depth_follow_one_another(clinical_document: Make) -> None:
    result = read(clinical_document(body=nested(90)))
    found = document(result).sections
    assert titles(found) == [str(level) for level in range(90)]
    depth = 0
    while found:
        depth, found = depth + 1, found[0].sections
    assert depth == MAX_DEPTH
    assert "sections-too-deep" in codes(result)


def from_within(frames: int, task: Callable[[], object]) -> object:
    return task() if frames == 0 else from_within(frames - 1, task)


def test_a_deep_document_is_read_and_printed_from_deep_within_a_program(clinical_document: Make) -> None:
    body = clinical_document(body=nested(90))
    results: list[ReadResult] = []
    from_within(600, lambda: results.append(read(body)))
    plain: list[object] = []
    from_within(600, lambda: plain.append(to_plain(results[0])))
    printed: list[bytes] = []
    from_within(600, lambda: printed.extend(to_json(members(results[0]))))
    assert json.loads(b"".join(printed)) == plain[0]
    from_within(600, lambda: fact_from_plain(to_plain(document(results[0]))))


def deep_section(depth: int) -> Section:
    found = Section(title="innermost")
    for _ in range(depth):
        found = Section(sections=(found,))
    return found


def deep_extension(depth: int) -> Extension:
    found = Extension("innermost")
    for _ in range(depth):
        found = Extension("outer", extensions=(found,))
    return found


@pytest.mark.parametrize(
    "fact",
    [Document(sections=(deep_section(400),)), Patient(extensions=(deep_extension(400),))],
    ids=["sections", "extensions"],
)
def test_facts_within_facts_are_printed_at_any_depth(fact: Document | Patient) -> None:
    assert "innermost" in b"".join(to_json(members(fact))).decode()
    assert to_plain(fact)["kind"] == fact.kind


@pytest.mark.parametrize("depth", [150, 400])
def test_facts_nested_like_no_message_are_refused(depth: int) -> None:
    with pytest.raises(NotAFact, match="deeper"):
        fact_from_plain(to_plain(Document(sections=(deep_section(depth),))))
