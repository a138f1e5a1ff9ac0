"""The keys of a source's own API, sealed.

Revision: 0004, after 0003.
Each revision must leave a schema that the code before it can still run on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sources", sa.Column("api_access_sealed", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("sources", "api_access_sealed")
