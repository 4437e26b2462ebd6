"""What an image costs in each service, and what follows from it for more workers: `make simulation`.

One worker is run and measured: processor time of each service and server for an image. From these costs and from
the worker's own rules (when it looks at what has arrived, how many tasks it holds) a simulation (SimPy)
predicts how many images a second 1 to 4 workers make on this machine, which is then measured too. With `--scale`
the same costs answer which part is the first to be full with many workers, each on a core of its own.

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
from collections import deque
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
from oat.broker import SPACING
from oat.worker import HELD_WORK, tasks_to_hold
from servers import MariaDB, RabbitMQ, SeaweedFS, Server, wait_until
from system import System, terminate

CORES = len(os.sched_getaffinity(0))
QUANTUM = 1.0
"""Milliseconds that the operating system leaves a core to one thread, while others wait for it."""

TINY = ("--min-width", 16, "--max-width", 16, "--min-height", 16, "--max-height", 16)
"""Images that cost next to nothing: what is left is the pipeline, its batches full."""

STEADY = 0.3, 0.9
"""Between these parts of its tasks a run is in its steady state."""

TURN = SPACING * 1000
"""Milliseconds between two looks of a worker at what has arrived, at least."""

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
    rest: float
    """In nobody of these: the kernel's own threads, and whatever else this machine does."""
    broker_sending: float
    """Before all that, when the task was sent."""
    database_recording: float


def main() -> None:
    """Measure, predict, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1200, help="images a run")
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
        done: dict[int, list[Run]] = {n: [] for n in counts}
        runs = [n for _ in range(options.rounds) for n in counts]
        for n in track(runs, "Measuring the throughput", console=console, transient=True):
            done[n].append(place.run(n, options.tasks))
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


class Machine:
    """Cores, which threads share by turns."""

    def __init__(self, world: simpy.Environment, cores: int) -> None:
        self.world = world
        self._cores = simpy.Resource(world, cores)

    def compute(self, milliseconds: float) -> Generator[Any, Any, None]:
        """Use a core for so long."""
        while milliseconds > 0:
            with self._cores.request() as core:
                yield core
                yield self.world.timeout(min(milliseconds, QUANTUM))
            milliseconds -= QUANTUM


class Inbox:
    """What arrives for one thread, which takes all of it together."""

    def __init__(self, world: simpy.Environment) -> None:
        self._world = world
        self._items: deque[Any] = deque()
        self._arrival = world.event()

    def put(self, item: Any) -> None:
        """Put `item` in, and wake who waits for it."""
        self._items.append(item)
        if not self._arrival.triggered:
            self._arrival.succeed()

    def wait(self) -> simpy.Event:
        """Return the event that there is something."""
        if not self._items:
            self._arrival = self._world.event()
        return self._arrival

    def take(self) -> list[Any]:
        """Return all there is."""
        items = list(self._items)
        self._items.clear()
        return items


class SimulatedWorker:
    """A worker of one render thread: its connection's turns, and the tasks it holds."""

    def __init__(self, machine: Machine, costs: Costs, broker: Inbox) -> None:
        self.machine, self.costs, self.broker = machine, costs, broker
        self.connection = Inbox(machine.world)
        self.tasks = simpy.Store(machine.world)
        self.unsettled = 0
        self.seconds = HELD_WORK
        for part in (self._render(), self._connect()):
            machine.world.process(part)

    @property
    def room(self) -> int:
        """How many more tasks the broker may give it."""
        return tasks_to_hold(self.seconds) - self.unsettled

    def _render(self) -> Generator[Any, Any, None]:
        while True:
            yield self.tasks.get()
            started = self.machine.world.now
            yield from self.machine.compute(self.costs.render + self.costs.store)
            self.seconds += ((self.machine.world.now - started) / 1000 - self.seconds) / 16
            self.connection.put("finished")

    def _connect(self) -> Generator[Any, Any, None]:
        """Of an image, a third of the cost each is its delivery, its result, and its acknowledgement."""
        looked = 0.0
        while True:
            turn = TURN if len(self.tasks.items) > 1 else 0.0  # at once where the render thread may soon run dry
            yield self.connection.wait()
            yield self.machine.world.timeout(max(0.0, looked + turn - self.machine.world.now))
            looked = self.machine.world.now
            for what in self.connection.take():
                yield from self.machine.compute(self.costs.connection / 3)
                if what == "delivery":
                    self.tasks.put(None)
                else:
                    self.broker.put((self, {"finished": "result", "confirm": "acknowledgement"}[what]))


def simulate(costs: Costs, workers: int, cores: int, tasks: int = 2000) -> float:
    """Return how many images a second `workers` workers with a render thread each make, all on `cores` cores."""
    world = simpy.Environment()
    machine = Machine(world, cores)
    broker, results = Inbox(world), Inbox(world)
    crew = [SimulatedWorker(machine, costs, broker) for _ in range(workers)]
    finished: list[float] = []

    def serve() -> Generator[Any, Any, None]:
        """The broker: half of its cost of an image is for the task, half for the result."""
        waiting = tasks
        while True:
            for worker in crew:
                while waiting and worker.room > 0:
                    waiting -= 1
                    worker.unsettled += 1
                    worker.connection.put("delivery")
            yield broker.wait()
            for worker, what in broker.take():
                yield from machine.compute(costs.broker / 2)
                if what == "result":
                    results.put(None)
                    worker.connection.put("confirm")
                else:
                    worker.unsettled -= 1

    def track_results() -> Generator[Any, Any, None]:
        while True:
            yield results.wait()
            for _ in results.take():
                yield from machine.compute(costs.tracker + costs.database + costs.rest)
                finished.append(world.now)

    world.process(serve())
    world.process(track_results())
    world.run()
    first, last = (int(part * (tasks - 1)) for part in STEADY)
    return (last - first) * 1000 / (finished[last] - finished[first])


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
            sent = self._spent()
            for service in services:
                service.send_signal(signal.SIGCONT)
            pids = [service.pid for service in services]
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
        services = {"connection": sum(connections), "render": sum(renderers), "tracker": seconds(tracker)}
        machine = psutil.cpu_times()
        idle = machine.idle + machine.iowait
        busy = machine.user + machine.nice + machine.system + machine.irq + machine.softirq
        return Sample(at, done, self._spent() | services, busy, idle)

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
