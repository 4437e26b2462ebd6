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
from oat.messaging import QUEUES, Broker
from oat.process import notify_ready
from oat.records import Database
from oat.services import publish_overdue, publish_tasks
from oat.settings import Settings

log = logging.getLogger(__name__)

BATCH = 500
"""Tasks published at once."""

MOST = 100_000
"""Tasks remembered while the broker is away; what is beyond is taken over once the lease is over."""

LOOK = 1.0
"""Seconds between two looks at the sizes of the queues."""


class Publisher:
    """Publishes tasks that others recorded, and knows how long the queues are."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._broker = Broker(settings, self._stopping)
        self._database = Database(settings.database_url, self._stopping)
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
        self._broker.wake()

    def stop(self, timeout: float = 5.0) -> None:
        """Publish what is pending, for `timeout` seconds at most, and end."""
        deadline = time.monotonic() + timeout
        while self._pending and self._thread.is_alive() and time.monotonic() < deadline:
            self._ended.wait(0.01)
        self._stopping.set()
        self._broker.wake()
        self._thread.join(max(0.1, deadline - time.monotonic()))
        if self._pending:
            log.warning(
                "%d task(s) are recorded, and still to be sent by who reaches the broker", len(self._pending)
            )

    def _run(self) -> None:
        try:
            self._database.prepare()
            self._broker.serve(self._session)
        except Exception as error:
            log.error("nothing can be published: %s", error)  # noqa: TRY400 (one line; who runs us raises it)
            self.fault = error
        finally:
            self._ended.set()
            self.looked.set()
            self._database.close()

    def _session(self) -> None:
        notify_ready()
        try:
            look_due = take_over_due = 0.0
            while not self._stopping.is_set():
                self._publish_pending()
                now = time.monotonic()
                if now >= take_over_due:
                    take_over_due = now + self._settings.lease
                    if count := publish_overdue(self._settings.lease, self._database, self._broker):
                        log.info("published %d task(s) that nobody had sent", count)
                if now >= look_due:
                    self.queues = {name: self._broker.size(name) for name in QUEUES}
                    self.looked.set()
                    look_due = time.monotonic() + LOOK
                self._broker.wait(max(0.0, look_due - time.monotonic()))
        finally:
            self.queues = None

    def _publish_pending(self) -> None:
        while self._pending:
            batch = [self._pending[index] for index in range(min(BATCH, len(self._pending)))]
            publish_tasks(batch, self._database, self._broker)
            for _ in batch:
                self._pending.popleft()
