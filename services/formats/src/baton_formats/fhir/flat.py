"""Readers of what is usual, written out as flat source; whatever is odd about a value is left to the cursor.

Almost every element of almost every resource is exactly what FHIR says. For those the cursor
(:class:`~baton_formats.fhir.tree.Node`) is a detour: a function here looks at the plain JSON in one pass and
either gives what the cursor would give, or says nothing (None) and leaves all to the cursor, which notes the
doubts. So there is one place that knows what is odd about a value, and reading is quick where nothing is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from baton_formats.fhir.tree import Node, Resource, all_usual, one_usual, usual_reader
from baton_formats.times import canonical

T = TypeVar("T")
Read = Callable[[Node], Any]

_NO_TEXT: Final = "type({v}) is not str or not {v} or {v}.isspace()"


@dataclass(frozen=True, slots=True)
class Element:
    """How one element is read: ``read`` by the cursor, and ``odd``, the condition to leave it to the cursor.

    ``odd`` is source about ``{v}``, the value as it stands in the JSON, which it may replace by what the
    element says; None if only the cursor can read it. ``uses`` is what the source names; ``{x}`` in both is a
    name of this element's own. ``empty`` is what an absent element says.
    """

    name: str
    read: Read
    odd: str | None = None
    empty: object = None
    uses: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, node: Node) -> Any:
        """What the cursor reads."""
        return self.read(node)


def text(name: str) -> Element:
    """A reader of one string element."""
    return Element(name, lambda node: node.text(name), _NO_TEXT)


def texts(name: str) -> Element:
    """A reader of a list of strings."""
    return Element(
        name, lambda node: node.texts(name), "({v} := _texts({v})) is None", (), {"_texts": _only_texts}
    )


def _only_texts(value: Any) -> tuple[str, ...] | None:
    if type(value) is not list:
        return None
    for item in value:
        if type(item) is not str or not item:
            return None
    return tuple(value)


def time(name: str) -> Element:
    """A reader of a date or time."""
    odd = "type({v}) is not str or ({v} := _time({v})) is None"
    return Element(name, lambda node: node.time(name), odd, None, {"_time": canonical})


def flag(name: str) -> Element:
    """A reader of a boolean."""
    return Element(name, lambda node: node.flag(name), "type({v}) is not bool")


def one(name: str, read: Read) -> Element:
    """A reader of one complex element."""
    usual = usual_reader(read)
    odd = "({v} := _one({v}, {x})) is None" if usual is not None else None
    return Element(name, lambda node: node.one(name, read), odd, None, {"_one": one_usual, "{x}": usual})


def many(name: str, read: Read) -> Element:
    """A reader of a list of complex elements."""
    usual = usual_reader(read)
    odd = "({v} := _all({v}, {x})) is None" if usual is not None else None
    return Element(name, lambda node: node.many(name, read), odd, (), {"_all": all_usual, "{x}": usual})


def usual(
    make: Callable[..., T | None], *elements: Element | None, unless: str | None = None, alone: bool = False
) -> Callable[[Resource], T | None]:
    """A reader of plain JSON that gives ``make`` of these elements, or None if anything about them is odd.

    None in place of an element stands for an argument that is always None. Where there is an element
    ``unless``, all is left to the cursor; so it is where there is any other than these, if they are to stand
    ``alone``.
    """
    scope: dict[str, Any] = {"_make": make}
    lines = ["def read(value):"]
    if unless is not None:
        lines.append(f"    if {unless!r} in value: return None")
    if alone:
        scope["_known"] = frozenset(element.name for element in elements if element is not None)
        lines.append("    if not _known.issuperset(value): return None")
    for place, element in enumerate(elements):
        if element is not None:
            lines += written(element, place, "return None", scope)
    arguments = ", ".join("None" if one is None else f"v{place}" for place, one in enumerate(elements))
    lines.append(f"    return _make({arguments})")
    read: Callable[[Resource], T | None] = compiled(lines, scope, getattr(make, "__qualname__", "a value"))
    return read


def written(
    element: Element, place: int, otherwise: str, scope: dict[str, Any], *, always: bool = False
) -> Iterator[str]:
    """The lines that set ``v<place>`` to what an element says, or do something else where it is odd.

    Absence is usual, unless it is for the cursor to judge (``always``).
    """
    assert element.odd is not None, f"only the cursor can read {element.name}"
    v, x = f"v{place}", f"x{place}"
    scope |= {name.format(x=x): value for name, value in element.uses.items()}
    odd = element.odd.format(v=v, x=x)
    if always:
        yield f"    {v} = value.get({element.name!r})"
        yield f"    if {odd}: {otherwise}"
        return
    yield f"    if {element.name!r} in value:"
    yield f"        {v} = value[{element.name!r}]"
    yield f"        if {odd}: {otherwise}"
    yield f"    else: {v} = {element.empty!r}"


def compiled(lines: list[str], scope: dict[str, Any], subject: str) -> Any:
    """The function ``read`` of these lines. They hold nothing but what our own declarations say.

    ``subject`` is what a traceback or a profile calls it by.
    """
    exec(compile("\n".join(lines), f"<reader of {subject}>", "exec"), scope)  # noqa: S102
    return scope["read"]
