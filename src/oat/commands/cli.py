"""The commands: `oat-producer`, `oat-worker`, `oat-tracker`, and `oat` with all of them."""

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from typer.exceptions import TyperException

from oat.commands.options import (
    BrokerUrl,
    DatabaseUrl,
    LogFile,
    MetricsPort,
    Target,
    backing_services,
    make_settings,
)
from oat.commands.service import log_backing_services, serve
from oat.process import on_signal
from oat.settings import PermanentError, Settings, SettingsError, data_folder

log = logging.getLogger(__name__)

Threads = Annotated[
    int,
    typer.Option(min=1, max=256, help="How many images to render at once.", show_default="one more than cores"),
]
Seed = Annotated[
    int | None,
    typer.Option(help="Draw the same parameters again; UUIDs are new each time.", show_default=False),
]

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

THREADS = CORES + 1
"""One renders while another waits for Python's lock, or for its image to be stored."""

INTERRUPTED = 128 + signal.SIGINT
"""The exit code of a command that ended before its time, because somebody wanted it to."""

NICENESS = 5
"""How far `oat web` steps back: looking can wait, rendering should not. Where all processors are busy it gets a
quarter of one. Not in `oat run`: there the services would wait for Python's lock while the gallery holds it."""


def producer(
    min_tasks: Annotated[int, typer.Option(min=1, help="Tasks in a set, at least.")] = 1,
    max_tasks: Annotated[int, typer.Option(min=1, max=100_000, help="Tasks in a set, at most.")] = 10,
    min_pause: Annotated[float, typer.Option(min=0, help="Seconds between two sets, at least.")] = 1,
    max_pause: Annotated[float, typer.Option(min=0, max=86_400, help="Seconds, at most.")] = 10,
    min_width: Annotated[int, typer.Option(min=2, help="Pixels across.")] = 256,
    max_width: Annotated[int, typer.Option(min=2)] = 1024,
    min_height: Annotated[int, typer.Option(min=2, help="Pixels down.")] = 256,
    max_height: Annotated[int, typer.Option(min=2)] = 1024,
    min_iterations: Annotated[int, typer.Option(min=1, help="Steps an orbit is followed.")] = 128,
    max_iterations: Annotated[int, typer.Option(min=1)] = 512,
    min_xa: Annotated[float, typer.Option(help="Real part at the left edge.")] = -4,
    max_xa: Annotated[float, typer.Option()] = -1,
    min_xb: Annotated[float, typer.Option(help="Real part at the right edge.")] = 1,
    max_xb: Annotated[float, typer.Option()] = 4,
    min_ya: Annotated[float, typer.Option(help="Imaginary part at the top edge.")] = -3,
    max_ya: Annotated[float, typer.Option()] = -0.5,
    min_yb: Annotated[float, typer.Option(help="Imaginary part at the bottom edge.")] = 0.5,
    max_yb: Annotated[float, typer.Option()] = 3,
    one_shot: Annotated[bool, typer.Option("--one-shot", help="Produce one set and exit.")] = False,
    seed: Seed = None,
    broker_url: BrokerUrl = None,
    database_url: DatabaseUrl = None,
    log_file: LogFile = None,
    metrics_port: MetricsPort = None,
) -> None:
    """Make up random tasks, record each in the database and push it to the workers."""
    from oat.services import Producer, Ranges  # noqa: PLC0415 (a command loads what it needs, and no more)

    ranges = Ranges(
        tasks=(min_tasks, max_tasks),
        pause=(min_pause, max_pause),
        width=(min_width, max_width),
        height=(min_height, max_height),
        iterations=(min_iterations, max_iterations),
        xa=(min_xa, max_xa),
        xb=(min_xb, max_xb),
        ya=(min_ya, max_ya),
        yb=(min_yb, max_yb),
    )
    settings = make_settings(
        broker_url=broker_url, database_url=database_url, log_file=log_file, metrics_port=metrics_port
    )
    ranges.check(settings.limits)
    log_backing_services("producer", settings)
    serve(Producer(settings, ranges, seed, one_shot), settings)


def worker(
    target: Target = None,
    threads: Threads = THREADS,
    broker_url: BrokerUrl = None,
    database_url: DatabaseUrl = None,
    log_file: LogFile = None,
    metrics_port: MetricsPort = None,
) -> None:
    """Take tasks, render their images, and push results. Start as many workers as you like."""
    from oat.services import Worker  # noqa: PLC0415 (as above)

    settings = make_settings(
        broker_url=broker_url, database_url=database_url, target=target,
        log_file=log_file, metrics_port=metrics_port,
    )  # fmt: skip
    log_backing_services("worker", settings)
    service = Worker(settings, threads)
    serve(service, settings, service.renders)


def tracker(
    broker_url: BrokerUrl = None,
    database_url: DatabaseUrl = None,
    log_file: LogFile = None,
    metrics_port: MetricsPort = None,
) -> None:
    """Take results and update the records; send again what was lost on the way."""
    from oat.services import Tracker  # noqa: PLC0415 (as above)

    settings = make_settings(
        broker_url=broker_url, database_url=database_url, log_file=log_file, metrics_port=metrics_port
    )
    log_backing_services("tracker", settings)
    serve(Tracker(settings), settings)


def web(
    host: Annotated[
        str, typer.Option(envvar="OAT_HOST", help="The address; any but this machine's own needs OAT_API_TOKEN.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar="OAT_PORT", min=0, max=65535, help="The port; 0 takes a free one.")
    ] = 8080,
    target: Target = None,
    broker_url: BrokerUrl = None,
    database_url: DatabaseUrl = None,
    log_file: LogFile = None,
) -> None:
    """Show the gallery and the system at work in a browser, and serve the API."""
    from oat.web import WebServer  # noqa: PLC0415 (as above)

    settings = make_settings(broker_url=broker_url, database_url=database_url, target=target, log_file=log_file)
    log_backing_services("web", settings)
    service = WebServer(settings, host, port)
    os.nice(NICENESS)
    log.info("the gallery is at %s", service.url)
    serve(service, settings)


def run(
    tasks: Annotated[int, typer.Option(min=1, max=100_000, help="How many images to make.")] = 24,
    threads: Threads = THREADS,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Serve the gallery on this port, until Ctrl-C; 0 takes a free one.",
            show_default=False,
        ),
    ] = None,
    target: Target = None,
    seed: Seed = None,
    broker_url: BrokerUrl = None,
    database_url: DatabaseUrl = None,
    log_file: LogFile = None,
) -> None:
    """Run producer, worker and tracker together until all tasks are done, and show the result."""
    from oat.commands.pipeline import Run  # noqa: PLC0415 (as above)

    settings = make_settings(broker_url=broker_url, database_url=database_url, target=target, log_file=log_file)
    if log_file is None:
        logging.getLogger().setLevel(logging.WARNING)
    console = Console()
    for what, where in backing_services(settings):
        console.print(f"{what:9}{where}", highlight=False, soft_wrap=True, markup=False)
    job = Run(settings, tasks, threads, seed)
    interrupted = threading.Event()

    def stop() -> None:
        interrupted.set()
        job.stop()

    on_signal(stop, job.renders, INTERRUPTED)
    columns = TextColumn("Rendering"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    try:
        with contextlib.ExitStack() as stack:
            url = stack.enter_context(_gallery(settings, port))
            with console.status("Loading the renderer (the first time, it is compiled)"):
                stack.enter_context(job)
            if url:
                console.print(f"gallery  {url}", soft_wrap=True)
            with Progress(*columns, console=console, refresh_per_second=2) as bar:
                images = bar.add_task("images", total=tasks)
                while not (state := job.progress()).finished:
                    bar.update(images, completed=state.done + state.failed)
                    job.wait(state.poll_interval)
                bar.update(images, completed=tasks)
            sheet = data_folder() / "contact-sheet.png"
            sheet.parent.mkdir(parents=True, exist_ok=True)
            with console.status("Drawing all images on one sheet"):
                job.contact_sheet(sheet)
            table = Table(show_header=False)
            for row in (
                ("done", f"{state.done} of {tasks}"),
                ("failed", str(state.failed)),
                ("speed", f"{state.done / state.seconds:.1f} images/s with {threads} thread(s)"),
                ("images", settings.target),
                ("all on one sheet", str(sheet)),
            ):
                table.add_row(*row)
            console.print(table)
            if url:
                console.print("The gallery is open until Ctrl-C.")
                interrupted.wait()
    except (PermanentError, KeyboardInterrupt):
        if not interrupted.is_set():
            raise
        console.print("Interrupted. Start oat-worker and oat-tracker, side by side, to finish what is recorded.")
        raise typer.Exit(INTERRUPTED) from None
    if state.failed:
        raise typer.Exit(1)


@contextlib.contextmanager
def _gallery(settings: Settings, port: int | None) -> Iterator[str | None]:
    """Serve the gallery in a thread of its own, if there is a `port` for it, and yield its URL."""
    if port is None:
        yield None
        return
    from oat.web import WebServer  # noqa: PLC0415 (as above)

    service = WebServer(settings, "127.0.0.1", port)
    thread = threading.Thread(target=service.run, name="web")
    thread.start()
    try:
        yield service.url
    finally:
        service.stop()
        thread.join()


def _application(**commands: Callable[..., None]) -> typer.Typer:
    application = typer.Typer(
        no_args_is_help=len(commands) > 1,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="The OpenStack application tutorial: a small distributed program that renders Julia sets.",
    )
    for name, command in commands.items():
        application.command(name)(command)
    return application


def main() -> NoReturn:
    """`oat`."""
    from oat.commands import fractals as commands  # noqa: PLC0415 (as above)

    _main(
        _application(
            run=run, producer=producer, worker=worker, tracker=tracker, web=web,
            create=commands.create, list=commands.list_, show=commands.show, get=commands.get,
            delete=commands.delete, retry=commands.retry, status=commands.status, audit=commands.audit,
        )
    )  # fmt: skip


def producer_main() -> NoReturn:
    """`oat-producer`."""
    _main(_application(producer=producer))


def worker_main() -> NoReturn:
    """`oat-worker`."""
    _main(_application(worker=worker))


def tracker_main() -> NoReturn:
    """`oat-tracker`."""
    _main(_application(tracker=tracker))


def _main(application: typer.Typer) -> NoReturn:
    """Run the command; whatever goes wrong for a known reason is one line."""
    try:
        status = application(standalone_mode=False)
    except (TyperException, PermanentError, OSError) as error:
        logging.shutdown()  # what was logged came before
        usage = isinstance(error, TyperException | SettingsError)
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        if message:
            hint = " (--help explains the options)" if isinstance(error, TyperException) else ""
            print(f"{Path(sys.argv[0]).name}: {message}{hint}", file=sys.stderr)
        sys.exit(getattr(error, "exit_code", 2 if usage else 1))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)
