"""What a soak measures, and when a figure counts as level."""

import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ALLOWANCES = {
    "memory, MiB": (0.05, 6.0),
    "file descriptors": (0.0, 2.0),
    "threads": (0.0, 4.0),
    "connections": (0.0, 2.0),
    "queues on the disk, MiB": (0.1, 16.0),
    "database, KiB per record": (0.1, 0.2),
    "files beside the images": (0.1, 20.0),
}
"""What may differ between two quarters of an hour's noise: a share of the first, and an amount.

A garbage collector frees memory in steps of some MiB; connections come and go, and threads of
the gallery's pool; RabbitMQ writes its log of messages
on until a segment is full; databases grow by the page."""


@dataclass
class Gauges:
    """The samples of each gauge, in the order they were taken."""

    samples: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, who: str, what: str, value: float) -> None:
        """Add a sample of the gauge `what` of `who`."""
        self.samples[who, what].append(value)

    def add_process(self, who: str, process: psutil.Process) -> None:
        """Add samples of a process."""
        self.add(who, "memory, MiB", process.memory_info().rss / 2**20)
        self.add(who, "file descriptors", process.num_fds())
        self.add(who, "threads", process.num_threads())
        connected = [each for each in process.net_connections("inet") if each.status == psutil.CONN_ESTABLISHED]
        self.add(who, "connections", len(connected))

    def table(self) -> list[tuple[str, str, list[float], bool]]:
        """Return for each gauge the medians of the four quarters, and whether it is level."""
        return [
            (who, what, quarters := medians(values), is_level(quarters, *ALLOWANCES[what]))
            for (who, what), values in self.samples.items()
        ]


def medians(values: list[float]) -> list[float]:
    """Return the median of each quarter of `values`."""
    size = max(1, len(values) // 4)
    return [statistics.median(values[start : start + size] or values[-1:]) for start in range(0, 4 * size, size)]


def is_level(quarters: list[float], share: float, amount: float) -> bool:
    """Return whether the last quarter is not above the one before it, but for noise."""
    return quarters[3] <= quarters[2] * (1 + share) + amount


def size_of(folder: Path) -> float:
    """Return the bytes of all files below `folder`; those that vanish meanwhile do not count."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total
