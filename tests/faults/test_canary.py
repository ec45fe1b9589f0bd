"""Unique words in every field about a patient go round the loop, and are nowhere they must not be."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import random
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from baton_chassis.testing.waiting import until

FHIR = "application/fhir+json"
CHANCE = random.Random(20260105)
CODE = re.compile(r"\b(\d{8})\b")


@dataclass
class Canaries:
    """Words that occur nowhere else, by the field that they were put into."""

    words: dict[str, str] = field(default_factory=dict)

    def word(self, place: str) -> str:
        """A new word for ``place``."""
        self.words[place] = "Zq" + "".join(CHANCE.choices("bcdfghjklmnpqrstvwxz", k=14))
        return self.words[place]

    def digits(self, place: str, count: int) -> str:
        """A new number for ``place``."""
        self.words[place] = "".join(CHANCE.choices("3456789", k=count))
        return self.words[place]

    def birth_date(self, place: str) -> str:
        """A day on which nothing else happened."""
        date = f"19{CHANCE.randint(20, 29)}-0{CHANCE.randint(1, 9)}-1{CHANCE.randint(0, 9)}"
        self.words[place] = date
        self.words[f"{place} (compact)"] = date.replace("-", "")
        return date

    def found_in(self, haystack: bytes) -> list[str]:
        """The places whose words stand in ``haystack``: plain in any case, UTF-16, hex, base64, or as a bare
        digest.
        """
        lowered = haystack.lower()
        return [
            place
            for place, word in self.words.items()
            if any(form in lowered for form in _folded_forms(word))
            or any(form in haystack for form in _exact_forms(word))
        ]


@cache
def _folded_forms(word: str) -> tuple[bytes, ...]:
    lowered = word.lower()
    forms = [lowered.encode(), lowered.encode("utf-16-le")]
    for spelling in sorted({word, lowered, word.upper()}):
        forms.append(spelling.encode().hex().encode())
        forms.append(hashlib.sha256(spelling.encode()).hexdigest().encode())
        forms.append(hashlib.md5(spelling.encode()).hexdigest().encode())
    return tuple(forms)


@cache
def _exact_forms(word: str) -> tuple[bytes, ...]:
    """Base64 at each of three alignments, without what depends on the neighbours; the raw digest."""
    forms = [hashlib.sha256(word.encode()).digest()]
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + word.encode())
        forms.append(encoded[-(-shift * 4 // 3) + (1 if shift else 0) : -4])
    return tuple(forms)


@dataclass
class Office:
    """The referring office's browser, from the link in a mail."""

    browser: httpx.Client
    path: str


@dataclass
class Watched:
    """Everything that passed between the test and the node, apart from good answers to those who may read."""

    addresses: list[str] = field(default_factory=list)
    refusals: list[bytes] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)

    def hooks(self) -> Mapping[str, list[Callable[..., Any]]]:
        """For an httpx client."""
        return {"response": [self._saw]}

    def _saw(self, answer: httpx.Response) -> None:
        answer.read()
        if "canary-in-url" not in answer.request.headers:
            self.addresses.append(str(answer.request.url))
        self.headers.append(str(answer.headers.raw))
        if answer.status_code >= 400:
            self.refusals.append(answer.content)


def native_referral(canaries: Canaries, name: str) -> dict[str, Any]:
    def word(place: str) -> str:
        return canaries.word(f"{name} {place}")

    return {
        "source": {"system": "urn:example:canary", "id": name},
        "reasons": [
            {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "I25.10", "display": word("display")}
        ],
        "reason_text": f"Because of {word('reason')}.",
        "question": f"Is it {word('question')}?",
        "patient": {
            "identifiers": [{"system": "urn:example:mrn", "value": word("mrn")}],
            "name": {"family": word("family"), "given": [word("given"), word("middle")]},
            "birth_date": canaries.birth_date(f"{name} birth date"),
            "gender": "female",
            "telecom": [
                {"system": "phone", "value": f"+1{canaries.digits(f'{name} phone', 10)}", "use": "mobile"},
                {"system": "email", "value": f"{word('mail')}@patient.example"},
            ],
            "address": {
                "lines": [f"1 {word('street')} Way"],
                "city": word("city"),
                "state": "OR",
                "postal_code": word("postal code"),
            },
        },
        "referrer": {
            "office": {
                "name": f"Invented Practice {name}",
                "telecom": [{"system": "email", "value": f"{name}@office.example"}],
            },
            "reference": f"REF-{name}",
        },
        "coverage": [
            {"payer": {"name": "Invented Payer"}, "member_id": word("member"), "plan": word("plan")}
        ],
    }


def fhir_referral(canaries: Canaries, name: str) -> dict[str, Any]:
    def word(place: str) -> str:
        return canaries.word(f"{name} {place}")

    patient = {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": [{"system": "urn:example:mrn", "value": word("mrn")}],
        "name": [{"family": word("family"), "given": [word("given")], "text": word("name text")}],
        "birthDate": canaries.birth_date(f"{name} birth date"),
        "telecom": [{"system": "phone", "value": f"+1{canaries.digits(f'{name} phone', 10)}"}],
        "address": [{"line": [word("street")], "city": word("city"), "postalCode": word("postal code")}],
        "contact": [{"name": {"family": word("contact")}}],
        "noSuchField": word("unknown field"),
    }
    request = {
        "resourceType": "ServiceRequest",
        "id": "sr1",
        "identifier": [{"system": "urn:example:orders", "value": f"ORDER-{name}"}],
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/p1", "display": word("subject display")},
        "requester": {"reference": "Organization/office1"},
        "reasonCode": [{"text": word("reason")}],
        "note": [{"text": word("note")}],
        "patientInstruction": word("instruction"),
    }
    office = {
        "resourceType": "Organization",
        "id": "office1",
        "name": f"Invented Practice {name}",
        "telecom": [{"system": "email", "value": f"{name}@office.example"}],
    }
    header = {
        "resourceType": "MessageHeader",
        "id": f"message-{name}",
        "eventCoding": {"system": "http://terminology.hl7.org/CodeSystem/v2-0003", "code": "I12"},
        "source": {"name": "Example EHR", "endpoint": "http://ehr.example/fhir"},
        "focus": [{"reference": "ServiceRequest/sr1"}],
    }
    entries = [
        {"fullUrl": f"http://ehr.example/fhir/{one['resourceType']}/{one['id']}", "resource": one}
        for one in (header, request, patient, office)
    ]
    return {"resourceType": "Bundle", "id": "b1", "type": "message", "entry": entries}


class Loop:
    """Plays the loop and the wrong turns on one node."""

    def __init__(self, baton: Any, clients: contextlib.ExitStack, receiver: Any) -> None:
        self.baton, self.receiver = baton, receiver
        self.canaries, self.watched = Canaries(), Watched()
        self._clients = clients
        self.practice = self._client(Authorization=f"Bearer {baton.state['token']}")
        self.good: list[bytes] = []

    def _client(self, **headers: str) -> httpx.Client:
        client: httpx.Client = self._clients.enter_context(self.baton.browser(**headers))
        client.event_hooks = dict(self.watched.hooks())
        return client

    def post(self, path: str, body: Any, **headers: str) -> dict[str, Any]:
        answer = self.practice.post(path, json=body, headers=headers)
        assert answer.is_success, f"{path} {answer.status_code} {answer.text}"
        said: dict[str, Any] = answer.json()
        return said

    def read(self, path: str) -> Any:
        """What somebody reads who may."""
        answer = self.practice.get(path)
        assert answer.status_code == 200, answer.text
        self.good.append(answer.content)
        return answer.json() if "json" in answer.headers["content-type"] else answer.content

    def play(self) -> None:
        self.post("/v1/webhooks", {"office_id": None, "url": self.receiver.url})
        self.post("/v1/webhooks", {"office_id": None, "url": self.receiver.url, "format": "cloudevents"})
        self.receiver.status = 500
        native = self.post("/v1/referrals", native_referral(self.canaries, "native"))
        message = self.practice.post(
            "/fhir/R4/$process-message",
            json=fhir_referral(self.canaries, "message"),
            headers={"content-type": FHIR},
        )
        assert message.status_code == 200, message.text
        self.good.append(message.content)
        ids = [
            one["resource"]["id"]
            for one in message.json()["entry"]
            if one["resource"]["resourceType"] == "Task"
        ]
        self.receiver.status = 200
        for id, desk in ((native["id"], "native@office.example"), (ids[0], "message@office.example")):
            self._go_round(id, desk)
        self._wrong_turns(native["id"])
        self.baton.sent_everything()

    def _go_round(self, id: str, desk: str) -> None:
        word = self.canaries.word
        self.post(f"/v1/referrals/{id}/accept", {"text": word(f"{desk} accept text")})
        start = {"referral": {"id": id}, "start": "2027-03-01T09:00:00+00:00", "kind": "visit"}
        booked = self.post("/v1/appointments", start)
        self.post(f"/v1/appointments/{booked['id']}/complete", {"text": word(f"{desk} visit text")})
        note = self.post("/v1/notes", self._note({"id": id}, desk))
        self._state(id, "seen")
        mail = until(lambda: self._mails(desk, r"/o/"), what=f"mail to {desk}")[0]
        office = self._office(mail)
        page = office.browser.get(office.path)
        assert page.status_code == 200, page.text
        self._sign_in(office, desk)
        shown = until(
            lambda: office.browser.get(office.path).json()["documents"], what="the note is on the page"
        )
        assert [one["id"] for one in shown] == [note["id"]]
        document = office.browser.get(f"{office.path}/documents/{note['id']}")
        assert document.status_code == 200
        self.good.append(document.content)
        self._state(id, "notes_sent")
        assert office.browser.post(f"{office.path}/acknowledge", data={}).status_code < 400
        self._state(id, "care_returned")
        self.read(f"/v1/notes/{note['id']}")
        self.read(f"/v1/notes/{note['id']}/content")
        for artifact in self.read("/v1/artifacts")["items"]:
            self.read(f"/v1/artifacts/{artifact['id']}/content")

    def _note(self, referral: dict[str, str], name: str) -> dict[str, Any]:
        word = self.canaries.word
        return {
            "referral": referral,
            "kind": "final",
            "signed": {"by": "Grace Example, MD", "at": "2026-01-05T10:00:00+00:00"},
            "content": {"media_type": "text/plain", "text": f"We found {word(f'{name} content')}."},
            "answer": f"It is {word(f'{name} answer')}.",
            "plan": [{"who": "patient", "what": f"Take {word(f'{name} plan')}"}],
            "disposition": "care_returned",
        }

    def _state(self, id: str, state: str) -> None:
        until(lambda: self.read(f"/v1/referrals/{id}")["state"] == state, what=f"{state}")

    def _mails(self, desk: str, pattern: str) -> list[dict[str, Any]]:
        items = self.practice.get("/dev/mailbox/messages").json()["items"]
        return [mail for mail in items if mail["to"] == desk and re.search(pattern, mail["text"])]

    def _office(self, mail: Mapping[str, Any]) -> Office:
        link = re.search(r"https?://\S+(/o/[A-Za-z0-9_\-]+)", mail["text"])
        assert link is not None
        browser = self._client(Accept="application/json", Origin=self.baton.state["base_url"])
        return Office(browser, link[1])

    def _sign_in(self, office: Office, desk: str) -> None:
        assert office.browser.post(f"{office.path}/code", data={}).status_code < 400
        mail = until(lambda: self._mails(desk, CODE.pattern), what="the mail with the code")[0]
        office.browser.post(f"{office.path}/verify", data={"code": self.canaries.digits("wrong code", 8)})
        found = CODE.search(mail["text"])
        assert found is not None
        assert office.browser.post(f"{office.path}/verify", data={"code": found[1]}).status_code < 400

    def _wrong_turns(self, id: str) -> None:
        """Everything that is refused, each with words of its own."""
        word = self.canaries.word
        referral = native_referral(self.canaries, "refused")
        wrong = [
            ("/v1/referrals", referral | {"priority": word("wrong enum")}),
            ("/v1/referrals", referral | {word("unknown name"): word("unknown value")}),
            (
                "/v1/referrals",
                referral | {"patient": {"name": word("wrong type"), "birth_date": word("no date")}},
            ),
            ("/v1/referrals", referral | {"reasons": [{"code": [word("nested")]}]}),
            (f"/v1/referrals/{id}/decline", {"reason": "no_capacity", "text": word("refused text")}),
            (f"/v1/referrals/{id}/accept", {"reason": word("reason").lower()}),
            ("/v1/notes", self._note({"id": id}, "refused") | {"kind": word("wrong kind")}),
            ("/v1/referrals/search", {"family": word("searched"), "nothing": 1}),
            ("/v1/appointments", {"referral": {"id": id}, "start": word("wrong start")}),
        ]
        for path, body in wrong:
            assert self.practice.post(path, json=body).status_code in (409, 422), path
        cut_off = json.dumps({"patient": word("cut off")}).encode()[:-2]
        for path in ("/v1/referrals", "/fhir/R4/$process-message"):
            assert self.practice.post(
                path, content=cut_off, headers={"content-type": "application/json"}
            ).is_client_error
        for text in (
            f"<Bundle><{word('broken xml')}",
            f"<!DOCTYPE x [<!ENTITY e '{word('entity')}'>]><x>&e;</x>",
        ):
            answer = self.practice.post(
                "/fhir/R4/$process-message", content=text, headers={"content-type": "application/fhir+xml"}
            )
            assert answer.is_client_error
        headerless = fhir_referral(self.canaries, "headerless")
        headerless["entry"] = headerless["entry"][1:]
        self.practice.post("/fhir/R4/$process-message", json=headerless, headers={"content-type": FHIR})
        key = {"Idempotency-Key": "canary-key"}
        self.post("/v1/referrals", native_referral(self.canaries, "once"), **key)
        assert (
            self.practice.post(
                "/v1/referrals", json=native_referral(self.canaries, "twice"), headers=key
            ).status_code
            == 422
        )
        self.post("/v1/notes", self._note({"system": "urn:example:canary", "id": "never"}, "waiting"))
        found = self.practice.post(
            "/v1/referrals/search", json={"family": self.canaries.words["native family"]}
        ).json()
        assert [one["id"] for one in found["items"]] == [id]
        for path in ("/v1/referrals", "/v1/events", f"/v1/referrals/{word('in a path')}"):
            self.practice.get(path, params={"family": word("in a query")}, headers={"canary-in-url": "1"})


Kept = Iterator[tuple[str, bytes]]
"""What lies somewhere: the name of the place, and bytes."""


def files(folder: Path) -> Kept:
    """Every file as it lies there."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.name, path.read_bytes()


def sqlite_values(folder: Path) -> Kept:
    """Every value of every table, as ``service.table``: in the file a long one is spread over pages."""
    for path in sorted(folder.glob("*.sqlite")):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (table,) in tables:
                for row in connection.execute(f'SELECT * FROM "{table}"'):
                    yield from _values(f"{path.stem}.{table}", row)


def _values(where: str, row: Iterable[Any]) -> Kept:
    for value in row:
        if value is not None:
            yield where, value if isinstance(value, bytes) else str(value).encode()


async def postgresql_values(url: str) -> list[tuple[str, bytes]]:
    """Every value of every table of every schema, as ``service.table``."""
    found: list[tuple[str, bytes]] = []
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch(
            "SELECT schemaname, tablename FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        for schema, table in tables:
            for row in await connection.fetch(f'SELECT * FROM "{schema}"."{table}"'):
                found += _values(f"{schema}.{table}", row.values())
    finally:
        await connection.close()
    return found


async def kafka_records(bootstrap: str) -> list[tuple[str, bytes]]:
    """Key, value and headers of every record of every topic that is ours, as ``log.record``."""
    places = await _kafka_places(bootstrap)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        found: list[tuple[str, bytes]] = []
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    found += _values("log.record", (record.key, record.value, str(record.headers)))
        return found
    finally:
        await consumer.stop()


async def _kafka_places(bootstrap: str) -> list[TopicPartition]:
    """Every partition of every topic that is ours."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        topics = [topic for topic in await admin.list_topics() if not topic.startswith("__")]
        described = await admin.describe_topics(topics)
    finally:
        await admin.close()
    return [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in described
        for partition in topic["partitions"]
    ]


def process_pages(baton: Any) -> Kept:
    """What every process of a cluster shows at its own port."""
    for one in baton.state["processes"]:
        for path in ("/metrics", "/readyz?verbose", "/livez"):
            answer = httpx.get(f"http://127.0.0.1:{one['port']}{path}", trust_env=False)
            assert answer.status_code == 200, f"{one['service']} {path} {answer.status_code}"
            yield path, answer.content


def pages(baton: Any) -> Kept:
    """What an installation shows without naming a patient."""
    embedded = ("/metrics",) if baton.mode == "embedded" else ()
    for path in (
        *embedded,
        "/readyz?verbose",
        "/v1/deliveries?limit=200",
        "/v1/offices",
        "/dev/mailbox",
        "/openapi.json",
    ):
        answer = baton.http.get(path)
        assert answer.status_code == 200, f"{path} {answer.status_code}"
        yield path, answer.content
    after: str | None = None
    while True:
        answer = baton.http.get("/v1/events", params={"limit": 200} | ({"after": after} if after else {}))
        yield "/v1/events", answer.content
        if not answer.json()["items"] or answer.json()["next"] in (None, after):
            return
        after = answer.json()["next"]


def mails(baton: Any) -> Kept:
    """Every mail as it was sent."""
    for mail in baton.http.get("/dev/mailbox/messages").json()["items"]:
        yield "mail", json.dumps(mail, ensure_ascii=False).encode()


def test_no_word_about_a_patient_is_anywhere_it_must_not_be(
    installation: Callable[..., Any], receiver: Any
) -> None:
    baton = installation()
    baton.start()
    loop, passed = _played(baton, receiver)
    baton.stop()
    kept = [*passed, *files(baton.folder), *sqlite_values(baton.folder)]
    _nothing_is_found(loop, baton, kept, receiver)
    assert "baton.log" in {where for where, _ in kept}


@pytest.mark.postgres
@pytest.mark.kafka
def test_no_word_about_a_patient_is_anywhere_it_must_not_be_in_the_cluster(
    scaled: Any, receiver: Any
) -> None:
    baton = scaled
    baton.start()
    loop, passed = _played(baton, receiver)
    passed += process_pages(baton)
    baton.stop()
    kept = [
        *passed,
        *files(baton.folder),
        *asyncio.run(postgresql_values(baton.environment["BATON_DATABASE_URL"])),
        *asyncio.run(kafka_records(baton.environment["BATON_KAFKA"])),
    ]
    _nothing_is_found(loop, baton, kept, receiver)
    assert {"intake-service.log", "notification-service.log", "/metrics"} <= {where for where, _ in kept}


def _played(baton: Any, receiver: Any) -> tuple[Loop, list[tuple[str, bytes]]]:
    """The loop played on an installation that runs, and what passed in and out of it."""
    with contextlib.ExitStack() as clients:
        loop = Loop(baton, clients, receiver)
        loop.play()
        watched = loop.watched
        passed = [
            *pages(baton),
            *mails(baton),
            *(("webhook", one.body + str(one.headers).encode()) for one in receiver.received),
            *(("address", one.encode()) for one in watched.addresses),
            *(("refusal", one) for one in watched.refusals),
            *(("answer's headers", one.encode()) for one in watched.headers),
        ]
    assert baton.verified().violations == []
    return loop, passed


def _nothing_is_found(loop: Loop, baton: Any, kept: list[tuple[str, bytes]], receiver: Any) -> None:
    kept.append(("standard output and error", baton.output.read_bytes()))
    hits = {(where, place) for where, content in kept for place in loop.canaries.found_in(content)}
    assert hits == set()
    _was_no_empty_search(loop, kept, receiver)


def _was_no_empty_search(loop: Loop, kept: Iterable[tuple[str, bytes]], receiver: Any) -> None:
    """The words went in, the search would find them, and there was something to search."""
    read = set(loop.canaries.found_in(b"\n".join(loop.good)))
    wanted = {
        f"{name} {place}"
        for name in ("native", "message")
        for place in ("family", "mrn", "phone", "birth date")
    }
    assert wanted <= read
    assert {f"{name}@office.example content" for name in ("native", "message")} <= read
    kinds = {where for where, _ in kept}
    assert {"log.record", "intake.journal", "intake.artifact_bytes", "notification.delivery", "mail"} <= kinds
    assert {"intake.waiting", "notes.waiting"} & kinds
    assert len(receiver.received) >= 12


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_the_search_finds_a_word_in_every_form(shift: int) -> None:
    canaries = Canaries()
    word = canaries.word("family")
    neighbours = b"~" * shift
    forms = [
        word.encode(),
        word.upper().encode(),
        word.encode("utf-16-le"),
        word.encode().hex().encode(),
        base64.b64encode(neighbours + word.encode() + b"~~~~"),
        hashlib.sha256(word.lower().encode()).hexdigest().encode(),
    ]
    for form in forms:
        assert canaries.found_in(b"before" + form + b"after") == ["family"], form
    assert canaries.found_in(b"something else") == []
