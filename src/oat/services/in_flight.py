"""Tasks in flight: what a worker has taken and not answered yet, whichever connection delivered it.

A delivery belongs to one connection, the work on its task does not: an image that is being rendered when the
connection is lost is finished, its result is published on the next connection, and a redelivery of its task is
attached to it. Plain rules, without I/O.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from uuid import UUID

from oat.messages import Result, Task
from oat.messaging import Delivery
from oat.services.recent import Recent

MAX_REDELIVERIES = 50
"""Redeliveries of a task after which it is dead-lettered, unless this worker has survived one: it is likely what
kills the workers. Below the limit of the quorum queue, which would dead-letter it without a result."""

REPUBLISH_AFTER = 25
"""Redeliveries of a task after which a worker that has survived one publishes it again, and so sets their count
back: well below `MAX_REDELIVERIES`, as other workers cannot tell lost connections from killed workers."""


class WorkStage(StrEnum):
    """How far the work on a task is; each is a field of a progress report, too."""

    PREFETCHED = "prefetched"
    """No thread has begun it."""
    RENDERING = "rendering"
    """Its image is being rendered, or is to be stored."""
    STORED = "stored"
    """Its image is stored, and its result is to be confirmed."""


@dataclass(eq=False, slots=True)
class Work:
    """The work on one task, however often it is delivered."""

    body: bytes | str
    """The body of its message, by which a redelivery is recognised: the same parameters give the same image."""
    task: Task
    deliveries: list[Delivery] = field(default_factory=list)
    """Its unacknowledged deliveries on the present connection."""
    result: Result | None = None
    """None until the task is finished."""
    stage: WorkStage = WorkStage.PREFETCHED
    """Set by the thread that works on it."""


class InFlight:
    """The tasks of a worker from their delivery to the confirm of their results.

    Args:
        capacity: how many finished tasks are remembered, for when they are redelivered.
    """

    def __init__(self, capacity: int) -> None:
        self._works: dict[bytes | str, Work] = {}
        self._deliveries: dict[Delivery, Work] = {}  # the oldest first
        self._finished: Recent[Result] = Recent(capacity)
        self._returned: Recent[bool] = Recent(capacity)

    def __bool__(self) -> bool:
        return bool(self._works)

    def by_stage(self, limit: int) -> dict[WorkStage, list[UUID]]:
        """Return the tasks of each stage, the oldest `limit` at most."""
        found: dict[WorkStage, list[UUID]] = {stage: [] for stage in WorkStage}
        for work in islice(self._works.values(), limit):
            found[work.stage].append(work.task.uuid)
        return found

    def is_rendering(self) -> bool:
        """Tell whether there is a task without a result."""
        return any(work.result is None for work in self._works.values())

    def add(self, delivery: Delivery, task: Task) -> Work | None:
        """Attach a delivered `task` to the work on it; return that if it is new, and so to be begun."""
        work = self._works.get(delivery.body)
        new = None
        if work is None:
            work = new = self._works[delivery.body] = Work(delivery.body, task)
        work.deliveries.append(delivery)
        self._deliveries[delivery] = work
        return new

    def drop(self, works: Iterable[Work]) -> list[Delivery]:
        """Forget `works`, which will have no result; return their deliveries, to be requeued."""
        dropped = []
        for work in works:
            del self._works[work.body]
            dropped += self._release(work)
        for delivery in dropped:
            self._returned.add(delivery.body, True)
        return dropped

    def finish(self, work: Work, result: Result) -> None:
        """Note the result of `work`, which is to be published."""
        work.result = result

    def unconfirmed(self) -> list[tuple[Work, Result]]:
        """Return the works whose results are not confirmed, to be published again on a new connection."""
        return [(work, work.result) for work in self._works.values() if work.result is not None]

    def confirm(self, work: Work) -> list[Delivery]:
        """Note that the result of `work` is confirmed; return its deliveries, to be acknowledged."""
        del self._works[work.body]
        if work.result is not None and work.result.error is None:
            self._finished.add(work.body, work.result)
        return self._release(work)

    def finished(self, work: Work) -> Result | None:
        """Return the result of the same task if it was finished with an image recently; for any thread."""
        return self._finished.get(work.body)

    def connection_lost(self) -> None:
        """Forget all deliveries, as the broker redelivers them; the works remain."""
        for delivery, work in self._deliveries.items():
            self._returned.add(delivery.body, True)
            work.deliveries.clear()
        self._deliveries.clear()

    def oldest(self) -> float | None:
        """Return when the oldest unacknowledged delivery was received, None if there is none."""
        delivery = next(iter(self._deliveries), None)
        return None if delivery is None else delivery.received_at

    def overdue(self, received_before: float) -> list[Delivery]:
        """Return the deliveries from before that time, to be requeued; the works on them go on."""
        overdue = []
        for delivery in self._deliveries:
            if delivery.received_at >= received_before:
                break
            overdue.append(delivery)
        for delivery in overdue:
            self._deliveries.pop(delivery).deliveries.remove(delivery)
            self._returned.add(delivery.body, True)
        return overdue

    def is_poison(self, delivery: Delivery) -> bool:
        """Tell whether a task was redelivered so often that it is likely what kills the workers."""
        return delivery.redeliveries >= MAX_REDELIVERIES and delivery.body not in self._returned

    def should_republish(self, delivery: Delivery) -> bool:
        """Tell whether the redeliveries of a task say nothing about it, and are many enough to be mistaken."""
        return delivery.redeliveries >= REPUBLISH_AFTER and delivery.body in self._returned

    def _release(self, work: Work) -> list[Delivery]:
        """Return the deliveries of `work` and forget them."""
        deliveries, work.deliveries = work.deliveries, []
        for delivery in deliveries:
            del self._deliveries[delivery]
        return deliveries
