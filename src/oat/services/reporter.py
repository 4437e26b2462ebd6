"""The reporter: publishes what a worker has in flight while anybody watches, and asks now and then who does."""

import os
import time
from collections import deque
from uuid import UUID

from oat.messages import MAX_REPORTED, ProgressReport
from oat.messaging import Broker
from oat.services.in_flight import InFlight, WorkStage

REPORT_INTERVAL = 0.5
"""Seconds between two reports while anybody watches: two for each update of a page."""

PROBE_INTERVAL = 2.0
"""Seconds between two reports while nobody does; each tells whether that has changed."""

MAX_FINISHED = 100
"""Results that a report names at most: as many tasks as a page shows."""


class Reporter:
    """Publishes the progress reports of a worker; belongs to the thread of its connection."""

    def __init__(self, broker: Broker, in_flight: InFlight, worker: str) -> None:
        self._broker = broker
        self._in_flight = in_flight
        self._worker = worker
        self._finished: deque[tuple[UUID, float]] = deque(maxlen=MAX_FINISHED)
        self._reported_at = 0.0

    def finished(self, uuid: UUID) -> None:
        """Note that the result of the task `uuid` is confirmed."""
        self._finished.append((uuid, time.monotonic()))

    def due_in(self) -> float:
        """Return the seconds until the next report, 0 at least."""
        interval = REPORT_INTERVAL if self._broker.progress.watched else PROBE_INTERVAL
        return max(0.0, self._reported_at + interval - time.monotonic())

    def report(self) -> None:
        """Publish a report if one is due."""
        if self.due_in():
            return
        now = self._reported_at = time.monotonic()
        tasks = self._in_flight.by_stage(MAX_REPORTED)
        report = ProgressReport.model_construct(
            worker=self._worker,
            pid=os.getpid(),
            prefetched=tasks[WorkStage.PREFETCHED],
            rendering=tasks[WorkStage.RENDERING],
            stored=tasks[WorkStage.STORED],
            finished={uuid: round(now - at, 1) for uuid, at in self._finished},
        )
        self._broker.progress.publish(report.to_json())
