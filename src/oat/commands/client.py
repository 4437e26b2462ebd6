"""The client: how a command uses the API.

Without `--api-url` the same API runs in this process, on the backing services of the settings: so there is one way
to do each thing.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any

import httpx
import typer

from oat.addresses import ApiAddress, parse_api_url
from oat.commands.option_groups import OptionGroup, option
from oat.commands.options import make_settings, settings_options
from oat.settings import PermanentError, Settings, SettingsError

BROKER_TIMEOUT = 5.0
"""Seconds to wait for the connection to the broker; without it, tasks are recorded, and published by a service."""

TIMEOUT = 60.0
"""Seconds that a response may take: a large request waits for the database, a thumbnail for the store."""

AS_JSON = option("as_json", Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")], False)

API_URL = option(
    "api_url",
    Annotated[
        str | None,
        typer.Option(
            envvar="OAT_API_URL",
            help="Ask the API at this address, with the token OAT_API_TOKEN; unset, the database itself.",
            show_default=False,
        ),
    ],
)


class ClientError(PermanentError):
    """The API cannot be reached, or has returned a problem."""


class Api:
    """The API, at an address or in this process."""

    def __init__(self, http: httpx.AsyncClient, name: str) -> None:
        self._http = http
        self._name = name

    async def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request and return its response.

        Raises:
            ClientError: there is none, or it is a problem.
        """
        with self._errors():
            response = await self._http.request(method, path, **options)
        self._check(response)
        return response

    async def lines(self, method: str, path: str) -> AsyncIterator[str]:
        """Send a request and yield the lines of its response as they come.

        Raises:
            ClientError: there is none, it is a problem, or it breaks off.
        """
        with self._errors():
            async with self._http.stream(method, path) as response:
                if response.is_error:
                    await response.aread()
                self._check(response)
                async for line in response.aiter_lines():
                    yield line

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise ClientError(f"the API at {self._name} cannot be reached: {reason}") from error

    def _check(self, response: httpx.Response) -> None:
        if response.is_error:
            try:
                detail = response.json()["detail"]
            except (ValueError, LookupError, TypeError):
                detail = f"{self._name} answered {response.status_code} {response.reason_phrase}"
            raise ClientError(detail)


@asynccontextmanager
async def _connected(api: ApiAddress | None, settings: Settings, broker: bool) -> AsyncIterator[Api]:
    if api:
        async with _http_client(api, settings) as http:
            yield Api(http, api.name)
        return
    from oat.web import Backend, application  # noqa: PLC0415 (it takes its time to load, and not all commands need it)

    backend = Backend(settings)
    await asyncio.to_thread(backend.catalog.prepare)
    transport = httpx.ASGITransport(application(backend))
    async with httpx.AsyncClient(base_url="http://localhost", transport=transport) as http:
        if broker:
            async with backend.running():
                await asyncio.to_thread(backend.publisher.polled.wait, BROKER_TIMEOUT)
                yield Api(http, "this process")
        else:
            yield Api(http, "this process")
    backend.catalog.close()
    if backend.publisher.error:
        raise backend.publisher.error


def _http_client(api: ApiAddress, settings: Settings) -> httpx.AsyncClient:
    token = settings.api_token.get_secret_value() if settings.api_token else None
    if token and api.basic:
        raise SettingsError("OAT_API_URL has a password, and OAT_API_TOKEN is set: leave one of them out")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        return httpx.AsyncClient(base_url=api.url, headers=headers, auth=api.basic, timeout=TIMEOUT)
    except OSError as error:
        raise SettingsError(f"SSL_CERT_FILE, SSL_CERT_DIR, SSLKEYLOGFILE: {error.strerror}") from None
    except (ValueError, ImportError, httpx.InvalidURL):  # also for SOCKS, for which it wants another library
        raise SettingsError(
            "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY: expected http://host:port; NO_PROXY: names, separated by commas"
        ) from None


class Client:
    """What a command needs to use the API: where it is, and how to print its responses.

    Args:
        api: the address of the API; None runs it in this process.
        as_json: whether to print JSON.
        settings: the backing services of an API in this process.
    """

    def __init__(self, api: ApiAddress | None, as_json: bool, settings: Settings) -> None:
        self.api = api
        self.as_json = as_json
        self.settings = settings

    def run(self, work: Callable[[Api], Coroutine[Any, Any, None]], broker: bool = False) -> None:
        """Run `work` on the API; `broker` is whether it needs a connection to the broker.

        Raises:
            ClientError: the API cannot be reached, or has returned a problem.
        """

        async def connected() -> None:
            async with _connected(self.api, self.settings, broker) as api:
                await work(api)

        asyncio.run(connected())

    def show(self, data: Any, print_table: Callable[[], None]) -> None:
        """Print `data` as JSON, or have it printed for people."""
        if self.as_json:
            print(json.dumps(data))
        else:
            print_table()


def client_options(*settings: str, as_json: bool = True) -> OptionGroup:
    """Return the options that make a `Client`: `--api-url`, those of `settings`, and `--json` if it prints any."""
    options = [*([AS_JSON] if as_json else []), API_URL, *settings_options(*settings).options]
    return OptionGroup(options, _make_client)


def _make_client(api_url: str | None, as_json: bool = False, **given: Any) -> Client:
    settings = make_settings(**given)
    logging.getLogger().setLevel(logging.WARNING)
    return Client(parse_api_url(api_url) if api_url else None, as_json, settings)
