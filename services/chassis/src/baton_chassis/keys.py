"""Practice keys in the service's own database: wrapped there, opened by the keyring."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from baton_chassis.clock import Clock
from baton_chassis.database import Database, Statement, insert_ignoring
from baton_chassis.sealing import WrappedKey
from baton_chassis.tables import ChassisTables


class StoredKeys:
    """``sealing.WrappedKeys`` over the table ``practice_key``."""

    def __init__(self, *, database: Database, tables: ChassisTables, clock: Clock) -> None:
        table = tables.practice_key
        self._database = database
        self._clock = clock
        self._select = Statement(
            select(table).where(table.c.practice_id == bindparam("practice_id")).order_by(table.c.position)
        )
        self._insert = insert_ignoring(table)

    async def load(self, practice_id: str) -> list[WrappedKey]:
        """All keys of the practice, oldest first."""
        async with self._database.reading(None) as session:
            rows = await session.fetch(self._select, practice_id=practice_id)
        return [WrappedKey(practice_id=row["practice_id"], kid=row["kid"], wrapped=row["wrapped"]) for row in rows]

    async def store(self, key: WrappedKey) -> WrappedKey:
        """Keep the practice's first key; where another process was faster, its key counts."""
        async with self._database.transaction() as session:
            await session.run(
                self._insert,
                practice_id=key.practice_id,
                kid=key.kid,
                wrapped=key.wrapped,
                created_at=self._clock.now(),
                position=1,
            )
        kept = await self.load(key.practice_id)
        return kept[0]
