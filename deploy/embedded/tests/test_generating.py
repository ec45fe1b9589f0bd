"""What is published from the running code is current, whole and usable."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from baton_chassis.doors import RouteDeclaration
from baton_chassis.settings import ChassisSettings
from baton_contracts.event_types import EventType
from baton_embedded.generating import (
    MERGED,
    ROOT,
    MarkersMissing,
    filled,
    flow,
    main,
    merged,
    unstarted,
)

PAGES = ("README.md", "docs/operating.md", "docs/integrating.md")
BODILESS = {
    "/v1/offices/{id}/pause",
    "/v1/offices/{id}/resume",
    "/v1/webhooks/{id}/test",
    "/v1/deliveries/{id}/resend",
}


@cache
def _document() -> Mapping[str, Any]:
    with unstarted() as services:
        return merged(services)


def _operations(*methods: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, item in _document()["paths"].items():
        for method, operation in item.items():
            if method in methods:
                yield method, path, operation


def _declarations() -> list[RouteDeclaration]:
    with unstarted() as services:
        return [one for service in services for routes in service.routes for one in routes.declarations]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree((ROOT / MERGED).parent, (tmp_path / MERGED).parent)
    (tmp_path / "docs").mkdir()
    for page in PAGES:
        shutil.copy(ROOT / page, tmp_path / page)
    return tmp_path


def test_the_committed_files_are_current() -> None:
    # A process of its own: metrics and fail points that other tests declare must not count.
    checked = subprocess.run(
        [sys.executable, "-m", "baton_embedded.generating", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_what_was_edited_by_hand_is_missing_or_left_over_is_found_and_repaired(copied: Path) -> None:
    openapi = (copied / MERGED).parent
    (openapi / "intake-service.json").write_text("{}")
    (openapi / "notes-service.json").unlink()
    (openapi / "dreaming-service.json").write_text("{}")
    readme = copied / "README.md"
    readme.write_text(readme.read_text().replace("flowchart LR", "flowchart TD"))

    assert main(["--root", str(copied), "--check"]) == 1
    assert (openapi / "intake-service.json").read_text() == "{}"
    assert main(["--root", str(copied)]) == 0
    assert main(["--root", str(copied), "--check"]) == 0
    assert not (openapi / "dreaming-service.json").exists()
    assert readme.read_text() == (ROOT / "README.md").read_text()


def test_a_page_without_its_markers_is_said_by_name(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copied / "README.md").write_text("# Nothing generated here\n")

    assert main(["--root", str(copied), "--check"]) == 1
    assert "README.md lacks <!-- flow -->" in capsys.readouterr().out


def test_the_page_for_operations_names_every_setting() -> None:
    page = (ROOT / "docs/operating.md").read_text()

    assert [name for name in ChassisSettings.model_fields if f"`BATON_{name.upper()}`" not in page] == []


def test_only_the_part_between_the_markers_is_written() -> None:
    page = "before\n<!-- one -->\nold\n<!-- /one -->\nafter\n"

    assert filled(page, {"one": "new\n"}) == "before\n<!-- one -->\nnew\n<!-- /one -->\nafter\n"
    with pytest.raises(MarkersMissing):
        filled(page, {"two": "new\n"})


def test_no_setting_of_this_machine_reaches_what_is_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATON_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("BATON_KAFKA", "127.0.0.1:1")
    monkeypatch.setenv("BATON_PROFILE", "prod")

    with unstarted() as services:
        assert json.dumps(merged(services)) == json.dumps(_document())


def test_the_merged_document_has_every_address_of_every_service() -> None:
    alone = [json.loads(path.read_text())["paths"] for path in (ROOT / MERGED).parent.glob("*-service.json")]
    assert sum(map(len, alone)) == len(_document()["paths"])
    assert {path for paths in alone for path in paths} == set(_document()["paths"])


def test_the_picture_has_every_event_type_and_every_service() -> None:
    with unstarted() as services:
        picture = flow(services)
        assert all(f'(["{service.definition.name}"])' in picture for service in services)
    for type_ in EventType:
        assert f".{type_.value.split('.')[1]}" in picture, type_
    assert "line_request -.-> notification_service" in picture
    assert "line_request -.-> intake_service" not in picture


def test_every_document_is_openapi_3_1_without_a_dangling_reference() -> None:
    for path in (ROOT / MERGED).parent.glob("*.json"):
        text = path.read_text()
        document = json.loads(text)
        assert document["openapi"].startswith("3.1")
        assert "x-models" not in text
        for reference in _references(document):
            assert reference.rsplit("/", 1)[-1] in document["components"]["schemas"], reference


def test_whatever_is_declared_and_documented_is_published() -> None:
    told = {
        (method.upper(), path) for method, path, _ in _operations("get", "post", "put", "patch", "delete")
    }

    assert {(one.method, one.path) for one in _declarations() if one.documented} == told


def test_every_change_says_what_it_takes_answers_and_refuses() -> None:
    for method, path, operation in _operations("post", "put", "patch"):
        where = f"{method} {path}"
        assert ("requestBody" in operation) == (path not in BODILESS), where
        answers = operation["responses"]
        assert any(status.startswith("2") and answers[status]["content"] for status in answers), where
        assert {"401", "403"} <= set(answers) or operation["security"] == [], where
        assert {"415", "422", "503"} <= set(answers), where
        for status in answers:
            if status >= "400":
                assert "application/problem+json" in answers[status]["content"], where


def test_every_body_has_a_schema_from_which_an_example_can_be_made() -> None:
    api = schemathesis.openapi.from_dict(dict(_document()))
    components = _document()["components"]
    for method, path, operation in _operations("post", "put", "patch"):
        content = operation.get("requestBody", {"content": {}})["content"]
        schema = content.get("application/json", {}).get("schema")
        if not schema:
            continue
        made = _example(api[path][method])
        jsonschema_rs.validate({**schema, "components": components}, made)
        assert isinstance(made, dict), f"{method} {path}"


def _example(operation: Any) -> Any:
    """One body that the schema of ``operation`` allows."""
    made: list[Any] = []

    @settings(max_examples=1, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(case=operation.as_strategy())
    def make(case: Any) -> None:
        made.append(case.body)

    make()
    return made[0]


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)
