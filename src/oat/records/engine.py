"""The engine: SQLAlchemy's options for each kind of database."""

import math
import os
import sqlite3
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DisconnectionError, OperationalError

from oat import addresses
from oat.addresses import SQLITE, DatabaseAddress, parse_database
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

_POSTGRESQL_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir", "passfile")
"""Parameters that name a file, or a folder; `system` stands for the system's own certificates."""

_FILE = "oat file"
"""In the `info` of a connection to SQLite: the identity of the file that it has opened."""

_RETURNED_AT = "oat returned at"
"""In the `info` of a connection to MySQL: when it was returned to the pool, by the monotonic clock."""

_BEGIN_POSTGRESQL = (
    "BEGIN ISOLATION LEVEL READ COMMITTED; "
    f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_TIMEOUT}s'; "
    f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}s'"
)
"""The beginning of a transaction, in one message. A connection pooler such as PgBouncer accepts no options when a
connection is made, and in its mode `transaction` gives each transaction another connection to the server: what
holds for longer than a transaction would hold for somebody else."""


def make_engine(url: str) -> sa.Engine:
    """Return an engine for the database at `url`; it connects when it is first used.

    Raises:
        SettingsError: the URL is invalid, or of a database without a driver here.
    """
    address = parse_database(url)
    options = _options(address)
    connect_args = address.merge(options.pop("connect_args"))
    engine = sa.create_engine(_sqlalchemy_url(address), connect_args=connect_args, **options)
    if address.driver == SQLITE:
        _prepare_sqlite(engine, address.database or "")
    elif address.driver == addresses.MYSQL:
        _prepare_mysql(engine)
    elif address.driver == addresses.POSTGRESQL:
        _prepare_postgresql(engine)
    _check_options(address, engine, connect_args)
    return engine


def _sqlalchemy_url(address: DatabaseAddress) -> sa.URL:
    return sa.URL.create(
        address.driver, address.user, address.password, address.host, address.port, address.database
    )


def _options(address: DatabaseAddress) -> dict[str, Any]:
    """Return the options of SQLAlchemy's engine; `connect_args` are those of the driver."""
    match address.driver:
        case addresses.SQLITE:
            create_durably(Path(address.database or "").parent)
            return {"connect_args": {"timeout": READ_TIMEOUT}}
        case addresses.MYSQL:
            timeouts = {
                "connect_timeout": CONNECT_TIMEOUT, "read_timeout": READ_TIMEOUT, "write_timeout": READ_TIMEOUT,
            }  # fmt: skip
            session = f"SET SESSION wait_timeout = {IDLE_TIMEOUT}, innodb_lock_wait_timeout = {LOCK_TIMEOUT}"
            from pymysql import FIELD_TYPE, converters  # noqa: PLC0415 (others need no PyMySQL)

            # PyMySQL's own converter of times takes thirty times as long: a third of what reading a row does.
            converted = {**converters.conversions, FIELD_TYPE.DATETIME: datetime.fromisoformat}
            # PyMySQL encodes text in Latin-1, while those who set passwords do it in UTF-8.
            password = {"password": address.password.encode()} if address.password else {}
            return {
                "connect_args": timeouts | password | {"init_command": session, "conv": converted},
                "isolation_level": "READ COMMITTED",
                # Not another rollback, which is a round trip, for each transaction that has been committed.
                "pool_reset_on_return": None,
            }
        case _:
            # tcp_user_timeout ends a wait for the acknowledgement of data sent; only keepalives notice that the
            # server is gone while its result is awaited.
            timeouts = {"connect_timeout": CONNECT_TIMEOUT, "tcp_user_timeout": READ_TIMEOUT * 1000}
            timeouts |= {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4}  # 30 s in all
            # `_prepare_postgresql` begins the transactions. Statements are not prepared on the server: behind a
            # pooler the next transaction may have another connection to it.
            return {"connect_args": timeouts | {"autocommit": True, "prepare_threshold": None}}


def _check_options(address: DatabaseAddress, engine: sa.Engine, connect_args: dict[str, Any]) -> None:
    """Raise `SettingsError` if files or options of `address` cannot be used: a driver says so late, if at all."""
    problem = ""
    match address.driver:
        case addresses.SQLITE:
            file = Path(address.database or "")
            problem = f"{file} is no file" if file.exists() and not (file.is_file() or file.is_dir()) else ""
        case addresses.MYSQL if "ssl" in connect_args:
            _, options = engine.dialect.create_connect_args(engine.url)
            try:
                engine.dialect.loaded_dbapi.connect(**{**options, **connect_args, "defer_connect": True})
            except (OSError, ValueError) as error:
                problem = f"the parameters ssl_… cannot be used: {error}"
        case addresses.POSTGRESQL:
            from oat.records.libpq_options import option_error  # noqa: PLC0415 (others need no psycopg)

            paths = {name: str(connect_args.get(name, "")) for name in _POSTGRESQL_FILES}
            missing = [
                name for name, path in paths.items() if path not in ("", "system") and not Path(path).exists()
            ]
            refused = option_error(connect_args)
            problem = f"there is no file that the parameter {missing[0]} names" if missing else refused
    if problem:
        raise SettingsError(f"database URL {address.driver}://…: {problem}")


def _identity(file: str) -> tuple[int, int] | None:
    """Return what tells a file from another one of the same name; None if there is none."""
    try:
        status = os.stat(file)  # noqa: PTH116 (for each transaction: `Path` takes longer than the call)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _prepare_sqlite(engine: sa.Engine, file: str) -> None:
    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: Any, record: Any) -> None:
        record.info[_FILE] = _identity(file)
        connection.isolation_level = None  # keeps the driver from beginning transactions of its own
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk: power cuts

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        # Into a file that was deleted or replaced SQLite would write on, and nobody else would read it.
        if connection.info[_FILE] != _identity(file):
            error = sqlite3.OperationalError("its file was deleted or replaced; start again on the new one")
            error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
            raise OperationalError(None, None, error)
        # A transaction that reads first and writes later would fail at the write instead of waiting for the lock.
        read_only = connection.get_execution_options().get("read_only")
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _prepare_mysql(engine: sa.Engine) -> None:
    """Have a connection that was idle for half of `IDLE_TIMEOUT` replaced: the server may be about to close it.

    `pool_recycle` would replace those in use as well, and the certificates that PyMySQL reads for a new one cost
    40 ms of a processor.
    """

    @sa.event.listens_for(engine, "checkin")
    def on_return(_connection: Any, record: Any) -> None:
        record.info[_RETURNED_AT] = time.monotonic()

    @sa.event.listens_for(engine, "checkout")
    def on_checkout(_connection: Any, record: Any, _proxy: Any) -> None:
        if time.monotonic() - record.info.get(_RETURNED_AT, math.inf) > IDLE_TIMEOUT / 2:
            raise DisconnectionError  # for the pool, which connects again


def _prepare_postgresql(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(_BEGIN_POSTGRESQL)

    @sa.event.listens_for(engine, "do_connect")
    def connect(dialect: Any, _record: Any, args: Any, options: dict[str, Any]) -> Any:
        try:
            connection = dialect.loaded_dbapi.connect(*args, **options)
        except dialect.loaded_dbapi.OperationalError as error:
            from oat.records.startup_errors import startup_sqlstate  # noqa: PLC0415 (psycopg is loaded by now)

            if error.sqlstate is None and not isinstance(error, dialect.loaded_dbapi.errors.ConnectionTimeout):
                error.sqlstate = startup_sqlstate(options)
            raise
        from oat.records.encoding import use_encoding_of_database  # noqa: PLC0415 (as above)

        use_encoding_of_database(connection)
        return connection
