"""Migrations: Alembic's scripts in `versions`, and `migrate`, which runs them."""

from pathlib import Path

import sqlalchemy as sa

from oat.records.schema import fractals
from oat.records.transactions import DatabaseError

_FOLDER = Path(__file__).parent
_HEAD = max(file.name.partition("_")[0] for file in (_FOLDER / "versions").glob("*.py"))
"""The revision of the newest script."""

_POSTGRESQL_LOCK = 0x0A7
_MYSQL_LOCK = "oat-schema"
"""The advisory locks under which one service at a time migrates; those of older versions, so they stay."""

_LOCK_TIMEOUT = 60
"""Seconds to wait for MySQL's lock: a migration of large tables may take as long."""


def migrate(connection: sa.Connection) -> None:
    """Create the tables, or upgrade those of an older version, one service at a time.

    Raises:
        DatabaseError: the tables are not oat's, or of a newer version.
    """
    if _revision(connection) == _HEAD:
        return
    from alembic import command  # noqa: PLC0415 (half a second, for once in a database's life)
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    backend = connection.dialect.name
    if backend == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_POSTGRESQL_LOCK)))
    elif backend in ("mysql", "mariadb"):
        connection.execute(sa.select(sa.func.get_lock(_MYSQL_LOCK, _LOCK_TIMEOUT)))
    try:
        if _revision(connection) is None and sa.inspect(connection).has_table(fractals.name):
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
            connection.execute(sa.select(sa.func.release_lock(_MYSQL_LOCK)))


def _revision(connection: sa.Connection) -> str | None:
    """Return the revision of the tables, None if Alembic has made none; empty if it was killed at the first."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() or ""
