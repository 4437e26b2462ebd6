"""The worker: takes tasks, renders them in threads, stores the images, and answers with results.

The broker's connection has a thread of its own, which hands deliveries to the render threads and takes
finished ones back. A task is acknowledged when the broker has confirmed its result, and not before: who dies
earlier has its tasks delivered to another worker.
"""

import hashlib
import logging
import socket
import threading
import time
from collections import deque
from functools import partial
from itertools import chain, repeat
from queue import Empty, SimpleQueue
from uuid import UUID

from oat.messages import MAX_REASON, InvalidMessageError, Result, Task, parse_task
from oat.messaging import FLUSH_INTERVAL, RESULTS, TASKS, Broker, Delivery
from oat.process import notify_ready
from oat.rendering import render_png, warm_up
from oat.services import metrics
from oat.settings import Settings
from oat.storage import Store

log = logging.getLogger(__name__)

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0)
"""Seconds between the attempts at what fails for a passing reason: a full disk, a store out of reach."""

FEWEST, MOST = 2, 200
"""Tasks held for each render thread: one to render and one to go on with, and more of those that take no time."""

PREFETCHED_WORK = 0.15
"""Seconds of work held for each thread, where that is more than `FEWEST` tasks. From the end of a task to the
next one's arrival the broker is polled three times, `FLUSH_INTERVAL` apart: for the result to go out, for its
confirm and for the task."""

ALONE = 0.001
"""Of images that take fewer seconds than this, one thread renders all: others would wait for Python's lock, which
it has most of the time. For each such while that an image takes longer, one thread more is of use."""

MEMORY = 16
"""Of so many images is the time taken that an image takes."""

SLOW = 1.0
"""Seconds without an image, after which a worker keeps no more than `FEWEST` tasks from the others."""

MOST_DELIVERIES = 50
"""How often a task may come back from workers that died before it is taken to be what kills them."""


def prefetch_for(seconds: float) -> int:
    """Return how many tasks to hold for each render thread, when one takes `seconds`.

    What we hold, an idle worker cannot take; but for tasks that take no time, the way to the broker and back is
    longer than the work.
    """
    return max(FEWEST, min(MOST, int(PREFETCHED_WORK / max(seconds, 1e-6))))


def next_poll_interval(waiting: int, seconds: float, threads: int) -> float:
    """Return after how many seconds to look at what has arrived: at half time, until a thread has nothing to do.

    Args:
        waiting: tasks that no thread has begun.
        seconds: what each takes; 0 as long as nobody knows.
        threads: how many share them.
    """
    return min(FLUSH_INTERVAL, waiting * seconds / threads / 2)


def useful_threads(seconds: float) -> int:
    """Return how many threads shall take tasks, when one takes `seconds`."""
    return 1 + int(seconds / ALONE)


class Worker:
    """Renders tasks on `threads` cores until it is stopped."""

    def __init__(self, settings: Settings, threads: int) -> None:
        self.stopping = threading.Event()
        self.broker = Broker(settings, self.stopping)
        self.store = Store(settings.target)
        self.limits = settings.limits
        self.worker = socket.gethostname()[:255]
        self._threads = [
            threading.Thread(target=self._render, args=(n,), name=f"render-{n}") for n in range(threads)
        ]
        self._useful = threads
        self._more_useful = threading.Condition()
        self._tasks: SimpleQueue[tuple[Delivery, Task] | None] = SimpleQueue()
        self._finished: deque[tuple[Delivery, Result | None]] = deque()
        self._held: set[Delivery] = set()
        self._rendering: set[Delivery] = set()
        self._holding = FEWEST
        self._seconds = 0.0
        self._rendered = 0
        self._finished_at = 0.0

    def run(self) -> None:
        """Render until `stop` is called, then finish what is being rendered and return the rest.

        Raises:
            SettingsError: the store cannot be written to.
        """
        self._wait_for_store()
        warm_up()
        for thread in self._threads:
            thread.start()
        try:
            self.broker.serve(self._session)
        finally:
            self._use(len(self._threads))
            for _ in self._threads:
                self._tasks.put(None)
            for thread in self._threads:
                thread.join()

    def stop(self) -> None:
        """Have `run` return; may be called from any thread or signal handler."""
        self.stopping.set()
        self.broker.wake()

    def renders(self) -> bool:
        """Whether an image is in hand; may be called from any thread."""
        return bool(self._rendering)

    def _wait_for_store(self) -> None:
        for pause in chain(PAUSES, repeat(PAUSES[-1])):
            try:
                self.store.prepare()
                return
            except OSError as error:
                log.warning("%s; trying again in %.1f seconds", error, pause)
                if self.stopping.wait(pause):
                    return

    def _session(self) -> None:
        # What an earlier connection delivered is delivered again: forget it.
        self._drop_waiting()
        self._held.clear()
        self._consume(FEWEST)
        notify_ready()
        while not self.stopping.is_set():
            self.broker.flush_interval = next_poll_interval(self._tasks.qsize(), self._seconds, self._useful)
            self.broker.wait(3600.0 if self._tasks.empty() else SLOW)
            self._answer_finished()
            self._adapt()
        # What nobody has begun stays unacknowledged: the end of the connection returns it to its queue.
        self.broker.cancel()
        self._drop_waiting()
        while self._held:
            self.broker.wait(3600.0)
            self._answer_finished()
        self.broker.wait_for_confirms()

    def _consume(self, holding: int) -> None:
        self._holding = holding
        self._finished_at = time.monotonic()
        self.broker.consume(TASKS, holding * len(self._threads), self._take)

    def _adapt(self) -> None:
        """Hold as many tasks, and use as many threads, as the time they take suggests."""
        if not self._rendered:
            return
        wanted = prefetch_for(self._seconds)
        if not self._tasks.empty() and time.monotonic() - self._finished_at > SLOW:
            wanted = FEWEST
            self._seconds = SLOW
        self._use(useful_threads(self._seconds))
        if self._holding // 2 < wanted < self._holding * 2:
            return
        self.broker.cancel()
        if wanted < self._holding:
            for delivery in self._drop_waiting():
                self.broker.requeue(delivery)
        self._consume(wanted)

    def _drop_waiting(self) -> list[Delivery]:
        """Return the tasks that no thread has begun, which none will begin."""
        waiting = []
        try:
            while work := self._tasks.get_nowait():
                waiting.append(work[0])
        except Empty:
            pass
        self._held.difference_update(waiting)
        return waiting

    def _take(self, delivery: Delivery) -> None:
        if self.stopping.is_set():
            return
        try:
            task = parse_task(delivery.body, self.limits)
        except InvalidMessageError as error:
            self._refuse(delivery, error.uuid, f"no valid task: {error}")
            return
        if delivery.redeliveries >= MOST_DELIVERIES:
            self._refuse(delivery, task.uuid, f"{delivery.redeliveries} workers died of it, or gave it back")
            return
        self._held.add(delivery)
        self._tasks.put((delivery, task))

    def _refuse(self, delivery: Delivery, uuid: UUID | None, reason: str) -> None:
        log.warning("refused a message: %s", reason)
        metrics.DEAD_LETTERED.inc()
        confirmed = partial(self.broker.ack, delivery)
        if uuid is not None:
            answer = Result(uuid=uuid, worker=self.worker, error=reason[:MAX_REASON])
            confirmed = partial(self.broker.publish, RESULTS, answer.to_json(), confirmed)
        self.broker.dead_letter(delivery.body, reason, confirmed)

    def _answer_finished(self) -> None:
        while self._finished:
            delivery, result = self._finished.popleft()
            if delivery not in self._held:
                continue  # the connection it came from is gone, and it with it
            self._held.remove(delivery)
            self._finished_at = time.monotonic()
            if result is None:
                continue
            self._rendered += 1
            self._seconds += ((result.duration or 0.0) - self._seconds) / min(self._rendered, MEMORY)
            self.broker.publish(RESULTS, result.to_json(), partial(self.broker.ack, delivery))
            log.info("pushed result: %s", result.model_dump(exclude_none=True))

    def _use(self, useful: int) -> None:
        """Have so many threads take tasks from now on."""
        with self._more_useful:
            self._useful = min(useful, len(self._threads))
            self._more_useful.notify_all()

    def _render(self, number: int) -> None:
        """Render until there is None: the life of a render thread. It rests while there are enough before it."""
        while work := self._next_task(number):
            delivery, task = work
            self._rendering.add(delivery)
            self._finished.append((delivery, self._answer(task)))
            self._rendering.remove(delivery)
            self.broker.wake()

    def _next_task(self, number: int) -> tuple[Delivery, Task] | None:
        with self._more_useful:
            self._more_useful.wait_for(lambda: number < self._useful)
        return self._tasks.get()

    def _answer(self, task: Task) -> Result | None:
        """Return the result of `task`, None if we are to stop before there is one."""
        image: bytes | None = None
        duration = 0.0
        for pause in (*PAUSES, None):
            try:
                if image is None:
                    log.info("processing task %s", task.uuid)
                    started = time.perf_counter()
                    image = render_png(task)
                    duration = time.perf_counter() - started
                    metrics.RENDERED.observe(duration)
                    log.info("task %s processed in %f seconds", task.uuid, duration)
                place = self.store.put(task.uuid, image)
                log.info("saved result of task %s to file %s", task.uuid, place)
                return Result(
                    uuid=task.uuid,
                    duration=duration,
                    checksum=hashlib.sha256(image).hexdigest(),
                    size=len(image),
                    worker=self.worker,
                )
            except (OSError, MemoryError) as error:
                reason = f"{type(error).__name__}: {error}"
                if pause is None:
                    log.error("task %s failed: %s", task.uuid, reason)  # noqa: TRY400 (the disk, not the code)
                    break
                log.warning("task %s: %s; trying again in %.1f seconds", task.uuid, reason, pause)
                if self.stopping.wait(pause):
                    return None
            except Exception as error:
                log.exception("task %s failed", task.uuid)
                reason = f"{type(error).__name__}: {error}"
                break
        return Result(uuid=task.uuid, worker=self.worker, error=reason[:MAX_REASON])
