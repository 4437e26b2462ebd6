"""What an image costs in each service, and what follows from it for more workers: `make simulation`.

One worker is run and measured: processor time of each service and server for an image. All of them share one core
meanwhile, as they do where cores are full: caches that others have used and changes from one to the other cost
several percent. From these costs and from the worker's own rules (when it looks at what has arrived, how many
tasks it holds) a simulation (SimPy) predicts how many images a second 1 to 4 workers make on all cores of this
machine, which is then measured too. With `--scale` the same costs answer which part is the first to be full with
many workers, each on a core of its own.

Everything is measured in the steady state: after the start, in which workers still find out how many tasks to
hold, and before the end, when there are none left to hold.
"""

import argparse
import contextlib
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import sqlalchemy as sa
from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from model import STEADY, Costs, simulate
from usage import CORES, family, processor

from helpers.processes import terminate
from helpers.servers import MariaDB, RabbitMQ, SeaweedFS, Server
from helpers.system import System
from helpers.waiting import wait_until

TINY = ("--min-width", 16, "--max-width", 16, "--min-height", 16, "--max-height", 16)
"""Images that cost next to nothing: what is left is the pipeline, its batches full."""

console = Console()


def main() -> None:
    """Measure, predict, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1200, help="images a run")
    parser.add_argument("--rounds", type=int, default=3, help="what is measured is the median of so many rounds")
    parser.add_argument("--workers", type=int, default=4, help="predict and measure 1 to so many workers")
    parser.add_argument("--bucket", action="store_true", help="images in an object store instead of a directory")
    parser.add_argument("--scale", action="store_true", help="only measure the costs, and say what is full first")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="oat-") as folder, servers(Path(folder), options.bucket) as place:
        counts = range(1, 1 if options.scale else options.workers + 1)
        alone: list[Run] = []
        done: dict[int, list[Run]] = {n: [] for n in counts}
        for _ in track(range(options.rounds), "Measuring", console=console, transient=True):
            alone.append(place.run(1, options.tasks, cores=1))
            for n in counts:
                done[n].append(place.run(n, options.tasks))
        costs = median(alone)
        print_costs("One worker, usual images, all on one core", costs)
        if options.scale:
            with console.status("Measuring the costs at full speed"):
                busy = place.run(CORES, 4 * options.tasks, sizes=TINY).costs
            print_costs("As fast as it goes, images of 16 by 16 pixels", busy)
            print_scale(replace(busy, render=costs.render, store=costs.store))
            return
    table = Table("workers", "predicted images/s", "measured", "error", "cores idle", title=f"{CORES} cores")
    worst = 0.0
    for n in counts:
        predicted, measured = simulate(costs, n, CORES), statistics.median(run.rate for run in done[n])
        error = predicted / measured - 1
        worst = max(worst, abs(error))
        idle = statistics.median(run.idle for run in done[n])
        table.add_row(str(n), f"{predicted:.1f}", f"{measured:.1f}", f"{error:+.0%}", f"{idle:.1f}")
    console.print(table)
    sys.exit(worst > 0.15)


@dataclass(frozen=True)
class Run:
    """What one run of the real services showed in its steady state."""

    costs: Costs
    rate: float
    """Images a second."""
    idle: float
    """Cores that had nothing to do."""


@dataclass(frozen=True)
class Sample:
    """How far a run is, and the seconds of processor time that each part has had by then."""

    at: float
    done: int
    spent: dict[str, float]
    busy: float
    """All cores together, whoever used them."""
    idle: float


class Place:
    """The servers, on which runs follow one another."""

    def __init__(self, folder: Path, servers: dict[str, Server]) -> None:
        self.folder = folder
        self.servers = servers
        self._runs = 0

    def run(self, workers: int, tasks: int, cores: int = CORES, sizes: tuple[object, ...] = ()) -> Run:
        """Have `workers` workers and a tracker do `tasks` tasks of the usual kind, or of `sizes`, on `cores`."""
        self._runs += 1
        folder = self.folder / f"run{self._runs}"
        folder.mkdir()
        url = self.servers["database"].database(f"run{self._runs}")
        settings = {}
        if "store" in self.servers:
            target = {"OAT_TARGET": f"s3://{SeaweedFS.BUCKET}/run{self._runs}"}
            settings = self.servers["store"].variables | target
        with System(folder, self.servers["broker"].url, url, **settings) as system:
            tracker = system.start("oat-tracker")
            services = [system.start("oat-worker", "--threads", 1) for _ in range(workers)]
            for service in services:
                wait_until(lambda s=service: has_connection(s.pid, self.servers["broker"].port), "a connection")
            # The producer takes longer to make up a task than two workers to render it: all are made up first.
            for service in services:
                service.send_signal(signal.SIGSTOP)
            start = self._spent()
            done = system.call(
                "oat-producer", "--one-shot", "--min-tasks", tasks, "--max-tasks", tasks, "--seed", 1, *sizes
            )
            if done.returncode:
                raise SystemExit(done.stderr)
            sent = self._spent()
            pids = [service.pid for service in services]
            for pid in (tracker.pid, *pids, *(server.process.pid for server in self.servers.values())):
                confine(pid, cores)
            for service in services:
                service.send_signal(signal.SIGCONT)
            first, last = (self._sample(system, int(part * tasks), tracker.pid, pids) for part in STEADY)
            for service in (*services, tracker):
                terminate(service)
        images = last.done - first.done
        spent = {name: (last.spent[name] - first.spent[name]) * 1000 / images for name in last.spent}
        rest = (last.busy - first.busy) * 1000 / images - sum(spent.values())
        sending = {name: (sent[name] - start[name]) * 1000 / tasks for name in sent}
        costs = Costs(
            render=spent["render"], connection=spent["connection"], broker=spent["broker"],
            tracker=spent["tracker"], database=spent["database"], store=spent.get("store", 0.0),
            rest=max(0.0, rest), broker_sending=sending["broker"], database_recording=sending["database"],
        )  # fmt: skip
        seconds = last.at - first.at
        return Run(costs, images / seconds, (last.idle - first.idle) / seconds)

    def _sample(self, system: System, images: int, tracker: int, workers: list[int]) -> Sample:
        """Wait until so many images are done, and look."""
        query = sa.text("SELECT COUNT(*) FROM fractals WHERE status = 'done'")
        with system.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while (done := connection.execute(query).scalar_one()) < images:
                time.sleep(0.05)
        at = time.monotonic()
        connections, renderers = zip(*map(threads, workers), strict=True)
        services = {
            "connection": sum(connections),
            "render": sum(renderers),
            "tracker": processor(psutil.Process(tracker)),
        }
        machine = psutil.cpu_times()
        idle = machine.idle + machine.iowait
        busy = machine.user + machine.nice + machine.system + machine.irq + machine.softirq
        return Sample(at, done, self._spent() | services, busy, idle)

    def _spent(self) -> dict[str, float]:
        """Return the processor time that each server has had."""
        return {name: processor(psutil.Process(server.process.pid)) for name, server in self.servers.items()}


def median(runs: list[Run]) -> Costs:
    """Return the median of each cost."""
    return Costs(
        **{name: statistics.median(vars(run.costs)[name] for run in runs) for name in vars(runs[0].costs)}
    )


@contextlib.contextmanager
def servers(folder: Path, bucket: bool) -> Iterator[Place]:
    """Start the servers, and stop them in the end."""
    kinds: dict[str, type[Server]] = {"broker": RabbitMQ, "database": MariaDB}
    if bucket:
        kinds["store"] = SeaweedFS
    started: dict[str, Server] = {}
    try:
        for name, kind in kinds.items():
            own = folder / name
            own.mkdir()
            started[name] = kind(own).start()
        yield Place(folder, started)
    finally:
        for server in started.values():
            server.stop()


def confine(pid: int, cores: int) -> None:
    """Have process `pid` and its children use only so many cores."""
    some = sorted(os.sched_getaffinity(0))[:cores]
    for thread in (thread for each in family(psutil.Process(pid)) for thread in each.threads()):
        with contextlib.suppress(ProcessLookupError):  # it has ended since
            os.sched_setaffinity(thread.id, some)


def threads(pid: int) -> tuple[float, float]:
    """Return the processor time that the first thread of `pid` has had, and that all its others have had."""
    times = {thread.id: thread.user_time + thread.system_time for thread in psutil.Process(pid).threads()}
    return times.pop(pid), sum(times.values())


def has_connection(pid: int, port: int) -> bool:
    """Say whether process `pid` is connected to `port`."""
    return any(each.raddr and each.raddr.port == port for each in psutil.Process(pid).net_connections("tcp"))


def print_costs(title: str, costs: Costs) -> None:
    """Print what an image costs."""
    table = Table("part", "ms of a core for an image", title=title)
    for name, cost in vars(costs).items():
        table.add_row(name, f"{cost:.2f}")
    console.print(table)


def print_scale(costs: Costs) -> None:
    """Print how busy each part is with many workers, each on a core of its own."""
    per_worker = 1000 / (costs.render + costs.connection)
    table = Table("workers", "images/s", "broker", "database", "tracker", "store", title="busy cores")
    for workers in (10, 100, 1000):
        images = workers * per_worker
        busy = [
            f"{images * cost / 1000:.2f}" for cost in (costs.broker, costs.database, costs.tracker, costs.store)
        ]
        table.add_row(str(workers), f"{images:.0f}", *busy)
    console.print(table)


if __name__ == "__main__":
    main()
