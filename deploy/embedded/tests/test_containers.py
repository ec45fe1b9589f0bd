"""The compose file and the image fit the services; no engine is needed to see that. And the gateway as a
process of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import yaml  # type: ignore[import-untyped]

from baton_chassis.settings import ChassisSettings
from baton_embedded.cluster import MODULES, read_environment
from baton_embedded.gateway import OWNERS

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "deploy/compose/compose.yaml"
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
NOT_OURS = {"postgres", "kafka"}


def _services() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return services


def test_every_service_has_a_container_that_is_built_from_its_folder() -> None:
    services = _services()

    assert set(services) == set(MODULES) | NOT_OURS | {"migrate", "gateway"}
    for name in MODULES:
        assert services[name]["build"]["args"] == {"SERVICE": name}
        assert (ROOT / "services" / name / "src" / MODULES[name] / "__main__.py").exists()
        assert MODULES[name] == "baton_" + name.removesuffix("-service").replace("-", "_")


def test_containers_read_the_files_that_the_cluster_reads() -> None:
    for name, service in _services().items():
        if name in NOT_OURS:
            continue
        files = service["env_file"]
        assert files[0] == "env/common.env"
        assert (f"env/{name}.env" in files) == (name in MODULES)
        assert all((COMPOSE.parent / file).exists() for file in files)


def test_containers_are_told_settings_that_exist_and_can_stand() -> None:
    settings = {f"BATON_{name.upper()}" for name in ChassisSettings.model_fields}
    told = _services()["migrate"]["environment"] | read_environment(COMPOSE.parent / "env/common.env")
    given = {name.removeprefix("BATON_").lower(): value for name, value in told.items()}

    assert set(told) <= settings
    assert set(ChassisSettings.read(**given).peers) == set(MODULES) == set(OWNERS.values())


def test_nothing_serves_before_its_tables_are_there() -> None:
    services = _services()

    for name in MODULES:
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert services["gateway"]["depends_on"][name] == {"condition": "service_healthy"}


def test_containers_are_asked_for_readiness_and_run_without_privileges() -> None:
    user, command = DOCKERFILE.index("\nUSER service"), DOCKERFILE.index("\nCMD")

    assert user < command
    assert "/readyz" in DOCKERFILE[DOCKERFILE.index("HEALTHCHECK") :]
    for name in MODULES:
        assert _services()[name]["cap_drop"] == ["ALL"]
        assert _services()[name]["read_only"] is True


def test_the_gateway_as_a_process_forwards_and_stops_cleanly() -> None:
    with _gateway(BATON_PEERS="intake-service=http://127.0.0.1:1", BATON_PORT="0") as process:
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix("READY gateway ").strip()
        with httpx.Client(base_url=address, trust_env=False) as client:
            assert client.get("/livez").status_code == 200
            assert client.get("/readyz").status_code == 503
            assert client.get("/v1/referrals").json()["code"] == "busy"
            assert client.get("/v1/notes").json()["code"] == "not-found"
            assert client.get("/internal/content").status_code == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def test_a_gateway_that_knows_no_service_does_not_start() -> None:
    with _gateway(BATON_PORT="0") as process:
        assert process.wait(timeout=30) == 78
        assert process.stderr is not None
        assert "BATON_PEERS" in process.stderr.read()


def _gateway(**settings: str) -> subprocess.Popen[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("BATON_")}
    return subprocess.Popen(
        [sys.executable, "-m", "baton_embedded.forwarding"],
        env=plain | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
