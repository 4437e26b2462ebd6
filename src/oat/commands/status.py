"""`oat status`: the state of the system, on a terminal with live numbers."""

import asyncio
import sys
from contextlib import suppress
from typing import Annotated

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from oat.commands.client import Api, Client, client_options
from oat.commands.output import Output, pairs_table, print_pairs, printable
from oat.commands.serving import what_is_asked
from oat.process import format_duration, format_time
from oat.services import Statistics

Addresses = list[tuple[str, str]]
"""Of what is asked, each with its name."""

POLL_INTERVAL = 1.0
"""Seconds between two requests for the statistics, which change no sooner."""


def status(*, client: Annotated[Client, client_options("broker_url", "database_url")]) -> None:
    """Show how the system is doing: on a terminal, until Ctrl-C."""
    # Whoever forgets to name a broker and a database asks those of the data folder. Images are not counted.
    asked = [pair for pair in what_is_asked(client.api, client.settings) if pair[0] != "images"]

    async def work(api: Api) -> None:
        async def poll() -> Statistics:
            return Statistics.model_validate((await api.send("GET", "/v1/statistics")).json())

        first = await poll()
        if client.as_json or not sys.stdout.isatty():
            client.show(first.model_dump(mode="json"), lambda: _print(asked, first))
            return
        with Live(_overview(asked, first), console=Output(), auto_refresh=False) as live:
            while True:
                await asyncio.sleep(POLL_INTERVAL)
                live.update(_overview(asked, await poll()), refresh=True)

    with suppress(KeyboardInterrupt):
        client.run(work, broker=True)


def _print(asked: Addresses, now: Statistics) -> None:
    print_pairs([("at", format_time(now.at)), *asked, *_pairs(now), *(("warning", each) for each in now.warnings)])


def _overview(asked: Addresses, now: Statistics) -> RenderableType:
    warnings = (Text(printable(warning), style="bold") for warning in now.warnings)
    return Group(pairs_table([*asked, *_pairs(now)], title=f"{now.at:%H:%M:%S} UTC"), *warnings)


def _pairs(now: Statistics) -> list[tuple[str, object]]:
    pairs = (
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
    )
    return [(name, "–" if value is None else value) for name, value in pairs]
