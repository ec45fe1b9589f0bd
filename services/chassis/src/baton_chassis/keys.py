"""Practice keys in the service's own database: wrapped there, opened by the keyring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import bindparam, select

from baton_chassis.database import Database, Statement, insert_ignoring
from baton_chassis.sealing import WrappedKey
from baton_chassis.tables import ChassisTables


class StoredKeys:
    """``sealing.WrappedKeys`` over the table ``practice_key``."""

    def __init__(self, *, database: Database, tables: ChassisTables) -> None:
        table = tables.practice_key
        self._database = database
        self._select = Statement(
            select(table).where(table.c.practice_id == bindparam("practice_id")).order_by(table.c.number)
        )
        self._insert = insert_ignoring(table)

    async def load(self, practice_id: str) -> Sequence[WrappedKey]:
        """All keys of the practice, by number."""
        async with self._database.reading(None) as session:
            rows = await session.fetch(self._select, practice_id=practice_id)
        return [WrappedKey(**row) for row in rows]

    async def store(self, key: WrappedKey) -> WrappedKey:
        """Keep the key unless its number is taken; what is kept."""
        async with self._database.transaction() as session:
            await session.run(self._insert, **asdict(key))
        kept = await self.load(key.practice_id)
        return next(one for one in kept if one.number == key.number)
