"""The gate on schemas: new producers must suit old consumers, and old events must suit new consumers.

Producers are closed (nothing but their schema), consumers open (unknown fields and unknown codes are taken).
So an optional field may be added; everything else that this module finds is a break and needs a new type.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

Schema = Mapping[str, Any]


class Direction(StrEnum):
    """Who would trip over the change."""

    FORWARD = "new producer, old consumer"
    REPLAY = "old events, new consumer"
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class Break:
    """One incompatible difference: where in the schema, for whom, and what."""

    path: str
    direction: Direction
    what: str


def breaks(released: Schema, current: Schema) -> list[Break]:
    """Every break between a released schema and the current one of the same type; empty when compatible."""
    forward = _Comparison(giver=current, taker=released, direction=Direction.FORWARD)
    replay = _Comparison(giver=released, taker=current, direction=Direction.REPLAY)
    removed = [Break(path, Direction.EITHER, "field removed") for path in _removed(released, current)]
    return list(dict.fromkeys([*removed, *forward.refused(), *replay.refused()]))


def _removed(released: Schema, current: Schema) -> Iterator[str]:
    return _removed_below(released, released, current, current, "")


def _removed_below(old_root: Schema, old: Schema, new_root: Schema, new: Schema, path: str) -> Iterator[str]:
    for old_branch, new_branch in _alike(_branches(old_root, old), _branches(new_root, new)):
        old_fields, new_fields = old_branch.get("properties", {}), new_branch.get("properties", {})
        for name, field in old_fields.items():
            if name in new_fields:
                yield from _removed_below(old_root, field, new_root, new_fields[name], f"{path}/{name}")
            else:
                yield f"{path}/{name}"
        if "items" in old_branch and "items" in new_branch:
            yield from _removed_below(
                old_root, old_branch["items"], new_root, new_branch["items"], f"{path}/*"
            )


def _alike(old: Iterable[Schema], new: Iterable[Schema]) -> Iterator[tuple[Schema, Schema]]:
    by_type = {branch.get("type"): branch for branch in new}
    return ((branch, by_type[branch.get("type")]) for branch in old if branch.get("type") in by_type)


def _branches(root: Schema, schema: Schema) -> list[Schema]:
    """The alternatives of a schema with references followed."""
    if "$ref" in schema:
        return _branches(root, _pointed(root, schema["$ref"]))
    if "anyOf" in schema:
        return [branch for part in schema["anyOf"] for branch in _branches(root, part)]
    return [schema]


def _pointed(root: Schema, reference: str) -> Schema:
    target: Any = root
    for step in reference.removeprefix("#/").split("/"):
        target = target[step]
    found: Schema = target
    return found


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Whether everything that the giver's schema allows is taken by an open reader of the taker's schema."""

    giver: Schema
    taker: Schema
    direction: Direction

    def refused(self) -> list[Break]:
        return self._refused(self.giver, self.taker, "")

    def _refused(self, giver: Schema, taker: Schema, path: str) -> list[Break]:
        takers = _branches(self.taker, taker)
        found: list[Break] = []
        for given in _branches(self.giver, giver):
            attempts = [self._atom(given, taken, path) for taken in takers]
            # The nearest alternative says best what is wrong.
            found += min(attempts, key=_distance)
        return found

    def _atom(self, given: Schema, taken: Schema, path: str) -> list[Break]:
        if not _same_type(given, taken):
            what = f"type is {given.get('type')}, was read as {taken.get('type')}"
            return [self._break(path, _RETYPED + what)]
        return [
            *self._values(given, taken, path),
            *self._limits(given, taken, path),
            *self._fields(given, taken, path),
            *self._items(given, taken, path),
        ]

    def _values(self, given: Schema, taken: Schema, path: str) -> list[Break]:
        # Readers take unknown codes, so only what was once published has to stay.
        if self.direction is Direction.FORWARD or "enum" not in given or "enum" not in taken:
            return []
        dropped = [str(value) for value in given["enum"] if value not in taken["enum"]]
        return [self._break(path, "enum value dropped: " + ", ".join(dropped))] if dropped else []

    def _limits(self, given: Schema, taken: Schema, path: str) -> list[Break]:
        found = [f"{name} changed" for name in _EXACT if name in taken and given.get(name) != taken[name]]
        found += [f"{n} widened" for n in _AT_MOST if n in taken and not given.get(n, _ENDLESS) <= taken[n]]
        found += [f"{n} widened" for n in _AT_LEAST if n in taken and not given.get(n, -_ENDLESS) >= taken[n]]
        return [self._break(path, what) for what in found]

    def _fields(self, given: Schema, taken: Schema, path: str) -> list[Break]:
        wanted, sure = taken.get("required", ()), given.get("required", ())
        missing = [
            self._break(f"{path}/{name}", "required by the reader, not certain from the writer")
            for name in wanted
            if name not in sure
        ]
        shared = given.get("properties", {}).keys() & taken.get("properties", {}).keys()
        inner = [
            found
            for name in sorted(shared)
            for found in self._refused(given["properties"][name], taken["properties"][name], f"{path}/{name}")
        ]
        return missing + inner

    def _items(self, given: Schema, taken: Schema, path: str) -> list[Break]:
        if "items" not in taken or "items" not in given:
            return []
        return self._refused(given["items"], taken["items"], f"{path}/*")

    def _break(self, path: str, what: str) -> Break:
        return Break(path or "/", self.direction, what)


_RETYPED: Final = "retyped: "
_ENDLESS: Final = float("inf")
_EXACT: Final = ("pattern", "format", "const")
_AT_MOST: Final = ("maxLength", "maximum", "maxItems")
_AT_LEAST: Final = ("minLength", "minimum", "minItems")


def _same_type(given: Schema, taken: Schema) -> bool:
    types = (given.get("type"), taken.get("type"))
    return types[0] == types[1] or types == ("integer", "number")


def _distance(found: Iterable[Break]) -> tuple[bool, int]:
    kinds = [one.what.startswith(_RETYPED) for one in found]
    return (any(kinds), len(kinds))
