"""What is being written: the resources so far, how they point at each other, what FHIR cannot say."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import orjson

from baton_formats.facts import Attachment, Fact, Identifier, Link, PartialTime
from baton_formats.fhir.compose import Json, date_time, filled, identifier, words
from baton_formats.fhir.profiles import Profile
from baton_formats.findings import Finding

NAMESPACE: Final = uuid.UUID("6f1d2f1e-54cb-5a0c-9c5e-0d3f3b1f4a77")
_VERSION: Final = re.compile(r"/_history/[^/]*$")
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")


def content_id(content: bytes) -> str:
    """A UUID that follows from the content alone, so that the same facts give the same bytes."""
    return str(uuid.uuid5(NAMESPACE, content.hex()))


class Parcel:
    """The resources written so far, each once, with the references to them and what could not be written.

    ``write`` turns one fact into one resource; ``contained`` gives local ids, for resources inside another.
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
        self.zone = zone
        self.documents: dict[Attachment, str] = {}
        self.entries: dict[str, Json] = {}
        self.findings: list[Finding] = []
        self.new_id = new_id
        self._references: dict[bytes, str] = {}
        self._write = write
        self._contained = contained

    def doubt(self, code: str, where: str, detail: str) -> None:
        """Note, once, what could not be written as it was."""
        finding = Finding(code, where, detail)
        if finding not in self.findings:
            self.findings.append(finding)

    def add(self, resource: Json) -> str:
        """Keep a resource, once, and say how it is referred to."""
        content = orjson.dumps(resource, option=orjson.OPT_SORT_KEYS)
        known = self._references.get(content)
        if known is not None:
            return known
        if self._contained:
            resource = {**resource, "id": f"r{len(self.entries) + 1}"}
            reference = f"#{resource['id']}"
        else:
            unique = self.new_id(content)
            resource.setdefault("id", unique)
            reference = f"urn:uuid:{unique}"
        self.entries[reference] = resource
        self._references[content] = reference
        return reference

    def reference(self, fact: Fact) -> str:
        """Write a fact and say how it is referred to."""
        return self.add(self._write(self, fact))

    def settle(self, entries: list[Json]) -> None:
        """Point references by type and id at their entry; those into another Bundle mean nothing."""
        known: dict[str, str] = {}
        for entry in entries:
            resource = entry["resource"]
            known.setdefault(f"{resource['resourceType']}/{resource.get('id')}", entry["fullUrl"])
        present = {entry["fullUrl"] for entry in entries}
        for pointer in _pointers(entries):
            reference = _VERSION.sub("", pointer["reference"])
            if reference in known:
                pointer["reference"] = known[reference]
            elif reference.startswith("urn:uuid:") and reference not in present:
                del pointer["reference"]
                pointer.setdefault("display", "not part of this message")
                self.doubt("link-not-written", "Reference.reference", "what this points at was not written")

    def links(self, links: Sequence[Link]) -> list[Json]:
        """References as they were."""
        return [held for one in links if (held := self.link(one))]

    def link(self, link: Link | None) -> Json | None:
        """A reference as it was; one into another body keeps only what still means something."""
        if link is None:
            return None
        reference = link.reference
        if reference is not None and (reference[0:1] in "#:" or re.search(r"\s", reference)):
            self.doubt(
                "link-not-written", "Reference.reference", "a reference into another body was left out"
            )
            reference = None
        number = identifier(link.identifier) if link.identifier else None
        kind = link.kind if link.kind and reference is None and number else None
        return filled(reference=reference, type=kind, identifier=number, display=words(link.display)) or None

    def code(self, value: str | None, allowed: frozenset[str], default: str) -> str:
        """A code of a required binding; another one is replaced, with a finding."""
        if value is not None and value not in allowed:
            self.doubt("code-not-written", "status", "a code outside the required binding was replaced")
        return value if value in allowed else default

    def date_time(self, time: PartialTime | None, where: str) -> str | None:
        """A dateTime; a time of day without any offset loses it, with a finding."""
        text = date_time(time, self.zone)
        if time is not None and (text is None or ("T" in (time.iso or "") and "T" not in text)):
            self.doubt(
                "time-not-written", where, "a time without an offset is no FHIR time; its date was kept"
            )
        return text


def logical(value: str | None) -> str | None:
    """An id as FHIR allows it, else None."""
    return value if value is not None and _ID.fullmatch(value) else None


def logical_reference(number: Identifier, kind: str) -> Json | None:
    """A reference by number only, or by logical id where the number is one (type RI)."""
    if number.type == "RI" and number.system is None and number.value and _ID.fullmatch(number.value):
        return {"reference": f"{kind}/{number.value}"}
    written = identifier(number)
    return {"type": kind, "identifier": written} if written else None


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
