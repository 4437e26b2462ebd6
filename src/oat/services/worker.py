"""The worker: takes a task, renders it, stores the image, publishes the result, acknowledges the task.

The broker's connection belongs to the thread that calls `run`. It hands the tasks to the render threads, and
publishes the results that come back. A task is acknowledged when the broker has confirmed its result, and not
before: the unacknowledged tasks of a worker that dies are delivered to another one. A worker that only loses its
connection goes on rendering, and publishes the result on the next one.
"""

import hashlib
import logging
import socket
import time
from functools import partial
from itertools import islice
from uuid import UUID

from oat.messages import MAX_REASON, InvalidMessageError, Result, Task, parse_task
from oat.messaging import RESULTS, TASKS, Delivery
from oat.process import exponential_backoff, notify_ready
from oat.rendering import render_png, warm_up
from oat.services import metrics
from oat.services.in_flight import InFlight, Work, WorkStage
from oat.services.prefetch import (
    IDLE_TIMEOUT,
    MAX_PREFETCH,
    MIN_PREFETCH,
    RenderTime,
    next_poll_interval,
    prefetch_for,
    should_change,
    useful_threads,
)
from oat.services.render_threads import RenderThreads
from oat.services.reporter import Reporter
from oat.services.service import Service
from oat.settings import Settings
from oat.storage import Store

log = logging.getLogger(__name__)

MIN_PAUSE, MAX_PAUSE = 0.5, 30.0
"""Seconds between the first two attempts at what fails for a passing reason (a full disk, a store that cannot be
reached), and between two at most."""

MAX_ATTEMPTS = 10
"""Attempts at a task, two minutes altogether; then it has failed: it may not block its thread for ever."""

POLL_TIMEOUT = 3600.0
"""Seconds to wait for the broker where only a message, a finished task or a stop has to end the wait."""


class Worker(Service):
    """Renders tasks, on `threads` threads at most, until it is stopped."""

    def __init__(self, settings: Settings, threads: int) -> None:
        super().__init__(settings)
        self.store = Store(settings.target, settings.limits.pixels)
        self.name = socket.gethostname()[:255]
        self._threads = RenderThreads(threads, self._process, self.broker.wake)
        self._in_flight = InFlight(2 * MAX_PREFETCH * threads)  # twice what a connection has in flight at most
        self._reporter = Reporter(self.broker, self._in_flight, self.name)
        self._prefetch = MIN_PREFETCH
        """Tasks for each thread."""
        self._render_time = RenderTime()
        self._last_finished = 0.0

    def run(self) -> None:
        """Render until `stop` is called, then finish what is being rendered; the rest returns to its queue.

        Raises:
            SettingsError: the store cannot be written to.
        """
        self._prepare_store()
        warm_up()
        self._threads.start()
        try:
            self.broker.serve(self._session, self._has_unfinished)
        finally:
            self._threads.stop()

    def is_busy(self) -> bool:
        """Tell whether an image is being rendered or stored; may be called from any thread."""
        return self._threads.is_busy()

    def _prepare_store(self) -> None:
        for delay in exponential_backoff(MIN_PAUSE, MAX_PAUSE):
            try:
                self.store.prepare()
                return
            except OSError as error:
                log.warning("%s; trying again in %.1f seconds", error, delay)
                if self.stopping.wait(delay):
                    return

    def _session(self) -> None:
        # What an earlier connection delivered is delivered again; what was finished then is still to be published.
        self._in_flight.connection_lost()
        self._drop_waiting()
        for work, result in self._in_flight.unconfirmed():
            self._publish(work, result)
        if not self.stopping.is_set():
            self._consume(MIN_PREFETCH)
        notify_ready()
        threads = self._threads
        while not self.stopping.is_set():
            waiting = threads.waiting()
            self.broker.flush_interval = next_poll_interval(waiting, self._render_time.seconds, threads.active)
            self._wait(IDLE_TIMEOUT if waiting else POLL_TIMEOUT)
            self._adapt()
        # Tasks that no thread has begun stay unacknowledged: the end of the connection requeues them.
        self.broker.cancel()
        self._drop_waiting()
        while self._in_flight.is_rendering():
            self._wait(POLL_TIMEOUT)
        self.broker.wait_for_confirms()

    def _has_unfinished(self) -> bool:
        """Tell whether there is a result to publish, or will be, so that a connection is needed."""
        if self.stopping.is_set():
            self._drop_waiting()
        self._collect_results()
        return bool(self._in_flight)

    def _wait(self, timeout: float) -> None:
        """Wait for tasks and for results, publish those, and requeue what has been in flight for too long."""
        oldest = self._in_flight.oldest()
        if oldest is not None:
            timeout = min(timeout, max(0.0, oldest + self.broker.ack_timeout - time.monotonic()))
        self.broker.wait(min(timeout, self._reporter.due_in()))
        for work, result in self._collect_results():
            self._publish(work, result)
        for delivery in self._in_flight.overdue(time.monotonic() - self.broker.ack_timeout):
            self.broker.requeue(delivery)
        self._reporter.report()

    def _consume(self, prefetch: int) -> None:
        self._prefetch = prefetch
        self._last_finished = time.monotonic()
        self.broker.consume(TASKS, prefetch * self._threads.count, self._take)

    def _take(self, delivery: Delivery) -> None:
        """Hand a delivered task to the render threads, or dead-letter it."""
        if self.stopping.is_set():
            return
        try:
            task = parse_task(delivery.body, self.settings.limits)
        except InvalidMessageError as error:
            self._reject(delivery, error.uuid, f"no valid task: {error}")
            return
        if self._in_flight.is_poison(delivery):
            reason = f"{delivery.redeliveries} workers died of it, or requeued it"
            self._reject(delivery, task.uuid, reason)
        elif self._in_flight.should_republish(delivery):
            self.broker.publish(TASKS, task.to_json(), partial(self.broker.ack, delivery))
        elif work := self._in_flight.add(delivery, task):
            self._threads.submit(work)

    def _reject(self, delivery: Delivery, uuid: UUID | None, reason: str) -> None:
        """Dead-letter a task, and then publish that it failed, if its UUID is known."""
        if uuid is None:
            self._dead_letter(delivery, reason)
            return
        result = Result(uuid=uuid, worker=self.name, error=reason[:MAX_REASON])
        ack = partial(self.broker.ack, delivery)
        self._dead_letter(delivery, reason, partial(self.broker.publish, RESULTS, result.to_json(), ack))

    def _process(self, work: Work) -> Result | None:
        """Render a task and store its image, in a render thread; return None if the worker stops before that."""
        task = work.task
        work.stage = WorkStage.RENDERING
        known = self._in_flight.finished(work)
        if known and self._is_stored(known):
            log.info("task %s was redelivered; its image is stored", task.uuid)
            work.stage = WorkStage.STORED
            return known
        rendered: tuple[bytes, float] | None = None
        for delay in (*islice(exponential_backoff(MIN_PAUSE, MAX_PAUSE), MAX_ATTEMPTS - 1), None):
            try:
                rendered = rendered or self._render(task)
                with self._threads.storing():
                    result = self._store(task, *rendered)
                work.stage = WorkStage.STORED
                return result
            except (OSError, MemoryError) as error:
                reason = f"{type(error).__name__}: {error}"
                if delay is None:
                    log.error("task %s failed: %s", task.uuid, reason)  # noqa: TRY400 (the disk, not the code)
                    break
                log.warning("task %s: %s; trying again in %.1f seconds", task.uuid, reason, delay)
                if self.stopping.wait(delay):
                    return None
            except Exception as error:
                log.exception("task %s failed", task.uuid)
                reason = f"{type(error).__name__}: {error}"
                break
        return Result(uuid=task.uuid, worker=self.name, error=reason[:MAX_REASON])

    def _render(self, task: Task) -> tuple[bytes, float]:
        """Return the PNG file of `task`, and the seconds it took."""
        log.info("processing task %s", task.uuid)
        started = time.perf_counter()
        image = render_png(task)
        duration = time.perf_counter() - started
        metrics.RENDERED.observe(duration)
        log.info("task %s processed in %f seconds", task.uuid, duration)
        return image, duration

    def _store(self, task: Task, image: bytes, duration: float) -> Result:
        location = self.store.put(task.uuid, image)
        log.info("saved result of task %s to file %s", task.uuid, location)
        return Result(
            uuid=task.uuid,
            duration=duration,
            checksum=hashlib.sha256(image).hexdigest(),
            size=len(image),
            worker=self.name,
        )

    def _is_stored(self, result: Result) -> bool:
        """Tell whether the image of `result` is in the store: a person may have deleted it, and retried."""
        try:
            return hashlib.sha256(self.store.get(result.uuid)).hexdigest() == result.checksum
        except OSError:
            return False

    def _collect_results(self) -> list[tuple[Work, Result]]:
        """Return the works that have been finished since the last time, and their results, to be published."""
        finished = []
        while self._threads.finished:
            work, result = self._threads.finished.popleft()
            self._last_finished = time.monotonic()
            if result is None:
                self._in_flight.drop([work])  # its deliveries stay unacknowledged: the worker stops
                continue
            self._render_time.add(result.duration or 0.0)
            self._in_flight.finish(work, result)
            finished.append((work, result))
        return finished

    def _publish(self, work: Work, result: Result) -> None:
        """Publish the result of `work`; its task is acknowledged when the result is confirmed."""
        self.broker.publish(RESULTS, result.to_json(), partial(self._acknowledge, work))
        log.info("pushed result: %s", result.model_dump(exclude_none=True))

    def _acknowledge(self, work: Work) -> None:
        for delivery in self._in_flight.confirm(work):
            self.broker.ack(delivery)
        self._reporter.finished(work.task.uuid)

    def _adapt(self) -> None:
        """Adapt prefetch and number of threads to the time that tasks take."""
        if not self._render_time.count:
            return
        wanted = prefetch_for(self._render_time.seconds)
        if self._threads.waiting() and time.monotonic() - self._last_finished > IDLE_TIMEOUT:
            wanted = MIN_PREFETCH
            self._render_time.seconds = IDLE_TIMEOUT
        self._threads.activate(useful_threads(self._render_time.seconds))
        if not should_change(self._prefetch, wanted):
            return
        self.broker.cancel()
        if wanted < self._prefetch:
            for delivery in self._drop_waiting():
                self.broker.requeue(delivery)
        self._consume(wanted)

    def _drop_waiting(self) -> list[Delivery]:
        """Drop the tasks that no thread has begun, and return their deliveries."""
        return self._in_flight.drop(self._threads.drop_waiting())
