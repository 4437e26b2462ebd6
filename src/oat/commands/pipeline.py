"""The pipeline of `oat run`: producer, worker and tracker side by side, until one set of tasks is done.

Producer and tracker are threads, the worker is a process of its own. Where tasks wait from before, the producer
goes first and publishes its set ahead of them, and then the worker starts.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from oat.commands.contact_sheet import draw_contact_sheet
from oat.commands.supervisor import Supervisor
from oat.messaging import TASKS, Broker
from oat.process import exempt_from_collection
from oat.records import Database, Status
from oat.services import Producer, Ranges, Tracker
from oat.settings import Settings
from oat.storage import Store

BATCH_SIZE = 100
"""Tasks whose states are queried at once, the oldest first: most of them have a result."""

MIN_POLL_INTERVAL, MAX_POLL_INTERVAL = 0.02, 0.5
"""Seconds between two queries of the states: the maximum is about how smoothly the progress bar moves."""


@dataclass(frozen=True)
class Progress:
    """How many tasks of a run are done, failed or cancelled, and since when it runs."""

    total: int
    done: int
    failed: int
    cancelled: int
    seconds: float
    """Since the tasks were recorded."""

    @property
    def finished(self) -> bool:
        """Whether every task has its result."""
        return self.ended == self.total

    @property
    def ended(self) -> int:
        """How many tasks are not waiting any more."""
        return self.done + self.failed + self.cancelled

    @property
    def poll_interval(self) -> float:
        """Seconds until the next query of the states: half of the time gone, or of the time left, if that is less.

        Queries take processor time from rendering, so there are few.
        """
        left = self.seconds * (self.total - self.ended) / max(1, self.ended)
        return min(max(min(left, self.seconds) / 2, MIN_POLL_INTERVAL), MAX_POLL_INTERVAL)


class Backlog(NamedTuple):
    """What waits before a run begins."""

    records: int
    """Records that are waiting."""
    queued: int
    """Messages ready in the queue of tasks."""


class Pipeline:
    """Producer, worker and tracker side by side for one set of `tasks` tasks.

    Use as a context manager, after `prepare`: entering starts the services; leaving stops them.
    """

    def __init__(self, settings: Settings, tasks: int, threads: int, seed: int | None = None) -> None:
        ranges = replace(Ranges(), tasks=(tasks, tasks))
        self.stopping = threading.Event()
        self.store = Store(settings.target, settings.limits.pixels)
        self._max_pixels = settings.limits.pixels
        self.database = Database(settings.database_url, self.stopping)
        self._broker = Broker(settings, self.stopping)
        self._backlog = Backlog(0, 0)
        self._producer = Producer(settings, ranges, seed, one_shot=True, ahead=True)
        self._worker = Supervisor(settings, threads)
        self._tracker = Tracker(settings)
        self._threads = [
            threading.Thread(target=self._run_service, args=(service,), name=type(service).__name__.lower())
            for service in (self._worker, self._tracker, self._producer)
        ]
        self._error: Exception | None = None
        self._waiting: dict[UUID, None] = {}
        """The tasks without a result, in the order they were recorded."""
        self._finished: dict[UUID, Status] = {}
        self._started = 0.0

    def prepare(self) -> Backlog:
        """Prepare store, database and queues, and return what waits in them."""
        self.store.prepare()
        self.database.prepare()
        queued: list[int] = []
        self._broker.serve(lambda: queued.append(self._broker.size(TASKS)))
        self._raise_error()
        self.wait(0)
        self._backlog = Backlog(self.database.count(Status.WAITING), queued[-1])
        return self._backlog

    def __enter__(self) -> "Pipeline":
        worker, tracker, producer = self._threads
        try:
            if any(self._backlog):
                producer.start()
                self._wait_until(self._producer.published.wait)
            worker.start()
            self._wait_until(self._worker.is_ready)
        except BaseException:
            self.__exit__()
            raise
        exempt_from_collection()
        self._started = time.monotonic()
        tracker.start()
        if not any(self._backlog):
            producer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for thread in filter(threading.Thread.is_alive, self._threads):
            thread.join()
        self.database.close()

    def stop(self) -> None:
        """Stop the services; may be called from any thread."""
        self.stopping.set()
        for service in (self._producer, self._worker, self._tracker):
            service.stop()

    def wait(self, seconds: float) -> None:
        """Wait for some `seconds` while the services work.

        Raises:
            KeyboardInterrupt: the pipeline has been stopped.
        """
        if self.stopping.wait(seconds):
            raise KeyboardInterrupt

    def _wait_until(self, condition: Callable[[float], bool]) -> None:
        while not condition(MAX_POLL_INTERVAL):
            self._raise_error()
            self.wait(0)

    def is_busy(self) -> bool:
        """Tell whether the worker runs, and may be rendering an image; may be called from any thread."""
        return self._worker.is_running

    def progress(self) -> Progress:
        """Query the states of the tasks, and return how many there are of each.

        Raises:
            Exception: the one that ended one of the services.
        """
        self._raise_error()
        known = len(self._waiting) + len(self._finished)
        self._waiting |= dict.fromkeys(self._producer.produced[known:])
        # The oldest are finished first: where few of them are, there is no need to ask for the others.
        while oldest := list(islice(self._waiting, BATCH_SIZE)):
            found = self.database.statuses(oldest)
            finished = {uuid: status for uuid, status in found.items() if status != Status.WAITING}
            for uuid in finished:
                del self._waiting[uuid]
            self._finished |= finished
            if len(finished) < BATCH_SIZE / 2:
                break
        counts = Counter(self._finished.values())
        return Progress(
            total=self._producer.ranges.tasks[0],
            done=counts[Status.DONE],
            failed=counts[Status.FAILED],
            cancelled=counts[Status.CANCELLED],
            seconds=time.monotonic() - self._started,
        )

    def contact_sheet(self, path: Path) -> None:
        """Draw all images of this run on one sheet, and write it to `path`."""
        done = [uuid for uuid in self._producer.produced if self._finished.get(uuid) == Status.DONE]
        draw_contact_sheet(map(self.store.get, done), len(done), self._max_pixels).save(path)

    def _run_service(self, service: "Producer | Supervisor | Tracker") -> None:
        try:
            service.run()
        except Exception as error:
            self._error = error

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error
