"""The current statistics, shared by all requests and event streams."""

import asyncio
import time
from collections import deque

from fastapi.concurrency import run_in_threadpool

from oat.records import Catalog
from oat.services import SAMPLE, WINDOW, Statistics, summarise
from oat.web.publisher import Publisher

POLL_INTERVAL = 1.0
"""Seconds between two polls of the database, at least: as live as a person can follow."""

QUERY_TIME_FACTOR = 200
"""Times the duration of a poll that pass between two polls: those for the statistics and those for the progress of
tasks keep a connection busy for 0.5 % of the time each, however slow the machine or large the database."""

DURATIONS = 8
"""Latest polls whose shortest duration counts: on a busy machine the others were waiting for a processor."""


class CurrentStatistics:
    """Polls the statistics when they are asked for and are outdated. Belongs to one event loop."""

    def __init__(self, catalog: Catalog, publisher: Publisher, lease: float) -> None:
        self._catalog = catalog
        self._publisher = publisher
        self._lease = lease
        self._latest: Statistics | None = None
        self._expires = 0.0
        self._durations = deque([0.0], maxlen=DURATIONS)  # the first polls connect, and do not count
        self._lock = asyncio.Lock()

    @property
    def expires_in(self) -> float:
        """Seconds until the latest statistics are outdated, negative if they are."""
        return self._expires - time.monotonic()

    async def get(self) -> Statistics:
        """Return statistics that are `POLL_INTERVAL` old at most, or older if the database is slow.

        Raises:
            DatabaseError: the database cannot be reached.
        """
        async with self._lock:
            if self._latest is None or self.expires_in <= 0:
                started = time.monotonic()
                self._latest = await run_in_threadpool(self._poll)
                self._durations.append(time.monotonic() - started)
                interval = max(POLL_INTERVAL, QUERY_TIME_FACTOR * min(self._durations))
                self._expires = started + interval - POLL_INTERVAL / 10  # a poll each second finds them outdated
            return self._latest

    def _poll(self) -> Statistics:
        return summarise(
            self._catalog.counts(),
            self._catalog.outbox_backlog(),
            self._catalog.finished(WINDOW, SAMPLE),
            self._publisher.queues,
            self._lease,
            self._catalog.now(),
        )
