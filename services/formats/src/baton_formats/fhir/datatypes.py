"""The complex data types of FHIR as plain values: Identifier, HumanName, CodeableConcept, Attachment ..."""

# Each type that comes by the hundred has a quick reader of the usual case beside the one that takes anything.

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pybase64

from baton_formats.facts import (
    Address,
    Attachment,
    Coding,
    Concept,
    ContactPoint,
    Extension,
    HumanName,
    Identifier,
    Note,
    PartialTime,
    Period,
    npi_is_valid,
)
from baton_formats.fhir.flat import many, one, text, texts, time, usual
from baton_formats.fhir.strict_json import Digits
from baton_formats.fhir.tree import MAX_ITEMS, Node, Resource, all_usual, usually
from baton_formats.times import is_backwards
from baton_formats.values import maker_of

NPI_SYSTEM = "http://hl7.org/fhir/sid/us-npi"
NPI_SYSTEMS = frozenset({NPI_SYSTEM, "urn:oid:2.16.840.1.113883.4.6", "https://npiregistry.cms.hhs.gov"})


def _forwards(start: PartialTime | None, end: PartialTime | None) -> Period | None:
    return None if is_backwards(start, end) else _PERIOD(start, end)


_PERIOD = maker_of(Period)


@usually(usual(_forwards, time("start"), time("end")))
def period(node: Node) -> Period:
    """Period; an end before its start is kept with a doubt."""
    span = Period(node.time("start"), node.time("end"))
    if is_backwards(span.start, span.end):
        node.doubt("period-backwards", "the period ends before it starts")
    return span


_USUAL_CODING = usual(maker_of(Coding), text("code"), text("system"), text("display"), text("version"))


@usually(_USUAL_CODING)
def coding(node: Node) -> Coding:
    """Coding as it came."""
    return Coding(node.text("code"), node.text("system"), node.text("display"), node.text("version"))


_CONCEPT = maker_of(Concept)


@usually(usual(_CONCEPT, many("coding", coding), text("text"), unless="code"))
def concept(node: Node) -> Concept:
    """CodeableConcept; a bare Coding in its place is taken with a doubt."""
    if "code" in node.value and "coding" not in node.value:
        node.doubt("wrong-type", "a CodeableConcept is expected here, not a Coding")
        return Concept(codings=(coding(node),))
    return Concept(node.many("coding", coding), node.text("text"))


def _plain_identifier(
    value: str | None, system: str | None, kind: Concept | None, use: str | None, span: Period | None
) -> Identifier | None:
    if value is None or (system in NPI_SYSTEMS and not npi_is_valid(value)):
        return None
    return _IDENTIFIER(value, system, None, (kind.code or kind.text) if kind else None, use, None, span)


_IDENTIFIER = maker_of(Identifier)
_USUAL_IDENTIFIER = usual(
    _plain_identifier,
    text("value"),
    text("system"),
    one("type", concept),
    text("use"),
    one("period", period),
    unless="assigner",
)


@usually(_USUAL_IDENTIFIER)
def identifier(node: Node) -> Identifier:
    """Identifier with its namespace; an NPI with a wrong check digit is kept with a doubt."""
    value, system = node.text("value"), node.text("system")
    if value is None:
        node.doubt("identifier-without-value", "an identifier carries no value")
    elif system in NPI_SYSTEMS and not npi_is_valid(value):
        node.doubt(
            "npi-check-digit", "the check digit of this NPI does not hold; it identifies nobody", "value"
        )
    assigner = node.child("assigner") if "assigner" in node.value else None
    return Identifier(
        value,
        system,
        assigner.text("display") if assigner else None,
        _type_code(node) if "type" in node.value else None,
        node.text("use"),
        _assigner_number(assigner) if assigner else None,
        node.one("period", period) if "period" in node.value else None,
    )


def identifiers(node: Node) -> tuple[Identifier, ...]:
    """The identifiers of a resource, read once."""
    if "identifier" not in node.value:
        return ()
    found: tuple[Identifier, ...] = node.body.once("identifier", node, _identifiers)
    return found


def _identifiers(node: Node) -> tuple[Identifier, ...]:
    return node.many("identifier", identifier)


def _type_code(node: Node) -> str | None:
    kind = node.one("type", concept)
    return (kind.code or kind.text) if kind else None


def _assigner_number(assigner: Node) -> str | None:
    own = assigner.child("identifier")
    if own is not None:
        return _number_text(own)
    target = assigner.body.follow(assigner)
    number = target.body.once("first number", target, _first_number) if target else None
    return number if number is not None else assigner.text("reference")


def _first_number(node: Node) -> str | None:
    own = next((number for number in node.children("identifier") if number.has("value")), None)
    return _number_text(own) if own is not None else None


def _number_text(number: Node) -> str | None:
    system, value = number.text("system"), number.text("value")
    return f"{system}|{value}" if system else value


def npi_of(identifiers: tuple[Identifier, ...]) -> str | None:
    """The first NPI whose check digit holds."""
    for number in identifiers:
        if number.system in NPI_SYSTEMS and number.value and npi_is_valid(number.value):
            return number.value
    return None


def _usual_coding_as_concept(value: Resource) -> Concept | None:
    held = _USUAL_CODING(value)
    return None if held is None else _CONCEPT((held,))


@usually(_usual_coding_as_concept)
def coding_as_concept(node: Node) -> Concept:
    """A Coding where facts hold a concept."""
    return Concept(codings=(coding(node),))


@usually(
    usual(
        maker_of(HumanName),
        text("family"),
        texts("given"),
        texts("prefix"),
        texts("suffix"),
        text("use"),
        text("text"),
        None,
        one("period", period),
        alone=True,
    )
)
def human_name(node: Node) -> HumanName:
    """HumanName with what was added to it; a list of family names, as in DSTU2, is joined with a doubt."""
    return HumanName(
        family=_family(node),
        given=node.texts("given"),
        prefixes=node.texts("prefix"),
        suffixes=node.texts("suffix"),
        use=node.text("use"),
        text=node.text("text"),
        period=node.one("period", period) if "period" in node.value else None,
        extensions=_added(node),
    )


def _family(node: Node) -> str | None:
    held = node.value.get("family")
    if not isinstance(held, list) or len(held) < 2:
        return node.text("family")
    node.doubt("unexpected-list", "one family name is expected here; several were joined", "family")
    return " ".join(node.texts("family")) or None


@usually(usual(maker_of(ContactPoint), text("system"), text("value"), text("use"), one("period", period)))
def contact_point(node: Node) -> ContactPoint:
    """ContactPoint as it came."""
    return ContactPoint(
        node.text("system"),
        node.text("value"),
        node.text("use"),
        node.one("period", period) if "period" in node.value else None,
    )


@usually(
    usual(
        maker_of(Address),
        texts("line"),
        text("city"),
        text("district"),
        text("state"),
        text("postalCode"),
        text("country"),
        text("use"),
        text("text"),
        one("period", period),
    )
)
def address(node: Node) -> Address:
    """Address as it came."""
    return Address(
        lines=node.texts("line"),
        city=node.text("city"),
        district=node.text("district"),
        state=node.text("state"),
        postal_code=node.text("postalCode"),
        country=node.text("country"),
        use=node.text("use"),
        text=node.text("text"),
        period=node.one("period", period) if "period" in node.value else None,
    )


def annotation(node: Node) -> Note:
    """Annotation with its author's name where one is written."""
    author = node.text("authorString")
    if author is None and node.has("authorReference"):
        author = node.one("authorReference", lambda link: link.text("display"))
    return Note(text=node.text("text") or "", author=author, at=node.time("time"))


def attachment(node: Node) -> Attachment:
    """Attachment with its bytes decoded, hashed and compared with what the sender claimed."""
    content = _content(node, "data")
    declared = node.text("hash")
    if content is not None and declared and declared != _sha1(content):
        node.doubt("attachment-hash", "the attachment does not have the hash its sender claims", "hash")
    size = node.whole("size")
    if content is not None and size is not None and size != len(content):
        node.doubt("attachment-size", "the attachment does not have the size its sender claims", "size")
    return Attachment(
        media_type=node.text("contentType"),
        content=content,
        title=node.text("title"),
        url=node.text("url"),
        sha256=hashlib.sha256(content).hexdigest() if content is not None else None,
        size=len(content) if content is not None else size,
        language=node.text("language"),
        created=node.time("creation"),
        declared_hash=declared,
        id=node.text("id"),
    )


def attachments_of(node: Node) -> tuple[Attachment, ...]:
    """The attachments of a DocumentReference, decoded once however many point at it."""
    found: tuple[Attachment, ...] = node.body.once("attachments", node, _attachments)
    return found


def _attachments(node: Node) -> tuple[Attachment, ...]:
    held = (content.child("attachment") for content in node.children("content"))
    return tuple(attachment(one) for one in held if one is not None)


def meaning_of(node: Node) -> Concept | None:
    """The code of a resource, read once however many point at it."""
    found: Concept | None = node.body.once("code", node, lambda it: it.one("code", concept))
    return found


_DENIALS = frozenset({"refuted", "entered-in-error", "not-done"})


def denial_of(node: Node) -> str | None:
    """The word by which a clinical resource says that it is not so: refuted, entered in error, not done."""
    said = node.value.get("status")
    if isinstance(said, str) and said in _DENIALS:
        return said
    if "verificationStatus" not in node.value:
        return None
    held = node.value["verificationStatus"]  # a code in STU3
    if isinstance(held, str):
        return held if held in _DENIALS else None
    meaning = node.one("verificationStatus", concept)
    words = (one.code for one in meaning.codings) if meaning is not None else ()
    return next((word for word in words if word in _DENIALS), None)


def _content(node: Node, name: str) -> bytes | None:
    text = node.value.get(name)
    if not isinstance(text, str):
        if text is not None:
            node.doubt("wrong-type", "base64 text is expected here", name)
        return None
    content = _decoded(text)
    if content is None and text.isascii():  # white space inside base64 is common and harmless
        content = _decoded(_without_blanks(text.encode("ascii")))
    if content is None:  # there is rarer white space than that
        content = _decoded("".join(text.split()))
    if content is None:
        node.doubt("broken-base64", "this content is no base64 and was left out", name)
    return content


def _without_blanks(text: bytes) -> bytes:
    return text.replace(b"\n", b"").replace(b"\r", b"").replace(b" ", b"").replace(b"\t", b"")


def _decoded(text: str | bytes) -> bytes | None:
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError:  # binascii.Error is one
        return None


def _sha1(content: bytes) -> str:
    digest = hashlib.sha1(content, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def binary(node: Node) -> Attachment:
    """A Binary resource as an attachment; STU3 calls its data ``content``."""
    content = _content(node, "data" if node.has("data") else "content")
    return Attachment(
        media_type=node.text("contentType"),
        content=content,
        sha256=hashlib.sha256(content).hexdigest() if content is not None else None,
        size=len(content) if content is not None else None,
        id=node.text("id"),
    )


def extensions(node: Node) -> tuple[Extension, ...]:
    """What the sender added to a resource, and to its primitive elements (``_gender``)."""
    found = _added(node)
    if "modifierExtension" in node.value:
        turning = node.many("modifierExtension", extension)
        found += tuple([replace(one, modifier=True) for one in turning])
    return found


def _added(node: Node) -> tuple[Extension, ...]:
    value = node.value
    found = node.many("extension", extension) if "extension" in value else ()
    if "_" in "".join(value):  # asked of all names at once: hardly any resource has one
        for name in value:
            if name[0:1] == "_":
                found += _sibling(node, name)
    return found


def _sibling(node: Node, name: str) -> tuple[Extension, ...]:
    """What stands beside a primitive element, or beside the members of a list of them."""
    held = node.value[name]
    if isinstance(held, dict):
        beside = Node(held, (node.path, name), node.resource, node.body)
        return _named_extensions(beside, name[1:])
    found: list[Extension] = []
    for index, held_one in enumerate(held[:MAX_ITEMS] if isinstance(held, list) else ()):
        if isinstance(held_one, dict):
            beside = Node(held_one, ((node.path, name), index), node.resource, node.body)
            found += _named_extensions(beside, f"{name[1:]}[{index}]")
    return tuple(found)


def _named_extensions(beside: Node, element: str) -> tuple[Extension, ...]:
    return tuple([extension(child, element) for child in beside.children("extension")])


def _usual_extension(value: Resource) -> Extension | None:
    url = value.get("url")
    if type(url) is not str or not url or url.isspace():
        return None
    inner = all_usual(value["extension"], _usual_extension) if "extension" in value else ()
    if inner is None:
        return None
    for name, content in value.items():
        if name.startswith("value") and len(name) > 5:
            if type(content) is str:
                return _EXTENSION(url, "", name[5:], content, inner)
            if _holds_fraction(content):
                return None  # whose digits stand in the text alone
            return _EXTENSION(url, "", *_written(name, content), inner)
    return _EXTENSION(url, "", None, None, inner)


_EXTENSION = maker_of(Extension)


@usually(_usual_extension)
def extension(node: Node, element: str = "") -> Extension:
    """One extension with whatever type its value has."""
    kind, value = any_value(node)
    inner = (
        tuple([extension(child) for child in node.children("extension")]) if "extension" in node.value else ()
    )
    return Extension(url=node.text("url") or "", element=element, type=kind, value=value, extensions=inner)


def any_value(node: Node) -> tuple[str | None, str | None]:
    """The FHIR type after ``value`` and the text of a value of any type, or its JSON with every digit."""
    name = _value_name(node.value)
    if name is None:
        return None, None
    content = node.value[name]
    return _written(name, node.body.as_written(node, name) if _holds_fraction(content) else content)


def _value_name(value: Resource) -> str | None:
    for name in value:
        if name.startswith("value") and len(name) > 5:
            return name
    return None


def _written(name: str, content: Any) -> tuple[str, str]:
    return name[5:], content if isinstance(content, str) else _json(content)


def _json(content: Any) -> str:
    return orjson.dumps(content, _digits, orjson.OPT_PASSTHROUGH_DATACLASS).decode("utf-8")


def _digits(number: Decimal | Digits) -> orjson.Fragment:
    return orjson.Fragment(str(number))


def _holds_fraction(content: Any) -> bool:
    """Whether there is a number in it that JSON may write in more ways than one."""
    kind = type(content)
    if kind is not dict and kind is not list:
        return kind is float
    for inner in content.values() if kind is dict else content:
        held = type(inner)
        if held is float or ((held is dict or held is list) and _holds_fraction(inner)):
            return True
    return False
