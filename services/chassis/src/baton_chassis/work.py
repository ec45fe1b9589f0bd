"""One unit of work: what a handler may see and change; the chassis writes it all in one transaction or not
at all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol, TypeVar

from baton_chassis.commands import Caller, Command, Outgoing, Reply
from baton_chassis.errors import NotFound, is_refusal
from baton_chassis.ids import Ids
from baton_chassis.repository import Aggregate, Repository

A = TypeVar("A", bound=Aggregate)

IdentifierKey = tuple[str, str, str, str]
"""(practice, space, system, value)."""


@dataclass(slots=True)
class Save:
    """One aggregate to write: refused unless the stored version is still ``expected`` (0: not there yet)."""

    repository: Repository[Any]
    practice_id: str
    aggregate: Aggregate
    expected: int


@dataclass(slots=True)
class IdentifierChange:
    """A natural key to bind (``target``) or to wait for (None), on top of version ``expected`` (0: no row
    yet).
    """

    expected: int
    target: str | None


@dataclass(frozen=True, slots=True)
class Publication:
    """An event with who caused it; the writer gives it its number, id and time of recording."""

    practice_id: str
    outgoing: Outgoing
    correlation_id: str
    causation_id: str
    traceparent: str


@dataclass(frozen=True, slots=True)
class WaitingCommand:
    """A command that waits for a natural key to be bound."""

    id: str
    practice_id: str
    space: str
    system: str
    value: str
    target: str
    command: Command
    caller: Caller
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class TimerRow:
    """A command to come, at ``due_at`` by the service's clock."""

    practice_id: str
    id: str
    kind: str
    due_at: datetime
    key: str
    infers_absence: bool
    command: Command


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to which thing."""

    practice_id: str
    at: datetime
    actor: str
    action: str
    target: str
    correlation_id: str


@dataclass(frozen=True, slots=True)
class KeyClaim:
    """The claim of one request's key; with a reply, the answer to repeat."""

    practice_id: str
    client_id: str
    key: str
    fingerprint: bytes
    keep_reply: bool


@dataclass(frozen=True, slots=True)
class OffsetMove:
    """Compare-and-set of a consumer's place in one partition; ``expected`` None where it has none yet."""

    consumer: str
    log_id: str
    topic: str
    partition: int
    expected: int | None
    next: int


@dataclass(slots=True)
class WriteSet:
    """Everything one unit of work wants written. Empty sets commit without touching the database."""

    saves: dict[tuple[str, str, str], Save] = field(default_factory=dict)
    identifiers: dict[IdentifierKey, IdentifierChange] = field(default_factory=dict)
    publications: list[Publication] = field(default_factory=list)
    waiting_added: list[WaitingCommand] = field(default_factory=list)
    waiting_done: list[tuple[str, str | None]] = field(default_factory=list)
    timers_set: dict[tuple[str, str], TimerRow] = field(default_factory=dict)
    timers_cleared: set[tuple[str, str]] = field(default_factory=set)
    timer_fired: tuple[str, str, datetime] | None = None
    audit: list[AuditEntry] = field(default_factory=list)
    key: KeyClaim | None = None
    reply: Reply | None = None
    offsets: list[OffsetMove] = field(default_factory=list)
    seen: dict[tuple[str, str, str], tuple[int, str]] = field(default_factory=dict)
    parked: list[Mapping[str, Any]] = field(default_factory=list)
    unparked: list[int] = field(default_factory=list)
    unknown: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def locks(self) -> frozenset[tuple[str, ...]]:
        """Keys of what this set would change; two sets that share one never go into one transaction."""
        return frozenset((*self.saves, *self.identifiers))


class Snapshot(Protocol):
    """Reads for units of work: opened rows with their versions."""

    async def load(self, repository: Repository[A], practice_id: str, id: str) -> A | None:
        """One aggregate as last committed."""
        ...

    async def select(self, repository: Repository[A], practice_id: str, equals: Mapping[str, Any]) -> list[A]:
        """All the practice's aggregates whose columns equal ``equals`` (a token column takes the plain
        text).
        """
        ...

    async def identifier(self, key: IdentifierKey) -> tuple[str | None, int]:
        """(target, version) of a natural key; (None, 0) when there is no row."""
        ...

    async def waiting_for(self, key: IdentifierKey) -> list[WaitingCommand]:
        """Commands waiting for the key, in the order they were asked."""
        ...


HandlerOf = Callable[[Any, "Work"], Awaitable[Reply | None]]


@dataclass
class _Shared:
    """What all views of one unit of work have in common."""

    repositories: Mapping[type, Repository[Any]]
    handlers: Mapping[type, HandlerOf]
    snapshot: Snapshot
    ids: Ids
    writes: WriteSet = field(default_factory=WriteSet)
    loaded: dict[tuple[str, str, str], Aggregate | None] = field(default_factory=dict)
    identifiers: dict[IdentifierKey, tuple[str | None, int]] = field(default_factory=dict)


class Work:
    """What a handler gets. Everything it loads is as committed when first loaded and the same object ever
    after; everything it saves is written in one transaction with its events, or the handler runs again on
    fresh state.

    So a handler must not have effects of its own: no clock, no network, no state beside this object.
    """

    def __init__(self, shared: _Shared, *, caller: Caller, now: datetime) -> None:
        self._shared = shared
        self.caller = caller
        self.now = now

    @property
    def practice_id(self) -> str:
        """The practice whose things this is about."""
        return self.caller.practice_id

    @property
    def writes(self) -> WriteSet:
        """For the chassis: what has been asked for so far."""
        return self._shared.writes

    def new_id(self) -> str:
        """A fresh uuid7."""
        return self._shared.ids()

    async def load(self, kind: type[A], id: str) -> A:
        """The aggregate; ``NotFound`` when this practice has none of that id."""
        found = await self.find(kind, id)
        if found is None:
            raise NotFound("There is nothing here by that id.")
        return found

    async def find(self, kind: type[A], id: str) -> A | None:
        """The aggregate, or None."""
        repository = self._repository(kind)
        key = (repository.name, self.practice_id, id)
        if key not in self._shared.loaded:
            self._shared.loaded[key] = await self._shared.snapshot.load(repository, self.practice_id, id)
        return self._shared.loaded[key]  # type: ignore[return-value]

    async def select(self, kind: type[A], **equals: Any) -> list[A]:
        """All of this practice whose columns equal the arguments, oldest first, with this work's own
        changes to those already loaded (not: things added in this work).
        """
        repository = self._repository(kind)
        rows = await self._shared.snapshot.select(repository, self.practice_id, equals)
        loaded = self._shared.loaded
        return [loaded.setdefault((repository.name, self.practice_id, row.id), row) for row in rows]  # type: ignore[misc]

    def save(self, aggregate: Aggregate) -> None:
        """Write the aggregate with this work and publish what it recorded. Its ``version`` is the new one
        at once.
        """
        repository = self._repository(type(aggregate))
        key = (repository.name, self.practice_id, aggregate.id)
        if key not in self.writes.saves:
            self.writes.saves[key] = Save(repository, self.practice_id, aggregate, expected=aggregate.version)
            aggregate.version += 1
            self._shared.loaded[key] = aggregate
        for event in aggregate.events:
            outgoing = repository.publish(event, aggregate)
            if outgoing is not None:
                self.publish(outgoing)
        aggregate.events.clear()

    def publish(self, outgoing: Outgoing) -> None:
        """Publish an event that belongs to no aggregate (rare; ``save`` does it for the others)."""
        self.writes.publications.append(
            Publication(
                practice_id=self.practice_id,
                outgoing=outgoing,
                correlation_id=self.caller.correlation_id,
                causation_id=self.caller.causation_id,
                traceparent=self.caller.traceparent,
            )
        )

    async def lookup(self, space: str, system: str, value: str) -> str | None:
        """What answers to a natural key, or None."""
        target, _ = await self._identifier((self.practice_id, space, system, value))
        return target

    async def claim(self, space: str, system: str, value: str, target: str) -> str:
        """Bind a free natural key to ``target``; gives what it is bound to (another's target when it was
        taken).
        """
        key = (self.practice_id, space, system, value)
        bound, version = await self._identifier(key)
        if bound is None:
            self._bind(key, version, target)
            bound = target
        return bound

    async def arrived(self, space: str, keys: Iterable[tuple[str, str]], target: str) -> None:
        """What was waited for is here: bind each (system, value) to ``target`` and run, in the order they
        were asked and with their own times, the commands that waited for any of them.

        A command refused now stays in the waiting room with the code of the refusal.
        """
        waited: list[WaitingCommand] = []
        for system, value in keys:
            key = (self.practice_id, space, system, value)
            bound, version = await self._identifier(key)
            if bound is None:
                if version:  # whoever waits has left a row for the key: without one there is nobody
                    waited += await self._shared.snapshot.waiting_for(key)
                self._bind(key, version, target)
        for command in sorted(waited, key=lambda entry: entry.id):
            await self._run_waiting(command)

    def wait(self, command: Command, *, space: str, system: str, value: str, version: int) -> None:
        """For the dispatcher: keep ``command`` until the key is bound."""
        key = (self.practice_id, space, system, value)
        self.writes.identifiers[key] = IdentifierChange(expected=version, target=None)
        self.writes.waiting_added.append(
            WaitingCommand(
                self.new_id(),
                self.practice_id,
                space,
                system,
                value,
                command.id,
                command,
                self.caller,
                self.now,
            )
        )

    def schedule(
        self,
        kind: str,
        id: str,
        due_at: datetime,
        command: Command,
        *,
        key: str = "",
        infers_absence: bool = False,
    ) -> None:
        """Have ``command`` run at ``due_at``; replaces the timer of the same kind and id.

        The command runs once, in the transaction that deletes the timer, and must look at the state again.
        ``infers_absence``: it concludes something from what has *not* happened, so it first waits until
        this service has read the partition of event key ``key`` up to where it ended at ``due_at``.
        """
        row = TimerRow(self.practice_id, f"{kind}:{id}", kind, due_at, key, infers_absence, command)
        self.writes.timers_cleared.discard((self.practice_id, row.id))
        self.writes.timers_set[(self.practice_id, row.id)] = row

    def unschedule(self, kind: str, id: str) -> None:
        """Drop the timer, if there is one."""
        self.writes.timers_set.pop((self.practice_id, f"{kind}:{id}"), None)
        self.writes.timers_cleared.add((self.practice_id, f"{kind}:{id}"))

    async def run(
        self, command: Command, *, caller: Caller | None = None, now: datetime | None = None
    ) -> Reply:
        """Decide another command inside this unit of work (one transaction); its refusals are raised here."""
        view = Work(self._shared, caller=caller or self.caller, now=now or self.now)
        reply = await self._shared.handlers[type(command)](command, view)
        view.audit(type(command).__name__, command.id)
        return reply or Reply()

    def audit(self, action: str, target: str) -> None:
        """Leave an audit row (every command leaves one by itself)."""
        self.writes.audit.append(
            AuditEntry(
                self.practice_id, self.now, self.caller.actor, action, target, self.caller.correlation_id
            )
        )

    def discard(self) -> None:
        """For the dispatcher: forget everything asked for so far; the next load reads committed state
        again.
        """
        self._shared.writes = WriteSet()
        self._shared.loaded.clear()
        self._shared.identifiers.clear()

    def at(self, caller: Caller, now: datetime) -> Work:
        """The same unit of work seen for another cause (a consumer's batch holds many)."""
        return Work(self._shared, caller=caller, now=now)

    async def _run_waiting(self, entry: WaitingCommand) -> None:
        before = _Mark(self.writes)
        try:
            await self.run(entry.command, caller=replace(entry.caller), now=entry.asked_at)
        except Exception as error:
            code = _refusal_code(error)
            before.undo()
            self.writes.waiting_done.append((entry.id, code))
        else:
            self.writes.waiting_done.append((entry.id, None))

    async def _identifier(self, key: IdentifierKey) -> tuple[str | None, int]:
        if key not in self._shared.identifiers:
            self._shared.identifiers[key] = await self._shared.snapshot.identifier(key)
        return self._shared.identifiers[key]

    def _bind(self, key: IdentifierKey, version: int, target: str) -> None:
        self.writes.identifiers[key] = IdentifierChange(expected=version, target=target)
        self._shared.identifiers[key] = (target, version)

    def _repository(self, kind: type[A]) -> Repository[A]:
        return self._shared.repositories[kind]


class _Mark:
    """Where a write set stood, to go back to: a refused command leaves nothing behind.

    Handlers decide before they save (a domain raises before it records), so only lists and new keys need
    undoing.
    """

    def __init__(self, writes: WriteSet) -> None:
        self._writes = writes
        self._saves = set(writes.saves)
        self._identifiers = set(writes.identifiers)
        self._timers = set(writes.timers_set)
        self._publications = len(writes.publications)
        self._audit = len(writes.audit)

    def undo(self) -> None:
        """Drop what was added since."""
        writes = self._writes
        for key in set(writes.saves) - self._saves:
            del writes.saves[key]
        for name in set(writes.identifiers) - self._identifiers:
            del writes.identifiers[name]
        for timer in set(writes.timers_set) - self._timers:
            del writes.timers_set[timer]
        del writes.publications[self._publications :]
        del writes.audit[self._audit :]


def _refusal_code(error: Exception) -> str:
    if not is_refusal(error):
        raise error
    return str(error.code)  # type: ignore[attr-defined]


def new_work(
    *,
    repositories: Mapping[type, Repository[Any]],
    handlers: Mapping[type, HandlerOf],
    snapshot: Snapshot,
    ids: Ids,
    caller: Caller,
    now: datetime,
) -> Work:
    """A fresh unit of work."""
    shared = _Shared(repositories=repositories, handlers=handlers, snapshot=snapshot, ids=ids)
    return Work(shared, caller=caller, now=now)
