"""The clock of the records: the database's, so that the clocks of the hosts may differ, or be set.

A process asks the database for its time every `MAX_AGE` seconds, and adds what has passed since then by a clock of
its own that nobody sets. With SQLite there is no server: the time is that of the host. Where a clock is set back,
the records made before have times in the future. What is further in the future than `TOLERANCE` is corrected.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

MAX_AGE = 10.0
"""Seconds after which the database is asked again: a query every ten seconds costs nothing, and a clock of the
database that is set is followed soon."""

MAX_ROUND_TRIP = 1.0
"""Seconds that the database may take to tell the time; an answer that took longer is used once and not kept."""

TOLERANCE = timedelta(minutes=5)
"""How far in the future a time may be without a fault: programs that do not use this clock write to the tables as
well, and hosts that share a SQLite file may have clocks that differ by as much."""

LONG_AGO = datetime(1970, 1, 2)
"""A time for what is to be done at once: older than any lease or timeout."""

_NOW = {
    "postgresql": sa.select(sa.func.timezone("utc", sa.func.clock_timestamp())),
    "mysql": sa.select(sa.func.utc_timestamp(sa.text("6"))),
    "mariadb": sa.select(sa.func.utc_timestamp(sa.text("6"))),
}
"""The query for the time, in UTC, without a time zone."""

_STEADY_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A clock that nobody sets, and that goes on while the computer sleeps, where there is one."""


def utc_now() -> datetime:
    """Return the time of this host as the tables have it: UTC, without a time zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def is_in_future(moment: datetime, now: datetime) -> bool:
    """Return whether `moment` is further in the future than clocks may differ."""
    return moment > now + TOLERANCE


class _Reading(NamedTuple):
    time: datetime
    """What the database's clock said."""
    taken_at: float
    """When it said so, by `_STEADY_CLOCK`."""


class DatabaseClock:
    """The clock of one database; may be used by several threads."""

    def __init__(self) -> None:
        self._reading: _Reading | None = None

    def now(self, connection: sa.Connection) -> datetime:
        """Return the database's time, in UTC, without a time zone; `connection` is in a transaction."""
        query = _NOW.get(connection.dialect.name)
        if query is None:
            return utc_now()
        asked_at = time.clock_gettime(_STEADY_CLOCK)
        if self._reading is not None and asked_at - self._reading.taken_at < MAX_AGE:
            return self._reading.time + timedelta(seconds=asked_at - self._reading.taken_at)
        now: datetime = connection.execute(query).scalar_one()
        answered_at = time.clock_gettime(_STEADY_CLOCK)
        if answered_at - asked_at < MAX_ROUND_TRIP:
            self._reading = _Reading(now, (asked_at + answered_at) / 2)
        return now
