"""${message}."""

import sqlalchemy as sa
from alembic import op
from baton_chassis import database

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    ${upgrades}


def downgrade() -> None:
    """Undo; for development."""
    ${downgrades}
