"""The command line: ``read`` prints what files say, a JSON line each; ``write`` renders facts from JSON."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from baton_formats import fhir, hl7v2
from baton_formats.facts import Fact
from baton_formats.fhir.profiles import PROFILES
from baton_formats.findings import Envelope
from baton_formats.rendering import NotAFact, fact_from_plain, from_plain, members, to_json
from baton_formats.sniff import read

OK: Final = 0
FOUND: Final = 1
USAGE: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and say how it ended: 0 done, 1 a file or fact could not be used, 2 usage."""
    options = _parser().parse_args(arguments)
    command = _read_files if options.command == "read" else _write_facts
    return command(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m baton_formats", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    reading = commands.add_parser(
        "read", help="print one JSON line a file: outcome, messages, facts, findings"
    )
    reading.add_argument("files", nargs="+", metavar="FILE", help="a message file, or - for standard input")
    writing = commands.add_parser("write", help="render facts from JSON as read prints it")
    writing.add_argument("file", metavar="FILE", help="JSON lines, or - for standard input")
    writing.add_argument(
        "--to", choices=("fhir", "hl7v2"), help="the format to write (default: as it was read)"
    )
    writing.add_argument(
        "--form", choices=("message", "collection", "transaction", "resource"), default="message"
    )
    writing.add_argument("--profile", choices=[profile.name for profile in PROFILES], default="plain")
    writing.add_argument(
        "--zone", metavar="+HH:MM", help="offset put after times that came without one (FHIR)"
    )
    writing.add_argument("--code", metavar="MSH-9.1", help="message code where several fit (HL7 v2)")
    return parser


# ---- read ------------------------------------------------------------------------------------------------


def _read_files(options: argparse.Namespace) -> int:
    ended = OK
    for name in options.files:
        try:
            body = _bytes_of(name)
        except OSError as error:
            sys.stderr.write(f"{name}: {error.strerror}\n")
            ended = FOUND
            continue
        started = time.perf_counter()
        result = read(body)
        elapsed = time.perf_counter() - started
        _print_line((("file", name), *members(result), ("ms", round(elapsed * 1000, 3))))
    return ended


def _bytes_of(name: str) -> bytes:
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


def _print_line(line: Iterable[tuple[str, object]]) -> None:
    sys.stdout.buffer.writelines(to_json(line))
    sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()


# ---- write -----------------------------------------------------------------------------------------------


def _write_facts(options: argparse.Namespace) -> int:
    try:
        for kind, facts, envelope in _batches(_bytes_of(options.file)):
            for written in _rendered(options.to or kind, facts, envelope, options):
                sys.stdout.buffer.write(written + b"\n")
    except OSError as error:
        sys.stderr.write(f"{options.file}: {error.strerror}\n")
        return FOUND
    except (NotAFact, ValueError) as error:
        sys.stderr.write(f"{options.file}: {error}\n")
        return FOUND
    return OK


def _batches(body: bytes) -> Iterator[tuple[str, list[Fact], Envelope | None]]:
    """The messages of each line: a result of ``read``, one message, a list of facts, or one fact."""
    for line in body.splitlines() if body.count(b"\n{") else [body]:
        if line.strip():
            yield from _messages(orjson.loads(line))


def _messages(value: Any) -> Iterator[tuple[str, list[Fact], Envelope | None]]:
    if isinstance(value, list):
        yield "fhir", [fact_from_plain(one) for one in value], None
    elif not isinstance(value, Mapping):
        raise NotAFact("an object or a list of facts is expected")
    elif "messages" in value:
        kind = "hl7v2" if value.get("format") == "hl7v2" else "fhir"
        for message in value["messages"]:
            yield kind, *_facts_and_envelope(message)
    elif "facts" in value:
        yield "fhir", *_facts_and_envelope(value)
    else:
        yield "fhir", [fact_from_plain(value)], None


def _facts_and_envelope(message: Mapping[str, Any]) -> tuple[list[Fact], Envelope | None]:
    envelope = message.get("envelope")
    facts = [fact_from_plain(one) for one in message.get("facts", [])]
    return facts, from_plain(Envelope, envelope, where="envelope") if envelope is not None else None


def _rendered(
    kind: str, facts: list[Fact], envelope: Envelope | None, options: argparse.Namespace
) -> Iterator[bytes]:
    if kind == "hl7v2":
        for fact in facts:
            if fact.kind in _V2_KINDS:
                yield hl7v2.write.message(fact, envelope=envelope or Envelope(), code=options.code)
        return
    groups = [[fact] for fact in facts] if options.form == "resource" else [facts]
    for group in groups:
        written = fhir.compose(
            group, form=options.form, profile=options.profile, envelope=envelope, default_zone=options.zone
        )
        for finding in written.findings:
            sys.stderr.write(f"{finding.code} {finding.where}: {finding.detail}\n")
        yield written.body


_V2_KINDS: Final = frozenset({"referral", "appointment", "arrival", "patient_change", "document"})
"""What is a message of its own in HL7 v2; patients and clinicians travel inside of those."""


if __name__ == "__main__":
    raise SystemExit(main())
