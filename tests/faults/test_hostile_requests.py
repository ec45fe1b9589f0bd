"""Every POST and PATCH of the running node, as its OpenAPI lists them, against what strangers send."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from baton_chassis.testing.waiting import until

PRACTICES = """
[practice.alpha]
name = "Alpha Specialists"
[practice.beta]
name = "Beta Specialists"
"""
NOBODY = "01920000-0000-7000-8000-0000000000ff"
CANARY = "Zq7vXw2KpCanary"
SECONDS = 1.0
TRIES = 3
PROBLEM = "application/problem+json"
FHIR = "application/fhir+json"
LARGE = 11_000_000

UNREADABLE: Mapping[str, bytes] = {
    "cut off": b'{"a": "%s", "b": ' % CANARY.encode(),
    "trailing text": b'{"a": 1} %s' % CANARY.encode(),
    "NaN": b'{"a": NaN, "b": "%s"}' % CANARY.encode(),
    "Infinity": b'{"a": -Infinity, "b": "%s"}' % CANARY.encode(),
    "1e400": b'{"a": 1e400, "b": "%s"}' % CANARY.encode(),
    "5000 digits": b'{"a": ' + b"7" * 5000 + b"}",
    "lone surrogate": b'{"a": "%s\\ud800"}' % CANARY.encode(),
    "lone surrogate in a name": b'{"\\udfff%s": 1}' % CANARY.encode(),
    "character zero": b'{"a": "%s\\u0000"}' % CANARY.encode(),
    "name twice": b'{"a": "%s", "a": 2}' % CANARY.encode(),
    "deep": b'{"a": ' * 100_000,
    "not UTF-8": b'{"a": "%s\xff"}' % CANARY.encode(),
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"a": 1}',
}
"""Bodies that have no one meaning as JSON."""

SHAPES: Mapping[str, bytes] = {
    "array": json.dumps([CANARY]).encode(),
    "text": json.dumps(CANARY).encode(),
    "number": b"7",
    "null": b"null",
    "nothing": b"",
}
"""JSON that is no object."""

ODD: Mapping[str, Any] = {
    "surrogate pair cut": "\\ud800",
    "beyond a double": "1e400",
    "long text": json.dumps(CANARY + "x" * 1_000_000),
    "many digits": "1" + "0" * 30,
    "negative": "-1",
    "true": "true",
    "null": "null",
    "list": "[[[]]]",
    "object": json.dumps({CANARY: 1}),
    "controls": json.dumps(f"{CANARY}\u202e\u200b\u0007\n\x1b[31m"),
    "empty": '""',
    "year 9999": '"9999-12-31T23:59:59+00:00"',
    "no such date": '"2026-02-30"',
    "path": json.dumps(f"../../{CANARY}%00'\"<script>"),
}
"""JSON literals put in the place of every leaf of a good body."""


@dataclass(frozen=True)
class Operation:
    """One operation of the OpenAPI."""

    method: str
    path: str
    media_types: tuple[str, ...]
    body_required: bool

    @property
    def is_fhir(self) -> bool:
        return self.path.startswith("/fhir/")

    @property
    def is_page(self) -> bool:
        return self.path.startswith("/o/")

    @property
    def is_native(self) -> bool:
        return not (self.is_fhir or self.is_page)

    @property
    def json_type(self) -> str:
        return FHIR if self.is_fhir else "application/json"


class Node:
    """A node with things of practice alpha, and clients of alpha and beta."""

    def __init__(self, alpha: httpx.Client, beta: httpx.Client, stranger: httpx.Client) -> None:
        self.alpha, self.beta, self.stranger = alpha, beta, stranger
        document = self.alpha.get("/openapi.json").json()
        self.operations = [
            _operation(method.upper(), path, said.get("requestBody") or {})
            for path, methods in document["paths"].items()
            for method, said in methods.items()
            if method in ("post", "patch", "put")
        ]
        self.ids = self._make_things()

    def _make_things(self) -> dict[str, str]:
        made: dict[str, str] = {}
        for name in ("referrals", "appointments", "notes", "offices", "webhooks"):
            body = good_bodies(made)[f"POST /v1/{name}"]
            answer = self.alpha.post(f"/v1/{name}", json=body)
            assert answer.is_success, f"{name} {answer.status_code} {answer.text}"
            made[name] = answer.json()["id"]
        found = until(lambda: self.alpha.get("/v1/deliveries").json()["items"], what="a delivery")
        made["deliveries"] = found[0]["id"]
        for name, id in made.items():
            until(self._shown(f"/v1/{name}/{id}"), what=f"{name} is there")
        return made

    def _shown(self, path: str) -> Callable[[], bool]:
        return lambda: self.alpha.get(path).is_success

    def address(self, operation: Operation, *, of_alpha: bool = True) -> str:
        """The path with an id of alpha's, or one of nobody's."""
        kind = operation.path.split("/")[2] if operation.is_native else ""
        id = self.ids.get(kind, NOBODY) if of_alpha else NOBODY
        return re.sub(r"\{(\w+)\}", lambda found: NOBODY if found[1] == "handle" else id, operation.path)

    def send(
        self,
        operation: Operation,
        content: bytes,
        *,
        client: httpx.Client | None = None,
        media_type: str = "",
    ) -> tuple[httpx.Response, float]:
        """The answer, and the shortest of a few times that it took: other work on the machine is not ours."""
        best = float("inf")
        for _ in range(TRIES):
            began = time.monotonic()
            answer = (client or self.alpha).request(
                operation.method,
                self.address(operation),
                content=content,
                headers={"content-type": media_type or operation.json_type},
            )
            best = min(best, time.monotonic() - began)
            if best < SECONDS:
                break
        return answer, best


def _operation(method: str, path: str, body: Mapping[str, Any]) -> Operation:
    return Operation(method, path, tuple(body.get("content", {})), bool(body.get("required")))


REFERRAL = {
    "source": {"system": "urn:example:hostile", "id": "H-1"},
    "priority": "routine",
    "specialty": {"system": "http://nucc.org/provider-taxonomy", "code": "207RC0000X", "display": ""},
    "reasons": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "I25.10", "display": ""}],
    "reason_text": "An invented reason",
    "question": "An invented question?",
    "requested_disposition": "written_report",
    "patient": {
        "identifiers": [{"system": "urn:example:mrn", "value": "42"}],
        "name": {"family": "Testperson", "given": ["Ada"]},
        "birth_date": "1970-01-01",
        "gender": "female",
        "telecom": [{"system": "phone", "value": "+1 555 0100", "use": "mobile"}],
        "address": {
            "lines": ["1 Example Way"],
            "city": "Sampleton",
            "state": "OR",
            "postal_code": "97000",
        },
    },
    "referrer": {
        "office": {
            "identifiers": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}],
            "name": "Invented Practice",
            "telecom": [{"system": "email", "value": "desk@office.example"}],
        },
        "clinician": {"npi": "1234567893", "name": {"family": "Example", "given": ["Rita"]}},
        "reference": "REF-1",
    },
    "coverage": [{"payer": {"name": "Invented Payer"}, "member_id": "M-1", "plan": "P"}],
    "authored_at": "2026-01-02T09:00:00-05:00",
}
"""A referral with every field that may hold a person."""


def good_bodies(ids: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """A body that is taken, for each operation with a body; ids of the things made so far."""
    referral = {"id": ids.get("referrals", NOBODY)}
    return {
        "POST /v1/referrals": deepcopy(REFERRAL),
        "POST /v1/referrals/search": {"family": "Testperson"},
        "POST /v1/referrals/{id}/accept": {"occurred_at": "2026-01-02T09:00:00-05:00", "text": "Well"},
        "POST /v1/referrals/{id}/decline": {"reason": "no_capacity", "text": "Full"},
        "POST /v1/appointments": {
            "referral": referral,
            "source": {"system": "urn:example:hostile", "id": "A-1"},
            "start": "2027-03-01T09:00:00+00:00",
            "end": "2027-03-01T09:30:00+00:00",
            "clinician": {"npi": "1234567893", "name": {"family": "Example", "given": ["Grace"]}},
            "location": {"name": "Room 1"},
            "kind": "visit",
        },
        "POST /v1/appointments/{id}/cancel": {"reason": "patient", "text": "Moved"},
        "POST /v1/appointments/{id}/complete": {"occurred_at": "2026-01-03T09:00:00+00:00"},
        "POST /v1/notes": {
            "referral": referral,
            "source": {"system": "urn:example:hostile", "id": "N-1"},
            "kind": "final",
            "content": {"media_type": "text/plain", "text": "An invented note."},
            "answer": "An invented answer.",
            "plan": [{"who": "us", "what": "An invented step", "by": "2027-01-01"}],
            "disposition": "care_returned",
        },
        "POST /v1/notes/{id}/sign": {"by": "Grace Example, MD"},
        "POST /v1/offices": {"name": "Invented Office", "identifiers": [], "routes": []},
        "PATCH /v1/offices/{id}": {"name": "Invented Office"},
        "POST /v1/offices/{id}/verify": {"route_id": NOBODY},
        "POST /v1/webhooks": {"office_id": None, "url": "http://127.0.0.1:9/hook", "events": ["*"]},
        "PATCH /v1/webhooks/{id}": {"events": ["*"]},
        "POST /v1/webhooks/{id}/rotate": {"overlap_hours": 1},
    }


@pytest.fixture(scope="module")
def node(shared_installation: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A running node with two practices."""
    practices: Path = tmp_path_factory.mktemp("practices") / "practices.toml"
    practices.write_text(PRACTICES)
    baton = shared_installation(BATON_PRACTICES=str(practices))
    baton.start()
    tokens = [{"Authorization": f"Bearer {baton.token(practice)}"} for practice in ("alpha", "beta")]
    with contextlib.ExitStack() as clients:
        yield Node(*(clients.enter_context(baton.browser(**headers)) for headers in (*tokens, {})))


def complaints(
    operation: Operation, case: str, sent: tuple[httpx.Response, float], *, may: tuple[int, ...] = ()
) -> list[str]:
    """What is wrong with an answer that should have been a no."""
    answer, took = sent
    name = f"{operation.method} {operation.path} <- {case}: {answer.status_code}"
    found = []
    if answer.status_code >= 500:
        found.append(f"{name} is our own fault")
    elif answer.status_code < 400 and answer.status_code not in may:
        found.append(f"{name} is no refusal")
    elif answer.status_code >= 400:
        found += _formless(operation, name, answer)
    if CANARY in answer.text:
        found.append(f"{name} says what was sent")
    if took >= SECONDS:
        found.append(f"{name} took {took:.2f} s")
    return found


def _formless(operation: Operation, name: str, answer: httpx.Response) -> list[str]:
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if operation.is_fhir:
        fine = kind == FHIR and answer.json().get("resourceType") == "OperationOutcome"
        return [] if fine else [f"{name} is no OperationOutcome but {kind}"]
    if operation.is_page:
        return []
    if kind != PROBLEM:
        return [f"{name} is no problem but {kind}"]
    said = answer.json()
    missing = {"type", "title", "status", "code", "trace_id"} - said.keys()
    return [f"{name} lacks {sorted(missing)}"] if missing else []


BODY_UNREAD = {"/o/{handle}/code": (200,)}
"""Asking for a code takes no field, and answers alike for a page that is not there: its body is never read.
"""


def taking_json(node: Node) -> list[Operation]:
    found = [one for one in node.operations if any("json" in kind for kind in one.media_types)]
    assert len(found) >= 15, "the OpenAPI lists too little to be whole"
    return found


def test_bytes_that_are_no_json_are_refused_and_not_echoed(node: Node) -> None:
    found = [
        complaint
        for operation in taking_json(node)
        for case, content in UNREADABLE.items()
        for complaint in complaints(
            operation, case, node.send(operation, content), may=BODY_UNREAD.get(operation.path, ())
        )
    ]
    assert found == []


def test_unreadable_json_is_called_malformed_on_native_routes(node: Node) -> None:
    for operation in (one for one in taking_json(node) if one.is_native):
        answer, _ = node.send(operation, UNREADABLE["NaN"])
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed-json"), operation


def test_a_body_where_none_is_taken_is_refused_and_not_echoed(node: Node) -> None:
    bodyless = [one for one in node.operations if not one.media_types]
    assert bodyless
    found = [
        complaint
        for operation in bodyless
        for case, content in UNREADABLE.items()
        for complaint in complaints(operation, case, node.send(operation, content))
    ]
    assert found == []


def test_json_that_is_no_object_is_refused(node: Node) -> None:
    found = [
        complaint
        for operation in taking_json(node)
        for case, content in SHAPES.items()
        for complaint in complaints(
            operation,
            case,
            node.send(operation, content),
            may=(200,)
            if case == "nothing" and not operation.body_required
            else BODY_UNREAD.get(operation.path, ()),
        )
    ]
    assert found == []


def test_an_unknown_field_is_refused_where_it_stands_on_native_routes(node: Node) -> None:
    for operation in (one for one in taking_json(node) if one.is_native):
        answer, _ = node.send(operation, json.dumps({f"field_{CANARY}": CANARY}).encode())
        assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed"), operation
        assert {("", "unknown-field")} <= {
            (error["pointer"], error["code"]) for error in answer.json()["errors"]
        }
        assert CANARY not in answer.text, "a field's name may be somebody's data too"


def test_an_unknown_field_inside_is_refused_by_the_pointer_of_its_object(node: Node) -> None:
    body = good_bodies(node.ids)["POST /v1/referrals"]
    body["patient"]["address"]["planet"] = CANARY
    answer = node.alpha.post("/v1/referrals", json=body)
    assert [(one["pointer"], one["code"]) for one in answer.json()["errors"]] == [
        ("/patient/address", "unknown-field")
    ]
    assert CANARY not in answer.text


def test_an_unknown_field_in_a_fhir_message_is_a_finding(node: Node) -> None:
    message = fhir_message()
    message["entry"][2]["resource"]["noSuchField"] = CANARY
    answer = node.alpha.post("/fhir/R4/$process-message", json=message, headers={"content-type": FHIR})

    assert answer.status_code == 200, answer.text
    resources = [one["resource"] for one in answer.json()["entry"]]
    issues = [
        issue for one in resources if one["resourceType"] == "OperationOutcome" for issue in one["issue"]
    ]
    assert ["Bundle.entry[2].resource"] in [issue["expression"] for issue in issues]
    assert {"Task", "ServiceRequest"} & {one["resourceType"] for one in resources}, "it was not taken in"
    assert CANARY not in answer.text


def test_eleven_megabytes_are_refused(node: Node) -> None:
    content = b'{"a": "' + b"x" * LARGE + b'"}'
    for operation in taking_json(node):
        sent = node.send(operation, content)
        assert complaints(operation, "11 MB", sent) == []
        assert sent[0].status_code == 413, operation


def test_a_wrong_content_type_is_refused(node: Node) -> None:
    for operation in taking_json(node):
        for media_type in (
            "text/plain",
            "application/x-yaml",
            "multipart/form-data; boundary=x",
            "application/json5",
        ):
            sent = node.send(operation, b'{"a": 1}', media_type=media_type)
            assert complaints(operation, media_type, sent) == []
            assert operation.is_page or sent[0].status_code == 415, operation


def test_another_practices_id_in_a_path_is_not_there(node: Node) -> None:
    addressed = [one for one in node.operations if "{id}" in one.path and one.is_native]
    assert len(addressed) >= 10
    bodies = good_bodies(node.ids)
    for operation in addressed:
        body = bodies.get(f"{operation.method} {operation.path}", {})
        content = json.dumps(body).encode() if operation.media_types else b""
        sent = node.send(operation, content, client=node.beta)
        assert complaints(operation, "beta asks", sent) == []
        assert (sent[0].status_code, sent[0].json()["code"]) == (404, "not-found"), operation
        assert node.ids[operation.path.split("/")[2]] not in sent[0].text


def test_another_practices_referral_in_a_body_is_never_bound(node: Node) -> None:
    for name in ("appointments", "notes"):
        body = good_bodies(node.ids)[f"POST /v1/{name}"]
        answer = node.beta.post(f"/v1/{name}", json=body)
        assert answer.status_code == 202, answer.text
        assert answer.json()["status"] == "waiting"
        assert node.alpha.get(f"/v1/{name}/{answer.json()['id']}").status_code == 404
    assert node.beta.get(f"/v1/referrals/{node.ids['referrals']}").status_code == 404
    assert node.beta.get(f"/v1/timelines/{node.ids['referrals']}").status_code in (200, 404)
    events = node.beta.get("/v1/events", params={"referral_id": node.ids["referrals"]}).json()
    assert events["items"] == []
    assert node.beta.post("/v1/referrals/search", json={"family": "Testperson"}).json()["items"] == []


def test_no_odd_value_anywhere_in_a_good_body_breaks_anything(node: Node) -> None:
    bodies = good_bodies(node.ids)
    by_name = {f"{one.method} {one.path}": one for one in node.operations}
    found, asked = [], 0
    for name, body in bodies.items():
        for place in leaves(body):
            for case, literal in ODD.items():
                content = with_literal(body, place, literal)
                sent = node.send(by_name[name], content)
                asked += 1
                found += complaints(
                    by_name[name], f"{case} at {'/'.join(map(str, place))}", sent, may=(200, 201, 202)
                )
    assert asked > 500
    assert echoes_of_answers_left_out(found) == []


def echoes_of_answers_left_out(found: list[str]) -> list[str]:
    """A value that was taken may be shown to who sent it: only a no must not repeat it."""
    return [one for one in found if not re.search(r": 20[0-2] says what was sent$", one)]


def leaves(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every value in a body that holds no others."""
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    found = False
    for name, member in members:
        found = True
        yield from leaves(member, (*place, name))
    if not found and place:
        yield place


def with_literal(body: Mapping[str, Any], place: tuple[Any, ...], literal: str) -> bytes:
    """The body with a JSON literal in one place, as bytes: JSON libraries would not write all of them."""
    changed = deepcopy(dict(body))
    target: Any = changed
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = "@HERE@"
    if literal.startswith("\\u"):
        literal = f'"{literal}"'
    return json.dumps(changed).replace('"@HERE@"', literal).encode()


def fhir_message() -> dict[str, Any]:
    """A message Bundle of an invented referral."""
    resources: list[dict[str, Any]] = [
        {
            "resourceType": "MessageHeader",
            "id": "message-1",
            "eventCoding": {"system": "http://terminology.hl7.org/CodeSystem/v2-0003", "code": "I12"},
            "source": {"name": "Example EHR", "endpoint": "http://ehr.example/fhir"},
            "focus": [{"reference": "ServiceRequest/sr1"}],
        },
        {
            "resourceType": "ServiceRequest",
            "id": "sr1",
            "identifier": [{"system": "urn:example:orders", "value": "HOSTILE-1"}],
            "status": "active",
            "intent": "order",
            "subject": {"reference": "Patient/p1"},
            "requester": {"reference": "Organization/office1"},
        },
        {"resourceType": "Patient", "id": "p1", "name": [{"family": "Testperson", "given": ["Ada"]}]},
        {"resourceType": "Organization", "id": "office1", "name": "Example Family Practice"},
    ]
    return {
        "resourceType": "Bundle",
        "id": "b1",
        "type": "message",
        "entry": [
            {"fullUrl": f"http://ehr.example/fhir/{one['resourceType']}/{one['id']}", "resource": one}
            for one in resources
        ],
    }


def test_broken_or_dangerous_xml_is_refused_with_an_outcome(node: Node) -> None:
    entity = (
        f'<!DOCTYPE a [<!ENTITY x "{CANARY}">]><Bundle xmlns="http://hl7.org/fhir"><id value="&x;"/></Bundle>'
    )
    bomb = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha"}">' for n in range(12))
    cases = {
        "cut off": f"<Bundle><{CANARY}",
        "entity": entity,
        "outside": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><Bundle>&x;</Bundle>',
        "bomb": f"<!DOCTYPE a [{bomb}]><Bundle>&e11;</Bundle>",
        "deep": "<a>" * 100_000,
    }
    operation = next(one for one in node.operations if one.is_fhir)
    for case, text in cases.items():
        sent = node.send(operation, text.encode(), media_type="application/fhir+xml")
        assert complaints(operation, case, sent) == []


def test_nobody_without_a_token_gets_further_than_the_door(node: Node) -> None:
    for operation in (one for one in node.operations if not one.is_page):
        answer, _ = node.send(operation, b"{}", client=node.stranger)
        assert answer.status_code == 401, operation
