"""Figures as people read them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Table:
    """A heading, columns, rows, and sentences below."""

    heading: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        """One row, one cell a column."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(self.columns)} cells are wanted")
        self.rows.append(cells)

    def note(self, sentence: str) -> None:
        """A sentence below the rows."""
        self.notes.append(sentence)

    def __str__(self) -> str:
        widths = [
            max(len(row[place]) for row in (self.columns, *self.rows)) for place in range(len(self.columns))
        ]
        lines = [self.heading, _line(self.columns, widths), "  ".join("-" * width for width in widths)]
        lines += [_line(row, widths) for row in self.rows]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    first, *rest = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join([first, *(cell.strip().rjust(len(cell)) for cell in rest)])
