"""A cache of what many look at: the answers of two seconds, so that a crowd costs little more than one.

Whatever changes something through this process empties it.
"""

import asyncio
import time
from typing import NamedTuple
from weakref import WeakValueDictionary

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TTL = 2.0
"""Seconds that an answer is given again."""

MOST = 256
"""Answers kept at once."""

PATHS = ("/", "/system", "/v1/fractals", "/v1/statistics")


class _Question(NamedTuple):
    """What an answer depends on."""

    path: str
    query: bytes
    page: bool
    """Whether a problem is told as a page."""


class Cache:
    """Gives the answers of `app` to reading requests of a few paths again, for a moment.

    Who asks while an answer is being made waits for that one.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._answers: dict[_Question, tuple[float, list[Message]]] = {}
        self._turns: WeakValueDictionary[_Question, asyncio.Lock] = WeakValueDictionary()
        self._changes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] not in PATHS:
            await self._app(scope, receive, send)
            if scope["type"] == "http" and scope["method"] != "GET":
                self._changes += 1
                self._answers.clear()
            return
        page = "text/html" in Headers(scope=scope).get("accept", "")
        question = _Question(scope["path"], scope["query_string"], page)
        turn = self._turns.setdefault(question, asyncio.Lock())
        async with turn:
            until, answer = self._answers.get(question, (0.0, []))
            if time.monotonic() >= until:
                answer = await self._ask(question, scope, receive)
        for message in answer:
            await send({**message})

    async def _ask(self, question: _Question, scope: Scope, receive: Receive) -> list[Message]:
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        changes = self._changes
        await self._app(scope, receive, keep)
        if changes == self._changes:
            if len(self._answers) >= MOST:
                self._answers.clear()
            self._answers[question] = time.monotonic() + TTL, answer
        return answer
