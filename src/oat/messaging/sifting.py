"""Sifting a queue: go through its ready messages once, and keep, move or drop each.

A queue of RabbitMQ cannot be read without consuming it, and a message that is requeued counts as redelivered:
after some times RabbitMQ drops it (20 by default in 4.0), or a worker dead-letters it. So a message that is kept
is published again, to the end of its queue, and acknowledged, both in one transaction of AMQP: a process that is
killed has done both or neither. After one round the messages are in their order again. The embedded broker reads
the files of a queue, and writes only those that change; whoever is killed leaves those of one file twice at most.
"""

import contextlib
import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from oat.messaging.broker import Broker
from oat.messaging.deliveries import Choose, Delivery, count_redeliveries

BATCH_SIZE = 500
"""Messages of a transaction."""

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
    """Do so with the first `left` messages of a queue of RabbitMQ, on a channel with transactions."""
    if left == 0:
        return
    channel = broker.new_channel()
    channel.tx_select()
    while left > 0:
        batch = _take(broker, channel, queue, min(left, BATCH_SIZE))
        if not batch:
            break
        left -= len(batch)
        for delivery, target in zip(batch, choose(batch), strict=True):
            if target is not None:
                headers = delivery.headers if target == queue else {}
                _publish(channel, target, delivery, headers)
            channel.basic_ack(delivery.tag)
        channel.tx_commit()
    channel.close()


def _publish(channel: Any, queue: str, delivery: Delivery, headers: Mapping[str, Any]) -> None:
    kept = {name: value for name, value in headers.items() if name not in ROUTING_HEADERS}
    encoding = "utf-8" if isinstance(delivery.body, str) else "binary"
    message = channel.prepare_message(
        delivery.body, None, "application/json", encoding, kept, {"delivery_mode": 2}
    )
    channel.basic_publish(message, exchange=queue, routing_key=queue, mandatory=True)


def _take(broker: Broker, channel: Any, queue: str, count: int) -> list[Delivery]:
    """Consume up to `count` messages of `queue`, and return them unacknowledged; fewer if there are no more."""
    batch: list[Delivery] = []

    def on_message(message: Any) -> None:
        tag, headers = message.delivery_tag, message.headers or {}
        batch.append(Delivery(message.body, tag, count_redeliveries(headers), queue=queue, headers=headers))

    channel.basic_qos(0, count, False)
    # Each time another tag, as `Broker.consume` has it.
    consumer = channel.basic_consume(queue, consumer_tag=f"oat-sift-{uuid4()}", callback=on_message)
    deadline = time.monotonic() + TIMEOUT
    while len(batch) < count and time.monotonic() < deadline:
        before = len(batch)
        with contextlib.suppress(TimeoutError):
            channel.connection.drain_events(timeout=POLL_INTERVAL)
        if len(batch) > before:
            deadline = time.monotonic() + TIMEOUT
        elif not broker.size(queue) and len(batch) == before:  # what was delivered before the reply
            break
    channel.basic_cancel(consumer)
    return batch
