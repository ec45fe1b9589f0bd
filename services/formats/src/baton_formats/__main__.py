"""The command line: ``read`` prints what files say, a JSON line each; ``write`` renders facts from JSON."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson

from baton_formats import fhir, hl7v2
from baton_formats.facts import Acknowledgement, Fact
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
    try:
        return command(options)
    except BrokenPipeError:  # whoever reads our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FOUND


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
    writing.add_argument(
        "--code",
        choices=hl7v2.write.REFERRAL_CODES,
        help="message code of a referral in HL7 v2 (default: as it was read, else REF)",
    )
    return parser


# ---- read ------------------------------------------------------------------------------------------------


def _read_files(options: argparse.Namespace) -> int:
    ended = OK
    for name in options.files:
        try:
            body = _bytes_of(name)
        except OSError as error:
            ended = _complain(name, error.strerror or "it cannot be read")
            continue
        if not body:
            _complain(name, "it is empty")
        started = time.perf_counter()
        result = read(body)
        elapsed = time.perf_counter() - started
        shown = os.fsencode(name).decode("utf-8", "replace")
        _print_line((("file", shown), *members(result), ("ms", round(elapsed * 1000, 3))))
    return ended


def _complain(*parts: str) -> int:
    """One line for a person: where, then what. Never what stands there."""
    sys.stderr.write(": ".join(part for part in parts if part) + "\n")
    return FOUND


def _bytes_of(name: str) -> bytes:
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


def _print_line(line: Iterable[tuple[str, object]]) -> None:
    sys.stdout.buffer.writelines(to_json(line))
    sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()


# ---- write -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Source:
    """One message as JSON: where it stands, which format it came in, its parts unread."""

    where: str
    kind: str
    facts: Any
    envelope: Any = None
    type: Any = None
    named: str = "facts"

    def place(self, inside: str) -> str:
        """A place inside the message."""
        return f"{self.where}.{inside}" if self.where else inside

    def fact(self, index: int) -> str:
        """The place of one of its facts."""
        return self.place(f"{self.named}[{index}]")


def _write_facts(options: argparse.Namespace) -> int:
    try:
        body = _bytes_of(options.file)
    except OSError as error:
        return _complain(options.file, error.strerror or "it cannot be read")
    lines = _lines(body)
    ended = OK if lines else _complain(options.file, "there is nothing in it to write")
    for number, line in lines:
        label = f"{options.file}: line {number}" if len(lines) > 1 else options.file
        try:
            for source in _sources(orjson.loads(line)):
                ended = max(ended, _write_message(source, label, options))
        except ValueError as error:
            ended = _complain(label, str(error))
    return ended


def _lines(body: bytes) -> list[tuple[int, bytes]]:
    """The JSON values of a file with their line numbers: one a line, or one in all."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    whole = body.lstrip()[:1] == b"[" or b"\n{" not in body
    lines = [body] if whole else body.splitlines()
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _sources(value: Any) -> Iterator[_Source]:
    """The messages of a line: those of a result of ``read``, one message, a list of facts, or one fact."""
    if isinstance(value, list):
        yield _Source("", "fhir", value, named="")
    elif not isinstance(value, Mapping):
        raise NotAFact("an object or a list of facts is expected")
    elif "messages" in value:
        yield from _of_result(value)
    elif "facts" in value:
        kind = "hl7v2" if _v2_code(value.get("type")) else "fhir"
        yield _Source("", kind, value["facts"], value.get("envelope"), value.get("type"))
    else:
        yield _Source("", "fhir", [value], named="")


def _of_result(value: Mapping[str, Any]) -> Iterator[_Source]:
    kind = "hl7v2" if value.get("format") == "hl7v2" else "fhir"
    messages = value["messages"]
    if not isinstance(messages, list):
        raise NotAFact("messages: a list is expected")
    if not messages:
        raise NotAFact("messages: there is none to write")
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, Mapping):
            raise NotAFact(f"{where}: an object is expected")
        yield _Source(where, kind, message.get("facts", []), message.get("envelope"), message.get("type"))


def _write_message(source: _Source, label: str, options: argparse.Namespace) -> int:
    """The messages one source makes, on standard output; complaints on standard error."""
    try:
        facts = _facts(source)
        given = source.envelope
        envelope = from_plain(Envelope, given, where=source.place("envelope")) if given is not None else None
        if (options.to or source.kind) == "hl7v2":
            return _write_v2(source, facts, envelope or Envelope(), label, options)
        return _write_fhir(facts, envelope, options)
    except ValueError as error:
        return _complain(label, str(error))
    except RecursionError:
        return _complain(label, source.where, "it is nested too deeply")


def _facts(source: _Source) -> list[Fact]:
    if not isinstance(source.facts, list):
        raise NotAFact(f"{source.place('facts')}: a list is expected")
    return [fact_from_plain(one, where=source.fact(at)) for at, one in enumerate(source.facts)]


def _print_written(written: bytes) -> None:
    sys.stdout.buffer.write(written + b"\n")
    sys.stdout.buffer.flush()


def _write_fhir(facts: list[Fact], envelope: Envelope | None, options: argparse.Namespace) -> int:
    groups = [[fact] for fact in facts] if options.form == "resource" else [facts]
    for group in groups:
        written = fhir.compose(
            group, form=options.form, profile=options.profile, envelope=envelope, default_zone=options.zone
        )
        for finding in written.findings:
            _complain(f"{finding.code} {finding.where}", finding.detail)
        _print_written(written.body)
    return OK


# ---- write: HL7 v2 ---------------------------------------------------------------------------------------

_V2_TYPE: Final = re.compile(r"([A-Z][A-Z0-9]{2})(?:\^[A-Z][A-Z0-9]{2})?")
_V2_KINDS: Final = frozenset({"referral", "appointment", "arrival", "patient_change", "document"})
"""What is a message of its own in HL7 v2."""
_V2_PARTS: Final = frozenset({"patient", "practitioner", "organization", "location", "coverage"})
"""What travels inside of those."""


def _v2_code(type_: object) -> str | None:
    """MSH-9.1 of what ``read`` printed as the type of a message."""
    match = _V2_TYPE.fullmatch(type_) if isinstance(type_, str) else None
    return match.group(1) if match else None


def _write_v2(
    source: _Source, facts: list[Fact], envelope: Envelope, label: str, options: argparse.Namespace
) -> int:
    """One message for each fact that is one. Those after the first get control ids of their own: the same
    id twice would be the same message twice.
    """
    code = options.code or _v2_code(source.type)
    answers = next((fact for fact in facts if isinstance(fact, Acknowledgement)), None)
    ended, count = OK, 0
    for index, fact in _to_write(facts, code):
        where = source.fact(index)
        if fact.kind not in _V2_KINDS and not isinstance(fact, Acknowledgement):
            if fact.kind not in _V2_PARTS:
                ended = _complain(label, where, f"no HL7 v2 message is written for a {fact.kind}")
            continue
        numbered = f"{envelope.control_id}-{count + 1}" if envelope.control_id and count else None
        own = replace(envelope, control_id=numbered) if numbered else envelope
        try:
            written = hl7v2.write.message(
                fact, envelope=own, code=_referral_code(fact, code), answers=answers
            )
        except ValueError as error:
            ended = _complain(label, where, str(error))
            continue
        count += 1
        _print_written(written)
        _tell_kind(written, source, f"{label}: {where}", options)
    return ended if count or ended else _complain(label, source.place("facts"), "none of them is a message")


def _to_write(facts: list[Fact], code: str | None) -> Iterator[tuple[int, Fact]]:
    """The facts with their places; an acknowledgement that becomes the MSA of an answer is left out."""
    inside = code == "RRI" and any(fact.kind == "referral" for fact in facts)
    for index, fact in enumerate(facts):
        if not (inside and isinstance(fact, Acknowledgement)):
            yield index, fact


def _referral_code(fact: Fact, code: str | None) -> str | None:
    return code if fact.kind == "referral" and code in hl7v2.write.REFERRAL_CODES else None


def _tell_kind(written: bytes, source: _Source, where: str, options: argparse.Namespace) -> None:
    """Say so where another kind of message is written than was read."""
    if options.code or _v2_code(source.type) is None:
        return
    named = written.split(b"|", 9)[8].decode("ascii").split("^")
    kind = "^".join(part for part in named[:2] if part)
    if kind != source.type:
        _complain(where, f"it is written as {kind}")


if __name__ == "__main__":
    raise SystemExit(main())
