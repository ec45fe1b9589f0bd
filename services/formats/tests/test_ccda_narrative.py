"""Narrative as text: rows stay rows, lines stay lines, and nothing changes a number."""

from collections.abc import Callable

import pytest

from baton_formats.ccda import read
from baton_formats.facts import Document

Make = Callable[..., bytes]


def text_of(make: Make, narrative: str) -> str:
    body = (
        f"<structuredBody><component><section><text>{narrative}</text></section></component></structuredBody>"
    )
    found = next(fact for fact in read(make(body=body)).facts if isinstance(fact, Document))
    return str(found.sections[0].text)


@pytest.mark.parametrize(
    ("narrative", "words"),
    [
        (
            "<table><tr><td>Metoprolol<br/>take 1</td><td>50 mg</td></tr></table>",
            "Metoprolol\ntake 1\t50 mg",
        ),
        (
            "<table><tr><td><paragraph>Drug A</paragraph></td><td><paragraph>5 mg</paragraph></td></tr>"
            "<tr><td><list><item>Drug B</item></list></td><td>10 mg</td></tr></table>",
            "Drug A\t5 mg\nDrug B\t10 mg",
        ),
        (
            "<table><thead><tr><th>Name</th><th>Dose</th></tr></thead><tbody><tr><td/><td>5 mg</td></tr>"
            "<tr><td>Drug</td><td/><td>daily</td></tr></tbody></table>after",
            "Name\tDose\n\t5 mg\nDrug\t\tdaily\nafter",
        ),
        ("before<table><tr><td>a</td></tr></table>after", "before\na\nafter"),
        ("a<br/><br/>b", "a\nb"),
        ("10<sup>9</sup>/L of H<sub>2</sub>O", "10^9/L of H2O"),
        ("5<footnote ID='f'>given <content>twice</content></footnote> mg", "5 [given twice] mg"),
        ("<content revised='delete'>Warfarin</content> Apixaban", "[deleted: Warfarin] Apixaban"),
        ("<content revised='insert'>Apixaban</content>", "Apixaban"),
        ("5<sup> <script>x</script>9</sup>", "5^ 9"),
    ],
)
def test_what_a_table_or_mark_says_is_kept(clinical_document: Make, narrative: str, words: str) -> None:
    assert text_of(clinical_document, narrative) == words


def test_a_section_directly_in_a_section_is_read(clinical_document: Make) -> None:
    inner = "<section><title>Inner</title><text>kept</text></section>"
    outer = f"<section><title>Outer</title>{inner}</section>"
    body = f"<structuredBody><component>{outer}</component></structuredBody>"
    found = next(fact for fact in read(clinical_document(body=body)).facts if isinstance(fact, Document))
    assert [(one.title, str(one.text)) for one in found.sections[0].sections] == [("Inner", "kept")]


def test_a_section_that_never_closes_keeps_its_text(clinical_document: Make) -> None:
    whole = clinical_document(body="<structuredBody><component><section><title>A</title><text>kept words")
    result = read(whole[: whole.index(b"kept words") + 10])
    found = next(fact for fact in result.facts if isinstance(fact, Document))
    assert [(one.title, str(one.text)) for one in found.sections] == [("A", "kept words")]
