"""The event log as relays and consumers see it: append in order per key, read in order per partition."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from baton_chassis.errors import ChassisError, Unavailable
from baton_contracts.topics import PARTITIONS

MAX_RECORD_BYTES = 1_000_000
"""The largest record (key, value, headers) that a log takes: Kafka's default limit, kept by every adapter."""

Headers = tuple[tuple[str, bytes], ...]


class Partition(NamedTuple):
    """One ordered part of a topic."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class Draft:
    """A record that is not in the log yet. The key decides the partition, and so what keeps its order."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A record of the log.

    `offset` counts from 0 within the partition; Kafka may leave holes in it, so the offset after a record is
    `next_offset`, and two neighbours may differ by more than one. `timestamp` (UTC) is when the record was
    handed to the log: good for measuring, never for a decision.
    """

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: Headers
    timestamp: datetime

    @property
    def place(self) -> Partition:
        """The partition that the record lies in."""
        return Partition(self.topic, self.partition)

    @property
    def next_offset(self) -> int:
        """Where reading goes on after this record; what is kept as "done up to here"."""
        return self.offset + 1


class LogError(ChassisError):
    """What the log could not do. Its text names topics, partitions and offsets, never keys or values."""


class LogUnavailable(LogError, Unavailable):
    """The log did not answer in time, or not at all: transient, the caller tries again later, for ever."""


class UnknownTopic(LogError):
    """The topic does not exist: `ensure_topics` was not called, or somebody deleted it."""


class OffsetOutOfRange(LogError):
    """The offset asked for is not in the log (any more, or yet).

    Somebody truncated or replaced the log, or restored an older database or log file. Reading on from
    elsewhere would lose or repeat events in silence, so this is raised instead, and an operator decides.
    """

    def __init__(self, partition: Partition, offset: int) -> None:
        super().__init__(f"{partition.topic}/{partition.number} holds no offset {offset}")
        self.partition = partition
        self.offset = offset


class RebalanceFailed(LogError):
    """`on_assigned` or `on_revoked` raised or took too long; the cause is attached.

    Nothing more is handed out, the consumer is of no further use: stop it and start a new one.
    """


class DraftRefused(LogError):
    """The log will never take this draft (too large): a defect of the writer, trying again does not help."""


def refuse_oversized(drafts: Sequence[Draft]) -> None:
    """Raises DraftRefused if one exceeds MAX_RECORD_BYTES; every adapter asks before it writes."""
    for draft in drafts:
        headers = sum(len(name) + len(value) for name, value in draft.headers)
        if len(draft.key) + len(draft.value) + headers > MAX_RECORD_BYTES:
            raise DraftRefused(f"a record for {draft.topic} is larger than {MAX_RECORD_BYTES} bytes")


OnAssigned = Callable[[frozenset[Partition]], Awaitable[Mapping[Partition, int | None]]]
OnRevoked = Callable[[frozenset[Partition]], Awaitable[None]]


@dataclass(slots=True)
class AppendCounters:
    """What happened since the process started; somebody else turns it into metrics."""

    appended: int = 0
    """Records acknowledged by the log."""
    failures: int = 0
    """Calls of `append` that raised."""
    recreated: int = 0
    """How often the connection for appending was thrown away and built again."""


@dataclass(slots=True)
class ConsumerCounters:
    """What happened to one consumer since it was made."""

    records: int = 0
    """Records handed out by `poll`."""
    rebalances: int = 0
    """Times that partitions were assigned."""
    commits: int = 0
    """Commit hints that the log took."""
    commits_lost: int = 0
    """Commit hints that came too late (the partitions belong to somebody else) or found nobody."""


class LogConsumer(Protocol):
    """One member of a consumer group. Used by one task; only the two callbacks run beside it.

    The partitions of the topics are shared out over the members of the group. Whenever a member comes or
    goes, every member gives all its partitions back and gets its new share. The truth about what was done
    lies in the service's own database: it answers `on_assigned`; what `commit` tells the log is a hint for
    lag displays.

    How not to process a record twice: `await consumer.poll(...)` directly (no task, no `wait_for` around
    it: a task switch between the answer and its receipt opens a gap), and let `on_revoked` wait for the
    batch in hand. Records still in hand once `on_revoked` has returned must be dropped.
    """

    counters: ConsumerCounters

    async def start(self, on_assigned: OnAssigned, on_revoked: OnRevoked) -> None:
        """Join the group; returns once the first share was taken (`on_assigned` has returned). Called once.

        `on_assigned(partitions)` is called before the first record of a new share is handed out, also with
        an empty share. It answers, for each partition, the offset to read next according to the service's
        database; None or absence means the offset committed last, and the earliest where there is none.

        `on_revoked(partitions)` is called before the share goes to anybody else, also by `stop`. It must
        return once nothing of these partitions is being worked on; the group stands still for that long,
        and a member that takes longer than the rebalance limit (60 s) loses its membership. No record is
        handed out from the moment it is called until the next `on_assigned` has returned.

        Both run in a task of the adapter, beside a `poll` that may be waiting: they must not wait for a
        lock that is held across `poll`. They may call `pause`, `commit` and `assignment`, and nothing else.
        Their exceptions surface as `RebalanceFailed` from `poll`. When the group is lost without notice (a
        paused process, a dead broker), `on_revoked` comes late, after somebody else may have read on: the
        compare-and-set on the offset in the service's database is what makes that harmless.

        Raises LogUnavailable (stop the consumer and make a new one) and UnknownTopic.
        """
        ...

    async def poll(self, *, max_records: int, timeout: float) -> Mapping[Partition, Sequence[Record]]:
        """Up to `max_records` records, in offset order per partition; empty after `timeout` seconds.

        A partition's records follow the last position: what poll answered before, or the last `seek`. Paused
        partitions are left out, the others are served in turn, so that a busy one starves none. Calling it is
        also a sign of life: not calling it for 5 minutes costs the membership (Kafka). While the log cannot
        be reached it answers empty. Raises OffsetOutOfRange, RebalanceFailed, LogUnavailable where the
        connection is beyond repair; each means: stop the consumer and make a new one.
        """
        ...

    def seek(self, partition: Partition, offset: int) -> None:
        """Read `partition` from `offset` next. Never blocks; ignored when the partition is not assigned."""
        ...

    def pause(self, partitions: frozenset[Partition]) -> None:
        """Leave `partitions` out of `poll`. Ends with `resume`, or when they are revoked. Never blocks."""
        ...

    def resume(self, partitions: frozenset[Partition]) -> None:
        """Serve `partitions` again, from where they stood. Never blocks."""
        ...

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Tell the log what is done: for each partition the offset to read next.

        A hint: partitions that are not assigned any more, a lost generation and a log that does not answer
        within 5 s are counted, logged and otherwise ignored.
        """
        ...

    async def lag(self) -> Mapping[Partition, int]:
        """For each assigned partition, the records appended that `poll` has not handed out yet.

        Raises LogUnavailable.
        """
        ...

    def assignment(self) -> frozenset[Partition]:
        """The partitions that this member owns now; empty while the group is being rearranged.

        During `on_revoked` still the old share, during `on_assigned` already the new one.
        """
        ...

    async def stop(self) -> None:
        """Give the partitions back (every `on_assigned` is followed by one `on_revoked`) and leave the group.

        Takes at most 30 s more than `on_revoked`, also when the log is away. May be called twice, and after a
        `start` that failed.
        """
        ...


class EventLog(Protocol):
    """The log of all events. One object per process, shared by its relays, consumers and readers."""

    counters: AppendCounters

    @property
    def log_id(self) -> str:
        """Which log this is (Kafka: the cluster id; SQLite: an id in the file).

        Offsets mean nothing without it. Raises LogUnavailable before the first successful `start`.
        """
        ...

    async def start(self) -> None:
        """Connect. Raises LogUnavailable; may then be called again."""
        ...

    async def stop(self) -> None:
        """Close every connection. Consumers are stopped by those who started them, before."""
        ...

    async def ensure_topics(self, names: Sequence[str], partitions: int = PARTITIONS) -> None:
        """Create the topics that do not exist.

        Raises LogError where one exists with another number of partitions, LogUnavailable.
        """
        ...

    async def append(self, drafts: Sequence[Draft]) -> None:
        """Write `drafts`; returns once the log has made all of them durable. They travel pipelined.

        Drafts of one key keep their order, within a call and over calls made one after the other (who calls
        concurrently decides no order between the calls). On LogUnavailable (no acknowledgement within 30 s,
        or the connection is beyond repair) any part of `drafts` may be in the log, now or later, and every
        other call that was in flight fails as well; the connection has been given up (the next call makes a
        new one). The caller then appends the same drafts again, in the same order and before any later ones
        of these keys: that way the *first* occurrences in the log are in order, and readers drop the
        repeats. A cancelled call leaves the same uncertainty. Raises DraftRefused before anything was sent,
        UnknownTopic, LogUnavailable.
        """
        ...

    async def beginning_offsets(self, topic: str) -> Mapping[int, int]:
        """By partition number, the offset of the first record kept. Raises UnknownTopic, LogUnavailable."""
        ...

    async def end_offsets(self, topic: str) -> Mapping[int, int]:
        """By partition number, the offset of the next record. Raises UnknownTopic, LogUnavailable."""
        ...

    def consumer(self, group: str, topics: Sequence[str], *, member: str) -> LogConsumer:
        """A new member of `group`, not started; `member` names it in displays and logs."""
        ...

    async def read(self, topic: str, partition: int, from_offset: int, limit: int) -> list[Record]:
        """Up to `limit` records from `from_offset` on, without a group; what is there now, empty at the end.

        For tails, feeds, replays and tests. `from_offset` before the first record kept starts at that record.
        Raises OffsetOutOfRange beyond the end, UnknownTopic, LogUnavailable.
        """
        ...
