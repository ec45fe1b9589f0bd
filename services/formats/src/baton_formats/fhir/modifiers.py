"""Elements that may turn the meaning of a resource round: whoever does not know them must say so."""

# FHIR R4 4.0.1, "Is-Modifier" (2.4.1.9), Extensibility (2.4.1), Resource.implicitRules (2.26.3.1).

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from baton_formats.fhir.body import Body
from baton_formats.fhir.references import type_of
from baton_formats.fhir.tree import Node, Path

_ACTED_ON: Final = frozenset(
    {
        "ServiceRequest",
        "ReferralRequest",
        "Task",
        "Appointment",
        "CommunicationRequest",
        "Communication",
        "Bundle",
        "MessageHeader",
    }
)
"""What somebody does something about: here what is not understood must not be passed over."""

_RECORDS: Final = frozenset(
    {
        "Patient",
        "Practitioner",
        "PractitionerRole",
        "Organization",
        "HealthcareService",
        "RelatedPerson",
        "Location",
    }
)
_OUT_OF_USE: Final = ("inactive", "suspended")  # no set: what is looked up may be anything


def look_for_modifiers(body: Body, *, extended: bool) -> None:
    """Note what may change the meaning of any resource of a body.

    ``extended`` says whether ``modifierExtension`` stands anywhere in it at all; hardly any body has one.
    """
    for node in body.nodes:
        value = node.value
        if "doNotPerform" in value and node.flag("doNotPerform") is not False:
            detail = "this says what must not be done; it asks for nothing"
            node.doubt("do-not-perform", detail, "doNotPerform", refusing=_is_acted_on(node))
        if "implicitRules" in value and value["implicitRules"] is not None:
            detail = "this was written by rules that are not known here"
            node.doubt("implicit-rules", detail, "implicitRules", refusing=_is_acted_on(node))
        if value["resourceType"] in _RECORDS:
            _look_for_use(node)
        if extended:
            for place in _modified(value, node.path):
                detail = "an extension may change the meaning of this"
                body.doubts.add("modifier-extension", place, detail, refusing=_is_acted_on(node))


def _is_acted_on(node: Node) -> bool:
    return type_of(node.value) in _ACTED_ON


def _look_for_use(node: Node) -> None:
    """Records of people and places that are out of use, or that another one replaced."""
    value = node.value
    kind = value["resourceType"]
    if value.get("active") in (False, "false"):
        node.doubt("not-in-use", "this record is marked as not in use", "active")
    if kind == "Location" and value.get("status") in _OUT_OF_USE:
        node.doubt("not-in-use", "this place is marked as not in use", "status")
    links = value.get("link") if kind == "Patient" else None
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("type") == "replaced-by":
            node.doubt("not-in-use", "another record replaces this one", "link")


def _modified(resource: dict[str, Any], path: Path) -> Iterator[Path]:
    """The places of all modifier extensions of a resource, those of resources inside of it left out."""
    waiting: list[tuple[Any, Path]] = [(resource, path)]
    while waiting:
        value, place = waiting.pop()
        if isinstance(value, list):
            waiting.extend((inner, (place, index)) for index, inner in enumerate(value))
        elif isinstance(value, dict) and (value is resource or "resourceType" not in value):
            for name, inner in value.items():
                if name == "modifierExtension":
                    if inner is not None and inner != []:
                        yield (place, name)
                elif isinstance(inner, dict | list):
                    waiting.append((inner, (place, name)))
