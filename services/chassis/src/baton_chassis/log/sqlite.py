"""The event log in one SQLite file: durable, ordered, for everything that runs in one process."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from baton_chassis.clock import Clock, SystemClock
from baton_chassis.ids import Ids, new_id
from baton_chassis.log.port import (
    AppendCounters,
    Draft,
    LogUnavailable,
    OffsetOutOfRange,
    Partition,
    Record,
    refuse_oversized,
)
from baton_chassis.log.sqlite_access import FileAccess
from baton_chassis.log.sqlite_consumer import SqliteConsumer
from baton_chassis.log.sqlite_file import Row, Topic, Want, encode_headers, milliseconds
from baton_chassis.log.sqlite_group import Group
from baton_contracts.topics import PARTITIONS, partition_for


class SqliteEventLog:
    """Implements `EventLog`; the promises stand there.

    One object per process and file, shared by everybody in the process: its members of a group see each
    other and share the partitions. Other processes may append and read; they learn of new records within a
    second. Starting a group that another process already runs on the file raises LogUnavailable.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        clock: Clock | None = None,
        ids: Ids = new_id,
        rebalance_seconds: float = 60.0,
    ) -> None:
        """`path` of the file, its folder is made if need be; None keeps the log in memory, for tests."""
        self.counters = AppendCounters()
        self._path = path
        self._clock = clock or SystemClock()
        self._ids = ids
        self._rebalance_seconds = rebalance_seconds
        self._access = FileAccess(path)
        self._groups: dict[str, Group] = {}
        self._log_id: str | None = None

    @property
    def log_id(self) -> str:
        """See `EventLog.log_id`."""
        if self._log_id is None:
            raise LogUnavailable("the log has not been started")
        return self._log_id

    async def start(self) -> None:
        """See `EventLog.start`."""
        self._log_id = await self._access.open(self._ids())

    async def stop(self) -> None:
        """See `EventLog.stop`."""
        await self._access.close()

    async def ensure_topics(self, names: Sequence[str], partitions: int = PARTITIONS) -> None:
        """See `EventLog.ensure_topics`."""
        await self._access.create_topics(names, partitions)

    async def append(self, drafts: Sequence[Draft]) -> None:
        """See `EventLog.append`."""
        try:
            refuse_oversized(drafts)
            rows = [self._row(draft, await self._access.topic(draft.topic)) for draft in drafts]
            await self._access.append(rows)
        except Exception:
            self.counters.failures += 1
            raise
        self.counters.appended += len(drafts)

    def _row(self, draft: Draft, topic: Topic) -> Row:
        headers = encode_headers(draft.headers)
        place = Partition(topic.name, partition_for(draft.key, topic.partitions))
        return Row(place, topic.number, draft.key, draft.value, headers, milliseconds(self._clock.now()))

    async def beginning_offsets(self, topic: str) -> Mapping[int, int]:
        """See `EventLog.beginning_offsets`; nothing is ever deleted here, so all are 0."""
        found = await self._access.topic(topic)
        return dict.fromkeys(range(found.partitions), 0)

    async def end_offsets(self, topic: str) -> Mapping[int, int]:
        """See `EventLog.end_offsets`."""
        found = await self._access.topic(topic)
        await self._access.look()
        return {place.number: self._access.end(place) for place in found.places}

    def consumer(self, group: str, topics: Sequence[str], *, member: str) -> SqliteConsumer:
        """See `EventLog.consumer`."""
        if group not in self._groups:
            lock_file = self._path.with_name(f"{self._path.name}.{group}.lock") if self._path else None
            self._groups[group] = Group(group, lock_file)
        return SqliteConsumer(
            self._access,
            self._groups[group],
            group_name=group,
            topics=topics,
            member=member,
            rebalance_seconds=self._rebalance_seconds,
        )

    async def read(self, topic: str, partition: int, from_offset: int, limit: int) -> list[Record]:
        """See `EventLog.read`."""
        place = Partition(topic, partition)
        want = Want(await self._access.topic(topic), place, max(0, from_offset))
        if from_offset > self._access.end(place):
            await self._access.look()
        if from_offset > self._access.end(place):
            raise OffsetOutOfRange(place, from_offset)
        return (await self._access.read([want], limit)).get(place, [])
