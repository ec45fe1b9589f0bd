"""Installations that are killed and started again, and a client that writes down what it was promised."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from baton_chassis.settings import ChassisSettings
from baton_chassis.testing.receiver import Receiver
from baton_chassis.testing.server_process import child
from baton_chassis.testing.servers import KafkaServer, create_database, drop_database
from baton_chassis.testing.waiting import until
from baton_chassis.tokens import Issuer
from baton_chassis.verification import Exchange, Report, Violation, ack_durable, idempotent_api
from baton_embedded.starting import EVERY_SCOPE
from baton_embedded.verifying import verify_installation

ROOT = Path(__file__).parents[2]
ANSWER_SECONDS = 20.0
LEASE_IS_OVER = timedelta(seconds=120)


class Died(Exception):
    """The process ended before it was ready."""


@dataclass
class Installation:
    """One data folder, and the process that serves it now: it can be killed and started again."""

    folder: Path
    mode: str = "embedded"
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    state: dict[str, Any] = field(default_factory=dict)
    client: httpx.Client | None = None

    def start(self, **environment: str) -> None:
        """Start and wait for the ready line. Raises ``Died``."""
        told = {name: value for name, value in os.environ.items() if not name.startswith("BATON_")}
        told |= {
            "BATON_DATA_DIR": str(self.folder),
            "BATON_PORT": "0",
            "BATON_TEST_CLOCK": "1",
            "BATON_DEMO": "0",
            "BATON_OUTBOUND_ALLOW": "127.0.0.1",
        }
        told |= self.environment | environment
        module = ["baton_embedded", "up"] if self.mode == "embedded" else ["baton_embedded.cluster"]
        with self.output.open("ab") as errors:
            self.process = child(
                [sys.executable, "-m", *module],
                cwd=ROOT,
                env=told,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        if not self._ready():
            self._let_go()
            raise Died(self.output.read_text()[-2000:])
        self.state = json.loads((self.folder / "run.json").read_text())
        self.client = self.browser(Authorization=f"Bearer {self.state['token']}")

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.stdout is not None
        with self.output.open("a") as output:
            for line in self.process.stdout:
                output.write(line)
                if line.startswith("BATON READY "):
                    return True
        return False

    @property
    def output(self) -> Path:
        """Everything that the processes wrote on standard output and error."""
        return self.folder.parent / f"{self.folder.name}.out"

    @property
    def http(self) -> httpx.Client:
        """The operator's client."""
        assert self.client is not None
        return self.client

    def browser(self, **headers: str) -> httpx.Client:
        """A client of its own."""
        return httpx.Client(
            base_url=self.state["base_url"], timeout=ANSWER_SECONDS, trust_env=False, headers=headers
        )

    def token(self, practice: str, *, scopes: list[str] | None = None) -> str:
        """An access token of the sandbox's issuer."""
        where = self.folder if self.mode == "embedded" else self.folder / "cluster"
        issuer = Issuer.embedded(where / "issuer.pem", profile="dev")
        return issuer.issue(
            scopes=scopes or EVERY_SCOPE,
            practice=practice,
            ttl=timedelta(hours=1),
            subject="ada",
            client_id="faults",
        )

    def died(self, *, seconds: float = 30.0) -> bool:
        """Whether the process ended by SIGKILL within so many seconds."""
        assert self.process is not None
        try:
            code = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        self._let_go()
        return code == -signal.SIGKILL

    def stop(self) -> None:
        """Ask it to stop, if it still runs, and wait; by force after a minute."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self._let_go()

    def _let_go(self) -> None:
        assert self.process is not None
        self.process.wait(timeout=60)
        assert self.process.stdout is not None
        with self.output.open("a") as output:
            output.write(self.process.stdout.read())
        self.process.stdout.close()
        if self.client is not None:
            self.client.close()
        self.process = self.client = None

    def advance(self, step: timedelta) -> None:
        """Move the test clock."""
        answer = self.http.post("/dev/clock/advance", json={"seconds": int(step.total_seconds())})
        assert answer.status_code == 200, answer.text

    def deliveries(self, **query: str) -> list[dict[str, Any]]:
        """All deliveries."""
        found: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            page = self.http.get(
                "/v1/deliveries", params=query | {"limit": "200"} | ({"after": after} if after else {})
            )
            assert page.status_code == 200, page.text
            found += page.json()["items"]
            after = page.json()["next"]
            if after is None:
                return found

    def sent_everything(self) -> None:
        """Wait until nothing waits to be sent; what a killed worker held is due once its lease is over."""
        self.advance(LEASE_IS_OVER)

        def waiting() -> bool:
            return not any(one["status"] in ("queued", "sending") for one in self.deliveries())

        until(waiting, seconds=40, what="every delivery is sent")

    def verified(self, *, patience: float = 20.0) -> Report:
        """What `baton verify` finds."""
        return asyncio.run(verify_installation(ChassisSettings.read(data_dir=self.folder), patience=patience))


def _making(folder: Path) -> Iterator[Callable[..., Installation]]:
    made: list[Installation] = []

    def make(name: str = "node", *, mode: str = "embedded", **environment: str) -> Installation:
        one = Installation(folder / name, mode=mode, environment=environment)
        made.append(one)
        return one

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Callable[..., Installation]]:
    """Makes installations that are not started; whatever still runs after the test is stopped."""
    yield from _making(tmp_path)


@pytest.fixture(scope="module")
def shared_installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Installation]]:
    """Makes installations for a whole file of tests."""
    yield from _making(tmp_path_factory.mktemp("shared"))


@pytest.fixture
def scaled(
    installation: Callable[..., Installation], tmp_path: Path, postgres_server: str, kafka_server: str
) -> Iterator[Installation]:
    """Two processes of every service, not started, with a PostgreSQL database and a Kafka of this test alone:
    what another installation has written must meet nobody else's journals.

    That the run's own Kafka started says that one can be had.
    """
    database = create_database(postgres_server)
    kafka = KafkaServer(tmp_path / "kafka")
    kafka.start()
    made = installation(mode="cluster", BATON_DATABASE_URL=database, BATON_KAFKA=kafka.bootstrap)
    yield made
    made.stop()
    kafka.stop()
    drop_database(postgres_server, database)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook receiver."""
    with Receiver() as running:
        yield running


@dataclass
class Story:
    """One referral on its way; ``ids`` are those that the answers gave. Without ``mail`` its office has no
    address.
    """

    number: str
    mail: bool = True
    step: int = 0
    ids: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One request of a story: what it is called, where it goes, what it makes."""

    name: str
    path: Callable[[Story], str]
    body: Callable[[Story], dict[str, Any]]
    makes: str


def _referral(story: Story) -> dict[str, Any]:
    desk = f"desk-{story.number}@office.example"
    return {
        "source": {"system": "urn:example:faults", "id": story.number},
        "question": "Is stress testing needed before surgery?",
        "patient": {"name": {"family": "Testperson", "given": ["Ada"]}, "birth_date": "1970-01-01"},
        "referrer": {
            "office": {
                "name": f"Invented Practice {story.number}",
                "telecom": [{"system": "email", "value": desk}] if story.mail else [],
            },
            "reference": f"REF-{story.number}",
        },
    }


def _appointment(story: Story) -> dict[str, Any]:
    start = datetime(2027, 3, 1, 9, tzinfo=UTC)
    return {"referral": {"id": story.ids["receive"]}, "start": start.isoformat(), "kind": "visit"}


def _note(story: Story) -> dict[str, Any]:
    return {
        "referral": {"id": story.ids["receive"]},
        "kind": "final",
        "signed": {"by": "Grace Example, MD", "at": "2026-01-05T10:00:00+00:00"},
        "content": {"media_type": "text/plain", "text": "No further testing is needed."},
        "disposition": "care_returned",
    }


STEPS = (
    Step("receive", lambda _: "/v1/referrals", _referral, "referral.received.v1"),
    Step(
        "accept", lambda s: f"/v1/referrals/{s.ids['receive']}/accept", lambda _: {}, "referral.accepted.v1"
    ),
    Step("book", lambda _: "/v1/appointments", _appointment, "appointment.booked.v1"),
    Step(
        "complete", lambda s: f"/v1/appointments/{s.ids['book']}/complete", lambda _: {}, "visit.completed.v1"
    ),
    Step("sign", lambda _: "/v1/notes", _note, "note.signed.v1"),
)


@dataclass
class Workload:
    """A practice system that repeats what was not answered, with the same key, and logs every exchange."""

    name: str
    count: int
    mail: bool = True
    log: list[Exchange] = field(default_factory=list)
    stories: list[Story] = field(init=False)

    def __post_init__(self) -> None:
        self.stories = [Story(f"{self.name}-{number}", self.mail) for number in range(self.count)]

    def go_on(self, baton: Installation, *, most: int | None = None) -> bool:
        """Do what is left (at ``most`` so many requests), round robin; False as soon as the other side is
        gone.
        """
        asked = 0
        while left := self.left():
            for story in left:
                if asked == most:
                    return True
                if not self._take(baton, story):
                    return False
                asked += 1
        return True

    def left(self) -> list[Story]:
        """The stories that are not at their end."""
        return [story for story in self.stories if story.step < len(STEPS)]

    def _take(self, baton: Installation, story: Story) -> bool:
        step = STEPS[story.step]
        answer = self._ask(baton, story, step)
        if answer is None:
            return False
        story.ids[step.name] = answer["id"]
        story.step += 1
        return True

    def _ask(self, baton: Installation, story: Story, step: Step) -> dict[str, Any] | None:
        key = f"{story.number}-{step.name}"
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                answer = baton.http.post(
                    step.path(story), json=step.body(story), headers={"Idempotency-Key": key}
                )
            except httpx.TransportError:
                self.log.append(Exchange(key=key, makes=step.makes, status=None))
                return None
            if answer.status_code == 503 and time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            assert answer.is_success, f"{step.path(story)}: {answer.status_code} {answer.text}"
            self.log.append(_exchange(key, step, answer))
            said: dict[str, Any] = answer.json()
            return said

    def repeat_everything(self, baton: Installation) -> None:
        """Ask every request once more with its key, as a cautious client does after an outage."""
        for story in self.stories:
            for step in STEPS[: story.step]:
                assert self._ask(baton, story, step) is not None

    def unanswered(self) -> int:
        """How many requests got no answer."""
        return sum(one.status is None for one in self.log)

    def broken_promises(self, report: Report) -> list[Violation]:
        """What I19 and I20 find."""
        return [*ack_durable(report.evidence, self.log), *idempotent_api(report.evidence, self.log)]


def _exchange(key: str, step: Step, answer: httpx.Response) -> Exchange:
    return Exchange(
        key=key,
        makes=step.makes,
        status=answer.status_code,
        thing=answer.json()["id"],
        answer=hashlib.sha256(answer.content).hexdigest(),
        replayed=answer.headers.get("Idempotent-Replayed") == "true",
    )


@pytest.fixture(scope="session")
def workload() -> type[Workload]:
    """Makes workloads."""
    return Workload
