"""Reads every published sample and prints how each ended: accepted, accepted with findings, refused and why.

``python services/formats/benchmarks/table.py [--all] [--json] [FOLDER]``; the folder defaults to
``../shared/data`` beside the repository. ``--all`` prints a line a file, ``--json`` the rows as JSON lines.
The exit code is 1 if any file raised or used more than a second.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from baton_formats.findings import Outcome, ReadResult
from baton_formats.sniff import read

SAMPLES: Final = Path(__file__).resolve().parents[4] / "shared" / "data"
SECONDS: Final = 1.0
_NO_MESSAGES: Final = frozenset({"SOURCE.md", "README.md", "MANIFEST.tsv"})
_NO_FOLDERS: Final = ("cloudevents", "directory-", "smart-jwks", "vectors")


@dataclass(frozen=True, slots=True)
class Row:
    """How one file ended. `outcome` is `raised` where a reader failed, which none may.

    `ms` is what a clock on the wall saw, `cpu_ms` what the reader itself used: on a busy machine they differ.
    """

    folder: str
    file: str
    format: str
    outcome: str
    reason: str | None
    messages: int
    findings: int
    ms: float
    cpu_ms: float


def files(samples: Path = SAMPLES) -> Iterator[Path]:
    """Every file that somebody could send: not the registers, the key sets and the notes on sources."""
    for path in sorted(samples.rglob("*")):
        folder = path.relative_to(samples).parts[0]
        if path.is_file() and path.name not in _NO_MESSAGES and not folder.startswith(_NO_FOLDERS):
            yield path


def row(path: Path, samples: Path = SAMPLES) -> Row:
    """Reads one file, total: what a reader raises becomes the outcome `raised`."""
    folder, *rest = path.relative_to(samples).parts
    body = path.read_bytes()
    started, used = time.perf_counter(), time.process_time()
    try:
        result: ReadResult | None = read(body)
    except Exception:  # the table must show a reader that fails, beside all the others
        result, reason = None, traceback.format_exc(limit=-1).strip().replace("\n", " ")
    ms = round((time.perf_counter() - started) * 1000, 2)
    cpu_ms = round((time.process_time() - used) * 1000, 2)
    if result is None:
        return Row(folder, "/".join(rest), "unknown", "raised", reason, 0, 0, ms, cpu_ms)
    return Row(
        folder=folder,
        file="/".join(rest),
        format=result.format.value,
        outcome=result.outcome.value,
        reason=result.reason,
        messages=len(result.messages),
        findings=len(result.all_findings),
        ms=ms,
        cpu_ms=cpu_ms,
    )


def rows(samples: Path = SAMPLES) -> list[Row]:
    """All files in order of their names."""
    return [row(path, samples) for path in files(samples)]


def by_folder(found: Sequence[Row]) -> str:
    """The table: one line a source, and one for all."""
    head = ("source", "files", "messages", "accepted", "with findings", "refused", "raised", "slowest ms")
    groups: defaultdict[str, list[Row]] = defaultdict(list)
    for one in found:
        groups[one.folder].append(one)
    lines = [_line(folder, group) for folder, group in sorted(groups.items())]
    return _aligned([head, *lines, _line("all", found)])


def _line(name: str, group: Sequence[Row]) -> tuple[str, ...]:
    ended = Counter(one.outcome for one in group)
    counts = (ended[outcome] for outcome in (*(outcome.value for outcome in Outcome), "raised"))
    slowest = max((one.ms for one in group), default=0.0)
    messages = sum(one.messages for one in group)
    return (name, str(len(group)), str(messages), *(str(count) for count in counts), f"{slowest:.0f}")


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def main(arguments: Sequence[str]) -> int:
    """Prints the table; the exit code."""
    samples = Path(next((one for one in arguments if not one.startswith("-")), SAMPLES))
    if not samples.is_dir():
        sys.stdout.write(f"skipped: there is no folder {samples}\n")
        return 0
    found = rows(samples)
    if "--json" in arguments:
        sys.stdout.write("".join(json.dumps(asdict(one)) + "\n" for one in found))
    else:
        shown = [one for one in found if "--all" in arguments or one.outcome in ("refused", "raised")]
        sys.stdout.write(by_folder(found) + "\n\n")
        sys.stdout.write(
            "".join(f"{one.folder}/{one.file}  {one.outcome}  {one.reason or ''}\n" for one in shown)
        )
    return 1 if any(one.outcome == "raised" or one.cpu_ms > SECONDS * 1000 for one in found) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
