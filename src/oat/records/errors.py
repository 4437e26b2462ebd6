"""Errors of the databases: which are transient, which are permanent, and which are bugs of this program.

The code decides: SQLSTATE on PostgreSQL, the error number on MySQL and MariaDB, the result code on SQLite. Codes
that the tables of `error_codes` do not have are bugs: they are raised as they are.
"""

import re
import sqlite3
from typing import Any

from sqlalchemy.exc import DBAPIError, OperationalError

from oat.records.error_codes import MYSQL, MYSQL_CLASSES, POSTGRESQL, POSTGRESQL_CLASSES, SQLITE, ErrorKind

_PGBOUNCER_REFUSES = re.compile(
    r'FATAL: +(database ".*" does not exist|no such (database|user)|\S+ authentication failed|unsupported startup)'
)
"""What PgBouncer says, always in English, while a connection is made; 1.18, for one, with 08P01 whatever it is
about."""

_UNKNOWN = ("", ErrorKind.BUG)
"""What the tables do not have."""


def error_kind(error: DBAPIError) -> ErrorKind:
    """Return what is to be done about `error`."""
    driver_error: Any = error.orig
    kind: ErrorKind | None
    if isinstance(driver_error, sqlite3.Error):
        kind = _sqlite_kind(driver_error)
    elif hasattr(driver_error, "pgconn"):
        kind = _postgresql_kind(driver_error)
    else:
        kind = _mysql_kind(driver_error, ErrorKind.PERMANENT if error.statement is None else ErrorKind.BUG)
    if kind is not None:
        return kind
    # Without a code: the driver itself says that there is no connection, or that it is lost.
    lost = error.connection_invalidated or isinstance(error, OperationalError)
    return ErrorKind.TRANSIENT if lost else ErrorKind.BUG


def _sqlite_kind(error: sqlite3.Error) -> ErrorKind | None:
    # The driver's own errors, such as a wrong number of parameters, have no code.
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    return SQLITE.get(code & 0xFF, _UNKNOWN)[1]  # the rest of an extended code says where it happened


def _mysql_kind(error: Any, default: ErrorKind) -> ErrorKind | None:
    """Return the kind; `default` is for unknown codes: while a connection is made, it is about the URL."""
    code = error.args[0] if error is not None and error.args else None
    if not isinstance(code, int):
        return None
    return (MYSQL.get(code) or MYSQL_CLASSES.get((error.sqlstate or "")[:2], ("", default)))[1]


def _postgresql_kind(error: Any) -> ErrorKind | None:
    sqlstate: str | None = error.sqlstate
    if sqlstate is None:
        if error.pgconn is not None and error.pgconn.needs_password:
            return ErrorKind.PERMANENT  # the server asks for a password, and the URL has none
        return None
    default = _UNKNOWN
    if error.diag.sqlstate is None:  # while the connection is made: `startup_errors`
        if sqlstate == "08P01" and _PGBOUNCER_REFUSES.search(str(error)):
            return ErrorKind.PERMANENT
        default = ("", ErrorKind.PERMANENT)  # no statement of ours, but the URL: such as a parameter unknown there
    return (POSTGRESQL.get(sqlstate) or POSTGRESQL_CLASSES.get(sqlstate[:2], default))[1]
