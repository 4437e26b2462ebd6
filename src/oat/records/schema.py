"""The schema: the two tables, and how a database comes to have them."""

from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from oat.messages import MAX_REASON
from oat.settings import PermanentError


class Status(StrEnum):
    """The state of a fractal."""

    WAITING = "waiting"
    """Recorded; its task is still to be published, in a queue, or with a worker."""
    DONE = "done"
    """Its image is stored; duration and checksum are known."""
    FAILED = "failed"
    """There will be no image; the error says why."""


class DatabaseError(PermanentError):
    """The database cannot be used as it was asked to; trying again would not help."""


metadata = sa.MetaData()
_uuid = sa.CHAR(36).with_variant(mysql.CHAR(36, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
_time = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def _text(length: int) -> sa.String:
    """Text of every language, whatever the database's own default is."""
    return sa.String(length).with_variant(mysql.VARCHAR(length, charset="utf8mb4"), "mysql", "mariadb")


fractals = sa.Table(
    "fractals",
    metadata,
    sa.Column("uuid", _uuid, primary_key=True),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("iterations", sa.Integer, nullable=False),
    *(sa.Column(name, sa.Double, nullable=False) for name in ("xa", "xb", "ya", "yb", "cx", "cy")),
    sa.Column("status", sa.String(8), nullable=False),
    sa.Column("duration", sa.Double),
    sa.Column("checksum", sa.CHAR(64)),
    sa.Column("size", sa.BigInteger),
    sa.Column("worker", _text(255)),
    sa.Column("error", _text(MAX_REASON)),
    sa.Column("attempts", sa.Integer, nullable=False),  # how often its task was handed to the broker
    sa.Column("created_at", _time, nullable=False),  # all times are UTC
    sa.Column("sent_at", _time, nullable=False),
    sa.Column("finished_at", _time),
    sa.Index("ix_fractals_status_sent_at", "status", "sent_at"),
    sa.Index("ix_fractals_status_created_at", "status", "created_at", "uuid"),
    sa.Index("ix_fractals_finished_at", "finished_at"),
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("uuid", _uuid, primary_key=True),
    sa.Column("created_at", _time, nullable=False),
)


_MIGRATIONS = Path(__file__).parent / "migrations"
_NEWEST = max(file.name.partition("_")[0] for file in (_MIGRATIONS / "versions").glob("*.py"))


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() or ""


def migrate(connection: sa.Connection) -> None:
    """Create the tables, or upgrade those of an older version, one service at a time.

    Raises:
        DatabaseError: the tables are not ours, or of a newer version.
    """
    if _version(connection) == _NEWEST:
        return
    from alembic import command  # noqa: PLC0415 (half a second, for once in a database's life)
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    backend = connection.dialect.name
    if backend == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(0x0A7)))
    elif backend in ("mysql", "mariadb"):
        connection.execute(sa.select(sa.func.get_lock("oat-schema", 60)))
    try:
        if _version(connection) is None and sa.inspect(connection).has_table(fractals.name):
            raise DatabaseError(
                f"the database has a table {fractals.name!r} that oat did not make; give oat a database of its own"
            )
        command.upgrade(config, "head")
    except CommandError as error:
        raise DatabaseError(
            f"the tables were made by a newer version of oat ({error}); install that version"
        ) from error
    finally:
        if backend in ("mysql", "mariadb") and not connection.invalidated:
            connection.execute(sa.select(sa.func.release_lock("oat-schema")))
