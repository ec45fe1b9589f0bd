"""The page for integrators says what is true: its commands are run, one after the other, as they stand."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "integrating.md"


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that looks like the project's to whoever types the commands."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "baton").symlink_to(Path(sys.executable).with_name("baton"))
    (receiver,) = _blocks("python")
    (tmp_path / "receiver.py").write_text(receiver)
    return tmp_path


@pytest.fixture
def base_url(folder: Path) -> Iterator[str]:
    """The address of an installation started as the page says, on a free port."""
    with subprocess.Popen(
        [folder / ".venv/bin/baton", "up"],
        cwd=folder,
        env=_environment() | {"BATON_PORT": "0", "BATON_OUTBOUND_ALLOW": "127.0.0.1", "BATON_DEMO": "0"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            ready = next((line for line in process.stdout if line.startswith("BATON READY ")), None)
            assert ready is not None, "it did not start"
            yield ready.split()[2]
        finally:
            process.send_signal(signal.SIGTERM)


def test_every_command_of_the_page_does_what_the_page_says(folder: Path, base_url: str) -> None:
    end = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"
    script = "\n".join(["set -euo pipefail", end, *_blocks("sh")])

    ran = subprocess.run(
        ["timeout", "120", "bash", "-c", script],
        cwd=folder,
        env=_environment() | {"BASE": base_url, "PORT": str(_free_port())},
        capture_output=True,
        text=True,
    )

    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    assert '"status":"waiting"' in ran.stdout
    assert '"pointer":"/patient/name/family"' in ran.stdout
    assert '"code":"illegal-transition"' in ran.stdout
    assert "visit.completed.v1" in (folder / "received.txt").read_text()
    assert "CapabilityStatement" in (folder / "capabilities.json").read_text()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("BATON_", "PYTHON"))}
