"""The protocol: HTTP as uvicorn speaks it with httptools, for requests that end and are not too long.

httptools parses in a third of the time of uvicorn's own choice without it, but takes a head of any length.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST = 512 * 1024
"""Bytes of a request with its head, with all that frames its body, and with what follows it in one reading."""

REQUEST_TIMEOUT = 30.0
"""Seconds that a request may take to arrive."""


class Protocol(HttpToolsProtocol):
    """Hangs up on who goes on and on, or takes too long."""

    _received = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._forget_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, unless it is too much."""
        self._received += len(data)
        if self._received <= LONGEST:
            super().data_received(data)
        elif self.cycle is None or self.cycle.response_complete:
            self.send_400_response(f"the request has more than {LONGEST} bytes")
        else:
            self.transport.close()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._expect()

    def on_message_complete(self) -> None:
        """A request is there, to its end."""
        super().on_message_complete()
        self._received = 0
        self._forget_deadline()

    def _expect(self) -> None:
        self._forget_deadline()
        self._deadline = self.loop.call_later(REQUEST_TIMEOUT, self.transport.close)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
