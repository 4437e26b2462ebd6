"""How fast the renderer is, step by step: `make bench-kernel`.

All variants render the same random tasks in turn, round by round, so that what else the machine does hits each
of them alike; what counts are the ratios.
"""

import argparse
import ctypes
import hashlib
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from uuid import UUID

import numpy as np
from numba import njit
from rich.console import Console
from rich.progress import track
from rich.table import Table

import oat.rendering.kernel
from oat.messages import Task
from oat.rendering import machine_code
from oat.rendering.escape_time import Kernel, block_for, callable_at, load_kernel, palette_indices, run_kernel
from oat.rendering.machine_code import cpu_features
from oat.rendering.palette import PALETTE_SIZE
from oat.rendering.png import encode_png, render_png
from oat.services import Ranges, random_task

TIMES = 8
"""So often do two at once go through the tasks, since in the end one of them waits for the other."""

console = Console()


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=12, help="images a round")
    parser.add_argument("--rounds", type=int, default=15, help="the medians are of so many rounds")
    parser.add_argument("--seed", type=int, default=1, help="other tasks")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    tasks = [random_task(Ranges(), rng) for _ in range(options.tasks)]
    indices = {task.uuid: palette_indices(task) for task in tasks}
    files = {task.uuid: render_png(task) for task in tasks}

    each: dict[str, Callable[[Task], object]] = {
        "kernel: plain numba": plain_numba,
        "kernel: ours": palette_indices,
        "encode PNG": lambda task: encode_png(indices[task.uuid]),
        "checksum": lambda task: hashlib.sha256(files[task.uuid]).digest(),
        "task to PNG and checksum": lambda task: hashlib.sha256(render_png(task)).digest(),
    }
    threaded = ["kernel: ours", "task to PNG and checksum"]
    if anchor := compiled_anchor():
        each["kernel: AVX2 in C"] = anchor
        threaded.append("kernel: AVX2 in C")
        for task in tasks:
            if not (anchor(task) == indices[task.uuid]).all():
                raise SystemExit(f"the C anchor draws other pixels for {task}")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        runs: dict[str, Callable[[], object]] = {
            name: lambda f=f: in_threads(1, f, tasks) for name, f in each.items()
        }
        for name in threaded:
            runs[f"{name}, two threads"] = lambda f=each[name]: in_threads(2, f, tasks * TIMES)
        runs["kernel: ours, two processes"] = lambda: list(processes.map(render_all, [tasks * (TIMES // 2)] * 2))
        for run in runs.values():
            run()
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in track(range(options.rounds), "Measuring", console=console, transient=True):
            for name, run in runs.items():
                seconds[name].append(timed(run) / (TIMES if ", two " in name else 1))
    seconds["kernel: plain Python"] = [timed(lambda: [plain_python(task) for task in tasks])]
    report(seconds, options.tasks)
    report_scaling(options.rounds)
    report_periodicity_check(tasks, options.rounds)
    report_start(options.rounds)
    report_memory()


def report(seconds: dict[str, list[float]], tasks: int) -> None:
    """Print milliseconds an image, and each median's ratio to our kernel's."""
    ours = statistics.median(seconds["kernel: ours"])
    rows, columns = block_for(cpu_features())
    table = Table(title=f"{machine()}; blocks of {rows} × {columns} pixels, {rows * columns} doubles a vector")
    for heading in ("", "ms an image", "÷ ours", "gain by two"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for name in sorted(seconds, key=lambda name: -statistics.median(seconds[name])):
        median = statistics.median(seconds[name])
        alone, _, two = name.partition(", two ")
        gain = f"{statistics.median(seconds[alone]) / median:.2f}" if two else ""
        table.add_row(name, f"{1000 * median / tasks:.2f}", f"{median / ours:.2f}", gain)
    console.print(table)


def in_threads(count: int, work: Callable[[Task], object], tasks: list[Task]) -> None:
    """Do `work` for `tasks` in `count` threads, each of which takes the next one, as a worker's do.

    In the main thread memory comes from elsewhere, and goes back to the system with each image.
    """
    left = iter(tasks)

    def render() -> None:
        for task in left:
            work(task)

    threads = [threading.Thread(target=render) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def render_all(tasks: list[Task]) -> None:
    """Render the tasks by our kernel, in a process of its own."""
    for task in tasks:
        palette_indices(task)


def report_scaling(rounds: int) -> None:
    """Print what a step of a pixel costs in small and large images, and from few to many iterations."""
    table = Table(title="One viewport, c = −0.8 + 0.156i: does the work grow with its size?")
    for heading in ("pixels", "iterations", "steps a pixel", "ns a pixel", "ns a step"):
        table.add_column(heading, justify="right")
    sizes = [(side, 256) for side in (256, 512, 1024, 2048, 4096, 8192)]
    for side, iterations in sizes + [(1024, n) for n in (128, 1000, 10_000, 100_000)]:
        task = Task(
            uuid=UUID(int=0), width=side, height=side, iterations=iterations,
            xa=-1.6, xb=1.6, ya=-1.0, yb=1.0, cx=-0.8, cy=0.156,
        )  # fmt: skip
        steps = count_steps(side, side, iterations, task.xa, task.xb, task.ya, task.yb, task.cx, task.cy)
        palette_indices(task)
        repeats = max(3, min(rounds, 50_000_000 // side**2))
        seconds = statistics.median(timed(lambda task=task: palette_indices(task)) for _ in range(repeats))
        table.add_row(
            f"{side}²", f"{iterations:,}", f"{steps / side**2:.1f}",
            f"{1e9 * seconds / side**2:.2f}", f"{1e9 * seconds / steps:.3f}",
        )  # fmt: skip
    console.print(table)


@njit(nogil=True, error_model="numpy")
def count_steps(width, height, iterations, xa, xb, ya, yb, cx, cy):
    """Count the steps that the pixels need."""
    steps = 0
    for y in range(height):
        for x in range(width):
            zr, zi = x * (xb - xa) / (width - 1) + xa, y * (yb - ya) / (height - 1) + ya
            for _ in range(iterations):
                steps += 1
                if zr * zr + zi * zi > 4.0:
                    break
                zr, zi = zr * zr - zi * zi + cx, zr * zi + zr * zi + cy
    return steps


def report_periodicity_check(tasks: list[Task], rounds: int) -> None:
    """Print what the periodicity check costs the usual task."""
    block = block_for(cpu_features())
    kernels = {
        "with the check": load_kernel(block),
        "without": kernel_without_periodicity_check(),
    }
    seconds: dict[str, list[float]] = {name: [] for name in kernels}
    for _ in range(rounds + 1):
        for name, compiled in kernels.items():
            seconds[name].append(timed(lambda run=compiled: [run_kernel(run, task, block) for task in tasks]))
    with_it, without = (statistics.median(times[1:]) for times in seconds.values())
    console.print(
        f"The periodicity check costs the usual task {with_it / without - 1:+.1%}.",
        highlight=False,
    )


def kernel_without_periodicity_check() -> Kernel:
    """Compile the kernel again, without its periodicity check."""
    source = Path(oat.rendering.kernel.__file__).read_text()
    check = "check_periodicity = done >= PERIODICITY_CHECK_AFTER"
    if check not in source:
        raise SystemExit(f"the kernel has no {check!r} any more")
    source = source.replace(check, "check_periodicity = False")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "kernel_without_periodicity_check.py")
        file.write_text(source)
        module = types.ModuleType("kernel_without_periodicity_check")
        exec(compile(source, file, "exec"), module.__dict__)
        block = block_for(cpu_features())
        return callable_at(
            machine_code.load("kernel-without-periodicity-check", [file], lambda: module.llvm_code(*block))
        )


def report_start(rounds: int) -> None:
    """Print how long a fresh process takes to its first image, the compiled kernel being in the cache."""
    first_image = """
from uuid import UUID
from oat.messages import Task
from oat.rendering import render_png
size = dict(width=512, height=512, iterations=256)
render_png(Task(uuid=UUID(int=0), **size, xa=-2, xb=2, ya=-2, yb=2, cx=-0.8, cy=0.156))
"""
    programs = {"Python itself": "", "the numba library": "import numba", "a first image": first_image}
    programs["the worker's imports and a first image"] = f"import oat.commands{first_image}"
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
    """Print by how much an image of 64 megapixels raises the peak of a process that has rendered a small one."""
    if not Path("/proc/self/status").exists():
        console.print("[bold red]LEFT OUT: peak memory, which only Linux tells[/]")
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
        f"A picture of 8000 × 8000 takes {more:.2f} bytes a pixel; peak {peak:.0f} MiB.", highlight=False
    )


def machine() -> str:
    """Name the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.processor() or platform.machine()


def timed(run: Callable[[], object]) -> float:
    """Return how many seconds `run` takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def plain_python(task: Task) -> np.ndarray:
    """Render as the tutorial's first version did."""
    indices = np.empty((task.height, task.width), np.uint8)
    fill.py_func(indices, task.iterations, task.xa, task.xb, task.ya, task.yb, task.cx, task.cy)
    return indices


def plain_numba(task: Task) -> np.ndarray:
    """Render by the same loop, compiled."""
    indices = np.empty((task.height, task.width), np.uint8)
    fill(indices, task.iterations, task.xa, task.xb, task.ya, task.yb, task.cx, task.cy)
    return indices


@njit(nogil=True, error_model="numpy")
def fill(indices, iterations, xa, xb, ya, yb, cx, cy):
    """The reference, pixel by pixel."""
    height, width = indices.shape
    for y in range(height):
        top = y * (yb - ya) / (height - 1) + ya
        for x in range(width):
            zr, zi = x * (xb - xa) / (width - 1) + xa, top
            last = iterations - 1
            for n in range(iterations):
                if zr * zr + zi * zi > 4.0:
                    last = n
                    break
                zr, zi = zr * zr - zi * zi + cx, zr * zi + zr * zi + cy
            indices[y, x] = last % PALETTE_SIZE


def compiled_anchor() -> Callable[[Task], np.ndarray] | None:
    """Compile `kernel.c`, where there is a compiler and the machine has AVX2."""
    compiler = shutil.which("cc")
    if compiler is None or "avx2" not in cpu_features():
        console.print("[bold red]LEFT OUT: the kernel in C, for want of a C compiler or of AVX2[/]")
        return None
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "kernel.so")
        source = Path(__file__).with_name("kernel.c")
        flags = ["-O3", "-mavx2", "-ffp-contract=off", "-shared", "-fPIC"]
        subprocess.run([compiler, *flags, source, "-o", library], check=True)
        julia = ctypes.CDLL(str(library)).julia

    def anchor(task: Task) -> np.ndarray:
        indices = np.empty((task.height, task.width), np.uint8)
        parameters = (task.xa, task.xb, task.ya, task.yb, task.cx, task.cy)
        julia(
            task.width, task.height, task.iterations, *map(ctypes.c_double, parameters),
            ctypes.c_void_p(indices.ctypes.data),
        )  # fmt: skip
        return indices

    return anchor


if __name__ == "__main__":
    main()
