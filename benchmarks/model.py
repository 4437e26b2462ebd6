"""A model of the pipeline: what it costs, and how many images a second come of it.

The costs are measured elsewhere (`simulation`); the rest are the rules of the worker, taken from its code: when it
looks at what has arrived, and how many tasks it holds.
"""

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import simpy

from oat.messaging.broker import FLUSH_INTERVAL
from oat.services.prefetch import PREFETCHED_WORK, prefetch_for

QUANTUM = 1.0
"""Milliseconds that the operating system leaves a core to one thread, while others wait for it."""

STEADY = 0.3, 0.9
"""Between these parts of its tasks a run is in its steady state."""

TURN = FLUSH_INTERVAL * 1000
"""Milliseconds between two looks of a worker at what has arrived, at least."""


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
        self.seconds = PREFETCHED_WORK
        for part in (self._render(), self._connect()):
            machine.world.process(part)

    @property
    def room(self) -> int:
        """How many more tasks the broker may give it."""
        return prefetch_for(self.seconds) - self.unsettled

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
