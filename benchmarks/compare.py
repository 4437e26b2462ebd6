"""An older commit beside this checkout: `make bench-compare COMMIT=…`.

Both do the same in turn, round by round, on the same servers and the same cores: images of the usual size and tiny
ones on RabbitMQ and MariaDB, `oat run` on the embedded default, and lone tasks on an idle system. The medians, and
the median of the ratios of each round, are the result. A rate counts from the first record to the last result, by
the times in the records. Processor time is that of all services and servers, of an image.
"""

import argparse
import contextlib
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from folders import benchmark_folder
from lone import latencies
from usage import CORES, processor
from versions import Version, older_version, this_version

from helpers.guard import guard_command, guard_process
from helpers.servers import MariaDB, RabbitMQ
from helpers.waiting import wait_until

TINY = ("--min-width", 16, "--max-width", 16, "--min-height", 16, "--max-height", 16)
"""Images that take next to no time to render: what is left is the cost of their way."""

POLL_INTERVAL = 0.02
"""Seconds between two looks whether all tasks are done: the times are those of the records."""

console = Console()


@dataclass
class Measured:
    """The result of one run: the figure that is compared, and milliseconds of processor time for each image."""

    figure: float
    processor: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Milliseconds of processor time for an image, of all parts."""
        return sum(self.processor.values())


class Lab:
    """The servers, with a new database and a new folder for each run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = 0
        for name in ("rabbitmq", "mariadb"):
            (folder / name).mkdir()
        self.rabbitmq = RabbitMQ(folder / "rabbitmq").start()
        self.mariadb = MariaDB(folder / "mariadb").start()

    def close(self) -> None:
        """Stop the servers."""
        self.rabbitmq.stop()
        self.mariadb.stop()

    def new_folder(self) -> Path:
        """Return a folder for the next run."""
        self.runs += 1
        folder = self.folder / f"run{self.runs}"
        folder.mkdir()
        return folder

    def addresses(self, folder: Path) -> dict[str, str]:
        """Return the settings of a run on the servers."""
        return {
            "OAT_BROKER_URL": self.rabbitmq.url,
            "OAT_DATABASE_URL": self.mariadb.database(folder.name),
            "OAT_TARGET": str(folder / "images"),
        }

    def on_servers(self, version: Version, tasks: int, seed: int, *sizes: object) -> Measured:
        """Return the images per second of the three services of `version` on RabbitMQ and MariaDB."""
        folder = self.new_folder()
        environment = version.environment(**self.addresses(folder))
        engine = sa.create_engine(environment["OAT_DATABASE_URL"], isolation_level="AUTOCOMMIT")
        options = ("--one-shot", "--min-tasks", tasks, "--max-tasks", tasks, "--seed", seed, *sizes)
        with contextlib.ExitStack() as stack:
            parts = {
                name: stack.enter_context(running(version.command(f"oat-{name}"), environment, folder))
                for name in ("worker", "tracker")
            }
            wait_until(
                lambda: all(has_connection(each, self.rabbitmq.port) for each in parts.values()), "services"
            )
            command = version.command("oat-producer", *options)
            parts["producer"] = stack.enter_context(running(command, environment, folder))
            parts["RabbitMQ"] = psutil.Process(self.rabbitmq.process.pid)
            parts["MariaDB"] = psutil.Process(self.mariadb.process.pid)
            connection = stack.enter_context(engine.connect())
            waiting = sa.text("SELECT uuid FROM fractals WHERE status = 'waiting' LIMIT 1")
            wait_until(lambda: connection.execute(waiting).first(), "a record", step=POLL_INTERVAL)
            before = {name: processor(part) for name, part in parts.items()}
            producer = parts["producer"]
            wait_until(lambda: producer.status() == psutil.STATUS_ZOMBIE, "the producer", 300, POLL_INTERVAL)
            wait_until(lambda: not connection.execute(waiting).first(), "all results", 300, POLL_INTERVAL)
            spent = {name: processor(part) - before[name] for name, part in parts.items()}
            done = "SELECT COUNT(*), MIN(created_at), MAX(finished_at) FROM fractals WHERE status = 'done'"
            count, first, last = connection.execute(sa.text(done)).one()
        engine.dispose()
        if count != tasks:
            raise RuntimeError(f"{count} of {tasks} records are done")
        rate = tasks / (last - first).total_seconds()
        return Measured(rate, {name: 1000 * seconds / tasks for name, seconds in spent.items()})

    def embedded(self, version: Version, tasks: int, seed: int) -> Measured:
        """Return the images per second that `oat run` of `version` reports."""
        environment = version.environment(XDG_DATA_HOME=str(self.new_folder()))
        before = children_processor()
        command = version.command("oat", "run", "--tasks", tasks, "--seed", seed)
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        spent = children_processor() - before
        speed = re.search(r"speed\W+([0-9.]+) images/s", run.stdout)
        assert speed, run.stdout
        return Measured(float(speed[1]), {"all, with the start": 1000 * spent / tasks})

    def lone(self, version: Version, tasks: int, on_servers: bool) -> Measured:
        """Return the median of the milliseconds of a lone task beside its rendering."""
        folder = self.new_folder()
        variables = self.addresses(folder) if on_servers else {}
        environment = version.environment(XDG_DATA_HOME=str(folder), **variables)
        return Measured(statistics.median(latencies(version.command, environment, folder, tasks)))


@contextlib.contextmanager
def running(command: list[str], environment: dict[str, str], folder: Path) -> Iterator[psutil.Process]:
    """Run a service until the block ends."""
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    guard_process(process.pid)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def has_connection(process: psutil.Process, port: int) -> bool:
    """Return whether `process` is connected to `port`."""
    return any(each.raddr and each.raddr.port == port for each in process.net_connections("tcp"))


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
        tempfile.TemporaryDirectory(prefix="oat-bench-", dir=benchmark_folder()) as folder,
        older_version(options.commit) as older,
    ):
        guard_command(["rm", "-rf", folder])
        Path(folder).chmod(0o755)
        lab = Lab(Path(folder))
        measures: dict[str, tuple[str, Callable[[Version, int], Measured]]] = {
            "usual": (
                f"{options.images} usual images on RabbitMQ and MariaDB, images/s",
                lambda version, seed: lab.on_servers(version, options.images, seed),
            ),
            "tiny": (
                f"{options.tiny} tiny images on RabbitMQ and MariaDB, images/s",
                lambda version, seed: lab.on_servers(version, options.tiny, seed, *TINY),
            ),
            "embedded": (
                f"{options.images} usual images, oat run embedded, images/s",
                lambda version, seed: lab.embedded(version, options.images, seed),
            ),
            "lone": (
                f"{options.lone} lone tasks on RabbitMQ and MariaDB, ms beside the rendering",
                lambda version, _: lab.lone(version, options.lone, on_servers=True),
            ),
            "lone-embedded": (
                f"{options.lone} lone tasks, embedded, ms beside the rendering",
                lambda version, _: lab.lone(version, options.lone, on_servers=False),
            ),
        }
        try:
            for name in options.loads:
                compare(measures[name][0], (older, this_version()), options.rounds, measures[name][1])
        finally:
            lab.close()


if __name__ == "__main__":
    main()
