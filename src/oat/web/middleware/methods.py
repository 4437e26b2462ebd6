"""HTTP methods: which of them only read, and HEAD answered as GET."""

from starlette.types import ASGIApp, Receive, Scope, Send

SAFE_METHODS = ("GET", "HEAD")
"""Methods that change nothing (RFC 9110, section 9.2.1). OPTIONS and TRACE are safe too, but have no route."""


class HeadMiddleware:
    """Passes HEAD on as GET, which FastAPI's routes would answer with 405; uvicorn leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)
