"""The engine: how SQLAlchemy talks to each kind of database, and for how long it waits for which."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from oat.settings import SettingsError

FORGOTTEN_AFTER = 40
"""Seconds after which the server ends the transaction of a client that it hears nothing of: who is cut off may
have left one, and with it locks on records that its next connection wants."""

LONGEST_LOCK_WAIT = 20
"""Seconds the server waits for a lock; less than we wait for the server."""


def make_engine(url: str) -> sa.Engine:
    """Return an engine for the database at `url`, which connects when it is needed.

    Raises:
        SettingsError: the URL is none, or of a database without a driver here.
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
    """Whether the server knows us and says no: wrong password, no such database, no right to."""
    code = error.orig.args[0] if error.orig and error.orig.args else None
    return code in (1044, 1045, 1049, 1142, 1698) or any(
        phrase in str(error.orig)
        for phrase in ("password authentication failed", "does not exist", "unable to open database file")
    )


def _options(url: sa.URL) -> dict[str, Any]:
    match url.get_backend_name():
        case "sqlite":
            if url.database and url.database != ":memory:":
                Path(url.database).parent.mkdir(parents=True, exist_ok=True)
            return {"connect_args": {"timeout": 30}}
        case "mysql" | "mariadb":
            timeouts = {"connect_timeout": 10, "read_timeout": 30, "write_timeout": 30}
            forget = (
                f"SET SESSION wait_timeout = {FORGOTTEN_AFTER}, innodb_lock_wait_timeout = {LONGEST_LOCK_WAIT}"
            )
            return {
                "connect_args": timeouts | {"init_command": forget},
                "isolation_level": "READ COMMITTED",
                "pool_recycle": FORGOTTEN_AFTER // 2,  # before the server closes what is idle
            }
        case "postgresql":
            # The first is for what has been sent; only the others tell that who should answer is gone.
            timeouts = {"connect_timeout": 10, "tcp_user_timeout": 30_000}
            timeouts |= {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4}
            forget = (
                f"-c idle_in_transaction_session_timeout={FORGOTTEN_AFTER}s -c lock_timeout={LONGEST_LOCK_WAIT}s"
            )
            return {"connect_args": timeouts | {"options": forget}, "isolation_level": "READ COMMITTED"}
        case other:
            raise ValueError(f"{other} is not a database oat works with")


def _prepare_sqlite(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver shall not begin transactions of its own
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        # A transaction that turns into a writer halfway would fail instead of waiting for its turn.
        reading = connection.get_execution_options().get("reading")
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _masked(url: str) -> str:
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return url.partition("://")[0] + "://…"
