"""What is being written: the resources so far, how they point at each other, what FHIR cannot say."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson

from baton_formats.facts import Attachment, Fact, Identifier, Link
from baton_formats.fhir.allowed import is_pointer
from baton_formats.fhir.compose import ABSENT, Json, filled, identifier, words, zone_of
from baton_formats.fhir.profiles import Profile
from baton_formats.findings import Finding

NAMESPACE: Final = uuid.UUID("6f1d2f1e-54cb-5a0c-9c5e-0d3f3b1f4a77")
_VERSION: Final = re.compile(r"/_history/[^/]*$")
_TYPE: Final = re.compile(r"[A-Z][A-Za-z]{1,63}")
_MERGES: Final = 8
"""How deep resources point at each other; what is the same only behind that stays twice."""
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")


def content_id(content: bytes) -> str:
    """A UUID that follows from the content alone, so that the same facts give the same bytes."""
    return str(uuid.uuid5(NAMESPACE, content.hex()))


class Parcel:
    """The resources written so far, each once, with the references to them and what could not be written.

    ``write`` turns one fact into one resource; ``contained`` gives local ids, for resources inside another.
    ``placed`` are the numbers of parties that stand in the request itself, ``answered`` is the
    acknowledgement that the head of the message gives. Raises ``ValueError`` for a ``zone`` that is no
    offset.
    """

    def __init__(
        self,
        *,
        profile: Profile,
        zone: str | None,
        new_id: Callable[[bytes], str],
        write: Callable[[Parcel, Fact], Json],
        contained: bool,
    ) -> None:
        self.profile = profile
        self.zone = zone_of(zone)
        self.contained = contained
        self.documents: dict[Attachment, str] = {}
        self.entries: dict[str, Json] = {}
        self.findings: list[Finding] = []
        self.placed: set[Identifier] = set()
        self.answered: Fact | None = None
        self.new_id = new_id
        self._references: dict[bytes, str] = {}
        self._write = write
        self._links: list[tuple[Json, Link]] = []

    def doubt(self, code: str, where: str, detail: str) -> None:
        """Note, once, what could not be written as it was."""
        finding = Finding(code, where, detail)
        if finding not in self.findings:
            self.findings.append(finding)

    def unsaid(self, where: str, detail: str = "FHIR has no place for this, or does not allow it") -> None:
        """Note that a field of a fact was left out."""
        self.doubt("not-written", where, detail)

    def add(self, resource: Json) -> str:
        """Keep a resource, once, and say how it is referred to."""
        content = orjson.dumps(resource, option=orjson.OPT_SORT_KEYS)
        known = self._references.get(content)
        if known is not None:
            return known
        if self.contained:
            resource = {**resource, "id": f"r{len(self.entries) + 1}"}
            self._without_version(resource)
            reference = f"#{resource['id']}"
        else:
            unique = self.new_id(content)
            resource.setdefault("id", unique)
            reference = f"urn:uuid:{unique}"
        self.entries[reference] = resource
        self._references[content] = reference
        return reference

    def _without_version(self, resource: Json) -> None:
        """What is contained has no version of its own (dom-4)."""
        meta = resource.pop("meta", {})
        if others := {name: value for name, value in meta.items() if name != "versionId"}:
            resource["meta"] = others
        if "versionId" in meta:
            self.unsaid(f"{resource['resourceType'].lower()}.version", "what is contained has no version")

    def reference(self, fact: Fact) -> str:
        """Write a fact and say how it is referred to."""
        return self.add(self._write(self, fact))

    def settle(self, entries: list[Json]) -> None:
        """Point references at the entries they mean; those into another Bundle mean nothing here."""
        known: dict[str, str] = {}
        alone: dict[str, str | None] = {}
        for entry in entries:
            resource, address = entry["resource"], entry["fullUrl"]
            kind = resource["resourceType"]
            known.setdefault(f"{kind}/{resource.get('id')}", address)
            known.setdefault(address, address)
            alone[kind] = None if kind in alone else address
        for pointer, link in self._links:
            if link.resolved and "reference" in pointer:
                self._aim(pointer, link.kind or "", known, alone)
        for pointer in _pointers(entries):
            reference = _VERSION.sub("", pointer["reference"])
            if reference in known:
                pointer["reference"] = known[reference]
            elif reference.startswith("urn:"):
                self._let_go(pointer)

    def _aim(self, pointer: Json, kind: str, known: dict[str, str], alone: dict[str, str | None]) -> None:
        """A reference that meant something where it was read: the same thing, if it is in this Bundle."""
        reference = _VERSION.sub("", pointer["reference"])
        own_id = reference.rpartition(":" if reference.startswith("urn:") else "/")[2]
        target = known.get(reference) or known.get(f"{kind}/{own_id}")
        if target is None and reference.startswith("urn:") and (target := alone.get(kind)) is not None:
            detail = "the only resource of its type in this message was taken for what this pointed at"
            self.doubt("link-by-type", "Reference.reference", detail)
        pointer["reference"] = target or pointer["reference"]

    def _let_go(self, pointer: Json) -> None:
        del pointer["reference"]
        if not pointer:
            pointer.update(ABSENT)
        self.doubt("link-not-written", "Reference.reference", "what this points at was not written")

    def links(self, links: Sequence[Link]) -> list[Json]:
        """References as they were."""
        return [held for one in links if (held := self.link(one))]

    def link(self, link: Link | None) -> Json | None:
        """A reference as it was; one into another body keeps only what still means something."""
        if link is None:
            return None
        reference = words(link.reference)
        if reference is not None and not self._is_portable(reference):
            detail = "a reference into another body, or one that is none, was left out"
            self.doubt("link-not-written", "Reference.reference", detail)
            reference = None
        number = identifier(link.identifier) if link.identifier else None
        loose = reference is None or reference.startswith("urn:")
        kind = resource_type(link.kind) if number and loose else None
        written = filled(reference=reference, type=kind, identifier=number, display=words(link.display))
        if reference is not None:
            self._links.append((written, link))
        return written or None

    def _is_portable(self, reference: str) -> bool:
        return is_pointer(reference) and not (self.contained and reference.startswith("urn:"))

    def code(self, value: str | None, allowed: frozenset[str], default: str, where: str) -> str:
        """A code of a required binding; another one is replaced, with a finding."""
        if value is not None and value not in allowed:
            self.doubt("code-not-written", where, "a code outside the required binding was replaced")
        return value if value in allowed else default


def logical(value: str | None) -> str | None:
    """An id as FHIR allows it, else None."""
    return value if value is not None and _ID.fullmatch(value) else None


def resource_type(kind: str | None) -> str | None:
    """The R4 name of a type that a pointer names, if it can be one."""
    if kind == "ReferralRequest":
        return "ServiceRequest"
    return kind if kind is not None and _TYPE.fullmatch(kind) else None


def logical_reference(number: Identifier, kind: str) -> Json | None:
    """A reference by number only, or by logical id where the number is one (type RI)."""
    if number.type == "RI" and number.system is None and number.value and _ID.fullmatch(number.value):
        return {"reference": f"{kind}/{number.value}"}
    written = identifier(number)
    return {"type": kind, "identifier": written} if written else None


def requests_of(parcel: Parcel, links: Sequence[Link], numbers: Sequence[Identifier]) -> list[Json]:
    """The requests something belongs to: the pointers as they were, and the numbers they do not give.

    The numbers of a request that was in the same body were read from it, so the pointer says them.
    """
    if any(one.resolved for one in links):
        own = [number for number in numbers if number.type != "RI"]
        if len(links) == len(own) == 1 and links[0].identifier is None:
            links = (replace(links[0], identifier=own[0]),)
        return parcel.links(links)
    told = {(one.identifier.system, one.identifier.value) for one in links if one.identifier is not None}
    told |= {(None, one.reference.rpartition("/")[2]) for one in links if one.reference}
    others = (one for one in numbers if (one.system, one.value) not in told)
    held = (logical_reference(number, "ServiceRequest") for number in others)
    return parcel.links(links) + [written for written in held if written]


def merged(entries: list[Json]) -> list[Json]:
    """The entries, each resource once: what was told apart only by a pointer may be the same by now."""
    for _ in range(_MERGES):
        first: dict[bytes, str] = {}
        moved: dict[str, str] = {}
        for entry in entries:
            content = orjson.dumps(entry["resource"], option=orjson.OPT_SORT_KEYS)
            address = first.setdefault(content, entry["fullUrl"])
            if address != entry["fullUrl"]:
                moved[entry["fullUrl"]] = address
        if not moved:
            break
        entries = [entry for entry in entries if entry["fullUrl"] not in moved]
        for pointer in _pointers(entries):
            pointer["reference"] = moved.get(pointer["reference"], pointer["reference"])
    return entries


def _pointers(value: Any) -> Iterator[Json]:
    """Every object with a textual ``reference``, however deep."""
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            if isinstance(item.get("reference"), str):
                yield item
            waiting.extend(item.values())
