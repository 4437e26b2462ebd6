"""The commands on fractals: `oat create`, `list`, `show`, `get`, `cancel`, `delete` and `retry`."""

import sys
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from oat.commands.client import Api, Client, ClientError, client_options
from oat.commands.options import request_options
from oat.commands.output import print_pairs, print_rows, printable
from oat.process import format_duration, format_time
from oat.records import Fractal, Status
from oat.services import FractalRequest

PAGE_SIZE = 200
"""Fractals requested at once, the most that the API returns."""

OneUuid = Annotated[UUID, typer.Argument(help="The UUID of the fractal.", show_default=False)]
Uuids = Annotated[list[UUID], typer.Argument(help="The UUIDs of the fractals.", show_default=False)]


def create(
    *,
    request: Annotated[FractalRequest, request_options()],
    client: Annotated[Client, client_options("broker_url", "database_url")],
) -> None:
    """Ask for fractals; what is not given is drawn at random."""

    async def work(api: Api) -> None:
        body = request.model_dump(exclude_none=True)
        fractals = (await api.send("POST", "/v1/fractals", json=body)).json()["fractals"]
        client.show(fractals, lambda: _print(fractals))

    client.run(work, broker=True)


def list_(
    *,
    status: Annotated[Status | None, typer.Option(help="Only those of this state.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    client: Annotated[Client, client_options("database_url")],
) -> None:
    """List the fractals, newest first; times are in UTC. Piped, a line each, with tabs."""

    async def work(api: Api) -> None:
        fractals: list[dict[str, Any]] = []
        query: dict[str, Any] = {"status": str(status)} if status else {}
        while left := limit - len(fractals):
            page = (await api.send("GET", "/v1/fractals", params=query | {"limit": min(left, PAGE_SIZE)})).json()
            fractals += page["fractals"]
            if page["older"] is None:
                break
            query["older"] = page["older"]
        client.show(fractals, lambda: _print(fractals))

    client.run(work)


def show(*, uuid: OneUuid, client: Annotated[Client, client_options("database_url")]) -> None:
    """Show everything that is known of one fractal; times are in UTC."""

    async def work(api: Api) -> None:
        fractal = (await api.send("GET", f"/v1/fractals/{uuid}")).json()

        pairs = [(name, value) for name, value in fractal.items() if value is not None]
        client.show(fractal, lambda: print_pairs(pairs))

    client.run(work)


def get(
    *,
    uuid: OneUuid,
    file: Annotated[
        Path | None,
        typer.Argument(help="Where to; - is the standard output.", show_default="UUID.png", dir_okay=False),
    ] = None,
    client: Annotated[Client, client_options("database_url", "target", as_json=False)],
) -> None:
    """Write the image of one fractal to a file."""

    async def work(api: Api) -> None:
        image = (await api.send("GET", f"/v1/fractals/{uuid}/image")).content
        if file == Path("-"):
            sys.stdout.buffer.write(image)
            return
        path = file or Path(f"{uuid}.png")
        try:
            path.write_bytes(image)
        except OSError as error:
            raise ClientError(f"{path}: {error.strerror}; FILE is where to, - is the standard output") from error
        print(printable(path))

    client.run(work)


def cancel(
    *,
    uuids: Annotated[
        list[UUID] | None, typer.Argument(help="The UUIDs of the fractals.", show_default=False)
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="All that are waiting, instead of some.")] = False,
    client: Annotated[Client, client_options("broker_url", "database_url", as_json=False)],
) -> None:
    """Cancel fractals that are waiting: their tasks are taken out of the queue."""
    if bool(uuids) == all_:
        raise typer.BadParameter("name the UUIDs of the fractals to cancel, or --all")

    async def work(api: Api) -> None:
        for uuid in uuids or ():
            fractal = (await api.send("POST", f"/v1/fractals/{uuid}/cancel")).json()
            print(f"{fractal['status']} {uuid}")
        if all_:
            done = (await api.send("POST", "/v1/cancel")).json()
            removed = "their messages are still to be removed" if done["removed"] is None else done["removed"]
            print(f"cancelled {done['cancelled']} task(s); messages removed from the queue: {removed}")

    client.run(work, broker=True)


def delete(
    *, uuids: Uuids, client: Annotated[Client, client_options("database_url", "target", as_json=False)]
) -> None:
    """Delete fractals and their images; one that is waiting has to be done, failed or cancelled first."""

    async def work(api: Api) -> None:
        for uuid in uuids:
            await api.send("DELETE", f"/v1/fractals/{uuid}")
            print(f"deleted {uuid}")

    client.run(work)


def retry(
    *,
    uuids: Uuids,
    client: Annotated[Client, client_options("broker_url", "database_url", "target", as_json=False)],
) -> None:
    """Send fractals again that failed or were cancelled, or whose image is missing or damaged."""

    async def work(api: Api) -> None:
        for uuid in uuids:
            await api.send("POST", f"/v1/fractals/{uuid}/retry")
            print(f"sent {uuid} again")

    client.run(work, broker=True)


def _print(fractals: list[dict[str, Any]]) -> None:
    print_rows(
        ("uuid", "status", "pixels", "took", "recorded"),
        (
            (
                each.uuid,
                each.status,
                f"{each.width}×{each.height}",
                format_duration(each.duration),
                format_time(each.created_at),
            )
            for each in map(Fractal.model_validate, fractals)
        ),
    )
