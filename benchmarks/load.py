"""Benchmark of the pipeline: `make bench-load`.

`oat`, Celery and dramatiq do the same job in turn, round by round, on one private RabbitMQ and one private
MariaDB: record, publish, render, store, update. Then images of the usual size, beside the bare renderer on the
same cores. The ratios of the medians are the result.
"""

import argparse
import hashlib
import os
import random
import re
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from operator import truediv

from bench import BIN, ENOUGH_TASKS, TINY, Bench, Measured
from folders import benchmark_folder
from lone import latencies as lone_latencies
from rich.console import Console
from rich.table import Table
from steps import STEPS
from usage import CORES
from versions import this_version

from oat.rendering.png import render_png
from oat.services import Ranges, random_task

console = Console()


def bare(count: int, seed: int) -> float:
    """Return the images per second of the renderer alone, on all cores: no broker, no database, no file."""
    rng = random.Random(seed)
    rng.randint(count, count)  # the producer draws the size of its set first: now the images are the same
    tasks = [random_task(Ranges(), rng) for _ in range(count)]
    with ThreadPoolExecutor(CORES) as pool:
        started = time.perf_counter()
        list(pool.map(lambda task: hashlib.sha256(render_png(task)).digest(), tasks))
        return count / (time.perf_counter() - started)


def embedded(bench: Bench, count: int, seed: int) -> float:
    """Return the images per second that `oat run` reports."""
    data = bench.settings().log_file.parent
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OAT_")}
    run = subprocess.run(
        [BIN / "oat", "run", "--tasks", str(count), "--seed", str(seed)],
        env=environment | {"XDG_DATA_HOME": str(data)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(re.search(r"speed\W+([0-9.]+) images/s", run.stdout)[1])


def compare(bench: Bench, tasks: int, rounds: int) -> None:
    """Print the rates of tiny tasks, beside Celery's and dramatiq's, and the processor time of each part."""
    runs: dict[str, list[Measured]] = {"oat": [], "Celery": [], "dramatiq": []}
    for _ in range(rounds):
        for name, run in runs.items():
            run.append(getattr(bench, name.lower())(tasks, TINY))
            console.print(f"{name}: {run[-1].rate:.0f} tasks per second")
    table = Table(
        title=f"{tasks} tasks of 16 × 16 pixels, {CORES} cores, medians of {rounds} rounds",
        caption="under each part: milliseconds of processor time per task",
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
    """Print the rates of images of the usual size, beside the bare renderer's with the same images."""
    rates: dict[str, list[float]] = {"the bare renderer": [], "RabbitMQ and MariaDB": [], "oat run, embedded": []}
    for seed in range(rounds):
        rates["the bare renderer"].append(bare(tasks, seed))
        rates["RabbitMQ and MariaDB"].append(bench.oat(tasks, Ranges(), seed).rate)
        rates["oat run, embedded"].append(embedded(bench, tasks, seed))
        console.print(", ".join(f"{name}: {some[-1]:.0f}" for name, some in rates.items()) + " images per second")
    table = Table(title=f"{tasks} images of the usual size, medians of {rounds} rounds")
    for heading in ("", "images/s", "share of the bare renderer"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, some in rates.items():
        part = statistics.median(map(truediv, some, rates["the bare renderer"]))
        table.add_row(name, f"{statistics.median(some):.0f}", f"{part:.0%}")
    console.print(table)


def backlogs(bench: Bench, counts: list[int]) -> None:
    """Print how rates and memory change with the number of queued tasks."""
    table = Table(
        title=f"Tiny tasks, tasks/s: that many published at once, and {ENOUGH_TASKS} more behind them",
        caption="under each service: mebibytes",
    )
    for heading in ("tasks", "at once", "behind them", "worker", "tracker", "producer"):
        table.add_column(heading, justify="right")
    for count in counts:
        rates = [bench.oat(count, TINY).rate for _ in range(max(1, ENOUGH_TASKS // count))]
        measured = [bench.backlog(count) for _ in range(3)]
        rates_behind, in_memory = [rate for rate, _ in measured], measured[-1][1]
        console.print(f"{count} tasks: measured")
        table.add_row(
            str(count), f"{statistics.median(rates):.0f}", f"{statistics.median(rates_behind):.0f}",
            *(f"{in_memory[name]:.0f}" for name in ("worker", "tracker", "producer")),
        )  # fmt: skip
    console.print(table)


def latencies(bench: Bench, seconds: float) -> None:
    """Print the latency of each step of a task while the queues are short."""
    completed = bench.steps(seconds)
    table = Table(
        title=f"Latency of each step: {len(completed['commit'])} images of the usual size in {seconds:g} seconds"
    )
    for heading in ("", "p50, ms", "p95, ms", "p99, ms", "share of all"):
        table.add_column(heading, justify="right" if heading else "left")
    spent: dict[str, list[float]] = {}
    for before, step in pairwise(STEPS):
        # A worker may receive a task before the producer receives its confirm: it has not waited.
        spent[step] = [max(0.0, completed[step][uuid] - completed[before][uuid]) for uuid in completed["commit"]]
    whole = sum(map(sum, spent.values()))
    for step, some in spent.items():
        cuts = statistics.quantiles(some, n=100)
        table.add_row(step, *(f"{1000 * cuts[p - 1]:.1f}" for p in (50, 95, 99)), f"{sum(some) / whole:.0%}")
    console.print(table)


def lone_tasks(bench: Bench, count: int) -> None:
    """Print how long lone tasks take on an idle system, beside their rendering."""
    table = Table(title=f"{count} lone tasks on an idle system: from the request to `done`, beside the rendering")
    for heading in ("", "p50, ms", "p95, ms"):
        table.add_column(heading, justify="right" if heading else "left")
    version = this_version()
    for name, embedded in (("RabbitMQ and MariaDB", False), ("embedded", True)):
        settings = bench.settings()
        folder = settings.log_file.parent
        servers = {
            "OAT_BROKER_URL": settings.broker_url,
            "OAT_DATABASE_URL": settings.database_url,
            "OAT_TARGET": str(settings.target),
        }
        environment = version.environment(XDG_DATA_HOME=str(folder), **({} if embedded else servers))
        cuts = statistics.quantiles(lone_latencies(version.command, environment, folder, count), n=20)
        table.add_row(name, f"{cuts[9]:.1f}", f"{cuts[18]:.1f}")
    console.print(table)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000, help="tiny tasks per round")
    parser.add_argument("--images", type=int, default=6000, help="images of the usual size per round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the medians are printed")
    parser.add_argument(
        "--many", type=int, nargs="*", default=[1000, 10_000, 100_000], help="numbers of queued tasks"
    )
    options = parser.parse_args()
    with benchmark_folder() as folder:
        console.print(f"All files are written to {folder.parent}.")
        bench = Bench(folder)
        try:
            compare(bench, options.tasks, options.rounds)
            usual(bench, options.images, options.rounds)
            backlogs(bench, options.many)
            latencies(bench, 20)
            lone_tasks(bench, 100)
        finally:
            bench.close()


if __name__ == "__main__":
    main()
