"""One FHIR body as a graph: its resources, how they point at each other, and what was doubtful about it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from decimal import Decimal
from itertools import chain, islice
from typing import Any, TypeVar

from baton_formats.facts import Identifier, Link
from baton_formats.fhir.bundles import look_at_bundle
from baton_formats.fhir.datatypes import identifier
from baton_formats.fhir.flat import one, text, usual
from baton_formats.fhir.profiles import PLAIN, Profile
from baton_formats.fhir.references import (
    Directory,
    bundle_of,
    kind_of,
    logical_id,
    server_of,
    type_of,
    version_of,
)
from baton_formats.fhir.resource_types import KNOWN_TYPES
from baton_formats.fhir.strict_json import ExactNumbers
from baton_formats.fhir.tree import Doubts, Node, Path, Resource, steps_of
from baton_formats.values import maker_of

T = TypeVar("T")
V = TypeVar("V", bound=Hashable)

_LINK = maker_of(Link)
_Pointer = tuple[str | None, str | None, Identifier | None, str | None]


def _pointer(
    reference: str | None, kind: str | None, number: Identifier | None, display: str | None
) -> _Pointer:
    return reference, kind, number, display


_USUAL_POINTER = usual(
    _pointer, text("reference"), text("type"), one("identifier", identifier), text("display")
)
_CLOSED_BUNDLES = frozenset({"message", "document", "collection"})

_UNREAD: Any = object()

_MAX_TWINS = 8
"""Resources of one name that are compared; more of them tell nothing new."""

_UNKNOWN_TYPE = "FHIR has no resource of this type; it was left aside"

MAX_RESOURCES = 20_000
"""Resources of one body that are looked at; a Bundle that holds more is no referral."""


class Body:
    """Every resource of a body with its place, and the way from a reference to what it means."""

    entries = 0
    _roles: dict[int, list[Node]] | None = None
    _tasks: dict[int, Node] | None = None
    _holders: dict[int, Node] | None = None
    _bundles: dict[int, Node] | None = None
    _equal: dict[Hashable, Any] | None = None
    _beside: dict[tuple[str, int], list[Node]] | None = None

    def __init__(
        self, root: Resource, *, bare_lists: bool = False, exact: ExactNumbers | None = None
    ) -> None:
        self._exact = exact
        self.doubts = Doubts()
        self.bare_lists = bare_lists
        self.profile: Profile = PLAIN
        self.nodes: list[Node] = []
        self.memo: dict[tuple[str, int], Any] = {}
        self._directory = Directory()
        self._by_type: dict[str, list[Node]] = {}
        self._contained: dict[int, dict[str, Node]] = {}
        self._opens: dict[int, Node] = {}
        self._targets: dict[int, Node | None] = {}
        self._links: dict[int, Link] = {}
        kind = type_of(root)
        self.root = Node(root, (None, kind or "Resource"), root, self)
        self.closed = kind == "Bundle" and str(root.get("type")) in _CLOSED_BUNDLES
        self._gather(self.root, kind, None)

    def release(self) -> None:
        """Let go of all it holds, when reading is over.

        Nodes know their body and the body its nodes; without this the whole parsed text would stay in memory
        until the cycle collector finds it.
        """
        vars(self).clear()

    # ---- gathering -------------------------------------------------------------------------------------

    def _gather(self, node: Node, kind: str | None, full_url: str | None) -> None:
        if len(self.nodes) >= MAX_RESOURCES:
            self.doubts.add("too-many-resources", node.path, "the rest of this body was not looked at")
            return
        if kind is not None:
            if kind not in KNOWN_TYPES:
                self.doubts.add("unknown-resource-type", node.path, _UNKNOWN_TYPE)
            self._register(node, kind, full_url)
        elif node is self.root:
            self._gather_hook(node)
        else:
            self.doubts.add("resource-without-type", node.path, "a resource does not say what it is")
        if kind == "Bundle":
            self._gather_bundle(node)
        elif kind == "Parameters":
            self._gather_parameters(node)
        if "contained" in node.value:
            self._gather_contained(node)

    def _register(self, node: Node, kind: str, full_url: str | None) -> None:
        """Make a resource findable; one that says the same as an earlier one under its name adds nothing."""
        logical = node.value.get("id")
        twin = None
        if type(logical) is str:
            named = self._directory.named
            if (name := f"{kind}/{logical}") in named:
                twin = self._twin(node, name, full_url)
            else:
                named[name] = [node]
        if twin is None:
            self.nodes.append(node)
            self._by_type.setdefault(kind, []).append(node)
        if full_url:
            other = self._directory.put(twin or node, full_url)
            if other is not None and self.closed:
                self.doubts.add("duplicate-full-url", node.path, "two entries here have the same fullUrl")

    def _twin(self, node: Node, name: str, full_url: str | None) -> Node | None:
        """A resource of this name that says the same already; if there is none, the node is kept under it.

        Those of two servers only look alike: what they refer to is not the same.
        """
        twins = self._directory.named[name]
        server = server_of(full_url)
        near = [twin for twin in twins[:_MAX_TWINS] if self._directory.server(twin.value) in (server, None)]
        for twin in near:
            if twin.value == node.value:
                return twin
        if self.closed and near and self._is_the_same_again(near[-1], node):
            detail = "two resources here have the same type and id"
            self.doubts.add("duplicate-id", (node.path, "id"), detail)
        twins.append(node)
        return None

    def _is_the_same_again(self, other: Node, node: Node) -> bool:
        versions = (version_of(other), version_of(node))
        in_one = bundle_of(other.path) is bundle_of(node.path)
        return in_one and (None in versions or versions[0] == versions[1])

    def _gather_bundle(self, bundle: Node) -> None:
        entries = bundle.children("entry")
        look_at_bundle(bundle, entries)
        if bundle is self.root:
            self.entries = len(entries)
        opened = False
        for entry in entries:
            resource = self._entry_resource(entry)
            if resource is None:
                continue
            kind = type_of(resource.value)
            if kind == "Composition" and not opened:
                opened = True
                self._opens[id(resource.value)] = bundle
            self._gather(resource, kind, entry.text("fullUrl") if "fullUrl" in entry.value else None)

    def _entry_resource(self, entry: Node) -> Node | None:
        value = entry.value.get("resource")
        if type(value) is dict:
            return Node(value, (entry.path, "resource"), value, self)
        if isinstance(entry.value.get("resourceType"), str):
            detail = "the entry holds its resource without the key resource"
            entry.doubt("entry-without-resource-key", detail)
            return Node(entry.value, entry.path, entry.value, self)
        response = entry.child("response")
        if response is not None and response.has("outcome"):
            return self._inline(response, "outcome")
        if self.closed:
            entry.doubt("entry-without-resource", "the entry holds no resource")
        return None

    def _gather_parameters(self, holder: Node) -> None:
        for parameter in holder.children("parameter") + holder.children("part"):
            if parameter.has("resource") and (resource := self._inline(parameter, "resource")) is not None:
                self._gather(resource, type_of(resource.value), None)
            if "part" in parameter.value:
                self._gather_parameters(parameter)

    def _gather_hook(self, request: Node) -> None:
        """The resources of a CDS Hooks request: drafts in its context, what was fetched before."""
        for name in ("context", "prefetch"):
            holder = request.child(name)
            for member in holder.value if holder is not None else ():
                value = holder.value[member] if holder is not None else None
                if holder is not None and isinstance(value, dict) and "resourceType" in value:
                    self._gather(Node(value, (holder.path, member), value, self), type_of(value), None)

    def _inline(self, node: Node, name: str) -> Node | None:
        value = node.value.get(name)
        return Node(value, (node.path, name), value, self) if isinstance(value, dict) else None

    def _gather_contained(self, container: Node) -> None:
        known = self._contained.setdefault(id(container.value), {})
        for child in container.children("contained"):
            if len(self.nodes) >= MAX_RESOURCES:
                return
            kind, logical = type_of(child.value), child.value.get("id")
            if kind is None:
                child.doubt("resource-without-type", "a contained resource does not say what it is")
                continue
            if kind not in KNOWN_TYPES:
                child.doubt("unknown-resource-type", _UNKNOWN_TYPE)
            self.nodes.append(child)
            if isinstance(logical, str):
                if logical in known:
                    child.doubt("duplicate-id", "two contained resources have the same id", "id")
                known.setdefault(logical.removeprefix("#"), child)

    # ---- pointing --------------------------------------------------------------------------------------

    def of_type(self, kind: str) -> list[Node]:
        """The resources of a type outside of ``contained``, in order."""
        return self._by_type.get(kind, [])

    def follow(self, pointer: Node) -> Node | None:
        """What a Reference means, if it is in this body; a broken promise of a closed Bundle is a doubt."""
        key = id(pointer.value)
        known: Node | None = self._targets.get(key, _UNREAD)
        if known is _UNREAD:
            known = self._targets[key] = self._follow(pointer)
        return known

    def _follow(self, pointer: Node) -> Node | None:
        reference = pointer.value.get("reference")
        if type(reference) is not str or not reference:
            return self._directory.by_number(pointer, self.nodes) if "identifier" in pointer.value else None
        if reference[0] == "#":
            return self._in_container(pointer, reference[1:])
        if reference[0] == ":":
            detail = "a reference begins with a colon; urn was put before it"
            pointer.doubt("malformed-reference", detail, "reference")
            reference = "urn" + reference
        found = self._directory.find(reference, pointer)
        if found is None and self.closed and not _is_elsewhere(reference):
            pointer.doubt("dangling-reference", "what this refers to is not in the Bundle", "reference")
        return found

    def targets(self, pointers: Iterable[Node]) -> list[Node]:
        """What several references mean, each resource once, however often it is pointed at."""
        found: dict[int, Node] = {}
        for pointer in pointers:
            target = self.follow(pointer)
            if target is not None:
                found.setdefault(id(target.value), target)
        return list(found.values())

    def standing_at(self, address: str, node: Node) -> Node | None:
        """The resource of this body with the address an element of ``node`` gives, if any.

        An attachment's address promises nothing, so there is no doubt where it leads outside.
        """
        return self._directory.standing_at(address, node)

    def server(self, node: Node) -> str | None:
        """The server that the entry around a node names in its fullUrl; None where it names none."""
        return self._directory.server(node.resource)

    def bundle_at(self, path: Path) -> Resource | None:
        """The Bundle in which the resource at this path is an entry."""
        if self._bundles is None:
            self._bundles = {id(bundle.path): bundle for bundle in self.of_type("Bundle")}
        holder = self._bundles.get(id(bundle_of(path)))
        return holder.value if holder is not None else None

    def _in_container(self, pointer: Node, logical: str) -> Node | None:
        if not logical:
            return self._holder(pointer)
        found = self._contained.get(id(pointer.resource), {}).get(logical)
        if found is None:
            pointer.doubt("dangling-reference", "no contained resource has this id", "reference")
        return found

    def _holder(self, pointer: Node) -> Node | None:
        """The resource a pointer stands in, or that contains the one it stands in."""
        if self._holders is None:
            self._holders = {id(node.value): node for node in self.nodes}
        return self._holders.get(id(pointer.resource))

    def link(self, pointer: Node) -> Link:
        """The pointer itself as a value, with what is known about its target."""
        key = id(pointer.value)
        found = self._links.get(key)
        if found is None:
            found = self._links[key] = self._link(pointer)
        return found

    def _link(self, pointer: Node) -> Link:
        plain = _USUAL_POINTER(pointer.value)
        if plain is None:
            return self._odd_link(pointer)
        reference, kind, number, shown = plain
        target = self.follow(pointer)
        if target is not None:
            return _LINK(reference, type_of(target.value), number, shown, True)
        return _LINK(reference, kind or kind_of(reference), number, shown, False if self.closed else None)

    def _odd_link(self, pointer: Node) -> Link:
        reference = pointer.text("reference")
        target = self.follow(pointer)
        if target is not None:
            kind = type_of(target.value)
        else:
            kind = pointer.text("type") or kind_of(reference)
        number = pointer.one("identifier", identifier)
        resolved = True if target is not None else (False if self.closed else None)
        return Link(reference, kind, number, pointer.text("display"), resolved)

    def exactly(self, node: Node, name: str) -> Decimal | int | str | None:
        """A number with every digit the sender wrote; the text of the body is read again only for this."""
        value = node.value.get(name)
        if not isinstance(value, float):
            return value if isinstance(value, int | str) else None
        found = self.as_written(node, name)
        return found if isinstance(found, Decimal | int) else str(found)

    def as_written(self, node: Node, name: str) -> Any:
        """Any element, all numbers in it with every digit; without a text to read again, as it is."""
        value = node.value.get(name)
        if self._exact is None:
            return value
        steps = steps_of((node.path, name))[1:]
        found = self._exact_entry(steps)
        if found is None:
            found = self._exact.whole()
        else:
            steps = steps[3:]
        for step in steps:
            try:
                found = found[step]
            except (LookupError, TypeError):  # no place of the text: whoever asks has made its path up
                return value
        return found

    def _exact_entry(self, steps: list[str | int]) -> Any:
        """The entry of the outermost Bundle that a path leads into, with every digit, if it stands apart."""
        if self._exact is None or len(steps) < 4 or steps[0] != "entry" or steps[2] != "resource":
            return None
        entries = self.root.value["entry"]
        if not isinstance(entries, list) or not isinstance(steps[1], int):
            return None
        entry = entries[steps[1]]
        full_url = entry.get("fullUrl")
        return self._exact.resource(full_url, entry["resource"]) if isinstance(full_url, str) else None

    def document_of(self, composition: Node) -> Node | None:
        """The document Bundle a Composition opens: it is the first of its Bundle."""
        return self._opens.get(id(composition.value))

    def beside(self, node: Node, kind: str) -> list[Node]:
        """The resources of a type in the same Bundle as this one."""
        holder = self.document_of(node)
        if holder is None:
            return []
        if self._beside is None:
            self._beside = {}
            for other in self.nodes:
                key = (str(type_of(other.value)), id(bundle_of(other.path)))
                self._beside.setdefault(key, []).append(other)
        return self._beside.get((kind, id(holder.path)), [])

    def once(self, what: str, node: Node, read: Callable[[Node], T]) -> T:
        """What ``read`` says of a node, asked only once per body."""
        key = (what, id(node.value))
        known = self.memo.get(key, _UNREAD)
        if known is _UNREAD:
            known = self.memo[key] = read(node)
        found: T = known
        return found

    def same(self, value: V) -> V:
        """The first value of this body that equals this one, so that equal ones can be told by identity.

        To compare what a thousand resources share by its content, again for each of them, would cost the
        square.
        """
        if self._equal is None:
            self._equal = {}
        found: V = self._equal.setdefault(value, value)
        return found

    def joined(self, parts: Iterable[tuple[T, ...]], node: Node, step: str, *, most: int) -> tuple[T, ...]:
        """What several resources say, one after the other: the very same tuple where only one says anything.

        At most so many, with a doubt: what many facts share must not multiply by their number.
        """
        held = [part for part in parts if part]
        if len(held) == 1 and len(held[0]) <= most:
            return held[0]
        found = tuple(islice(chain.from_iterable(held), most + 1))
        if len(found) > most:
            node.doubt("list-too-long", f"only the first {most} of what this points at were taken", step)
        return found[:most]

    def role_of(self, practitioner: Node) -> Node | None:
        """The one PractitionerRole of the body that is played by this Practitioner."""
        if "PractitionerRole" not in self._by_type:
            return None
        if self._roles is None:
            self._roles = {}
            for role in self.of_type("PractitionerRole"):
                pointer = role.child("practitioner")
                target = self.follow(pointer) if pointer is not None else None
                if target is not None:
                    self._roles.setdefault(id(target.value), []).append(role)
        found = self._roles.get(id(practitioner.value), [])
        return found[0] if len(found) == 1 else None

    def tasks_about(self, resource: Resource) -> Node | None:
        """The Task whose focus or basedOn is this resource."""
        if self._tasks is None:
            self._tasks = {}
            for task in self.of_type("Task"):
                for pointer in _pointers(task, ("focus", "basedOn")):
                    target = self.follow(pointer)
                    if target is not None:
                        self._tasks.setdefault(id(target.value), task)
        return self._tasks.get(id(resource))


def _pointers(node: Node, names: tuple[str, ...]) -> Iterator[Node]:
    for name in names:
        if name in node.value:
            yield from (
                node.children(name)
                if isinstance(node.value[name], list)
                else filter(None, [node.child(name)])
            )


def _is_elsewhere(reference: str) -> bool:
    """Whether a reference may well mean something on a server: an absolute address, never a urn."""
    return reference.startswith(("http://", "https://"))


__all__ = ["MAX_RESOURCES", "Body", "Path", "kind_of", "logical_id"]
