"""A cursor over a parsed resource: tolerant access to elements, with every doubt noted at its FHIRPath."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from baton_formats.facts import PartialTime
from baton_formats.findings import Finding
from baton_formats.times import parse_iso

T = TypeVar("T")
R = TypeVar("R", bound=Callable[..., Any])

Path = tuple[Any, str | int] | None
"""A place as a chain of steps, cheap to extend and only rendered when there is something to say."""

Resource = dict[str, Any]

MAX_ITEMS = 1_000
"""Members of one list that are looked at; lists of lists must not multiply beyond what a body can hold."""

_UNBOUNDED = frozenset({"entry", "contained", "parameter", "part"})
"""Lists of resources, whose number is bounded as a whole."""


def steps_of(path: Path) -> list[str | int]:
    """The steps from the root to a place."""
    steps: list[str | int] = []
    while path is not None:
        path, step = path
        steps.append(step)
    steps.reverse()
    return steps


def render_path(path: Path) -> str:
    """``Bundle.entry[3].resource.subject`` from the chain of steps."""
    return "".join(map(_shown, steps_of(path))).removeprefix(".")


def _shown(step: str | int) -> str:
    """A step as FHIRPath; a key that no element could have is not repeated."""
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if len(step) <= 64 and step.isascii() and step.isidentifier() else ".(unnamed)"


class Doubts:
    """The findings of one message, each said once, in the order they were met, and bounded in number."""

    LIMIT = 500

    def __init__(self) -> None:
        self._findings: dict[tuple[str, str], Finding] = {}

    def add(self, code: str, path: Path, detail: str, *, refusing: bool = False) -> None:
        """Note a doubt at a place; the second time it is the same doubt."""
        if len(self._findings) >= (2 * self.LIMIT if refusing else self.LIMIT):
            return  # those that refuse have room of their own: no crowd of others keeps them out
        where = render_path(path)
        self._findings.setdefault((code, where), Finding(code, where, detail, refusing))

    def all(self) -> tuple[Finding, ...]:
        """What was noted so far."""
        return tuple(self._findings.values())


Quick = Callable[[Resource], T | None]
"""A reader of plain JSON, for what is usual: None where anything is odd, and the cursor has to look."""

_QUICK: dict[Any, Quick[Any]] = {}


def usually(quick: Quick[Any]) -> Callable[[R], R]:
    """Marks the reader of a complex type with the quick one that serves where nothing is odd.

    Where the quick one gives a value, it has to be the one that the reader gives, without a doubt.
    """

    def mark(read: R) -> R:
        _QUICK[read] = quick
        return read

    return mark


def usual_reader(read: Callable[[Node], T]) -> Quick[T] | None:
    """The quick reader beside this one, if it has one."""
    return _QUICK.get(read)


def one_usual(value: Any, quick: Quick[T]) -> T | None:
    """One complex element, None where anything is odd about it."""
    if type(value) is not dict or (len(value) == 1 and "extension" in value):
        return None
    return quick(value)


def all_usual(values: Any, quick: Quick[T]) -> tuple[T, ...] | None:
    """Every element of a list, None where anything is odd about any of them."""
    if type(values) is not list or len(values) > MAX_ITEMS:
        return None
    if len(values) == 1:  # as almost always
        only = values[0]
        if type(only) is not dict or (len(only) == 1 and "extension" in only):
            return None
        alone = quick(only)
        return None if alone is None else (alone,)
    found: list[T] = []
    for value in values:
        if type(value) is not dict or (len(value) == 1 and "extension" in value):
            return None
        one = quick(value)
        if one is None:
            return None
        found.append(one)
    return tuple(found)


class Surroundings(Protocol):
    """What a node needs of the body it stands in: where doubts go, and whether single values may be bare."""

    doubts: Doubts
    bare_lists: bool


class Node:
    """One JSON object at its place. Reading from it never raises; what does not fit becomes a doubt."""

    __slots__ = ("body", "path", "resource", "value")

    def __init__(self, value: Resource, path: Path, resource: Resource, body: Any) -> None:
        self.value = value
        self.path = path
        self.resource = resource
        self.body = body

    def doubt(self, code: str, detail: str, step: str | None = None, *, refusing: bool = False) -> None:
        """Note a doubt about this object, or about one of its elements."""
        path = self.path if step is None else (self.path, step)
        self.body.doubts.add(code, path, detail, refusing=refusing)

    def has(self, name: str) -> bool:
        """Whether the element is there at all."""
        return self.value.get(name) is not None

    def text(self, name: str) -> str | None:
        """A string, code, uri or id; a number or boolean in its place is taken as text with a doubt."""
        value = self.value.get(name)
        if type(value) is str:
            if value and not value.isspace():
                return value
            self.doubt("empty-value", "an element is present but empty", name)
            return None
        if value is None:
            return None
        return self._odd_text(value, name)

    def _odd_text(self, value: Any, name: str) -> str | None:
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
            self.doubt("unexpected-list", "one value is expected here, not a list", name)
            return value[0] or None
        if isinstance(value, bool):
            self.doubt("wrong-type", "a text is expected here", name)
            return "true" if value else "false"
        if isinstance(value, int | float):
            self.doubt("wrong-type", "a text is expected here, not a number", name)
            return str(self.body.exactly(self, name))
        self.doubt("wrong-type", "a text is expected here", name)
        return None

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings; holes left by ``null`` are skipped."""
        value = self.value.get(name)
        if value is None:
            return ()
        if isinstance(value, str):
            self._not_a_list(name)
            return (value,) if value else ()
        if not isinstance(value, list):
            self.doubt("wrong-type", "a list of texts is expected here", name)
            return ()
        found = tuple(item for item in value if type(item) is str and item)
        if len(found) != len(value) and any(not isinstance(i, str | None) for i in value):
            self.doubt("wrong-type", "a list of texts is expected here", name)
        return found

    def flag(self, name: str) -> bool | None:
        """A boolean; the words ``true`` and ``false`` count (with a doubt in JSON)."""
        value = self.value.get(name)
        if value is None or type(value) is bool:
            return value
        if value in ("true", "false"):
            if not self.body.bare_lists:
                self.doubt("wrong-type", "a boolean is expected here, not a text", name)
            return bool(value == "true")
        self.doubt("wrong-type", "a boolean is expected here", name)
        return None

    def whole(self, name: str) -> int | None:
        """An integer; digits in a text count (with a doubt in JSON)."""
        value = self.value.get(name)
        if value is None or type(value) is int:
            return value
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 18:
            if not self.body.bare_lists:
                self.doubt("wrong-type", "a number is expected here, not a text", name)
            return int(value)
        self.doubt("wrong-type", "a whole number is expected here", name)
        return None

    def time(self, name: str) -> PartialTime | None:
        """A date, dateTime or instant, as precise as given; unreadable text is kept with a doubt."""
        text = self.text(name)
        if text is None:
            return None
        time = parse_iso(text)
        if time.iso is None:
            self.doubt("unreadable-time", "this is no FHIR date or time; its text is kept", name)
        return time

    def one(self, name: str, read: Callable[[Node], T]) -> T | None:
        """One complex element through ``read``; the first of a list with a doubt."""
        value = self.value.get(name)
        if value is None:
            return None
        quick = _QUICK.get(read)
        if quick is not None and (found := one_usual(value, quick)) is not None:
            return found  # type: ignore[no-any-return]
        child = self.child(name)
        return None if child is None else read(child)

    def child(self, name: str) -> Node | None:
        """The node of one complex element."""
        value = self.value.get(name)
        if type(value) is dict:
            if len(value) == 1 and "extension" in value:
                return None  # nothing but the reason why it is absent
            return Node(value, (self.path, name), self.resource, self.body)
        if value is None:
            return None
        if isinstance(value, list) and value and isinstance(value[0], dict):
            if not self.body.bare_lists:
                self.doubt("unexpected-list", "one value is expected here, not a list", name)
            return Node(value[0], ((self.path, name), 0), self.resource, self.body)
        self.doubt("wrong-type", "an object is expected here", name)
        return None

    def children(self, name: str) -> list[Node]:
        """The nodes of a list of complex elements; a bare object counts as a list of one."""
        value = self.value.get(name)
        if value is None:
            return []
        path = (self.path, name)
        if type(value) is list:
            if len(value) > MAX_ITEMS and name not in _UNBOUNDED:
                self.doubt("list-too-long", f"only the first {MAX_ITEMS} of this list were looked at", name)
                value = value[:MAX_ITEMS]
            resource, body = self.resource, self.body
            nodes = [
                Node(item, (path, index), resource, body)
                for index, item in enumerate(value)
                if type(item) is dict and not (len(item) == 1 and "extension" in item)
            ]
            if len(nodes) != len(value) and any(i is not None and type(i) is not dict for i in value):
                self.doubt("wrong-type", "a list of objects is expected here", name)
            return nodes
        if type(value) is dict:
            self._not_a_list(name)
            return [Node(value, path, self.resource, self.body)]
        self.doubt("wrong-type", "a list of objects is expected here", name)
        return []

    def many(self, name: str, read: Callable[[Node], T]) -> tuple[T, ...]:
        """Every element of a list through ``read``."""
        value = self.value.get(name)
        if value is None:
            return ()
        quick = _QUICK.get(read)
        if quick is not None and (found := all_usual(value, quick)) is not None:
            return found
        return tuple([read(child) for child in self.children(name)])

    def _not_a_list(self, name: str) -> None:
        if not self.body.bare_lists:
            self.doubt("not-a-list", "a list is expected here; the single value was taken", name)
