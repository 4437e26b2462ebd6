"""The base of the middleware that rejects requests."""

from abc import ABC, abstractmethod

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from oat.web.exception_handlers import problem_handler
from oat.web.problems import ProblemError


class CheckMiddleware(ABC):
    """Passes a request on to `app` if it passes a check, and responds with the problem otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            try:
                await self.check(scope)
            except ProblemError as error:
                response = await problem_handler(Request(scope), error)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    @abstractmethod
    async def check(self, scope: Scope) -> None:
        """Check the head of one request.

        Raises:
            ProblemError: the request is rejected.
        """
