"""Widen the column `status`: the state `cancelled` has nine letters, and the column had eight."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Widen the column; SQLite has no statement for that, so there Alembic copies the table."""
    with op.batch_alter_table("fractals") as table:
        table.alter_column("status", existing_type=sa.String(8), type_=sa.String(16), existing_nullable=False)
