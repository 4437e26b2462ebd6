"""The HTTP protocol of the server: uvicorn's httptools implementation, with limits of size and time.

httptools parses in a third of the time of h11, uvicorn's alternative, but accepts request heads of any length.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_REQUEST_SIZE = 512 * 1024
"""Bytes received for one request: its head, its body with chunk framing and trailers, and what is pipelined behind
it in the same segment. Far above `MAX_BODY_SIZE`, which rejects long bodies with a proper response."""

REQUEST_TIMEOUT = 30.0
"""Seconds within which a request has to arrive; a slow mobile connection sends the largest body in less."""


class LimitedHttpProtocol(HttpToolsProtocol):
    """Closes connections whose request exceeds `MAX_REQUEST_SIZE` or `REQUEST_TIMEOUT`."""

    _received = 0
    _timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timeout of the first request."""
        super().connection_made(transport)
        self._start_timeout()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timeout."""
        self._cancel_timeout()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse `data`, unless the request is too large."""
        self._received += len(data)
        if self._received <= MAX_REQUEST_SIZE:
            super().data_received(data)
        elif self.cycle is None or self.cycle.response_complete:
            self.send_400_response(f"the request has more than {MAX_REQUEST_SIZE} bytes")
        else:
            self.transport.close()

    def on_message_begin(self) -> None:
        """Start the timeout of a request that follows on the same connection."""
        super().on_message_begin()
        self._start_timeout()

    def on_message_complete(self) -> None:
        """Cancel the timeout and reset the size: the request has arrived."""
        super().on_message_complete()
        self._received = 0
        self._cancel_timeout()

    def _start_timeout(self) -> None:
        self._cancel_timeout()
        self._timeout = self.loop.call_later(REQUEST_TIMEOUT, self.transport.close)

    def _cancel_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
