"""Reads hostile XML as a bounded stream of events: no document type, no entities, no network, no tree."""

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from lxml import etree

from baton_formats.parsing import apart
from baton_formats.xml_root import encoding_family

CHUNK: Final = 64 * 1024
"""Bytes decoded and handed to the parser at a time, so that no second copy of the document is held."""


@dataclass(frozen=True, slots=True)
class XmlLimits:
    """What one document may cost; everything beyond it is refused."""

    max_bytes: int = 16 * 1024 * 1024
    max_depth: int = 200
    max_attributes: int = 256
    max_elements: int = 500_000
    max_names: int = 10_000  # different ones, of elements and of attributes each
    max_tag: int = 1024 * 1024  # characters


DEFAULT_LIMITS: Final = XmlLimits()


class XmlRefused(Exception):
    """The bytes cannot be read as safe XML.

    `code` is stable, `detail` is plain words that carry nothing of the document itself, `place` is
    `line L, column C` where that is known, else empty.
    """

    def __init__(self, code: str, detail: str, place: str = "") -> None:
        super().__init__(f"{detail} ({place})" if place else detail)
        self.code = code
        self.detail = detail
        self.place = place


class Room(Protocol):
    """What stands inside of one element: hears of its children, its text and its own end."""

    def open(self, name: str, attributes: dict[str, str]) -> "Room":
        """A child element opens; whoever is returned hears of what stands in it."""
        ...

    def close(self, name: str) -> None:
        """The element itself closes."""
        ...

    def data(self, text: str) -> None:
        """Text directly in the element, possibly in several pieces."""
        ...


@dataclass(frozen=True, slots=True)
class XmlReport:
    """How the bytes were read.

    `root` is the name of the root element, `{uri}local` where it has a namespace. `encoding` is the codec
    that was used and `declared` the one the document claimed (empty when it
    claimed none). `replaced` says that single bytes had no meaning in that codec. `leading` and
    `trailing` say that something stood outside of the document. `broken` holds the error that ended
    the reading after the root element had been opened, so that only what stands before it is known.
    """

    root: str
    encoding: str
    declared: str
    replaced: bool = False
    leading: bool = False
    trailing: bool = False
    broken: XmlRefused | None = None


_SINGLE_BYTE: Final = frozenset(
    {f"cp125{number}" for number in range(9)}
    | {f"iso8859-{number}" for number in (*range(2, 12), *range(13, 17))}
    | {"latin-1", "cp437", "cp850", "cp852", "cp866", "koi8-r", "koi8-u", "mac-roman", "tis-620"}
)
_MULTI_BYTE: Final = frozenset(
    {"big5", "cp932", "cp949", "euc_jp", "euc_kr", "gb18030", "gb2312", "gbk", "iso2022_jp", "shift_jis"}
)
_DECLARATION: Final = re.compile(r"<\?xml\s[^>]{0,400}?\?>")
_ENCODING: Final = re.compile(r"encoding\s*=\s*[\"']([A-Za-z][A-Za-z0-9._\-]{0,40})[\"']")
_PROLOG: Final = re.compile(r"\s+|<\?.*?\?>|<!--.*?-->", re.DOTALL)
_PROLOG_LIMIT: Final = 256 * 1024
_ROOT: Final = re.compile(r"<[^\s!?/<>]")


@dataclass(frozen=True, slots=True)
class _Source:
    """The bytes to decode: where they start, with which codec, and what was said about it."""

    start: int
    encoding: str
    declared: str
    leading: bool
    replaced: bool


def stream(
    body: bytes, outside: Room, *, named: Callable[[str], str] = str, limits: XmlLimits = DEFAULT_LIMITS
) -> XmlReport:
    """Reads `body` once and tells `outside`, the room around the root element, about it.

    `named` turns the name of an element, `{uri}local` where it has a namespace, into the one that rooms hear.

    Accepts a byte order mark, white space before the declaration, a missing or wrong declaration and text
    after the root element, and says so in the report. Raises `XmlRefused` where the document is no XML, is
    too large, too deep or too crowded, or carries a document type: entities and outside subsets exist only
    there (XML 1.0 section 2.8). Nothing is ever fetched. A document that breaks after its root element has
    been opened is reported as `broken` and not raised. Memory does not grow with the length of a text, which
    comes in pieces.
    """
    if len(body) > limits.max_bytes:
        raise XmlRefused("too-large", f"the document is larger than {limits.max_bytes} bytes")
    source = _source_of(body)
    guard = _Guard(outside, named, limits)
    broken = apart(lambda: _feed(_texts(body, source), guard, limits))
    trailing = broken is not None and guard.closed
    return XmlReport(
        root=guard.root,
        encoding=source.encoding,
        declared=source.declared,
        replaced=source.replaced,
        leading=source.leading,
        trailing=trailing,
        broken=None if trailing else broken,
    )


def _feed(texts: Iterator[str], guard: "_Guard", limits: XmlLimits) -> XmlRefused | None:
    target: Any = guard  # the type stub wants methods that would only slow lxml down
    parser = etree.XMLParser(
        target=target,
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    pieces = _Pieces()
    silence = 0
    try:
        for text in texts:
            guard.silent = True
            parser.feed(pieces.next(text).encode("utf-8", "replace"))
            in_tag = guard.silent and not pieces.in_mark and not text.isspace()
            silence = silence + len(text) if in_tag else 0
            if silence > limits.max_tag:
                raise XmlRefused("too-long-tag", f"a tag is longer than {limits.max_tag} characters")
        parser.feed(pieces.rest().encode("utf-8", "replace"))
        parser.close()
    except XmlRefused as refused:
        return _unless_fatal(refused, guard)
    except etree.XMLSyntaxError as error:
        return _unless_fatal(_in_plain_words(error), guard)
    return None


_CDATA: Final = "<![CDATA["
_END_OF_CDATA: Final = "]]>"
_ENDS: Final = {"<!--": "-->", "<?": "?>", _CDATA: _END_OF_CDATA}
_MARK: Final = re.compile("|".join(re.escape(mark) for mark in _ENDS))


class _Pieces:
    """Ends and reopens a CDATA section wherever a piece of text ends, so that none is ever held whole.

    The parser hands over ordinary text as it comes, but a CDATA section (XML 1.0 section 2.7) only when it
    has ended. `in_mark` tells that the last piece held a section, a comment or an instruction, or a part of
    one.
    """

    def __init__(self) -> None:
        self._kept = ""  # what may be the first half of a mark
        self._end = ""  # what ends the section, comment or instruction that is open
        self.in_mark = False

    def next(self, text: str) -> str:
        """What the parser gets for one more piece of text."""
        text = self._kept + text
        at = self._last_mark(text)
        cut = max(at, len(text) - 2) if self._end else text.rfind("<", max(at, len(text) - len(_CDATA) + 1))
        if cut < 0:
            cut = len(text)
        self._kept = text[cut:]
        if self._end != _END_OF_CDATA:
            return text[:cut]
        self._end, self._kept = "", _CDATA + self._kept
        return text[:cut] + _END_OF_CDATA

    def rest(self) -> str:
        """What was kept to the end."""
        return self._kept

    def _last_mark(self, text: str) -> int:
        """The place behind the last mark; `_end` is what is still awaited there."""
        at = 0
        self.in_mark = bool(self._end)
        while True:
            if self._end:
                end = text.find(self._end, at)
                if end < 0:
                    return at
                at, self._end = end + len(self._end), ""
            mark = _MARK.search(text, at)
            if mark is None:
                return at
            self.in_mark = True
            at, self._end = mark.end(), _ENDS[mark.group()]


_FATAL: Final = frozenset(
    {
        "document-type",
        "too-deep",
        "too-long-tag",
        "too-many-attributes",
        "too-many-elements",
        "too-many-names",
    }
)


def _unless_fatal(refused: XmlRefused, guard: "_Guard") -> XmlRefused:
    """A broken document may be kept as far as it goes, an attack may not."""
    if refused.code in _FATAL or not guard.opened:
        raise refused
    return refused


class _Names(dict[str, str]):
    """What rooms hear for the name of an element, in the order in which names were met.

    The parser itself remembers every name for as long as it lives, so there may not be too many.
    """

    def __init__(self, named: Callable[[str], str], most: int) -> None:
        super().__init__()
        self._named = named
        self._most = most

    def __missing__(self, tag: str) -> str:
        name = self[tag] = self._named(tag)
        _refuse_many_names(len(self), self._most)
        return name


def _refuse_many_names(count: int, most: int) -> None:
    if count > most:
        raise XmlRefused("too-many-names", f"there are more than {most} different names")


class _Guard:
    """The target of the parser: stops what costs too much, and keeps the stack of rooms.

    `silent` turns False when an element or text is heard.
    """

    def __init__(self, outside: Room, named: Callable[[str], str], limits: XmlLimits) -> None:
        self._rooms: list[Room] = [outside]
        self._names = _Names(named, limits.max_names)
        self._attributes: set[str] = set()
        self._all_known = self._attributes.issuperset
        self._max_names = limits.max_names
        self._max_depth = limits.max_depth
        self._max_attributes = limits.max_attributes
        self._elements_left = limits.max_elements
        self.silent = True

    @property
    def root(self) -> str:
        """The name of the root element, empty as long as there is none."""
        return next(iter(self._names), "")

    @property
    def opened(self) -> bool:
        """Whether the root element has been met."""
        return self.root != ""

    @property
    def closed(self) -> bool:
        """Whether it has also ended."""
        return self.opened and len(self._rooms) == 1

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        rooms = self._rooms
        self._elements_left -= 1
        if len(attributes) > self._max_attributes:
            most = self._max_attributes
            raise XmlRefused("too-many-attributes", f"an element carries more than {most} attributes")
        if len(rooms) > self._max_depth:
            raise XmlRefused("too-deep", f"elements are nested deeper than {self._max_depth}")
        if self._elements_left < 0:
            raise XmlRefused("too-many-elements", "there are too many elements")
        if attributes and not self._all_known(attributes):
            self._attributes.update(attributes)
            _refuse_many_names(len(self._attributes), self._max_names)
        self.silent = False
        rooms.append(rooms[-1].open(self._names[tag], attributes))

    def end(self, tag: str) -> None:
        self._rooms.pop().close(self._names[tag])

    def data(self, text: str) -> None:
        self.silent = False
        self._rooms[-1].data(text)

    def doctype(self, name: str | None, public: str | None, system: str | None) -> None:
        raise _document_type()

    def close(self) -> None:
        """Nothing is left to hand over: the rooms have heard all of it."""


def _document_type() -> XmlRefused:
    return XmlRefused(
        "document-type", "the document carries a document type declaration, which is never read"
    )


_UNKNOWN_ENTITY: Final = "an entity is used that XML does not know"
_WORDS: Final[dict[int, str]] = {
    etree.ErrorTypes.ERR_DOCUMENT_EMPTY: "the document is empty",
    etree.ErrorTypes.ERR_DOCUMENT_END: "something stands after the end of the document",
    etree.ErrorTypes.ERR_TAG_NAME_MISMATCH: "an element is closed under another name than it was opened",
    etree.ErrorTypes.ERR_TAG_NOT_FINISHED: "the document ends before its elements are closed",
    etree.ErrorTypes.ERR_UNDECLARED_ENTITY: _UNKNOWN_ENTITY,
    etree.ErrorTypes.WAR_UNDECLARED_ENTITY: _UNKNOWN_ENTITY,
    etree.ErrorTypes.ERR_INVALID_CHAR: "a character stands there that XML does not allow",
    etree.ErrorTypes.ERR_INVALID_CHARREF: "a character reference stands there that XML does not allow",
    etree.ErrorTypes.ERR_ATTRIBUTE_REDEFINED: "an attribute is given twice",
    etree.ErrorTypes.ERR_RESOURCE_LIMIT: "a single text or attribute is too large",
    etree.ErrorTypes.ERR_LT_IN_ATTRIBUTE: "an attribute holds an unescaped less-than sign",
    etree.ErrorTypes.ERR_NAME_REQUIRED: "a name is missing in a tag",
}


def _in_plain_words(error: etree.XMLSyntaxError) -> XmlRefused:
    """The parser's own message may quote the document, so only its kind and place are kept."""
    line, column = error.position
    detail = _WORDS.get(error.code or 0, "the XML is not well-formed")
    return XmlRefused("not-well-formed", detail, f"line {line}, column {column}" if line else "")


def _source_of(body: bytes) -> _Source:
    """Chooses the codec, in the order of XML 1.0 appendix F, and checks what stands before the root."""
    family, start = encoding_family(body)
    head = body[start : start + _PROLOG_LIMIT].decode(family or "latin-1", "replace")
    blank = len(head) - len(head.lstrip())
    declaration = _DECLARATION.match(head, blank)
    claim = _ENCODING.search(declaration.group()) if declaration else None
    declared = claim.group(1).lower() if claim else ""
    _refuse_document_type(head)
    encoding, replaced = _codec(body, start, family, declared)
    return _Source(start, encoding, declared, leading=bool(blank), replaced=replaced)


def _refuse_document_type(head: str) -> None:
    """Walks over white space, comments and processing instructions to the first tag."""
    at = 0
    while (skipped := _PROLOG.match(head, at)) is not None:
        at = skipped.end()
    if head.startswith("<!", at) and not head.startswith("<!--", at):
        raise _document_type()
    if not _ROOT.match(head, at):
        raise XmlRefused("not-xml", "the bytes do not begin like an XML document")


def _codec(body: bytes, start: int, family: str, declared: str) -> tuple[str, bool]:
    """The codec to use, and whether single bytes must be replaced in it."""
    if family:
        return family, not decodes(body, start, family)
    claimed = _known(declared)
    if claimed in _MULTI_BYTE and decodes(body, start, claimed):
        return claimed, False
    if claimed in _SINGLE_BYTE and not _has_multibyte_utf8(body, start):
        return claimed, not decodes(body, start, claimed)
    if decodes(body, start, "utf-8"):
        return "utf-8", False
    return "cp1252", not decodes(body, start, "cp1252")


def _has_multibyte_utf8(body: bytes, start: int) -> bool:
    """Valid UTF-8 beyond ASCII is so unlikely to be anything else that it beats a claim."""
    return not body.isascii() and decodes(body, start, "utf-8")


def _known(declared: str) -> str:
    try:
        name = codecs.lookup(declared).name if declared else ""
    except (LookupError, ValueError):
        return ""
    return "latin-1" if name == "iso8859-1" else name


def decodes(body: bytes, start: int, encoding: str) -> bool:
    """Whether all bytes from `start` have a meaning in a codec, found out without a second copy of them."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        for at in range(start, len(body), CHUNK):
            decoder.decode(body[at : at + CHUNK])
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        return False
    return True


def _texts(body: bytes, source: _Source) -> Iterator[str]:
    """Decoded pieces of the document, the declaration replaced by blanks: it speaks of other bytes."""
    decoder = codecs.getincrementaldecoder(source.encoding)("replace")
    first = decoder.decode(body[source.start : source.start + CHUNK])
    yield _without_declaration(first)
    for at in range(source.start + CHUNK, len(body), CHUNK):
        yield decoder.decode(body[at : at + CHUNK])
    yield decoder.decode(b"", True)


def _without_declaration(first: str) -> str:
    blank = len(first) - len(first.lstrip())
    declaration = _DECLARATION.match(first, blank)
    if declaration is None:
        return first
    written = declaration.group()
    kept = "".join("\n" if mark == "\n" else " " for mark in written)
    return first[:blank] + kept + first[declaration.end() :]
