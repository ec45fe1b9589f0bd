"""Row-level security on PostgreSQL: a reader sees its practice's rows, whatever the statement says."""

from __future__ import annotations

from sqlalchemy import MetaData

_READER = """
DO $$ BEGIN
    CREATE ROLE {role} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$
"""


def row_level_security(metadata: MetaData, *, schema: str) -> list[str]:
    """Statements, safe to repeat, that let the role ``{schema}_reader`` read its practice's rows and
    nothing else.

    The owner of the tables (the writer and the workers, who run only this package's compiled statements) is
    not limited. ``app.practice`` names the practice inside a transaction; unset, no row is visible.
    """
    role = f"{schema}_reader"
    statements = [_READER.format(role=role), f"GRANT USAGE ON SCHEMA {schema} TO {role}"]
    for table in metadata.sorted_tables:
        if "practice_id" not in table.columns:
            continue
        name = f'{schema}."{table.name}"'
        statements += [
            f"GRANT SELECT ON {name} TO {role}",
            f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY",
            f"DROP POLICY IF EXISTS practice ON {name}",
            f"CREATE POLICY practice ON {name} FOR SELECT TO {role} "
            "USING (practice_id = nullif(current_setting('app.practice', true), ''))",
        ]
    return statements
