"""The tokens that were fetched for targets.

Revision: 0002, after 0001.
Each revision must leave a schema that the code before it can still run on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "target_grants",
        sa.Column("target_id", sa.String(length=30), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("target_id", name=op.f("pk_target_grants")),
    )


def downgrade() -> None:
    op.drop_table("target_grants")
