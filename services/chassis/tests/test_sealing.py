"""Sealed bytes open in their own place only; tokens find equal meanings within one practice."""

from __future__ import annotations

import base64
import stat
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_chassis import keyfile
from baton_chassis.clock import FixedClock
from baton_chassis.keyfile import KeyFileRefused
from baton_chassis.sealing import CannotOpen, Keyring, PracticeKey, RootKeys, WrappedKey

PLACE = {"table": "card", "column": "body", "row": "r1"}
ROOTS = RootKeys([b"r" * 32])


class Shelf:
    """Wrapped keys in memory, with the rule of the real table: a number once a practice."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, int], WrappedKey] = {}
        self.loads = 0

    async def load(self, practice_id: str) -> Sequence[WrappedKey]:
        self.loads += 1
        return [key for (practice, _), key in sorted(self.kept.items()) if practice == practice_id]

    async def store(self, key: WrappedKey) -> WrappedKey:
        return self.kept.setdefault((key.practice_id, key.number), key)


class Blind(Shelf):
    """A store that another process fills between our look and our write."""

    async def load(self, practice_id: str) -> Sequence[WrappedKey]:
        return []


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 1, 1, tzinfo=UTC))


def opened(secret: bytes = b"k" * 32, practice: str = "p1") -> PracticeKey:
    return PracticeKey(practice, {b"kid-0001": secret}, current=b"kid-0001", first=b"kid-0001")


@given(st.binary(max_size=5000))
def test_what_was_sealed_opens_again(plain: bytes) -> None:
    blob = opened().seal(plain, **PLACE)

    assert opened().open(blob, **PLACE) == plain
    assert len(blob) == len(plain) + 1 + 8 + 12 + 16
    assert blob[:9] == b"\x01kid-0001"


@pytest.mark.parametrize("elsewhere", [{"table": "note"}, {"column": "name"}, {"row": "r2"}])
def test_a_blob_moved_elsewhere_does_not_open(elsewhere: dict[str, str]) -> None:
    blob = opened().seal(b"Ada", **PLACE)

    with pytest.raises(CannotOpen):
        opened().open(blob, **{**PLACE, **elsewhere})


def test_places_do_not_run_into_each_other() -> None:
    blob = opened().seal(b"Ada", table="a|b", column="c", row="d")

    with pytest.raises(CannotOpen):
        opened().open(blob, table="a", column="b|c", row="d")


def test_another_practice_or_key_does_not_open_it() -> None:
    blob = opened().seal(b"Ada", **PLACE)

    for stranger in (opened(practice="p2"), opened(secret=b"x" * 32)):
        with pytest.raises(CannotOpen):
            stranger.open(blob, **PLACE)


@given(st.data())
def test_a_changed_or_cut_blob_does_not_open(data: st.DataObject) -> None:
    blob = opened().seal(b"Ada Testperson", **PLACE)
    at = data.draw(st.integers(0, len(blob) - 1))
    flipped = bytearray(blob)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))

    for bad in (bytes(flipped), blob[:at]):
        with pytest.raises(CannotOpen) as refused:
            opened().open(bad, **PLACE)
        assert "Ada" not in str(refused.value)


def test_the_same_words_are_sealed_differently_each_time() -> None:
    assert opened().seal(b"Ada", **PLACE) != opened().seal(b"Ada", **PLACE)


@pytest.mark.parametrize(
    ("kind", "left", "right"),
    [
        ("name", "Testperson", "  TESTPERSON "),
        ("name", "Größe", "GRÖSSE"),
        ("name", "Ada  Maria", "ada maria"),
        ("name", "ﬁx", "FIX"),
        ("prefix", "O'Brien", "obr"),
        ("phone", "+1 (555) 010-0000", "5550100000"),
        ("phone", "0049 30 1234", "+49-30-1234"),
        ("record-number", "mrn 42", "MRN42"),
        ("name-date", "Testperson 1970-01-01", "testperson  1970-01-01"),
    ],
)
def test_texts_of_one_meaning_have_one_token(kind: str, left: str, right: str) -> None:
    assert opened().token(kind, left) == opened().token(kind, right)
    assert len(opened().token(kind, left)) == 16


def test_tokens_differ_by_kind_practice_key_and_text() -> None:
    tokens = [
        opened().token("name", "ada"),
        opened().token("name", "adb"),
        opened().token("record-number", "ada"),
        opened(secret=b"z" * 32).token("name", "ada"),
    ]

    assert len(set(tokens)) == 4
    with pytest.raises(ValueError, match="kind"):
        opened().token("shoe-size", "44")


async def test_a_practice_gets_its_key_once_and_it_is_remembered(clock: FixedClock) -> None:
    shelf = Shelf()
    ring = Keyring(ROOTS, shelf, clock=clock)

    first = await ring.for_practice("p1")
    assert await ring.for_practice("p1") is first
    assert shelf.loads == 1
    clock.advance(timedelta(minutes=6))
    later = await ring.for_practice("p1")

    assert later is not first
    assert later.open(first.seal(b"Ada", **PLACE), **PLACE) == b"Ada"
    assert len(shelf.kept) == 1
    assert (await ring.for_practice("p2")).token("name", "ada") != first.token("name", "ada")


async def test_two_processes_that_start_at_once_agree_on_one_key(clock: FixedClock) -> None:
    shelf = Blind()

    left = await Keyring(ROOTS, shelf, clock=clock).for_practice("p1")
    right = await Keyring(ROOTS, shelf, clock=clock).for_practice("p1")

    assert right.open(left.seal(b"Ada", **PLACE), **PLACE) == b"Ada"


async def test_after_a_rotation_old_blobs_open_tokens_stay_and_no_process_is_surprised(
    clock: FixedClock,
) -> None:
    shelf = Shelf()
    here, there = (Keyring(ROOTS, shelf, clock=clock) for _ in range(2))
    before = await there.for_practice("p1")
    old = before.seal(b"Ada", **PLACE)

    await here.rotate("p1")
    clock.advance(timedelta(minutes=9))
    early = (await here.for_practice("p1")).seal(b"Ada", **PLACE)
    clock.advance(timedelta(minutes=6))
    after = await here.for_practice("p1")

    assert early[1:9] == old[1:9]
    assert after.seal(b"Ada", **PLACE)[1:9] != old[1:9]
    assert after.open(old, **PLACE) == b"Ada"
    assert (await there.for_practice("p1")).open(after.seal(b"Ada", **PLACE), **PLACE) == b"Ada"
    assert after.token("name", "ada") == before.token("name", "ada")


async def test_a_rotated_root_still_unwraps_and_a_wrong_root_does_not(clock: FixedClock) -> None:
    shelf = Shelf()
    blob = (await Keyring(ROOTS, shelf, clock=clock).for_practice("p1")).seal(b"Ada", **PLACE)

    rotated = RootKeys([b"n" * 32, b"r" * 32])
    assert (await Keyring(rotated, shelf, clock=clock).for_practice("p1")).open(blob, **PLACE) == b"Ada"
    with pytest.raises(CannotOpen):
        await Keyring(RootKeys([b"n" * 32]), shelf, clock=clock).for_practice("p1")


async def test_a_stolen_key_row_does_not_serve_another_practice(clock: FixedClock) -> None:
    shelf = Shelf()
    await Keyring(ROOTS, shelf, clock=clock).for_practice("p1")
    stolen = shelf.kept[("p1", 1)]
    shelf.kept[("p2", 1)] = WrappedKey(
        practice_id="p2", number=1, kid=stolen.kid, wrapped=stolen.wrapped, active_from=stolen.active_from
    )

    with pytest.raises(CannotOpen):
        await Keyring(ROOTS, shelf, clock=clock).for_practice("p2")


def test_the_root_key_file_is_made_private_and_refused_when_short_or_open(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    RootKeys.from_file(path, create=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    RootKeys.from_file(path)

    path.write_bytes(base64.b64encode(b"short"))
    with pytest.raises(KeyFileRefused, match="32 bytes"):
        RootKeys.from_file(path)
    path.write_bytes(b"")
    with pytest.raises(KeyFileRefused):
        RootKeys.from_file(path)
    path.chmod(0o644)
    with pytest.raises(KeyFileRefused, match="chmod 600"):
        RootKeys.from_file(path)
    with pytest.raises(KeyFileRefused, match="cannot be read"):
        RootKeys.from_file(tmp_path / "none.key")


def test_of_two_processes_that_make_a_key_file_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "root.key"

    def slower() -> bytes:
        assert keyfile.read_or_create(path, lambda: b"first") == b"first"
        return b"second"

    assert keyfile.read_or_create(path, slower) == b"first"
    assert [found.name for found in tmp_path.iterdir()] == ["root.key"]
