"""`oat status`: the state of the system, on a terminal with live numbers."""

import asyncio
import sys
from contextlib import suppress
from typing import Annotated

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table

from oat.commands.client import Api, Client, client_options
from oat.process import format_duration
from oat.services import Statistics

POLL_INTERVAL = 1.0
"""Seconds between two requests for the statistics, which change no sooner."""


def status(*, client: Annotated[Client, client_options("broker_url", "database_url")]) -> None:
    """Show how the system is doing: on a terminal, until Ctrl-C."""

    async def work(api: Api) -> None:
        async def poll() -> Statistics:
            return Statistics.model_validate((await api.send("GET", "/v1/statistics")).json())

        first = await poll()
        if client.as_json or not sys.stdout.isatty():
            client.show(first.model_dump(mode="json"), lambda: _overview(first))
            return
        with Live(_overview(first), auto_refresh=False) as live:
            while True:
                await asyncio.sleep(POLL_INTERVAL)
                live.update(_overview(await poll()), refresh=True)

    with suppress(KeyboardInterrupt):
        client.run(work, broker=True)


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
