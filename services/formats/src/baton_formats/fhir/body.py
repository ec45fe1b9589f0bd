"""One FHIR body as a graph: its resources, how they point at each other, and what was doubtful about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, TypeVar

from baton_formats.facts import Identifier, Link
from baton_formats.fhir.datatypes import identifier, identifiers
from baton_formats.fhir.flat import one, text, usual
from baton_formats.fhir.profiles import PLAIN, Profile
from baton_formats.fhir.strict_json import ExactNumbers
from baton_formats.fhir.tree import Doubts, Node, Path, Resource, steps_of
from baton_formats.values import maker_of

T = TypeVar("T")

_LINK = maker_of(Link)
_Pointer = tuple[str | None, str | None, Identifier | None, str | None]


def _pointer(
    reference: str | None, kind: str | None, number: Identifier | None, display: str | None
) -> _Pointer:
    return reference, kind, number, display


_USUAL_POINTER = usual(
    _pointer, text("reference"), text("type"), one("identifier", identifier), text("display")
)
_LITERAL = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)/([^/|#]+)(?:/_history/[^/]+)?")
_VERSION = re.compile(r"/_history/[^/]*$")
_CLOSED_BUNDLES = frozenset({"message", "document", "collection"})

_UNREAD: Any = object()

_MAX_TWINS = 8
"""Resources of one name that are compared; more of them tell nothing new."""

MAX_RESOURCES = 20_000
"""Resources of one body that are looked at; a Bundle that holds more is no referral."""


class Body:
    """Every resource of a body with its place, and the way from a reference to what it means."""

    entries = 0
    _nested = False
    _roles: dict[int, list[Node]] | None = None
    _tasks: dict[int, Node] | None = None
    _numbered: dict[tuple[str | None, str | None, str], Node] | None = None
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
        self._by_url: dict[str, Node] = {}
        self._by_type_and_id: dict[str, list[Node]] = {}
        self._by_type: dict[str, list[Node]] = {}
        self._contained: dict[int, dict[str, Node]] = {}
        self._opens: dict[int, Node] = {}
        self._targets: dict[int, Node | None] = {}
        self._links: dict[int, Link] = {}
        kind = _type_of(root)
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
            self._register(node, kind, full_url)
        elif node is self.root:
            self._gather_hook(node)
        else:
            self.doubts.add("resource-without-type", node.path, "a resource does not say what it is")
        if kind == "Bundle":
            self._gather_bundle(node)
            self._nested = self._nested or node is not self.root
        elif kind == "Parameters":
            self._gather_parameters(node)
        if "contained" in node.value:
            self._gather_contained(node)

    def _register(self, node: Node, kind: str, full_url: str | None) -> None:
        """Make a resource findable; one that says the same as an earlier one under its name adds nothing."""
        logical = node.value.get("id")
        if type(logical) is str and self._has_a_twin(node, f"{kind}/{logical}"):
            return
        self.nodes.append(node)
        self._by_type.setdefault(kind, []).append(node)
        if full_url:
            other = self._by_url.setdefault(full_url, node)
            if other is not node and self.closed and _same_bundle(other, node):
                self.doubts.add("duplicate-full-url", node.path, "two entries here have the same fullUrl")

    def _has_a_twin(self, node: Node, name: str) -> bool:
        """Whether a resource of this name says the same already; otherwise it is kept under its name."""
        twins = self._by_type_and_id.get(name)
        if twins is None:
            self._by_type_and_id[name] = [node]
            return False
        if any(twin.value == node.value for twin in twins[:_MAX_TWINS]):
            return True
        if self.closed and _same_bundle(twins[-1], node):
            self.doubts.add("duplicate-id", (node.path, "id"), "two resources here have the same type and id")
        twins.append(node)
        return False

    def _gather_bundle(self, bundle: Node) -> None:
        entries = bundle.children("entry")
        if bundle is self.root:
            self.entries = len(entries)
        opened = False
        for entry in entries:
            resource = self._entry_resource(entry)
            if resource is None:
                continue
            kind = _type_of(resource.value)
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
                self._gather(resource, _type_of(resource.value), None)
            if "part" in parameter.value:
                self._gather_parameters(parameter)

    def _gather_hook(self, request: Node) -> None:
        """The resources of a CDS Hooks request: drafts in its context, what was fetched before."""
        for name in ("context", "prefetch"):
            holder = request.child(name)
            for member in holder.value if holder is not None else ():
                value = holder.value[member] if holder is not None else None
                if holder is not None and isinstance(value, dict) and "resourceType" in value:
                    self._gather(Node(value, (holder.path, member), value, self), _type_of(value), None)

    def _inline(self, node: Node, name: str) -> Node | None:
        value = node.value.get(name)
        return Node(value, (node.path, name), value, self) if isinstance(value, dict) else None

    def _gather_contained(self, container: Node) -> None:
        known = self._contained.setdefault(id(container.value), {})
        for child in container.children("contained"):
            if len(self.nodes) >= MAX_RESOURCES:
                return
            kind, logical = _type_of(child.value), child.value.get("id")
            if kind is None:
                child.doubt("resource-without-type", "a contained resource does not say what it is")
                continue
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
            return self._by_identifier(pointer)
        if reference[0] == "#":
            return self._in_container(pointer, reference[1:])
        found = self._literal(reference, pointer)
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

    def standing_at(self, address: str) -> Node | None:
        """The resource of this body with this address, if any; an attachment's address promises nothing."""
        found = self._by_url.get(address)
        match = _LITERAL.fullmatch(address) if found is None else None
        twins = self._by_type_and_id.get(f"{match.group(1)}/{match.group(2)}", []) if match else []
        return found or (twins[0] if twins else None)

    def _in_container(self, pointer: Node, logical: str) -> Node | None:
        if not logical:
            return Node(pointer.resource, self.root.path, pointer.resource, self)
        found = self._contained.get(id(pointer.resource), {}).get(logical)
        if found is None:
            pointer.doubt("dangling-reference", "no contained resource has this id", "reference")
        return found

    def _literal(self, reference: str, pointer: Node) -> Node | None:
        if reference[0] == ":":
            pointer.doubt(
                "malformed-reference", "a reference begins with a colon; urn was put before it", "reference"
            )
            reference = "urn" + reference
        found = self._by_url.get(reference)
        if found is not None and not self._nested:
            return found
        steps = reference.count("/")
        if steps < 2 and not (steps and reference in self._by_type_and_id):
            # Neither an address nor a version, and nothing here has this name: the usual loose end.
            return found
        match = _LITERAL.fullmatch(reference)
        if match is None:
            return found or self._by_url.get(_VERSION.sub("", reference))
        twins = self._by_type_and_id.get(f"{match.group(1)}/{match.group(2)}", [])
        return self._nearest(twins, pointer) if len(twins) > 1 else (found or (twins[0] if twins else None))

    def _nearest(self, twins: list[Node], pointer: Node) -> Node:
        """Of several resources with one name, the one in the innermost Bundle around the pointer."""
        holder: Path = pointer.path
        while holder is not None:
            near = [twin for twin in twins[:_MAX_TWINS] if _bundle_path(twin.path) is holder]
            if len(near) > 1:
                detail = "more than one resource answers to this; the first was taken"
                pointer.doubt("ambiguous-reference", detail, "reference")
            if near:
                return near[0]
            holder = holder[0]
        return twins[0]

    def _by_identifier(self, pointer: Node) -> Node | None:
        own = pointer.value.get("identifier")
        if own is None:
            return None
        own = own[0] if isinstance(own, list) and own else own
        key = _number_key(own)
        if key is None:
            return None
        if self._numbered is None:
            self._numbered = _numbered(self.nodes)
        kind = pointer.value.get("type")
        return self._numbered.get((kind if isinstance(kind, str) else None, *key))

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
            return _LINK(reference, _type_of(target.value), number, shown, True)
        return _LINK(reference, kind or kind_of(reference), number, shown, False if self.closed else None)

    def _odd_link(self, pointer: Node) -> Link:
        reference = pointer.text("reference")
        target = self.follow(pointer)
        if target is not None:
            kind = _type_of(target.value)
        else:
            kind = pointer.text("type") or kind_of(reference)
        number = pointer.one("identifier", identifier)
        resolved = True if target is not None else (False if self.closed else None)
        return Link(reference, kind, number, pointer.text("display"), resolved)

    def exactly(self, node: Node, name: str) -> Decimal | int | str | None:
        """A number with every digit the sender wrote; the text of the body is read again only for this."""
        value = node.value.get(name)
        if not isinstance(value, float) or self._exact is None:
            return value if isinstance(value, int | str) else None
        steps = steps_of((node.path, name))[1:]
        found = self._exact_entry(steps)
        if found is None:
            found = self._exact.whole()
        else:
            steps = steps[3:]
        for step in steps:
            found = found[step]
        return found if isinstance(found, Decimal | int) else None

    def _exact_entry(self, steps: list[str | int]) -> Any:
        """The entry of the outermost Bundle that a path leads into, with every digit, if it stands apart."""
        if self._exact is None or len(steps) < 4 or steps[0] != "entry" or steps[2] != "resource":
            return None
        entry = self.root.value["entry"][steps[1]]
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
                key = (str(_type_of(other.value)), id(_bundle_path(other.path)))
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


def _bundle_path(path: Any) -> Path:
    """The path of the Bundle whose ``entry[n].resource`` this is."""
    for _ in range(3):
        if path is None:
            return None
        path = path[0]
    found: Path = path
    return found


def _same_bundle(one: Node, other: Node) -> bool:
    return _bundle_path(one.path) is _bundle_path(other.path)


def _pointers(node: Node, names: tuple[str, ...]) -> Iterator[Node]:
    for name in names:
        if name in node.value:
            yield from (
                node.children(name)
                if isinstance(node.value[name], list)
                else filter(None, [node.child(name)])
            )


def _type_of(resource: Any) -> str | None:
    kind = resource.get("resourceType") if type(resource) is dict else None
    return kind if type(kind) is str and kind else None


def kind_of(reference: str | None) -> str | None:
    """The resource type a literal reference names, from its text alone."""
    match = _LITERAL.fullmatch(reference) if reference else None
    return match.group(1) if match else None


def logical_id(reference: str | None) -> str | None:
    """The logical id a literal reference ends in, without its version."""
    match = _LITERAL.fullmatch(reference) if reference else None
    return match.group(2) if match else None


def _is_elsewhere(reference: str) -> bool:
    """Whether a reference may well mean something on a server: an absolute address, never a urn."""
    return reference.startswith(("http://", "https://"))


_NumberKey = tuple[str | None, str]


def _number_key(number: Any) -> _NumberKey | None:
    if not isinstance(number, dict):
        return None
    system, value = number.get("system"), number.get("value")
    if not isinstance(value, str) or not value or not isinstance(system, str | None):
        return None
    return system, value


def _numbered(nodes: list[Node]) -> dict[tuple[str | None, str | None, str], Node]:
    """The first resource of each type, and of any type, that has a number."""
    found: dict[tuple[str | None, str | None, str], Node] = {}
    for node in nodes:
        numbers = node.value.get("identifier")
        for number in numbers if isinstance(numbers, list) else ():
            key = _number_key(number)
            if key is not None:
                found.setdefault((_type_of(node.value), *key), node)
                found.setdefault((None, *key), node)
    return found


def identifiers_of(target: Node | None) -> tuple[Identifier, ...]:
    """The business identifiers of a resource."""
    return identifiers(target) if target is not None else ()


__all__ = ["MAX_RESOURCES", "Body", "Path", "identifiers_of", "kind_of", "logical_id"]
