"""Transactions: run a function in a transaction, and run it again while the database is not available."""

import logging
import math
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from oat.addresses import parse_database
from oat.process import exponential_backoff
from oat.records.clock import DatabaseClock
from oat.records.engine import make_engine
from oat.records.error_codes import ErrorKind
from oat.records.errors import error_kind
from oat.settings import PermanentError

log = logging.getLogger(__name__)

T = TypeVar("T")

MIN_PAUSE, MAX_PAUSE = 0.1, 15.0
"""Seconds between the first two attempts at a transaction, and between two at most: a deadlock is over at once, a
server that restarts takes a while."""


class DatabaseError(PermanentError):
    """The database cannot be used: it refuses (trying again would not help), or was not available in time."""


class Transactions:
    """A pool of connections to one database, on which functions are run in transactions.

    Args:
        url: what SQLAlchemy calls a database URL.
        stopping: once it is set, a transaction that fails is not tried again.
        timeout: seconds after which a transaction is not tried again either.

    Raises:
        SettingsError: the URL is invalid, or of a database without a driver here.
    """

    def __init__(self, url: str, stopping: threading.Event, timeout: float = math.inf) -> None:
        self.stopping = stopping
        self.timeout = timeout
        self._engine = make_engine(url)
        self._clock = DatabaseClock()
        self.name = parse_database(url).name

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def now(self) -> datetime:
        """Return the time by the database's clock, with which the times of its records compare: UTC, naive.

        Raises:
            DatabaseError: as every transaction.
        """
        return self._read(self._clock.now)

    def _read(self, work: Callable[[sa.Connection], T]) -> T:
        """Run `work`, which only reads: on SQLite it then runs beside a transaction that writes."""
        return self._run(work, read_only=True)

    def _run(self, work: Callable[[sa.Connection], T], read_only: bool = False) -> T:
        """Return what `work` returns, run in a transaction; after a transient error, run it again.

        So `work` may be run several times, even after a commit that succeeded, if the connection was lost before
        the server said so.

        Raises:
            DatabaseError: the database refuses; or is not available, and `stopping` is set or the timeout over.
        """
        deadline = time.monotonic() + self.timeout
        pauses = exponential_backoff(MIN_PAUSE, MAX_PAUSE)
        while True:
            try:
                return self._attempt(work, read_only)
            except DBAPIError as error:
                kind, reason = error_kind(error), " ".join(str(error.orig).split())
                if kind == ErrorKind.BUG:
                    raise
                if kind == ErrorKind.PERMANENT:
                    raise DatabaseError(f"the database {self.name} refuses: {reason}") from error
                pause = next(pauses)
                if self.stopping.is_set() or time.monotonic() + pause > deadline:
                    raise DatabaseError(f"the database {self.name} is not available: {reason}") from error
                log.warning(
                    "the database %s is not available (%s); trying again in %.1f seconds",
                    self.name, reason, pause,
                )  # fmt: skip
                self.stopping.wait(pause)

    def _attempt(self, work: Callable[[sa.Connection], T], read_only: bool) -> T:
        """Return what `work` returns, run in one transaction."""
        with self._engine.connect().execution_options(read_only=read_only) as connection:
            try:
                with connection.begin():
                    return work(connection)
            except DBAPIError as error:
                if error_kind(error) == ErrorKind.TRANSIENT:
                    # The next attempt has a new connection: this one may lead to a server that has become a
                    # standby, and the settings of a session are those of the time when it began.
                    connection.invalidate(error)
                raise
