"""Every invariant goes red for the damage that it is there for, and stays green for a sound installation."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from baton_chassis.settings import ChassisSettings
from baton_chassis.verification import Report, ack_durable, idempotent_api
from baton_embedded.command_line import app
from baton_embedded.verifying import verify_installation


@pytest.fixture(scope="module")
def sound(shared_installation: Callable[..., Any], workload: Any) -> tuple[Path, Any]:
    """The data folder of an installation that did some work and was stopped, and what its client knows."""
    baton = shared_installation("sound")
    baton.start()
    work = workload("sound", 2)
    assert work.go_on(baton)
    work.repeat_everything(baton)
    baton.sent_everything()
    baton.verified()
    baton.stop()
    return baton.folder, work


@pytest.fixture
def damaged(sound: tuple[Path, Any], tmp_path: Path) -> Callable[..., set[str]]:
    """Copies the folder, runs SQL on one of its files, and tells which invariants are broken."""

    def damage(file: str, *statements: str) -> set[str]:
        folder = tmp_path / "damaged"
        shutil.copytree(sound[0], folder)
        with closing(sqlite3.connect(folder / f"{file}.sqlite")) as connection, connection:
            for statement in statements:
                assert connection.execute(statement).rowcount != 0, f"nothing was damaged by {statement}"
        return {one.invariant for one in _report(folder).violations}

    return damage


def _report(folder: Path) -> Report:
    return asyncio.run(verify_installation(ChassisSettings.read(data_dir=folder), patience=0))


LAST_RECORD = "(SELECT max(position) FROM record)"
A_LINE = "source LIKE '%/appointments' AND sequence = 2"

DAMAGE = {
    "an event that the log lost": ("log", [f"DELETE FROM record WHERE position = {LAST_RECORD}"], "I1"),
    "an event that was never sent": (
        "intake",
        ["INSERT INTO outbox (event_id, practice_id, topic, key, body, recorded_at) "
         "SELECT event_id, practice_id, 'referral.events', key, body, recorded_at FROM journal LIMIT 1"],
        "I1",
    ),
    "a consumer that passed over an event": (
        "notification", [f"UPDATE consumer_seen SET sequence = 1 WHERE {A_LINE}"], "I1",
    ),
    "an event that nobody wrote": ("intake", ["DELETE FROM journal WHERE sequence = 2"], "I2"),
    "an event that was changed on its way": (
        "log", [f"UPDATE record SET value = CAST(value || ' ' AS BLOB) WHERE position = {LAST_RECORD}"], "I2",
    ),
    "an event that is none": ("log", [f"UPDATE record SET value = x'' WHERE position = {LAST_RECORD}"], "I2"),
    "an event in another's partition": (
        "log",
        ["UPDATE record SET partition = (partition + 1) % 12, \"offset\" = 999 "
         f"WHERE position = {LAST_RECORD}"],
        "I3",
    ),
    "a line in the wrong order": (
        "log",
        ["UPDATE record SET \"offset\" = 500 WHERE position = "
         "(SELECT position FROM record WHERE CAST(value AS TEXT) LIKE '%referral.received.v1%' LIMIT 1)"],
        "I3",
    ),
    "a line with a hole": (
        "scheduling", ["UPDATE journal SET sequence = 7 WHERE sequence = 2"], "I4",
    ),
    "a consumer ahead of the journal": (
        "notes", [f"UPDATE consumer_seen SET sequence = 9 WHERE {A_LINE}"], "I4",
    ),
    "a consumer that took another event": (
        "notes", [f"UPDATE consumer_seen SET event_id = 'other' WHERE {A_LINE}"], "I4",
    ),
    "a parked event": (
        "console",
        ["INSERT INTO parked (consumer, topic, partition, \"offset\", practice_id, key, event_id, source, "
         "sequence, reason, body, parked_at) VALUES ('console-service', 'referral.events', 0, 0, 'p', 'k', "
         "'e', '/s', 1, 'fork', '', '2026-01-01T00:00:00.000000Z')"],
        "I5",
    ),
    "an offset beyond the end": ("intake", ["UPDATE consumer_offset SET next = next + 1000"], "I6"),
    "offsets of another log": ("notes", ["UPDATE consumer_offset SET log_id = 'another'"], "I6"),
    "a projection that went its own way": (
        "scheduling", ["UPDATE referral_standing "
         "SET lines = json_set(lines, '$.request.accepted', json('false'))"],
        "I7",
    ),
    "a projection that forgot a referral": ("notes", ["DELETE FROM care"], "I7"),
    "a referral from nowhere": (
        "notification",
        ["INSERT INTO referral_progress SELECT practice_id, 'nowhere', version, doc_version, office_id, "
         "lines, about FROM referral_progress LIMIT 1"],
        "I7",
    ),
    "an event delivered twice": (
        "notification",
        ["CREATE TABLE again AS SELECT * FROM delivery", "DROP TABLE delivery",
         "ALTER TABLE again RENAME TO delivery",
         "INSERT INTO delivery SELECT * FROM delivery LIMIT 1"],
        "I9",
    ),
    "a delivery of nothing": ("notification", ["UPDATE delivery SET event_id = id"], "I9"),
    "a state that the lines do not have": ("intake", ["UPDATE referral SET state = 'withdrawn'"], "I14"),
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(DAMAGE))
def test_the_invariant_finds(what: str, damaged: Callable[..., set[str]]) -> None:
    file, statements, invariant = DAMAGE[what]
    assert invariant in damaged(file, *statements)


def test_a_sound_installation_breaks_nothing_and_its_client_was_told_the_truth(
    sound: tuple[Path, Any],
) -> None:
    folder, work = sound
    report = _report(folder)
    assert report.violations == []
    assert work.broken_promises(report) == []
    assert report.counts["events"] == report.counts["records"] > 10
    assert report.counts["deliveries"] > 0


def test_an_answer_without_an_event_is_found(sound: tuple[Path, Any]) -> None:
    folder, work = sound
    evidence = _report(folder).evidence
    promised = next(one for one in work.log if one.promised)
    lost = replace(promised, thing="01920000-0000-7000-8000-0000000000ff")
    assert [one.invariant for one in ack_durable(evidence, [promised, lost])] == ["I19"]
    unanswered = replace(lost, status=None)
    refused = replace(lost, status=409)
    assert list(ack_durable(evidence, [unanswered, refused])) == []


@pytest.mark.parametrize(
    "change", [{"answer": "other"}, {"thing": "other"}, {"status": 200}, {"replayed": False}]
)
def test_two_answers_to_one_key_are_found(change: dict[str, Any], sound: tuple[Path, Any]) -> None:
    folder, work = sound
    evidence = _report(folder).evidence
    first = next(one for one in work.log if one.promised and not one.replayed and one.status == 201)
    again = replace(first, replayed=True)
    assert list(idempotent_api(evidence, [first, again])) == []
    assert "I20" in {one.invariant for one in idempotent_api(evidence, [first, replace(again, **change)])}


def test_two_events_for_one_key_are_found(sound: tuple[Path, Any]) -> None:
    folder, work = sound
    evidence = _report(folder).evidence
    first = next(one for one in work.log if one.promised)
    doubled = [
        replace(service, mentions={pair: 2 * count for pair, count in service.mentions.items()})
        for service in evidence.services
    ]
    assert [one.invariant for one in idempotent_api(replace(evidence, services=doubled), [first])] == ["I20"]


def _baton(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"BATON_DATA_DIR": str(folder)})


def test_the_command_says_0_for_sound_1_for_broken_and_69_where_nothing_is(
    sound: tuple[Path, Any], tmp_path: Path
) -> None:
    fine = _baton(sound[0], "verify", "--json")
    said = json.loads(fine.stdout)
    assert (fine.exit_code, said["quiet"]) == (0, True)
    assert [one["id"] for one in said["invariants"]] == [
        "I1",
        "I2",
        "I3",
        "I4",
        "I5",
        "I6",
        "I7",
        "I9",
        "I14",
    ]

    broken = tmp_path / "broken"
    shutil.copytree(sound[0], broken)
    with closing(sqlite3.connect(broken / "intake.sqlite")) as connection, connection:
        connection.execute("UPDATE referral SET state = 'withdrawn'")
    found = _baton(broken, "verify")
    assert found.exit_code == 1
    assert "I14" in found.stdout

    nothing = _baton(tmp_path / "nothing", "verify")
    assert (nothing.exit_code, (tmp_path / "nothing").exists()) == (69, False)
    assert "no installation" in nothing.stderr
