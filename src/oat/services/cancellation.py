"""Cancellation: the messages of cancelled tasks are removed from the queue `tasks`.

The database says which tasks are cancelled, and a worker has no database. So whoever cancels goes through the
queue once, and removes the messages whose record is cancelled. What a worker has prefetched by then is still
rendered, and its record becomes `done`.
"""

from collections.abc import Sequence

from oat.messages import find_uuid
from oat.messaging import TASKS, Broker, Delivery, sift
from oat.records import Database, Status


def remove_cancelled(database: Database, broker: Broker) -> int:
    """Remove the messages of cancelled tasks from their queue, and return how many there were."""
    removed = 0

    def choose(deliveries: Sequence[Delivery]) -> Sequence[str | None]:
        nonlocal removed
        uuids = [find_uuid(delivery.body) for delivery in deliveries]
        statuses = database.statuses(filter(None, uuids))
        cancelled = [uuid is not None and statuses.get(uuid) == Status.CANCELLED for uuid in uuids]
        removed += sum(cancelled)
        return [None if each else TASKS for each in cancelled]

    sift(broker, TASKS, choose)
    return removed
