"""Progress events: where single tasks are, polled and published while anybody is subscribed.

One poll of the database serves all subscribers; workers report to the publisher's connection meanwhile.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator
from datetime import timedelta

from fastapi.concurrency import run_in_threadpool
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from oat.messages import InvalidMessageError, parse_progress_report
from oat.records import Catalog, DatabaseError
from oat.services import Progress, ProgressView
from oat.web.event_stream import EventStream
from oat.web.events import KEEP_ALIVE, trouble
from oat.web.publisher import Publisher
from oat.web.statistics import DURATIONS, POLL_INTERVAL, QUERY_TIME_FACTOR, CurrentStatistics

log = logging.getLogger(__name__)


class ProgressEvents:
    """Publishes the progress of tasks. Belongs to one event loop."""

    def __init__(self, catalog: Catalog, publisher: Publisher, statistics: CurrentStatistics) -> None:
        self._catalog = catalog
        self._statistics = statistics
        self._publisher = publisher
        self._stream = EventStream()
        self._view = ProgressView()
        self._latest: bytes | None = None
        """The latest event, with which a stream begins; None while nobody is subscribed."""
        self._durations = deque([0.0], maxlen=DURATIONS)

    @property
    def full(self) -> bool:
        """Whether no more subscribers are accepted."""
        return self._stream.full

    def subscribe(self) -> AsyncIterator[bytes]:
        """Yield encoded events: the progress as it is, and whenever it has changed."""
        return self._stream.subscribe(self._first)

    def close(self) -> None:
        """End the streams of all subscribers, which would last as long as their clients."""
        self._stream.close()

    async def poll(self) -> None:
        """Poll and publish while there are subscribers; runs until its task is cancelled."""
        while True:
            if not self._stream.subscribed.is_set():
                self._latest = None
                await self._stream.subscribed.wait()
            started = time.monotonic()
            try:
                unacknowledged = (await self._statistics.get()).unacknowledged
                started = time.monotonic()
                event = _event(await run_in_threadpool(self._poll, unacknowledged))
            except DatabaseError as error:
                event = trouble(error)
            self._durations.append(time.monotonic() - started)
            if event != self._latest:
                self._latest = event
                self._stream.publish(self._stream.new_id(), event)
            elif time.monotonic() - self._stream.published_at >= KEEP_ALIVE:
                self._stream.publish(self._stream.new_id(), KEEPALIVE_COMMENT)
            await asyncio.sleep(max(POLL_INTERVAL, QUERY_TIME_FACTOR * min(self._durations)))

    async def _first(self) -> bytes:
        return self._latest or KEEPALIVE_COMMENT

    def _poll(self, unacknowledged: int | None) -> Progress:
        for received_at, body in self._publisher.watch():
            try:
                self._view.report(parse_progress_report(body), received_at)
            except InvalidMessageError as error:
                log.warning("ignored a progress report: %s", error)
        at = time.monotonic()
        rows, now = self._catalog.recent_tasks(self._view.beside_in_flight(), self._view.watched(at))
        return self._view.update(rows, now - timedelta(seconds=time.monotonic() - at), at, unacknowledged)


def _event(progress: Progress) -> bytes:
    return format_sse_event(event="progress", data_str=progress.model_dump_json())
