"""The first tables: fractals and outbox.

The types are written out: a migration must stay what it was when the code has moved on. On MySQL and MariaDB a
service that is killed in here leaves what it has made: the next one goes on from there.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create both tables."""
    uuid = sa.CHAR(36).with_variant(mysql.CHAR(36, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
    time = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    worker = sa.String(255).with_variant(mysql.VARCHAR(255, charset="utf8mb4"), "mysql", "mariadb")
    error = sa.String(1000).with_variant(mysql.VARCHAR(1000, charset="utf8mb4"), "mysql", "mariadb")
    op.create_table(
        "fractals",
        sa.Column("uuid", uuid, primary_key=True),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("iterations", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Double, nullable=False) for name in ("xa", "xb", "ya", "yb", "cx", "cy")),
        sa.Column("status", sa.String(8), nullable=False),
        sa.Column("duration", sa.Double),
        sa.Column("checksum", sa.CHAR(64)),
        sa.Column("size", sa.BigInteger),
        sa.Column("worker", worker),
        sa.Column("error", error),
        sa.Column("sendings", sa.Integer, nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("sent_at", time, nullable=False),
        sa.Column("finished_at", time),
        if_not_exists=True,
    )
    op.create_index("ix_fractals_status_sent_at", "fractals", ["status", "sent_at"], if_not_exists=True)
    op.create_table(
        "outbox",
        sa.Column("uuid", uuid, primary_key=True),
        sa.Column("created_at", time, nullable=False),
        if_not_exists=True,
    )
