"""Sifting a queue: go through its ready messages once, and keep, move or drop each.

A queue of RabbitMQ cannot be read without consuming it, and a message that is requeued counts as redelivered:
after some times RabbitMQ drops it (20 by default in 4.0), or a worker dead-letters it. So a message that is kept
is published again, to the end of its queue, and acknowledged when that is confirmed. After one round the messages
are in their order again. Whoever is killed in the middle leaves some of them twice, and loses none. The embedded
broker reads the files of a queue, and writes only those that change.
"""

import time
from functools import partial

from oat.messaging.broker import Broker
from oat.messaging.deliveries import Choose, Delivery

BATCH_SIZE = 500
"""Messages that are unacknowledged at a time: they are decided on and confirmed together."""

POLL_INTERVAL = 0.1
"""Seconds to wait for more messages before asking whether there are any."""

TIMEOUT = 10.0
"""Seconds without a message after which a round ends, although some are counted as ready: they are on their way to
another consumer."""

ROUTING_HEADERS = frozenset({"CC", "BCC", "x-delivery-count"})
"""Headers that are not published again: RabbitMQ would send copies to other queues, or counts anew."""


def sift(broker: Broker, queue: str, choose: Choose) -> None:
    """Go through the messages that are ready in `queue` now, and keep, move or drop each, as `choose` says."""
    if broker.embedded_channel is not None:
        broker.embedded_channel.sift(queue, choose)
    else:
        _sift_rabbitmq(broker, queue, choose, broker.size(queue))


def move_to_tail(broker: Broker, queue: str, count: int) -> None:
    """Move the first `count` messages of `queue` to its end, in their order; consumers may take some of them."""
    if broker.embedded_channel is not None:
        broker.embedded_channel.move_to_tail(queue, count)
    else:
        _sift_rabbitmq(broker, queue, lambda deliveries: [queue] * len(deliveries), count)


def _sift_rabbitmq(broker: Broker, queue: str, choose: Choose, left: int) -> None:
    """Do so with the first `left` messages of a queue of RabbitMQ."""
    while left > 0:
        batch = _take(broker, queue, min(left, BATCH_SIZE))
        if not batch:
            return
        left -= len(batch)
        for delivery, target in zip(batch, choose(batch), strict=True):
            if target is None:
                broker.ack(delivery)
            else:
                headers = delivery.headers if target == queue else {}
                kept = {name: value for name, value in headers.items() if name not in ROUTING_HEADERS}
                broker.publish_raw(target, delivery.body, kept, partial(broker.ack, delivery))
        broker.wait_for_all_confirms()


def _take(broker: Broker, queue: str, count: int) -> list[Delivery]:
    """Consume up to `count` messages of `queue`, and return them unacknowledged; fewer if there are no more."""
    batch: list[Delivery] = []
    taking = True

    def on_message(delivery: Delivery) -> None:
        if taking:
            batch.append(delivery)
        else:  # it was on its way when the consumer was cancelled
            broker.requeue(delivery)

    broker.consume(queue, count, on_message)
    deadline = time.monotonic() + TIMEOUT
    while len(batch) < count and time.monotonic() < deadline:
        before = len(batch)
        broker.wait(POLL_INTERVAL)
        if len(batch) > before:
            deadline = time.monotonic() + TIMEOUT
        elif not broker.size(queue):
            broker.wait(0)  # what was delivered before the reply
            if len(batch) == before:
                break
    broker.cancel()
    taking = False
    return batch
