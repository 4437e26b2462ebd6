"""The outbox: recorded tasks that are to be published. The one place that publishes tasks.

One transaction writes a task's record and its row in the outbox. Here the task is published, and the row is
deleted only when the broker has confirmed. A process that dies in between leaves the row: once the lease has
expired, the next process that calls `publish_overdue` publishes the task. So a task may be published twice, which
changes nothing, and is never lost.
"""

import logging

from oat.messages import Task
from oat.messaging import TASKS, Broker
from oat.records import Database

log = logging.getLogger(__name__)


def publish_tasks(tasks: list[Task], database: Database, broker: Broker) -> None:
    """Publish recorded `tasks`, and wait for all publisher confirms together.

    A task that is confirmed is marked as published and removed from `tasks`: when the connection is lost, the
    others are left, to be published on the next one.
    """
    bodies = {task.to_json(): task.uuid for task in tasks}
    confirmed: list[bytes] = []
    try:
        broker.publish_all(TASKS, bodies, confirmed.append)
    finally:
        if confirmed:
            published = {bodies[body] for body in confirmed}
            database.mark_published(published)
            tasks[:] = [task for task in tasks if task.uuid not in published]


def publish_overdue(lease: float, database: Database, broker: Broker) -> None:
    """Publish the tasks that were recorded more than `lease` seconds ago and are still unpublished.

    Returns early, between two batches, when the process is to stop: the next process publishes the rest.
    """
    count = 0
    while not broker.stopping.is_set() and (overdue := database.overdue_tasks(lease)):
        count += len(overdue)
        publish_tasks(overdue, database, broker)
    if count:
        log.info("published %d overdue task(s)", count)
