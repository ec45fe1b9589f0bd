"""Real servers on this machine, by name; also a small command that runs one in the foreground."""

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from typing import Protocol

from baton_chassis.testing.kafka_server import KafkaServer, cache_folder, kafka_jars
from baton_chassis.testing.postgres_server import (
    PostgresServer,
    create_database,
    drop_database,
    with_database,
)
from baton_chassis.testing.server_process import ServerProcess, ServerUnavailable, free_port

__all__ = [
    "KafkaServer",
    "PostgresServer",
    "Server",
    "ServerProcess",
    "ServerUnavailable",
    "cache_folder",
    "create_database",
    "drop_database",
    "free_port",
    "kafka_jars",
    "with_database",
]

_UNAVAILABLE = 69


class Server(Protocol):
    """What both servers can do."""

    port: int

    @property
    def pid(self) -> int:
        """The process id. Raises RuntimeError when it does not run."""
        ...

    @property
    def log(self) -> Path:
        """The file with everything the server says."""
        ...

    def start(self) -> None:
        """Start and wait until it serves. Raises ServerUnavailable."""
        ...

    def stop(self) -> None:
        """Stop in order."""
        ...

    def kill(self) -> None:
        """SIGKILL: nothing is flushed."""
        ...

    def freeze(self) -> None:
        """SIGSTOP: nothing answers, connections stay."""
        ...

    def thaw(self) -> None:
        """SIGCONT."""
        ...


def make_server(name: str, folder: Path, port: int | None) -> tuple[Server, str]:
    """The server called kafka or postgres, not started, and where clients find it. Raises
    ServerUnavailable.
    """
    if name == "kafka":
        kafka = KafkaServer(folder, port=port)
        return kafka, kafka.bootstrap
    postgres = PostgresServer(folder, port=port)
    return postgres, postgres.url


def main(arguments: list[str] | None = None) -> int:
    """Run one server until SIGINT or SIGTERM; the first line on standard output says where it is."""
    parser = argparse.ArgumentParser(prog="python -m baton_chassis.testing.servers", description=__doc__)
    parser.add_argument("name", choices=["kafka", "postgres"])
    parser.add_argument("--port", type=int, help="default: any free one")
    parser.add_argument(
        "--folder", type=Path, help="keeps the data; default: a temporary one, removed at the end"
    )
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix=f"{chosen.name}-") as temporary:
        Path(temporary).chmod(0o755)  # another account may have to enter it
        try:
            server, address = make_server(chosen.name, chosen.folder or Path(temporary), chosen.port)
            return _serve(server, address)
        except ServerUnavailable as error:
            sys.stderr.write(f"{error}\n")
            return _UNAVAILABLE


def _serve(server: Server, address: str) -> int:
    for sign in (signal.SIGINT, signal.SIGTERM):  # both mean Ctrl-C, also where a shell made us ignore it
        signal.signal(sign, signal.default_int_handler)
    try:
        server.start()
        sys.stdout.write(f"READY {address} pid={server.pid} log={server.log}\n")
        sys.stdout.flush()
        while True:
            signal.pause()
    except KeyboardInterrupt:
        return 0
    finally:
        server.stop()


if __name__ == "__main__":
    raise SystemExit(main())
