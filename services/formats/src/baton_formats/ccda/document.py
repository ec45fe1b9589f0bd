"""Takes a ClinicalDocument apart while it streams by: a small tree for its head, text for its sections."""

from collections.abc import Iterator
from io import BytesIO
from typing import Final

from baton_formats.ccda.doubts import Placed
from baton_formats.ccda.narrative import Narrative, safe
from baton_formats.ccda.safe_xml import Room
from baton_formats.facts import Text

HL7: Final = "urn:hl7-org:v3"
SDTC: Final = "urn:hl7-org:sdtc"
MAX_NODES: Final = 10_000
"""Elements of the head and sections that are kept; a real document has a few hundred."""
MAX_MEDIA: Final = 2_000
"""Embedded files and pictures that are kept."""
MAX_HEAD: Final = 250_000
"""Characters of attributes and text of the head that are kept; a real document has five thousand."""
_EACH_ATTRIBUTE: Final = 32  # characters that an attribute counts for besides its value
MAX_WORDS: Final = 65_536
"""Characters of one element of the head that are kept, so that an endless title leaves room for a patient."""


class Skipped:
    """Hears everything and keeps nothing."""

    def open(self, name: str, attributes: dict[str, str]) -> "Skipped":
        """Children are passed over too."""
        return self

    def close(self, name: str) -> None:
        """Nothing to finish."""

    def data(self, text: str) -> None:
        """Not kept."""


_SKIPPED: Final = Skipped()


class Node:
    """One element of the head under its local name; names of `urn:hl7-org:sdtc` begin with `sdtc:`."""

    __slots__ = ("_length", "_parts", "_shelf", "attributes", "children", "name", "parent")

    def __init__(self, name: str, attributes: dict[str, str], parent: "Node | None", shelf: "Shelf") -> None:
        self.name = name
        self.attributes = attributes
        self.parent = parent
        self.children: list[Node] = []
        self._parts: list[str] = []
        self._length = 0
        self._shelf = shelf

    def open(self, name: str, attributes: dict[str, str]) -> Room:
        """A child element opens."""
        if name == "structuredBody":
            return Body(self._shelf.sections, self._shelf, None)
        if name == "text" and self.name == "nonXMLBody":
            return self._shelf.medium(self, "text", attributes)
        if not self._shelf.takes(attributes):
            return _SKIPPED
        child = Node(name, attributes, self, self._shelf)
        self.children.append(child)
        return child

    def close(self, name: str) -> None:
        """Nothing to finish."""

    def data(self, text: str) -> None:
        """Text directly in the element."""
        if not self._parts and text.isspace():
            return
        kept = self._shelf.begun(text, MAX_WORDS - self._length)
        if kept:
            self._length += len(kept)
            self._parts.append(kept)

    def get(self, attribute: str) -> str | None:
        """An attribute without blank ends; None if it is absent or blank."""
        value = self.attributes.get(attribute)
        return (safe(value).strip() or None) if value is not None else None

    @property
    def is_null(self) -> bool:
        """Whether the sender said that there is nothing here (nullFlavor of the HL7 V3 data types)."""
        return "nullFlavor" in self.attributes

    @property
    def text(self) -> str:
        """Its own text, then that of the elements in it, with white space collapsed."""
        if not self.children:
            return self.own_text
        return " ".join(words for node in self.walk() if (words := node.own_text))

    @property
    def own_text(self) -> str:
        """The text directly in it, with white space collapsed."""
        return " ".join(safe("".join(self._parts)).split())

    def walk(self) -> "Iterator[Node]":
        """Itself and everything in it, in document order."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))

    def all(self, path: str) -> "list[Node]":
        """The elements at a path of names parted by slashes, in document order."""
        found = [self]
        for name in path.split("/"):
            found = [child for node in found for child in node.children if child.name == name]
        return found

    def first(self, path: str) -> "Node | None":
        """The first of `all`."""
        if "/" in path:
            return next(iter(self.all(path)), None)
        return next((child for child in self.children if child.name == path), None)

    def text_at(self, path: str) -> str | None:
        """The text of the first element at a path; None if there is none."""
        node = self.first(path)
        return (node.text or None) if node is not None else None

    def value_at(self, path: str, attribute: str) -> str | None:
        """An attribute of the first element at a path."""
        node = self.first(path)
        return node.get(attribute) if node is not None else None

    @property
    def where(self) -> str:
        """Its place, such as `/ClinicalDocument/recordTarget[1]/patientRole[1]`."""
        if self.parent is None:
            return f"/{self.name}"
        same = (child for child in self.parent.children if child.name == self.name)
        index = next((i for i, child in enumerate(same, 1) if child is self), 1)
        return f"{self.parent.where}/{self.name}[{index}]"


_NO_WORDS: Final = frozenset({"reference", "thumbnail", "integrityCheck", "script", "style"})
_NEW_LINES: Final = frozenset({"br", "p", "div", "paragraph", "item", "li", "tr"})


class Media:
    """Content that travelled inside: the attributes of an ED element, its text, and the reference in it."""

    __slots__ = ("_name", "_parent", "_shelf", "_utf8", "attributes", "markup", "reference")

    def __init__(self, parent: Placed, name: str, attributes: dict[str, str], shelf: "Shelf") -> None:
        self._parent = parent
        self._name = name
        self.attributes = attributes
        self.reference: str | None = None
        self.markup = False
        self._shelf = shelf
        self._utf8: BytesIO | None = None

    @property
    def where(self) -> str:
        """Its place, worked out when a finding needs it."""
        return f"{self._parent.where}/{self._name}"

    def open(self, name: str, attributes: dict[str, str]) -> Room:
        """A `reference` is noted and never followed; of `markup` only the words are kept."""
        if name == "reference" and self._shelf.takes(attributes):
            self.reference = attributes.get("value")
        if name in _NO_WORDS:
            return _SKIPPED
        self.markup = True
        if name in _NEW_LINES:
            self.data("\n")
        return self

    def close(self, name: str) -> None:
        """Nothing to finish."""

    def data(self, text: str) -> None:
        """A piece of the content; blank before it is no part of it."""
        if self._utf8 is None:
            text = text.lstrip()
            if not text:
                return
            self._utf8 = BytesIO()
        self._utf8.write(text.encode())

    def take(self) -> bytes:
        """The content as UTF-8 without blank ends; it is not kept a second time."""
        held, self._utf8 = self._utf8, None
        if held is None:
            return b""
        with held.getbuffer() as view:
            size = len(view)
            while view[size - 1] in b" \t\r\n":
                size -= 1
        held.truncate(size)
        return held.getvalue()


class Shelf:
    """Where the rooms put what outlives them; `crowded` tells that something had no room and was left out."""

    def __init__(self) -> None:
        self.sections: list[SectionDraft] = []
        self.media: list[Media] = []
        self.crowded = False
        self._characters = MAX_HEAD
        self._nodes = MAX_NODES

    def medium(self, parent: Placed, name: str, attributes: dict[str, str]) -> Room:
        """A new place for embedded content."""
        if len(self.media) == MAX_MEDIA or not self.takes(attributes):
            self.crowded = True
            return _SKIPPED
        self.media.append(Media(parent, name, attributes, self))
        return self.media[-1]

    def begun(self, text: str, most: int) -> str:
        """As much of a text as there is room for."""
        kept = text[: min(most, self._characters)]
        self.crowded |= len(kept) < len(text)
        self._characters -= len(kept)
        return kept

    def takes(self, attributes: dict[str, str]) -> bool:
        """Whether there is room for one more element with these attributes; if so, it is taken."""
        characters = sum(map(len, attributes.values())) + _EACH_ATTRIBUTE * len(attributes)
        if self._nodes == 0 or characters > min(self._characters, MAX_WORDS):
            self.crowded = True
            return False
        self._nodes -= 1
        self._characters -= characters
        return True


_HEAD_OF_SECTION: Final = frozenset({"templateId", "code", "title", "id"})


class SectionDraft:
    """A section while it is read: `head` holds its code, title and template ids."""

    __slots__ = ("_draft", "_number", "_parent", "_shelf", "active", "head", "sections", "text")

    def __init__(self, parent: "SectionDraft | None", number: int, shelf: Shelf) -> None:
        self.head = Node("section", {}, None, shelf)
        self.sections: list[SectionDraft] = []
        self.text: Text | None = None
        self.active = False
        self._draft: Narrative | None = None
        self._parent = parent
        self._number = number
        self._shelf = shelf

    @property
    def where(self) -> str:
        """Its place, worked out when a finding needs it."""
        steps = []
        draft: SectionDraft | None = self
        while draft is not None:
            steps.append(f"/section[{draft._number}]")
            draft = draft._parent
        return "/ClinicalDocument" + "".join(reversed(steps))

    def open(self, name: str, attributes: dict[str, str]) -> Room:
        """A child element opens."""
        if name == "text":
            self._draft = self._draft or Narrative()
            return self._draft
        if name in _HEAD_OF_SECTION:
            return self.head.open(name, attributes)
        if name == "component":
            return Body(self.sections, self._shelf, self)
        if name == "section":
            return Body(self.sections, self._shelf, self).open(name, attributes)
        return Entry(self, self._shelf)

    def close(self, name: str) -> None:
        """Nothing more will come."""
        self.finish()

    def finish(self) -> None:
        """What the narrative collected becomes its text, also where the section never closed."""
        if self._draft is not None:
            self.text, self.active, self._draft = self._draft.text(), self._draft.active, None

    def data(self, text: str) -> None:
        """Stray text between the elements of a section means nothing."""


class Body:
    """The structured body, or a component of a section: a list of sections, in components at any depth."""

    def __init__(self, sections: list[SectionDraft], shelf: Shelf, parent: SectionDraft | None) -> None:
        self._sections = sections
        self._shelf = shelf
        self._parent = parent

    def open(self, name: str, attributes: dict[str, str]) -> Room:
        """A child element opens."""
        if name == "component":
            return self
        if name != "section" or not self._shelf.takes(attributes):
            return _SKIPPED
        self._sections.append(SectionDraft(self._parent, len(self._sections) + 1, self._shelf))
        return self._sections[-1]

    def close(self, name: str) -> None:
        """Nothing to finish."""

    def data(self, text: str) -> None:
        """Stray text between sections means nothing."""


class Entry:
    """A clinical entry: passed over but for pictures and other files in it (`observationMedia`, any ED)."""

    def __init__(self, parent: Placed, shelf: Shelf, *, is_media: bool = False) -> None:
        self._parent = parent
        self._shelf = shelf
        self._is_media = is_media

    def open(self, name: str, attributes: dict[str, str]) -> Room:
        """A child element opens."""
        if self._is_media and name == "value":
            return self._shelf.medium(self._parent, "observationMedia/value", attributes)
        if name == "observationMedia":
            return Entry(self._parent, self._shelf, is_media=True)
        if name in ("value", "text") and _is_file(attributes):
            return self._shelf.medium(self._parent, f"entry/{name}", attributes)
        return self

    def close(self, name: str) -> None:
        """Nothing to finish."""

    def data(self, text: str) -> None:
        """Not kept."""


def _is_file(attributes: dict[str, str]) -> bool:
    """Whether an ED holds a file rather than words of an entry (C-CDA Companion Guide, Note Activity)."""
    media_type = attributes.get("mediaType") or "text/plain"
    return attributes.get("representation") == "B64" or not media_type.strip().lower().startswith("text/")


class Outside:
    """The room around the root element of one document; keeps only what facts are made of.

    `root` is the head without the body; `shelf` holds the sections of the body and what was embedded.
    """

    def __init__(self) -> None:
        self.root: Node | None = None
        self.shelf = Shelf()

    def open(self, name: str, attributes: dict[str, str]) -> Room:
        """The root element opens."""
        self.root = Node(name, attributes, None, self.shelf)
        return self.root

    def close(self, name: str) -> None:
        """Never called: nothing stands around the outside."""

    def data(self, text: str) -> None:
        """Never called with more than white space."""


_MARKS: Final = {"": "", HL7: "", SDTC: "sdtc:"}


def named(tag: str) -> str:
    """The name of an element as rooms hear it: local in the namespace of HL7 or none, else under a mark."""
    uri, _, local = tag[1:].rpartition("}") if tag.startswith("{") else ("", "", tag)
    return f"{_MARKS.get(uri, 'other:')}{local}"
