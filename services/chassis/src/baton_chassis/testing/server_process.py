"""A server as a child process: start it, wait until it says it is ready, freeze it, kill it, start it
again.
"""

import ctypes
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_STEP_SECONDS = 0.02
_PORTS = range(20_000, 30_000)


# Linux ties "die with the parent" to the thread that made the child, so one that lasts makes them all.
_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="server-starter")
_PR_SET_PDEATHSIG = 1
_prctl = getattr(ctypes.CDLL(None), "prctl", None)


def _die_with_the_parent() -> None:
    """Runs in the child: whoever kills us (-9, or a time limit) leaves no server behind. Linux only."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def child(command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """``subprocess.Popen`` for a process that does not outlive this one, however this one ends (on Linux)."""
    return _STARTER.submit(
        lambda: subprocess.Popen(command, preexec_fn=_die_with_the_parent, **options)  # noqa: S603
    ).result()


class ServerUnavailable(Exception):
    """The server cannot be had on this machine; the text says what is missing, in one line."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on.

    Below the range from which the system takes the ports of outgoing connections, so that a server that was
    killed finds its port free when it comes back.
    """
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def answers(port: int) -> bool:
    """Whether somebody accepts connections on that port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True, slots=True)
class Account:
    """The system account that a server runs under; None is our own."""

    user: int | None = None
    group: int | None = None


@dataclass
class ServerProcess:
    """One server program and what it writes, with the ways to hurt it that tests need.

    `ready` is asked with what the server has written since this start.
    """

    command: Sequence[str]
    log: Path
    ready: Callable[[str], bool]
    environment: dict[str, str] = field(default_factory=dict)
    account: Account = Account()
    patience_seconds: float = 60.0
    _child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id. Raises RuntimeError when it does not run."""
        if self._child is None:
            raise RuntimeError("the server is not running")
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the process exists (a frozen one does)."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Start and wait until it is ready. Raises ServerUnavailable with the end of its log otherwise."""
        begin = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as output:
            self._child = child(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | self.environment,
                user=self.account.user,
                group=self.account.group,
                extra_groups=None if self.account.group is None else [],
                start_new_session=True,  # Ctrl-C at the terminal is for us; we stop the server in order
            )
        deadline = time.monotonic() + self.patience_seconds
        while not self.ready(self._written_since(begin)):
            if self._child.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise ServerUnavailable(self._why(begin))
            time.sleep(_STEP_SECONDS)

    def _written_since(self, begin: int) -> str:
        with self.log.open("rb") as written:
            written.seek(begin)
            return written.read().decode(errors="replace")

    def _why(self, begin: int) -> str:
        last = self._written_since(begin).strip().splitlines()[-3:]
        return f"{Path(self.command[0]).name} did not start: {' / '.join(last) or 'it wrote nothing'}"

    def stop(self, sign: signal.Signals = signal.SIGTERM, patience_seconds: float = 30.0) -> None:
        """Ask it to stop and wait; kill it when it does not. Harmless when it does not run."""
        if self._child is None:
            return
        self.thaw()
        self._child.send_signal(sign)
        try:
            self._child.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._child = None

    def kill(self) -> None:
        """SIGKILL it and its children: nothing is flushed, as when the power goes."""
        if self._child is None:
            return
        for pid in self._family():
            _signal(pid, signal.SIGKILL)
        self._child.wait()
        self._child = None

    def freeze(self) -> None:
        """SIGSTOP it and its children: connections stay open, nothing answers."""
        for pid in self._family():
            _signal(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT after `freeze`."""
        for pid in self._family():
            _signal(pid, signal.SIGCONT)

    def _family(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [self.pid, *map(int, children.read_text().split())] if children.exists() else [self.pid]


def _signal(pid: int, sign: signal.Signals) -> None:
    try:
        os.kill(pid, sign)
    except ProcessLookupError:
        return  # it ended between being listed and being signalled
