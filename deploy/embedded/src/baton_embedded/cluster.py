"""`make cluster`: PostgreSQL, Apache Kafka and two processes of every service on this machine, one base
URL.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx

from baton_chassis.foundation import complain
from baton_chassis.practices import read_practices
from baton_chassis.sealing import RootKeys
from baton_chassis.serving import (
    EXIT_PORT_TAKEN,
    EXIT_UNAVAILABLE,
    PortTaken,
    serve,
    stop_on_signals,
    take_port,
)
from baton_chassis.settings import Misconfigured
from baton_chassis.testing.server_process import child
from baton_chassis.testing.servers import KafkaServer, PostgresServer, ServerUnavailable
from baton_chassis.tokens import Issuer, load_key
from baton_embedded.demo import Demo
from baton_embedded.front_page import front_html
from baton_embedded.gateway import Gateway, Upstreams
from baton_embedded.generating import merged, unstarted
from baton_embedded.run_state import RunState
from baton_embedded.starting import EVERY_SCOPE
from baton_notification.settings import Settings

MODULES: Mapping[str, str] = {
    "intake-service": "baton_intake",
    "scheduling-service": "baton_scheduling",
    "notes-service": "baton_notes",
    "notification-service": "baton_notification",
    "console-service": "baton_console",
}
REPLICAS = 2
READY_SECONDS = 180.0
ENVIRONMENTS = Path("deploy/compose/env")
"""The environment files that compose uses as well, seen from the root of the project."""


@dataclass
class Replica:
    """One process of one service."""

    service: str
    process: subprocess.Popen[str]
    port: int


@dataclass
class Cluster:
    """Everything that `make cluster` started, to be stopped in reverse order."""

    settings: Settings
    folder: Path
    port: int
    replicas: list[Replica] = field(default_factory=list)
    upstreams: Upstreams = field(default_factory=Upstreams)

    @contextlib.contextmanager
    def servers(self) -> Iterator[tuple[str, str]]:
        """PostgreSQL's URL and Kafka's address: those that the settings name, else started here."""
        with contextlib.ExitStack() as started:
            if self.settings.database_url is not None:
                database = self.settings.database_url.get_secret_value()
            else:
                postgres = PostgresServer(self.folder / "postgres")
                postgres.start()
                started.callback(postgres.stop)
                database = postgres.url
            if self.settings.kafka:
                kafka_address = ",".join(self.settings.kafka)
            else:
                kafka = KafkaServer(self.folder / "kafka")
                kafka.start()
                started.callback(kafka.stop)
                kafka_address = kafka.bootstrap
            yield database, kafka_address

    def environment(self, service: str, *, database: str, kafka: str, internal: str) -> dict[str, str]:
        """What a process of ``service`` is told: the compose files, then this machine's addresses."""
        told = {name: value for name, value in os.environ.items() if not name.startswith("BATON_")}
        told |= read_environment(ENVIRONMENTS / "common.env") | read_environment(
            ENVIRONMENTS / f"{service}.env"
        )
        told |= {
            "BATON_DATABASE_URL": database,
            "BATON_KAFKA": kafka,
            "BATON_DATA_DIR": str(self.folder / "data"),
            "BATON_HOST": "127.0.0.1",
            "BATON_PORT": "0",
            "BATON_PUBLIC_URL": self.base_url,
            "BATON_KEY_FILE": str(self.folder / "root.key"),
            "BATON_SERVICE_CREDENTIAL": str(self.folder / "service.pem"),
            "BATON_JWKS_URL": f"file://{self.folder / 'jwks.json'}",
            "BATON_ISSUER": "urn:sandbox",
            "BATON_PEERS": ",".join(f"{name}={internal}/_to/{name}" for name in MODULES),
        }
        return told | {name: os.environ[name] for name in _PASSED_ON if name in os.environ}

    def start_service(self, service: str, environment: Mapping[str, str]) -> None:
        """Start all processes of ``service``; a fail point that is meant for it goes to the first of them."""
        armed = read_failpoints().get(service)
        first = {"BATON_FAILPOINT": armed} if armed is not None else {}
        for number in range(REPLICAS):
            self.start_replica(service, {**environment, **(first if number == 0 else {})})

    @property
    def base_url(self) -> str:
        """Where the cluster is reached."""
        return self.settings.public_url or f"http://{self.settings.host}:{self.port}"

    def start_replica(self, service: str, environment: Mapping[str, str]) -> Replica:
        """Start one process and wait for its ready line. Raises ``ServerUnavailable`` with its last words."""
        log = self.folder / f"{service}.log"
        with log.open("a") as errors:
            process: subprocess.Popen[str] = child(
                [sys.executable, "-m", MODULES[service]],
                env=dict(environment),
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        port = _ready_port(process)
        if port is None:
            process.kill()
            raise ServerUnavailable(f"{service} did not start; see {log}")
        replica = Replica(service, process, port)
        self.replicas.append(replica)
        self.upstreams.add(service, f"http://127.0.0.1:{port}")
        return replica

    def stop(self) -> None:
        """Ask every process to stop, wait, and end by force what does not."""
        for replica in self.replicas:
            if replica.process.poll() is None:
                replica.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 30
        for replica in self.replicas:
            try:
                replica.process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                replica.process.kill()
                replica.process.wait()


_PASSED_ON = (
    "BATON_SMTP_URL",
    "BATON_MAIL_FROM",
    "BATON_OUTBOUND_ALLOW",
    "BATON_TEST_CLOCK",
    "BATON_PRACTICES",
    "BATON_DEMO",
    "BATON_PROFILE",
)


def read_environment(path: Path) -> dict[str, str]:
    """The variables of an environment file (NAME=value, # for remarks); none where there is no file."""
    if not path.exists():
        return {}
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


FAILPOINTS = "BATON_CLUSTER_FAILPOINTS"
"""``intake-service=writer.after_commit:6,...``: which service's first process is to be killed, and where."""


def read_failpoints() -> dict[str, str]:
    """The fail points of single processes, by service. Raises ``Misconfigured`` for an unknown service."""
    pairs = [one.partition("=") for one in os.environ.get(FAILPOINTS, "").split(",") if one]
    strangers = sorted({service for service, _, _ in pairs} - set(MODULES))
    if strangers:
        raise Misconfigured(f"{FAILPOINTS}: no service is called {', '.join(strangers)}.")
    return {service: point for service, _, point in pairs}


def _ready_port(process: subprocess.Popen[str]) -> int | None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("READY "):
            return int(line.rsplit(":", 1)[-1])
    return None


def main() -> int:
    """Run until stopped; gives the exit code."""
    try:
        settings = Settings.read()
        folder = (settings.data_dir / "cluster").resolve()
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        read_failpoints()
        listener = take_port(settings.host, settings.port)
    except Misconfigured as reasons:
        return complain(reasons)
    except PortTaken as taken:
        print(f"{taken} is taken. Choose another: BATON_PORT=8401 make cluster", file=sys.stderr)
        return EXIT_PORT_TAKEN
    cluster = Cluster(settings, folder, port=listener.getsockname()[1])
    try:
        with cluster.servers() as (database, kafka):
            asyncio.run(_serve(cluster, listener, database=database, kafka=kafka))
    except ServerUnavailable as error:
        print(f"The cluster cannot start: {error}", file=sys.stderr)
        return EXIT_UNAVAILABLE
    finally:
        cluster.stop()
        RunState(settings.data_dir).remove()
    return 0


async def _serve(cluster: Cluster, listener: Any, *, database: str, kafka: str) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    inner = take_port("127.0.0.1", 0)
    gateway, internal = Gateway(cluster.upstreams), Gateway(cluster.upstreams, internal=True)
    serving = [
        asyncio.create_task(serve(gateway, listener, stop=stop)),
        asyncio.create_task(serve(internal, inner, stop=stop)),
    ]
    try:
        token, practice_id = _keys(cluster)
        internal_url = f"http://127.0.0.1:{inner.getsockname()[1]}"
        await asyncio.to_thread(_start_all, cluster, database, kafka, internal_url)
        gateway.pages.update(await asyncio.to_thread(_pages, cluster))
        await _say_ready(cluster, token, practice_id, database=database, kafka=kafka)
        await stop.wait()
    finally:
        stop.set()
        await asyncio.gather(*serving)
        await asyncio.to_thread(cluster.stop)
        await gateway.close()
        await internal.close()


def _keys(cluster: Cluster) -> tuple[str, str]:
    """One embedded issuer signs for all: its public half goes into a file that every process reads."""
    issuer = Issuer.embedded(cluster.folder / "issuer.pem", profile=cluster.settings.profile)
    (cluster.folder / "jwks.json").write_text(json.dumps(issuer.jwks()))
    load_key(cluster.folder / "service.pem", create=True)
    practice_id = read_practices(cluster.settings.practices).ids[0]
    token = issuer.issue(
        scopes=EVERY_SCOPE,
        practice=practice_id,
        ttl=timedelta(hours=12),
        subject="demo-operator",
        client_id="demo",
    )
    return token, practice_id


def _start_all(cluster: Cluster, database: str, kafka: str, internal: str) -> None:
    RootKeys.from_file(cluster.folder / "root.key", create=True)
    environments = {
        service: cluster.environment(service, database=database, kafka=kafka, internal=internal)
        for service in MODULES
    }
    subprocess.run(
        [sys.executable, "-m", "baton_embedded", "migrate"], env=environments["intake-service"], check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    for service in MODULES:
        cluster.start_service(service, environments[service])


def _pages(cluster: Cluster) -> dict[str, tuple[str, bytes]]:
    """What the gateway answers itself: the description of all services, and the page that says what runs."""
    with unstarted() as services:
        described = json.dumps(merged(services)).encode()
    metrics = {
        f"{one.service}, process {one.process.pid}": f"http://127.0.0.1:{one.port}/metrics"
        for one in cluster.replicas
    }
    return {
        "/openapi.json": ("application/json", described),
        "/": ("text/html; charset=utf-8", front_html(metrics).encode()),
    }


async def _say_ready(cluster: Cluster, token: str, practice_id: str, *, database: str, kafka: str) -> None:
    settings, base_url = cluster.settings, cluster.base_url
    demo_referral_id = None
    async with httpx.AsyncClient(base_url=base_url, timeout=30, trust_env=False) as client:
        await _wait_until_ready(client)
        if settings.wants_demo:
            headers = {"Authorization": f"Bearer {token}"}
            demo_referral_id = await Demo(client, datetime.now(UTC), headers).play()
    state = RunState(settings.data_dir)
    state.write(
        {
            "version": version("baton-embedded"),
            "pid": os.getpid(),
            "profile": settings.profile,
            "base_url": base_url,
            "data_dir": str(settings.data_dir),
            "token": token,
            "practice_id": practice_id,
            "demo_referral_id": demo_referral_id,
            "mailbox_url": f"{base_url}/dev/mailbox" if settings.smtp_url is None else None,
            "events_url": f"{base_url}/v1/events/stream",
            "mllp_port": None,
            "processes": [
                {"service": one.service, "role": "all", "pid": one.process.pid, "port": one.port}
                for one in cluster.replicas
            ],
            "kafka": kafka,
            "database_url": database,
        }
    )
    print(f"BATON READY {base_url} state={state.path}", flush=True)


async def _wait_until_ready(client: httpx.AsyncClient) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if (await client.get("/readyz")).status_code == 200:
                return
        await asyncio.sleep(0.2)
    raise ServerUnavailable("the services did not become ready in time")


def stop_cluster() -> int:
    """`make cluster-stop`: ask the running cluster to stop and wait for it."""
    settings = Settings.read()
    state = RunState(settings.data_dir).running()
    if state is None or "processes" not in state:
        print("No cluster is running here.")
        return 0
    os.kill(int(state["pid"]), signal.SIGTERM)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if RunState(settings.data_dir).running() is None:
            return 0
        time.sleep(0.2)
    print(f"Process {state['pid']} does not end.", file=sys.stderr)
    return EXIT_UNAVAILABLE


if __name__ == "__main__":
    sys.exit(stop_cluster() if sys.argv[1:] == ["stop"] else main())
