"""`baton events tail`: the log as it is, oldest first, by type, referral and age."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from baton_chassis.foundation import open_log
from baton_chassis.log.port import EventLog, Record
from baton_chassis.settings import ChassisSettings
from baton_contracts.envelope import Envelope, MalformedEnvelope
from baton_contracts.topics import TOPICS

PAGE = 500
PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events to show."""

    type: str | None = None
    referral: str | None = None
    since: timedelta | None = None

    def wants(self, envelope: Envelope, now: datetime) -> bool:
        """Whether this one is to be shown."""
        return (
            (self.type is None or envelope.type in (self.type, f"{self.type}.v1"))
            and (self.referral is None or envelope.subject == self.referral)
            and (self.since is None or now - envelope.recordedtime <= self.since)
        )


async def tail(
    settings: ChassisSettings,
    wanted: Wanted,
    *,
    follow: bool,
    whole: bool,
    say: Callable[[str], None] = print,
) -> None:
    """Show what is in the log now, and with ``follow`` what comes. Raises ``LogUnavailable``."""
    log = open_log(settings)
    await log.start()
    try:
        await log.ensure_topics(TOPICS)
        places = {
            (topic, number): offset
            for topic in TOPICS
            for number, offset in (await log.beginning_offsets(topic)).items()
        }
        while True:
            for envelope, raw in await _next(log, places):
                if wanted.wants(envelope, datetime.now(UTC)):
                    say(raw.decode() if whole else _line(envelope))
            if not follow:
                return
            await asyncio.sleep(PAUSE_SECONDS)
    finally:
        await log.stop()


async def _next(log: EventLog, places: dict[tuple[str, int], int]) -> list[tuple[Envelope, bytes]]:
    """Everything new, moved along in ``places``, in the order of recording."""
    found: list[tuple[Envelope, bytes]] = []
    for place in places:
        while page := await log.read(place[0], place[1], places[place], PAGE):
            places[place] = page[-1].next_offset
            found += [(envelope, record.value) for record in page if (envelope := _envelope(record))]
    return sorted(found, key=lambda entry: (entry[0].recordedtime, entry[0].id))


def _envelope(record: Record) -> Envelope | None:
    try:
        return Envelope.from_bytes(record.value)
    except MalformedEnvelope:
        return None


def _line(envelope: Envelope) -> str:
    at = envelope.time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return f"{at}  {envelope.type:34} {envelope.subject}  #{envelope.number}"
