"""Processes and servers that the bench starts: each says READY, each is stopped by who started it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from baton_chassis.testing.servers import (
    KafkaServer,
    PostgresServer,
    Server,
    ServerUnavailable,
    create_database,
)

S = TypeVar("S", bound=Server)

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
_READY = re.compile(r"READY (?:\S+ )?http://[^:/ ]+:([0-9]+)")


class DidNotStart(Exception):
    """A process ended, or kept silent before it was ready; holds its last words."""


@dataclass
class Running:
    """A process that was started here."""

    process: subprocess.Popen[bytes]
    port: int
    seconds_to_ready: float
    output: Path

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def last_words(self) -> str:
        """The end of what it said, and how it ended if it did."""
        return f"exit code {self.process.poll()}: {self.output.read_text(errors='replace')[-1500:]}"

    def stop(self) -> None:
        """Ask it to end, wait, end it by force after half a minute."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def environment(**told: str) -> dict[str, str]:
    """This process's environment without any BATON_ setting, then ``told``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BATON_")}
    path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH", "")]))
    return {**kept, "PYTHONPATH": path, **told}


def start(
    command: list[str],
    output: Path,
    told: Mapping[str, str] | None = None,
    *,
    patience: float = 90,
    cwd: Path = ROOT,
) -> Running:
    """Start a process, its environment with ``told``, and wait for its READY line. Raises ``DidNotStart``."""
    started = time.perf_counter()
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, env=environment(**(told or {})), cwd=cwd
        )
    while time.perf_counter() - started < patience:
        found = _READY.search(output.read_text(errors="replace"))
        if found is not None:
            return Running(process, int(found[1]), time.perf_counter() - started, output)
        if process.poll() is not None:
            break
        time.sleep(0.02)
    process.kill()
    raise DidNotStart(f"{' '.join(command[-3:])}: {output.read_text(errors='replace')[-1500:]}")


def python(script: str, output: Path, **told: str) -> Running:
    """Start one of the modules beside this one."""
    return start([sys.executable, str(HERE / script)], output, told)


@dataclass
class Stand:
    """Everything one run of the bench works with, in one temporary folder, gone afterwards."""

    folder: Path
    quick: bool = False
    tiny: bool = False
    fresh: bool = False
    _closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @classmethod
    @contextlib.contextmanager
    def up(cls, *, quick: bool, tiny: bool = False) -> Iterator[Stand]:
        """A stand for the length of a run."""
        folder = Path(tempfile.mkdtemp(prefix="bench-"))
        folder.chmod(0o755)  # PostgreSQL may run under another account
        stand = cls(folder, quick=quick, tiny=tiny)
        try:
            with stand._closing:
                yield stand
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def choose(self, full: Any, quick: Any, tiny: Any = None) -> Any:
        """A size by how thorough this run is."""
        return (tiny if tiny is not None else quick) if self.tiny else quick if self.quick else full

    def keep(self, running: Running) -> Running:
        """Stop it at the end of the run."""
        self._closing.callback(running.stop)
        return running

    def place(self, name: str) -> Path:
        """A folder of that name."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @cached_property
    def postgres(self) -> PostgresServer | None:
        """A real PostgreSQL of the run's own, None (with a word of why) where there is none."""
        return self._started("PostgreSQL", lambda: PostgresServer(self.place("postgres")))

    @cached_property
    def kafka(self) -> KafkaServer | None:
        """A real Apache Kafka of the run's own, None (with a word of why) where there is none."""
        return self._started("Kafka", lambda: KafkaServer(self.place("kafka")))

    def _started(self, name: str, make: Callable[[], S]) -> S | None:
        try:
            server = make()
            server.start()
        except ServerUnavailable as reason:
            print(f"no {name}: {reason}", file=sys.stderr)
            return None
        self._closing.callback(server.stop)
        return server

    def database(self) -> str | None:
        """The URL of a fresh PostgreSQL database, None where there is no server."""
        return create_database(self.postgres.url) if self.postgres is not None else None


def installation(
    stand: Stand, name: str, told: Mapping[str, str] | None = None, *, cluster: bool = False
) -> tuple[Running, dict[str, Any]]:
    """Baton as a user starts it, in a folder called ``name``, with its state file."""
    data = stand.place(name)
    module = ["baton_embedded.cluster"] if cluster else ["baton_embedded", "up"]
    settings = {"BATON_DATA_DIR": str(data), "BATON_PORT": "0", "BATON_OUTBOUND_ALLOW": "127.0.0.1"} | dict(
        told or {}
    )
    running = start([sys.executable, "-m", *module], data / "output.txt", settings, patience=240)
    state: dict[str, Any] = json.loads((data / "run.json").read_text())
    return running, state


def has(module: str) -> bool:
    """Whether a module can be imported here."""
    return importlib.util.find_spec(module) is not None
