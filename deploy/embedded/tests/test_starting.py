"""`baton up` as a person meets it: a ready line, a state file, a taken port, a second start, a clean end."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest


def _environment(folder: Path, **more: str) -> dict[str, str]:
    told = {name: value for name, value in os.environ.items() if not name.startswith("BATON_")}
    return told | {"BATON_DATA_DIR": str(folder), "BATON_PORT": "0"} | more


@contextmanager
def _up(folder: Path, **more: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any], list[str]]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "baton_embedded", "up"],
        env=_environment(folder, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line.rstrip())
            if line.startswith("BATON READY "):
                break
        yield process, json.loads((folder / "run.json").read_text()), said
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def test_it_says_where_it_is_and_leaves_nothing_behind_at_a_clean_end(tmp_path: Path) -> None:
    with _up(tmp_path) as (process, state, said):
        mode = stat.S_IMODE((tmp_path / "run.json").stat().st_mode)
        alive = httpx.get(f"{state['base_url']}/livez", trust_env=False)
        headers = {"Authorization": f"Bearer {state['token']}"}
        demo = httpx.get(
            f"{state['base_url']}/v1/referrals/{state['demo_referral_id']}", headers=headers, trust_env=False
        )

    assert said[-1] == f"BATON READY {state['base_url']} state={tmp_path / 'run.json'}"
    assert (mode, alive.status_code, demo.status_code) == (0o600, 200, 200)
    assert process.returncode == 0
    assert not (tmp_path / "run.json").exists()


def test_a_second_start_keeps_the_data_and_plays_no_second_demo(tmp_path: Path) -> None:
    def referrals(state: dict[str, Any]) -> list[str]:
        headers = {"Authorization": f"Bearer {state['token']}"}
        page = httpx.get(f"{state['base_url']}/v1/referrals", headers=headers, trust_env=False).json()
        return sorted(item["id"] for item in page["items"])

    with _up(tmp_path) as (_, state, _said):
        first = referrals(state)
    with _up(tmp_path) as (_, state, _said):
        second = referrals(state)

    assert len(first) == 5
    assert second == first


def test_a_taken_port_says_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "baton_embedded", "up"],
            env=_environment(tmp_path, BATON_PORT=port), capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    assert done.returncode == 98
    assert "BATON_PORT=" in done.stderr


def test_a_folder_in_use_is_not_used_twice(tmp_path: Path) -> None:
    with _up(tmp_path, BATON_DEMO="0"):
        done = subprocess.run(
            [sys.executable, "-m", "baton_embedded", "up"],
            env=_environment(tmp_path), capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    assert done.returncode == 78
    assert "BATON_DATA_DIR" in done.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [("BATON_PORT", "many"), ("BATON_PROFILE", "prod"), ("BATON_FAILPOINT", "nowhere:1")],
)
def test_a_setting_that_cannot_stand_ends_with_its_name(tmp_path: Path, variable: str, value: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "baton_embedded", "up"],
        env=_environment(tmp_path) | {variable: value}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert done.returncode == 78
    assert "BATON_" in done.stderr


def test_the_token_command_signs_for_the_running_node(tmp_path: Path) -> None:
    with _up(tmp_path, BATON_DEMO="0") as (_, state, _said):
        token = subprocess.run(
            [sys.executable, "-m", "baton_embedded", "token", "--scope", "referrals:read"],
            env=_environment(tmp_path), capture_output=True, text=True, timeout=60, check=True,
        ).stdout.strip()  # fmt: skip
        headers = {"Authorization": f"Bearer {token}"}
        allowed = httpx.get(f"{state['base_url']}/v1/referrals", headers=headers, trust_env=False)
        refused = httpx.get(f"{state['base_url']}/v1/notes", headers=headers, trust_env=False)

    assert (allowed.status_code, refused.status_code) == (200, 403)


def test_the_event_tail_shows_the_demo(tmp_path: Path) -> None:
    with _up(tmp_path) as (_, state, _said):
        referral_id = state["demo_referral_id"]
        shown = subprocess.run(
            [sys.executable, "-m", "baton_embedded", "events", "tail", "--referral", referral_id],
            env=_environment(tmp_path), capture_output=True, text=True, timeout=60, check=True,
        ).stdout  # fmt: skip

    assert "referral.received.v1" in shown
    assert "Testperson" not in shown
