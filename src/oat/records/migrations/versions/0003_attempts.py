"""Rename the column `sendings` to `attempts`, the term of other task queues."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Rename the column; every database that oat works with knows this statement."""
    columns = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("fractals")}
    if "sendings" in columns:  # MySQL and MariaDB keep it if a service was killed before it wrote the revision
        op.execute("ALTER TABLE fractals RENAME COLUMN sendings TO attempts")
