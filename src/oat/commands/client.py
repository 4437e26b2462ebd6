"""The client: how a command asks the API.

Without `--api-url` the same API answers in this process, on the database, the broker and the store that are set:
there is one way to do each thing.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
from rich.console import Console, RenderableType

from oat.commands.options import make_settings
from oat.settings import PermanentError, Settings

BROKER_TIMEOUT = 5.0
"""Seconds that the broker may take to be there."""

TIMEOUT = 60.0
"""Seconds an answer may take."""


class ClientError(PermanentError):
    """The API cannot be reached, or said no."""


class Api:
    """The API, wherever it is."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Return the answer to a request.

        Raises:
            ClientError: there is none, or it is a problem.
        """
        with self._faults():
            response = await self._http.request(method, path, **options)
        self._check(response)
        return response

    async def lines(self, method: str, path: str) -> AsyncIterator[str]:
        """Yield the lines of the answer to a request as they come.

        Raises:
            ClientError: there is none, it is a problem, or it breaks off.
        """
        with self._faults():
            async with self._http.stream(method, path) as response:
                if response.is_error:
                    await response.aread()
                self._check(response)
                async for line in response.aiter_lines():
                    yield line

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise ClientError(f"the API at {self._http.base_url} cannot be reached: {reason}") from error

    def _check(self, response: httpx.Response) -> None:
        if response.is_error:
            try:
                detail = response.json()["detail"]
            except (ValueError, LookupError, TypeError):
                detail = f"{self._http.base_url} answered {response.status_code} {response.reason_phrase}"
            raise ClientError(detail)


@asynccontextmanager
async def _connected(api_url: str | None, settings: Settings, broker: bool) -> AsyncIterator[Api]:
    if api_url:
        token = settings.api_token.get_secret_value() if settings.api_token else None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with httpx.AsyncClient(base_url=api_url, headers=headers, timeout=TIMEOUT) as http:
            yield Api(http)
        return
    from oat.web import Backend, application  # noqa: PLC0415 (it takes its time to load, and not all commands need it)

    backend = Backend(settings)
    await asyncio.to_thread(backend.catalog.prepare)
    transport = httpx.ASGITransport(application(backend))
    async with httpx.AsyncClient(base_url="http://localhost", transport=transport) as http:
        if broker:
            async with backend.running():
                await asyncio.to_thread(backend.publisher.polled.wait, BROKER_TIMEOUT)
                yield Api(http)
        else:
            yield Api(http)
    backend.catalog.close()
    if backend.publisher.error:
        raise backend.publisher.error


class Call:
    """One command: where it asks, and how it shows the answer."""

    def __init__(
        self,
        api_url: str | None,
        as_json: bool = False,
        broker_url: str | None = None,
        database_url: str | None = None,
        target: str | None = None,
    ) -> None:
        self.api_url = api_url
        self.settings = make_settings(broker_url=broker_url, database_url=database_url, target=target)
        logging.getLogger().setLevel(logging.WARNING)
        self.as_json = as_json

    def run(self, work: Callable[[Api], Coroutine[Any, Any, None]], broker: bool = False) -> None:
        """Do `work`; `broker` is whether it needs one."""

        async def connected() -> None:
            async with _connected(self.api_url, self.settings, broker) as api:
                await work(api)

        asyncio.run(connected())

    def show(self, data: Any, table: Callable[[], RenderableType]) -> None:
        """Print `data` as JSON, or the `table` of it."""
        if self.as_json:
            print(json.dumps(data))
        else:
            Console().print(table())
