"""Reading back: snapshots for units of work, and the reader that queries use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import BindParameter, bindparam, select

from baton_chassis import cursor
from baton_chassis.codec import CommandCodec
from baton_chassis.database import Database, Row, Statement
from baton_chassis.database.columns import TOKEN
from baton_chassis.repository import Aggregate, Repository
from baton_chassis.sealing import Keyring, PracticeKey
from baton_chassis.tables import ChassisTables
from baton_chassis.work import IdentifierKey, WaitingCommand

A = TypeVar("A", bound=Aggregate)


class ReadStatements:
    """What the chassis reads of its own tables."""

    def __init__(self, tables: ChassisTables) -> None:
        i, w = tables.identifier, tables.waiting
        practice: BindParameter[str] = bindparam("practice_id")
        self.identifier = Statement(
            select(i.c.target, i.c.version).where(
                i.c.practice_id == practice,
                i.c.space == bindparam("space"),
                i.c.system == bindparam("system"),
                i.c.value == bindparam("value"),
            )
        )
        self.waiting_for = Statement(
            select(w)
            .where(
                w.c.practice_id == practice,
                w.c.space == bindparam("space"),
                w.c.system == bindparam("system"),
                w.c.value == bindparam("value"),
                w.c.refused.is_(None),
            )
            .order_by(w.c.number)
        )
        self.waiting_target = Statement(
            select(w)
            .where(w.c.practice_id == practice, w.c.target == bindparam("target"))
            .order_by(w.c.number)
        )


class UnitSnapshot:
    """Reads for units of work: the chassis's own compiled statements only."""

    def __init__(
        self, *, database: Database, tables: ChassisTables, keyring: Keyring, codec: CommandCodec
    ) -> None:
        self._database = database
        self._statements = ReadStatements(tables)
        self._keyring = keyring
        self._codec = codec

    async def load(self, repository: Repository[A], practice_id: str, id: str) -> A | None:
        """One aggregate as last committed."""
        rows = await self._fetch(repository.by_id(), practice_id=practice_id, id=id)
        if not rows:
            return None
        return repository.aggregate_of(rows[0], key=await self._keyring.for_practice(practice_id))

    async def select(self, repository: Repository[A], practice_id: str, equals: Mapping[str, Any]) -> list[A]:
        """All whose columns equal, oldest first; a token column takes plain text."""
        key = await self._keyring.for_practice(practice_id)
        wanted = {
            name: key.token(column.info[TOKEN], value)
            if (column := repository.table.c[name]).info.get(TOKEN)
            else value
            for name, value in equals.items()
        }
        statement = repository.where_equal(tuple(sorted(wanted)))
        rows = await self._fetch(statement, practice_id=practice_id, **wanted)
        return [repository.aggregate_of(row, key=key) for row in sorted(rows, key=_id_of)]

    async def identifier(self, key: IdentifierKey) -> tuple[str | None, int]:
        """(target, version); (None, 0) where there is no row."""
        rows = await self._fetch(self._statements.identifier, **_named(key))
        return (rows[0]["target"], rows[0]["version"]) if rows else (None, 0)

    async def waiting_for(self, key: IdentifierKey) -> list[WaitingCommand]:
        """Commands waiting for the key, in the order they were asked."""
        rows = await self._fetch(self._statements.waiting_for, **_named(key))
        return [await self._waiting(row) for row in rows]

    async def waiting_about(
        self, practice_id: str, target: str, *, first: bool = False
    ) -> WaitingCommand | None:
        """The last command (or the first) that waits to make or change the thing of this id."""
        rows = await self._fetch(self._statements.waiting_target, practice_id=practice_id, target=target)
        live = [row for row in rows if row["refused"] is None]
        return await self._waiting(live[0 if first else -1]) if live else None

    async def refusal_about(self, practice_id: str, target: str) -> str | None:
        """The code with which a waiting command about this thing was refused."""
        rows = await self._fetch(self._statements.waiting_target, practice_id=practice_id, target=target)
        return next((row["refused"] for row in rows if row["refused"] is not None), None)

    async def _fetch(self, statement: Statement, **parameters: Any) -> list[Row]:
        return await self._database.look(statement, **parameters)

    async def _waiting(self, row: Row) -> WaitingCommand:
        key = await self._keyring.for_practice(row["practice_id"])
        body = key.open(row["body"], table="waiting", column="body", row=row["id"])
        command, caller = self._codec.load(row["command"], body)
        return WaitingCommand(
            id=row["id"],
            practice_id=row["practice_id"],
            space=row["space"],
            system=row["system"],
            value=row["value"],
            target=row["target"],
            command=command,
            caller=caller,
            asked_at=row["asked_at"],
        )


class Reader:
    """Reads for queries. Every statement given to it filters on ``practice_id``; on PostgreSQL row-level
    security filters once more. Raises ``Unavailable`` when the database is away.
    """

    def __init__(
        self,
        *,
        database: Database,
        snapshot: UnitSnapshot,
        repositories: Mapping[type, Repository[Any]],
        keyring: Keyring,
    ) -> None:
        self._database = database
        self._snapshot = snapshot
        self._repositories = repositories
        self._keyring = keyring

    async def get(self, kind: type[A], practice_id: str, id: str) -> A | None:
        """One aggregate of this practice."""
        repository = self._repositories[kind]
        found: list[A] = await self.select(kind, repository.by_id(), practice_id, id=id)
        return found[0] if found else None

    async def select(
        self, kind: type[A], statement: Statement, practice_id: str, **parameters: Any
    ) -> list[A]:
        """Aggregates from a statement that selects the kind's whole table."""
        rows = await self.rows(statement, practice_id, **parameters)
        key = await self._keyring.for_practice(practice_id)
        return [self._repositories[kind].aggregate_of(row, key=key) for row in rows]

    async def page(
        self, kind: type[A], practice_id: str, *, after: str | None, limit: int, **equals: Any
    ) -> tuple[list[A], str | None]:
        """One page of the practice's aggregates whose columns equal ``equals`` (None: any), oldest id
        first, and the cursor of the next page (None at the end). Raises ``Invalid`` for a cursor that is
        not ours.
        """
        wanted = {name: value for name, value in equals.items() if value is not None}
        statement = self._repositories[kind].page(tuple(sorted(wanted)))
        after_id = cursor.read(after, str)[0] if after else ""
        rows = await self.select(kind, statement, practice_id, after_id=after_id, limit=limit + 1, **wanted)
        return rows[:limit], cursor.write([rows[limit - 1].id]) if len(rows) > limit else None

    async def rows(self, statement: Statement, practice_id: str, **parameters: Any) -> list[Row]:
        """Plain rows of this practice; sealed columns stay sealed."""
        async with self._database.reading(practice_id) as session:
            return await session.fetch(statement, practice_id=practice_id, **parameters)

    async def tokens(self, practice_id: str) -> PracticeKey:
        """The practice's key, to turn search terms into search tokens."""
        return await self._keyring.for_practice(practice_id)

    async def target(self, practice_id: str, space: str, system: str, value: str) -> str | None:
        """What answers to a natural key."""
        found, _ = await self._snapshot.identifier((practice_id, space, system, value))
        return found

    async def arriving(self, kind: type[A], practice_id: str, id: str) -> A | WaitingCommand | None:
        """One aggregate of this practice, or the command that will make it, while that waits."""
        found = await self.get(kind, practice_id, id)
        if found is not None:
            return found
        waiting = await self.waiting(practice_id, id)
        # It may have left the waiting room between the two looks.
        return waiting if waiting is not None else await self.get(kind, practice_id, id)

    async def waiting(self, practice_id: str, id: str) -> WaitingCommand | None:
        """The command that will make the thing of this id, while it waits."""
        return await self._snapshot.waiting_about(practice_id, id, first=True)

    async def refusal(self, practice_id: str, id: str) -> str | None:
        """The code with which a waiting command about this thing was refused when its time came."""
        return await self._snapshot.refusal_about(practice_id, id)


def _id_of(row: Row) -> str:
    return str(row["id"])


def _named(key: IdentifierKey) -> dict[str, str]:
    return dict(zip(("practice_id", "space", "system", "value"), key, strict=True))
