"""The size limit of request bodies."""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from oat.web.middleware.check import CheckMiddleware
from oat.web.problems import ProblemError

MAX_BODY_SIZE = 64 * 1024
"""Bytes of a request body; the largest form or JSON body that makes sense has less than one KiB."""

_DETAIL = f"the request has more than {MAX_BODY_SIZE} bytes"


class BodyLimitMiddleware(CheckMiddleware):
    """Rejects with 413 what announces a longer body, and what turns out to have one (chunked encoding)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, counting what is received of its body."""
        await super().__call__(scope, _limited(receive), send)

    async def check(self, scope: Scope) -> None:
        """Check the Content-Length of one request."""
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY_SIZE:
            raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _DETAIL)


def _limited(receive: Receive) -> Receive:
    """Return `receive` with a limit on the bytes of all its messages."""
    total = 0

    async def receive_limited() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > MAX_BODY_SIZE:
            # FastAPI passes an HTTPException on while it reads a body, and makes 400 of any other.
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _DETAIL)
        return message

    return receive_limited
