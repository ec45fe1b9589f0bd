"""The embedded log's file from the event loop: one thread writes, one reads, writes that meet share a
commit.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from baton_chassis.log.port import LogUnavailable, Partition, Record, UnknownTopic
from baton_chassis.log.sqlite_file import Commit, LogFile, Row, Topic, Want

_LOOK_SECONDS = 1.0
_logger = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


class _Line:
    """One connection with the one thread that may use it."""

    def __init__(self, path: Path | None, name: str) -> None:
        self._path = path
        self._name = name
        self._thread: ThreadPoolExecutor | None = None
        self._file: LogFile | None = None

    async def run(self, work: Callable[[LogFile], _Answer]) -> _Answer:
        """`work` on the file, in the thread. Raises LogUnavailable for whatever SQLite complains about."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=self._name)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._with_file, work)
        except sqlite3.Error as error:
            raise LogUnavailable(f"the log file: {error}") from error

    def _with_file(self, work: Callable[[LogFile], _Answer]) -> _Answer:
        if self._file is None:
            self._file = LogFile(self._path)
        return work(self._file)

    async def close(self) -> None:
        """Let go of the file and the thread; harmless when closed."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown(wait=False)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class FileAccess:
    """Everything that the adapter asks of the file. Used from one event loop.

    Inside the process new records are known at once; what other processes write is seen within a second.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._writing = _Line(path, "log-write")
        # A database in memory belongs to its connection, so reading shares it.
        self._reading = _Line(path, "log-read") if path else self._writing
        self._topics: dict[str, Topic] = {}
        self._ends: dict[Partition, int] = {}
        self._queue: list[tuple[Sequence[Row], asyncio.Future[None]]] = []
        self._hints: dict[tuple[str, Partition], int] = {}
        self._flusher: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._change_mark = -1
        self._listeners: set[asyncio.Event] = set()

    async def open(self, fresh_id: str) -> str:
        """Open or make the file and give the log's id. Raises LogUnavailable, LogError for a later format."""
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600, exist_ok=True)
        log_id = await self._writing.run(lambda file: file.prepare(fresh_id))
        await self.look()
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._watch(), name="log-watch")
        return log_id

    async def close(self) -> None:
        """Write what is waiting, then let go of the file."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
            self._watcher = None
        await self.flush()
        await self._writing.close()
        if self._reading is not self._writing:
            await self._reading.close()

    async def create_topics(self, names: Sequence[str], partitions: int) -> None:
        """Add the topics that are missing. Raises LogError where one exists with other partitions."""
        await self._writing.run(lambda file: file.create_topics(names, partitions))
        await self.look()

    async def topic(self, name: str) -> Topic:
        """A topic by name. Raises UnknownTopic."""
        if name not in self._topics:
            await self.look()
        if name not in self._topics:
            raise UnknownTopic(f"there is no topic {name}")
        return self._topics[name]

    def end(self, place: Partition) -> int:
        """The next offset of a partition, as far as this process knows."""
        return self._ends.get(place, 0)

    async def look(self) -> None:
        """Learn the topics and ends as the file has them now."""
        topics = await self._reading.run(lambda file: file.topics())
        self._topics = {topic.name: topic for topic in topics}
        self._learn(await self._reading.run(lambda file: file.ends(topics)))

    async def append(self, rows: Sequence[Row]) -> None:
        """Append in order; returns once it is durable. Calls that meet share one transaction."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((rows, done))
        self._flush_soon()
        await done

    async def read(self, wants: Sequence[Want], limit: int) -> Mapping[Partition, list[Record]]:
        """At most `limit` records in all, for the wishes in their order."""
        return await self._reading.run(lambda file: file.read(wants, limit))

    def note(self, group: str, place: Partition, next_offset: int) -> None:
        """Keep what a group has done; it goes to the file with the next write, a second later at most."""
        self._hints[group, place] = next_offset

    async def committed(self, group: str) -> dict[Partition, int]:
        """What a group noted last, by partition."""
        await self.flush()
        return await self._reading.run(lambda file: file.committed(group))

    async def flush(self) -> None:
        """Write what is waiting."""
        if self._queue or self._hints:
            self._flush_soon()
        if self._flusher is not None:
            await asyncio.wait([self._flusher])

    def listen(self, wake: asyncio.Event) -> None:
        """Set `wake` whenever there are new records."""
        self._listeners.add(wake)

    def forget(self, wake: asyncio.Event) -> None:
        """Undo `listen`."""
        self._listeners.discard(wake)

    def _learn(self, ends: Mapping[Partition, int]) -> None:
        news = {place: end for place, end in ends.items() if end > self._ends.get(place, -1)}
        self._ends.update(news)
        if any(news.values()):
            for wake in self._listeners:
                wake.set()

    def _flush_soon(self) -> None:
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush(), name="log-flush")

    async def _flush(self) -> None:
        while self._queue or self._hints:
            calls, self._queue = self._queue, []
            hints, self._hints = self._hints, {}
            rows = [row for call, _ in calls for row in call]
            commits = [Commit(group, place, offset) for (group, place), offset in hints.items()]
            try:
                ends = await self._writing.run(lambda file, r=rows, c=commits: file.write(r, c))  # type: ignore[misc]
            except Exception as error:  # the next write must still find a flusher; each caller gets the error
                _logger.warning("appending to the log file failed: %s", error)
                _fail([done for _, done in calls], error)
            else:
                self._learn(ends)
                for done in (done for _, done in calls if not done.done()):
                    done.set_result(None)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self._look_if_changed()
                await self.flush()
            except LogUnavailable as error:
                _logger.warning("looking into the log file failed: %s", error)

    async def _look_if_changed(self) -> None:
        mark = await self._reading.run(lambda file: file.change_mark())
        if mark != self._change_mark:
            self._change_mark = mark
            await self.look()


def _fail(waiting: Sequence[asyncio.Future[None]], error: Exception) -> None:
    for done in waiting:
        if not done.done():
            failure = LogUnavailable("the log file could not be written")
            failure.__cause__ = error
            done.set_exception(failure)
