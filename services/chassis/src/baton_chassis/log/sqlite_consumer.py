"""A consumer on the embedded log: a member of its group that reads its share of the file."""

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from typing import TypeVar

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
from baton_chassis.log.sqlite_access import FileAccess
from baton_chassis.log.sqlite_file import Topic, Want
from baton_chassis.log.sqlite_group import Group

_logger = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


class SqliteConsumer:
    """Implements `LogConsumer`; the promises stand there."""

    def __init__(
        self,
        access: FileAccess,
        group: Group,
        *,
        group_name: str,
        topics: Sequence[str],
        member: str,
        rebalance_seconds: float,
    ) -> None:
        self.topics: Sequence[str] = tuple(topics)
        self.counters = ConsumerCounters()
        self._access = access
        self._group = group
        self._group_name = group_name
        self._member = member
        self._rebalance_seconds = rebalance_seconds
        self._known: dict[str, Topic] = {}
        self._on_assigned: OnAssigned | None = None
        self._on_revoked: OnRevoked | None = None
        self._positions: dict[Partition, int] = {}
        self._turn: list[Partition] = []
        self._paused: set[Partition] = set()
        self._share: frozenset[Partition] = frozenset()
        self._holding = False
        self._generation = 0
        self._flowing = False
        self._failure: BaseException | None = None
        self._wake = asyncio.Event()

    @property
    def failed(self) -> bool:
        """Whether a callback failed, so that no share may come here any more."""
        return self._failure is not None

    async def start(self, on_assigned: OnAssigned, on_revoked: OnRevoked) -> None:
        """See `LogConsumer.start`."""
        if self._on_assigned is not None:
            raise LogError("a consumer is started once")
        self._on_assigned, self._on_revoked = on_assigned, on_revoked
        self._known = {name: await self._access.topic(name) for name in self.topics}
        self._access.listen(self._wake)
        await self._group.join(self, {name: topic.places for name, topic in self._known.items()})

    async def stop(self) -> None:
        """See `LogConsumer.stop`."""
        self._access.forget(self._wake)
        await self._group.leave(self)
        await self._access.flush()

    async def poll(self, *, max_records: int, timeout: float) -> Mapping[Partition, Sequence[Record]]:
        """See `LogConsumer.poll`."""
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            self._wake.clear()
            if self._failure is not None:
                raise RebalanceFailed(f"group {self._group_name}, member {self._member}") from self._failure
            records = await self._read(max_records)
            if records or not await self._woken_by(deadline):
                return records

    async def _woken_by(self, deadline: float) -> bool:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._wake.wait()
        except TimeoutError:
            return False

    async def _read(self, max_records: int) -> Mapping[Partition, Sequence[Record]]:
        wants = await self._wants()
        if not wants:
            return {}
        generation = self._generation
        found = await self._access.read(wants, max_records)
        if generation != self._generation or not self._flowing:
            return {}
        return self._hand_out(wants, found)

    async def _wants(self) -> list[Want]:
        if not self._flowing:
            return []
        open_places = [place for place in self._turn if place not in self._paused]
        if any(self._positions[place] > self._access.end(place) for place in open_places):
            await self._refuse_beyond_the_end(open_places)
            return await self._wants()
        return [
            Want(self._known[place.topic], place, self._positions[place])
            for place in open_places
            if self._positions[place] < self._access.end(place)
        ]

    async def _refuse_beyond_the_end(self, places: Sequence[Partition]) -> None:
        await self._access.look()  # another process may have appended since
        for place in places:
            position = self._positions.get(place, 0)
            if position > self._access.end(place):
                raise OffsetOutOfRange(place, position)

    def _hand_out(
        self, wants: Sequence[Want], found: Mapping[Partition, Sequence[Record]]
    ) -> Mapping[Partition, Sequence[Record]]:
        out: dict[Partition, Sequence[Record]] = {}
        for want in wants:
            records = found.get(want.place)
            # Someone may have called seek or pause while the file was being read.
            if not records or self._positions[want.place] != want.offset or want.place in self._paused:
                continue
            out[want.place] = records
            self._positions[want.place] = records[-1].next_offset
            self._turn.remove(want.place)
            self._turn.append(want.place)
            self.counters.records += len(records)
        return out

    def seek(self, partition: Partition, offset: int) -> None:
        """See `LogConsumer.seek`."""
        if partition in self._positions:
            self._positions[partition] = offset
            self._wake.set()

    def pause(self, partitions: frozenset[Partition]) -> None:
        """See `LogConsumer.pause`."""
        self._paused |= partitions & self._share

    def resume(self, partitions: frozenset[Partition]) -> None:
        """See `LogConsumer.resume`."""
        self._paused -= partitions
        self._wake.set()

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """See `LogConsumer.commit`."""
        if not offsets:
            return
        if not offsets.keys() <= self._share:
            self.counters.commits_lost += 1
            _logger.info("group %s: a commit came after the partitions were given back", self._group_name)
            return
        for place, next_offset in offsets.items():
            self._access.note(self._group_name, place, next_offset)
        self.counters.commits += 1

    async def lag(self) -> Mapping[Partition, int]:
        """See `LogConsumer.lag`."""
        return {place: max(0, self._access.end(place) - at) for place, at in self._positions.items()}

    def assignment(self) -> frozenset[Partition]:
        """See `LogConsumer.assignment`."""
        return self._share

    async def revoke(self) -> None:
        """Called by the group: stop handing out, wait for the owner to finish, give the share back."""
        self._flowing = False
        self._generation += 1
        if self._holding and self._on_revoked is not None:
            await self._owner(self._on_revoked(self._share))
        self._holding = False
        self._share = frozenset()
        self._positions = {}
        self._paused.clear()

    async def assign(self, share: frozenset[Partition]) -> None:
        """Called by the group: ask the owner where to go on, then hand out."""
        assert self._on_assigned is not None
        self._share, self._holding = share, True
        positions = await self._owner(self._ask_where_to_go_on(self._on_assigned, share))
        if positions is None:
            self._share = frozenset()
            return
        self._positions = positions
        self._turn = sorted(share)
        self._flowing = True
        self.counters.rebalances += 1
        self._wake.set()

    async def _ask_where_to_go_on(
        self, on_assigned: OnAssigned, share: frozenset[Partition]
    ) -> dict[Partition, int]:
        committed = await self._access.committed(self._group_name)
        stored = await on_assigned(share)
        answers = {place: stored.get(place) for place in share}
        return {
            place: committed.get(place, 0) if answer is None else answer for place, answer in answers.items()
        }

    async def _owner(self, call: Awaitable[_Answer]) -> _Answer | None:
        try:
            async with asyncio.timeout(self._rebalance_seconds):
                return await call
        except Exception as error:  # the other members must get their partitions; poll raises it to the owner
            _logger.exception("group %s, member %s: rebalance failed", self._group_name, self._member)
            self._failure = error
            self._wake.set()
            return None
