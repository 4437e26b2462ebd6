"""The event stream: server-sent events, encoded once and broadcast to all subscribers.

A short history lets a client that reconnects go on after the last event it received (Last-Event-ID).
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import NamedTuple

HISTORY = 60
"""Chunks kept for clients that reconnect: a minute, with one poll a second."""

MAX_SUBSCRIBERS = 1000
"""Streams open at once: each has a connection, of which a process may have some thousands."""


class _Chunk(NamedTuple):
    """Encoded events that were published at once."""

    id: int
    data: bytes


class EventStream:
    """Broadcasts events to its subscribers. Belongs to one event loop."""

    def __init__(self) -> None:
        self._ids = count(int(time.time()))  # higher than those of a process before this one
        self._history: deque[_Chunk] = deque(maxlen=HISTORY)
        self._published = asyncio.Event()
        self._subscribers = 0
        self._closed = False
        self.subscribed = asyncio.Event()
        """Set while there are subscribers."""
        self.published_at = time.monotonic()
        """When events were published last, by the monotonic clock."""

    @property
    def full(self) -> bool:
        """Whether `MAX_SUBSCRIBERS` are subscribed."""
        return self._subscribers >= MAX_SUBSCRIBERS

    def new_id(self) -> int:
        """Return the ID for the next chunk."""
        return next(self._ids)

    def publish(self, chunk_id: int, data: bytes) -> None:
        """Send `data`, encoded events, to all subscribers."""
        self._history.append(_Chunk(chunk_id, data))
        self.published_at = time.monotonic()
        published, self._published = self._published, asyncio.Event()
        published.set()

    async def subscribe(
        self, first: Callable[[], Awaitable[bytes]], last_event_id: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield encoded events from now on until `close`.

        Args:
            first: returns the events with which the stream begins, whatever was published.
            last_event_id: also yield what was published after this ID, as far as the history has it.
        """
        position = self._history[-1].id if self._history else 0
        if last_event_id is not None:
            # An ID that is higher is of a process before this one: the clock was set back in between.
            position = last_event_id if last_event_id <= position else 0
        self._subscribers += 1
        self.subscribed.set()
        try:
            yield await first()
            while not self._closed:
                published = self._published
                if chunks := [chunk for chunk in self._history if chunk.id > position]:
                    position = chunks[-1].id
                    yield b"".join(chunk.data for chunk in chunks)
                await published.wait()
        finally:
            self._subscribers -= 1
            if not self._subscribers:
                self.subscribed.clear()

    def close(self) -> None:
        """End the streams of all subscribers."""
        self._closed = True
        self._published.set()
