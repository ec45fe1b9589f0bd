"""FHIR XML as the same tree that JSON gives: no document type, no entities, nothing fetched."""

from __future__ import annotations

from typing import Any

from lxml import etree

from baton_formats.fhir.tree import Resource
from baton_formats.parsing import apart

_FHIR = "{http://hl7.org/fhir}"
_XHTML_DIV = "{http://www.w3.org/1999/xhtml}div"
_LISTS = frozenset(
    {
        "address",
        "category",
        "coding",
        "contained",
        "content",
        "entry",
        "event",
        "extension",
        "given",
        "identifier",
        "input",
        "line",
        "modifierExtension",
        "name",
        "note",
        "output",
        "parameter",
        "part",
        "participant",
        "performer",
        "prefix",
        "profile",
        "reasonCode",
        "reasonReference",
        "result",
        "section",
        "slot",
        "suffix",
        "supportingInfo",
        "telecom",
    }
)
"""Elements that become lists even when they stand alone; the cursor takes the first where one is wanted."""

MAX_DEPTH = 64


class NotFhirXml(ValueError):
    """The bytes are no acceptable FHIR XML: why, and where. Repeats no content."""

    def __init__(self, code: str, detail: str, where: str = "") -> None:
        super().__init__(f"{detail} ({where})" if where else detail)
        self.code = code
        self.detail = detail
        self.where = where


def from_xml(body: bytes) -> Resource:
    """The resource of a FHIR XML document as JSON would give it, but all primitives are texts and single
    elements may stand bare. Raises :class:`NotFhirXml`."""
    return apart(lambda: _from_xml(body))


def _from_xml(body: bytes) -> Resource:
    root = _parsed(body)
    if not isinstance(root.tag, str) or not root.tag.startswith(_FHIR):
        raise NotFhirXml("not-fhir", "the root element is not of the FHIR namespace")
    return _resource(root, 0)


def _parsed(body: bytes) -> etree._Element:
    plain = body.replace(b"\x00", b"") if b"\x00" in body[:4] else body  # UTF-16 says it in two bytes each
    if b"<!DOCTYPE" in plain or b"<!ENTITY" in plain:
        raise NotFhirXml("document-type", "a document type or entities are not accepted")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise NotFhirXml(
            "malformed-xml", "this is not well-formed XML", f"line {line} column {column}"
        ) from None
    except ValueError:
        raise NotFhirXml("malformed-xml", "this is not well-formed XML") from None
    if root.getroottree().docinfo.doctype:
        raise NotFhirXml("document-type", "a document type or entities are not accepted")
    return root


def _resource(element: etree._Element, depth: int) -> Resource:
    members = _members(element, depth)
    if "resourceType" in members:  # FHIR has no such element: it must not say what the resource is
        members["(resourceType)"] = members.pop("resourceType")
    return {"resourceType": _local(element), **members}


def _members(element: etree._Element, depth: int) -> Resource:
    if depth > MAX_DEPTH:
        raise NotFhirXml("too-deep", f"elements are nested more than {MAX_DEPTH} levels deep")
    # Asked for by name: lxml lists the attributes of an element in quadratic time.
    members: Resource = {name: text for name in ("id", "url") if (text := element.get(name)) is not None}
    for child in element:
        if isinstance(child.tag, str):
            _add(members, child, depth + 1)
    return members


def _add(members: Resource, child: etree._Element, depth: int) -> None:
    if child.tag == _XHTML_DIV:
        members["div"] = etree.tostring(child, encoding="unicode", with_tail=False)
        return
    name = _local(child)
    inner = [grand for grand in child if isinstance(grand.tag, str)]
    if name in ("resource", "contained", "outcome") and len(inner) == 1 and _local(inner[0])[:1].isupper():
        _put(members, name, _resource(inner[0], depth))
        return
    primitive = child.get("value")
    if primitive is None:
        _put(members, name, _members(child, depth))
        return
    _put(members, name, primitive)
    if inner and f"_{name}" not in members:
        members[f"_{name}"] = _members(child, depth)


def _put(members: Resource, name: str, value: Any) -> None:
    known = members.get(name)
    if isinstance(known, list):
        known.append(value)
    elif known is not None:
        members[name] = [known, value]
    else:
        members[name] = [value] if name in _LISTS and not _stands_bare(name, value) else value


def _stands_bare(name: str, value: Any) -> bool:
    """Texts under names that are lists of objects elsewhere: Organization.name, note-like strings."""
    return isinstance(value, str) and name not in ("given", "line", "prefix", "profile", "suffix")


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname
