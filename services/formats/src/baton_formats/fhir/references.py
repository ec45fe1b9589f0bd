"""Which resource of a body a reference means: by address, by type and id, by version, by number."""

# FHIR R4 4.0.1, Bundle, "Resolving references in Bundles" (2.36.4) and References (2.3.0.1).

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from baton_formats.fhir.elements import TARGETS
from baton_formats.fhir.tree import Node, Path
from baton_formats.times import parse_iso

_LITERAL: Final = re.compile(r"(?:(.*)/)?([A-Z][A-Za-z]+)/([^/|#]+)")
_VERSION: Final = re.compile(r"/_history/([^/]*)$")
_ANY_VERSION: Final = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)/([^/|#]+)(?:/_history/[^/]+)?")


def split_version(reference: str) -> tuple[str, str | None]:
    """A reference without its version, and the version."""
    match = _VERSION.search(reference) if "/_history/" in reference else None
    return (reference[: match.start()], match.group(1)) if match else (reference, None)


def kind_of(reference: str | None) -> str | None:
    """The resource type a literal reference names, from its text alone."""
    match = _ANY_VERSION.fullmatch(reference) if reference else None
    return match.group(1) if match else None


def logical_id(reference: str | None) -> str | None:
    """The logical id a literal reference ends in, without its version."""
    match = _ANY_VERSION.fullmatch(reference) if reference else None
    return match.group(2) if match else None


def server_of(address: str | None) -> str | None:
    """The base of a RESTful address (``http://a.example/fhir``); None for a urn and for a relative one."""
    match = _LITERAL.fullmatch(split_version(address)[0]) if address else None
    return (match.group(1) or None) if match else None


def type_of(resource: Any) -> str | None:
    """The resourceType, if it is a text."""
    kind = resource.get("resourceType") if type(resource) is dict else None
    return kind if type(kind) is str and kind else None


def bundle_of(path: Path) -> Path:
    """The path of the Bundle around the resource at this path; None outside of any."""
    while path is not None and path[1] != "entry":
        path = path[0]
    return path[0] if path is not None else None


def version_of(node: Node) -> str | None:
    """meta.versionId, if it is a text."""
    meta = node.value.get("meta")
    found = meta.get("versionId") if type(meta) is dict else None
    return found if type(found) is str and found else None


class Editions:
    """The resources of one name in one Bundle: one as a rule, several where a history came along."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes
        self._by_version: dict[str, Node] | None = None
        self._newest: tuple[Node, bool] | None = None

    def version(self, wanted: str) -> Node | None:
        """The resource of this version."""
        if self._by_version is None:
            self._by_version = {}
            for node in self.nodes:
                said = version_of(node)
                if said is not None:
                    self._by_version.setdefault(said, node)
        return self._by_version.get(wanted)

    def newest(self) -> tuple[Node, bool]:
        """The resource as it is now, and whether that is certain."""
        if self._newest is None:
            self._newest = _newest(self.nodes) if len(self.nodes) > 1 else (self.nodes[0], True)
        return self._newest


def _newest(nodes: list[Node]) -> tuple[Node, bool]:
    """By the time of the last change, else by the number of the version, else the first of a history."""
    for said in (_changed, _counted):
        ranks = [said(node) for node in nodes]
        known = [rank for rank in ranks if rank is not None]
        if len(known) == len(nodes) and known.count(top := max(known)) == 1:
            return nodes[ranks.index(top)], True
    holder = nodes[0].body.bundle_at(nodes[0].path)
    return nodes[0], holder is not None and holder.get("type") == "history"


def _changed(node: Node) -> datetime | None:
    meta = node.value.get("meta")
    text = meta.get("lastUpdated") if type(meta) is dict else None
    return parse_iso(text).instant() if type(text) is str else None


def _counted(node: Node) -> int | None:
    said = version_of(node)
    return int(said) if said is not None and said.isascii() and said.isdigit() and len(said) < 19 else None


class _Doubtful:
    """What was found out about names that more than one resource has, or one of no server; hardly any has."""

    def __init__(self) -> None:
        self.bare: dict[str, list[Node]] = {}
        self.editions: dict[int, dict[int, Editions]] = {}


class Directory:
    """Where the resources of a body are found.

    A reference means what stands at its very address. A relative one is seen from the address of the entry it
    stands in; only where one of the two has no server are type and id enough, and where the other has one,
    that is a doubt. A resource of another server is never taken. ``named`` are the resources by type and id.
    """

    __slots__ = ("_addresses", "_at", "_doubtful", "_numbers", "_servers", "named")

    def __init__(self) -> None:
        self._numbers: _Numbers | None = None
        self._doubtful: _Doubtful | None = None
        self._at: dict[str, list[Node]] = {}
        self.named: dict[str, list[Node]] = {}
        self._addresses: dict[int, str] = {}
        self._servers: dict[int, str | None] = {}

    def put(self, node: Node, address: str) -> Node | None:
        """Make a resource findable by its address; the one that had this address in the same Bundle, if any.

        Several versions may share one address.
        """
        if "/_history/" in address:
            address = split_version(address)[0]
        if address[:4] != "urn:":
            self._addresses.setdefault(id(node.value), address)
        held = self._at.get(address)
        if held is None:
            self._at[address] = [node]
            return None
        last = held[-1]
        if last is node:
            return None
        held.append(node)
        same = bundle_of(last.path) is bundle_of(node.path)
        versions = (version_of(last), version_of(node))
        return last if same and (None in versions or versions[0] == versions[1]) else None

    def server(self, resource: Any) -> str | None:
        """The server that the entry of a resource names in its address."""
        if not self._addresses:
            return None
        key = id(resource)
        if key in self._servers:
            return self._servers[key]
        found = self._servers[key] = server_of(self._addresses.get(key))
        return found

    def find(self, reference: str, pointer: Node) -> Node | None:
        """What a literal reference means."""
        held = self._at.get(reference)
        if held is not None and len(held) == 1:
            return held[0]
        loose = held is None and reference not in self.named and reference.count("/") < 2
        if loose and (not self._addresses or self.server(pointer.resource) is None):
            return None  # neither an address nor a version, and nothing here has this name
        return self._search(reference, held, pointer)

    def _search(self, reference: str, held: list[Node] | None, pointer: Node) -> Node | None:
        plain, version = split_version(reference) if "/_history/" in reference else (reference, None)
        if held is None and version is not None:
            held = self._at.get(plain)
        if held is None and "/" in plain:
            held = self._by_name(plain, pointer)
        if not held:
            return None
        return held[0] if version is None and len(held) == 1 else self._edition(held, version, pointer)

    def standing_at(self, address: str, node: Node) -> Node | None:
        """The resource with the address that an element of ``node`` gives, if any. Promises nothing."""
        held = self._at.get(address)
        if held is not None:
            return held[0]
        match = _LITERAL.fullmatch(address)
        if match is None or match.group(1):
            return None
        server = self.server(node.resource)
        if server is not None and (held := self._at.get(f"{server}/{address}")) is not None:
            return held[0]
        named = self.named.get(address, [])[:_MAX_TWINS]
        if server is None and named and not self._of_several_servers(named):
            return named[0]
        return next((one for one in named if self.server(one.value) is None), None)

    def _by_name(self, reference: str, pointer: Node) -> list[Node] | None:
        match = _LITERAL.fullmatch(reference)
        if match is None:
            return None
        address, kind, logical = match.groups()
        name = f"{kind}/{logical}" if address is not None else reference
        server = address or self.server(pointer.resource)
        held = self._at.get(f"{server}/{name}") if server else self.named.get(name)
        if held is not None or name not in self.named or not server:
            return held
        known = self._in_doubt().bare
        bare = known.get(name)
        if bare is None:
            bare = known[name] = [one for one in self.named[name] if self.server(one.value) is None]
        if bare:
            detail = "this was matched by type and id alone; the entry does not say its server"
            pointer.doubt("reference-by-id", detail, "reference")
        else:
            detail = "what has this type and id here is another server's and was not taken"
            pointer.doubt("other-server", detail, "reference")
        return bare

    def _edition(self, held: list[Node], version: str | None, pointer: Node) -> Node | None:
        """Of several resources of one name the nearest, and of its versions the one that is meant."""
        editions = self._nearest(held, pointer)
        if editions is None:
            return None
        found = editions.version(version) if version is not None else None
        if found is not None:
            return found
        found, certain = editions.newest()
        if version is not None:
            detail = "the version referred to is not here, or does not say that it is; another was taken"
            pointer.doubt("other-version", detail, "reference")
        elif not certain:
            detail = "more than one resource answers to this; the first was taken"
            pointer.doubt("ambiguous-reference", detail, "reference")
        return found

    def _nearest(self, held: list[Node], pointer: Node) -> Editions | None:
        """Those in the innermost Bundle around the pointer; none where several servers are left."""
        known = self._in_doubt().editions
        by_bundle = known.get(id(held))
        if by_bundle is None:
            by_bundle = known[id(held)] = _by_bundle(held)
        near = _around(by_bundle, pointer.path) if len(by_bundle) > 1 else next(iter(by_bundle.values()))
        if near is None:
            detail = "resources of several Bundles answer to this; the first was taken"
            pointer.doubt("ambiguous-reference", detail, "reference")
            near = next(iter(by_bundle.values()))
        if len(near.nodes) > 1 and not self.server(pointer.resource) and self._of_several_servers(near.nodes):
            detail = "resources of several servers answer to this; none was taken"
            pointer.doubt("ambiguous-reference", detail, "reference")
            return None
        return near

    def _in_doubt(self) -> _Doubtful:
        if self._doubtful is None:
            self._doubtful = _Doubtful()
        return self._doubtful

    def _of_several_servers(self, nodes: list[Node]) -> bool:
        first = self.server(nodes[0].value)
        return any(self.server(node.value) != first for node in nodes[:_MAX_TWINS])

    def by_number(self, pointer: Node, nodes: Sequence[Node]) -> Node | None:
        """What a reference by business identifier alone means, among the types its element may point at."""
        own = pointer.value.get("identifier")
        key = number_key(own[0] if isinstance(own, list) and own else own)
        if key is None:
            return None
        if self._numbers is None:
            self._numbers = _Numbers(nodes)
        said = pointer.value.get("type")
        kinds = (said,) if isinstance(said, str) and said else TARGETS.get(_element(pointer.path))
        found, certain = self._numbers.find(key, kinds, id(pointer.resource))
        if not certain:
            taken = "none" if found is None else "the first"
            detail = f"more than one resource has this number; {taken} was taken"
            pointer.doubt("ambiguous-reference", detail, "identifier")
        return found


_MAX_TWINS: Final = 8
"""Resources of one name that are compared; more of them tell nothing new."""


def _by_bundle(nodes: Iterable[Node]) -> dict[int, Editions]:
    found: dict[int, list[Node]] = {}
    for node in nodes:
        found.setdefault(id(bundle_of(node.path)), []).append(node)
    return {key: Editions(held) for key, held in found.items()}


def _around(by_bundle: dict[int, Editions], path: Path) -> Editions | None:
    holder = bundle_of(path)
    while holder is not None:
        if id(holder) in by_bundle:
            return by_bundle[id(holder)]
        holder = bundle_of(holder)
    return None


def _element(path: Path) -> str:
    """The name of the element at a path."""
    while path is not None:
        path, step = path
        if isinstance(step, str):
            return step
    return ""


# ---- numbers -----------------------------------------------------------------------------------------------

NumberKey = tuple[str | None, str]


def number_key(number: Any) -> NumberKey | None:
    """System and value of an Identifier; None if it has no value."""
    if not isinstance(number, dict):
        return None
    system, value = number.get("system"), number.get("value")
    if not isinstance(value, str) or not value or not isinstance(system, str | None):
        return None
    return system, value


def numbers_of(resource: Any) -> list[NumberKey]:
    """The numbers of a resource."""
    held = resource.get("identifier")
    return [key for one in held if (key := number_key(one)) is not None] if isinstance(held, list) else []


_Found = tuple[Node | None, bool]


class _Numbers:
    """Resources by business identifier: those inside the pointer's own first, then those of entries."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._entries: dict[NumberKey, list[Node]] = {}
        self._inside: dict[tuple[NumberKey, int], list[Node]] = {}
        self._elsewhere: dict[NumberKey, list[Node]] = {}
        self._by_kind: dict[int, dict[str | None, list[Node]]] = {}
        self._known: dict[tuple[int, str | None], _Found] = {}
        for node in nodes:
            contained = _is_contained(node.path)
            for key in numbers_of(node.value):
                if contained:
                    self._inside.setdefault((key, id(node.resource)), []).append(node)
                (self._elsewhere if contained else self._entries).setdefault(key, []).append(node)

    def find(self, key: NumberKey, kinds: tuple[str, ...] | None, container: int) -> _Found:
        """The one resource with this number; whether there is no doubt which one, or that there is none."""
        for held in (self._inside.get((key, container)), self._entries.get(key), self._elsewhere.get(key)):
            if held:
                found = self._pick(held, kinds)
                if found != (None, True):
                    return found
        return None, True

    def _pick(self, held: list[Node], kinds: tuple[str, ...] | None) -> _Found:
        """The only resource of the first type that has any, in its newest version."""
        by_kind = self._by_kind.get(id(held))
        if by_kind is None:
            by_kind = self._by_kind[id(held)] = {None: held}
            for node in held:
                by_kind.setdefault(type_of(node.value), []).append(node)
        kind = next((kind for kind in kinds or (None,) if kind in by_kind), "")
        fitting = by_kind.get(kind)
        if fitting is None:
            return None, True
        known = self._known.get((id(held), kind))
        if known is None:
            known = self._known[(id(held), kind)] = _the_one(fitting)
        return known


def _the_one(nodes: list[Node]) -> _Found:
    first = nodes[0].value
    others = [node for node in nodes if node.value != first]
    if not others:
        return nodes[0], True
    name = (first.get("resourceType"), first.get("id"))
    if name[1] is None or any((n.value.get("resourceType"), n.value.get("id")) != name for n in others):
        return None, False
    return _newest([nodes[0], *others])


def _is_contained(path: Path) -> bool:
    return path is not None and path[0] is not None and path[0][1] == "contained"
