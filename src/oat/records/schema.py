"""The schema: the two tables, and how they write times."""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from oat.messages import MAX_REASON

metadata = sa.MetaData()
_uuid = sa.CHAR(36).with_variant(mysql.CHAR(36, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
_time = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def _text(length: int) -> sa.String:
    """Return a type for text in every language, whatever the database's own default is."""
    return sa.String(length).with_variant(mysql.VARCHAR(length, charset="utf8mb4"), "mysql", "mariadb")


fractals = sa.Table(
    "fractals",
    metadata,
    sa.Column("uuid", _uuid, primary_key=True),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("iterations", sa.Integer, nullable=False),
    *(sa.Column(name, sa.Double, nullable=False) for name in ("xa", "xb", "ya", "yb", "cx", "cy")),
    sa.Column("status", sa.String(16), nullable=False),  # one of `Status`
    sa.Column("duration", sa.Double),
    sa.Column("checksum", sa.CHAR(64)),
    sa.Column("size", sa.BigInteger),
    sa.Column("worker", _text(255)),
    sa.Column("error", _text(MAX_REASON)),
    sa.Column("attempts", sa.Integer, nullable=False),  # how often its task was put into the outbox
    sa.Column("created_at", _time, nullable=False),  # all times are UTC, by the database's clock
    sa.Column("sent_at", _time, nullable=False),  # when its task was put into the outbox last
    sa.Column("finished_at", _time),
    sa.Index("ix_fractals_status_sent_at", "status", "sent_at"),
    sa.Index("ix_fractals_status_created_at", "status", "created_at", "uuid"),
    sa.Index("ix_fractals_finished_at", "finished_at"),
)
"""A record for each task. Its message says what the columns from width to cy mean, its result those from duration
to error."""

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("uuid", _uuid, primary_key=True),
    sa.Column("created_at", _time, nullable=False),
)
"""A row for each task that is still to be published; it is deleted once the broker has confirmed the message."""
