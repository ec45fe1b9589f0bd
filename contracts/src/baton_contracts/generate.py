"""Writes what is published from the models: schemas, codes, lifecycle, AsyncAPI, and new examples.

python -m baton_contracts.generate            write what changed
python -m baton_contracts.generate --check    write nothing; exit 1 when stale or breaking a release
python -m baton_contracts.generate --release  freeze the current schemas beside the released ones
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from baton_contracts.asyncapi import asyncapi_document, to_yaml
from baton_contracts.conformance.vectors import published_transitions
from baton_contracts.event_types import EventType
from baton_contracts.events import EVENTS
from baton_contracts.examples import example
from baton_contracts.gate import Break, Direction, breaks
from baton_contracts.lifecycle.published import published_codes, published_lifecycle
from baton_contracts.schemas import envelope_schema, event_schemas

ROOT: Final = Path(__file__).parents[2]
"""The folder of this package in the repository, where the generated files are committed."""


def generated() -> dict[str, str]:
    """Every generated file by its path below the root, with its text."""
    schemas = {f"schemas/{type_.value}.json": _pretty(one) for type_, one in event_schemas().items()}
    return schemas | {
        "schemas/envelope.json": _pretty(envelope_schema()),
        "codes.json": _pretty(published_codes()),
        "lifecycle.json": _pretty(published_lifecycle()),
        "transitions.json": _pretty(published_transitions()),
        "asyncapi.yaml": to_yaml(asyncapi_document()),
    }


def stale(root: Path) -> list[str]:
    """Paths below the root that differ from what would be generated, are missing, or are left over."""
    files = generated()
    differing = [path for path, text in files.items() if _text(root / path) != text]
    known = {root / path for path in files}
    left_over = [path for path in sorted((root / "schemas").glob("*.json")) if path not in known]
    return differing + [str(path.relative_to(root)) for path in left_over]


def released_breaks(root: Path, schemas: Mapping[EventType, Mapping[str, Any]]) -> dict[str, list[Break]]:
    """For each released schema that the current ones break: its path below the root and the breaks."""
    found: dict[str, list[Break]] = {}
    for path in sorted((root / "released").glob("*/*.json")):
        broken = _release_breaks(path, schemas)
        if broken:
            found[str(path.relative_to(root))] = broken
    return found


def _release_breaks(path: Path, schemas: Mapping[EventType, Mapping[str, Any]]) -> list[Break]:
    name = path.parent.name
    if name not in schemas:
        return [Break("/", Direction.EITHER, "event type removed")]
    return breaks(json.loads(path.read_text(encoding="utf-8")), schemas[EventType(name)])


def write(root: Path) -> list[str]:
    """Write what is stale and the examples that do not exist yet; returns the paths written."""
    files = generated() | {path: text for path, text in _new_examples(root)}
    written = [path for path, text in files.items() if _text(root / path) != text]
    for path in written:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(files[path], encoding="utf-8")
    return written


def release(root: Path) -> list[str]:
    """Freeze each schema that differs from its latest release, under the next number; returns the paths."""
    frozen = []
    for type_, schema in event_schemas().items():
        folder = root / "released" / type_.value
        numbers = sorted(int(path.stem) for path in folder.glob("*.json"))
        if numbers and _text(folder / f"{numbers[-1]}.json") == _pretty(schema):
            continue
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{numbers[-1] + 1 if numbers else 1}.json"
        path.write_text(_pretty(schema), encoding="utf-8")
        frozen.append(str(path.relative_to(root)))
    return frozen


def _new_examples(root: Path) -> Iterator[tuple[str, str]]:
    for type_, model in EVENTS.items():
        for name, full in (("full", True), ("minimal", False)):
            path = f"examples/{type_.value}/{name}.json"
            if not (root / path).exists():
                yield path, _pretty(json.loads(example(model, full=full).to_bytes()))


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _pretty(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; exit codes: 0 done or current, 1 stale or breaking, 2 usage."""
    parser = argparse.ArgumentParser(prog="python -m baton_contracts.generate")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of the generated files")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="write nothing, exit 1 when something is wrong")
    mode.add_argument("--release", action="store_true", help="freeze the current schemas as released")
    options = parser.parse_args(arguments)
    broken = _report(released_breaks(options.root, event_schemas()))
    if options.check:
        return _say("stale", stale(options.root)) or broken
    if options.release:
        if not broken:
            _say("released", release(options.root))
        return broken
    _say("written", write(options.root))
    return broken


def _report(found: Mapping[str, Sequence[Break]]) -> int:
    lines = [
        f"{path}{one.path}: {one.what} ({one.direction})" for path, many in found.items() for one in many
    ]
    return _say("break", lines)


def _say(what: str, lines: Sequence[str]) -> int:
    for line in lines:
        sys.stdout.write(f"{what}: {line}\n")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
