"""What is published is what the models say, and what was released is still kept."""

import json
import shutil
from pathlib import Path

import pytest

from baton_contracts.event_types import EventType
from baton_contracts.generate import main, release, released_breaks, stale, write
from baton_contracts.schemas import event_schemas


@pytest.fixture
def copied(tmp_path: Path, contracts_root: Path) -> Path:
    for name in ("schemas", "examples", "released"):
        shutil.copytree(contracts_root / name, tmp_path / name)
    for name in ("codes.json", "lifecycle.json", "transitions.json", "asyncapi.yaml"):
        shutil.copy(contracts_root / name, tmp_path / name)
    return tmp_path


def test_the_committed_files_are_current(contracts_root: Path) -> None:
    assert stale(contracts_root) == []


def test_the_current_schemas_break_no_release(contracts_root: Path) -> None:
    assert released_breaks(contracts_root, event_schemas()) == {}


def test_every_type_is_released(contracts_root: Path) -> None:
    assert {path.name for path in (contracts_root / "released").iterdir()} == {t.value for t in EventType}


def test_a_file_edited_by_hand_a_missing_and_a_left_over_one_are_stale(copied: Path) -> None:
    (copied / "codes.json").write_text("{}")
    (copied / "asyncapi.yaml").unlink()
    (copied / "schemas" / "referral.teleported.v1.json").write_text("{}")
    assert set(stale(copied)) == {"codes.json", "asyncapi.yaml", "schemas/referral.teleported.v1.json"}
    assert main(["--root", str(copied), "--check"]) == 1


def test_the_check_writes_nothing_and_the_command_repairs(copied: Path) -> None:
    (copied / "codes.json").write_text("{}")
    main(["--root", str(copied), "--check"])
    assert (copied / "codes.json").read_text() == "{}"
    assert main(["--root", str(copied)]) == 0
    assert main(["--root", str(copied), "--check"]) == 0


def test_an_example_once_made_is_never_rewritten(copied: Path) -> None:
    kept = copied / "examples" / EventType.REFERRAL_ACCEPTED.value / "full.json"
    kept.write_text("as it was")
    write(copied)
    assert kept.read_text() == "as it was"


def test_a_release_that_the_models_break_is_red_and_cannot_be_frozen_over(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copied / "released" / EventType.REFERRAL_ACCEPTED.value / "1.json"
    schema = json.loads(path.read_text())
    schema["properties"]["accepted_by"] = {"type": "string"}
    path.write_text(json.dumps(schema))
    assert main(["--root", str(copied), "--check"]) == 1
    assert "accepted_by: field removed" in capsys.readouterr().out
    assert main(["--root", str(copied), "--release"]) == 1
    assert not path.with_name("2.json").exists()


def test_a_removed_event_type_is_red(copied: Path) -> None:
    gone = copied / "released" / "referral.teleported.v1"
    gone.mkdir()
    (gone / "1.json").write_text("{}")
    assert list(released_breaks(copied, event_schemas())) == ["released/referral.teleported.v1/1.json"]


def test_a_release_freezes_only_what_changed_under_the_next_number(copied: Path) -> None:
    path = copied / "released" / EventType.REFERRAL_ACCEPTED.value / "1.json"
    schema = json.loads(path.read_text())
    del schema["properties"]["external_ids"]
    path.write_text(json.dumps(schema))
    assert release(copied) == ["released/referral.accepted.v1/2.json"]
    assert release(copied) == []
