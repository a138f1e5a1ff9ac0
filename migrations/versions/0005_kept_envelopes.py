"""What webhook targets are sent, kept beside the body it was read from.

On PostgreSQL both stay in their row up to 8 kB: beyond 2 kB it would try to compress them, and move
them to a table of their own, which costs intake more than to write them.

Revision: 0005, after 0004.
Each revision must leave a schema that the code before it can still run on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("event_bodies", sa.Column("envelope", sa.LargeBinary(), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE event_bodies SET (toast_tuple_target = 8160)")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE event_bodies RESET (toast_tuple_target)")
    op.drop_column("event_bodies", "envelope")
