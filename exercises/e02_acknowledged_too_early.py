"""Acknowledged before stored and confirmed

The worker of 2015 acknowledged a task as soon as it had read it. To acknowledge means: you may
forget it, it is done. So RabbitMQ forgot it, while the worker still rendered, or waited for a full
disk. When that worker was killed, the task was nowhere: not in the queue, not in the store. It
works a thousand times, until a machine is restarted.

There is a safety net: the tracker publishes again what has had no result for a minute. The check
takes it away (OAT_RESEND_AFTER and OAT_LEASE are a day), takes away the folder of a worker's images,
waits until it is stuck with its tasks, and kills it. A second worker gets all that the broker still
has. RabbitMQ is started for it: ten seconds.

Look at: src/oat/services/worker.py
"""

import random
import re
from pathlib import Path
from typing import Any

from helpers.mutants import Fault
from helpers.proxy import Proxy
from helpers.slow_tasks import slow
from helpers.system import System
from helpers.tasks import small_tasks
from lab import Harm, Lab, comes, consumers, images, kill_consumer, recorded, start, until
from oat.messages import Task

FAULT = Fault.of(
    "services/worker.py",
    (
        "self._threads.submit(work)",
        """
        self.broker.ack(delivery)
        work.deliveries.clear()
        self._threads.submit(work)
        """,
    ),
)

HINT = """
Follow one delivery through the worker: `_take`, `_process`, `_publish`. After which line is it safe
to lose the worker? `broker.publish` calls a function when the broker has confirmed the message.
"""

SOLUTION = """
Acknowledge last. `_publish` hands `_acknowledge` to the broker, which calls it when the result is
confirmed: by then the image is stored, and somebody else has its result. A worker that dies before
that leaves its tasks unacknowledged, and RabbitMQ delivers them to the next one. The worst that
happens is that an image is rendered twice.
"""


def check(lab: Lab) -> str:
    """Kill a worker that cannot store, and one whose result is not confirmed."""
    system = lab.system(rabbitmq=True)
    folder = system.folder / "full"
    workers = [held_worker(lab, system, target) for target in (folder, system.images, system.images)]
    tasks = small_tasks(22, random.Random())
    # Not a small one, after which its worker would wait for the broker's answer to a larger prefetch count.
    large = slow(0.3)
    system.record(tasks)
    lab.until_ready()
    killed_before_it_has_stored(system, tasks, folder, *workers[:2])
    killed_before_the_confirm(system, large, *workers[2])
    return "A killed worker's tasks are in the queue again, and no image is missing."


def held_worker(lab: Lab, system: System, target: Path) -> tuple[Proxy, Any]:
    """Start a worker that comes to RabbitMQ when the proxy releases it."""
    way = lab.proxy(system)
    return way, start(system, "oat-worker", "--threads", 1, OAT_TARGET=str(target))


def killed_before_it_has_stored(
    system: System, tasks: list[Task], folder: Path, first: tuple[Proxy, Any], second: tuple[Proxy, Any]
) -> None:
    """Kill a worker that has tasks and cannot store their images; count what the next worker does not get."""
    way, worker = first
    way.release()
    until(system, lambda: consumers(system, "tasks") == 1, "a worker")
    folder.rename(folder.with_name("away"))
    system.publish(tasks[:-1])
    # At the second attempt what it has acknowledged is on its way, from another thread than that of the first.
    stuck = re.compile(rf"task {tasks[0].uuid}: .*; trying again in")
    until(system, lambda: len(stuck.findall(worker.log.read_text())) > 1, "a worker that cannot store")
    kill_consumer(system, worker, "tasks")
    system.publish(tasks[-1:])
    way, worker = second
    way.release()
    until(system, lambda: str(tasks[-1].uuid) in images(system), "the last image of the queue")
    system.stop(worker)  # it finishes what it has begun, which is all that was in the queue
    count = len(recorded(system))
    if lost := recorded(system) - images(system).keys():
        raise Harm(
            f"{len(lost)} of {count} tasks were lost: acknowledged when they arrived, and their worker was killed "
            "before it had stored an image. They are in no queue, and no other worker will ever get them."
        )


def killed_before_the_confirm(system: System, large: Task, way: Proxy, worker: Any) -> None:
    """Kill a worker to which the broker has not confirmed the result yet."""
    way.flow(trap=b'"checksum"')
    way.release()
    results = system.queued("results")
    system.send([large])
    until(system, way.trapped.is_set, "a result on its way")
    way.flow_up()
    until(system, lambda: system.queued("results") == results + 1, "the result")
    kill_consumer(system, worker, "tasks")
    if not comes(lambda: system.queued("tasks") == 1):
        raise Harm(
            "1 of 1 tasks was acknowledged before the broker had confirmed its result. This time the result "
            "arrived nevertheless; had the broker died instead, nobody would know of the image."
        )
