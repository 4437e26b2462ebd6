"""The client: the commands that ask for fractals and look at them, over the API.

Without `--api-url` the same API answers in this process, on the database, the broker and the store that are set:
there is one way to do each thing.
"""

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import httpx
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table

from oat.catalog import Fractal
from oat.options import BrokerUrl, DatabaseUrl, Target, make_settings
from oat.schema import Status
from oat.settings import Settings, UnusableError
from oat.web.format import seconds
from oat.web.statistics import Statistics

PATIENCE = 5.0
"""Seconds that the broker may take to be there."""

TIMEOUT = 60.0
"""Seconds an answer may take."""

PAGE = 200
"""Fractals asked for at once."""

ApiUrl = Annotated[
    str | None,
    typer.Option(
        envvar="OAT_API_URL",
        help="Ask the API at this address, with the token OAT_API_TOKEN; unset, the database itself.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
OneUuid = Annotated[UUID, typer.Argument(help="The UUID of the fractal.", show_default=False)]
Uuids = Annotated[list[UUID], typer.Argument(help="The UUIDs of the fractals.", show_default=False)]


class ClientError(UnusableError):
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
        try:
            response = await self._http.request(method, path, **options)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise ClientError(f"the API at {self._http.base_url} cannot be reached: {reason}") from error
        if response.is_error:
            try:
                detail = response.json()["detail"]
            except (ValueError, LookupError, TypeError):
                detail = f"{self._http.base_url} answered {response.status_code} {response.reason_phrase}"
            raise ClientError(detail)
        return response


@asynccontextmanager
async def _connected(api_url: str | None, settings: Settings, broker: bool) -> AsyncIterator[Api]:
    if api_url:
        token = settings.api_token.get_secret_value() if settings.api_token else None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with httpx.AsyncClient(base_url=api_url, headers=headers, timeout=TIMEOUT) as http:
            yield Api(http)
        return
    from oat.web.app import application  # noqa: PLC0415 (it takes its time to load, and not all commands need it)
    from oat.web.backend import Backend  # noqa: PLC0415 (as above)

    backend = Backend(settings)
    await asyncio.to_thread(backend.catalog.prepare)
    transport = httpx.ASGITransport(application(backend))
    async with httpx.AsyncClient(base_url="http://localhost", transport=transport) as http:
        if broker:
            async with backend.running():
                await asyncio.to_thread(backend.publisher.looked.wait, PATIENCE)
                yield Api(http)
        else:
            yield Api(http)
    backend.catalog.close()
    if backend.publisher.fault:
        raise backend.publisher.fault


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
        self._api_url = api_url
        self._settings = make_settings(broker_url=broker_url, database_url=database_url, target=target)
        logging.getLogger().setLevel(logging.WARNING)
        self.as_json = as_json

    def run(self, work: Callable[[Api], Coroutine[Any, Any, None]], broker: bool = False) -> None:
        """Do `work`; `broker` is whether it needs one."""

        async def connected() -> None:
            async with _connected(self._api_url, self._settings, broker) as api:
                await work(api)

        asyncio.run(connected())

    def show(self, data: Any, table: Callable[[], RenderableType]) -> None:
        """Print `data` as JSON, or the `table` of it."""
        if self.as_json:
            print(json.dumps(data))
        else:
            Console().print(table())


def create(
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 1,
    width: Annotated[int | None, typer.Option(min=2, help="Pixels across.")] = None,
    height: Annotated[int | None, typer.Option(min=2, help="Pixels down.")] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="Steps an orbit is followed.")] = None,
    xa: Annotated[float | None, typer.Option(help="Real part at the left edge.")] = None,
    xb: Annotated[float | None, typer.Option(help="Real part at the right edge.")] = None,
    ya: Annotated[float | None, typer.Option(help="Imaginary part at the top edge.")] = None,
    yb: Annotated[float | None, typer.Option(help="Imaginary part at the bottom edge.")] = None,
    cx: Annotated[float | None, typer.Option(help="Real part of c; comes with --cy.")] = None,
    cy: Annotated[float | None, typer.Option(help="Imaginary part of c; comes with --cx.")] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    broker_url: BrokerUrl = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Ask for fractals; what is not given is drawn at random."""
    given = {
        "count": count, "width": width, "height": height, "iterations": iterations,
        "xa": xa, "xb": xb, "ya": ya, "yb": yb, "cx": cx, "cy": cy,
    }  # fmt: skip
    wish = {name: value for name, value in given.items() if value is not None}
    call = Call(api_url, as_json, broker_url, database_url)

    async def work(api: Api) -> None:
        fractals = (await api.ask("POST", "/v1/fractals", json=wish)).json()["fractals"]
        call.show(fractals, lambda: _table(fractals))

    call.run(work, broker=True)


def list_(
    status: Annotated[Status | None, typer.Option(help="Only those of this state.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List the fractals, newest first."""
    call = Call(api_url, as_json, database_url=database_url)

    async def work(api: Api) -> None:
        fractals: list[dict[str, Any]] = []
        query: dict[str, Any] = {"status": str(status)} if status else {}
        while left := limit - len(fractals):
            page = (await api.ask("GET", "/v1/fractals", params=query | {"limit": min(left, PAGE)})).json()
            fractals += page["fractals"]
            if page["older"] is None:
                break
            query["older"] = page["older"]
        call.show(fractals, lambda: _table(fractals))

    call.run(work)


def show(uuid: OneUuid, as_json: AsJson = False, api_url: ApiUrl = None, database_url: DatabaseUrl = None) -> None:
    """Show everything that is known of one fractal."""
    call = Call(api_url, as_json, database_url=database_url)

    async def work(api: Api) -> None:
        fractal = (await api.ask("GET", f"/v1/fractals/{uuid}")).json()

        def table() -> Table:
            rows = Table(show_header=False)
            rows.add_column(no_wrap=True)
            rows.add_column(overflow="fold")
            for name, value in fractal.items():
                if value is not None:
                    rows.add_row(name, str(value))
            return rows

        call.show(fractal, table)

    call.run(work)


def get(
    uuid: OneUuid,
    file: Annotated[
        Path | None,
        typer.Argument(help="Where to; - is the standard output.", show_default="UUID.png", dir_okay=False),
    ] = None,
    api_url: ApiUrl = None,
    database_url: DatabaseUrl = None,
    target: Target = None,
) -> None:
    """Write the image of one fractal to a file."""
    call = Call(api_url, database_url=database_url, target=target)

    async def work(api: Api) -> None:
        image = (await api.ask("GET", f"/v1/fractals/{uuid}/image")).content
        if file == Path("-"):
            sys.stdout.buffer.write(image)
            return
        path = file or Path(f"{uuid}.png")
        path.write_bytes(image)
        print(path)

    call.run(work)


def delete(uuids: Uuids, api_url: ApiUrl = None, database_url: DatabaseUrl = None, target: Target = None) -> None:
    """Delete fractals and their images; one that is waiting has to be done or failed first."""
    call = Call(api_url, database_url=database_url, target=target)

    async def work(api: Api) -> None:
        for uuid in uuids:
            await api.ask("DELETE", f"/v1/fractals/{uuid}")
            print(f"deleted {uuid}")

    call.run(work)


def retry(
    uuids: Uuids, api_url: ApiUrl = None, broker_url: BrokerUrl = None, database_url: DatabaseUrl = None
) -> None:
    """Send failed fractals again."""
    call = Call(api_url, broker_url=broker_url, database_url=database_url)

    async def work(api: Api) -> None:
        for uuid in uuids:
            await api.ask("POST", f"/v1/fractals/{uuid}/retry")
            print(f"sent {uuid} again")

    call.run(work, broker=True)


def status(
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    broker_url: BrokerUrl = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Show how the system is doing: on a terminal, until Ctrl-C."""
    call = Call(api_url, as_json, broker_url, database_url)

    async def work(api: Api) -> None:
        async def look() -> Statistics:
            return Statistics.model_validate((await api.ask("GET", "/v1/statistics")).json())

        first = await look()
        if as_json or not sys.stdout.isatty():
            call.show(first.model_dump(mode="json"), lambda: _overview(first))
            return
        with Live(_overview(first), auto_refresh=False) as live:
            while True:
                await asyncio.sleep(1)
                live.update(_overview(await look()), refresh=True)

    with suppress(KeyboardInterrupt):
        call.run(work, broker=True)


def _table(fractals: list[dict[str, Any]]) -> Table:
    table = Table(box=SIMPLE_HEAD, caption=None if fractals else "none", pad_edge=False)
    for name in ("uuid", "status", "pixels", "took", "recorded"):
        table.add_column(name, no_wrap=True)
    for each in map(Fractal.model_validate, fractals):
        table.add_row(
            str(each.uuid),
            each.status,
            f"{each.width}×{each.height}",
            seconds(each.duration),
            f"{each.created_at:%m-%d %H:%M}",
        )
    return table


def _overview(now: Statistics) -> RenderableType:
    table = Table(show_header=False, title=f"{now.at:%H:%M:%S} UTC", title_justify="left")
    for name, value in (
        ("unsent", now.unsent),
        ("queued", now.queued),
        ("unacknowledged", now.unacknowledged),
        ("results queued", now.results),
        ("done", now.done),
        ("failed", now.failed),
        ("dead letters", now.dead_letters),
        ("done a minute", f"{now.done_per_minute:.0f}"),
        ("failed a minute", f"{now.failed_per_minute:.0f}"),
        ("record to done", f"{seconds(now.p50)} (p50), {seconds(now.p95)} (p95)"),
        *((f"worker {each.name}", f"{each.images_per_second:.1f} images/s") for each in now.workers),
    ):
        table.add_row(name, "–" if value is None else str(value))
    return Group(table, *(f"[bold]{warning}" for warning in now.warnings))
