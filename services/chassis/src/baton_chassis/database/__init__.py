"""Where state is kept: one declaration of tables and statements, run on PostgreSQL or SQLite."""

from baton_chassis.database.columns import Instant, Json, among, database_now, sealed, token
from baton_chassis.database.open import open_database
from baton_chassis.database.port import Database, Row, RowConflict, Session
from baton_chassis.database.statements import Statement, insert_ignoring, upsert

__all__ = [
    "Database",
    "Instant",
    "Json",
    "Row",
    "RowConflict",
    "Session",
    "Statement",
    "among",
    "database_now",
    "insert_ignoring",
    "open_database",
    "sealed",
    "token",
    "upsert",
]
