"""The service: the application on a socket, run and stopped like the other services."""

import contextlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import uvicorn

from oat.settings import Settings, SettingsError
from oat.web.app import guarded
from oat.web.backend import Backend
from oat.web.guard import is_loopback
from oat.web.protocol import Protocol

GRACE = 3
"""Seconds that open requests may take to end."""


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, backend: Backend) -> None:
        super().__init__(config)
        self._backend = backend

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the command."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Say whether to end, a few times a second."""
        return await super().on_tick(counter) or self._backend.publisher.fault is not None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams of events, which last for ever, and then wait for the other requests."""
        self._backend.events.stop()
        await super().shutdown(sockets)


class Web:
    """Serves the gallery and the API until it is stopped.

    Args:
        settings: where the servers and the images are.
        host: an address of this machine; any but the loopback needs a token.
        port: 0 takes a free one.

    Raises:
        SettingsError: the address is open to others and there is no token.
        OSError: the address cannot be had.
    """

    def __init__(self, settings: Settings, host: str, port: int) -> None:
        if not is_loopback(host) and not settings.api_token:
            raise SettingsError(
                f"{host} is open to others: set OAT_API_TOKEN to what they have to know, or stay on 127.0.0.1"
            )
        self._backend = Backend(settings)
        app = guarded(self._backend, settings)
        config = uvicorn.Config(
            app, log_config=None, log_level="error", access_log=False, server_header=False,
            proxy_headers=False, http=Protocol, timeout_graceful_shutdown=GRACE,
        )  # fmt: skip
        self._server = _Server(config, self._backend)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host, port), family=family, backlog=1024)
        except OSError as error:
            raise OSError(f"cannot serve on {host}, port {port}: {error.strerror}") from error
        name = f"[{host}]" if ":" in host else host
        self.url = f"http://{name}:{self._socket.getsockname()[1]}/"

    def run(self) -> None:
        """Serve until `stop` is called.

        Raises:
            DatabaseError: the database refuses us.
            BrokerError: the broker does.
        """
        # In a thread that isn't the main one, uvloop leaves the signals to the command.
        with ThreadPoolExecutor(1, "gallery") as thread:
            thread.submit(self._server.run, [self._socket]).result()
        if self._backend.publisher.fault is not None:
            raise self._backend.publisher.fault

    def stop(self) -> None:
        """Have `run` return; may be called from any thread or signal handler."""
        self._server.should_exit = True
