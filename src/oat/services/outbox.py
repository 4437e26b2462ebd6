"""The outbox: recorded tasks on their way to the broker. The one place that publishes tasks.

A record and the note that it is still to be published are one transaction. Here the task is published, and the
note taken back only when the broker has confirmed. Who dies in between leaves an overdue publication, which the
next one who comes along takes over; a task may so be sent twice, which changes nothing, and is never lost.
"""

from collections.abc import Sequence

from oat.messages import Task
from oat.messaging import TASKS, Broker
from oat.records import Database


def publish_tasks(tasks: Sequence[Task], database: Database, broker: Broker) -> None:
    """Publish recorded `tasks`, wait for all confirms together, and settle them."""
    broker.publish_all(TASKS, (task.to_json() for task in tasks))
    database.mark_published(task.uuid for task in tasks)


def publish_overdue(lease: float, database: Database, broker: Broker) -> int:
    """Publish what others should have published more than `lease` seconds ago, and return how much that was.

    A stop is heeded between two batches: the next one who comes along takes over the rest.
    """
    count = 0
    while not broker.stopping.is_set() and (overdue := database.overdue_tasks(lease)):
        publish_tasks(overdue, database, broker)
        count += len(overdue)
    return count
