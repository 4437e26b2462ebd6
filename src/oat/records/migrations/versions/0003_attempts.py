"""Rename the column `sendings` to `attempts`, the term of other task queues."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Rename the column; every database that oat works with knows this statement."""
    op.execute("ALTER TABLE fractals RENAME COLUMN sendings TO attempts")
