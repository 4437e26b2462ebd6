"""The commands that ask: for fractals, for their images, and whether all is well."""

import asyncio
import sys
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from oat.commands.client import Api, Call, ClientError
from oat.commands.options import BrokerUrl, DatabaseUrl, Target, backing_services
from oat.messaging import DEAD_LETTERS, RESULTS, TASKS
from oat.process import format_duration
from oat.records import Fractal, Status
from oat.services import ADVICE, Report, Statistics, Step, run_audit

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
    request_ = {name: value for name, value in given.items() if value is not None}
    call = Call(api_url, as_json, broker_url, database_url)

    async def work(api: Api) -> None:
        fractals = (await api.ask("POST", "/v1/fractals", json=request_)).json()["fractals"]
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
    uuids: Uuids,
    api_url: ApiUrl = None,
    broker_url: BrokerUrl = None,
    database_url: DatabaseUrl = None,
    target: Target = None,
) -> None:
    """Send fractals again that have failed, or whose image is missing or damaged."""
    call = Call(api_url, broker_url=broker_url, database_url=database_url, target=target)

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


def audit(
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    broker_url: BrokerUrl = None,
    database_url: DatabaseUrl = None,
    target: Target = None,
) -> None:
    """Compare records, images and queues; exit with 1 if anything does not add up."""
    call = Call(api_url, as_json, broker_url, database_url, target)
    columns = TextColumn("Comparing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        records = bar.add_task("records", total=None)
        steps: deque[Step] = deque(maxlen=1)

        def follow(step: Step) -> None:
            bar.update(records, total=step.records, completed=step.compared)
            steps.append(step)

        async def work(api: Api) -> None:
            async for line in api.lines("POST", "/v1/audit"):
                follow(Step.model_validate_json(line))

        if call.api_url:
            call.run(work)
        else:  # the same, seen while it goes on: an API in this process would answer only at the end
            for step in run_audit(call.settings):
                follow(step)
    report = steps[0].report if steps else None
    if report is None:
        raise ClientError(f"the API at {call.api_url} broke off its audit; its log says why")
    if as_json:
        print(report.model_dump_json())
    else:
        _print_report(report, [("api", call.api_url)] if call.api_url else backing_services(call.settings))
    if report.problems:
        raise typer.Exit(1)


def _table(fractals: list[dict[str, Any]]) -> Table:
    table = Table(box=SIMPLE_HEAD, caption=None if fractals else "none", pad_edge=False)
    for name in ("uuid", "status", "pixels", "took", "recorded"):
        table.add_column(name, no_wrap=True)
    for each in map(Fractal.model_validate, fractals):
        table.add_row(
            str(each.uuid),
            each.status,
            f"{each.width}×{each.height}",
            format_duration(each.duration),
            f"{each.created_at:%m-%d %H:%M}",
        )
    return table


def _overview(now: Statistics) -> RenderableType:
    table = Table(show_header=False, title=f"{now.at:%H:%M:%S} UTC", title_justify="left")
    for name, value in (
        ("unpublished", now.unpublished),
        ("queued", now.queued),
        ("unacknowledged", now.unacknowledged),
        ("results queued", now.results),
        ("done", now.done),
        ("failed", now.failed),
        ("dead letters", now.dead_letters),
        ("done a minute", f"{now.done_per_minute:.0f}"),
        ("failed a minute", f"{now.failed_per_minute:.0f}"),
        ("record to done", f"{format_duration(now.p50)} (p50), {format_duration(now.p95)} (p95)"),
        *((f"worker {each.name}", f"{each.images_per_second:.1f} images/s") for each in now.workers),
    ):
        table.add_row(name, "–" if value is None else str(value))
    return Group(table, *(f"[bold]{warning}" for warning in now.warnings))


def _print_report(report: Report, where: list[tuple[str, str]]) -> None:
    states = ", ".join(f"{report.records.get(status, 0)} {status}" for status in Status)
    queues = report.queues
    for what, found in (
        *where,
        ("records", f"{sum(report.records.values())}: {states}"),
        ("stored", f"{report.images} image(s)"),
        ("unpublished", f"{report.unpublished} task(s)"),
        ("queued", f"{queues[TASKS]} task(s), {queues[RESULTS]} result(s), {queues[DEAD_LETTERS]} dead letter(s)"),
    ):
        print(f"{what:9}{found}")
    for problem, count in report.problems.items():
        print(f"\n{count} × {ADVICE[problem]}", *report.cases[problem], sep="\n  ")
    print("\nThis does not add up." if report.problems else "\nEverything adds up.")
