"""What a fuzzer throws bytes at: each reader, with what must hold for any bytes whatever."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from baton_formats import ccda, fhir, hl7v2, xdm
from baton_formats.findings import Outcome, ReadResult
from baton_formats.hl7v2 import mllp
from baton_formats.rendering import members, to_json


class Broken(AssertionError):
    """Something that must hold for any bytes did not hold."""


@dataclass(frozen=True, slots=True)
class Target:
    """One reader under test: its seeds by folder and ending, the longest input, and its tokens.

    `tokens` is the pattern by which the mutator cuts an input into pieces to repeat, drop or exchange.
    """

    name: str
    run: Callable[[bytes], None]
    folders: tuple[str, ...]
    suffixes: tuple[str, ...]
    max_len: int
    tokens: bytes


def _sound(result: ReadResult) -> None:
    """A result keeps its promises and can be printed."""
    if (result.reason is not None) != (result.outcome is Outcome.REFUSED):
        raise Broken("a reason stands exactly with a refusal")
    if result.reason is not None and not result.reason.strip():
        raise Broken("a refusal without words")
    for finding in result.all_findings:
        if not (finding.code and finding.detail):
            raise Broken("a finding without code or words")
    json.loads(b"".join(to_json(members(result))))


def read_hl7v2(body: bytes) -> None:
    """Any bytes as a body of HL7 v2 messages."""
    _sound(hl7v2.read(body))


def read_fhir(body: bytes) -> None:
    """Any bytes as FHIR JSON or XML."""
    _sound(fhir.read(body))


def read_ccda(body: bytes) -> None:
    """Any bytes as a C-CDA document."""
    _sound(ccda.read(body))


def read_xdm(body: bytes) -> None:
    """Any bytes as an XDM archive."""
    _sound(xdm.read(body))


def decode_mllp(stream: bytes) -> None:
    """Any bytes on a connection: how the network cuts them must not change a frame or a rejection.

    Beyond the frame limit noise may be reported in more or fewer pieces; frames may not differ even there.
    """
    for limit, frames_only in ((len(stream) + 1, False), (64, True)):
        whole = _decoded(stream, len(stream) or 1, limit, frames_only)
        for size in (1, 7):
            if _decoded(stream, size, limit, frames_only) != whole:
                raise Broken(f"frames differ when the stream comes in pieces of {size}")


def _decoded(stream: bytes, size: int, limit: int, frames_only: bool) -> list[tuple[str, bytes]]:
    decoder = mllp.FrameDecoder(max_frame=limit)
    found = [one for at in range(0, len(stream), size) for one in decoder.feed(stream[at : at + size])]
    found += decoder.flush()
    if decoder.waiting:
        raise Broken("bytes are left after the end")
    frames = [("frame", one.payload) for one in found if isinstance(one, mllp.Frame)]
    rejected = [(str(one.reason), one.payload) for one in found if isinstance(one, mllp.Rejection)]
    return frames if frames_only else [*frames, *rejected]


_TAGS: Final = rb"<[^<>]*>"
_JSON: Final = rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s"{}\[\],:]+'

TARGETS: Final = {
    target.name: target
    for target in (
        Target("hl7v2", read_hl7v2, ("hl7v2-*",), (), 3_072, rb"[\r\n|^~&\\]+"),
        Target("mllp", decode_mllp, ("hl7v2-rethink", "hl7v2-hapi"), (), 256, rb"[\x0b\x1c\r\n\x0c]"),
        Target("fhir", read_fhir, ("fhir-*", "adversarial-json"), (".json", ".xml"), 32_768, _JSON),
        Target(
            "ccda", read_ccda, ("ccda-*", "fhir-360x", "adversarial-xml"), (".xml", ".ccd"), 16_384, _TAGS
        ),
        Target("xdm", read_xdm, ("ccda-onc-cures",), (".ZIP",), 32_768, rb"PK.."),
    )
}
