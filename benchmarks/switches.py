"""Benchmark of the render threads: whether another thread renders while one stores, and on how many threads.

Threads of a worker render and store the same tasks, without any servers, in a folder in memory and in one on the
disk. "kept": a thread that stores keeps its place; "freed": another one renders meanwhile; "ours": what
`RenderThreads` decides. Then squares of several sizes on one thread and on two, places kept, in memory.
"""

import argparse
import random
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from helpers.guard import temporary_folder
from oat.messages import Task
from oat.process import configure_logging
from oat.rendering import warm_up
from oat.services import Ranges, random_task, render_threads
from oat.services.in_flight import Work
from oat.services.worker import Worker
from oat.settings import Settings

console = Console()

WAYS = {"kept": float("inf"), "freed": -1.0, "ours": render_threads.WORTH_A_SWITCH}
"""Seconds from which on another thread renders while one stores."""

SIDES = (16, 50, 100, 150, 200, 300, 400, 600)


def processor_time() -> tuple[float, int]:
    """Return the seconds that this process has used, and how often one of its threads has waited."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, used.ru_nvcsw


def measure(folder: Path, tasks: Sequence[Task], active: int) -> tuple[float, float, float, float]:
    """Return images a second; and for an image, milliseconds of processor time, switches, ms of rendering."""
    with temporary_folder(folder) as name:
        worker = Worker(Settings(target=f"{name}/images", broker_url=f"filesystem://{name}/queue"), active)
        worker.store.prepare()
        threads = worker._threads
        done = threading.Event()
        threads._on_finished = lambda: done.set() if len(threads.finished) == len(tasks) else None
        works = [Work(task.to_json(), task) for task in tasks]
        threads.start()
        (used, switches), started = processor_time(), time.perf_counter()
        for work in works:
            threads.submit(work)
        done.wait()
        elapsed, (used_now, switches_now) = time.perf_counter() - started, processor_time()
        threads.stop()
        durations = [result.duration or 0.0 for _, result in threads.finished if result]
    count = len(tasks)
    return (
        count / elapsed,
        (used_now - used) / count * 1000,
        (switches_now - switches) / count,
        statistics.median(durations) * 1000,
    )


def squares(side: int, count: int, rng: random.Random) -> list[Task]:
    """Return tasks of `side` × `side` pixels."""
    return [random_task(Ranges(width=(side, side), height=(side, side)), rng) for _ in range(count)]


def medians(runs: Sequence[tuple[float, ...]]) -> list[float]:
    """Return the median of each figure."""
    return [statistics.median(column) for column in zip(*runs, strict=True)]


def compare_ways(folders: Sequence[Path], images: int, rounds: int) -> Table:
    """Measure the ways in turn, with tiny and with usual tasks."""
    table = Table(title=f"{images} usual images, {5 * images} tiny ones; medians of {rounds} rounds")
    for heading in ("folder", "images", "places", "images/s", "processor, ms", "switches"):
        table.add_column(heading, justify="left" if heading in {"folder", "images", "places"} else "right")
    for folder in folders:
        for size, count, active in (("tiny", 5 * images, 1), ("usual", images, 2)):
            rng = random.Random(1)
            tasks = (
                squares(16, count, rng) if size == "tiny" else [random_task(Ranges(), rng) for _ in range(count)]
            )
            runs: dict[str, list[tuple[float, ...]]] = {way: [] for way in WAYS}
            for _ in range(rounds):
                for way, seconds in WAYS.items():
                    render_threads.WORTH_A_SWITCH = seconds
                    runs[way].append(measure(folder, tasks, active))
            for way, measured in runs.items():
                rate, used, switches, _ = medians(measured)
                table.add_row(str(folder), size, way, f"{rate:.0f}", f"{used:.2f}", f"{switches:.1f}")
    return table


def compare_threads(folder: Path, images: int, rounds: int) -> Table:
    """Measure squares of several sizes on one thread and on two, in turn."""
    render_threads.WORTH_A_SWITCH = WAYS["kept"]
    table = Table(title=f"{images} squares; medians of {rounds} rounds")
    for heading in ("side", "rendering, ms", "images/s on 1", "on 2", "processor, ms on 1", "on 2"):
        table.add_column(heading, justify="right")
    for side in SIDES:
        tasks = squares(side, images, random.Random(1))
        pairs = [(measure(folder, tasks, 1), measure(folder, tasks, 2)) for _ in range(rounds)]
        one, two = (medians(runs) for runs in zip(*pairs, strict=True))
        row = f"{one[3]:.2f}", f"{one[0]:.0f}", f"{two[0]:.0f}", f"{one[1]:.2f}", f"{two[1]:.2f}"
        table.add_row(str(side), *row)
    return table


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=600, help="usual images in a run")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the medians are printed")
    parser.add_argument(
        "--folders", type=Path, nargs="+", default=[Path("/dev/shm"), Path("/var/tmp")],
        help="the first one for the second table as well",
    )  # fmt: skip
    options = parser.parse_args()
    with tempfile.NamedTemporaryFile() as log:
        configure_logging(Path(log.name))
        warm_up()
        console.print(compare_ways(options.folders, options.images, options.rounds))
        console.print(compare_threads(options.folders[0], options.images, options.rounds))


if __name__ == "__main__":
    main()
