"""The pages that show where each fact comes from are generated from what the readers run, and are current."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from baton_formats import mapping
from baton_formats.declaration import FieldMapping, MessageMapping
from baton_formats.facts import FACT_TYPES
from baton_formats.findings import Format

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
