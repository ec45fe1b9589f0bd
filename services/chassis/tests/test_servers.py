"""The servers that tests and the cluster start, and the true count at the end of a test run."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest

from baton_chassis.testing.kafka_server import new_cluster_id
from baton_chassis.testing.servers import KafkaServer, PostgresServer, create_database, with_database

_ROOT = Path(__file__).parents[3]
_PLUGINS = ("-p", "baton_chassis.testing.run_summary", "-p", "baton_chassis.testing.fixtures")


async def execute(url: str, statement: str) -> object:
    """One statement on a connection of its own; the first value of its answer."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_every_test_gets_a_database_of_its_own(postgres_server: str, postgres_database: str) -> None:
    other = create_database(postgres_server)
    await execute(postgres_database, "CREATE TABLE mine (n int)")

    assert await execute(postgres_database, "SELECT count(*) FROM mine") == 0
    with pytest.raises(asyncpg.UndefinedTableError):
        await execute(other, "SELECT count(*) FROM mine")


async def test_a_database_can_be_copied_from_a_template(postgres_server: str, postgres_database: str) -> None:
    await execute(postgres_database, "CREATE TABLE made_once (n int)")

    copy = create_database(postgres_server, template=postgres_database.rpartition("/")[2])

    assert await execute(copy, "SELECT count(*) FROM made_once") == 0


async def test_what_postgres_committed_survives_its_kill(postgres_of_its_own: PostgresServer) -> None:
    url = create_database(postgres_of_its_own.url)
    await execute(url, "CREATE TABLE kept AS SELECT generate_series(1, 1000)")
    before = postgres_of_its_own.pid
    await asyncio.to_thread(postgres_of_its_own.kill)
    with pytest.raises(OSError, match="onnect"):
        await execute(url, "SELECT 1")
    await asyncio.to_thread(postgres_of_its_own.start)

    assert await execute(url, "SELECT count(*) FROM kept") == 1000
    assert postgres_of_its_own.pid != before
    assert await execute(url, "SHOW fsync") == "on"


async def test_a_frozen_postgres_answers_nobody_until_it_thaws(postgres_of_its_own: PostgresServer) -> None:
    connection = await asyncpg.connect(with_database(postgres_of_its_own.url, "postgres"))
    postgres_of_its_own.freeze()
    asked = asyncio.create_task(connection.fetchval("SELECT 7"))
    done, _ = await asyncio.wait([asked], timeout=0.3)
    postgres_of_its_own.thaw()

    assert not done
    assert await asked == 7
    await connection.close()


def test_a_broker_opened_again_in_its_folder_keeps_port_and_identity(
    tmp_path: Path, kafka_server: str
) -> None:
    first = KafkaServer(tmp_path / "kafka")
    identity = (tmp_path / "kafka" / "data" / "meta.properties").read_text()

    again = KafkaServer(tmp_path / "kafka")

    assert again.bootstrap == first.bootstrap
    assert (tmp_path / "kafka" / "data" / "meta.properties").read_text() == identity


def test_a_cluster_id_never_looks_like_an_option_of_a_command() -> None:
    draws = iter([b"\xfb" * 16, b"\xf8" + bytes(15), b"\x00" * 16])

    assert new_cluster_id(lambda _: next(draws)) == "A" * 22


_SERVES = """
import sys, time
from pathlib import Path
from baton_chassis.testing.servers import PostgresServer
server = PostgresServer(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a child to its parent")
@pytest.mark.usefixtures("postgres_server")  # so that it is skipped where PostgreSQL cannot be had
def test_a_server_does_not_outlive_a_process_that_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SERVES, str(tmp_path / "pg")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        server = Path("/proc", owner.stdout.readline().strip())
        was_there = alive(server)
        owner.kill()
    deadline = time.monotonic() + 10

    while alive(server) and time.monotonic() < deadline:
        time.sleep(0.02)

    assert was_there
    assert not alive(server)


def alive(process: Path) -> bool:
    """Whether a process of /proc exists and is more than a zombie."""
    try:
        return "zombie" not in (process / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


# The last line of a run


def run(folder: Path, source: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """pytest over `source` in a process of its own, with our plugins and nothing else."""
    (folder / "test_it.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *_PLUGINS, *options, "test_it.py"]
    known = {name: value for name, value in os.environ.items() if not name.startswith("BATON_")}
    return subprocess.run(
        command, cwd=folder, env=known | environment, capture_output=True, text=True, timeout=120, check=False
    )


_OF_EVERY_KIND = """
import pytest

def test_passes(): ...
def test_fails(): assert False
def test_skipped(): pytest.skip("no")

@pytest.fixture
def broken(): raise ValueError
def test_error_before(broken): ...

@pytest.fixture
def broken_after():
    yield
    raise ValueError
def test_error_after(broken_after): ...

@pytest.mark.parametrize("backend", ["sqlite", "postgres", "neither"])
def test_on(backend): ...
def test_with_file(sqlite_file): ...
"""


@pytest.mark.parametrize("options", [(), ("-qq",)])
def test_the_last_line_counts_every_test_once_by_its_worst(tmp_path: Path, options: tuple[str, ...]) -> None:
    done = run(tmp_path, _OF_EVERY_KIND, *options)

    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "TESTS passed=5 failed=3 skipped=1 backends=sqlite,postgres"


def test_a_file_that_cannot_be_collected_counts_as_failed(tmp_path: Path) -> None:
    done = run(tmp_path, "raise ValueError")

    assert done.stdout.splitlines()[-1] == "TESTS passed=0 failed=1 skipped=0 backends="


_ON_KAFKA = "def test_one(kafka_server): ...\ndef test_two(kafka_server): ..."


def test_a_server_that_cannot_be_had_is_named_before_the_last_line(tmp_path: Path) -> None:
    done = run(tmp_path, _ON_KAFKA, PATH="/nowhere", BATON_CACHE=str(tmp_path))

    assert done.returncode == 0
    assert done.stdout.splitlines()[-2:] == [
        "SKIPPED kafka: Java 17 or later is not installed (java is not on the path)",
        "TESTS passed=0 failed=0 skipped=2 backends=",
    ]


def test_a_required_server_that_cannot_be_had_is_a_failure(tmp_path: Path) -> None:
    done = run(tmp_path, _ON_KAFKA, PATH="/nowhere", BATON_CACHE=str(tmp_path), BATON_REQUIRE_SERVERS="1")

    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "TESTS passed=0 failed=2 skipped=0 backends="


def test_a_server_named_by_the_environment_is_used_and_not_started(tmp_path: Path) -> None:
    source = (
        "def test_it(kafka_server, postgres_server): assert (kafka_server, postgres_server) == ('k:1', 'p')"
    )

    done = run(tmp_path, source, PATH="/nowhere", BATON_TEST_KAFKA="k:1", BATON_TEST_POSTGRES="p")

    assert done.stdout.splitlines()[-1] == "TESTS passed=1 failed=0 skipped=0 backends=postgres,kafka"


def test_the_workspace_loads_the_count_for_every_member() -> None:
    assert "baton_chassis.testing.run_summary" in (_ROOT / "conftest.py").read_text()
