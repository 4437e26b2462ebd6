"""The producer: draws random tasks, records them, publishes them, sleeps, and starts over."""

import logging
import random
import time
from dataclasses import dataclass
from uuid import UUID, uuid4

from pydantic import ValidationError

from oat.constant import draw_constant
from oat.messages import InvalidMessageError, Task, check_limits
from oat.process import notify_ready
from oat.services import metrics, outbox
from oat.services.service import RecordingService
from oat.settings import Limits, Settings, SettingsError

log = logging.getLogger(__name__)

MIN_BATCH, MAX_BATCH = 16, 500
"""Tasks of a set that are recorded in one transaction, and published before the next are drawn: the minimum at
first, since workers wait for them, then each time as many as there were before, so that large sets are cheap."""

FLUSH_INTERVAL = 0.005
"""Seconds between two polls for publisher confirms: short, because the next batch waits for the last of them."""


@dataclass(frozen=True)
class Ranges:
    """The least and the greatest value of everything that is drawn at random, both included."""

    tasks: tuple[int, int] = (1, 10)
    """Tasks in a set."""
    pause: tuple[float, float] = (1, 10)
    """Seconds between two sets."""
    width: tuple[int, int] = (256, 1024)
    height: tuple[int, int] = (256, 1024)
    iterations: tuple[int, int] = (128, 512)
    xa: tuple[float, float] = (-4, -1)
    xb: tuple[float, float] = (1, 4)
    ya: tuple[float, float] = (-3, -0.5)
    yb: tuple[float, float] = (0.5, 3)

    def check(self, limits: Limits) -> None:
        """Check that each range has a least and a greatest value, and that every task drawn from them is valid.

        Raises:
            SettingsError: one is not; it names the option of `oat producer`.
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
            raise SettingsError(f"the largest task would be rejected: {error}") from None


def random_task(ranges: Ranges, rng: random.Random, constant: tuple[float, float] | None = None) -> Task:
    """Return a task with a new UUID and parameters drawn from `ranges`; c is drawn as well, or is `constant`."""
    width, height, iterations = (rng.randint(*r) for r in (ranges.width, ranges.height, ranges.iterations))
    xa, xb, ya, yb = (rng.uniform(*r) for r in (ranges.xa, ranges.xb, ranges.ya, ranges.yb))
    cx, cy = constant or draw_constant(rng, xa, xb, ya, yb)
    return Task(
        uuid=uuid4(), width=width, height=height, iterations=iterations,
        xa=xa, xb=xb, ya=ya, yb=yb, cx=cx, cy=cy,
    )  # fmt: skip


class Producer(RecordingService):
    """Produces sets of random tasks until it is stopped, or has produced one.

    Args:
        settings: the addresses of broker and database.
        ranges: what the parameters are drawn from.
        seed: draws the same parameters again; None draws others each time.
        one_shot: end after one set.
    """

    def __init__(
        self, settings: Settings, ranges: Ranges, seed: int | None = None, one_shot: bool = False
    ) -> None:
        super().__init__(settings, FLUSH_INTERVAL)
        self.ranges = ranges
        self.one_shot = one_shot
        self.produced: list[UUID] = []
        """The tasks of the present set that are recorded."""
        self._left = 0
        """Tasks of the present set that are still to be published."""
        self._unpublished: list[Task] = []
        self._rng = random.Random(seed)  # noqa: S311 (pictures, not secrets)

    def _session(self) -> None:
        notify_ready()
        while not self.stopping.is_set():
            if not self._left:  # otherwise the connection was lost in the middle of a set
                self._begin_set()
            while self._left and not self.stopping.is_set():
                if not self._unpublished:
                    self._record(min(self._left, MAX_BATCH, max(MIN_BATCH, len(self.produced))))
                outbox.publish_tasks(self._unpublished, self.database, self.broker)
                self._left -= len(self._unpublished)
                self._unpublished = []
            if self.one_shot:
                return
            self._sleep()

    def _begin_set(self) -> None:
        outbox.publish_overdue(self.settings.lease, self.database, self.broker)
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

    def _sleep(self) -> None:
        pause = self._rng.uniform(*self.ranges.pause)
        log.info("sleeping for %f seconds", pause)
        awake_at = time.monotonic() + pause
        while not self.stopping.is_set() and (left := awake_at - time.monotonic()) > 0:
            self.broker.wait(left)
