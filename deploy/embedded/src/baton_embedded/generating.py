"""Writes what is published from the running code: OpenAPI documents, the event-flow picture, reference
tables.

python -m baton_embedded.generating            write what changed
python -m baton_embedded.generating --check    write nothing; exit 1 when something is stale
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from baton_chassis import failpoints, metrics, problems
from baton_chassis.foundation import lay, open_log
from baton_chassis.mounting import new_app
from baton_chassis.service import Service
from baton_contracts.event_types import EventType
from baton_contracts.topics import ADDRESSES, TOPICS, Address
from baton_embedded.assembly import build_all
from baton_notification.settings import Settings

ROOT: Final = Path(__file__).parents[4]
"""The root of the repository, where the generated files are committed."""

MERGED: Final = "contracts/openapi/openapi.json"
"""The document of all services under one address, as the embedded node and the gateway serve them."""


@contextmanager
def unstarted() -> Iterator[list[Service]]:
    """Every service with its doors, nothing started, no setting of this machine read; keys go to a folder
    that is gone afterwards.
    """
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.model_construct(data_dir=Path(folder))
        yield build_all(lay(settings, log=open_log(settings), service="generating"))


def generated(services: Sequence[Service]) -> dict[str, str]:
    """Every file that is generated whole, by its path below the root."""
    alone = {
        f"contracts/openapi/{service.definition.name}.json": service.app().openapi() for service in services
    }
    return {path: _pretty(document) for path, document in (alone | {MERGED: merged(services)}).items()}


def merged(services: Sequence[Service]) -> dict[str, Any]:
    """The OpenAPI document of all ``services`` behind one address."""
    app = new_app(title="baton", version="1")
    for service in services:
        service.mount(app)
    return app.openapi()


def sections(services: Sequence[Service]) -> dict[str, dict[str, str]]:
    """Every generated part of a page written by hand: by page, by the name of its markers."""
    return {
        "README.md": {"flow": f"```mermaid\n{flow(services)}```\n"},
        "docs/operating.md": {"metrics": _metrics(), "failpoints": _failpoints()},
        "docs/integrating.md": {"problems": _problems(services)},
    }


def flow(services: Sequence[Service]) -> str:
    """Who publishes what and who listens, as a Mermaid flowchart: services round, lines of facts square."""
    lines: dict[Address, list[EventType]] = {}
    for type_, address in ADDRESSES.items():
        lines.setdefault(address, []).append(type_)
    text = ["flowchart LR"]
    for topic in TOPICS:
        text += [f'  subgraph {_node(topic)}["{topic}"]']
        text += [
            f'    {_line(one)}["{_box(one, types)}"]' for one, types in lines.items() if one.topic == topic
        ]
        text += ["  end"]
    names = [service.definition.name for service in services]
    text += [f'  {_node(name)}(["{name}"])' for name in names]
    text += [f"  {_node(address.producer)} ==> {_line(address)}" for address in lines]
    for service in services:
        text += _listening(service, lines)
    return "\n".join(text) + "\n"


def _listening(service: Service, lines: Mapping[Address, Sequence[EventType]]) -> Iterator[str]:
    name = _node(service.definition.name)
    for subscription in service.definition.subscriptions:
        for address, types in lines.items():
            if address.topic not in subscription.topics:
                continue
            heard = [one for one in types if subscription.every is not None or one in subscription.handlers]
            if len(heard) == len(types):
                yield f"  {_line(address)} -.-> {name}"
            elif heard:
                yield f'  {_line(address)} -. "{_words(heard)}" .-> {name}'


def _box(address: Address, types: Iterable[EventType]) -> str:
    return f"<b>{address.line}</b><br/>{_words(types)}"


def _words(types: Iterable[EventType]) -> str:
    """Types as `referral .received .updated`: the subject once, the version left out."""
    verbs: dict[str, list[str]] = {}
    for type_ in types:
        subject, verb, _version = type_.value.split(".")
        verbs.setdefault(subject, []).append(verb)
    return "<br/>".join(f"{subject} .{' .'.join(said)}" for subject, said in verbs.items())


def _line(address: Address) -> str:
    return f"line_{address.line}"


def _node(name: str) -> str:
    return name.replace(".", "_").replace("-", "_")


def _metrics() -> str:
    kinds = dict(
        line.removeprefix("# TYPE ").split(" ", 1)
        for line in metrics.REGISTRY.text().splitlines()
        if line.startswith("# TYPE ")
    )
    rows = [(f"`{name}`", kinds[name], sentence) for name, sentence in metrics.REGISTRY.names().items()]
    return _table(("name", "kind", "what it says"), rows)


def _failpoints() -> str:
    rows = [(f"`{name}`", sentence) for name, sentence in failpoints.declared().items()]
    return _table(("name", "the process ends"), rows)


def _problems(services: Iterable[Service]) -> str:
    declared = [one for service in services for routes in service.routes for one in routes.declarations]
    kinds = {**problems.STANDARD, **{kind.code: kind for route in declared for kind in route.refusals}}
    ordered = sorted(kinds.values(), key=lambda kind: (kind.status, kind.code))
    rows = [(str(kind.status), f"`{kind.code}`", kind.explanation) for kind in ordered]
    return _table(("status", "code", "what to do"), rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _pretty(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


class MarkersMissing(Exception):
    """A page that has a generated part does not say where."""


def filled(page: str, parts: Mapping[str, str]) -> str:
    """``page`` with every part between its markers; raises ``MarkersMissing`` with the names of those it
    lacks.
    """
    missing = [name for name in parts if f"<!-- {name} -->" not in page or f"<!-- /{name} -->" not in page]
    if missing:
        raise MarkersMissing(", ".join(f"<!-- {name} --> and <!-- /{name} -->" for name in missing))
    for name, text in parts.items():
        before, _, rest = page.partition(f"<!-- {name} -->")
        _, _, after = rest.partition(f"<!-- /{name} -->")
        page = f"{before}<!-- {name} -->\n{text}<!-- /{name} -->{after}"
    return page


def stale(root: Path) -> dict[str, str]:
    """What would be written below ``root``, by path; a file that nothing generates any more has no text.

    Raises ``MarkersMissing`` for a page that has no place for its generated part.
    """
    with unstarted() as services:
        files, parts = generated(services), sections(services)
    for path, named in parts.items():
        try:
            files[path] = filled(_text(root / path), named)
        except MarkersMissing as missing:
            raise MarkersMissing(f"{path} lacks {missing}") from None
    left_over = {
        str(path.relative_to(root)): ""
        for path in sorted((root / MERGED).parent.glob("*.json"))
        if str(path.relative_to(root)) not in files
    }
    return {path: text for path, text in files.items() if _text(root / path) != text} | left_over


def write(root: Path) -> list[str]:
    """Write what is stale and take away what is left over; returns the paths."""
    changes = stale(root)
    for path, text in changes.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        if text:
            (root / path).write_text(text, encoding="utf-8")
        else:
            (root / path).unlink()
    return list(changes)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; exit codes: 0 done or current, 1 stale, 2 usage."""
    parser = argparse.ArgumentParser(prog="python -m baton_embedded.generating")
    parser.add_argument("--root", type=Path, default=ROOT, help="root of the repository")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 when something is stale")
    options = parser.parse_args(arguments)
    try:
        paths = list(stale(options.root)) if options.check else write(options.root)
    except MarkersMissing as missing:
        sys.stdout.write(f"{missing}\n")
        return 1
    for path in paths:
        sys.stdout.write(f"{'stale' if options.check else 'written'}: {path}\n")
    return 1 if options.check and paths else 0


if __name__ == "__main__":
    sys.exit(main())
