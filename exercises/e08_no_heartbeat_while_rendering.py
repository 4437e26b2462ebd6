"""No heartbeat while rendering

A worker that takes a task and renders it in the same thread that talks to RabbitMQ is the shortest
worker there is. While it renders, it says nothing. RabbitMQ waits for a heartbeat, for two of them,
takes the worker for dead, closes the connection, and gives the task to the next worker, which falls
silent in its turn. Small pictures are never concerned. A large one goes from worker to worker, each
renders it to the end, and is told that nobody listens.

The check asks RabbitMQ for a heartbeat every second, has a worker render a picture of several
minutes, and listens to its connection: for heartbeats, or for RabbitMQ's patience to end. RabbitMQ
is started for it: ten seconds.

Look at: src/oat/services/worker.py
"""

from helpers.mutants import Fault
from helpers.slow_tasks import disc
from lab import Harm, Lab, comes, start, until, until_logged

FAULT = Fault.of(
    "services/worker.py",
    (
        "self._threads.submit(work)",
        """
        self._threads.finished.append((work, self._process(work)))
        self.broker.wake()
        """,
    ),
)

HINT = """
Which thread runs `_take`, and who sends the heartbeats meanwhile? The worker has threads for what
takes long.
"""

SOLUTION = """
`_take` only hands the task to a render thread, and returns to the connection, which goes on to send
heartbeats, to receive, to publish what is finished. Rendering releases Python's lock, so it does
not hold the other thread up. Without heartbeats at all (heartbeat=0) nobody would notice a worker
whose cable was pulled, and its tasks would wait for ever.
"""

HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"
"""A frame of AMQP: type 8, channel 0, no payload, the frame end."""

WANTED = 3
"""Heartbeats after which the worker is believed: who renders in the connection's thread sends none."""


def check(lab: Lab) -> str:
    """Listen to the connection of a worker that renders."""
    system = lab.system(rabbitmq=True)
    proxy = lab.proxy(system)
    worker = start(system, "oat-worker", OAT_BROKER_URL=f"{system.environment['OAT_BROKER_URL']}&heartbeat=1")
    slow = disc(1_000_000)  # minutes
    system.record([slow])
    lab.until_ready()
    system.publish([slow])
    proxy.release()
    until_logged(system, worker, f"processing task {slow.uuid}")

    def redelivered() -> bool:
        return system.queued("tasks") == 1

    proxy.listen(HEARTBEAT)
    comes(lambda: proxy.heard >= WANTED or redelivered(), step=0.3)
    heard = proxy.heard
    if redelivered():
        raise Harm(
            f"1 of 1 workers was taken for dead while it rendered: RabbitMQ received {heard} heartbeats, "
            "closed the connection, and requeued the task, for the next worker to render from the start."
        )
    if heard < WANTED:
        raise Harm(
            f"The worker sent {heard} heartbeats while it rendered, and RabbitMQ does not mind. So nobody "
            "would notice if it were dead: its task would never be given to another worker."
        )
    until(system, lambda: not redelivered(), "the task still with its worker")
    return f"{WANTED} heartbeats came from the worker while it rendered, and the task is still its own."
