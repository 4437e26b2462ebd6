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
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from oat.broker import RESULTS, TASKS, Broker, Delivery
from oat.julia import warm_up
from oat.messages import MAX_REASON, InvalidMessageError, Result, Task, parse_task
from oat.rendering import render_png
from oat.settings import Settings
from oat.store import Store

log = logging.getLogger(__name__)

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0)
"""Seconds between the attempts at what fails for a passing reason: a full disk, a store out of reach."""

AHEAD = 2
"""Tasks held for each render thread, one of them being rendered: what we hold, an idle worker cannot take."""


class Worker:
    """Renders tasks on `threads` cores until it is stopped."""

    def __init__(self, settings: Settings, threads: int) -> None:
        self.stopping = threading.Event()
        self.broker = Broker(settings.broker_url, self.stopping)
        self.store = Store(settings.target)
        self.limits = settings.limits
        self.threads = threads
        self.worker = socket.gethostname()[:255]
        self._pool = ThreadPoolExecutor(threads, "render")
        self._rendering: dict[Delivery, Future[None]] = {}
        self._finished: deque[tuple[Delivery, Result | None]] = deque()

    def run(self) -> None:
        """Render until `stop` is called, then finish what is being rendered and return the rest.

        Raises:
            SettingsError: the store cannot be written to.
        """
        self.store.prepare()
        warm_up()
        self.broker.serve(self._session)
        self._pool.shutdown()

    def stop(self) -> None:
        """Have `run` return; may be called from any thread or signal handler."""
        self.stopping.set()
        self.broker.wake()

    def _session(self) -> None:
        # What an earlier connection delivered is delivered again: forget it.
        for future in self._rendering.values():
            future.cancel()
        self._rendering.clear()
        self.broker.consume(TASKS, AHEAD * self.threads, self._start)
        while not self.stopping.is_set():
            self.broker.wait(3600.0)
            self._answer_finished()
        # What nobody has begun stays unsettled: the end of the connection returns it to its queue.
        self.broker.cancel()
        self._rendering = {d: future for d, future in self._rendering.items() if not future.cancel()}
        while self._rendering:
            self.broker.wait(3600.0)
            self._answer_finished()
        self.broker.settle()

    def _start(self, delivery: Delivery) -> None:
        if self.stopping.is_set():
            return
        try:
            task = parse_task(delivery.body, self.limits)
        except InvalidMessageError as error:
            self._refuse(delivery, error)
            return
        self._rendering[delivery] = self._pool.submit(self._render, delivery, task)

    def _refuse(self, delivery: Delivery, error: InvalidMessageError) -> None:
        log.warning("refused a message that is no task: %s", error)
        if error.uuid is None:
            confirmed = partial(self.broker.ack, delivery)
        else:
            answer = Result(uuid=error.uuid, worker=self.worker, error=f"no valid task: {error}"[:MAX_REASON])
            confirmed = partial(self.broker.publish, RESULTS, answer.to_json(), partial(self.broker.ack, delivery))
        self.broker.dead_letter(delivery.body, str(error), confirmed)

    def _answer_finished(self) -> None:
        while self._finished:
            delivery, result = self._finished.popleft()
            if self._rendering.pop(delivery, None) is None:
                continue  # the connection it came from is gone, and it with it
            if result is None:
                continue
            self.broker.publish(RESULTS, result.to_json(), partial(self.broker.ack, delivery))
            log.info("pushed result: %s", result.model_dump(exclude_none=True))

    def _render(self, delivery: Delivery, task: Task) -> None:
        """Render `task`, in a render thread."""
        self._finished.append((delivery, self._answer(task)))
        self.broker.wake()

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
                    log.info("task %s processed in %f seconds", task.uuid, duration)
                path = self.store.put(task.uuid, image)
                log.info("saved result of task %s to file %s", task.uuid, path)
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
