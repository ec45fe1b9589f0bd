"""Parameters that carry a referral: e-RS asks for one without any ReferralRequest."""

from __future__ import annotations

from itertools import islice

from baton_formats.facts import Concept, HumanName, Party, Patient, Referral
from baton_formats.fhir.body import Body
from baton_formats.fhir.datatypes import coding_as_concept, identifier
from baton_formats.fhir.requests import MAX_SERVICES, services_of
from baton_formats.fhir.tables import Read, Table, row
from baton_formats.fhir.tree import Node

_CREATE = "eRS-CreateReferral-Parameters"


def _parameter(node: Node, name: str) -> Node | None:
    return next((held for held in node.children("parameter") if held.value.get("name") == name), None)


def _patient(node: Node) -> Patient | None:
    held = _parameter(node, "patient")
    number = held.one("valueIdentifier", identifier) if held is not None else None
    return Patient(identifiers=(number,)) if number is not None else None


def _criteria(node: Node) -> Node | None:
    """The search the referrer made before choosing: Parameters contained in the shortlist."""
    body: Body = node.body
    held: tuple[Node, ...] = body.once("first parameters", body.root, _first_parameters)
    return next((one for one in held if one is not node), None)


def _first_parameters(root: Node) -> tuple[Node, ...]:
    body: Body = root.body
    held = (node for node in body.nodes if node.value.get("resourceType") == "Parameters")
    return tuple(islice(held, 2))


def _criterion(name: str) -> Read:
    def read(node: Node) -> Concept | None:
        criteria = _criteria(node)
        held = _parameter(criteria, name) if criteria is not None else None
        return held.one("valueCoding", coding_as_concept) if held is not None else None

    return read


def _priority(node: Node) -> str | None:
    sent = _criterion("priority")(node)
    meant = node.body.profile.priorities.get(sent.code) if sent is not None else None
    if sent is not None and meant is None:
        node.doubt("unknown-code", "this priority is not one of the profile", "parameter", refusing=True)
    return str(meant) if meant else None


def _services(node: Node) -> tuple[Party, ...]:
    body: Body = node.body
    return services_of(islice(body.of_type("List"), MAX_SERVICES), node, "parameter")


CREATE_REFERRAL = Table(
    "Parameters (e-RS create referral)",
    Referral,
    row("action", "a new referral", "Parameters.meta.profile", lambda node: "new", needs=""),
    row("patient", "the patient, by number only", "Parameters.parameter (patient)", _patient),
    row(
        "priority",
        "how soon",
        "Parameters.parameter (shortlist criteria, priority)",
        _priority,
        findings=("unknown-code",),
    ),
    row(
        "priority_code",
        "the same, as sent",
        "Parameters.parameter (shortlist criteria, priority)",
        _criterion("priority"),
    ),
    row(
        "specialty",
        "whose field it is",
        "Parameters.parameter (shortlist criteria, specialty)",
        _criterion("specialty"),
    ),
    row(
        "service",
        "kind of clinic",
        "Parameters.parameter (shortlist criteria, clinicType)",
        _criterion("clinicType"),
    ),
    row(
        "performers",
        "the services to choose from",
        "List.entry.item",
        _services,
        needs="",
        findings=("list-too-long",),
    ),
    source="NHS e-RS FHIR API, A011",
    notes=("Name, birth date and referrer are not in it: the national service knows them.",),
)


def referral(node: Node) -> Referral | None:
    """The referral that Parameters ask for, if that is what they are."""
    meta = node.child("meta")
    profiles = meta.texts("profile") if meta is not None else ()
    if not any(_CREATE in profile for profile in profiles) or any("Response" in p for p in profiles):
        return None
    return CREATE_REFERRAL.read(node)


__all__ = ["CREATE_REFERRAL", "HumanName", "referral"]
