"""Running installations, started as a user starts them, and the people who use them."""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from aiosmtpd.controller import Controller

from baton_chassis.testing.receiver import Receiver
from baton_chassis.testing.server_process import child
from baton_chassis.testing.servers import create_database, free_port
from baton_chassis.testing.waiting import until
from baton_contracts.envelope import Envelope

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
BSER = SHARED / "fhir-bser/json-compiled/Bundle-bundle-bser-referral-message-bundle-eve-everywoman.json"


class MailServer:
    """A real SMTP server on loopback that accepts every mail and keeps it; nobody opens anything."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []
        self.port = free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Take one mail."""
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        text, html = mail.get_body(("plain",)), mail.get_body(("html",))
        self.kept.append(
            {
                "to": envelope.rcpt_tos[0],
                "subject": str(mail["Subject"]),
                "headers": {name: str(value) for name, value in mail.items()},
                "text": text.get_content() if text else "",
                "html": html.get_content() if html else "",
            }
        )
        return "250 kept"

    def stop(self) -> None:
        """Stop listening."""
        self._controller.stop()


@dataclass
class Installation:
    """Baton as a user has it: an address, a token, a mailbox, a clock that can be moved."""

    process: subprocess.Popen[str]
    state: dict[str, Any]
    folder: Path
    mode: str
    mail_server: MailServer | None = None
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(
            base_url=self.state["base_url"],
            timeout=30,
            trust_env=False,
            headers={"Authorization": f"Bearer {self.state['token']}"},
        )

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """What a GET answers; it must be 200."""
        answer = self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()
        return said

    def post(self, path: str, body: Any, *, status: int | tuple[int, ...] = (200, 201)) -> dict[str, Any]:
        """What a POST answers, with the status expected."""
        answer = self.client.post(path, json=body)
        wanted = status if isinstance(status, tuple) else (status,)
        assert answer.status_code in wanted, f"{answer.status_code} {answer.text}"
        said: dict[str, Any] = answer.json()
        return said

    def state_of(self, referral_id: str, state: str) -> dict[str, Any]:
        """The referral, once it has that state."""

        def look() -> dict[str, Any] | None:
            referral = self.get(f"/v1/referrals/{referral_id}")
            return referral if referral["state"] == state else None

        return until(look, what=f"referral is {state}")

    def mails(self, to: str) -> list[dict[str, Any]]:
        """Mail that was sent to an address, newest first."""
        if self.mail_server is not None:
            items = list(reversed(self.mail_server.kept))
        else:
            items = self.client.get("/dev/mailbox/messages").json()["items"]
        return [mail for mail in items if mail["to"] == to]

    def mail(self, to: str, word: str) -> dict[str, Any]:
        """The newest mail to an address with ``word`` in its subject or text, once it is there."""

        def look() -> dict[str, Any] | None:
            return next((m for m in self.mails(to) if word in m["subject"] or word in m["text"]), None)

        return until(look, what=f"mail to {to} with {word!r}; got {[m['subject'] for m in self.mails(to)]}")

    def advance(self, step: timedelta) -> None:
        """Move the test clock of every process."""
        answer = self.client.post("/dev/clock/advance", json={"seconds": int(step.total_seconds())})
        assert answer.status_code == 200, answer.text

    def events(self, referral_id: str) -> list[Envelope]:
        """Everything published about a referral, as console has it."""
        found: list[dict[str, Any]] = []
        after = None
        while True:
            query = {"referral_id": referral_id, "limit": 200} | ({"after": after} if after else {})
            page = self.get("/v1/events", **query)
            found += page["items"]
            if not page["items"] or page["next"] is None or page["next"] == after:
                return [Envelope.from_bytes(json.dumps(item).encode()) for item in found]
            after = page["next"]

    def stop(self) -> int:
        """Ask it to stop, as Ctrl-C does; its exit code."""
        self.client.close()
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=60)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


def start(folder: Path, *, mode: str, **environment: str) -> Installation:
    """Start Baton in ``folder`` and wait for the ready line."""
    told = {name: value for name, value in os.environ.items() if not name.startswith("BATON_")}
    told |= {
        "BATON_DATA_DIR": str(folder),
        "BATON_PORT": "0",
        "BATON_TEST_CLOCK": "1",
        "BATON_DEMO": "0",
        "BATON_OUTBOUND_ALLOW": "127.0.0.1",
    } | environment
    module = ["baton_embedded", "up"] if mode == "embedded" else ["baton_embedded.cluster"]
    errors = folder.parent / f"{folder.name}.err"
    with errors.open("a") as standard_error:
        process: subprocess.Popen[str] = child(
            [sys.executable, "-m", *module],
            cwd=ROOT,
            env=told,
            stdout=subprocess.PIPE,
            stderr=standard_error,
            text=True,
        )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("BATON READY "):
            break
    else:
        process.wait(timeout=10)
        raise AssertionError(f"did not start: {said} {errors.read_text()[-2000:]}")
    state = json.loads((folder / "run.json").read_text())
    return Installation(process, state, folder, mode)


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Everything in one process, on SQLite and the embedded log."""
    running = start(tmp_path_factory.mktemp("embedded"), mode="embedded")
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="session")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str, kafka_server: str
) -> Iterator[Installation]:
    """Two processes of every service on PostgreSQL and Apache Kafka, mail through a real SMTP server."""
    mail_server = MailServer()
    running = start(
        tmp_path_factory.mktemp("cluster"),
        mode="cluster",
        BATON_DATABASE_URL=create_database(postgres_server),
        BATON_KAFKA=kafka_server,
        BATON_SMTP_URL=f"smtp://127.0.0.1:{mail_server.port}",
        BATON_MAIL_FROM="updates@practice.example",
    )
    running.mail_server = mail_server
    yield running
    assert running.stop() == 0
    mail_server.stop()


@pytest.fixture(
    params=[
        pytest.param("embedded", marks=pytest.mark.journey),
        pytest.param("cluster", marks=[pytest.mark.journey, pytest.mark.postgres, pytest.mark.kafka]),
    ]
)
def baton(request: pytest.FixtureRequest) -> Installation:
    """Baton, in both ways of running."""
    running: Installation = request.getfixturevalue(request.param)
    return running


@pytest.fixture
def starting() -> Callable[..., Installation]:
    """Starts an installation of the test's own."""
    return start


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook receiver of the referring office."""
    with Receiver() as running:
        yield running


class OfficePage:
    """A referring office with a link from a mail, in a browser of its own."""

    def __init__(self, baton: Installation, mail: dict[str, Any]) -> None:
        link = re.search(r"https?://\S+(/o/[A-Za-z0-9_\-]+)", mail["text"])
        assert link is not None, mail["text"]
        self.baton = baton
        self.path = link[1]
        self.to = mail["to"]
        self.browser = httpx.Client(
            base_url=baton.state["base_url"],
            timeout=30,
            trust_env=False,
            headers={"Accept": "application/json", "Origin": baton.state["base_url"]},
        )

    def look(self) -> dict[str, Any]:
        """The page as JSON."""
        answer = self.browser.get(self.path)
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()
        return said

    def sign_in(self) -> None:
        """Have a code sent to the address on file and type it in."""
        asked = self.browser.post(f"{self.path}/code", data={})
        assert asked.status_code in (200, 202, 204, 303), asked.text
        code = until(self._code, what="the mail with the code")
        verified = self.browser.post(f"{self.path}/verify", data={"code": code})
        assert verified.status_code in (200, 204, 303), verified.text

    def _code(self) -> str | None:
        for mail in self.baton.mails(self.to):
            found = re.search(r"Your code: (\d{8})", mail["text"])
            if found is not None:
                return found[1]
        return None

    def fetch(self, document_id: str) -> bytes:
        """The document, as the signed-in office gets it once the page shows it."""
        until(lambda: document_id in [one["id"] for one in self.look()["documents"]], what="the document")
        answer = self.browser.get(f"{self.path}/documents/{document_id}")
        assert answer.status_code == 200, answer.text
        return answer.content

    def acknowledge(self) -> None:
        """Say that it arrived."""
        answer = self.browser.post(f"{self.path}/acknowledge", data={})
        assert answer.status_code in (200, 201, 204, 303), answer.text


@pytest.fixture
def office_page() -> Iterator[Callable[[Installation, dict[str, Any]], OfficePage]]:
    """Opens the link of a mail."""
    opened: list[OfficePage] = []

    def open_link(baton: Installation, mail: dict[str, Any]) -> OfficePage:
        opened.append(OfficePage(baton, mail))
        return opened[-1]

    yield open_link
    for page in opened:
        page.browser.close()


@pytest.fixture(scope="session")
def bser_bundle() -> bytes:
    """A referral that nobody here wrote."""
    if not BSER.exists():
        pytest.skip(f"the folder of real messages is absent: {SHARED}")
    return BSER.read_bytes()


@dataclass
class Writer:
    """Makes requests of a practice system, each with keys of its own."""

    number: int = 0

    def referral(self, **changes: Any) -> dict[str, Any]:
        """A referral of an invented patient from an invented office."""
        self.number += 1
        key = f"J-{uuid4().hex[:12]}"
        return {
            "source": {"system": "urn:example:journeys", "id": key},
            "priority": "routine",
            "question": "Is stress testing needed before surgery?",
            "patient": {"name": {"family": "Testperson", "given": ["Ada"]}, "birth_date": "1970-01-01"},
            "referrer": {
                "office": {
                    "name": f"Invented Practice {key}",
                    "telecom": [{"system": "email", "value": f"{key.lower()}@office.example"}],
                },
                "reference": f"REF-{self.number}",
            },
        } | changes

    def appointment(self, referral: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """A visit next week."""
        start = datetime.now(UTC) + timedelta(days=7)
        return {"referral": referral, "start": start.isoformat(), "kind": "visit"} | changes

    def note(self, referral: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """A final note, signed."""
        return {
            "referral": referral,
            "kind": "final",
            "signed": {"by": "Grace Example, MD", "at": datetime.now(UTC).isoformat()},
            "content": {"media_type": "text/plain", "text": "No further testing is needed."},
            "answer": "No further testing is needed.",
            "disposition": "care_returned",
        } | changes


@pytest.fixture
def write() -> Writer:
    """Makes the bodies of requests."""
    return Writer()
