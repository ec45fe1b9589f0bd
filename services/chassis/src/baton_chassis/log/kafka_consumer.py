"""A consumer on Kafka: a member of a group whose partitions come and go with our knowledge, never behind
our back.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Mapping, Sequence
from typing import TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError, OffsetOutOfRangeError

from baton_chassis.log.kafka_closing import close_consumer
from baton_chassis.log.kafka_reader import Reader, record_of
from baton_chassis.log.kafka_settings import CLIENT_ERRORS, KafkaSettings, milliseconds, unavailable
from baton_chassis.log.port import (
    ConsumerCounters,
    LogError,
    OffsetOutOfRange,
    OnAssigned,
    OnRevoked,
    Partition,
    RebalanceFailed,
    Record,
)

_FETCH_WAIT_MS = 50
_PARTITION_FETCH_BYTES = 1_048_576
_FETCH_BYTES = 8 * 1_048_576
_POLL_AT_LEAST_SECONDS = 300.0
_logger = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Passes aiokafka's calls on; aiokafka insists on a class of its own."""

    def __init__(self, owner: "KafkaConsumer") -> None:
        self._owner = owner

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        await self._owner.give_back()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        await self._owner.take(frozenset(Partition(*place) for place in assigned))


class KafkaConsumer:
    """Implements `LogConsumer`; the promises stand there."""

    def __init__(
        self, settings: KafkaSettings, reader: Reader, *, group: str, topics: Sequence[str], member: str
    ) -> None:
        self.counters = ConsumerCounters()
        self._settings = settings
        self._reader = reader
        self._group = group
        self._topics = tuple(topics)
        self._member = member
        self._client: AIOKafkaConsumer | None = None
        self._on_assigned: OnAssigned | None = None
        self._on_revoked: OnRevoked | None = None
        self._share: frozenset[Partition] = frozenset()
        self._positions: dict[Partition, int] = {}
        self._holding = False
        self._giving_back = asyncio.Lock()
        self._generation = 0
        self._joined = asyncio.Event()
        self._flowing = asyncio.Event()
        self._failure: BaseException | None = None

    async def start(self, on_assigned: OnAssigned, on_revoked: OnRevoked) -> None:
        """See `LogConsumer.start`."""
        if self._client is not None:
            raise LogError("a consumer is started once")
        for topic in self._topics:
            await self._reader.partitions(topic)
        self._on_assigned, self._on_revoked = on_assigned, on_revoked
        self._client = self._new_client()
        self._client.subscribe(topics=self._topics, listener=_Listener(self))
        times = self._settings.times
        try:
            async with asyncio.timeout(times.rebalance + times.append):
                await self._client.start()
                await self._joined.wait()
        except CLIENT_ERRORS as error:
            raise unavailable(f"joining group {self._group}", error) from error

    def _new_client(self) -> AIOKafkaConsumer:
        times = self._settings.times
        return AIOKafkaConsumer(
            group_id=self._group,
            enable_auto_commit=False,
            # Where to start is decided in `take`; an offset that is not there must raise, not jump.
            auto_offset_reset="none",
            session_timeout_ms=milliseconds(times.session),
            heartbeat_interval_ms=milliseconds(times.heartbeat),
            rebalance_timeout_ms=milliseconds(times.rebalance),
            max_poll_interval_ms=milliseconds(_POLL_AT_LEAST_SECONDS),
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            max_partition_fetch_bytes=_PARTITION_FETCH_BYTES,
            fetch_max_bytes=_FETCH_BYTES,
            # The request to join is answered when all members have given back: it must outlast the slowest.
            **self._settings.connection(
                client=f"{self._group}-{self._member}", request_seconds=times.rebalance + 5.0
            ),
        )

    async def stop(self) -> None:
        """See `LogConsumer.stop`."""
        await self.give_back()
        client, self._client = self._client, None
        if client is not None:
            await close_consumer(client, patience_seconds=self._settings.times.close)

    async def poll(self, *, max_records: int, timeout: float) -> Mapping[Partition, Sequence[Record]]:
        """See `LogConsumer.poll`."""
        deadline = asyncio.get_running_loop().time() + timeout
        if not await self._flows_by(deadline):
            return {}
        if self._failure is not None:
            raise RebalanceFailed(f"group {self._group}, member {self._member}") from self._failure
        return await self._fetched(max_records, max(0.0, deadline - asyncio.get_running_loop().time()))

    async def _flows_by(self, deadline: float) -> bool:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._flowing.wait()
        except TimeoutError:
            self._raise_what_ended_the_membership()
            return False

    def _raise_what_ended_the_membership(self) -> None:
        # `getmany` does this, but without a share it also waits for one, with no end.
        try:
            self._running()._coordinator.check_errors()
        except KafkaError as error:
            raise unavailable(f"being in group {self._group}", error) from error

    async def _fetched(self, max_records: int, timeout: float) -> Mapping[Partition, Sequence[Record]]:
        client, generation = self._running(), self._generation
        try:
            found = await client.getmany(timeout_ms=milliseconds(timeout), max_records=max_records)
        except KafkaError as error:
            if generation != self._generation:
                return {}
            raise self._translated(error) from error
        found = {Partition(*place): raws for place, raws in found.items()}
        if generation != self._generation:
            self._unread(found.keys() & self._positions.keys())
            return {}
        return self._hand_out(found)

    def _translated(self, error: KafkaError) -> LogError:
        if isinstance(error, OffsetOutOfRangeError):
            place, offset = next(iter(error.args[0].items()))
            return OffsetOutOfRange(Partition(*place), offset)
        return unavailable(f"reading in group {self._group}", error)

    def _unread(self, places: set[Partition]) -> None:
        """A fetch that was waiting while the share changed took records of the new share: put them back."""
        for place in places:
            self._move(place)

    def _hand_out(
        self, found: Mapping[Partition, Sequence[ConsumerRecord]]
    ) -> Mapping[Partition, Sequence[Record]]:
        out = {place: [record_of(raw) for raw in raws] for place, raws in found.items()}
        for place, records in out.items():
            self._positions[place] = records[-1].next_offset
            self.counters.records += len(records)
        return out

    def seek(self, partition: Partition, offset: int) -> None:
        """See `LogConsumer.seek`."""
        if partition in self._positions:
            self._positions[partition] = offset
            self._move(partition)

    def _move(self, place: Partition) -> None:
        with contextlib.suppress(IllegalStateError):  # not ours any more
            self._running().seek(TopicPartition(*place), self._positions[place])

    def pause(self, partitions: frozenset[Partition]) -> None:
        """See `LogConsumer.pause`."""
        with contextlib.suppress(IllegalStateError):
            self._running().pause(*(TopicPartition(*place) for place in partitions & self._share))

    def resume(self, partitions: frozenset[Partition]) -> None:
        """See `LogConsumer.resume`."""
        with contextlib.suppress(IllegalStateError):
            self._running().resume(*(TopicPartition(*place) for place in partitions & self._share))

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """See `LogConsumer.commit`."""
        if not offsets:
            return
        try:
            async with asyncio.timeout(self._settings.times.commit):
                await self._running().commit({TopicPartition(*place): at for place, at in offsets.items()})
        except (
            *CLIENT_ERRORS,
            LogError,
        ) as error:  # also IllegalStateError, CommitFailedError: lost generations
            self.counters.commits_lost += 1
            _logger.info("group %s: a commit was lost: %s", self._group, type(error).__name__)
        else:
            self.counters.commits += 1

    async def lag(self) -> Mapping[Partition, int]:
        """See `LogConsumer.lag`."""
        positions = dict(self._positions)
        try:
            async with asyncio.timeout(self._settings.times.request):
                ends = await self._running().end_offsets([TopicPartition(*place) for place in positions])
        except CLIENT_ERRORS as error:
            raise unavailable(f"asking for the lag of {self._group}", error) from error
        return {place: max(0, ends[TopicPartition(*place)] - at) for place, at in positions.items()}

    def assignment(self) -> frozenset[Partition]:
        """See `LogConsumer.assignment`."""
        return self._share

    async def give_back(self) -> None:
        """Called by aiokafka before the group is rearranged, and by `stop`."""
        if self._failure is None:
            self._flowing.clear()
        self._generation += 1
        async with self._giving_back:
            if self._holding and self._on_revoked is not None:
                await self._owner(self._on_revoked(self._share))
            self._holding = False
            self._share = frozenset()
            self._positions = {}

    async def take(self, share: frozenset[Partition]) -> None:
        """Called by aiokafka with the new share: ask the owner where to go on, go there, then hand out."""
        self._share, self._holding = share, True
        positions = await self._owner(self._ask_where_to_go_on(share))
        if positions is None or share != self._share:
            return
        self._positions = positions
        for place in share:
            self._move(place)
        self.counters.rebalances += 1
        self._generation += 1
        self._joined.set()
        self._flowing.set()

    async def _ask_where_to_go_on(self, share: frozenset[Partition]) -> dict[Partition, int]:
        assert self._on_assigned is not None
        stored = await self._on_assigned(share)
        known = {place: at for place in share if (at := stored.get(place)) is not None}
        return known | await self._committed_or_earliest(share - known.keys())

    async def _committed_or_earliest(self, places: frozenset[Partition]) -> dict[Partition, int]:
        client, raw = self._running(), [TopicPartition(*place) for place in sorted(places)]
        committed = await asyncio.gather(*(client.committed(place) for place in raw))
        found = {place: at for place, at in zip(raw, committed, strict=True) if at is not None}
        missing = [place for place in raw if place not in found]
        earliest = await client.beginning_offsets(missing) if missing else {}
        return {Partition(*place): at for place, at in (found | earliest).items()}

    async def _owner(self, call: Awaitable[_Answer]) -> _Answer | None:
        try:
            async with asyncio.timeout(self._settings.times.rebalance):
                return await call
        except Exception as error:  # aiokafka would log it and go on; poll raises it to the owner instead
            _logger.exception("group %s, member %s: rebalance failed", self._group, self._member)
            self._failure = error
            self._joined.set()
            self._flowing.set()
            return None

    def _running(self) -> AIOKafkaConsumer:
        if self._client is None:
            raise LogError("the consumer is not running")
        return self._client
