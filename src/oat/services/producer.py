"""The producer: makes up tasks, records them, publishes them, sleeps, and starts over."""

import logging
import random
import threading
import time
from dataclasses import dataclass
from uuid import UUID, uuid4

from pydantic import ValidationError

from oat.constant import draw_constant
from oat.messages import InvalidMessageError, Task, check_limits
from oat.messaging import Broker
from oat.process import notify_ready
from oat.records import Database
from oat.services import metrics, outbox
from oat.settings import Limits, Settings, SettingsError

log = logging.getLogger(__name__)

SMALLEST, BATCH = 16, 500
"""Tasks recorded in one transaction, and published before the next are made up: few at first, since the workers
wait for them, then as many as there were before, and so on."""

FLUSH_INTERVAL = 0.005
"""Seconds between two looks at which confirms have come: the next tasks wait for the last of them."""


@dataclass(frozen=True)
class Ranges:
    """From where to where each random value goes, both ends included."""

    tasks: tuple[int, int] = (1, 10)
    pause: tuple[float, float] = (1.0, 10.0)
    width: tuple[int, int] = (256, 1024)
    height: tuple[int, int] = (256, 1024)
    iterations: tuple[int, int] = (128, 512)
    xa: tuple[float, float] = (-4.0, -1.0)
    xb: tuple[float, float] = (1.0, 4.0)
    ya: tuple[float, float] = (-3.0, -0.5)
    yb: tuple[float, float] = (0.5, 3.0)

    def check(self, limits: Limits) -> None:
        """See that the ranges are ranges, and that every task drawn from them is one that a worker takes.

        Raises:
            SettingsError: they are not; it names the option.
        """
        for name, (low, high) in vars(self).items():
            if not low <= high:
                raise SettingsError(f"--min-{name} {low} is above --max-{name} {high}")
        for low, high in (("xa", "xb"), ("ya", "yb")):
            highest, lowest = getattr(self, low)[1], getattr(self, high)[0]
            if not highest < lowest:
                raise SettingsError(f"--max-{low} {highest} is not below --min-{high} {lowest}")
        try:
            largest = Task(
                uuid=UUID(int=0),
                **{name: getattr(self, name)[1] for name in ("width", "height", "iterations")},
                **{name: getattr(self, name)[end] for name, end in (("xa", 0), ("xb", 1), ("ya", 0), ("yb", 1))},
            )
            check_limits(largest, limits)
        except (ValidationError, InvalidMessageError) as error:
            raise SettingsError(f"the largest task would be refused: {error}") from None


def random_task(ranges: Ranges, rng: random.Random, constant: tuple[float, float] | None = None) -> Task:
    """Make up one task: a new UUID, and parameters that are `rng`'s to choose, c too unless `constant` is it."""
    width, height, iterations = (rng.randint(*r) for r in (ranges.width, ranges.height, ranges.iterations))
    xa, xb, ya, yb = (rng.uniform(*r) for r in (ranges.xa, ranges.xb, ranges.ya, ranges.yb))
    cx, cy = constant or draw_constant(rng, xa, xb, ya, yb)
    return Task(
        uuid=uuid4(), width=width, height=height, iterations=iterations,
        xa=xa, xb=xb, ya=ya, yb=yb, cx=cx, cy=cy,
    )  # fmt: skip


class Producer:
    """Produces sets of random tasks until it is stopped.

    Args:
        settings: where the servers are.
        ranges: what may be drawn.
        seed: draws the same parameters again; None draws others each time.
        one_shot: end after one set.
    """

    def __init__(
        self, settings: Settings, ranges: Ranges, seed: int | None = None, one_shot: bool = False
    ) -> None:
        self.stopping = threading.Event()
        self.broker = Broker(settings, self.stopping, FLUSH_INTERVAL)
        self.database = Database(settings.database_url, self.stopping)
        self.settings = settings
        self.ranges = ranges
        self.one_shot = one_shot
        self.produced: list[UUID] = []
        """The set in hand, as far as it is recorded."""
        self._left = 0
        self._unpublished: list[Task] = []
        self._rng = random.Random(seed)  # noqa: S311 (pictures, not secrets)

    def run(self) -> None:
        """Produce until `stop` is called, or one set is out."""
        self.database.prepare()
        self.broker.serve(self._session)
        self.database.close()

    def stop(self) -> None:
        """Have `run` return; may be called from any thread or signal handler."""
        self.stopping.set()
        self.broker.wake()

    def _session(self) -> None:
        notify_ready()
        while not self.stopping.is_set():
            if not self._left:
                self._begin_set()
            while self._left and not self.stopping.is_set():
                if not self._unpublished:
                    self._record(min(self._left, BATCH, max(SMALLEST, len(self.produced))))
                outbox.publish_tasks(self._unpublished, self.database, self.broker)
                self._left -= len(self._unpublished)
                self._unpublished = []
            if self.one_shot:
                return
            pause = self._rng.uniform(*self.ranges.pause)
            log.info("sleeping for %f seconds", pause)
            awake_at = time.monotonic() + pause
            while not self.stopping.is_set() and (left := awake_at - time.monotonic()) > 0:
                self.broker.wait(left)

    def _begin_set(self) -> None:
        if count := outbox.publish_overdue(self.settings.lease, self.database, self.broker):
            log.info("published %d task(s) that someone else had recorded", count)
        self._left = self._rng.randint(*self.ranges.tasks)
        self.produced = []
        log.info("generating %d task(s)", self._left)

    def _record(self, count: int) -> None:
        tasks = [random_task(self.ranges, self._rng) for _ in range(count)]
        for task in tasks:
            log.info("generated task: %s", task.model_dump())
        self.database.record(tasks)
        metrics.PRODUCED.inc(count)
        self.produced += [task.uuid for task in tasks]
        self._unpublished = tasks
