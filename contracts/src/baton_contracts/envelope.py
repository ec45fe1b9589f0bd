"""The envelope of every event: CloudEvents 1.0 as structured JSON, byte for byte the same everywhere."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

CONTENT_TYPE: Final = "application/cloudevents+json; charset=UTF-8"
"""The media type of `Envelope.to_bytes`, as the Kafka binding's `content-type` header and as an HTTP body."""

SPEC_VERSION: Final = "1.0"
DATA_CONTENT_TYPE: Final = "application/json"

_ATTRIBUTE_NAME: Final = re.compile(r"[a-z0-9]{1,20}")
_SEQUENCE: Final = re.compile(r"[0-9]{20}")
_TIMESTAMP: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_UNFIT_CHARACTER: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_INT32: Final = range(-(1 << 31), 1 << 31)

Extension = str | int | bool
"""A value an extension attribute may have in the CloudEvents JSON format."""


class MalformedEnvelope(ValueError):
    """Bytes that are not an envelope of ours. The message names the attribute and the rule, never a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One event as it travels.

    `time` is when the fact happened, `recordedtime` when its owner wrote it down; both are aware and travel
    in UTC with microseconds. `sequence` is contiguous within `source` and zero-padded to 20 digits, so it
    compares as text. `extensions` keeps attributes that this version does not know; they survive a round
    trip.
    """

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    practiceid: str
    partitionkey: str
    sequence: str
    recordedtime: datetime
    correlationid: str
    causationid: str | None = None
    traceparent: str | None = None
    dataschema: str | None = None
    data: Mapping[str, Any]
    extensions: Mapping[str, Extension] = field(default_factory=dict)
    specversion: str = SPEC_VERSION
    datacontenttype: str = DATA_CONTENT_TYPE

    def __post_init__(self) -> None:
        """Hold the rules of CloudEvents for whatever is built here.

        Raises:
            MalformedEnvelope: an attribute breaks its rule.
        """
        for name in _REQUIRED_TEXT:
            _require_text(name, getattr(self, name))
        for name in _OPTIONAL_TEXT:
            if getattr(self, name) is not None:
                _require_text(name, getattr(self, name))
        for name in _TIMES:
            if getattr(self, name).tzinfo is None:
                raise MalformedEnvelope(f"{name} has no offset")
        if self.specversion != SPEC_VERSION:
            raise MalformedEnvelope(f"specversion is not {SPEC_VERSION}")
        if self.datacontenttype != DATA_CONTENT_TYPE:
            raise MalformedEnvelope(f"datacontenttype is not {DATA_CONTENT_TYPE}")
        if not _SEQUENCE.fullmatch(self.sequence):
            raise MalformedEnvelope("sequence is not 20 decimal digits")
        for name, value in self.extensions.items():
            _require_extension(name, value)

    @property
    def number(self) -> int:
        """The sequence as a number; the first event of a source has 1."""
        return int(self.sequence)

    def attributes(self) -> dict[str, Extension]:
        """The context attributes in fixed order, those without a value left out, times as RFC 3339 text."""
        known = {name: getattr(self, name) for name in _ORDER}
        written = {
            name: format_time(value) if isinstance(value, datetime) else value
            for name, value in known.items()
            if value is not None
        }
        return written | {name: self.extensions[name] for name in sorted(self.extensions)}

    def to_bytes(self) -> bytes:
        """The one encoding: UTF-8, compact separators, attributes in fixed order, unknown after, `data` last.

        Raises:
            MalformedEnvelope: `data` holds what JSON or UTF-8 cannot carry.
        """
        try:
            text = json.dumps(
                self.attributes() | {"data": dict(self.data)},
                ensure_ascii=False,
                allow_nan=False,
                separators=(",", ":"),
            )
            return text.encode()
        except (TypeError, ValueError, RecursionError):
            # The cause is dropped: its message may quote what could not be written.
            raise MalformedEnvelope("data cannot be written as JSON") from None

    @classmethod
    def from_bytes(cls, encoded: bytes) -> "Envelope":
        """Read one envelope in the structured JSON form; unknown attributes become `extensions`.

        Raises:
            MalformedEnvelope: always this, whatever the bytes are.
        """
        members = _json_object(encoded)
        if "data_base64" in members:
            raise MalformedEnvelope("data_base64 is not used here")
        body = members.pop("data", None)
        if not isinstance(body, dict):
            raise MalformedEnvelope("data is not an object")
        present = {name: value for name, value in members.items() if value is not None}
        missing = [name for name in _REQUIRED if name not in present]
        if missing:
            raise MalformedEnvelope(f"{missing[0]} is missing")
        known = {name: present.pop(name) for name in _ORDER if name in present}
        for name in _TIMES:
            known[name] = _parse_time(name, known[name])
        return cls(**known, data=body, extensions=present)


_ORDER: Final = (
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "practiceid",
    "partitionkey",
    "sequence",
    "recordedtime",
    "correlationid",
    "causationid",
    "traceparent",
)
_TIMES: Final = ("time", "recordedtime")
_OPTIONAL_TEXT: Final = ("dataschema", "causationid", "traceparent")
_REQUIRED: Final = tuple(n for n in _ORDER if n not in _OPTIONAL_TEXT and n != "datacontenttype")
_REQUIRED_TEXT: Final = tuple(n for n in _ORDER if n not in _OPTIONAL_TEXT and n not in _TIMES)
_RESERVED: Final = frozenset((*_ORDER, "data"))


def sequence_text(number: int) -> str:
    """The `sequence` of a number from 1 up: decimal, zero-padded to 20 digits.

    Raises:
        ValueError: the number is below 1 or has more than 20 digits.
    """
    if not 1 <= number < 10**20:
        raise ValueError("a sequence number lies between 1 and 20 digits")
    return f"{number:020d}"


def format_time(moment: datetime) -> str:
    """An aware moment as RFC 3339 text in UTC with microseconds, always 27 characters."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def headers(envelope: Envelope) -> list[tuple[str, bytes]]:
    """The Kafka record headers: the content type and a `ce_` copy of every context attribute.

    The Kafka protocol binding of CloudEvents allows the copies in structured mode; readers trust the value.
    """
    copies = [(f"ce_{name}", _header_text(value)) for name, value in envelope.attributes().items()]
    return [("content-type", CONTENT_TYPE.encode()), *copies]


def _header_text(value: Extension) -> bytes:
    if isinstance(value, bool):
        return b"true" if value else b"false"
    return str(value).encode()


def _require_text(name: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise MalformedEnvelope(f"{name} is not a text")
    _require_encodable(name, value)


def _require_encodable(name: str, value: str) -> None:
    # CloudEvents strings exclude control characters and surrogates (specification 3.1, type String).
    if _UNFIT_CHARACTER.search(value):
        raise MalformedEnvelope(f"{name} holds a character that an attribute may not hold")


def _require_extension(name: str, value: object) -> None:
    if not _ATTRIBUTE_NAME.fullmatch(name) or name in _RESERVED:
        raise MalformedEnvelope("an attribute name is not 1 to 20 lower case letters and digits")
    if isinstance(value, str):
        _require_encodable(name, value)
    elif not isinstance(value, bool | int) or (not isinstance(value, bool) and value not in _INT32):
        raise MalformedEnvelope(f"{name} is neither text, boolean nor a 32 bit integer")


def _json_object(encoded: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(
            encoded.decode("utf-8"),
            object_pairs_hook=_without_repeats,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
        if b"\\u" in encoded:
            # An escaped lone surrogate parses but cannot be written again: refuse it where it comes in.
            json.dumps(parsed, ensure_ascii=False).encode()
    except MalformedEnvelope:
        raise
    except (ValueError, RecursionError):
        raise MalformedEnvelope("not a JSON text in UTF-8") from None
    if not isinstance(parsed, dict):
        raise MalformedEnvelope("not a JSON object")
    return parsed


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedEnvelope("a member name is repeated")
    return members


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise MalformedEnvelope("a number is too large")
    return number


def _refuse_constant(_: str) -> NoReturn:
    raise MalformedEnvelope("NaN and Infinity are not JSON")


def _parse_time(name: str, value: object) -> datetime:
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        raise MalformedEnvelope(f"{name} is not an RFC 3339 time with offset")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise MalformedEnvelope(f"{name} is not a moment of the calendar") from None
