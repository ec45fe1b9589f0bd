"""Renders the pages that show where each fact comes from, out of the declarations the readers run.

``python -m baton_formats.mapping [FOLDER]`` writes one page a format (default ``docs/formats``);
``--check`` writes nothing and ends with 1 if a page is not current.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from baton_formats import ccda, fhir, hl7v2, xdm
from baton_formats.declaration import FieldMapping, MessageMapping
from baton_formats.fhir.details import REFUSALS
from baton_formats.sentences import sentences

_NOTICE: Final = (
    "<!-- Written by `python -m baton_formats.mapping`: change the declarations, not the page. -->"
)
_COLUMNS: Final = ("Field", "Meaning", "Read from", "Else from", "Findings")


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its file name without suffix, its title, what it tells, and the sentence of each finding."""

    name: str
    title: str
    mappings: tuple[MessageMapping, ...]
    details: Mapping[str, str] = field(default_factory=dict)


_HERE: Final = Path(__file__).parent


def _told(*packages: str) -> dict[str, str]:
    """The findings of packages whose sentences stand where they are raised."""
    paths = [path for package in packages for path in _HERE.glob(package)]
    return {code: "; ".join(words) for code, words in sentences(paths).items() if words}


PAGES: Final = (
    Page("hl7v2", "HL7 v2", hl7v2.MAPPINGS, _told("hl7v2/*.py", "sniff.py")),
    Page("fhir", "FHIR R4 and STU3", fhir.MAPPINGS, _told("fhir/*.py") | REFUSALS | fhir.DETAILS),
    Page("ccda", "C-CDA", ccda.MAPPINGS, ccda.DETAILS),
    Page("xdm", "XDM archives", xdm.MAPPINGS, xdm.DETAILS),
)


def render(page: Page) -> str:
    """The whole page as Markdown: one table a message, and what its findings mean where that is declared."""
    return "\n".join([f"# {page.title}", "", _NOTICE, "", *_body(page)]) + "\n"


def render_index(pages: Sequence[Page]) -> str:
    """The page that leads to the others."""
    lines = ["# Where each fact comes from", "", _NOTICE, ""]
    for page in pages:
        lines += [f"- [{page.title}]({page.name}.md): {_messages(page)}"]
    return "\n".join(lines) + "\n"


def _messages(page: Page) -> str:
    return ", ".join(dict.fromkeys(mapping.message for mapping in page.mappings))


def _body(page: Page) -> Iterator[str]:
    for mapping in page.mappings:
        yield from _section(mapping)
    if page.details:
        yield from ("## Findings", "", *_table(("Code", "Meaning"), _findings(page.details)), "")


def _section(mapping: MessageMapping) -> Iterator[str]:
    yield from (f"## {mapping.message} → {mapping.fact}", "", f"Source: {mapping.source}", "")
    yield from _table(_COLUMNS, [_row(one) for one in mapping.fields])
    yield ""
    for note in mapping.notes:
        yield f"- {note}"
    if mapping.notes:
        yield ""


def _row(one: FieldMapping) -> tuple[str, ...]:
    return (_code(one.target), one.meaning, _code(one.path), _listed(one.also), _listed(one.findings))


def _findings(details: Mapping[str, str]) -> list[tuple[str, ...]]:
    return [(_code(code), sentence) for code, sentence in sorted(details.items())]


def _listed(values: Sequence[str]) -> str:
    return ", ".join(_code(value) for value in values)


def _code(value: str) -> str:
    return f"`{value}`" if value else ""


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield _line(columns)
    yield _line(["---"] * len(columns))
    for row in rows:
        yield _line([cell.replace("|", "\\|").replace("\n", " ") for cell in row])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def rendered() -> dict[str, str]:
    """Every page by its file name."""
    return {f"{page.name}.md": render(page) for page in PAGES} | {"README.md": render_index(PAGES)}


def main(arguments: Sequence[str]) -> int:
    """Writes the pages, or only compares them; the exit code."""
    check = "--check" in arguments
    folder = Path(next((one for one in arguments if not one.startswith("-")), "docs/formats"))
    stale = [name for name, text in rendered().items() if not _is_current(folder / name, text)]
    for name in stale:
        sys.stdout.write(f"{'stale' if check else 'wrote'} {folder / name}\n")
        if not check:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(rendered()[name], encoding="utf-8")
    return 1 if check and stale else 0


def _is_current(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
