"""Apache Kafka on this machine: one broker (KRaft, combined) from Maven artifacts, no installation."""

import base64
import os
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from baton_chassis.testing.server_process import ServerProcess, ServerUnavailable, answers, free_port

VERSION = "4.3.0"
_POM = Path(__file__).with_name("kafka") / "pom.xml"
_HEAP = "512m"
_MAVEN_SECONDS = 600
_READY = "Kafka Server started"
# Short-lived and on few cores: the first compiler and the simplest collector start and stop the fastest.
_JAVA = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Djava.awt.headless=true")

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
num.network.threads=2
num.io.threads=4
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# A killed broker may register again only when the session of its former self has run out (9 s by default).
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""
_LOGGING = """\
<Configuration status="WARN">
  <Appenders><Console name="out"><PatternLayout pattern="%d %p %m (%c)%n"/></Console></Appenders>
  <Loggers><Root level="INFO"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""


def cache_folder() -> Path:
    """Where downloaded servers are kept: BATON_CACHE, else ~/.cache/baton."""
    return Path(os.environ.get("BATON_CACHE") or Path.home() / ".cache" / "baton")


def kafka_jars() -> Path:
    """The folder with Kafka's jars; filled by Maven the first time. Raises ServerUnavailable."""
    folder = cache_folder() / f"kafka-{VERSION}"
    if not folder.exists():
        _require("mvn", "Maven")
        _fetch(folder)
    return folder


def _require(program: str, name: str) -> None:
    if shutil.which(program) is None:
        raise ServerUnavailable(f"{name} is not installed ({program} is not on the path)")


def _fetch(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Filled beside its place and moved there whole: a download cut short, or two at once, leave nothing half.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.") as beside:
        pom = shutil.copy(_POM, beside)
        jars = Path(beside) / "jars"
        command = ["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={jars}"]
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=_MAVEN_SECONDS, check=False
        )
        if done.returncode != 0:
            last = (done.stdout + done.stderr).strip().splitlines()[-1:]
            raise ServerUnavailable(f"Maven could not fetch Apache Kafka {VERSION}: {' '.join(last)}")
        try:
            jars.rename(folder)
        except OSError:
            if not folder.exists():
                raise


def new_cluster_id(random: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A fresh id as Kafka writes them; one that begins like an option is drawn again, as in Kafka."""
    while True:
        found = base64.urlsafe_b64encode(random(16)).decode().rstrip("=")
        if not found.startswith("-"):
            return found


class KafkaServer:
    """A broker of its own, with its data in `folder`; the same port and data over every restart."""

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        """Prepare and format. Raises ServerUnavailable where Java 17 or the jars cannot be had."""
        _require("java", "Java 17 or later")
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._class_path = f"{kafka_jars()}/*"
        self._properties = folder / "server.properties"
        self.port = port or self._port_before() or free_port()
        self._lay_out()
        if not (folder / "data" / "meta.properties").exists():
            self._format()
        self._process = ServerProcess(
            command=self._java("kafka.Kafka", str(self._properties), heap=_HEAP),
            log=folder / "kafka.log",
            ready=lambda written: _READY in written and answers(self.port),
            patience_seconds=120.0,
        )

    @property
    def bootstrap(self) -> str:
        """host:port for clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """The file with everything the broker says."""
        return self._process.log

    @property
    def pid(self) -> int:
        """The process id of the running broker."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether its process exists; a frozen one does."""
        return self._process.running

    def start(self) -> None:
        """Start and wait until it serves. Raises ServerUnavailable."""
        self._process.start()

    def stop(self) -> None:
        """Stop in order."""
        self._process.stop()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()

    def freeze(self) -> None:
        """SIGSTOP: it accepts connections and never answers."""
        self._process.freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        self._process.thaw()

    def _port_before(self) -> int | None:
        written = self._properties.read_text() if self._properties.exists() else ""
        found = re.search(r"^listeners=PLAINTEXT://127\.0\.0\.1:(\d+)", written, re.MULTILINE)
        return int(found[1]) if found else None

    def _lay_out(self) -> None:
        (self._folder / "log4j2.xml").write_text(_LOGGING)
        self._properties.write_text(
            _PROPERTIES.format(port=self.port, controller_port=free_port(), data=self._folder / "data")
        )

    def _format(self) -> None:
        command = self._java(
            "kafka.tools.StorageTool",
            "format",
            "-t",
            new_cluster_id(),
            "-c",
            str(self._properties),
            heap="128m",
        )
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
        if done.returncode != 0:
            raise ServerUnavailable(f"Kafka's storage could not be formatted: {done.stderr.strip()[-300:]}")

    def _java(self, main: str, *arguments: str, heap: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self._folder / 'log4j2.xml'}"
        return ["java", *_JAVA, f"-Xmx{heap}", logging, "-cp", self._class_path, main, *arguments]
