"""Migrations: Alembic's scripts in `versions`, and `migrate`, which runs them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from oat.records.engine import LOCK_TIMEOUT
from oat.records.schema import fractals
from oat.records.transactions import DatabaseError

_FOLDER = Path(__file__).parent
_HEAD = max(file.name.partition("_")[0] for file in (_FOLDER / "versions").glob("*.py"))
"""The revision of the newest script."""

_POSTGRESQL_LOCK = 0x0A7
_MYSQL_LOCK = "oat-schema"
"""The advisory locks under which one service at a time migrates; those of older versions, so they stay."""

_LOCK_WAIT_TIMEOUT = 1205
"""MySQL's number for a lock that was not had in time: the transaction is run again."""


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
    try:
        with _lock(connection):
            if _revision(connection) is None and sa.inspect(connection).has_table(fractals.name):
                raise DatabaseError(
                    f"the database has a table {fractals.name!r} that oat did not make; "
                    "give oat a database of its own"
                )
            command.upgrade(config, "head")
    except CommandError as error:
        raise DatabaseError(
            f"the tables were made by a newer version of oat ({error}); install that version"
        ) from error


@contextmanager
def _lock(connection: sa.Connection) -> Iterator[None]:
    """Hold the advisory lock until what is done under it is committed; SQLite's transactions exclude each other.

    Raises:
        OperationalError: another service has held the lock for `LOCK_TIMEOUT` seconds.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_POSTGRESQL_LOCK)))
        yield
    elif connection.dialect.name in ("mysql", "mariadb"):
        get_lock = sa.select(sa.func.get_lock(_MYSQL_LOCK, LOCK_TIMEOUT))
        if connection.execute(get_lock).scalar() != 1:
            held = connection.dialect.loaded_dbapi.OperationalError(
                _LOCK_WAIT_TIMEOUT, "another service upgrades the tables"
            )
            raise OperationalError(str(get_lock), None, held)
        try:
            yield
            connection.exec_driver_sql("COMMIT")  # the lock is the session's: it does not wait for the commit
        finally:
            if not connection.invalidated:
                connection.execute(sa.select(sa.func.release_lock(_MYSQL_LOCK)))
    else:
        yield


def _revision(connection: sa.Connection) -> str | None:
    """Return the revision of the tables, None if Alembic has made none; empty if it was killed at the first."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() or ""
