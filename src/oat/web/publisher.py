"""The publisher: the thread of the web process that owns its connection to the broker.

Requests record tasks and get their response; this thread publishes the tasks afterwards, at once or as soon as the
broker is reachable. It also removes the messages of cancelled tasks.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

from oat.messages import Task
from oat.messaging import QUEUES
from oat.process import notify_ready
from oat.services import RecordingService, publish_overdue, publish_tasks, remove_cancelled
from oat.settings import Settings

log = logging.getLogger(__name__)

BATCH_SIZE = 500
"""Tasks published before their confirms are waited for: the broker is kept busy, and a stop is quick."""

MAX_PENDING = 100_000
"""Tasks kept in memory while the broker is unreachable. The outbox has those beyond, too; they are published when
their lease has expired."""

QUEUE_POLL_INTERVAL = 1.0
"""Seconds between two requests for the lengths of the queues, which the statistics show once a second at most."""


WATCH_TIMEOUT = 5.0
"""Seconds after the last `watch` for which the progress reports of workers are received: some polls of them."""

MAX_REPORTS = 1000
"""Progress reports kept until they are taken, the latest."""

REMOVAL_TIMEOUT = 30.0
"""Seconds that a request to cancel waits for the messages to be removed: enough for a queue of 100,000."""


class Publisher(RecordingService):
    """Publishes tasks that requests have recorded, removes cancelled ones, and polls the lengths of the queues."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._pending: deque[Task] = deque(maxlen=MAX_PENDING)
        self._removals: deque[Future[int]] = deque()
        """Requests to remove the messages of cancelled tasks."""
        self._batch: list[Task] = []
        """Tasks that the thread has taken and not published yet."""
        self._reports: deque[tuple[float, bytes | str]] = deque(maxlen=MAX_REPORTS)
        self._watch_until = 0.0
        self._watching = False
        """Whether this connection receives progress reports."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self.queues: Mapping[str, int] | None = None
        """Messages ready in each queue; None while the broker is unreachable."""
        self.polled = threading.Event()
        """Set when `queues` has been polled for the first time, or the thread has ended before."""
        self.error: Exception | None = None
        """The permanent error that ended the thread, if one did."""

    def start(self) -> None:
        """Start the thread, which connects to the broker."""
        self._thread.start()

    def publish(self, tasks: Sequence[Task]) -> None:
        """Pass recorded `tasks` to the thread, and return without waiting for it."""
        self._pending.extend(tasks)
        self.broker.wake()

    def remove_cancelled(self) -> int | None:
        """Have the messages of cancelled tasks removed from their queue, and return how many there were.

        Returns:
            None if the broker is unreachable, or it takes longer than `REMOVAL_TIMEOUT`; the thread goes on.
        """
        removal: Future[int] = Future()
        self._removals.append(removal)
        self.broker.wake()
        if self.queues is None:
            return None
        try:
            return removal.result(REMOVAL_TIMEOUT)
        except TimeoutError:
            return None

    def watch(self) -> list[tuple[float, bytes | str]]:
        """Return the progress reports received since the last time, and receive more for `WATCH_TIMEOUT`.

        Returns:
            The bodies, each with the time of the monotonic clock at which it was received.
        """
        self._watch_until = time.monotonic() + WATCH_TIMEOUT
        if not self._watching:
            self.broker.wake()
        return [self._reports.popleft() for _ in range(len(self._reports))]

    def stop(self, timeout: float = 5.0) -> None:
        """Do what is pending, for `timeout` seconds at most, and end the thread."""
        deadline = time.monotonic() + timeout
        while self._is_busy() and self._thread.is_alive() and time.monotonic() < deadline:
            self._ended.wait(0.01)
        super().stop()
        self._thread.join(max(0.1, deadline - time.monotonic()))
        if unpublished := len(self._pending) + len(self._batch):
            log.warning(
                "%d task(s) are recorded and still to be sent, by any process that reaches the broker", unpublished
            )
        if self._removals:
            log.warning(
                "messages of cancelled tasks are still in their queue; cancel again when the broker is reachable"
            )

    def _is_busy(self) -> bool:
        return bool(self._pending or self._batch or self._removals)

    def _run(self) -> None:
        try:
            self.run()
        except Exception as error:
            log.error("nothing can be published: %s", error)  # noqa: TRY400 (one line; the server raises it again)
            self.error = error
        finally:
            self._ended.set()
            self.polled.set()

    def _session(self) -> None:
        """Publish and poll on one connection, until it is lost or the thread is to end."""
        notify_ready()
        self._watching = False
        try:
            poll_due = overdue_due = 0.0
            while not self.stopping.is_set():
                self._publish_pending()
                self._remove_cancelled()
                now = time.monotonic()
                self._receive_reports(now)
                if now >= overdue_due:
                    overdue_due = now + self.settings.lease
                    publish_overdue(self.settings.lease, self.database, self.broker)
                if now >= poll_due:
                    self.queues = {name: self.broker.size(name) for name in QUEUES}
                    self.polled.set()
                    poll_due = time.monotonic() + QUEUE_POLL_INTERVAL
                self.broker.wait(max(0.0, poll_due - time.monotonic()))
        finally:
            self.queues = None

    def _receive_reports(self, now: float) -> None:
        wanted = now < self._watch_until
        if wanted != self._watching:
            self._watching = wanted
            (self.broker.progress.watch if wanted else self.broker.progress.unwatch)()
        self._reports.extend((now, body) for body in self.broker.progress.received())

    def _publish_pending(self) -> None:
        while self._batch or self._pending:
            # Those taken before come first; they are left when the connection was lost in the meantime.
            while self._pending and len(self._batch) < BATCH_SIZE:
                self._batch.append(self._pending[0])
                self._pending.popleft()  # not before, or `stop` would see neither
            publish_tasks(self._batch, self.database, self.broker)

    def _remove_cancelled(self) -> None:
        if requests := list(self._removals):
            count = remove_cancelled(self.database, self.broker)
            for removal in requests:
                removal.set_result(count)
                self._removals.popleft()
