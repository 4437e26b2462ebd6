"""A cache of what many look at: the answers of a second, so that a crowd costs little more than one.

Whatever changes something through this process empties it.
"""

import time
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

TTL = 1.0
"""Seconds that an answer is given again."""

MOST = 256
"""Answers kept at once."""

PATHS = ("/", "/system", "/v1/fractals")


class Cache:
    """Gives the answers of `app` to reading requests of a few paths again, for a moment."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._answers: dict[tuple[str, bytes], tuple[float, list[Message]]] = {}
        self._changes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] not in PATHS:
            await self._app(scope, receive, send)
            if scope["type"] == "http" and scope["method"] != "GET":
                self._changes += 1
                self._answers.clear()
            return
        key = scope["path"], scope["query_string"]
        until, answer = self._answers.get(key, (0.0, []))
        if time.monotonic() < until:
            for message in answer:
                await send({**message})
            return
        answer = []

        async def send_and_keep(message: Message) -> None:
            answer.append(message)
            await send(message)

        started, changes = time.monotonic(), self._changes
        await self._app(scope, receive, send_and_keep)
        good = answer and answer[0].get("status") == HTTPStatus.OK
        if good and changes == self._changes:
            if len(self._answers) >= MOST:
                self._answers.clear()
            self._answers[key] = started + TTL, [{**message} for message in answer]
