"""Events: polls the database while anybody is subscribed, and publishes what has changed.

One poll serves all subscribers.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID

from fastapi.concurrency import run_in_threadpool
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from oat.records import Catalog, DatabaseError, Fractal, Status
from oat.services import Statistics
from oat.web.event_stream import EventStream
from oat.web.statistics import POLL_INTERVAL, CurrentStatistics

MAX_FRACTALS = 12
"""Fractals published of one poll, of recorded and of finished ones each. A busy system has more; the statistics
count them all. Each is a thumbnail to be made, and to be requested by every browser that is subscribed."""

KEEP_ALIVE = 15.0
"""Seconds without an event after which a comment is sent, as the specification of server-sent events suggests:
proxies close connections that are idle for longer."""


class Events:
    """Publishes the changes of records and statistics. Belongs to one event loop."""

    def __init__(self, catalog: Catalog, statistics: CurrentStatistics) -> None:
        self._catalog = catalog
        self._statistics = statistics
        self._stream = EventStream()
        self._published: set[tuple[UUID, Status]] = set()
        self._polled_at: datetime | None = None
        """When the previous poll was, by the database's clock; None before the first one for these subscribers."""

    @property
    def full(self) -> bool:
        """Whether no more subscribers are accepted."""
        return self._stream.full

    def subscribe(self, last_event_id: int | None = None) -> AsyncIterator[bytes]:
        """Yield encoded events: the statistics, then what changes from now on, or has since `last_event_id`."""
        return self._stream.subscribe(self._first, last_event_id)

    def close(self) -> None:
        """End the streams of all subscribers, which would last as long as their clients."""
        self._stream.close()

    async def poll(self) -> None:
        """Poll and publish while there are subscribers; runs until its task is cancelled."""
        before: Statistics | None = None
        while True:
            if not self._stream.subscribed.is_set():
                await self._stream.subscribed.wait()
                self._polled_at = None
            try:
                fractals = await run_in_threadpool(self._changed_fractals)
                statistics = await self._statistics.get()
            except DatabaseError as error:
                before = None
                self._stream.publish(self._stream.new_id(), trouble(error))
            else:
                same = before is not None and before == statistics.model_copy(update={"at": before.at})
                if fractals or not same:
                    self._publish(fractals, statistics)
                elif time.monotonic() - self._stream.published_at >= KEEP_ALIVE:
                    self._stream.publish(self._stream.new_id(), KEEPALIVE_COMMENT)
                before = statistics
            await asyncio.sleep(max(POLL_INTERVAL, self._statistics.expires_in))

    async def _first(self) -> bytes:
        try:
            statistics = await self._statistics.get()
        except DatabaseError as error:
            return trouble(error)
        return format_sse_event(event="statistics", data_str=statistics.model_dump_json())

    def _publish(self, fractals: list[Fractal], statistics: Statistics) -> None:
        chunk_id = self._stream.new_id()
        events = [format_sse_event(event="fractal", data_str=each.model_dump_json()) for each in fractals]
        data = statistics.model_dump_json()
        events.append(format_sse_event(event="statistics", data_str=data, id=str(chunk_id)))
        self._stream.publish(chunk_id, b"".join(events))

    def _changed_fractals(self) -> list[Fractal]:
        """Return what was recorded or finished since the previous poll and is not published, oldest first."""
        if self._polled_at is None:
            self._polled_at = self._catalog.now()
        found, self._polled_at = self._catalog.news(self._polled_at, MAX_FRACTALS)
        changed = [each for each in found if (each.uuid, each.status) not in self._published]
        self._published = {(each.uuid, each.status) for each in found}
        return changed


def trouble(error: DatabaseError) -> bytes:
    """Return the event that says why the database cannot be used."""
    return format_sse_event(event="trouble", data_str=str(error))
