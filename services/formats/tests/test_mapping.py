"""The pages that show where each fact comes from are generated from what the readers run, and are current."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from baton_formats import mapping
from baton_formats.declaration import FieldMapping, MessageMapping
from baton_formats.facts import FACT_TYPES
from baton_formats.findings import Format
from baton_formats.sentences import sentences

_PAGES = Path(__file__).resolve().parents[3] / "docs" / "formats"
_ALL = [(page, one) for page in mapping.PAGES for one in page.mappings]


@pytest.mark.parametrize("name", sorted(mapping.rendered()))
def test_the_committed_page_is_current(name: str) -> None:
    assert (_PAGES / name).read_text(encoding="utf-8") == mapping.rendered()[name], (
        "run python -m baton_formats.mapping"
    )


def test_no_page_is_left_over() -> None:
    assert {path.name for path in _PAGES.glob("*.md")} == set(mapping.rendered())


@pytest.mark.parametrize(
    ("page", "one"), _ALL, ids=[f"{page.name}-{one.message}-{one.fact}" for page, one in _ALL]
)
def test_a_mapping_says_what_a_person_needs(page: mapping.Page, one: MessageMapping) -> None:
    assert one.source
    assert one.fields
    assert all(field.meaning and field.path for field in one.fields)
    assert all(
        re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code) for field in one.fields for code in field.findings
    )


_SOURCE = Path(mapping.__file__).parent
_RAISED_IN = {
    "hl7v2": ["hl7v2/*.py", "sniff.py"],
    "fhir": ["fhir/*.py"],
    "ccda": ["ccda/[!s]*.py", "ccda/sections.py"],  # safe_xml refuses, in words that are no findings
    "xdm": ["xdm/*.py", "ccda/doubts.py"],
}


@pytest.mark.parametrize("page", mapping.PAGES, ids=lambda page: page.name)
def test_every_finding_that_the_source_can_raise_stands_on_its_page_with_a_sentence(
    page: mapping.Page,
) -> None:
    paths = [path for pattern in _RAISED_IN[page.name] for path in _SOURCE.glob(pattern)]
    raised = set(sentences(paths))
    explained = {code for code, words in page.details.items() if " " in words}
    assert len(raised) > 10
    assert raised - explained == set()
    table = mapping.render(page).partition("## Findings")[2]
    assert all(f"| `{code}` | " in table for code in raised)


@pytest.mark.parametrize("page", mapping.PAGES, ids=lambda page: page.name)
def test_every_finding_named_in_a_table_is_explained_on_the_page(page: mapping.Page) -> None:
    named = {code for one in page.mappings for field in one.fields for code in field.findings}
    assert named - set(page.details) == set()


def test_codes_are_found_wherever_they_are_raised(tmp_path: Path) -> None:
    module = tmp_path / "sample.py"
    module.write_text(
        """
TABLE = {"a": ("in-a-table", "words in a table")}
ONE = "words of a constant"

class Refused(Exception):
    def __init__(self, code: str, detail: str) -> None: ...

def note(code, place, detail=ONE): ...

def count(code, where, number):
    Finding(code, where, f"found were {number} of them")

def raises(view, odd):
    view.note("by-a-method", "PID-1", "words of a method")
    Finding(code="by-keyword", where="x", detail=ONE)
    code = "first-choice" if odd else "second-choice"
    note(code, "y", "words of a choice")

def raises_more():
    for code, detail in (("in-a-loop", "words of the first"), ("in-the-loop", "words of the second")):
        note(code, "z", detail)
    count("by-another", "w", 3)
    raise Refused("as-an-error", "words of an error")
"""
    )
    assert sentences([module]) == {
        "as-an-error": ("words of an error",),
        "by-a-method": ("words of a method",),
        "by-another": ("found were … of them",),
        "by-keyword": ("words of a constant",),
        "first-choice": ("words of a choice",),
        "in-a-loop": ("words of the first",),
        "in-a-table": ("words in a table",),
        "in-the-loop": ("words of the second",),
        "second-choice": ("words of a choice",),
    }


def test_every_target_of_a_fact_is_a_field_of_it() -> None:
    known = {fact.kind: {field.name for field in fields(fact)} for fact in FACT_TYPES}
    wrong = [
        (page.name, one.message, field.target)
        for page, one in _ALL
        if one.fact in known
        for field in one.fields
        if field.read is not None and field.target.split(".")[0] not in known[one.fact]
    ]
    assert wrong == []


def test_a_bar_in_a_path_does_not_break_the_table() -> None:
    field = FieldMapping("patient", "Whom | what", "a|b", also=("c",), findings=("some-code",))
    one = MessageMapping(Format.CCDA, "Sample", "document", "a standard", (field,), notes=("a note",))
    page = mapping.render(mapping.Page("sample", "Sample", (one,), {"some-code": "a sentence"}))
    assert "| `patient` | Whom \\| what | `a\\|b` | `c` | `some-code` |" in page
    assert "- a note" in page
    assert "| `some-code` | a sentence |" in page


def test_the_command_writes_checks_and_tells_by_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mapping.main(["--check", str(tmp_path)]) == 1
    assert not list(tmp_path.iterdir())
    assert mapping.main([str(tmp_path)]) == 0
    assert mapping.main(["--check", str(tmp_path)]) == 0
    (tmp_path / "ccda.md").write_text("old", encoding="utf-8")
    assert mapping.main(["--check", str(tmp_path)]) == 1
    assert "stale" in capsys.readouterr().out
