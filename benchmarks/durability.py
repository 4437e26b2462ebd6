"""Benchmark of durability: `make bench-durability`.

`oat run` makes images of the usual size, with every write on the disk before it counts, and without (no `fsync`,
and SQLite does not wait for the disk either), in turn, on each of the folders that are given. The medians of the
ratios are the result: processor and disk are the same for both runs of a pair. Processor time says more than the
rate where others use the machine as well.
"""

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from helpers.guard import temporary_folder

BIN, WITHOUT_FSYNC = Path(sys.executable).parent, Path(__file__).parent / "without_fsync"

console = Console()


def describe(folder: Path) -> str:
    """Return the file system of `folder` and, on Linux, whether its disk has a write cache."""
    mounts = [each for each in psutil.disk_partitions(all=True) if folder.is_relative_to(each.mountpoint)]
    mount = max(mounts, key=lambda each: len(each.mountpoint))
    cache = Path("/sys/class/block", Path(mount.device).name, "queue", "write_cache")
    caching = f", write cache: {cache.read_text().strip()}" if cache.exists() else ""
    return f"{mount.fstype} on {mount.device}{caching}"


def fsync_latency(folder: Path, count: int = 50) -> float:
    """Return the median of the milliseconds that the fsync of a new file of 20 KiB takes."""
    latencies = []
    for _ in range(count):
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(os.urandom(20_480))
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            latencies.append(time.perf_counter() - started)
    return statistics.median(latencies) * 1000


def processor() -> float:
    """Return the seconds of processor time of all processes that have been run."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(folder: Path, tasks: int, seed: int, durable: bool) -> tuple[float, float]:
    """Return the images per second that `oat run` reports, and the milliseconds of processor time of an image."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OAT_")}
    if not durable:
        paths = (str(WITHOUT_FSYNC), os.environ.get("PYTHONPATH"))
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    before = processor()
    with temporary_folder(folder) as data:
        run = subprocess.run(
            [BIN / "oat", "run", "--tasks", str(tasks), "--seed", str(seed)],
            env=environment | {"XDG_DATA_HOME": str(data)}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        used = processor() - before
    os.sync()
    speed = re.search(r"([\d.]+) images/s", run.stdout)
    assert speed, run.stdout
    return float(speed[1]), 1000 * used / tasks


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="*", default=[Path.cwd()], help="where to measure")
    parser.add_argument("--images", type=int, default=2000, help="images per run")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of runs")
    options = parser.parse_args()
    table = Table(title=f"{options.images} images of the usual size, medians of {options.rounds} pairs of runs")
    headings = "images/s, durable", "not", "ratio", "processor, ms, durable", "not", "ratio"
    for heading in ("file system", "fsync, ms", *headings):
        table.add_column(heading, justify="left" if heading == "file system" else "right")
    for folder in options.folders:
        pairs: list[dict[bool, tuple[float, float]]] = []
        for seed in range(options.rounds):
            order = (True, False) if seed % 2 else (False, True)
            pairs.append({durable: measure(folder, options.images, seed, durable) for durable in order})
            console.print(f"{folder}: images/s, ms: durable {pairs[-1][True]}, not {pairs[-1][False]}")
        figures = []
        for which, digits in ((0, 0), (1, 2)):
            figures += [
                f"{statistics.median(pair[durable][which] for pair in pairs):.{digits}f}"
                for durable in (True, False)
            ]
            ratios = [pair[True][which] / pair[False][which] for pair in pairs]
            figures.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        table.add_row(describe(folder.resolve()), f"{fsync_latency(folder):.1f}", *figures)
    console.print(table)


if __name__ == "__main__":
    main()
