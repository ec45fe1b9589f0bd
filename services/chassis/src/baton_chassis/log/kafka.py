"""The event log on Apache Kafka: the same promises, for any number of processes and machines."""

from collections.abc import Mapping, Sequence

from baton_chassis.log.kafka_consumer import KafkaConsumer
from baton_chassis.log.kafka_producer import Appender
from baton_chassis.log.kafka_reader import Reader
from baton_chassis.log.kafka_settings import KafkaSettings
from baton_chassis.log.port import (
    AppendCounters,
    Draft,
    LogUnavailable,
    Partition,
    Record,
    refuse_oversized,
)
from baton_contracts.topics import PARTITIONS


class KafkaEventLog:
    """Implements `EventLog`; the promises stand there.

    Kafka transactions are not used: what makes an effect happen once is the sequence of every source and the
    offset in the consumer's own database.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self.counters = AppendCounters()
        self._settings = settings
        self._appender = Appender(settings, self.counters)
        self._reader = Reader(settings)
        self._log_id: str | None = None

    @property
    def log_id(self) -> str:
        """See `EventLog.log_id`."""
        if self._log_id is None:
            raise LogUnavailable("the log has not been started")
        return self._log_id

    async def start(self) -> None:
        """See `EventLog.start`. Connections for appending and reading are made when first needed."""
        self._log_id = await self._reader.cluster_id()

    async def stop(self) -> None:
        """See `EventLog.stop`."""
        await self._appender.close()
        await self._reader.close()

    async def ensure_topics(self, names: Sequence[str], partitions: int = PARTITIONS) -> None:
        """See `EventLog.ensure_topics`. New topics keep their records for ever."""
        await self._reader.create_topics(names, partitions)

    async def append(self, drafts: Sequence[Draft]) -> None:
        """See `EventLog.append`."""
        try:
            refuse_oversized(drafts)
            partitions = {
                topic: await self._reader.partitions(topic) for topic in {draft.topic for draft in drafts}
            }
            await self._appender.append(drafts, partitions)
        except Exception:
            self.counters.failures += 1
            raise
        self.counters.appended += len(drafts)

    async def beginning_offsets(self, topic: str) -> Mapping[int, int]:
        """See `EventLog.beginning_offsets`."""
        return await self._reader.beginning_offsets(topic)

    async def end_offsets(self, topic: str) -> Mapping[int, int]:
        """See `EventLog.end_offsets`."""
        return await self._reader.end_offsets(topic)

    def consumer(self, group: str, topics: Sequence[str], *, member: str) -> KafkaConsumer:
        """See `EventLog.consumer`."""
        return KafkaConsumer(self._settings, self._reader, group=group, topics=topics, member=member)

    async def read(self, topic: str, partition: int, from_offset: int, limit: int) -> list[Record]:
        """See `EventLog.read`."""
        return await self._reader.read(Partition(topic, partition), from_offset, limit)
