"""Errors of the databases: which are transient, which are permanent, and which are bugs of this program.

The code decides: SQLSTATE on PostgreSQL, the error number on MySQL and MariaDB, the result code on SQLite. Codes
that the tables of `error_codes` do not have are bugs: they are raised as they are.
"""

import re
import sqlite3
from typing import Any

from sqlalchemy.exc import DBAPIError, OperationalError

from oat.records.error_codes import MYSQL, MYSQL_CLASSES, POSTGRESQL, POSTGRESQL_CLASSES, SQLITE, ErrorKind

_CONNECT_MESSAGES = (
    (re.compile(r'FATAL: +database ".*" does not exist|FATAL: +no such database'), "3D000"),
    (re.compile(r"FATAL: +(password|SASL) authentication failed"), "28P01"),
    (
        re.compile(r'FATAL: +(no pg_hba\.conf entry|no such user|role ".*" (does not exist|is not permitted))'),
        "28000",
    ),
    (re.compile(r"FATAL: +permission denied"), "42501"),
)
"""The SQLSTATE of what PostgreSQL and PgBouncer say while a connection is made. libpq has the SQLSTATE only of
errors after that, and psycopg passes its message on. A server that speaks another language is waited for."""

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
        kind = _mysql_kind(driver_error)
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


def _mysql_kind(error: Any) -> ErrorKind | None:
    code = error.args[0] if error is not None and error.args else None
    if not isinstance(code, int):
        return None
    return (MYSQL.get(code) or MYSQL_CLASSES.get((error.sqlstate or "")[:2], _UNKNOWN))[1]


def _postgresql_kind(error: Any) -> ErrorKind | None:
    sqlstate: str | None = error.sqlstate
    if sqlstate is None:
        if error.pgconn is not None and error.pgconn.needs_password:
            return ErrorKind.PERMANENT  # the server asks for a password, and the URL has none
        sqlstate = next((state for message, state in _CONNECT_MESSAGES if message.search(str(error))), None)
    if sqlstate is None:
        return None
    return (POSTGRESQL.get(sqlstate) or POSTGRESQL_CLASSES.get(sqlstate[:2], _UNKNOWN))[1]
