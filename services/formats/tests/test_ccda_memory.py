"""A document of five megabytes is read and printed within four times its own size, whatever is in it."""

import base64
import tracemalloc
from collections import deque
from collections.abc import Callable

import pytest

from baton_formats.ccda import read
from baton_formats.facts import Document
from baton_formats.findings import Outcome, ReadResult
from baton_formats.rendering import members, to_json

Make = Callable[..., bytes]
FIVE_MB = 5_000_000
SMILE = "\U0001f600"
WORDS = "words of a sample "
ROW = "<tr><td>Sample substance</td><td>2 mg once a day</td></tr>"
PICTURE = (
    '<observationMedia><value mediaType="image/png" representation="B64">AAAA</value></observationMedia>'
)


def much(unit: str) -> str:
    return unit * (FIVE_MB // len(unit.encode()))


def section(content: str) -> str:
    return f"<component><section>{content}</section></component>"


def body(content: str) -> str:
    return f"<structuredBody>{content}</structuredBody>"


def file(media_type: str, content: str, representation: str = "TXT") -> str:
    text = f'<text mediaType="{media_type}" representation="{representation}">{content}</text>'
    return f"<nonXMLBody>{text}</nonXMLBody>"


SHAPES = {
    "words": lambda: body(section(f"<text>{much(WORDS)}</text>")),
    "words and an emoji": lambda: body(section(f"<text>{much(WORDS)}{SMILE}</text>")),
    "emoji in every paragraph": lambda: body(
        section(f"<text>{much(f'<paragraph>{WORDS * 20}{SMILE}</paragraph>')}</text>")
    ),
    "a table with an emoji": lambda: body(section(f"<text><table>{SMILE}{much(ROW)}</table></text>")),
    "CDATA": lambda: body(section(f"<text><![CDATA[{SMILE}{much(WORDS)}]]></text>")),
    "a reason": lambda: body(section(f'<code code="42349-1"/><text>{SMILE}{much(WORDS)}</text>')),
    "sections": lambda: body(much(section("<title>a</title>"))),
    "sections with text": lambda: body(much(section(f"<title>a</title><text>{WORDS * 8}</text>"))),
    "a title": lambda: body(section(f"<title>{SMILE}{much(WORDS)}</title>")),
    "pictures": lambda: body(section(f"<entry>{much(PICTURE)}</entry>")),
    "a PDF": lambda: file("application/pdf", base64.b64encode(b"%PDF-" + b"a" * FIVE_MB).decode(), "B64"),
    "a PDF in lines": lambda: file("application/pdf", much("A" * 76 + "\n"), "B64"),
    "a text": lambda: file("text/plain", f"{SMILE}{much(WORDS)}"),
    "no base64": lambda: file("application/pdf", f"{SMILE}{much('A' * 76)}", "B64"),
    "numbers": lambda: body(section(much('<id root="1.2.3" extension="1"/>'))),
}


def peak(task: Callable[[], object]) -> int:
    """Bytes that Python held at the same time, at most, while the task ran."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        task()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shape", SHAPES)
def test_reading_and_printing_take_at_most_four_times_the_document(
    clinical_document: Make, shape: str
) -> None:
    document = clinical_document(body=SHAPES[shape]())
    read(clinical_document())  # what is made once is not counted
    results: list[ReadResult] = []
    growth = peak(lambda: results.append(read(document)))
    assert results[0].outcome is not Outcome.REFUSED
    assert growth / len(document) <= 4
    printing = peak(lambda: deque(to_json(members(results[0])), maxlen=0))
    assert printing / len(document) <= 0.5


@pytest.mark.parametrize("charset", ["windows-1251", "windows-1252", "iso-8859-1", "utf-16"])
def test_so_do_documents_in_other_charsets(clinical_document: Make, charset: str) -> None:
    word = {"windows-1251": "слово ", "windows-1252": "€uro ", "iso-8859-1": "mühe "}.get(
        charset, f"w{SMILE}rd "
    )
    text = clinical_document(body=body(section(f"<text>{word * (FIVE_MB // len(word))}</text>"))).decode()
    document = f'<?xml version="1.0" encoding="{charset}"?>{text}'.encode(charset)
    assert peak(lambda: read(document)) / len(document) <= 4


def test_an_endless_title_does_not_hide_the_rest(clinical_document: Make) -> None:
    result = read(clinical_document(body=body(section(f"<title>{much(WORDS)}</title><text>kept</text>"))))
    (found,) = next(fact for fact in result.facts if isinstance(fact, Document)).sections
    assert (found.title or "").startswith(WORDS)
    assert 60_000 < len(found.title or "") <= 65_536
    assert str(found.text) == "kept"
    assert "document-too-crowded" in {finding.code for finding in result.all_findings}
