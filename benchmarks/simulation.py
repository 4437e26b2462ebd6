"""Measures the processor time per image, and predicts the rate of more workers: `make simulation`.

One worker is run, and the processor time of each service and server is measured. They share one core meanwhile,
as under full load: cold caches and context switches cost several percent. From these costs and from the worker's
rules (flush interval, prefetch count) a simulation (SimPy) predicts the images per second of 1 to 4 workers on all
cores of this machine, which are then measured too. With `--scale` the same costs tell which part is saturated
first with many workers, each on a core of its own.

Everything is measured in the steady state: after the start, when workers adapt their prefetch count, and before
the end, when there are too few tasks left to prefetch.
"""

import argparse
import contextlib
import os
import signal
import statistics
import sys
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
from folders import benchmark_folder
from model import STEADY_STATE, Costs, simulate
from usage import CORES, family, processor

from helpers.processes import terminate
from helpers.servers import MariaDB, RabbitMQ, SeaweedFS, Server
from helpers.system import System
from helpers.waiting import wait_until

TINY = ("--min-width", 16, "--max-width", 16, "--min-height", 16, "--max-height", 16)
"""Images that take next to no time to render: what is left is the cost of the pipeline with full batches."""

MAX_ERROR = 0.15
"""Relative error of a prediction above which the command fails: the runs themselves vary by half of that."""

console = Console()


def main() -> None:
    """Measure, predict and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=4000, help="images per run")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the medians count")
    parser.add_argument(
        "--workers", type=int, default=4, help="the highest number of workers to predict and measure"
    )
    parser.add_argument("--bucket", action="store_true", help="images in an object store instead of a directory")
    parser.add_argument(
        "--scale", action="store_true", help="only measure the costs, and print which part is saturated first"
    )
    options = parser.parse_args()
    with (
        benchmark_folder() as folder,
        servers(folder, options.bucket) as environment,
    ):
        counts = range(1, 1 if options.scale else options.workers + 1)
        alone: list[Run] = []
        done: dict[int, list[Run]] = {n: [] for n in counts}
        for _ in track(range(options.rounds), "Measuring", console=console, transient=True):
            alone.append(environment.run(1, options.tasks, cores=1))
            for n in counts:
                done[n].append(environment.run(n, options.tasks))
        costs = median(alone)
        print_costs("One worker, usual images, all on one core", costs)
        if options.scale:
            with console.status("Measuring the costs at full speed"):
                at_full_rate = environment.run(CORES, 4 * options.tasks, sizes=TINY).costs
            print_costs("At the highest rate, images of 16 × 16 pixels", at_full_rate)
            print_scale(replace(at_full_rate, render=costs.render, store=costs.store))
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
    sys.exit(worst > MAX_ERROR)


@dataclass(frozen=True)
class Run:
    """The result of one run of the real services in its steady state."""

    costs: Costs
    rate: float
    """Images per second."""
    idle: float
    """Cores that were idle, on average."""


@dataclass(frozen=True)
class Sample:
    """The state of a run at one time, with the seconds of processor time that each part has used until then."""

    at: float
    done: int
    spent: dict[str, float]
    busy: float
    """Of all cores together, used by any process."""
    idle: float


class Environment:
    """The servers, on which one run follows the other."""

    def __init__(self, folder: Path, servers: dict[str, Server]) -> None:
        self.folder = folder
        self.servers = servers
        self._runs = 0

    def run(self, workers: int, tasks: int, cores: int = CORES, sizes: tuple[object, ...] = ()) -> Run:
        """Run `workers` workers and a tracker on `cores` cores with `tasks` tasks, of `sizes` if given."""
        with self._system() as system:
            tracker = system.start("oat-tracker")
            services = [system.start("oat-worker", "--threads", 1) for _ in range(workers)]
            for service in services:
                wait_until(lambda s=service: has_connection(s.pid, self.servers["broker"].port), "a connection")
            # Drawing a task takes longer than rendering it by two workers: all are published before they begin.
            for service in services:
                service.send_signal(signal.SIGSTOP)
            publishing = self._produce(system, tasks, sizes)
            pids = [service.pid for service in services]
            for pid in (tracker.pid, *pids, *(server.process.pid for server in self.servers.values())):
                set_affinity(pid, cores)
            for service in services:
                service.send_signal(signal.SIGCONT)
            first, last = (self._sample(system, int(part * tasks), tracker.pid, pids) for part in STEADY_STATE)
            for service in (*services, tracker):
                terminate(service)
            # The next run has another database: results without a record would keep its tracker waiting.
            with system.amqp() as connection:
                for queue in ("tasks", "results"):
                    connection.channel().queue_purge(queue)
        seconds = last.at - first.at
        rate, idle = (last.done - first.done) / seconds, (last.idle - first.idle) / seconds
        return Run(costs_between(first, last, publishing), rate, idle)

    def _system(self) -> System:
        """Return a system on these servers, with a new database and a new folder or prefix for the images."""
        self._runs += 1
        folder = self.folder / f"run{self._runs}"
        folder.mkdir()
        url = self.servers["database"].database(f"run{self._runs}")
        settings = {}
        if "store" in self.servers:
            target = {"OAT_TARGET": f"s3://{SeaweedFS.BUCKET}/run{self._runs}"}
            settings = self.servers["store"].variables | target
        return System(folder, self.servers["broker"].url, url, **settings)

    def _produce(self, system: System, tasks: int, sizes: tuple[object, ...]) -> dict[str, float]:
        """Publish `tasks` tasks, and return the milliseconds of processor time per task of each server."""
        before = self._spent()
        done = system.call(
            "oat-producer", "--one-shot", "--min-tasks", tasks, "--max-tasks", tasks, "--seed", 1, *sizes
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        after = self._spent()
        return {name: (after[name] - before[name]) * 1000 / tasks for name in after}

    def _sample(self, system: System, images: int, tracker: int, workers: list[int]) -> Sample:
        """Wait until so many images are done, and return a sample."""
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
        """Return the processor time that each server has used."""
        return {name: processor(psutil.Process(server.process.pid)) for name, server in self.servers.items()}


def costs_between(first: Sample, last: Sample, publishing: dict[str, float]) -> Costs:
    """Return the costs per image between two samples; `publishing` has those of each server before."""
    images = last.done - first.done
    spent = {name: (last.spent[name] - first.spent[name]) * 1000 / images for name in last.spent}
    rest = (last.busy - first.busy) * 1000 / images - sum(spent.values())
    return Costs(
        render=spent["render"], connection=spent["connection"], broker=spent["broker"],
        tracker=spent["tracker"], database=spent["database"], store=spent.get("store", 0.0),
        rest=max(0.0, rest), broker_publish=publishing["broker"], database_record=publishing["database"],
    )  # fmt: skip


def median(runs: list[Run]) -> Costs:
    """Return the median of each cost."""
    return Costs(
        **{name: statistics.median(vars(run.costs)[name] for run in runs) for name in vars(runs[0].costs)}
    )


@contextlib.contextmanager
def servers(folder: Path, bucket: bool) -> Iterator[Environment]:
    """Start the servers, and stop them when the block ends."""
    kinds: dict[str, type[Server]] = {"broker": RabbitMQ, "database": MariaDB}
    if bucket:
        kinds["store"] = SeaweedFS
    started: dict[str, Server] = {}
    try:
        for name, kind in kinds.items():
            own = folder / name
            own.mkdir()
            started[name] = kind(own).start()
        yield Environment(folder, started)
    finally:
        for server in started.values():
            server.stop()


def set_affinity(pid: int, cores: int) -> None:
    """Restrict process `pid` and its children to so many cores."""
    some = sorted(os.sched_getaffinity(0))[:cores]
    for thread in (thread for each in family(psutil.Process(pid)) for thread in each.threads()):
        with contextlib.suppress(ProcessLookupError):  # it has ended since
            os.sched_setaffinity(thread.id, some)


def threads(pid: int) -> tuple[float, float]:
    """Return the processor time of the main thread of `pid`, and of its other threads together."""
    times = {thread.id: thread.user_time + thread.system_time for thread in psutil.Process(pid).threads()}
    return times.pop(pid), sum(times.values())


def has_connection(pid: int, port: int) -> bool:
    """Return whether process `pid` is connected to `port`."""
    return any(each.raddr and each.raddr.port == port for each in psutil.Process(pid).net_connections("tcp"))


def print_costs(title: str, costs: Costs) -> None:
    """Print the processor time per image."""
    table = Table("part", "ms of processor time per image", title=title)
    for name, cost in vars(costs).items():
        table.add_row(name, f"{cost:.2f}")
    console.print(table)


def print_scale(costs: Costs) -> None:
    """Print how many cores each part uses with many workers, each on a core of its own."""
    per_worker = 1000 / (costs.render + costs.connection)
    table = Table("workers", "images/s", "broker", "database", "tracker", "store", title="busy cores")
    for workers in (10, 100, 1000):
        images = workers * per_worker
        broker, database = costs.broker + costs.broker_publish, costs.database + costs.database_record
        busy = [f"{images * cost / 1000:.2f}" for cost in (broker, database, costs.tracker, costs.store)]
        table.add_row(str(workers), f"{images:.0f}", *busy)
    console.print(table)


if __name__ == "__main__":
    main()
