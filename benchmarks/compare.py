"""An older commit beside this checkout: `make bench-compare COMMIT=…`.

Both do the same in turn, round by round, on the same servers and the same cores: images of the usual size and tiny
ones on RabbitMQ and MariaDB, `oat run` on the embedded default, and lone tasks on an idle system. The medians, and
the median of the ratios of each round, are the result. A rate counts from the first record to the last result, by
the times in the records. Processor time is that of all services and servers, of an image.
"""

import argparse
import re
import resource
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from folders import benchmark_folder
from lone import latencies
from usage import CORES
from versions import Version, older_version, this_version

from lab import TINY, Lab, Measured

console = Console()


def on_servers(lab: Lab, version: Version, tasks: int, seed: int, *sizes: object) -> Measured:
    """Return the images per second of the services of `version` on RabbitMQ and MariaDB."""
    return lab.run(version, tasks, ("--seed", seed, *sizes))


def embedded(lab: Lab, version: Version, tasks: int, seed: int) -> Measured:
    """Return the images per second that `oat run` of `version` reports."""
    environment = version.environment(XDG_DATA_HOME=str(lab.new_folder()))
    before = children_processor()
    command = version.command("oat", "run", "--tasks", tasks, "--seed", seed)
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    spent = children_processor() - before
    speed = re.search(r"speed\W+([0-9.]+) images/s", run.stdout)
    assert speed, run.stdout
    return Measured(float(speed[1]), {"all, with the start": 1000 * spent / tasks})


def lone(lab: Lab, version: Version, tasks: int, on_servers: bool) -> Measured:
    """Return the median of the milliseconds of a lone task beside its rendering."""
    folder = lab.new_folder()
    variables = lab.addresses(folder) if on_servers else {}
    environment = version.environment(XDG_DATA_HOME=str(folder), **variables)
    return Measured(statistics.median(latencies(version.command, environment, folder, tasks)))


def children_processor() -> float:
    """Return the seconds of processor time of all processes that have been run to their end."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def compare(
    title: str, versions: tuple[Version, Version], rounds: int, measure: Callable[[Version, int], Measured]
) -> None:
    """Measure both versions in turn, and print the medians, the ratio and the processor time of each part."""
    runs: dict[str, list[Measured]] = {version.name: [] for version in versions}
    for number in range(rounds):
        for version in versions[:: -1 if number % 2 else 1]:
            runs[version.name].append(measure(version, number))
    older, this = runs.values()
    ratios = [two.figure / one.figure for one, two in zip(older, this, strict=True)]
    parts = list(older[0].processor)
    table = Table(
        title=f"{title}; {CORES} cores, {rounds} rounds",
        caption=f"this / older: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
    )
    for heading in ("", "median", *parts, *(["all, ms an image"] if len(parts) > 1 else [])):
        table.add_column(heading, justify="right" if heading else "left")
    for name, run in runs.items():
        costs = [statistics.median(each.processor[part] for each in run) for part in parts]
        costs += [statistics.median(each.total for each in run)] if len(parts) > 1 else []
        figure = statistics.median(each.figure for each in run)
        table.add_row(name, f"{figure:.1f}", *(f"{cost:.2f}" for cost in costs))
    console.print(table)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commit", required=True, help="the older commit")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of runs")
    parser.add_argument("--images", type=int, default=3000, help="images of the usual size in a run")
    parser.add_argument("--tiny", type=int, default=10_000, help="tiny images in a run")
    parser.add_argument("--lone", type=int, default=50, help="lone tasks in a run")
    loads = ("usual", "tiny", "embedded", "lone", "lone-embedded")
    parser.add_argument("--loads", nargs="+", choices=loads, default=loads, help="what to measure")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is removed
    with (
        benchmark_folder() as folder,
        older_version(options.commit) as older,
    ):
        lab = Lab(folder)
        measures: dict[str, tuple[str, Callable[[Version, int], Measured]]] = {
            "usual": (
                f"{options.images} usual images on RabbitMQ and MariaDB, images/s",
                lambda version, seed: on_servers(lab, version, options.images, seed),
            ),
            "tiny": (
                f"{options.tiny} tiny images on RabbitMQ and MariaDB, images/s",
                lambda version, seed: on_servers(lab, version, options.tiny, seed, *TINY),
            ),
            "embedded": (
                f"{options.images} usual images, oat run embedded, images/s",
                lambda version, seed: embedded(lab, version, options.images, seed),
            ),
            "lone": (
                f"{options.lone} lone tasks on RabbitMQ and MariaDB, ms beside the rendering",
                lambda version, _: lone(lab, version, options.lone, on_servers=True),
            ),
            "lone-embedded": (
                f"{options.lone} lone tasks, embedded, ms beside the rendering",
                lambda version, _: lone(lab, version, options.lone, on_servers=False),
            ),
        }
        try:
            for name in options.loads:
                compare(measures[name][0], (older, this_version()), options.rounds, measures[name][1])
        finally:
            lab.close()


if __name__ == "__main__":
    main()
