"""What an image costs in each service, and what follows from it for more workers: `make simulation`.

One worker is run and measured: processor time of each service and server for an image. From these costs alone a
simulation of the pipeline (SimPy) predicts how many images a second 1 to 4 workers make on this machine, which is
then measured too. With `--scale` the same costs answer which part is the first to be full with many workers, each
on a core of its own.
"""

import argparse
import contextlib
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import simpy
import sqlalchemy as sa
from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from servers import MariaDB, RabbitMQ, SeaweedFS, Server, wait_until
from system import System, terminate

CORES = len(os.sched_getaffinity(0))
QUANTUM = 1.0
"""Milliseconds that the operating system leaves a core to one thread, while others wait for it."""

TINY = ("--min-width", 16, "--max-width", 16, "--min-height", 16, "--max-height", 16)
"""Images that cost next to nothing: what is left is the pipeline, its batches full."""

AHEAD = 2
"""Tasks that a worker holds for its render thread."""

console = Console()


@dataclass(frozen=True)
class Costs:
    """Milliseconds of processor time for an image."""

    render: float
    """In the worker's render thread: picture, PNG, checksum, store."""
    connection: float
    """In the worker's other thread: take the task, push the result, settle."""
    broker: float
    tracker: float
    database: float
    store: float
    """In the server of the object store; nothing, where a directory is one."""
    broker_sending: float
    """Before all that, when the task was sent."""
    database_recording: float


def main() -> None:
    """Measure, predict, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=600, help="images a run")
    parser.add_argument("--rounds", type=int, default=1, help="what is measured is the median of so many rounds")
    parser.add_argument("--workers", type=int, default=4, help="predict and measure 1 to so many workers")
    parser.add_argument("--bucket", action="store_true", help="images in an object store instead of a directory")
    parser.add_argument("--scale", action="store_true", help="only measure the costs, and say what is full first")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="oat-") as folder, servers(Path(folder), options.bucket) as place:
        with console.status("Measuring the costs with one worker"):
            costs = place.run(1, options.tasks).costs
        print_costs("One worker, usual images", costs)
        if options.scale:
            with console.status("Measuring the costs at full speed"):
                busy = place.run(CORES, 4 * options.tasks, TINY).costs
            print_costs("As fast as it goes, images of 16 by 16 pixels", busy)
            print_scale(replace(busy, render=costs.render, store=costs.store))
            return
        counts = range(1, options.workers + 1)
        rates: dict[int, list[float]] = {n: [] for n in counts}
        runs = [n for _ in range(options.rounds) for n in counts]
        for n in track(runs, "Measuring the throughput", console=console, transient=True):
            rates[n].append(place.run(n, options.tasks).rate)
    table = Table("workers", "predicted images/s", "measured", "error", title=f"{CORES} cores")
    worst = 0.0
    for n in counts:
        predicted, measured = simulate(costs, n, CORES), statistics.median(rates[n])
        error = predicted / measured - 1
        worst = max(worst, abs(error))
        table.add_row(str(n), f"{predicted:.1f}", f"{measured:.1f}", f"{error:+.0%}")
    console.print(table)
    sys.exit(worst > 0.15)


def simulate(costs: Costs, workers: int, cores: int, tasks: int = 1000) -> float:
    """Return how many images a second `workers` workers with a render thread each make, all on `cores` cores."""
    world = simpy.Environment()
    machine = simpy.Resource(world, cores)
    waiting, results = simpy.Store(world), simpy.Store(world)
    waiting.items = list(range(tasks))
    finished: list[float] = []

    def compute(milliseconds: float) -> Generator[Any, Any, None]:
        while milliseconds > 0:
            with machine.request() as core:
                yield core
                yield world.timeout(min(milliseconds, QUANTUM))
            milliseconds -= QUANTUM

    def take(inbox: simpy.Store, room: simpy.Container) -> Generator[Any, Any, None]:
        while True:
            yield room.get(1)
            task = yield waiting.get()
            yield from compute(costs.broker / 2 + costs.connection / 2)
            yield inbox.put(task)

    def render(inbox: simpy.Store, outbox: simpy.Store) -> Generator[Any, Any, None]:
        while True:
            task = yield inbox.get()
            yield from compute(costs.render + costs.store)
            yield outbox.put(task)

    def answer(outbox: simpy.Store, room: simpy.Container) -> Generator[Any, Any, None]:
        while True:
            task = yield outbox.get()
            yield from compute(costs.connection / 2 + costs.broker / 2)
            yield room.put(1)
            yield results.put(task)

    def track_results() -> Generator[Any, Any, None]:
        while True:
            yield results.get()
            yield from compute(costs.tracker + costs.database)
            finished.append(world.now)

    for _ in range(workers):
        inbox, outbox = simpy.Store(world), simpy.Store(world)
        room = simpy.Container(world, init=AHEAD)
        for part in (take(inbox, room), render(inbox, outbox), answer(outbox, room)):
            world.process(part)
    world.process(track_results())
    world.run()
    return rate(finished, 1000.0)


def rate(times: list[float], second: float) -> float:
    """Return how many of `times` a second there are in the middle of them, without the start and the end."""
    first, last = len(times) // 10, len(times) * 9 // 10
    return (last - first) * second / (times[last] - times[first])


@dataclass
class Run:
    """What one run of the real services showed."""

    costs: Costs
    rate: float


class Place:
    """The servers, on which runs follow one another."""

    def __init__(self, folder: Path, servers: dict[str, Server]) -> None:
        self.folder = folder
        self.servers = servers
        self._runs = 0

    def run(self, workers: int, tasks: int, sizes: tuple[object, ...] = ()) -> Run:
        """Have `workers` workers do `tasks` tasks of the usual kind, or of `sizes`, with one tracker."""
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
            before = self._spent()
            trackers_before = seconds(tracker.pid)
            threads_before = [threads(service.pid) for service in services]
            for service in services:
                service.send_signal(signal.SIGCONT)
            done_records = sa.text("SELECT COUNT(*) FROM fractals WHERE status = 'done'")
            with system.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                while connection.execute(done_records).scalar_one() < tasks:
                    time.sleep(0.3)
            after = self._spent()
            spent = {name: (after[name] - before[name]) * 1000 / tasks for name in after}
            sending = {name: (before[name] - start[name]) * 1000 / tasks for name in before}
            in_tracker = (seconds(tracker.pid) - trackers_before) * 1000 / tasks
            in_threads = [threads(service.pid) for service in services]
            with system.engine.connect() as connection:
                query = sa.text("SELECT finished_at FROM fractals ORDER BY finished_at")
                times = [row.finished_at.timestamp() for row in connection.execute(query)]
            for service in (*services, tracker):
                terminate(service)
        connection_ms, render_ms = (
            sum(after[part] - before[part] for before, after in zip(threads_before, in_threads, strict=True))
            * 1000
            / tasks
            for part in (0, 1)
        )
        costs = Costs(
            render_ms, connection_ms, spent["broker"], in_tracker, spent["database"], spent.get("store", 0.0),
            sending["broker"], sending["database"],
        )  # fmt: skip
        return Run(costs, rate(times, 1.0))

    def _spent(self) -> dict[str, float]:
        """Return the processor time that each server has had."""
        return {name: seconds(server.process.pid) for name, server in self.servers.items()}


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


def seconds(pid: int) -> float:
    """Return the processor time that process `pid` and its children have had."""
    process = psutil.Process(pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


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
