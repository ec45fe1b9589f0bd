"""The guards guard: the map holds today, each of its rules turns red for a planted violation, no member is
left out.
"""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAP = ROOT / ".importlinter"

# rule of the map -> (module that must not, line that it must not hold)
PLANTED = {
    "workspace": [
        ("baton_intake/domain/planted.py", "import baton_notes"),
        ("baton_chassis/planted.py", "import baton_intake"),
        ("baton_contracts/planted.py", "import baton_chassis"),
        ("baton_scheduling/handlers.py", "def planted() -> None:\n    import baton_embedded\n"),
    ],
    "formats-stand-alone": [("baton_formats/planted.py", "import pydantic")],
    "rooms": [
        ("baton_scheduling/handlers.py", "import baton_scheduling.store"),
        ("baton_notes/commands.py", "import baton_notes.handlers"),
        ("baton_notes/utils.py", "PLANTED = 1"),
        ("baton_intake/queries.py", "import baton_intake.rest"),
    ],
    "domain": [
        ("baton_scheduling/domain/appointment.py", "import pydantic"),
        ("baton_notes/domain/note.py", "import baton_contracts.events"),
        ("baton_intake/domain/referral.py", "import baton_chassis.clock"),
    ],
    "lifecycle": [("baton_contracts/lifecycle/facts.py", "import pydantic")],
    "doors": [
        ("baton_scheduling/rest.py", "import sqlalchemy"),
        ("baton_notes/stream.py", "import sqlmodel"),
    ],
}


def _sources() -> Iterator[Path]:
    for pyproject in sorted([*ROOT.glob("contracts/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml"),
                             *ROOT.glob("deploy/*/pyproject.toml")]):  # fmt: skip
        yield from (pyproject.parent / "src").iterdir()


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All packages in one folder with the map, to be spoilt."""
    folder = tmp_path_factory.mktemp("copy")
    for package in _sources():
        if package.is_dir():
            shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(MAP, folder / ".importlinter")
    return folder


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [program, "--config", ".importlinter", "--no-cache"],
        cwd=folder,
        env={
            "PYTHONPATH": str(folder),
            "PATH": "/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
            "COLUMNS": "300",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_map_holds(copy: Path) -> None:
    found = _lint(copy)

    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    ("rule", "module", "line"),
    [(rule, module, line) for rule, plants in PLANTED.items() for module, line in plants],
)
def test_a_planted_violation_turns_the_rule_red(copy: Path, rule: str, module: str, line: str) -> None:
    file = copy / module
    before = file.read_text() if file.exists() else None
    file.write_text(f"{before or ''}\n{line}\n")
    try:
        found = _lint(copy)
    finally:
        if before is None:
            file.unlink()
        else:
            file.write_text(before)

    assert found.returncode == 1
    name = _map()[f"importlinter:contract:{rule}"]["name"]
    broken = [text for text in found.stdout.splitlines() if "BROKEN" in text]
    assert any(text.startswith(name[:40]) for text in broken), found.stdout


def test_every_rule_has_a_planted_violation() -> None:
    rules = {section.rpartition(":")[2] for section in _map().sections() if ":contract:" in section}

    assert rules == set(PLANTED)


def test_every_member_of_the_workspace_is_on_the_map() -> None:
    mapped = set(_map()["importlinter"]["root_packages"].split())

    assert {package.name for package in _sources() if package.is_dir()} == mapped


def test_every_service_is_in_every_rule_about_services() -> None:
    services = {
        package.name
        for package in _sources()
        if package.parents[1].name.endswith("-service") and package.is_dir()
    }
    rooms = set(_map()["importlinter:contract:rooms"]["containers"].split())

    assert services == rooms


def test_the_map_makes_no_exceptions() -> None:
    assert "ignore_imports" not in MAP.read_text()


def test_members_declare_the_members_they_import() -> None:
    for pyproject in ROOT.glob("services/*/pyproject.toml"):
        told = tomllib.loads(pyproject.read_text())["project"]
        package = next(one for one in (pyproject.parent / "src").iterdir() if one.is_dir())
        text = "\n".join(file.read_text() for file in package.rglob("*.py"))
        for member in ("contracts", "chassis", "formats"):
            if f"baton_{member}" in text and package.name != f"baton_{member}":
                assert f"baton-{member}" in told["dependencies"], (pyproject, member)


def _map() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(MAP)
    return parser
