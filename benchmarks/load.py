"""What the pipeline itself costs: `make bench-load`.

`oat`, Celery and dramatiq do the same job in turn, round by round, on one private RabbitMQ and one private
MariaDB: record, send, render, store, update. Then images of the usual size, beside the bare renderer on the same
cores. What counts are the ratios, of medians.
"""

import argparse
import hashlib
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from operator import truediv
from pathlib import Path

import psutil
from bench import BIN, ENOUGH, TINY, Bench, Measured
from rich.console import Console
from rich.table import Table
from steps import STEPS
from usage import CORES

from oat.rendering.png import render_png
from oat.services import Ranges, random_task

MEMORY, ROOM = Path("/dev/shm"), 8 * 2**30
"""A folder in memory, where a system has one, and the bytes that there should be: half of them are written."""

console = Console()


def place() -> Path:
    """Return where to write: `TMPDIR` where that is set, else into memory, where there is enough.

    What a disk takes for a new file says nothing of us, and is not the same twice: on ext4 without a journal it is
    15 microseconds, and 200 to 500 where thousands of files were deleted in the minutes before.
    """
    enough = psutil.virtual_memory().available > ROOM and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
    return MEMORY if enough and "TMPDIR" not in os.environ else Path(tempfile.gettempdir())


def bare(count: int, seed: int) -> float:
    """Return the images a second of the renderer alone, on all cores: no broker, no database, no file."""
    rng = random.Random(seed)
    rng.randint(count, count)  # as a producer draws the size of its set, before it draws the same images
    tasks = [random_task(Ranges(), rng) for _ in range(count)]
    with ThreadPoolExecutor(CORES) as pool:
        started = time.perf_counter()
        list(pool.map(lambda task: hashlib.sha256(render_png(task)).digest(), tasks))
        return count / (time.perf_counter() - started)


def embedded(bench: Bench, count: int, seed: int) -> float:
    """Return the images a second that `oat run` names."""
    data = bench.settings().log_file.parent
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OAT_")}
    run = subprocess.run(
        [BIN / "oat", "run", "--tasks", str(count), "--seed", str(seed)],
        env=environment | {"XDG_DATA_HOME": str(data)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(run.stdout.partition("speed")[2].split()[1])


def compare(bench: Bench, tasks: int, rounds: int) -> None:
    """Print the rates of tiny tasks, ours and the others', and what each process took."""
    runs: dict[str, list[Measured]] = {"oat": [], "Celery": [], "dramatiq": []}
    for _ in range(rounds):
        for name, run in runs.items():
            run.append(getattr(bench, name.lower())(tasks, TINY))
            console.print(f"{name}: {run[-1].rate:.0f} tasks a second")
    table = Table(
        title=f"{tasks} tasks of 16 × 16 pixels, {CORES} cores, medians of {rounds} rounds",
        caption="under each part: milliseconds of a core for a task",
    )
    parts = ("producer", "worker", "tracker", "RabbitMQ", "MariaDB")
    for heading in ("", "tasks/s", "oat is ×", *parts):
        table.add_column(heading, justify="right" if heading else "left")
    ours = statistics.median(m.rate for m in runs["oat"])
    for name, run in runs.items():
        rate = statistics.median(m.rate for m in run)
        costs = [statistics.median(m.processor.get(part, 0.0) for m in run) for part in parts]
        table.add_row(name, f"{rate:.0f}", f"{ours / rate:.2f}", *(f"{cost:.2f}" for cost in costs))
    console.print(table)


def usual(bench: Bench, tasks: int, rounds: int) -> None:
    """Print the rates of images of the usual size as parts of the bare renderer's, with the same images."""
    rates: dict[str, list[float]] = {"the bare renderer": [], "RabbitMQ and MariaDB": [], "oat run, embedded": []}
    for seed in range(rounds):
        rates["the bare renderer"].append(bare(tasks, seed))
        rates["RabbitMQ and MariaDB"].append(bench.oat(tasks, Ranges(), seed).rate)
        rates["oat run, embedded"].append(embedded(bench, tasks, seed))
        console.print(", ".join(f"{name}: {some[-1]:.0f}" for name, some in rates.items()) + " images a second")
    table = Table(title=f"{tasks} images of the usual size, medians of {rounds} rounds")
    for heading in ("", "images/s", "of the bare renderer"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, some in rates.items():
        part = statistics.median(map(truediv, some, rates["the bare renderer"]))
        table.add_row(name, f"{statistics.median(some):.0f}", f"{part:.0%}")
    console.print(table)


def many(bench: Bench, counts: list[int]) -> None:
    """Print how rates and memory change with the number of records and queued tasks."""
    table = Table(
        title=f"Tiny tasks, tasks/s: that many at once, and {ENOUGH} more while that many wait",
        caption="under each service: mebibytes",
    )
    for heading in ("tasks", "at once", "while they wait", "worker", "tracker", "producer"):
        table.add_column(heading, justify="right")
    for count in counts:
        rates = [bench.oat(count, TINY).rate for _ in range(max(1, ENOUGH // count))]
        standing = [bench.behind(count) for _ in range(3)]
        rates_behind, in_memory = [rate for rate, _ in standing], standing[-1][1]
        console.print(f"{count} tasks: measured")
        table.add_row(
            str(count), f"{statistics.median(rates):.0f}", f"{statistics.median(rates_behind):.0f}",
            *(f"{in_memory[name]:.0f}" for name in ("worker", "tracker", "producer")),
        )  # fmt: skip
    console.print(table)


def way(bench: Bench, seconds: float) -> None:
    """Print how long a task spends in each step of its way, while the queues are short."""
    passed = bench.steps(seconds)
    table = Table(title=f"A task's way: {len(passed['commit'])} images of the usual size in {seconds:g} seconds")
    for heading in ("", "p50, ms", "p95, ms", "p99, ms", "of the whole"):
        table.add_column(heading, justify="right" if heading else "left")
    spent: dict[str, list[float]] = {}
    for before, step in pairwise(STEPS):
        # A worker may have a task before the producer hears of the confirm: such a one didn't wait.
        spent[step] = [max(0.0, passed[step][uuid] - passed[before][uuid]) for uuid in passed["commit"]]
    whole = sum(map(sum, spent.values()))
    for step, some in spent.items():
        cuts = statistics.quantiles(some, n=100)
        table.add_row(step, *(f"{1000 * cuts[p - 1]:.1f}" for p in (50, 95, 99)), f"{sum(some) / whole:.0%}")
    console.print(table)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000, help="tiny tasks a round")
    parser.add_argument("--images", type=int, default=6000, help="images of the usual size a round")
    parser.add_argument("--rounds", type=int, default=3, help="the medians are of so many rounds")
    parser.add_argument(
        "--many", type=int, nargs="*", default=[1000, 10_000, 100_000], help="numbers of queued tasks"
    )
    options = parser.parse_args()
    parent = place()
    console.print(f"All that is written goes to {parent}.")
    with tempfile.TemporaryDirectory(prefix="oat-bench-", dir=parent) as folder:
        Path(folder).chmod(0o755)
        bench = Bench(Path(folder))
        try:
            compare(bench, options.tasks, options.rounds)
            usual(bench, options.images, options.rounds)
            many(bench, options.many)
            way(bench, 20)
        finally:
            bench.close()


if __name__ == "__main__":
    main()
