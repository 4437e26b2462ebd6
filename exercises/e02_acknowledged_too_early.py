"""Acknowledged before stored and confirmed

The worker of 2015 acknowledged a task as soon as it had read it. To acknowledge means: you may
forget it, it is done. So RabbitMQ forgot it, while the worker still rendered, or waited for a full
disk. When that worker was killed, the task was nowhere: not in the queue, not in the store. It
works a thousand times, until a machine is restarted.

There is a safety net: the tracker publishes again what has had no result for a minute. The check
takes it away (OAT_RESEND_AFTER and OAT_LEASE are a day), makes the images' folder unwritable, waits
for a worker that is stuck with its tasks, and kills it. A second worker gets all that the broker
still has. RabbitMQ is started for it: ten seconds.

Look at: src/oat/services/worker.py
"""

from helpers.mutants import Fault
from helpers.slow_tasks import slow
from helpers.system import System
from lab import Harm, Lab, comes, images, kill_consumer, recorded, until, until_logged

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
    killed_before_it_has_stored(system)
    killed_before_the_confirm(lab, system)
    return "A killed worker's tasks are in the queue again, and no image is missing."


def killed_before_it_has_stored(system: System) -> None:
    """Kill a worker that has tasks and cannot store their images; count what the next worker does not get."""
    worker = system.start("oat-worker", "--threads", 1)
    system.produce(1)
    until(system, lambda: system.queued("results") == 1, "a first image")
    system.images.rename(system.images.with_name("away"))
    system.produce(20)
    until_logged(system, worker, "trying again")
    kill_consumer(system, worker, "tasks")
    system.images.with_name("away").rename(system.images)
    before = recorded(system)
    system.produce(1)
    [last] = recorded(system) - before
    worker = system.start("oat-worker", "--threads", 1)
    until(system, lambda: last in images(system), "the last image of the queue")
    system.stop(worker)  # it finishes what it has begun, which is all that was in the queue
    count = len(recorded(system))
    if lost := recorded(system) - images(system).keys():
        raise Harm(
            f"{len(lost)} of {count} tasks were lost: acknowledged when they arrived, and their worker was killed "
            "before it had stored an image. They are in no queue, and no other worker will ever get them."
        )


def killed_before_the_confirm(lab: Lab, system: System) -> None:
    """Kill a worker to which the broker has not confirmed the result yet."""
    proxy = lab.proxy(system)
    proxy.flow(trap=b'"checksum"')
    worker = system.start("oat-worker")
    results = system.queued("results")
    # Not a small one, after which the worker would wait for the broker's answer to a larger prefetch count.
    system.send([slow(0.3)])
    until(system, proxy.trapped.is_set, "a result on its way")
    proxy.flow_up()
    until(system, lambda: system.queued("results") == results + 1, "the result")
    kill_consumer(system, worker, "tasks")
    if not comes(lambda: system.queued("tasks") == 1):
        raise Harm(
            "1 of 1 tasks was acknowledged before the broker had confirmed its result. This time the result "
            "arrived nevertheless; had the broker died instead, nobody would know of the image."
        )
