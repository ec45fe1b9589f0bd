"""What Alembic runs for every service: it migrates on the connection it was handed, in that one
transaction."""

from alembic import context

from baton_chassis.migration_types import render_type

options = context.config.attributes
context.configure(
    connection=options["connection"],
    target_metadata=options.get("metadata"),
    render_item=render_type,
    compare_type=False,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
