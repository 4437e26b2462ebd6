"""Events: what happens, told to everyone who listens (server-sent events).

One look into the database serves all listeners. What it finds is encoded once; each listener is at some place in
the short history of these pieces, also after it had to connect again.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count
from typing import NamedTuple
from uuid import UUID

from fastapi.concurrency import run_in_threadpool
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from oat.records import Catalog, DatabaseError, Fractal, Status, utc_now
from oat.services import SAMPLE, WINDOW, Statistics, summarise
from oat.web.publisher import Publisher

LOOK = 1.0
"""Seconds between two looks into the database, at least."""

REST = 50
"""How many times as long as a look takes nobody looks again: that shall not load a large database. The quickest of
the last looks counts, because a busy machine makes them wait, too."""

MOST = 12
"""Fractals told of one look, of recorded and of finished ones each. A busy system has more; the statistics count
them all. Each is a thumbnail to be made, and to be fetched by every browser that watches."""

OVERLAP = timedelta(seconds=10)
"""How far a look reaches back behind the one before: a transaction shows when it ends, not when it begins."""

HISTORY = 60
"""Pieces kept for whoever comes back."""

MAX_LISTENERS = 1000

KEEP_ALIVE = 15.0
"""Seconds of silence after which a sign of life is sent."""


class _Piece(NamedTuple):
    number: int
    text: bytes


class Events:
    """Looks at the system while someone listens, and tells what changed.

    Lives in one event loop.
    """

    def __init__(self, catalog: Catalog, publisher: Publisher, lease: float) -> None:
        self._catalog = catalog
        self._publisher = publisher
        self._lease = lease
        self._numbers = count(int(time.time()))  # higher than those of a process before this one
        self._pieces: deque[_Piece] = deque(maxlen=HISTORY)
        self._tick = asyncio.Event()
        self._wanted = asyncio.Event()
        self._listeners = 0
        self._stopped = False
        self._latest: Statistics | None = None
        self._latest_until = 0.0
        self._took = deque([0.0], maxlen=8)  # the first looks make connections, and do not count
        self._looking = asyncio.Lock()
        self._told: set[tuple[UUID, Status]] = set()
        self._told_at = time.monotonic()
        self._since = utc_now()

    @property
    def full(self) -> bool:
        """Whether nobody else can be served."""
        return self._listeners >= MAX_LISTENERS

    async def statistics(self) -> Statistics:
        """Return statistics that are a second old at most, or as old as the database can bear.

        Raises:
            DatabaseError: the database is not at hand.
        """
        async with self._looking:
            if self._latest is None or time.monotonic() >= self._latest_until:
                started = time.monotonic()
                self._latest = await run_in_threadpool(self._summarise)
                self._took.append(time.monotonic() - started)
                self._latest_until = started + max(LOOK, REST * min(self._took)) - LOOK / 10
            return self._latest

    async def watch(self) -> None:
        """Look again and again, as long as someone listens; ends with its task."""
        before: Statistics | None = None
        while True:
            if not self._wanted.is_set():
                await self._wanted.wait()
                self._since = utc_now()
            try:
                news = await run_in_threadpool(self._news)
                statistics = await self.statistics()
            except DatabaseError as error:
                before = None
                self._tell(format_sse_event(event="trouble", data_str=str(error)))
            else:
                same = before is not None and before == statistics.model_copy(update={"at": before.at})
                if news or not same:
                    fractals = (
                        format_sse_event(event="fractal", data_str=each.model_dump_json()) for each in news
                    )
                    self._tell(b"".join(fractals), statistics)
                elif time.monotonic() - self._told_at >= KEEP_ALIVE:
                    self._tell(KEEPALIVE_COMMENT)
                before = statistics
            await asyncio.sleep(max(LOOK, self._latest_until - time.monotonic()))

    async def listen(self, last_seen: int | None = None) -> AsyncIterator[bytes]:
        """Yield what happens from now on, or from after the piece `last_seen`."""
        place = self._pieces[-1].number if self._pieces else 0
        if last_seen is not None:
            place = min(place, last_seen)
        self._listeners += 1
        self._wanted.set()
        try:
            yield await self._greeting()
            while not self._stopped:
                tick = self._tick
                if news := [piece for piece in self._pieces if piece.number > place]:
                    place = news[-1].number
                    yield b"".join(piece.text for piece in news)
                await tick.wait()
        finally:
            self._listeners -= 1
            if not self._listeners:
                self._wanted.clear()

    def stop(self) -> None:
        """End all streams."""
        self._stopped = True
        self._tick.set()

    async def _greeting(self) -> bytes:
        try:
            statistics = await self.statistics()
        except DatabaseError as error:
            return format_sse_event(event="trouble", data_str=str(error))
        return format_sse_event(event="statistics", data_str=statistics.model_dump_json())

    def _tell(self, text: bytes, statistics: Statistics | None = None) -> None:
        number = next(self._numbers)
        if statistics is not None:
            text += format_sse_event(event="statistics", data_str=statistics.model_dump_json(), id=str(number))
        self._pieces.append(_Piece(number, text))
        self._told_at = time.monotonic()
        tick, self._tick = self._tick, asyncio.Event()
        tick.set()

    def _summarise(self) -> Statistics:
        return summarise(
            self._catalog.counts(),
            self._catalog.outbox_backlog(),
            self._catalog.finished(WINDOW, SAMPLE),
            self._publisher.queues,
            self._lease,
            utc_now(),
        )

    def _news(self) -> list[Fractal]:
        """Return what was recorded or finished since the last look, oldest first."""
        started = utc_now()
        found = self._catalog.news(self._since - OVERLAP, MOST)
        news = [each for each in found if (each.uuid, each.status) not in self._told]
        self._told = {(each.uuid, each.status) for each in found}
        self._since = started
        return news
