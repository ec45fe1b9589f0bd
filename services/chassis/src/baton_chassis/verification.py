"""Invariants of an installation at rest: what must hold between journals, log and consumers in any case.

Each invariant is one function over the evidence. What is said of a violation are ids and numbers, never
content.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from baton_chassis.evidence import Evidence, LineKey
from baton_contracts.topics import address_of, partition_for


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """One thing that must not be: which invariant, where (service, partition or client), ids and numbers."""

    invariant: str
    where: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """A rule with its short name and one sentence; ``check`` gives what breaks it."""

    id: str
    name: str
    sentence: str
    check: Callable[[Evidence], Iterable[Violation]]


def no_loss(evidence: Evidence) -> Iterator[Violation]:
    """I1: every journal event is in the log, and applied (or parked) by every consumer of its topic."""
    yield from _unsent(evidence)
    yield from _unapplied(evidence)


def _unsent(evidence: Evidence) -> Iterator[Violation]:
    sent = {one.event.id for one in evidence.log.occurrences}
    for service, event in evidence.journal():
        if event.id not in sent:
            yield Violation("I1", service.name, f"event {event.id} is in the journal and not in the log")
    for service in evidence.services:
        if service.outbox:
            yield Violation("I1", service.name, f"{service.outbox} events still lie in the outbox")


def _unapplied(evidence: Evidence) -> Iterator[Violation]:
    topic_of = {one.event.line: one.topic for one in evidence.log.occurrences}
    tops = _tops(evidence)
    for service in evidence.services:
        held = {(one.consumer, one.line, one.sequence) for one in service.parked}
        for consumer, topics in service.topics_of.items():
            seen = service.seen.get(consumer, {})
            for line in (line for line in tops if topic_of.get(line) in topics):
                reached = seen.get(line, (0, ""))[0]
                if any((consumer, line, n) not in held for n in range(reached + 1, tops[line] + 1)):
                    yield Violation("I1", consumer, f"{line[1]} is applied up to {reached} of {tops[line]}")


def no_phantom(evidence: Evidence) -> Iterator[Violation]:
    """I2: nothing is in the log without a journal row of its owner with the same bytes."""
    journal = {event.id: (service.name, event) for service, event in evidence.journal()}
    for topic, partition, offset in evidence.log.unreadable:
        yield Violation("I2", f"{topic}/{partition}", f"offset {offset} holds no envelope")
    for one in evidence.log.occurrences:
        where = f"{one.topic}/{one.partition}"
        found = journal.get(one.event.id)
        if found is None:
            yield Violation("I2", where, f"offset {one.offset}: event {one.event.id} is in no journal")
        elif found[1].digest != one.event.digest:
            yield Violation(
                "I2", where, f"offset {one.offset}: event {one.event.id} differs from its journal row"
            )
        else:
            address = address_of(one.event.type)
            if address is not None and (address.topic, address.producer) != (one.topic, found[0]):
                yield Violation(
                    "I2", where, f"offset {one.offset}: {one.event.type} was published by {found[0]}"
                )


def key_order(evidence: Evidence) -> Iterator[Violation]:
    """I3: first occurrences of a line are in the order of their numbers, each where its key belongs."""
    last: dict[LineKey, int] = {}
    for one in evidence.log.firsts():
        event, where = one.event, f"{one.topic}/{one.partition}"
        wanted = partition_for(one.record_key, evidence.log.partitions[one.topic])
        if one.record_key != event.key.encode() or wanted != one.partition:
            yield Violation(
                "I3", where, f"offset {one.offset}: event {event.id} lies outside its key's partition"
            )
        before = last.get(event.line, 0)
        if event.sequence != before + 1:
            yield Violation(
                "I3", where, f"offset {one.offset}: {event.source} number {event.sequence} follows {before}"
            )
        last[event.line] = max(before, event.sequence)


def effect_once(evidence: Evidence) -> Iterator[Violation]:
    """I4: every line has the numbers 1..n once, from one service, and no consumer is beyond or beside it."""
    yield from _misnumbered(evidence)
    yield from _beside(evidence)


def _misnumbered(evidence: Evidence) -> Iterator[Violation]:
    numbers: dict[LineKey, list[int]] = defaultdict(list)
    writers: dict[LineKey, set[str]] = defaultdict(set)
    for service, event in evidence.journal():
        numbers[event.line].append(event.sequence)
        writers[event.line].add(service.name)
    for line, found in numbers.items():
        if len(writers[line]) > 1:
            yield Violation("I4", ", ".join(sorted(writers[line])), f"{line[1]} has several writers")
        if sorted(found) != list(range(1, len(found) + 1)):
            yield Violation(
                "I4", min(writers[line]), f"{line[1]}: {len(found)} events are not 1 to {len(found)}"
            )
    for service in evidence.services:
        for line, counted in service.lines.items():
            if counted != len(numbers.get(line, ())):
                held = len(numbers.get(line, ()))
                yield Violation("I4", service.name, f"{line[1]} counts {counted} and holds {held}")


def _beside(evidence: Evidence) -> Iterator[Violation]:
    written = {(event.line, event.sequence): event.id for _, event in evidence.journal()}
    for service in evidence.services:
        for consumer, seen in service.seen.items():
            for line, (number, id) in seen.items():
                if written.get((line, number)) != id:
                    yield Violation("I4", consumer, f"{line[1]} number {number} was applied as {id}")


def no_gap(evidence: Evidence) -> Iterator[Violation]:
    """I5: nothing is parked: whatever is, has to be named here."""
    for service in evidence.services:
        for one in service.parked:
            place = f"{one.topic}/{one.partition} offset {one.offset}"
            yield Violation(
                "I5", one.consumer, f"{place}: event {one.event_id or '?'} is parked: {one.reason}"
            )


def offset_safe(evidence: Evidence) -> Iterator[Violation]:
    """I6: no consumer stands beyond the end of this log, or only in another log."""
    for service in evidence.services:
        for (consumer, topic, partition), following in service.offsets.items():
            end = evidence.log.ends.get((topic, partition), 0)
            if following > end:
                yield Violation(
                    "I6", consumer, f"{topic}/{partition}: reads {following} next, the log ends at {end}"
                )
        if service.foreign_offsets and not service.offsets and evidence.log.occurrences:
            yield Violation("I6", service.name, f"{service.foreign_offsets} offsets belong to another log")


CHASSIS_INVARIANTS: Final = (
    Invariant(
        id="I1", name="no-loss", check=no_loss,
        sentence="Every journal event is in the log and applied by every consumer of its topic.",
    ),
    Invariant(
        id="I2", name="no-phantom", check=no_phantom,
        sentence="Nothing is in the log without a journal row of its owner with the same bytes.",
    ),
    Invariant(
        id="I3", name="key-order", check=key_order,
        sentence="First occurrences of a line are in sequence, in the partition of their key.",
    ),
    Invariant(
        id="I4", name="effect-once", check=effect_once,
        sentence="Every line has the numbers 1..n once, and no consumer is beyond or beside it.",
    ),
    Invariant(
        id="I5", name="no-gap", check=no_gap, sentence="No event is parked.",
    ),
    Invariant(
        id="I6", name="offset-safe", check=offset_safe,
        sentence="No consumer stands beyond the end of the log.",
    ),
)  # fmt: skip
"""What holds for any services on this chassis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request of a client and what it was answered, from the client's own log.

    ``key`` is its Idempotency-Key, ``status`` None where no answer came. ``makes`` is the event type that a
    2xx promises, ``thing`` the id in the answer, ``answer`` a digest of the answer's body.
    """

    key: str
    makes: str
    status: int | None
    thing: str = ""
    answer: str = ""
    replayed: bool = False

    @property
    def promised(self) -> bool:
        """Whether the client may rely on it."""
        return self.status is not None and 200 <= self.status < 300


def ack_durable(evidence: Evidence, exchanges: Iterable[Exchange]) -> Iterator[Violation]:
    """I19: whatever was answered 2xx is in a journal."""
    for one in exchanges:
        if one.promised and evidence.mentions(one.makes, one.thing) == 0:
            yield Violation("I19", one.key, f"answered {one.status}, no {one.makes} names {one.thing}")


def idempotent_api(evidence: Evidence, exchanges: Iterable[Exchange]) -> Iterator[Violation]:
    """I20: one key, one answer, one event."""
    by_key: dict[str, list[Exchange]] = defaultdict(list)
    for one in exchanges:
        if one.promised:
            by_key[one.key].append(one)
    keys_of: Counter[tuple[str, str]] = Counter()
    for key, told in by_key.items():
        answers = {(one.status, one.thing, one.answer) for one in told}
        if len(answers) > 1:
            yield Violation("I20", key, f"{len(answers)} answers to one key")
        if sum(not one.replayed for one in told) > 1:
            yield Violation("I20", key, "answered as new more than once")
        keys_of[told[0].makes, told[0].thing] += 1
    for (type, thing), wanted in keys_of.items():
        found = evidence.mentions(type, thing)
        if found > wanted:
            yield Violation("I20", thing, f"{found} events {type} for {wanted} keys")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one invariant found."""

    invariant: Invariant
    violations: Sequence[Violation]


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome over a whole installation."""

    evidence: Evidence
    findings: Sequence[Finding]
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def violations(self) -> list[Violation]:
        """Everything that was found, in the order of the invariants."""
        return [violation for finding in self.findings for violation in finding.violations]

    def plain(self) -> dict[str, Any]:
        """The report as JSON types."""
        return {
            "quiet": self.evidence.quiet,
            "counts": dict(self.counts),
            "invariants": [
                {
                    "id": finding.invariant.id,
                    "name": finding.invariant.name,
                    "sentence": finding.invariant.sentence,
                    "violations": [{"where": one.where, "detail": one.detail} for one in finding.violations],
                }
                for finding in self.findings
            ],
        }


def examine(evidence: Evidence, invariants: Sequence[Invariant] = CHASSIS_INVARIANTS) -> Report:
    """Check ``invariants`` over ``evidence``."""
    findings = [Finding(one, sorted(set(one.check(evidence)))) for one in invariants]
    counts = {
        "services": len(evidence.services),
        "lines": len(_tops(evidence)),
        "events": sum(len(service.journal) for service in evidence.services),
        "records": len(evidence.log.occurrences),
    }
    return Report(evidence, findings, counts)


def _tops(evidence: Evidence) -> dict[LineKey, int]:
    """The highest number of every line, by the journals."""
    tops: dict[LineKey, int] = {}
    for _, event in evidence.journal():
        tops[event.line] = max(tops.get(event.line, 0), event.sequence)
    return tops
