"""A resource's table: rows that say where a field is read, run by the reader and printed as a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar

from baton_formats.declaration import FieldMapping, MessageMapping
from baton_formats.fhir.elements import COMMON, ELEMENTS
from baton_formats.fhir.tree import Node
from baton_formats.findings import Format

F = TypeVar("F")
Read = Callable[[Node], Any]


class Table(Generic[F]):
    """How one resource type becomes one fact.

    Each row names the field of the fact, the element it comes from and the function that reads it. A row is
    skipped when none of its elements is present, so a sparse resource costs what it carries.
    """

    def __init__(
        self,
        resource: str,
        fact: type[F],
        *rows: Row,
        source: str,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.resource = resource
        self.fact = fact
        self.rows = rows
        self._source = source
        self._notes = notes
        known = ELEMENTS.get(resource.split(" ")[0].rstrip(","))
        self._known = COMMON | known if known is not None else None
        declared: Any = fact  # a fact is a dataclass, which its type variable cannot say
        self._blank = [one.default for one in fields(declared)]
        places = {one.name: place for place, one in enumerate(fields(declared))}
        self._runs = tuple(
            _run(places[row.target], row.read, row.elements) for row in rows if row.read is not None
        )

    def read(self, node: Node) -> F:
        """The fact, with doubts noted on the way. Never raises for content."""
        value = node.value
        values = self._blank.copy()  # by position: half the cost of keywords, with so many fields
        for place, read, usual, others in self._runs:
            if usual is None or usual in value or (others and not others.isdisjoint(value)):
                values[place] = read(node)
        if self._known is not None and not self._known.issuperset(value):
            _look_for_strangers(node, self._known)
        return self.fact(*values)

    def mapping(self) -> MessageMapping:
        """The same table for the page that people read."""
        return MessageMapping(
            format=Format.FHIR,
            message=self.resource,
            fact=str(getattr(self.fact, "kind", self.fact.__name__.lower())),
            source=self._source,
            fields=self.rows,
            notes=self._notes,
        )


def _look_for_strangers(node: Node, known: frozenset[str]) -> None:
    for name in node.value:
        if name not in known and name.lstrip("_") not in known:
            node.doubt("unknown-element", "this resource has no such element; it was left aside", name)


@dataclass(frozen=True, slots=True)
class Row(FieldMapping):
    """A declared field with the elements without which there is nothing to read; None reads always."""

    elements: frozenset[str] | None = field(default=None, compare=False, repr=False)


def _run(
    place: int, read: Read, elements: frozenset[str] | None
) -> tuple[int, Read, str | None, frozenset[str]]:
    """A row as the reader runs it; most need one element, and asking for one is quicker than for a set."""
    usual, *others = sorted(elements) if elements is not None else [None]
    return place, read, usual, frozenset(filter(None, others))


def row(
    target: str,
    meaning: str,
    path: str,
    read: Read,
    *,
    also: tuple[str, ...] = (),
    findings: tuple[str, ...] = (),
    needs: str | None = None,
) -> Row:
    """One row. ``needs`` lists the elements without which there is nothing to read.

    By default that is the first step of ``path``, or nothing if there are places in ``also``. Empty: always
    read.
    """
    if needs is not None:
        elements = frozenset(needs.split()) or None
    else:
        first = path.split(".", 2)[1].split("[")[0].split(" ")[0]
        elements = None if also else frozenset({first})
    return Row(target, meaning, path, also, findings, read, elements)


def text(name: str) -> Read:
    """A reader of one string element."""
    return lambda node: node.text(name)


def texts(name: str) -> Read:
    """A reader of a list of strings."""
    return lambda node: node.texts(name)


def time(name: str) -> Read:
    """A reader of a date or time."""
    return lambda node: node.time(name)


def flag(name: str) -> Read:
    """A reader of a boolean."""
    return lambda node: node.flag(name)


def one(name: str, read: Read) -> Read:
    """A reader of one complex element."""
    return lambda node: node.one(name, read)


def many(name: str, read: Read) -> Read:
    """A reader of a list of complex elements."""
    return lambda node: node.many(name, read)


def version(node: Node) -> str | None:
    """The version the sending server gave the resource."""
    return node.one("meta", lambda meta: meta.text("versionId"))


def code(
    name: str, allowed: frozenset[str], *, protects: bool = False, required: bool = False
) -> Callable[[Node], str | None]:
    """A reader of a code from a required binding.

    A code outside of it is a doubt, and the field stays empty; ``protects`` marks the doubt as refusing, for
    the doors that must not guess what a sender meant. ``required`` makes absence a doubt as well.
    """

    def read(node: Node) -> str | None:
        value = node.text(name)
        if value is None:
            if required and f"_{name}" not in node.value:
                node.doubt("missing-required", f"{name} is required here", name, refusing=protects)
            return None
        if value in allowed:
            return value
        hint = next((known for known in allowed if _squashed(known) == _squashed(value)), None)
        meant = f"; perhaps {hint} was meant" if hint is not None else ""
        detail = f"this is no code of the required binding{meant}"
        node.doubt("unknown-code", detail, name, refusing=protects)
        return None

    return read


def _squashed(code_: str) -> str:
    return code_.replace("-", "").replace("_", "").replace(" ", "").lower()
