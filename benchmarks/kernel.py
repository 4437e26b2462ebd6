"""How fast the renderer is, step by step: `make bench`.

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
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numba import njit
from rich.console import Console
from rich.progress import track
from rich.table import Table

from oat.julia import COLOURS, block_for, palette_indices
from oat.messages import Task
from oat.producer import Ranges, make_up
from oat.rendering import encode_png, render_png
from oat.simd import machine_features

console = Console()


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=12, help="images a round")
    parser.add_argument("--rounds", type=int, default=15, help="the medians are of so many rounds")
    parser.add_argument("--seed", type=int, default=1, help="other tasks")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    tasks = [make_up(Ranges(), rng) for _ in range(options.tasks)]
    indices = {task.uuid: palette_indices(task) for task in tasks}
    files = {task.uuid: render_png(task) for task in tasks}

    each: dict[str, Callable[[Task], object]] = {
        "kernel: plain numba": plain_numba,
        "kernel: ours": palette_indices,
        "encode PNG": lambda task: encode_png(indices[task.uuid]),
        "checksum": lambda task: hashlib.sha256(files[task.uuid]).digest(),
        "task to PNG and checksum": lambda task: hashlib.sha256(render_png(task)).digest(),
    }
    if anchor := compiled_anchor():
        each["kernel: AVX2 in C"] = anchor
        for task in tasks:
            if not (anchor(task) == indices[task.uuid]).all():
                raise SystemExit(f"the C anchor draws other pixels for {task}")
    with ThreadPoolExecutor(2) as pool:
        runs = {name: lambda f=f: [f(task) for task in tasks] for name, f in each.items()}
        for name in ("kernel: ours", "task to PNG and checksum"):
            runs[f"{name}, two threads"] = lambda f=each[name]: list(pool.map(f, tasks))
        for run in runs.values():
            run()
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in track(range(options.rounds), "Measuring", console=console, transient=True):
            for name, run in runs.items():
                seconds[name].append(timed(run))
    seconds["kernel: plain Python"] = [timed(lambda: [plain_python(task) for task in tasks])]
    report(seconds, options.tasks)


def report(seconds: dict[str, list[float]], tasks: int) -> None:
    """Print milliseconds an image, and each median's ratio to our kernel's."""
    ours = statistics.median(seconds["kernel: ours"])
    rows, columns = block_for(machine_features())
    table = Table(title=f"{machine()}; blocks of {rows} × {columns} pixels, {rows * columns} doubles a vector")
    for heading in ("", "ms an image", "÷ our kernel"):
        table.add_column(heading, justify="right" if heading else "left")
    for name in sorted(seconds, key=lambda name: -statistics.median(seconds[name])):
        median = statistics.median(seconds[name])
        table.add_row(name, f"{1000 * median / tasks:.2f}", f"{median / ours:.2f}")
    console.print(table)


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
            indices[y, x] = last % COLOURS


def compiled_anchor() -> Callable[[Task], np.ndarray] | None:
    """Compile `kernel.c`, where there is a compiler and the machine has AVX2."""
    compiler = shutil.which("cc")
    if compiler is None or "avx2" not in machine_features():
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
