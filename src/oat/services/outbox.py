"""The outbox: recorded tasks that are to be published. The one place that publishes tasks.

One transaction writes a task's record and its row in the outbox. Here the task is published, and the row is
deleted only when the broker has confirmed. A process that dies in between leaves the row: once the lease has
expired, the next process that calls `publish_overdue` publishes the task. So a task may be published twice, which
changes nothing, and is never lost.
"""

import logging
from collections.abc import Sequence

from oat.messages import Task
from oat.messaging import TASKS, Broker
from oat.records import Database

log = logging.getLogger(__name__)


def publish_tasks(tasks: Sequence[Task], database: Database, broker: Broker) -> None:
    """Publish recorded `tasks`, wait for all publisher confirms together, and mark the tasks as published."""
    broker.publish_all(TASKS, (task.to_json() for task in tasks))
    database.mark_published(task.uuid for task in tasks)


def publish_overdue(lease: float, database: Database, broker: Broker) -> None:
    """Publish the tasks that were recorded more than `lease` seconds ago and are still unpublished.

    Returns early, between two batches, when the process is to stop: the next process publishes the rest.
    """
    count = 0
    while not broker.stopping.is_set() and (overdue := database.overdue_tasks(lease)):
        publish_tasks(overdue, database, broker)
        count += len(overdue)
    if count:
        log.info("published %d overdue task(s)", count)
