"""Facts and results as plain JSON values and back: what the command line prints and reads."""

from __future__ import annotations

import base64
import binascii
import codecs
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from enum import Enum
from functools import cache
from itertools import chain
from typing import Any, Final, TypeVar, cast

import orjson

from baton_formats import facts as facts_module
from baton_formats import findings as findings_module
from baton_formats.facts import (
    FACT_TYPES,
    Attachment,
    Document,
    Extension,
    Fact,
    PartialTime,
    Referral,
    Section,
    Text,
)
from baton_formats.findings import Message, ReadResult

Plain = dict[str, Any]
T = TypeVar("T")

_KINDS: dict[str, type[Fact]] = {fact_type.kind: fact_type for fact_type in FACT_TYPES}


class NotAFact(ValueError):
    """The plain value does not describe a fact; the message names the place, never the content."""


def to_plain(value: object) -> Any:
    """Any fact, message or result, or part of one, as JSON values: empty fields left out, bytes as base64.

    A time is its ISO text, or ``{"unreadable": text}`` where it could not be read. A result is ``{"format",
    "outcome", "reason", "messages", "findings"}``, the last only where the body as a whole has any.
    """
    if value is None or isinstance(value, str | int | float | bool):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Text):
        return str(value)
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, PartialTime):
        return value.iso if value.iso is not None else {"unreadable": value.text}
    if isinstance(value, Section | Extension):
        return _nested(value)
    return {name: to_plain(item) for name, item in members(value)}


_WITHIN: Final[dict[type, str]] = {Section: "sections", Extension: "extensions"}
"""What may hold its own kind, and in which field."""


def _nested(top: Section | Extension) -> Plain:
    """One of these at any depth takes no more of the stack of Python than a single one."""
    within = _WITHIN[type(top)]
    plain: Plain = {}
    left: list[tuple[object, Plain]] = [(top, plain)]
    while left:
        one, into = left.pop()
        for name, item in members(one):
            if name == within and isinstance(item, tuple):
                into[name] = [{} for _ in item]
                left.extend(zip(item, into[name], strict=True))
            else:
                into[name] = to_plain(item)
    return plain


def members(value: object) -> Iterator[tuple[str, object]]:
    """Name and value of everything that is rendered of a fact, message or result, in order."""
    if isinstance(value, ReadResult):
        return _of_result(value)
    if isinstance(value, Message):
        return _of_message(value)
    if not is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"no plain form for {type(value).__name__}")
    return _of_fact(value)


def _of_fact(value: object) -> Iterator[tuple[str, object]]:
    cls = cast(Any, type(value))
    kind = getattr(cls, "kind", None)
    if isinstance(kind, str):
        yield "kind", kind
    for name, empty in _rendered_fields(cls):
        item = getattr(value, name)
        if item is not None and item != () and item != empty:
            yield name, item


@cache
def _rendered_fields(cls: type) -> tuple[tuple[str, object], ...]:
    """Names with the value that may be left out, which is the default of the field."""
    return tuple((f.name, None if f.default is MISSING else f.default) for f in fields(cls))


def _of_message(message: Message) -> Iterator[tuple[str, object]]:
    yield "type", message.type
    for name in ("segments", "entries", "envelope"):
        item = getattr(message, name)
        if item is not None:
            yield name, item
    yield "facts", message.facts
    yield "findings", message.findings


def _of_result(result: ReadResult) -> Iterator[tuple[str, object]]:
    yield "format", result.format
    yield "outcome", result.outcome
    yield "reason", result.reason
    yield "messages", result.messages
    if result.findings:
        yield "findings", result.findings


_BULKY: Final = (ReadResult, Message, Document, Referral, Section, Attachment)
_PIECE: Final = 48 * 1024
"""Bytes of a text or content rendered at a time; a multiple of three, as base64 wants it."""


def to_json(named: Iterable[tuple[str, object]]) -> Iterator[bytes]:
    """``members`` as the text of one JSON object, in pieces: no text and no content is copied whole."""
    open_ones = [_object(named)]
    while open_ones:
        piece = next(open_ones[-1], None)
        if piece is None:
            open_ones.pop()
        elif isinstance(piece, bytes):
            yield piece
        else:
            open_ones.append(piece)


_Pieces = Iterator["bytes | _Pieces"]
"""Bytes, and the pieces of what stands within, which are taken one level at a time."""


def _object(named: Iterable[tuple[str, object]]) -> _Pieces:
    mark = b"{"
    for name, value in named:
        yield mark + orjson.dumps(name) + b":"
        yield _pieces(value)
        mark = b","
    yield b"}" if mark == b"," else b"{}"


def _list(values: tuple[object, ...]) -> _Pieces:
    mark = b"["
    for value in values:
        yield mark
        yield _pieces(value)
        mark = b","
    yield b"]" if mark == b"," else b"[]"


def _pieces(value: object) -> _Pieces:
    if isinstance(value, bytes):
        encoded = (base64.b64encode(value[at : at + _PIECE]) for at in range(0, len(value), _PIECE))
        return chain((b'"',), encoded, (b'"',))
    if isinstance(value, Text):
        return chain((b'"',), _escaped(value.utf8), (b'"',))
    if isinstance(value, tuple):
        return _list(value)
    if isinstance(value, _BULKY):
        return _object(members(value))
    return _at_once(value)


def _at_once(value: object) -> _Pieces:
    try:
        return iter((orjson.dumps(to_plain(value)),))
    except TypeError:  # nested deeper than the encoder goes, or text that no JSON can carry
        if not is_dataclass(value) or isinstance(value, PartialTime):
            raise
        return _object(members(value))


def _escaped(utf8: bytes) -> Iterator[bytes]:
    """The inside of a JSON string; a piece never ends within a character."""
    slices = (utf8[at : at + _PIECE] for at in range(0, len(utf8), _PIECE))
    for piece in codecs.iterdecode(slices, "utf-8", "replace"):
        yield orjson.dumps(piece)[1:-1]


def fact_from_plain(plain: Mapping[str, Any], *, where: str = "") -> Fact:
    """The fact that ``to_plain`` rendered. Raises :class:`NotAFact` for an unknown kind, field or type.

    ``where`` is the place of the fact in what was read, for the message.
    """
    return from_plain(_class_of(plain, where), plain, where=where)


def _class_of(plain: object, where: str) -> type[Fact]:
    if not isinstance(plain, Mapping):
        raise NotAFact(f"{where or 'fact'}: an object is expected")
    kind = plain.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise NotAFact(f"{where}{'.' if where else ''}kind: no such kind of fact")
    return _KINDS[kind]


def from_plain(cls: type[T], plain: Mapping[str, Any], *, where: str = "") -> T:
    """One dataclass of :mod:`facts` or :mod:`findings` from its plain form. Raises :class:`NotAFact`.

    Also where facts stand within facts deeper than any reader makes them.
    """
    if cls in _WITHIN:
        return cast(T, _from_nested(cls, plain, where))
    return cast(T, _built(cls, _values(cls, plain, where), where))


def _values(cls: type, plain: object, where: str) -> dict[str, Any]:
    if not isinstance(plain, Mapping):
        raise NotAFact(f"{where or cls.__name__}: an object is expected")
    readers = _field_readers(cast(Any, cls))
    values: dict[str, Any] = {}
    for name, value in plain.items():
        if name == "kind" and "kind" not in readers:
            continue
        if name not in readers:
            raise NotAFact(f"{where or cls.__name__}: a field is named that it does not have")
        values[name] = readers[name](value, f"{where}{'.' if where else ''}{name}")
    return values


def _built(cls: type, values: dict[str, Any], where: str) -> Any:
    try:
        return cls(**values)
    except TypeError as error:
        raise NotAFact(f"{where or cls.__name__}: a required field is missing") from error


_MAX_DEPTH: Final = 100


@dataclass(slots=True)
class _Draft:
    """One of a kind that may hold its own kind, while it is read: it is built after all within it."""

    plain: object
    where: str
    depth: int = 1
    values: dict[str, Any] = field(default_factory=dict)
    built: Any = None


def _from_nested(cls: type, plain: object, where: str) -> Any:
    drafts = [_Draft(plain, where)]
    for draft in drafts:
        if draft.depth > _MAX_DEPTH:
            raise NotAFact(f"{where or cls.__name__}: nested deeper than any message has it")
        draft.values = _values(cls, draft.plain, draft.where)
        for inner in draft.values.get(_WITHIN[cls], ()):
            inner.depth = draft.depth + 1
            drafts.append(inner)
    for draft in reversed(drafts):
        within = draft.values.get(_WITHIN[cls], ())
        own = {_WITHIN[cls]: tuple(inner.built for inner in within)} if within else {}
        draft.built = _built(cls, draft.values | own, draft.where)
    return drafts[0].built


_Reader = Callable[[Any, str], Any]


@cache
def _field_readers(cls: type) -> dict[str, _Reader]:
    namespace = {**vars(facts_module), **vars(findings_module)}
    hints = typing.get_type_hints(cls, globalns=namespace)
    readers = {f.name: _reader(hints[f.name]) for f in fields(cls)}
    return readers | ({_WITHIN[cls]: _sequence(_Draft)} if cls in _WITHIN else {})


def _reader(hint: Any) -> _Reader:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        members = [m for m in typing.get_args(hint) if m is not type(None)]
        if len(members) == 1:
            return _optional(_reader(members[0]))
        return lambda value, where: fact_from_plain(value, where=where)
    if origin is tuple:
        return _sequence(_reader(typing.get_args(hint)[0]))
    if hint is bytes:
        return _bytes
    if hint is PartialTime:
        return _time
    if hint is Text:
        return _text
    if is_dataclass(hint):
        cls = cast(type, hint)
        return lambda value, where: from_plain(cls, value, where=where)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _member(hint)
    return _scalar(hint)


def _optional(inner: _Reader) -> _Reader:
    return lambda value, where: None if value is None else inner(value, where)


def _sequence(inner: _Reader) -> _Reader:
    def read(value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise NotAFact(f"{where}: a list is expected")
        return tuple(inner(item, f"{where}[{index}]") for index, item in enumerate(value))

    return read


def _member(enum: type[Enum]) -> _Reader:
    def read(value: Any, where: str) -> Enum:
        try:
            return enum(value)
        except ValueError:
            raise NotAFact(f"{where}: not one of the known words") from None

    return read


def _scalar(expected: type) -> _Reader:
    def read(value: Any, where: str) -> Any:
        if type(value) is not expected:
            raise NotAFact(f"{where}: {expected.__name__} is expected")
        return value

    return read


def _bytes(value: Any, where: str) -> bytes:
    if not isinstance(value, str):
        raise NotAFact(f"{where}: base64 text is expected")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise NotAFact(f"{where}: base64 text is expected") from None


def _text(value: Any, where: str) -> Text:
    if not isinstance(value, str):
        raise NotAFact(f"{where}: str is expected")
    return Text.of(value)


def _time(value: Any, where: str) -> PartialTime:
    if isinstance(value, Mapping) and isinstance(value.get("unreadable"), str):
        return PartialTime(text=value["unreadable"])
    time = PartialTime(iso=value) if isinstance(value, str) else PartialTime()
    if time.precision is None:
        raise NotAFact(f"{where}: an ISO 8601 time is expected")
    return time
