"""The embedded log's file: its tables and statements. Everything here blocks; each object serves one
thread.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from baton_chassis.log.port import Headers, LogError, Partition, Record

FORMAT = 1
"""Version of the tables, kept as `user_version`; a file of a later version is refused."""

_BUSY_SECONDS = 30.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

# `position` keeps the rows in the order of writing, so that an append only ever touches the end of the file;
# the unique index finds a partition's rows and its end.
_TABLES = """
CREATE TABLE log (log_id TEXT NOT NULL) STRICT;
CREATE TABLE topic (topic INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL) STRICT;
CREATE TABLE record (
    position INTEGER PRIMARY KEY, topic INTEGER NOT NULL, partition INTEGER NOT NULL, "offset" INTEGER NOT
    NULL, key BLOB NOT NULL, value BLOB NOT NULL, headers BLOB NOT NULL, timestamp_ms INTEGER NOT NULL,
    UNIQUE (topic, partition, "offset")
) STRICT;
CREATE TABLE committed (
    group_name TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT NULL,
    PRIMARY KEY (group_name, topic, partition)
) STRICT, WITHOUT ROWID;
"""
_END = 'SELECT coalesce(max("offset") + 1, 0) FROM record WHERE topic = ? AND partition = ?'
_INSERT = (
    'INSERT INTO record (topic, partition, "offset", key, value, headers, timestamp_ms) '
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_READ = (
    'SELECT "offset", key, value, headers, timestamp_ms FROM record '
    'WHERE topic = ? AND partition = ? AND "offset" >= ? ORDER BY "offset" LIMIT ?'
)
_COMMIT = (
    "INSERT INTO committed (group_name, topic, partition, next_offset) VALUES (?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET next_offset = excluded.next_offset"
)
_COMMITTED = "SELECT topic, partition, next_offset FROM committed WHERE group_name = ?"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as the file knows it."""

    number: int
    name: str
    partitions: int

    @property
    def places(self) -> list[Partition]:
        """Its partitions, in order."""
        return [Partition(self.name, number) for number in range(self.partitions)]


@dataclass(frozen=True, slots=True)
class Row:
    """A record on its way into the file: everything but its offset."""

    place: Partition
    topic: int
    key: bytes
    value: bytes
    headers: bytes
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Commit:
    """What a group has done of one partition."""

    group: str
    place: Partition
    next_offset: int


@dataclass(frozen=True, slots=True)
class Want:
    """A wish to read one partition from an offset."""

    topic: Topic
    place: Partition
    offset: int


def milliseconds(at: datetime) -> int:
    """Milliseconds since 1970 UTC."""
    return (at - _EPOCH) // _MILLISECOND


def encode_headers(headers: Headers) -> bytes:
    """Headers as JSON pairs; latin-1 maps any bytes to text and back."""
    return orjson.dumps([(name, value.decode("latin-1")) for name, value in headers]) if headers else b"[]"


def _decode_headers(stored: bytes) -> Headers:
    if stored == b"[]":
        return ()
    return tuple((name, value.encode("latin-1")) for name, value in orjson.loads(stored))


class LogFile:
    """One connection to the file. The writing one creates what is missing."""

    def __init__(self, path: Path | None) -> None:
        self._connection = sqlite3.connect(
            path or ":memory:", timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def prepare(self, fresh_id: str) -> str:
        """Make the tables where the file is new, and give the log's id: `fresh_id` for a new file.

        Raises LogError for a file that later software wrote.
        """
        with self._writing():
            found = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if found > FORMAT:
                raise LogError(f"the log file has format {found}; this software reads up to {FORMAT}")
            if found == 0:
                self._create(fresh_id)
        log_id: str = self._connection.execute("SELECT log_id FROM log").fetchone()[0]
        return log_id

    def _create(self, fresh_id: str) -> None:
        for statement in filter(str.strip, _TABLES.split(";")):
            self._connection.execute(statement)
        self._connection.execute("INSERT INTO log (log_id) VALUES (?)", (fresh_id,))
        self._connection.execute(f"PRAGMA user_version = {FORMAT}")

    def create_topics(self, names: Iterable[str], partitions: int) -> None:
        """Add the topics that are missing. Raises LogError where one exists with other partitions."""
        with self._writing():
            known = {topic.name: topic.partitions for topic in self.topics()}
            for name in names:
                if known.setdefault(name, partitions) != partitions:
                    raise LogError(f"topic {name} has {known[name]} partitions, not {partitions}")
            self._connection.executemany(
                "INSERT INTO topic (name, partitions) VALUES (?, ?) ON CONFLICT DO NOTHING", known.items()
            )

    def topics(self) -> list[Topic]:
        """All topics."""
        return [Topic(*row) for row in self._connection.execute("SELECT topic, name, partitions FROM topic")]

    def write(self, rows: Sequence[Row], commits: Sequence[Commit]) -> Mapping[Partition, int]:
        """Append `rows` in order and note `commits`, durably, in one transaction; the new ends of what was
        touched.
        """
        with self._writing():
            next_offsets = {
                place: self._end(topic, place) for topic, place in {(row.topic, row.place) for row in rows}
            }
            numbered = []
            for row in rows:
                offset = next_offsets[row.place]
                next_offsets[row.place] = offset + 1
                numbered.append(
                    (row.topic, row.place.number, offset, row.key, row.value, row.headers, row.timestamp_ms)
                )
            self._connection.executemany(_INSERT, numbered)
            self._connection.executemany(_COMMIT, ((c.group, *c.place, c.next_offset) for c in commits))
        return next_offsets

    def ends(self, topics: Iterable[Topic]) -> Mapping[Partition, int]:
        """The next offset of every partition of `topics`."""
        return {place: self._end(topic.number, place) for topic in topics for place in topic.places}

    def read(self, wants: Sequence[Want], limit: int) -> Mapping[Partition, list[Record]]:
        """At most `limit` records in all, for the wishes in their order."""
        found: dict[Partition, list[Record]] = {}
        for want in wants:
            if limit <= 0:
                break
            asked = (want.topic.number, want.place.number, want.offset, limit)
            records = [_record(want.place, row) for row in self._connection.execute(_READ, asked)]
            if records:
                found[want.place] = records
                limit -= len(records)
        return found

    def committed(self, group: str) -> dict[Partition, int]:
        """What `group` committed last, by partition."""
        rows = self._connection.execute(_COMMITTED, (group,))
        return {Partition(topic, number): next_offset for topic, number, next_offset in rows}

    def change_mark(self) -> int:
        """A number that differs from the last one if another connection has written since."""
        mark: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return mark

    def _end(self, topic: int, place: Partition) -> int:
        end: int = self._connection.execute(_END, (topic, place.number)).fetchone()[0]
        return end

    @contextmanager
    def _writing(self) -> Iterator[None]:
        # IMMEDIATE: a transaction that reads first and writes later fails at once when somebody else wrote.
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def _record(place: Partition, row: tuple[int, bytes, bytes, bytes, int]) -> Record:
    offset, key, value, headers, timestamp_ms = row
    at = _EPOCH + timestamp_ms * _MILLISECOND
    return Record(place.topic, place.number, offset, key, value, _decode_headers(headers), at)
