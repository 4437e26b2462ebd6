"""`oat run`: all services in one command, with a progress bar, and the images on one sheet at the end."""

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar

from oat.commands.errors import INTERRUPTED
from oat.commands.options import DEFAULT_THREADS, Seed, Threads, settings_options
from oat.commands.output import Output, print_pairs, printable
from oat.commands.serving import backing_services
from oat.process import install_signal_handlers
from oat.settings import PermanentError, Settings, SettingsError, data_folder

if TYPE_CHECKING:
    from oat.commands.pipeline import Backlog, Pipeline, Progress

GalleryPort = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        help="Serve the gallery on this port, until Ctrl-C; 0 takes a free one.",
        show_default=False,
    ),
]


def run(
    *,
    tasks: Annotated[int, typer.Option(min=1, max=100_000, help="How many images to make.")] = 24,
    threads: Threads = DEFAULT_THREADS,
    port: GalleryPort = None,
    seed: Seed = None,
    settings: Annotated[Settings, settings_options("target", "broker_url", "database_url", "log_file")],
) -> None:
    """Run producer, worker and tracker together until all tasks are done, and show the result."""
    from oat.commands.pipeline import Pipeline  # noqa: PLC0415 (the other commands need not load the renderer)

    if settings.log_file is None:
        logging.getLogger().setLevel(logging.WARNING)
    console = Output()
    for name, address in backing_services(settings):
        console.print(f"{name:9}{printable(address)}", highlight=False, soft_wrap=True, markup=False)
    pipeline = Pipeline(settings, tasks, threads, seed)
    interrupted = threading.Event()

    def stop() -> None:
        interrupted.set()
        pipeline.stop()

    install_signal_handlers(stop, pipeline.is_busy, INTERRUPTED)
    try:
        with contextlib.ExitStack() as stack:
            console.print(_describe(pipeline.prepare()), end="", highlight=False)
            url = stack.enter_context(_gallery(settings, port))
            with console.status("Loading the renderer (the first time, it is compiled)"):
                stack.enter_context(pipeline)
            if url:
                console.print(f"gallery  {url}", soft_wrap=True)
            progress = _follow(pipeline, tasks, console)
            with console.status("Drawing all images on one sheet"):
                sheet = _save_contact_sheet(pipeline)
            print_pairs(_summary(progress, threads, settings.target, sheet))
            if url:
                console.print("The gallery is open until Ctrl-C.")
                interrupted.wait()
    except (PermanentError, KeyboardInterrupt):
        if not interrupted.is_set():
            raise
        console.print(
            "Interrupted. Start oat-worker and oat-tracker, side by side, to finish what is recorded, "
            "or cancel it: oat cancel --all."
        )
        raise typer.Exit(INTERRUPTED) from None
    if progress.failed or progress.cancelled:
        raise typer.Exit(1)


def _follow(pipeline: "Pipeline", tasks: int, console: Console) -> "Progress":
    """Show a progress bar until none of the `tasks` is waiting, and return the progress then."""
    columns = TextColumn("Rendering"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with ProgressBar(*columns, console=console, refresh_per_second=2) as bar:
        images = bar.add_task("images", total=tasks)
        while not (progress := pipeline.progress()).finished:
            bar.update(images, completed=progress.ended)
            pipeline.wait(progress.poll_interval)
        bar.update(images, completed=tasks)
    return progress


def _save_contact_sheet(pipeline: "Pipeline") -> str:
    """Draw the contact sheet into the data folder, and return its path."""
    try:
        path = data_folder() / "contact-sheet.png"
    except SettingsError:
        return "not drawn: there is no home directory for it"
    path.parent.mkdir(parents=True, exist_ok=True)
    pipeline.contact_sheet(path)
    return str(path)


def _summary(progress: "Progress", threads: int, target: str, sheet: str) -> list[tuple[str, object]]:
    return [
        ("done", f"{progress.done} of {progress.total}"),
        ("failed", progress.failed),
        *([("cancelled", progress.cancelled)] if progress.cancelled else []),
        ("speed", f"{progress.done / progress.seconds:.1f} images/s with {threads} thread(s)"),
        ("images", target),
        ("all on one sheet", sheet),
    ]


def _describe(backlog: "Backlog") -> str:
    """Return what waits before the run begins, and what becomes of it; nothing if nothing waits."""
    if not any(backlog):
        return ""
    return (
        f"{backlog.records} task(s) are waiting from before, with {backlog.queued} message(s) in the queue. Those "
        "of this run go first, then the others as far as it gets; the rest stays for later workers, and "
        "oat cancel --all cancels it.\n"
    )


@contextlib.contextmanager
def _gallery(settings: Settings, port: int | None) -> Iterator[str | None]:
    """Serve the gallery in a thread of its own, if there is a `port` for it, and yield its URL."""
    if port is None:
        yield None
        return
    from oat.web import WebServer  # noqa: PLC0415 (without a gallery it need not be loaded)

    service = WebServer(settings, "127.0.0.1", port)
    thread = threading.Thread(target=service.run, name="web")
    thread.start()
    try:
        yield service.url
    finally:
        service.stop()
        thread.join()
