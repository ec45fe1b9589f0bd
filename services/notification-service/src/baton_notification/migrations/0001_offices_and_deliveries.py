"""offices and deliveries."""

import sqlalchemy as sa
from alembic import op
from baton_chassis import database, table_history

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    table_history.create_first()
    op.create_table('acknowledgement',
    sa.Column('practice_id', sa.String(), nullable=False),
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('doc_version', sa.Integer(), nullable=False),
    sa.Column('referral_id', sa.String(), nullable=False),
    sa.Column('office_id', sa.String(), nullable=False),
    sa.Column('at', database.Instant(), nullable=False),
    sa.Column('about', database.Json(), nullable=False),
    sa.PrimaryKeyConstraint('practice_id', 'id')
    )
    op.create_index(op.f('ix_acknowledgement_referral_id'), 'acknowledgement', ['referral_id'], unique=False)
    op.create_table('captured_mail',
    sa.Column('practice_id', sa.String(), nullable=False),
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('doc_version', sa.Integer(), nullable=False),
    sa.Column('received_at', database.Instant(), nullable=False),
    sa.Column('mail', database.Json(), nullable=False),
    sa.PrimaryKeyConstraint('practice_id', 'id')
    )
    op.create_table('delivery',
    sa.Column('practice_id', sa.String(), nullable=False),
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('doc_version', sa.Integer(), nullable=False),
    sa.Column('referral_id', sa.String(), nullable=False),
    sa.Column('office_id', sa.String(), nullable=False),
    sa.Column('event_id', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('role', sa.String(), nullable=False),
    sa.Column('channel', sa.String(), nullable=False),
    sa.Column('route_id', sa.String(), nullable=False),
    sa.Column('lane', sa.String(), nullable=False),
    sa.Column('chain', sa.String(), nullable=False),
    sa.Column('status', sa.String(), nullable=False),
    sa.Column('lease', sa.String(), nullable=True),
    sa.Column('due_at', database.Instant(), nullable=True),
    sa.Column('created_at', database.Instant(), nullable=False),
    sa.Column('about', database.Json(), nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=True),
    sa.PrimaryKeyConstraint('practice_id', 'id'),
    sa.UniqueConstraint('practice_id', 'event_id', 'route_id', 'kind')
    )
    op.create_index('delivery_chain', 'delivery', ['practice_id', 'chain', 'status'], unique=False)
    op.create_index('delivery_due', 'delivery', ['due_at'], unique=False)
    op.create_index('delivery_office', 'delivery', ['practice_id', 'office_id', 'status'], unique=False)
    op.create_index('delivery_referral', 'delivery', ['practice_id', 'referral_id', 'id'], unique=False)
    op.create_table('office',
    sa.Column('practice_id', sa.String(), nullable=False),
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('doc_version', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('about', database.Json(), nullable=False),
    sa.PrimaryKeyConstraint('practice_id', 'id')
    )
    op.create_table('office_access',
    sa.Column('practice_id', sa.String(), nullable=False),
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('doc_version', sa.Integer(), nullable=False),
    sa.Column('codes', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('practice_id', 'id')
    )
    op.create_table('office_session',
    sa.Column('practice_id', sa.String(), nullable=False),
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('doc_version', sa.Integer(), nullable=False),
    sa.Column('office_id', sa.String(), nullable=False),
    sa.Column('route_id', sa.String(), nullable=False),
    sa.Column('started_at', database.Instant(), nullable=False),
    sa.Column('seen_at', database.Instant(), nullable=False),
    sa.Column('ended_at', database.Instant(), nullable=True),
    sa.PrimaryKeyConstraint('practice_id', 'id')
    )
    op.create_table('referral_progress',
    sa.Column('practice_id', sa.String(), nullable=False),
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('doc_version', sa.Integer(), nullable=False),
    sa.Column('office_id', sa.String(), nullable=True),
    sa.Column('lines', database.Json(), nullable=False),
    sa.Column('about', database.Json(), nullable=False),
    sa.PrimaryKeyConstraint('practice_id', 'id')
    )
    op.create_index(op.f('ix_referral_progress_office_id'), 'referral_progress', ['office_id'], unique=False)
    op.create_table('tracking_link',
    sa.Column('practice_id', sa.String(), nullable=False),
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('doc_version', sa.Integer(), nullable=False),
    sa.Column('referral_id', sa.String(), nullable=False),
    sa.Column('office_id', sa.String(), nullable=False),
    sa.Column('handle_digest', sa.String(), nullable=False),
    sa.Column('handle', sa.LargeBinary(), nullable=False),
    sa.Column('expires_at', database.Instant(), nullable=False),
    sa.Column('revoked_at', database.Instant(), nullable=True),
    sa.PrimaryKeyConstraint('practice_id', 'id')
    )
    op.create_index(op.f('ix_tracking_link_handle_digest'), 'tracking_link', ['handle_digest'], unique=True)
    op.create_index(op.f('ix_tracking_link_referral_id'), 'tracking_link', ['referral_id'], unique=False)
    op.create_table('webhook',
    sa.Column('practice_id', sa.String(), nullable=False),
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('doc_version', sa.Integer(), nullable=False),
    sa.Column('office_id', sa.String(), nullable=True),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('deleted', sa.Boolean(), nullable=False),
    sa.Column('about', database.Json(), nullable=False),
    sa.Column('secrets', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('practice_id', 'id')
    )
    # ### end Alembic commands ###


def downgrade() -> None:
    """Undo; for development."""
    # ### commands auto generated by Alembic - please adjust! ###
    op.drop_table('webhook')
    op.drop_index(op.f('ix_tracking_link_referral_id'), table_name='tracking_link')
    op.drop_index(op.f('ix_tracking_link_handle_digest'), table_name='tracking_link')
    op.drop_table('tracking_link')
    op.drop_index(op.f('ix_referral_progress_office_id'), table_name='referral_progress')
    op.drop_table('referral_progress')
    op.drop_table('office_session')
    op.drop_table('office_access')
    op.drop_table('office')
    op.drop_index('delivery_referral', table_name='delivery')
    op.drop_index('delivery_office', table_name='delivery')
    op.drop_index('delivery_due', table_name='delivery')
    op.drop_index('delivery_chain', table_name='delivery')
    op.drop_table('delivery')
    op.drop_table('captured_mail')
    op.drop_index(op.f('ix_acknowledgement_referral_id'), table_name='acknowledgement')
    op.drop_table('acknowledgement')
    table_history.drop_first()
    # ### end Alembic commands ###
