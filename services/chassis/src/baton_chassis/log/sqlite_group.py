"""Consumer groups inside one process: everyone gives back, gets a new share, then reading goes on."""

import asyncio
import fcntl
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from baton_chassis.log.port import LogUnavailable, Partition


class Member(Protocol):
    """What a group asks of a member. Neither call raises: a member that fails says so and is left out."""

    topics: Sequence[str]

    @property
    def failed(self) -> bool:
        """Whether it is beyond use and must get no share."""
        ...

    async def revoke(self) -> None:
        """Give the share back; nothing of it is being worked on any more when this returns."""
        ...

    async def assign(self, share: frozenset[Partition]) -> None:
        """Take this share."""
        ...


def share_out(
    partitions: Mapping[str, Sequence[Partition]], members: Sequence[Member]
) -> list[frozenset[Partition]]:
    """Partitions dealt out one by one to the members that want their topic: a share for each member."""
    shares: list[set[Partition]] = [set() for _ in members]
    for topic, places in sorted(partitions.items()):
        takers = [share for member, share in zip(members, shares, strict=True) if topic in member.topics]
        for place in places if takers else ():
            min(takers, key=len).add(place)
    return [frozenset(share) for share in shares]


class Group:
    """The members of one group. A second process that starts the same group on the same file is refused."""

    def __init__(self, name: str, lock_file: Path | None) -> None:
        self._name = name
        self._lock_file = lock_file
        self._lock_handle: int | None = None
        self._members: list[Member] = []
        self._partitions: dict[str, Sequence[Partition]] = {}
        self._turn = asyncio.Lock()
        self._changes: set[asyncio.Task[None]] = set()

    async def join(self, member: Member, partitions: Mapping[str, Sequence[Partition]]) -> None:
        """Add a member and share out anew. Raises LogUnavailable when another process runs this group."""
        self._claim()
        self._partitions.update(partitions)
        await self._change(joins=member)

    async def leave(self, member: Member) -> None:
        """Take a member out, if it is in, and share out anew."""
        if member in self._members:
            await self._change(leaves=member)
        if not self._members:
            self._release()

    async def _change(self, *, joins: Member | None = None, leaves: Member | None = None) -> None:
        # A task of its own: a caller that is cancelled half-way must not leave the others without partitions.
        change = asyncio.create_task(self._rearrange(joins, leaves), name=f"log-group-{self._name}")
        self._changes.add(change)
        change.add_done_callback(self._changes.discard)
        await asyncio.shield(change)

    async def _rearrange(self, joins: Member | None, leaves: Member | None) -> None:
        async with self._turn:
            await asyncio.gather(*(member.revoke() for member in self._members))
            self._members = [member for member in self._members if member is not leaves]
            if joins is not None:
                self._members.append(joins)
            able = [member for member in self._members if not member.failed]
            shares = share_out(self._partitions, able)
            await asyncio.gather(*(member.assign(share) for member, share in zip(able, shares, strict=True)))

    def _claim(self) -> None:
        if self._lock_file is None or self._lock_handle is not None:
            return
        handle = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise LogUnavailable(f"another process runs group {self._name} on this log file") from None
        self._lock_handle = handle

    def _release(self) -> None:
        if self._lock_handle is not None:
            os.close(self._lock_handle)
            self._lock_handle = None
