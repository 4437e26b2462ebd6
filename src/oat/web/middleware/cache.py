"""A response cache for the few paths that many clients request again and again, so that a crowd costs little."""

import asyncio
import time
from typing import NamedTuple
from weakref import WeakValueDictionary

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oat.web.root_path import route_path

TTL = 2.0
"""Seconds that a cached response is served: shorter than a person notices, long enough for a crowd to share it."""

MAX_ENTRIES = 256
"""Responses cached at once; one more empties the cache. A response has some ten KiB."""

CACHED_PATHS = ("/", "/system", "/v1/fractals", "/v1/statistics")


class _Key(NamedTuple):
    """All of a request that its response depends on."""

    path: str
    query: bytes
    accepts_html: bool
    """Whether an error is shown as a page or as JSON."""


class CacheMiddleware:
    """Caches the responses to GET requests of `CACHED_PATHS` for `TTL` seconds.

    Requests for a response that is being made wait for it. Any request of another method clears the cache.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._entries: dict[_Key, tuple[float, list[Message]]] = {}
        self._locks: WeakValueDictionary[_Key, asyncio.Lock] = WeakValueDictionary()
        self._generation = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] != "GET" or route_path(scope) not in CACHED_PATHS:
            await self._app(scope, receive, send)
            if scope["type"] == "http" and scope["method"] != "GET":
                self._clear()
            return
        accepts_html = "text/html" in Headers(scope=scope).get("accept", "")
        key = _Key(scope["path"], scope["query_string"], accepts_html)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            expires, response = self._entries.get(key, (0.0, []))
            if time.monotonic() >= expires:
                response = await self._respond(key, scope, receive)
        for message in response:
            await send({**message})

    async def _respond(self, key: _Key, scope: Scope, receive: Receive) -> list[Message]:
        """Call the application and cache its response, unless the cache was cleared meanwhile."""
        response: list[Message] = []

        async def collect(message: Message) -> None:
            response.append(message)

        generation = self._generation
        await self._app(scope, receive, collect)
        if generation == self._generation:
            if len(self._entries) >= MAX_ENTRIES:
                self._entries.clear()
            self._entries[key] = time.monotonic() + TTL, response
        return response

    def _clear(self) -> None:
        self._generation += 1
        self._entries.clear()
