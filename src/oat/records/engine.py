"""The engine: SQLAlchemy's options for each kind of database, and which errors are permanent or transient."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, NoSuchModuleError, OperationalError

from oat.process import create_durably
from oat.settings import SettingsError

CONNECT_TIMEOUT = 10
"""Seconds a server may take to accept a connection."""

READ_TIMEOUT = 30
"""Seconds a server may take for a statement; on SQLite, seconds to wait for another process's transaction."""

IDLE_TIMEOUT = 40
"""Seconds after which the server ends an idle connection, and its transaction: a client that was cut off may have
left one that holds locks, which the client's next connection wants."""

LOCK_TIMEOUT = 20
"""Seconds the server waits for a lock; less than `READ_TIMEOUT`, so that the server ends the wait, not we."""

PERMANENT_CODES = {
    1044,  # ER_DBACCESS_DENIED_ERROR
    1045,  # ER_ACCESS_DENIED_ERROR
    1049,  # ER_BAD_DB_ERROR
    1142,  # ER_TABLEACCESS_DENIED_ERROR
    1698,  # ER_ACCESS_DENIED_NO_PASSWORD_ERROR
}
"""Errors of MySQL and MariaDB that trying again does not mend. Source: their error reference."""

PERMANENT_PHRASES = ("password authentication failed", "does not exist", "unable to open database file")
"""The same of PostgreSQL and SQLite, whose drivers have no codes for errors while connecting."""


def make_engine(url: str) -> sa.Engine:
    """Return an engine for the database at `url`; it connects when it is first used.

    Raises:
        SettingsError: the URL is invalid, or of a database without a driver here.
    """
    try:
        parsed = sa.make_url(url)
        engine = sa.create_engine(parsed, **_options(parsed))
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        raise SettingsError(
            f"database URL {_masked(url)!r}: {error}; expected mysql+pymysql://user:password@host/name, "
            "postgresql+psycopg://… or sqlite:///file"
        ) from None
    if parsed.get_backend_name() == "sqlite":
        _prepare_sqlite(engine)
    return engine


def is_permanent(error: DBAPIError) -> bool:
    """Return whether the server has refused: a wrong password, no such database, a missing privilege."""
    code = error.orig.args[0] if error.orig and error.orig.args else None
    return code in PERMANENT_CODES or any(phrase in str(error.orig) for phrase in PERMANENT_PHRASES)


def is_transient(error: DBAPIError) -> bool:
    """Return whether trying again may help: a lost connection, a deadlock, a full disk; unless `is_permanent`."""
    return isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated


def _options(url: sa.URL) -> dict[str, Any]:
    match url.get_backend_name():
        case "sqlite":
            if url.database and url.database != ":memory:":
                create_durably(Path(url.database).parent)
            return {"connect_args": {"timeout": READ_TIMEOUT}}
        case "mysql" | "mariadb":
            timeouts = {
                "connect_timeout": CONNECT_TIMEOUT, "read_timeout": READ_TIMEOUT, "write_timeout": READ_TIMEOUT,
            }  # fmt: skip
            session = f"SET SESSION wait_timeout = {IDLE_TIMEOUT}, innodb_lock_wait_timeout = {LOCK_TIMEOUT}"
            return {
                "connect_args": timeouts | {"init_command": session},
                "isolation_level": "READ COMMITTED",
                "pool_recycle": IDLE_TIMEOUT // 2,  # before the server closes an idle connection
            }
        case "postgresql":
            # tcp_user_timeout ends a wait for the acknowledgement of data sent; only keepalives notice that the
            # server is gone while its result is awaited.
            timeouts = {"connect_timeout": CONNECT_TIMEOUT, "tcp_user_timeout": READ_TIMEOUT * 1000}
            timeouts |= {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4}  # 30 s in all
            session = f"-c idle_in_transaction_session_timeout={IDLE_TIMEOUT}s -c lock_timeout={LOCK_TIMEOUT}s"
            return {"connect_args": timeouts | {"options": session}, "isolation_level": "READ COMMITTED"}
        case other:
            raise ValueError(f"{other} is not a database oat works with")


def _prepare_sqlite(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # keeps the driver from beginning transactions of its own
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk: power cuts

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        # A transaction that reads first and writes later would fail at the write instead of waiting for the lock.
        read_only = connection.get_execution_options().get("read_only")
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _masked(url: str) -> str:
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return url.partition("://")[0] + "://…"
