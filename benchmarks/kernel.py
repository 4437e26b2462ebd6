"""Benchmark of the renderer, step by step: `make bench-kernel`.

All variants render the same random tasks in turn, round by round, so that the load of other processes affects each
of them alike; the ratios are the result.
"""

import argparse
import hashlib
import platform
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from uuid import UUID

from kernel_variants import avx2_in_c, count_iterations, plain_numba, plain_python, without_periodicity_check
from rich.console import Console
from rich.progress import track
from rich.table import Table

from oat.messages import Task
from oat.rendering.escape_time import block_for, load_kernel, palette_indices, run_kernel
from oat.rendering.machine_code import cpu_features
from oat.rendering.png import encode_png, render_png
from oat.services import Ranges, random_task

PARALLEL_REPEATS = 8
"""How often two threads or processes render the tasks in one measurement: long enough that the end, when one of
them is idle, hardly counts."""

console = Console()


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=12, help="images per round")
    parser.add_argument("--rounds", type=int, default=15, help="rounds, of which the medians are printed")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random tasks")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    tasks = [random_task(Ranges(), rng) for _ in range(options.tasks)]
    report(measure(variants(tasks), tasks, options.rounds), options.tasks)
    report_scaling(options.rounds)
    report_periodicity_check(tasks, options.rounds)
    report_start(options.rounds)
    report_memory()


def variants(tasks: list[Task]) -> dict[str, Callable[[Task], object]]:
    """Return what is measured for each of `tasks`.

    Raises:
        SystemExit: the kernel in C computes other pixels than ours.
    """
    indices = {task.uuid: palette_indices(task) for task in tasks}
    files = {task.uuid: render_png(task) for task in tasks}
    functions: dict[str, Callable[[Task], object]] = {
        "kernel: plain numba": plain_numba,
        "kernel: ours": palette_indices,
        "encode PNG": lambda task: encode_png(indices[task.uuid]),
        "checksum": lambda task: hashlib.sha256(files[task.uuid]).digest(),
        "task to PNG and checksum": lambda task: hashlib.sha256(render_png(task)).digest(),
    }
    if in_c := avx2_in_c():
        functions["kernel: AVX2 in C"] = in_c
        for task in tasks:
            if not (in_c(task) == indices[task.uuid]).all():
                raise SystemExit(f"the kernel in C computes other pixels for {task}")
    else:
        console.print("[bold red]LEFT OUT: the kernel in C, for want of a C compiler or of AVX2[/]")
    return functions


def measure(
    functions: dict[str, Callable[[Task], object]], tasks: list[Task], rounds: int
) -> dict[str, list[float]]:
    """Return the seconds of each variant for `tasks`, in each round; of some also by two threads or processes."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        runs: dict[str, Callable[[], object]] = {
            name: lambda f=f: in_threads(1, f, tasks) for name, f in functions.items()
        }
        for name in ("kernel: ours", "task to PNG and checksum", "kernel: AVX2 in C"):
            if name in functions:
                f = functions[name]
                runs[f"{name}, two threads"] = lambda f=f: in_threads(2, f, tasks * PARALLEL_REPEATS)
        share = tasks * (PARALLEL_REPEATS // 2)
        runs["kernel: ours, two processes"] = lambda: list(processes.map(render_all, [share] * 2))
        for run in runs.values():  # the first run compiles
            run()
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in track(range(rounds), "Measuring", console=console, transient=True):
            for name, run in runs.items():
                seconds[name].append(timed(run) / (PARALLEL_REPEATS if ", two " in name else 1))
    seconds["kernel: plain Python"] = [timed(lambda: [plain_python(task) for task in tasks])]
    return seconds


def report(seconds: dict[str, list[float]], tasks: int) -> None:
    """Print the median milliseconds per image, and their ratio to our kernel's."""
    ours = statistics.median(seconds["kernel: ours"])
    rows, columns = block_for(cpu_features())
    table = Table(title=f"{machine()}; blocks of {rows} × {columns} pixels, {rows * columns} doubles per vector")
    for heading in ("", "ms per image", "÷ ours", "speedup by two"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for name in sorted(seconds, key=lambda name: -statistics.median(seconds[name])):
        median = statistics.median(seconds[name])
        alone, _, two = name.partition(", two ")
        speedup = f"{statistics.median(seconds[alone]) / median:.2f}" if two else ""
        table.add_row(name, f"{1000 * median / tasks:.2f}", f"{median / ours:.2f}", speedup)
    console.print(table)


def in_threads(count: int, work: Callable[[Task], object], tasks: list[Task]) -> None:
    """Do `work` for `tasks` in `count` threads, each of which takes the next task, like a worker's threads.

    Never in the main thread: malloc's main arena returns the memory of every image to the system.
    """
    remaining = iter(tasks)

    def render() -> None:
        for task in remaining:
            work(task)

    threads = [threading.Thread(target=render) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def render_all(tasks: list[Task]) -> None:
    """Render the tasks by our kernel; called in another process."""
    for task in tasks:
        palette_indices(task)


def report_scaling(rounds: int) -> None:
    """Print the time per pixel and per iteration, for image sizes and iteration limits from small to large."""
    table = Table(title="One viewport, c = −0.8 + 0.156i: does the time grow linearly with the work?")
    for heading in ("pixels", "limit", "iterations done per pixel", "ns per pixel", "ns per iteration"):
        table.add_column(heading, justify="right")
    sizes = [(side, 256) for side in (256, 512, 1024, 2048, 4096, 8192)]
    for side, iterations in sizes + [(1024, n) for n in (128, 1000, 10_000, 100_000)]:
        task = Task(
            uuid=UUID(int=0), width=side, height=side, iterations=iterations,
            xa=-1.6, xb=1.6, ya=-1.0, yb=1.0, cx=-0.8, cy=0.156,
        )  # fmt: skip
        total = count_iterations(side, side, iterations, task.xa, task.xb, task.ya, task.yb, task.cx, task.cy)
        palette_indices(task)
        repeats = max(3, min(rounds, 50_000_000 // side**2))
        seconds = statistics.median(timed(lambda task=task: palette_indices(task)) for _ in range(repeats))
        table.add_row(
            f"{side}²", f"{iterations:,}", f"{total / side**2:.1f}",
            f"{1e9 * seconds / side**2:.2f}", f"{1e9 * seconds / total:.3f}",
        )  # fmt: skip
    console.print(table)


def report_periodicity_check(tasks: list[Task], rounds: int) -> None:
    """Print how much longer the usual tasks take with the periodicity check than without it."""
    block = block_for(cpu_features())
    kernels = {
        "with": load_kernel(block),
        "without": without_periodicity_check(),
    }
    seconds: dict[str, list[float]] = {name: [] for name in kernels}
    for _ in range(rounds + 1):
        for name, compiled in kernels.items():
            seconds[name].append(timed(lambda run=compiled: [run_kernel(run, task, block) for task in tasks]))
    with_it, without = (statistics.median(times[1:]) for times in seconds.values())
    console.print(
        f"The periodicity check changes the time of the usual task by {with_it / without - 1:+.1%}.",
        highlight=False,
    )


def report_start(rounds: int) -> None:
    """Print the seconds from the start of a process to its first image, with the compiled kernel in the cache."""
    first_image = """
from uuid import UUID
from oat.messages import Task
from oat.rendering import render_png
size = dict(width=512, height=512, iterations=256)
render_png(Task(uuid=UUID(int=0), **size, xa=-2, xb=2, ya=-2, yb=2, cx=-0.8, cy=0.156))
"""
    programs = {"Python itself": "", "the numba library": "import numba", "a first image": first_image}
    programs["the worker's imports and a first image"] = (
        f"import oat.commands.cli, oat.services.worker{first_image}"
    )
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(min(rounds, 7)):
        for name, code in programs.items():
            seconds[name].append(timed(lambda code=code: subprocess.run([sys.executable, "-c", code], check=True)))
    table = Table(title="From the start of a process, with a warm cache")
    table.add_column("")
    table.add_column("seconds", justify="right")
    for name, times in seconds.items():
        table.add_row(name, f"{statistics.median(times):.2f}")
    console.print(table)


def report_memory() -> None:
    """Print by how much an image of 64 megapixels raises the peak memory of a process, per pixel."""
    if not Path("/proc/self/status").exists():
        console.print("[bold red]LEFT OUT: peak memory, for want of /proc[/]")
        return
    code = """
from pathlib import Path
from uuid import UUID
from oat.messages import Task
from oat.rendering import render_png
def render(side):
    size = dict(width=side, height=side, iterations=256)
    render_png(Task(uuid=UUID(int=0), **size, xa=-2, xb=2, ya=-2, yb=2, cx=-0.8, cy=0.156))
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
before, after = render(64), render(8000)
print((after - before) / 8000**2, after / 2**20)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    more, peak = map(float, done.stdout.split())
    console.print(
        f"An image of 8000 × 8000 takes {more:.2f} bytes per pixel; peak {peak:.0f} MiB.", highlight=False
    )


def machine() -> str:
    """Return the name of the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.processor() or platform.machine()


def timed(run: Callable[[], object]) -> float:
    """Return how many seconds `run` takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
