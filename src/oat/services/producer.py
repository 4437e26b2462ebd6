"""The producer: draws random tasks, records them, publishes them, sleeps, and starts over."""

import logging
import random
import threading
import time
from uuid import UUID

from oat.messages import Task
from oat.messaging import TASKS, move_to_tail
from oat.process import notify_ready
from oat.services import metrics, outbox
from oat.services.random_tasks import Ranges, random_task
from oat.services.recording_service import RecordingService
from oat.settings import Settings

log = logging.getLogger(__name__)

MIN_BATCH, MAX_BATCH = 16, 500
"""Tasks of a set that are recorded in one transaction, and published before the next are drawn: the minimum at
first, since workers wait for them, then each time as many as there were before, so that large sets are cheap."""

FLUSH_INTERVAL = 0.005
"""Seconds between two polls for publisher confirms: short, because the next batch waits for the last of them."""


class Producer(RecordingService):
    """Produces sets of random tasks until it is stopped, or has produced one.

    Args:
        settings: the addresses of broker and database.
        ranges: what the parameters are drawn from.
        seed: draws the same parameters again; None draws others each time.
        one_shot: end after one set.
        ahead: once a set is published, move the tasks that were queued before it behind it.
    """

    def __init__(
        self,
        settings: Settings,
        ranges: Ranges,
        seed: int | None = None,
        one_shot: bool = False,
        ahead: bool = False,
    ) -> None:
        super().__init__(settings, FLUSH_INTERVAL)
        self.ranges = ranges
        self.one_shot = one_shot
        self.ahead = ahead
        self.published = threading.Event()
        """Set once a whole set is published, and moved ahead of the others."""
        self.produced: list[UUID] = []
        """The tasks of the present set that are recorded."""
        self._left = 0
        """Tasks of the present set that are still to be recorded."""
        self._unpublished: list[Task] = []
        self._queued_before = 0
        """Tasks of others that are still to be moved behind the present set."""
        self._rng = random.Random(seed)  # noqa: S311 (pictures, not secrets)

    def _session(self) -> None:
        notify_ready()
        while not self.stopping.is_set():
            # Otherwise the connection was lost in the middle of a set.
            if not (self._left or self._unpublished or self._queued_before):
                self._begin_set()
            while (self._left or self._unpublished) and not self.stopping.is_set():
                if not self._unpublished:
                    self._record(min(self._left, MAX_BATCH, max(MIN_BATCH, len(self.produced))))
                outbox.publish_tasks(self._unpublished, self.database, self.broker)
            if not (self._left or self._unpublished):
                move_to_tail(self.broker, TASKS, self._queued_before)
                self._queued_before = 0
                self.published.set()
            if self.one_shot:
                return
            self._sleep()

    def _begin_set(self) -> None:
        outbox.publish_overdue(self.settings.lease, self.database, self.broker)
        self._queued_before = self.broker.size(TASKS) if self.ahead else 0
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
        self._left -= count

    def _sleep(self) -> None:
        pause = self._rng.uniform(*self.ranges.pause)
        log.info("sleeping for %f seconds", pause)
        awake_at = time.monotonic() + pause
        while not self.stopping.is_set() and (left := awake_at - time.monotonic()) > 0:
            self.broker.wait(left)
