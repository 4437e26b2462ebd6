"""A model of the pipeline: predicts images per second from the processor time of each part per image.

The costs are measured elsewhere (`simulation`); the rules are those of the worker's code: its flush interval and
its prefetch count.
"""

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import simpy

from oat.messaging.broker import FLUSH_INTERVAL
from oat.services.prefetch import PREFETCHED_WORK, prefetch_for

QUANTUM = 1.0
"""Milliseconds of a time slice: how long the scheduler runs one thread while others are runnable."""

STEADY_STATE = 0.3, 0.9
"""The steady state of a run is between these fractions of its tasks: before, workers adapt their prefetch count,
and after, there are too few tasks left to prefetch."""

FLUSH_INTERVAL_MS = FLUSH_INTERVAL * 1000
"""Milliseconds between two times that a worker handles what it has received, at least."""


@dataclass(frozen=True)
class Costs:
    """Milliseconds of processor time per image."""

    render: float
    """In the worker's render thread: pixels, PNG, checksum, store."""
    connection: float
    """In the worker's other thread: receive the task, publish the result, acknowledge."""
    broker: float
    tracker: float
    database: float
    store: float
    """In the server of the object store; 0 with a directory."""
    rest: float
    """In none of these: the operating system's threads, and other processes of this machine."""
    broker_publish: float
    """In the broker, when the task was published, before the worker's steady state."""
    database_record: float
    """In the database, when the task was recorded."""


class Machine:
    """Cores that threads share in time slices."""

    def __init__(self, world: simpy.Environment, cores: int) -> None:
        self.world = world
        self._cores = simpy.Resource(world, cores)

    def compute(self, milliseconds: float) -> Generator[Any, Any, None]:
        """Use a core for so many milliseconds, a time slice at a time."""
        while milliseconds > 0:
            with self._cores.request() as core:
                yield core
                yield self.world.timeout(min(milliseconds, QUANTUM))
            milliseconds -= QUANTUM


class Inbox:
    """The messages for one thread, which takes all of them at once."""

    def __init__(self, world: simpy.Environment) -> None:
        self._world = world
        self._items: deque[Any] = deque()
        self._arrival = world.event()

    def put(self, item: Any) -> None:
        """Add `item` and trigger the event that `wait` returned."""
        self._items.append(item)
        if not self._arrival.triggered:
            self._arrival.succeed()

    def wait(self) -> simpy.Event:
        """Return an event that is triggered as soon as there is an item."""
        if not self._items:
            self._arrival = self._world.event()
        return self._arrival

    def take(self) -> list[Any]:
        """Remove and return all items."""
        items = list(self._items)
        self._items.clear()
        return items


class SimulatedWorker:
    """A worker with one render thread, and the thread of its connection."""

    def __init__(self, machine: Machine, costs: Costs, broker: Inbox) -> None:
        self.machine, self.costs, self.broker = machine, costs, broker
        self.connection = Inbox(machine.world)
        self.tasks = simpy.Store(machine.world)
        self.unacknowledged = 0
        self.seconds = PREFETCHED_WORK
        for part in (self._render(), self._connect()):
            machine.world.process(part)

    @property
    def capacity(self) -> int:
        """How many more tasks the broker may deliver."""
        return prefetch_for(self.seconds) - self.unacknowledged

    def _render(self) -> Generator[Any, Any, None]:
        while True:
            yield self.tasks.get()
            started = self.machine.world.now
            yield from self.machine.compute(self.costs.render + self.costs.store)
            self.seconds += ((self.machine.world.now - started) / 1000 - self.seconds) / 16
            self.connection.put("finished")

    def _connect(self) -> Generator[Any, Any, None]:
        """Handle what is received; delivery, result and confirm cost a third each."""
        handled = 0.0
        while True:
            interval = (
                FLUSH_INTERVAL_MS if len(self.tasks.items) > 1 else 0.0
            )  # at once if the render thread may soon be idle
            yield self.connection.wait()
            yield self.machine.world.timeout(max(0.0, handled + interval - self.machine.world.now))
            handled = self.machine.world.now
            for what in self.connection.take():
                yield from self.machine.compute(self.costs.connection / 3)
                if what == "delivery":
                    self.tasks.put(None)
                else:
                    self.broker.put((self, {"finished": "result", "confirm": "acknowledgement"}[what]))


def simulate(costs: Costs, workers: int, cores: int, tasks: int = 2000) -> float:
    """Return the images per second of `workers` workers with a render thread each, on `cores` cores in all."""
    world = simpy.Environment()
    machine = Machine(world, cores)
    broker, results = Inbox(world), Inbox(world)
    simulated = [SimulatedWorker(machine, costs, broker) for _ in range(workers)]
    finished: list[float] = []

    def serve() -> Generator[Any, Any, None]:
        """Act as the broker: half of its cost per image is for the task, half for the result."""
        ready = tasks
        while True:
            for worker in simulated:
                while ready and worker.capacity > 0:
                    ready -= 1
                    worker.unacknowledged += 1
                    worker.connection.put("delivery")
            yield broker.wait()
            for worker, what in broker.take():
                yield from machine.compute(costs.broker / 2)
                if what == "result":
                    results.put(None)
                    worker.connection.put("confirm")
                else:
                    worker.unacknowledged -= 1

    def track_results() -> Generator[Any, Any, None]:
        while True:
            yield results.wait()
            for _ in results.take():
                yield from machine.compute(costs.tracker + costs.database + costs.rest)
                finished.append(world.now)

    world.process(serve())
    world.process(track_results())
    world.run()
    first, last = (int(part * (tasks - 1)) for part in STEADY_STATE)
    return (last - first) * 1000 / (finished[last] - finished[first])
