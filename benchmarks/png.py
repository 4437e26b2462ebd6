"""Benchmark of the image file: `make bench-png` compares our compressor with the libraries that could do its work.

All compress the same pixels in turn, round by round, in one thread; processor time is what counts. Pillow and ours
write the whole file; the others compress the rows only, as they are or filtered by Up, which is not counted.
"""

import argparse
import hashlib
import io
import random
import statistics
import threading
import time
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features
from rich.console import Console
from rich.table import Table

from oat.messages import Task
from oat.rendering.escape_time import palette_indices
from oat.rendering.palette import PALETTE
from oat.rendering.png import encode_png, render_png
from oat.services import Ranges, random_task

YES, NO, VERSION = "yes", "no", "in one version"

console = Console()


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=24, help="images per round")
    parser.add_argument("--rounds", type=int, default=15, help="rounds, of which the medians are printed")
    parser.add_argument("--seed", type=int, default=18, help="seed of the random tasks")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    tasks = [random_task(Ranges(), rng) for _ in range(options.tasks)]
    thread = threading.Thread(target=lambda: report(tasks, options.rounds))  # as in a worker
    thread.start()
    thread.join()


def report(tasks: list[Task], rounds: int) -> None:
    """Print milliseconds of processor time and KiB an image."""
    import deflate  # noqa: PLC0415 (only `make bench-png` brings these libraries; `--help` needs none)
    from isal import isal_zlib  # noqa: PLC0415 (as above)
    from zlib_ng import zlib_ng  # noqa: PLC0415 (as above)

    images = [palette_indices(task) for task in tasks]
    plain, filtered = ([rows(image, is_filtered) for image in images] for is_filtered in (False, True))
    variants: dict[str, tuple[Callable[..., object], list[object], str]] = {
        "kernel": (palette_indices, tasks, YES),
        "task to PNG and checksum": (lambda task: hashlib.sha256(render_png(task)), tasks, YES),
        "ours": (encode_png, images, YES),
        "Pillow, level 3": (with_pillow, images, NO),
    }
    for data, kind in (plain, ""), (filtered, ", Up"):
        variants[f"zlib, run lengths{kind}"] = run_lengths, data, NO
        variants[f"libdeflate, level 2{kind}"] = (lambda data: deflate.zlib_compress(data, 2)), data, VERSION
        for level in 2, 3:
            compress = lambda data, level=level: zlib_ng.compress(data, level)  # noqa: E731 (a row of the table)
            variants[f"zlib-ng, level {level}{kind}"] = compress, data, NO
        for level in 1, 2:
            compress = lambda data, level=level: isal_zlib.compress(data, level)  # noqa: E731 (a row of the table)
            variants[f"ISA-L, level {level}{kind}"] = compress, data, NO
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds + 1):
        for name, (run, inputs, _) in variants.items():
            started = time.thread_time()
            for each in inputs:
                run(each)
            seconds[name].append((time.thread_time() - started) / len(tasks))
    pixels = statistics.mean(image.size for image in images)
    table = Table(title=f"{len(tasks)} tasks of {pixels:,.0f} pixels; Pillow with zlib {features.version('zlib')}")
    for heading in ("", "ms", "KiB", "same bytes on every machine?"):
        table.add_column(heading, justify="right" if heading in {"ms", "KiB"} else "left", no_wrap=True)
    for name, (run, inputs, same) in variants.items():
        milliseconds = f"{1000 * statistics.median(seconds[name][1:]):.2f}"
        sizes = [len(out) for each in inputs if isinstance(out := run(each), bytes | bytearray)]
        table.add_row(name, milliseconds, f"{statistics.mean(sizes) / 1024:.1f}" if sizes else "", same)
    console.print(table)


def rows(image: NDArray[np.uint8], is_filtered: bool) -> bytes:
    """Return the rows as a PNG file has them, each with the number of its filter: None, or Up."""
    with_filter = np.full((image.shape[0], image.shape[1] + 1), 2 if is_filtered else 0, np.uint8)
    with_filter[:, 1:] = np.diff(image, axis=0, prepend=np.zeros_like(image[:1])) if is_filtered else image
    return with_filter.tobytes()


def with_pillow(indices: NDArray[np.uint8]) -> bytes:
    """Encode by Pillow, from the kernel's buffer."""
    height, width = indices.shape
    image = Image.frombuffer("P", (width, height), indices.base, "raw", "P", indices.strides[0], 1)  # type: ignore[arg-type]
    image.putpalette(PALETTE)
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=3)
    return file.getvalue()


def run_lengths(data: bytes) -> bytes:
    """Compress by Python's zlib, looking for nothing but repetitions of a byte."""
    compressor = zlib.compressobj(strategy=zlib.Z_RLE)
    return compressor.compress(data) + compressor.flush()


if __name__ == "__main__":
    main()
