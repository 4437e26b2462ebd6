"""The commands that run a service until a signal stops it: `producer`, `worker`, `tracker` and `web`."""

import logging
import os
from typing import Annotated

import typer

from oat.commands.options import DEFAULT_THREADS, Seed, Threads, ranges_options, settings_options
from oat.commands.serving import log_backing_services, serve
from oat.services import Ranges
from oat.settings import Settings

log = logging.getLogger(__name__)

NICENESS = 5
"""What `oat web` adds to its niceness, so that rendering goes first: where all processors are busy, it gets a
quarter of one. Not in `oat run`: there the services would wait for Python's lock while the gallery holds it."""


def producer(
    *,
    ranges: Annotated[Ranges, ranges_options()],
    one_shot: Annotated[bool, typer.Option("--one-shot", help="Produce one set and exit.")] = False,
    seed: Seed = None,
    settings: Annotated[Settings, settings_options("broker_url", "database_url", "log_file", "metrics_port")],
) -> None:
    """Make up random tasks, record each in the database and push it to the workers."""
    from oat.services import Producer  # noqa: PLC0415 (each service loads what it needs, and no more)

    ranges.check(settings.limits)
    log_backing_services("producer", settings)
    serve(Producer(settings, ranges, seed, one_shot), settings)


def worker(
    *,
    threads: Threads = DEFAULT_THREADS,
    settings: Annotated[
        Settings, settings_options("target", "broker_url", "database_url", "log_file", "metrics_port")
    ],
) -> None:
    """Take tasks, render their images, and push results. Start as many workers as you like."""
    from oat.services import Worker  # noqa: PLC0415 (as above)

    log_backing_services("worker", settings)
    service = Worker(settings, threads)
    serve(service, settings, service.is_busy)


def tracker(
    *,
    settings: Annotated[Settings, settings_options("broker_url", "database_url", "log_file", "metrics_port")],
) -> None:
    """Take results and update the records; send again what was lost on the way."""
    from oat.services import Tracker  # noqa: PLC0415 (as above)

    log_backing_services("tracker", settings)
    serve(Tracker(settings), settings)


def web(
    *,
    host: Annotated[
        str, typer.Option(envvar="OAT_HOST", help="The address; any but this machine's own needs OAT_API_TOKEN.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar="OAT_PORT", min=0, max=65535, help="The port; 0 takes a free one.")
    ] = 8080,
    settings: Annotated[Settings, settings_options("target", "broker_url", "database_url", "log_file")],
) -> None:
    """Show the gallery and the system at work in a browser, and serve the API."""
    from oat.web import WebServer  # noqa: PLC0415 (as above)

    log_backing_services("web", settings)
    service = WebServer(settings, host, port)
    os.nice(NICENESS)
    log.info("the gallery is at %s", service.url)
    serve(service, settings)
