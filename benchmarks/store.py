"""Benchmark of the image store, a directory beside a bucket: `make bench-store`.

Images of the usual size are stored in both in turn, one after the other, as a worker's render thread does it. The
bucket is one of SeaweedFS on this machine; the processor time of its server is counted apart.
"""

import argparse
import os
import random
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import psutil
from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from usage import processor

from helpers.guard import temporary_folder
from helpers.servers import SeaweedFS
from oat.rendering.png import render_png
from oat.services import Ranges, random_task
from oat.storage.store import Store

console = Console()


@dataclass
class Measured:
    """Times of all images together, in milliseconds."""

    latencies: list[float] = field(default_factory=list)
    """Of each image, from the call to its return."""
    processor: float = 0.0
    """Processor time of this process, all its threads."""
    server: float = 0.0
    """Processor time of the store's server."""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=300, help="images per round")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; each measures both stores")
    options = parser.parse_args()
    rng = random.Random(1)
    tasks = [random_task(Ranges(), rng) for _ in range(options.images)]
    images = [render_png(task) for task in track(tasks, "Rendering", console=console, transient=True)]
    with temporary_folder() as folder:
        server = SeaweedFS(folder).start()
        try:
            os.environ |= server.variables
            stores = {"directory": f"{folder}/images", "bucket": f"s3://{SeaweedFS.BUCKET}/images"}
            measured = measure(images, options.rounds, stores, psutil.Process(server.process.pid))
        finally:
            server.stop()
    size = statistics.mean(map(len, images)) / 1024
    table = Table(
        title=f"ms per image of {size:.0f} KiB on average, {options.images} images, {options.rounds} rounds"
    )
    for heading in ("", "median latency", "95 %", "processor", "server's processor"):
        table.add_column(heading, justify="right" if heading else "left")
    count = len(images) * options.rounds
    for name, one in measured.items():
        percentile_95 = statistics.quantiles(one.latencies, n=20)[-1]
        figures = statistics.median(one.latencies), percentile_95, one.processor / count, one.server / count
        table.add_row(name, *(f"{figure:.2f}" for figure in figures))
    console.print(table)


def measure(
    images: list[bytes], rounds: int, targets: dict[str, str], server: psutil.Process
) -> dict[str, Measured]:
    """Store `images` in each of `targets` in turn, round by round, and return the times of each."""
    measured = {name: Measured() for name in targets}
    stores = {name: Store(target) for name, target in targets.items()}
    for store in stores.values():
        store.prepare()
    for _ in range(rounds):
        for name, store in stores.items():
            uuids: list[UUID] = [uuid4() for _ in images]
            one, of_server, own = measured[name], processor(server), time.process_time()
            for uuid, image in zip(uuids, images, strict=True):
                started = time.perf_counter()
                store.put(uuid, image)
                one.latencies.append((time.perf_counter() - started) * 1000)
            one.processor += (time.process_time() - own) * 1000
            one.server += (processor(server) - of_server) * 1000
    return measured


if __name__ == "__main__":
    main()
