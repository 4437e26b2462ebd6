"""The publisher: the thread of the web process that owns its connection to the broker.

Requests record tasks and are answered; the outbox owes their publication, and here it follows at once, or as soon
as the broker is there again.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence

from oat.messages import Task
from oat.messaging import QUEUES
from oat.process import notify_ready
from oat.services import RecordingService, publish_overdue, publish_tasks
from oat.settings import Settings

log = logging.getLogger(__name__)

BATCH = 500
"""Tasks published at once."""

MOST = 100_000
"""Tasks remembered while the broker is away; what is beyond is taken over once the lease is over."""

LOOK = 1.0
"""Seconds between two looks at the sizes of the queues."""


class Publisher(RecordingService):
    """Publishes tasks that others recorded, and knows how long the queues are."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._pending: deque[Task] = deque(maxlen=MOST)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self.queues: Mapping[str, int] | None = None
        """Messages in each queue, None while the broker is away."""
        self.looked = threading.Event()
        """Set once `queues` is known, or will not be."""
        self.fault: Exception | None = None
        """What ended the publisher, if something did."""

    def start(self) -> None:
        """Connect to the broker, in the background."""
        self._thread.start()

    def publish(self, tasks: Sequence[Task]) -> None:
        """Have recorded `tasks` published soon."""
        self._pending.extend(tasks)
        self.broker.wake()

    def stop(self, timeout: float = 5.0) -> None:
        """Publish what is pending, for `timeout` seconds at most, and end."""
        deadline = time.monotonic() + timeout
        while self._pending and self._thread.is_alive() and time.monotonic() < deadline:
            self._ended.wait(0.01)
        super().stop()
        self._thread.join(max(0.1, deadline - time.monotonic()))
        if self._pending:
            log.warning(
                "%d task(s) are recorded, and still to be sent by who reaches the broker", len(self._pending)
            )

    def _run(self) -> None:
        try:
            self.run()
        except Exception as error:
            log.error("nothing can be published: %s", error)  # noqa: TRY400 (one line; who runs us raises it)
            self.fault = error
        finally:
            self._ended.set()
            self.looked.set()

    def _session(self) -> None:
        notify_ready()
        try:
            look_due = take_over_due = 0.0
            while not self.stopping.is_set():
                self._publish_pending()
                now = time.monotonic()
                if now >= take_over_due:
                    take_over_due = now + self.settings.lease
                    publish_overdue(self.settings.lease, self.database, self.broker)
                if now >= look_due:
                    self.queues = {name: self.broker.size(name) for name in QUEUES}
                    self.looked.set()
                    look_due = time.monotonic() + LOOK
                self.broker.wait(max(0.0, look_due - time.monotonic()))
        finally:
            self.queues = None

    def _publish_pending(self) -> None:
        while self._pending:
            batch = [self._pending[index] for index in range(min(BATCH, len(self._pending)))]
            publish_tasks(batch, self.database, self.broker)
            for _ in batch:
                self._pending.popleft()
