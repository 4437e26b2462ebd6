"""The server: uvicorn with the application on a socket, run and stopped like the other services."""

import contextlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import uvicorn

from oat.settings import Settings, SettingsError
from oat.web.app import application
from oat.web.backend import Backend
from oat.web.middleware import is_loopback, wrap
from oat.web.protocol import LimitedHttpProtocol

GRACEFUL_SHUTDOWN_TIMEOUT = 3
"""Seconds for open requests to complete after a stop: the process ends within 4.5 seconds (`process.signals`)."""

KEEP_ALIVE_TIMEOUT = 75
"""Seconds that an idle connection stays open: longer than nginx keeps its connections to this server, a minute. It
would send a request into one that is being closed, and answer 502."""

BACKLOG = 1024
"""Connections that wait to be accepted: some hundred clients may connect at once when a server restarts."""


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, backend: Backend) -> None:
        super().__init__(config)
        self._backend = backend

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers: the command has its own."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Return whether to shut down; uvicorn calls this ten times a second."""
        return await super().on_tick(counter) or self._backend.publisher.error is not None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the event streams, which last for ever, and then wait for the other requests."""
        self._backend.events.close()
        self._backend.progress.close()
        await super().shutdown(sockets)


class WebServer:
    """Serves the gallery and the API until it is stopped.

    Args:
        settings: addresses of the backing services, the token and the rate limits.
        host: an address of this machine; any but the loopback needs a token.
        port: 0 takes a free one.

    Raises:
        SettingsError: the address is open to others and there is no token.
        OSError: the address cannot be bound.
    """

    def __init__(self, settings: Settings, host: str, port: int) -> None:
        if not is_loopback(host) and not settings.api_token:
            raise SettingsError(
                f"{host} is open to others: set OAT_API_TOKEN to what they have to know, or stay on 127.0.0.1"
            )
        self._backend = Backend(settings)
        config = uvicorn.Config(
            wrap(application(self._backend), settings), log_config=None, log_level="error", access_log=False,
            server_header=False, proxy_headers=False, http=LimitedHttpProtocol,
            timeout_keep_alive=KEEP_ALIVE_TIMEOUT, timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_TIMEOUT,
        )  # fmt: skip
        self._server = _Server(config, self._backend)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host, port), family=family, backlog=BACKLOG)
        except UnicodeError:
            raise SettingsError(f"cannot serve on {host}, port {port}: this is no host") from None
        except OSError as error:
            raise OSError(f"cannot serve on {host}, port {port}: {error.strerror}") from error
        name = f"[{host}]" if ":" in host else host
        self.url = f"http://{name}:{self._socket.getsockname()[1]}/"

    def run(self) -> None:
        """Serve until `stop` is called.

        Raises:
            DatabaseError: the database rejects us for good.
            BrokerError: the broker does.
        """
        # uvicorn's event loop would handle signals in the main thread, where the command does.
        with ThreadPoolExecutor(1, "web") as thread:
            thread.submit(self._server.run, [self._socket]).result()
        if self._backend.publisher.error is not None:
            raise self._backend.publisher.error

    def stop(self) -> None:
        """Have `run` return; may be called from any thread or signal handler."""
        self._server.should_exit = True
