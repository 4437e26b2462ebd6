"""The base of the middleware that rejects requests."""

from abc import ABC, abstractmethod

from starlette.types import ASGIApp, Receive, Scope, Send


class CheckMiddleware(ABC):
    """Passes a request on to `app` if it passes a check; the exception that rejects it becomes the response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            await self.check(scope)
        await self._app(scope, receive, send)

    @abstractmethod
    async def check(self, scope: Scope) -> None:
        """Check the head of one request.

        Raises:
            ProblemError: the request is rejected.
        """
