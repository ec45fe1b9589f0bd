"""Which findings a package can raise and in which words, read out of its source for the pages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Final

_CODE: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+")
_SENTENCE: Final = re.compile(r"(?!line )\S+ \S+ \S.*", re.DOTALL)
_WORDS: Final = ("detail", "reason")
_PLACES: Final = frozenset({"where", "place", *_WORDS})
_FINDING: Final = ast.parse("def Finding(code, where, detail, refusing): ...")
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Given = dict[str, list[ast.expr]]


@dataclass(frozen=True, slots=True)
class _Raiser:
    """A function with a parameter `code`: what it takes, in order, and the words it has itself for any."""

    takes: tuple[str, ...]
    words: tuple[str, ...]


def sentences(paths: Iterable[Path]) -> dict[str, tuple[str, ...]]:
    """Each code that these modules raise, with its sentences; none where they stand in a table elsewhere.

    A code is raised where a function is called that has a parameter `code` and one for the place or the
    words. What only a message knows stands as an ellipsis.
    """
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(paths)]
    raisers = _all_raisers([_FINDING, *trees])
    found: dict[str, dict[str, None]] = {}
    for tree in trees:
        for code, words in chain(_raised(tree, raisers), _tabled(tree)):
            found.setdefault(code, {}).update(dict.fromkeys(words))
    return {code: tuple(words) for code, words in sorted(found.items())}


def _all_raisers(trees: list[ast.Module]) -> dict[str, list[_Raiser]]:
    """By name: two methods of the same name may take the same things in another order."""
    found: dict[str, list[_Raiser]] = {}
    for node in chain.from_iterable(map(ast.walk, trees)):
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        for one in inner:
            if isinstance(one, _Function) and (node is one or one.name == "__init__"):
                takes = tuple(name.arg for name in one.args.args if name.arg not in ("self", "cls"))
                if "code" in takes and _PLACES.intersection(takes):
                    name = node.name if isinstance(node, ast.ClassDef) else one.name
                    found.setdefault(name, []).append(_Raiser(takes, tuple(_own_words(one))))
    return found


def _own_words(function: _Function) -> Iterator[str]:
    """The sentences with which a function raises whatever code it is given."""
    for call in _calls(function):
        if any(isinstance(one, ast.Name) and one.id == "code" for one in call.args):
            for one in call.args:
                yield from filter(_SENTENCE.fullmatch, _texts(one, _given([function])))


def _raised(tree: ast.Module, raisers: dict[str, list[_Raiser]]) -> Iterator[tuple[str, list[str]]]:
    constants = _given(tree.body)
    for function in (one for one in ast.walk(tree) if isinstance(one, _Function)):
        given = constants | _given([function])
        for call in _calls(function):
            for raiser in raisers.get(_name(call), ()):
                yield from _said(call, raiser, given)


def _said(call: ast.Call, raiser: _Raiser, given: _Given) -> Iterator[tuple[str, list[str]]]:
    values = dict(zip(raiser.takes, call.args, strict=False))
    values |= {one.arg: one.value for one in call.keywords if one.arg}
    codes = list(filter(_CODE.fullmatch, _texts(values.get("code"), given)))
    words = [text for name in _WORDS for text in _texts(values.get(name), given)]
    said = list(filter(_SENTENCE.fullmatch, words)) or list(raiser.words)
    if len(codes) == len(said):  # chosen together, such as two of a loop
        yield from ((code, [one]) for code, one in zip(codes, said, strict=True))
    else:
        yield from ((code, said) for code in codes)


def _tabled(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """A code and its sentence side by side in a table of the module."""
    tables = [node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    for row in (one for table in tables for one in ast.walk(table) if isinstance(one, ast.Tuple)):
        for code, words in pairwise(next(_texts(one, {}), "") for one in row.elts):
            if _CODE.fullmatch(code) and _SENTENCE.fullmatch(words):
                yield code, [words]


def _calls(function: _Function) -> Iterator[ast.Call]:
    return (node for node in ast.walk(function) if isinstance(node, ast.Call))


def _name(call: ast.Call) -> str:
    called = call.func
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def _given(body: list[ast.stmt] | list[_Function]) -> _Given:
    """What the names in a function, or those of a module, are given, also two at a time."""
    found: _Given = {}
    is_function = len(body) == 1 and isinstance(body[0], _Function)
    for node in ast.walk(body[0]) if is_function else body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                _match(target, node.value, found)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            _match(node.target, node.value, found)
        elif isinstance(node, ast.For) and isinstance(node.iter, ast.Tuple | ast.List):
            for item in node.iter.elts:
                _match(node.target, item, found)
        elif isinstance(node, ast.arguments):
            for one, default in zip(reversed(node.args), reversed(node.defaults), strict=False):
                found.setdefault(one.arg, []).append(default)
    return found


def _match(target: ast.expr, value: ast.expr, found: _Given) -> None:
    if isinstance(target, ast.Name):
        found.setdefault(target.id, []).append(value)
    elif isinstance(target, ast.Tuple):
        for choice in (value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,):
            if isinstance(choice, ast.Tuple):
                for one, held in zip(target.elts, choice.elts, strict=False):
                    _match(one, held, found)


def _texts(value: ast.expr | None, given: _Given) -> Iterator[str]:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    elif isinstance(value, ast.JoinedStr):
        parts = (one.value if isinstance(one, ast.Constant) else "…" for one in value.values)
        yield "".join(str(part) for part in parts)
    elif isinstance(value, ast.IfExp):
        yield from chain(_texts(value.body, given), _texts(value.orelse, given))
    elif isinstance(value, ast.Name) and value.id in given:
        others = {name: held for name, held in given.items() if name != value.id}
        for held in given[value.id]:
            yield from _texts(held, others)
