"""How the Kafka adapter reaches its cluster, and how patient it is."""

import ssl
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import KafkaError

from baton_chassis.log.port import LogUnavailable


@dataclass(frozen=True, slots=True)
class KafkaTimes:
    """Limits in seconds."""

    append: float = 30.0
    """Until an append that is not acknowledged raises."""
    request: float = 10.0
    """Until one request of the producer or a reader is given up and sent again."""
    session: float = 30.0
    """Until the group gives up a member that sends no heartbeat."""
    heartbeat: float = 3.0
    """Between heartbeats."""
    rebalance: float = 60.0
    """How long `on_revoked` and `on_assigned` may take."""
    commit: float = 5.0
    """Until a commit hint is given up."""
    close: float = 5.0
    """Until closing in order becomes closing by force."""


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Which cluster, as whom. `ssl_context` alone means TLS, `sasl_mechanism` a login (PLAIN,
    SCRAM-SHA-256, ...).
    """

    bootstrap: str
    client: str = "chassis"
    ssl_context: ssl.SSLContext | None = None
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    replication_factor: int = -1
    """Of the topics that `ensure_topics` creates; -1 leaves it to the cluster."""
    times: KafkaTimes = KafkaTimes()

    def connection(self, *, client: str, request_seconds: float) -> dict[str, Any]:
        """The options that every aiokafka client takes."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap,
            "client_id": client,
            "request_timeout_ms": milliseconds(request_seconds),
            "security_protocol": self._security_protocol(),
            "ssl_context": self.ssl_context,
        }
        if self.sasl_mechanism is not None:
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password,
            }
        return options

    def _security_protocol(self) -> str:
        if self.sasl_mechanism is not None:
            return "SASL_SSL" if self.ssl_context else "SASL_PLAINTEXT"
        return "SSL" if self.ssl_context else "PLAINTEXT"


def milliseconds(seconds: float) -> int:
    """Whole milliseconds, as Kafka's options want them."""
    return round(seconds * 1000)


def unavailable(doing: str, error: BaseException) -> LogUnavailable:
    """What to raise for an error of the client: its class only, for its text may quote what was sent."""
    name = "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
    return LogUnavailable(f"Kafka, {doing}: {name}")


CLIENT_ERRORS = (KafkaError, TimeoutError, OSError)
"""What aiokafka raises when the cluster does not do what was asked."""
