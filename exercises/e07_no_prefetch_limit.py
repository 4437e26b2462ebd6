"""One worker starves nine

Ten workers were started, and one of them worked. A broker hands out messages as fast as a consumer
takes them, and without a limit the first consumer to come takes all: 200 tasks lie in its memory,
it renders the first, and nine others find an empty queue. When it is killed, all 200 begin anew.
How many messages a consumer may have without having acknowledged them is its prefetch count.

The check has one slow task and 199 small ones in the queue, starts a worker with one thread, and
looks at how many it takes. Then it starts a second worker, which should have most of the rest.

Look at: src/oat/messaging/broker.py
"""

from helpers.mutants import Fault
from helpers.slow_tasks import disc
from lab import Harm, Lab, images, message_files, queued, until, until_logged

FAULT = Fault.of(
    "messaging/broker.py",
    ("self._channel.basic_qos(0, prefetch, False)", "self._channel.basic_qos(0, 0, False)"),
)

HINT = """
basic.qos sets the prefetch count, of which AMQP says: 0 means no limit. The worker says in
services/prefetch.py how many it wants.
"""

SOLUTION = """
`consume` passes the prefetch count on to the broker, and the worker keeps it small: two tasks for
each thread, one to render and the next to begin without a pause; more only while tasks take
milliseconds. What is not prefetched waits in the queue, where any worker can have it.
"""

COUNT = 200

FAIR_SHARE = COUNT // 10
"""Tasks of each of ten workers."""


def check(lab: Lab) -> str:
    """Count how many tasks the first of ten workers takes while it renders one."""
    system = lab.system()
    slow = disc(1_000_000)  # minutes
    system.send([slow])
    system.produce(COUNT - 1)
    assert len(queued(system)) == COUNT
    first = system.start("oat-worker", "--threads", 1)
    until_logged(system, first, f"processing task {slow.uuid}")
    taken = COUNT - len(queued(system))
    if taken > FAIR_SHARE:
        raise Harm(
            f"One worker took {taken} of {COUNT} tasks, and renders one of them. For nine other workers there are "
            f"{len(message_files(system, 'tasks'))} left."
        )
    system.start("oat-worker", "--threads", 1)
    until(system, lambda: len(images(system)) == COUNT - taken, "the images of the second worker")
    return f"One worker has taken {taken} of {COUNT} tasks and renders one; another has rendered {COUNT - taken}."
