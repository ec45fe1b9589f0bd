"""A resource's table: rows that say where a field is read, run by the reader and printed as a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar

from baton_formats.declaration import FieldMapping, MessageMapping
from baton_formats.fhir.elements import COMMON, ELEMENTS
from baton_formats.fhir.flat import Element, Read, compiled, flag, many, one, text, texts, time, written
from baton_formats.fhir.tree import Node
from baton_formats.findings import Format
from baton_formats.values import maker_of

F = TypeVar("F")


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
        self.read: Callable[[Node], F] = self._flat()

    def _flat(self) -> Any:
        """The reader of all rows, one after the other, as one function.

        Never raises for content; doubts are noted on the way, in the order of the rows.
        """
        declared: Any = self.fact  # a fact is a dataclass, which its type variable cannot say
        empty = {field_.name: field_.default for field_ in fields(declared)}
        places = {name: place for place, name in enumerate(empty)}
        scope: dict[str, Any] = {"_make": maker_of(self.fact), "_known": self._known}
        scope["_strangers"] = _look_for_strangers
        lines = ["def read(node):", "    value = node.value"]
        read = [row_ for row_ in self.rows if row_.read is not None]
        for row_ in read:
            lines += _lines(row_, places[row_.target], empty[row_.target], scope)
        if self._known is not None:
            lines.append("    if not _known.issuperset(value): _strangers(node, _known)")
        blank = empty.keys() - {row_.target for row_ in read}
        scope |= {f"v{places[name]}": empty[name] for name in blank}
        lines.append(f"    return _make({', '.join(f'v{place}' for place in places.values())})")
        return compiled(lines, scope, self.resource)

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


def _lines(row_: Row, place: int, empty: object, scope: dict[str, Any]) -> Iterator[str]:
    """The lines that set ``v<place>``: written out if the row reads one element that may be as usual."""
    v, r, read = f"v{place}", f"r{place}", row_.read
    scope[r] = read.read if isinstance(read, Element) else read
    if isinstance(read, Element) and read.odd is not None and read.empty == empty and _is_all(read, row_):
        yield from written(read, place, f"{v} = {r}(node)", scope, always=row_.elements is None)
    elif row_.elements is None:
        yield f"    {v} = {r}(node)"
    else:
        scope[f"e{place}"] = empty
        present = " or ".join(f"{name!r} in value" for name in sorted(row_.elements))
        yield f"    {v} = {r}(node) if {present} else e{place}"


def _is_all(read: Element, row_: Row) -> bool:
    """Whether a row depends on nothing but the one element."""
    return row_.elements is None or row_.elements == frozenset({read.name})


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


def version(node: Node) -> str | None:
    """The version the sending server gave the resource."""
    meta = node.value.get("meta")
    if type(meta) is dict and "versionId" not in meta:
        return None
    return node.one("meta", lambda meta: meta.text("versionId"))


def code(name: str, allowed: frozenset[str], *, protects: bool = False, required: bool = False) -> Element:
    """A reader of a code from a required binding.

    A code outside of it is a doubt, and the field stays empty; ``protects`` marks the doubt as refusing, for
    the doors that must not guess what a sender meant. ``required`` makes absence a doubt as well.
    """

    def read(node: Node) -> str | None:
        value = node.text(name)
        if value is None:
            if required and (protects or not _is_explained(node, name)):
                node.doubt("missing-required", f"{name} is required here", name, refusing=protects)
            return None
        if value in allowed:
            return value
        hint = next((known for known in allowed if _squashed(known) == _squashed(value)), None)
        meant = f"; perhaps {hint} was meant" if hint is not None else ""
        detail = f"this is no code of the required binding{meant}"
        node.doubt("unknown-code", detail, name, refusing=protects)
        return None

    return Element(name, read, "type({v}) is not str or {v} not in {x}", None, {"{x}": allowed})


def _is_explained(node: Node, name: str) -> bool:
    """Whether the sender says why an element is absent, or something else in its place."""
    beside = node.value.get(f"_{name}")
    return isinstance(beside, dict) and bool(beside.get("extension"))


def required(name: str, read: Read, *, empty: object = None) -> Read:
    """The same reader for an element that R4 requires and a door must refuse to do without.

    ``empty`` is what the field of the fact says where it is absent.
    """

    def read_required(node: Node) -> Any:
        if not node.value.get(name):
            node.doubt("missing-required", f"{name} is required here", name, refusing=True)
            return empty
        return read(node)

    return read_required


def _squashed(code_: str) -> str:
    return code_.replace("-", "").replace("_", "").replace(" ", "").lower()


__all__ = [
    "Element",
    "Read",
    "Row",
    "Table",
    "code",
    "flag",
    "many",
    "one",
    "required",
    "row",
    "text",
    "texts",
    "time",
    "version",
]
