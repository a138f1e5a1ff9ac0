"""What webhook targets are sent, kept beside the body it was read from.

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


def downgrade() -> None:
    op.drop_column("event_bodies", "envelope")
