"""Fixtures for the tests of every member: real servers on demand, and a true count of what ran on what.

A test says which back end it runs on by using `sqlite_file`, `postgres_server`, `postgres_database`,
`postgres_of_its_own`, `kafka_server` or `kafka_of_its_own`, by the marks `postgres` and `kafka`, or by a
parameter called `backend` (sqlite, postgres, kafka); the parameter, where there is one, has the last word.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest

from baton_chassis.testing.run_summary import SUMMARY
from baton_chassis.testing.servers import (
    KafkaServer,
    PostgresServer,
    Server,
    ServerUnavailable,
    create_database,
    drop_database,
)

_Server = TypeVar("_Server", bound=Server)


@pytest.fixture(scope="session")
def kafka_server(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of an Apache Kafka shared by the whole run; use topics and groups of your own.

    BATON_TEST_KAFKA names one to use instead.
    """
    given = os.environ.get("BATON_TEST_KAFKA")
    if given:
        yield given
        return
    server = _started(pytestconfig, "kafka", lambda: KafkaServer(tmp_path_factory.mktemp("kafka")))
    yield server.bootstrap
    server.stop()


@pytest.fixture(scope="module")
def kafka_of_its_own(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KafkaServer]:
    """An Apache Kafka for one file of tests, to be frozen, killed and started again; leave it running."""
    server = _started(pytestconfig, "kafka", lambda: KafkaServer(tmp_path_factory.mktemp("own-kafka")))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Iterator[str]:
    """URL, with every right, of a PostgreSQL shared by the whole run.

    BATON_TEST_POSTGRES names one to use instead.
    """
    given = os.environ.get("BATON_TEST_POSTGRES")
    if given:
        yield given
        return
    folder = _enterable("postgres")
    server = _started(pytestconfig, "postgres", lambda: PostgresServer(folder))
    yield server.url
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_database(postgres_server: str) -> Iterator[str]:
    """URL of a fresh, empty PostgreSQL database; it is removed after the test."""
    url = create_database(postgres_server)
    yield url
    drop_database(postgres_server, url)


@pytest.fixture(scope="module")
def postgres_of_its_own(pytestconfig: pytest.Config) -> Iterator[PostgresServer]:
    """A PostgreSQL for one file of tests, to be frozen, killed and started again; leave it running."""
    folder = _enterable("own-postgres")
    server = _started(pytestconfig, "postgres", lambda: PostgresServer(folder))
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    """Path of an SQLite file that does not exist yet."""
    return tmp_path / "test.sqlite"


@pytest.fixture(params=["sqlite", "postgres"])
def backend(request: pytest.FixtureRequest) -> str:
    """The name of a back end for state; every test that uses it runs once on each."""
    name: str = request.param
    return name


@pytest.fixture
def database_url(backend: str, request: pytest.FixtureRequest) -> str:
    """A fresh database on `backend`: `sqlite:////path` or `postgresql://...`."""
    if backend == "sqlite":
        return f"sqlite:///{request.getfixturevalue('sqlite_file')}"
    url: str = request.getfixturevalue("postgres_database")
    return url


def _started(config: pytest.Config, name: str, make: Callable[[], _Server]) -> _Server:
    try:
        server = make()
        server.start()
    except ServerUnavailable as error:
        _give_up(config, name, str(error))
    return server


def _give_up(config: pytest.Config, name: str, reason: str) -> NoReturn:
    if os.environ.get("BATON_REQUIRE_SERVERS") == "1":
        pytest.fail(f"{name} is required (BATON_REQUIRE_SERVERS=1): {reason}", pytrace=False)
    config.stash[SUMMARY].unavailable(name, reason)
    pytest.skip(f"{name}: {reason}")


def _enterable(name: str) -> Path:
    """A temporary folder that another account may enter, now and later.

    Not below pytest's own: those are closed to all but us, again and again by every run that starts.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    folder.chmod(0o755)
    return folder
